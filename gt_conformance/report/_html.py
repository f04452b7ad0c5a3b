"""compliance.html: the record as one document that stands alone."""

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gt_conformance import __version__
from gt_conformance.exchange import inert, shortened
from gt_conformance.history import PARTIAL
from gt_conformance.report import _clients, _cover, _evidence, _findings, _matrix, _nights, _overview, _since
from gt_conformance.results import Record
from gt_conformance.vocabulary import EvidenceLevel, Outcome, Route, RunbookOutcome, Verdict

_LOADER = PackageLoader("gt_conformance.report")
_LONGEST_TEXT = 6_000
_STYLE, _SCRIPT = "compliance.css", "compliance.js"

_WORDS = {
    **{name.value: name.value for name in Outcome},
    _matrix.NOT_RUN: "not run",
    Verdict.NATIVE: "native",
    Verdict.GT_EXTENSION: "GT extension",
    Verdict.NOT_SUPPORTED: "not supported",
    RunbookOutcome.CONFORMANT: "conformant",
    RunbookOutcome.NON_CONFORMANT: "non-conformant",
    RunbookOutcome.INCOMPLETE: "incomplete",
    PARTIAL: "only some of it judged",
    _nights.ABSENT: "not judged",
    EvidenceLevel.DOCUMENTED: "documented",
    EvidenceLevel.PROBED: "probed",
    EvidenceLevel.CLIENT_DRIVEN: "client-driven",
}
_LETTERS = {Verdict.NATIVE: "N", Verdict.GT_EXTENSION: "G", Verdict.NOT_SUPPORTED: "\N{EN DASH}"}
_TONES = {
    RunbookOutcome.CONFORMANT: Outcome.CONFORMS,
    RunbookOutcome.NON_CONFORMANT: Outcome.VIOLATES,
    RunbookOutcome.INCOMPLETE: Outcome.BLOCKED,
}


def render_html(*records: Record) -> str:
    """The whole document: of one tenant, or of several with an overview of them before their reports.

    Everything from outside is escaped; nothing is fetched.
    """
    environment = _environment()
    alone = len(records) == 1
    scopes = [""] if alone else [f"t{number}-" for number in range(1, len(records) + 1)]
    return environment.get_template("compliance.html.j2").render(
        records=records,
        covers=[_cover.cover(record) for record in records],
        overview=None if alone else _overview.overview(records, scopes),
        reports=[Markup(_report(record, scope)) for record, scope in zip(records, scopes, strict=True)],  # noqa: S704 - escaped
        embedded=all(record["run"]["tenant"]["kind"] == "embedded" for record in records),
        version=__version__,
    )


def _report(record: Record, scope: str) -> str:
    """The body of the document for one tenant; ``scope`` begins each of its ids."""
    findings = {
        kind.__name__: kind(record)
        for kind in (_findings.violations, _findings.waived, _findings.blockers, _findings.unattested)
    }
    return (
        _environment()
        .get_template("_report.html.j2")
        .render(
            scope=scope,
            record=record,
            run=record["run"],
            cover=_cover.cover(record),
            groups=_matrix.matrix(record),
            **findings,
            advisories=_findings.advisories(record),
            label_of=_findings.labels(finding for found in findings.values() for finding in found),
            evidence=_evidence.evidence(record),
            since=_since.since(record),
            nights=_nights.nights(record),
            stages=_clients.stages(record),
            slowest=max(record["exchanges"].items(), key=lambda item: item[1]["elapsed_ms"], default=None),
            item_numbers=_matrix.item_numbers(record),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=_LOADER,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        short=shortened,
        moment=_cover.moment,
        seconds=_cover.seconds,
        size=_cover.size,
        parameters=_parameters,
        cards=_findings.cards,
        sentence=_sentence,
        host=_host,
    )
    environment.globals.update(
        words=_WORDS,
        letters=_LETTERS,
        tones=_TONES,
        routes=list(Route),
        openai_routes=_matrix.OPENAI_ROUTES,
        gt_routes=_matrix.GT_ROUTES,
        outcomes=[Outcome.CONFORMS, Outcome.VIOLATES, Outcome.BLOCKED, Outcome.UNATTESTED, Outcome.WAIVED],
        verdicts=list(Verdict),
        levels=list(EvidenceLevel),
        not_run=_matrix.NOT_RUN,
        heights=_nights.HEIGHTS,
        style=_source(environment, _STYLE),
        script=_source(environment, _SCRIPT),
    )
    environment.globals["policy"] = _policy(environment)
    return environment


def _printable(value: Any) -> Any:
    # What is already markup has been through here piece by piece.
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return inert(shortened(value, _LONGEST_TEXT))
    return value


def _source(environment: Environment, name: str) -> str:
    return _LOADER.get_source(environment, name)[0]


def _policy(environment: Environment) -> str:
    """Nothing is loaded, nothing is sent; the one style and the one script are named by their hashes."""
    style, script = (_hash(str(environment.globals[name])) for name in ("style", "script"))
    return f"default-src 'none'; style-src {style}; script-src {script}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _sentence(text: str) -> str:
    """The text with a capital to start with, where it starts with a plain word."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() and first.islower() else text


def _host(url: str) -> str:
    """``acme.example:8443``; the text itself where it is no URL."""
    return urlsplit(url).netloc or url


def _parameters(parameters: Mapping[str, Any]) -> str:
    """``stream, token_limit max_tokens``: what the row gave a check, in a line."""
    parts = [
        name
        if value is True
        else f"{name} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in parameters.items()
    ]
    return ", ".join(parts)
