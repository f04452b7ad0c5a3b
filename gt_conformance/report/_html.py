"""compliance.html: the record as one self-contained document, with the exchanges that prove it."""

import base64
import hashlib
import html
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.util import cache_from_source
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.parse import urlsplit

from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
from jinja2.compiler import CodeGenerator, Frame
from jinja2.nodes import Expr
from markupsafe import Markup, escape

from gt_conformance import __version__, files, results
from gt_conformance.exchange import BodyRecord, ExchangeRecord, RequestRecord, ResponseRecord, inert, shortened
from gt_conformance.history import PARTIAL
from gt_conformance.report import (
    _boundary,
    _clause_table,
    _clients,
    _cover,
    _decision,
    _findings,
    _first,
    _format,
    _matrix,
    _nights,
    _since,
    _spending,
    _times,
)
from gt_conformance.report._findings import Finding, Place, placed_checks
from gt_conformance.results import Record
from gt_conformance.results.case_types import CheckRecord, RunbookRecord
from gt_conformance.vocabulary import Decision, EvidenceLevel, Outcome, Route, RunbookOutcome, Verdict

_LOADER = PackageLoader("gt_conformance.report")
_LONGEST_TEXT = 6_000
_STYLE, _SCRIPT = "compliance.css", "compliance.js"

_WORDS = {
    **{name.value: name.value for name in Outcome},
    _matrix.NOT_RUN: "not run",
    Verdict.NATIVE: "native",
    Verdict.GT_EXTENSION: "GT extension",
    Verdict.NOT_SUPPORTED: "not supported",
    RunbookOutcome.CONFORMANT: "all conform",
    RunbookOutcome.NON_CONFORMANT: "with violations",
    RunbookOutcome.INCOMPLETE: "not fully tested",
    PARTIAL: "only some of it judged",
    _nights.ABSENT: "not judged",
    EvidenceLevel.DOCUMENTED: "documented",
    EvidenceLevel.PROBED: "probed",
    EvidenceLevel.CLIENT_DRIVEN: "client-driven",
}
_SECTIONS = {
    "violations": Outcome.VIOLATES,
    "blockers": Outcome.BLOCKED,
    "unattested": Outcome.UNATTESTED,
    "waived": Outcome.WAIVED,
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
        name=_first.tenant_name(records[0]),
        overview=None if alone else _matrix.overview(records, scopes),
        reports=[Markup(_report(record, scope)) for record, scope in zip(records, scopes, strict=True)],  # noqa: S704 - escaped
        embedded=all(record["run"]["tenant"]["kind"] == "embedded" for record in records),
        version=__version__,
    )


def _report(record: Record, scope: str) -> str:
    """The body of the document for one tenant; ``scope`` begins each of its ids."""
    findings = _findings.findings(record)
    finding_of = {finding.id: finding for finding in findings}
    every_clause = _clause_table.all_clause_lines(record)
    clauses = [line for line in every_clause if line.clause.is_promised]
    return (
        _environment()
        .get_template("_report.html.j2")
        .render(
            scope=scope,
            record=record,
            run=record["run"],
            cover=_cover.cover(record),
            first=_first.first_page(record, findings),
            groups=_matrix.matrix(record),
            beyond_the_cells=_matrix.beyond_the_cells(record),
            spending=_spending.spending_facts(record["traffic"]),
            boundary=_boundary.boundary(record, finding_of),
            **{name: [one for one in findings if one.outcome is outcome] for name, outcome in _SECTIONS.items()},
            advisories=_findings.advisories(record),
            finding_of=finding_of,
            findings_at=_findings_at(findings),
            evidence=evidence(record),
            tones=_decision.TONES | ({Decision.GO: "embedded"} if _decision.is_embedded(record) else {}),
            first_proofs={ref for finding in findings for ref in finding.proofs[:1]},
            since=_since.since(record),
            nights=_nights.nights(record, findings),
            times=_times.times_lines(record),
            promises=_times.promise_lines(record),
            row_times=_times.row_times(record),
            clause_lines=clauses,
            clause_count=_clause_table.count_lines(clauses),
            clause_coverage=_clause_table.describe_coverage(every_clause),
            clauses_left_out=[line for line in every_clause if not line.clause.is_promised],
            stages=_clients.stages(record),
            slowest=max(record["exchanges"].items(), key=lambda item: item[1]["elapsed_ms"], default=None),
            item_numbers=_matrix.item_numbers(record),
            drawn=_Lines(),
        )
    )


def _findings_at(findings: Iterable[Finding]) -> Mapping[str, str]:
    """``, finding V2``, by the id of a case: the first finding that touches it."""
    found: dict[str, str] = {}
    for finding in findings:
        for place in finding.places:
            found.setdefault(place.anchor, f", finding {finding.label}")
    return found


def render_under_way(tenant: str, since: str) -> str:
    """The page that replaces an earlier run's while another is under way."""
    return _environment().get_template("under_way.html.j2").render(tenant=tenant, since=since, version=__version__)


class _Compiled(BytecodeCache):
    """What templates compile to, kept where Python keeps what modules compile to: compiling takes longer than a page.

    It is of use for the same source, and for what else has a part in it: this module, and the version of Jinja.
    """

    def __init__(self) -> None:
        self._compiler = version("jinja2").encode() + Path(__file__).read_bytes()

    def get_source_checksum(self, source: str) -> str:
        """Of the source and of what compiles it."""
        return hashlib.sha256(self._compiler + source.encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take what is kept, if it can be read."""
        with suppress(OSError, EOFError, UnpicklingError):
            bucket.bytecode_from_string(_kept_at(bucket).read_bytes())

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it, unless Python was told to keep nothing. Where it cannot be written, it is compiled the next time."""
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                path = _kept_at(bucket)
                path.parent.mkdir(parents=True, exist_ok=True)
                files.replace_file(path, bucket.bytecode_to_string())


def render_page(template: str, style: Sequence[str], script: str, **values: Any) -> str:
    """Another document of the same kind: a template of this folder with its style sheets and its script inside."""
    environment = _environment()
    sources = {"style": "".join(_source(environment, name) for name in style), "script": _source(environment, script)}
    return environment.get_template(template).render(
        **sources, policy=_policy_of(**sources), version=__version__, **values
    )


def compile_templates() -> None:
    """Compile every template, so that no run has to."""
    for name in _environment().list_templates(["j2"]):
        _environment().get_template(name)


def _kept_at(bucket: Bucket) -> Path:
    return Path(cache_from_source(str(Path(__file__).parent / "templates" / f"{bucket.key}.j2")))


class _Generator(CodeGenerator):
    """Has each value escaped by ``_printable`` alone, which Jinja would call, and then escape its result again.

    Were Jinja not to ask this class one day, the pages would be the same, and take a little longer.
    """

    def _output_child_pre(self, node: Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        del node, frame
        self.write(finalize.src or "")

    def _output_child_post(self, node: Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        del node, frame, finalize
        self.write(")")


class _Environment(Environment):
    """Looks for an item of a dictionary first: what a template names is nearly always a member of the record."""

    code_generator_class = _Generator

    def getattr(self, obj: Any, attribute: str) -> Any:
        """As Jinja does, which looks for an attribute first, in vain."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


class _Lines:
    """The lines of checks that conform, by what they show: many rows share a check, and its line."""

    def __init__(self) -> None:
        self._drawn: dict[object, Markup] = {}

    def of(self, check: CheckRecord, draw: Callable[[CheckRecord], Markup]) -> Markup:
        """The line of a check, drawn once."""
        shown = _identity(check), tuple(check["exchanges"]), str(check["advisories"])
        if shown not in self._drawn:
            self._drawn[shown] = draw(check)
        return self._drawn[shown]


@cache
def _environment() -> Environment:
    environment = _Environment(
        loader=_LOADER,
        bytecode_cache=_Compiled(),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        short=shortened,
        moment=_format.moment,
        seconds=_format.seconds,
        size=_format.size,
        numbered=_format.numbered,
        parameters=_parameters,
        cards=_findings.cards,
        findings_of=results.findings_of,
        actor=_findings.actor_in_words,
        sentence=_sentence,
        prose=_prose,
        row_checks=_row_checks,
        unlisted=_unlisted,
        listed_among=_listed,
        host=_host,
    )
    environment.globals.update(
        words=_WORDS,
        tones=_decision.TONES,
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
    environment.globals["policy"] = _policy_of(_source(environment, _STYLE), _source(environment, _SCRIPT))
    return environment


def _printable(value: object) -> Markup:
    """Any value of a template, as it is written into the page: escaped, unless it is markup already."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return _printable_word(value) if len(value) <= _WORD else _escaped(value)
    return escape(value)


def _escaped(text: str) -> Markup:
    return escape(inert(shortened(text, _LONGEST_TEXT)))


_WORD = 100
"""Texts up to that length are remembered: outcomes, titles and ids come again and again."""
_printable_word = lru_cache(4096)(_escaped)


def _source(environment: Environment, name: str) -> str:
    return _LOADER.get_source(environment, name)[0]


def _policy_of(style: str, script: str) -> str:
    """Nothing is loaded, nothing is sent; the one style and the one script are named by their hashes."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _sentence(text: str) -> str:
    """The text with a capital to start with, where it starts with a plain word."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() and first.islower() else text


_CODE = re.compile(r"`([^`\n]{1,200})`")
_LOCAL = re.compile(
    r"(?<![\w:/.])(?:/(?:home|root|Users|tmp|var|opt|etc|srv|mnt|work|workspace|builds|data|private|usr|run)/|[A-Za-z]:\\)"
    r"""[^\s'"`,;()<>]*"""
)
"""A path of the machine that ran the suite, which is nobody's business: its last name says which file is meant."""


def _prose(text: str) -> Markup:
    """A text that people read: what stands in backticks as code, and no path of the operator's machine but its name."""
    local = _LOCAL.sub(lambda found: re.split(r"[/\\]", found[0].rstrip("/\\"))[-1], text)
    escaped = str(_printable(local))
    return Markup(_CODE.sub(r"<code>\1</code>", escaped))  # noqa: S704 - escaped


def _row_checks(book: RunbookRecord) -> set[object]:
    """The checks that the rows of a runbook list, each with its key and parameters."""
    return {_identity(check) for row in book["routes"] for check in row["checks"]}


def _unlisted(checks: Iterable[CheckRecord], listed: set[object]) -> list[CheckRecord]:
    """Those of the checks that are not listed already."""
    return [check for check in checks if _identity(check) not in listed]


def _listed(checks: Iterable[CheckRecord], listed: set[object]) -> list[CheckRecord]:
    """The others."""
    return [check for check in checks if _identity(check) in listed]


def _identity(check: CheckRecord) -> object:
    parameters = check["parameters"]
    return check["id"], check["credential"], json.dumps(parameters, sort_keys=True, default=str) if parameters else ""


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


# -- the exchanges that the document holds, each once

_ROOM_FOR_FAILING, _ROOM_FOR_CONFORMING, _ROOM_FOR_BOTH = 900_000, 260_000, 360_000
"""Characters, escaped. What fails takes the room of what conforms: a whole run stays under 1.2 MB."""

_CONTROLS = 6
_KINDS = {"json": "JSON", "text": "text", "events": "server-sent events", "multipart": "multipart form"}
_PRESENTED = {
    "made_up": "a key that does not exist",
    "without_scheme": "key {key} without Bearer",
    "basic": "key {key} as Basic",
    "other_scheme": "key {key} as Token",
    "query": "key {key} in the address",
    "other_header": "key {key} in x-api-key and headers like it",
    "in_body": "key {key} in a field of the body",
    "elsewhere": "key {key} in the address, x-api-key and headers like it, and in a JSON body",
    "misspelled": "key {key} in other case",
    "altered": "key {key} with another middle",
    "shortened": "key {key} without its end",
    "lengthened": "key {key} with more behind it",
    "before_colon": "key {key} with a colon and more behind it",
    "other_end": "key {key} with another last character",
}


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One exchange as text. ``proves`` names the checks that rest on it, each with the first place that has it."""

    ref: str
    title: str
    result: str
    key: str
    elapsed_ms: float
    request: str
    request_size: str
    response: str
    response_size: str
    notes: tuple[str, ...]
    curl: str
    failing: bool
    proves: tuple[tuple[str, Place], ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The exhibits by reference, and how many exchanges are in results.json only."""

    exhibits: Mapping[str, Exhibit]
    left_out: int
    shared: Mapping[str, int]

    def representative(self, check: CheckRecord) -> str | None:
        """The exchange that represents a check that conforms."""
        return _representative(check, self.shared)


def evidence(record: Record) -> Evidence:
    """What failing and blocked checks refer to, then one exchange for each check that conforms, as room allows."""
    exchanges = record["exchanges"]
    proves: dict[str, dict[str, Place]] = {}
    for place, check in placed_checks(record):
        for ref in check["exchanges"]:
            proves.setdefault(ref, {}).setdefault(check["id"], place)
    shared = {ref: len(checks) for ref, checks in proves.items()}
    failing = _fitting(_wanted_failing(record), exchanges, _ROOM_FOR_FAILING)
    others = (ref for ref in _wanted_conforming(record, shared) if ref not in failing)
    rest = _ROOM_FOR_BOTH - sum(_weight(exchanges[ref]) for ref in failing)
    conforming = _fitting(others, exchanges, min(rest, _ROOM_FOR_CONFORMING))
    base_url = record["run"]["tenant"]["base_url"]
    shown = {
        ref: _exhibit(ref, exchanges[ref], base_url, failing=ref in failing, proves=proves.get(ref, {}))
        for ref in sorted({**failing, **conforming}, key=lambda ref: (len(ref), ref))
    }
    return Evidence(shown, len(exchanges) - len(shown), shared)


def _representative(check: CheckRecord, shared: Mapping[str, int]) -> str | None:
    # The one that fewest other checks rest on; of those the last, where a poll has ended.
    return min(reversed(check["exchanges"]), key=lambda ref: shared.get(ref, 0), default=None)


def _wanted_failing(record: Record) -> Iterator[str]:
    if record["run"]["refusal"] is not None:  # its controls belong to no check
        yield from list(record["exchanges"])[:_CONTROLS]
    proofs = [proof for finding in _findings.findings(record) for line in finding.lines for proof in line.proofs]
    yield from (ref for proof in proofs for ref in proof.exchanges[:1])  # every line of a finding has its own proof
    yield from (ref for proof in proofs for ref in proof.exchanges)
    checks = [check for _, check in placed_checks(record) if check["outcome"] != Outcome.CONFORMS]
    for check in checks:  # what proves a violation goes before what surrounds it
        yield from (item["exchange"] for item in check["breaches"] if item["exchange"])
    for check in checks:
        yield from check["exchanges"]


def _wanted_conforming(record: Record, shared: Mapping[str, int]) -> Iterator[str]:
    for _, check in placed_checks(record):
        if check["outcome"] == Outcome.CONFORMS:
            yield from (item["exchange"] for item in check["advisories"] if item["exchange"])
            ref = _representative(check, shared)
            if ref is not None:
                yield ref


def _fitting(wanted: Iterable[str], exchanges: Mapping[str, ExchangeRecord], room: int) -> dict[str, None]:
    chosen: dict[str, None] = {}
    for ref in wanted:
        if ref not in chosen and ref in exchanges:
            room -= _weight(exchanges[ref])
            if room < 0:
                break
            chosen[ref] = None
    return chosen


def _weight(exchange: ExchangeRecord) -> int:
    texts = [exchange["curl"], exchange["request"]["body"]["text"]]
    if exchange["response"] is not None:
        texts += [exchange["response"]["body"]["text"], *(value for _, value in exchange["response"]["headers"])]
    return 1_000 + sum(len(html.escape(text)) for text in texts)


def _exhibit(
    ref: str, exchange: ExchangeRecord, base_url: str, *, failing: bool, proves: Mapping[str, Place]
) -> Exhibit:
    request, response = exchange["request"], exchange["response"]
    failure = exchange.get("failure")
    notes = [
        f"Try {n}: {item['result']}, then a pause of {item['waited_s']} s."
        for n, item in enumerate(exchange.get("attempts", ()), 1)
    ]
    if failure is not None:
        notes.append(f"No answer: {failure['detail']}.")
    elif response is not None and not response["complete"]:
        notes.append(f"The answer was cut short: {response['end']}.")
    return Exhibit(
        ref=ref,
        title=f"{request['method']} {request['url'].removeprefix(base_url) or '/'}",
        result=_result(exchange),
        key=_presented(request),
        elapsed_ms=exchange["elapsed_ms"],
        request=_as_text(f"{request['method']} {request['url']}", request),
        request_size=_body_size(request["body"]),
        response=_as_text(f"HTTP {response['status']}", response) if response is not None else "",
        response_size=_body_size(response["body"]) if response is not None else "",
        notes=tuple(notes),
        curl=exchange["curl"],
        failing=failing,
        proves=tuple(proves.items()),
    )


def _result(exchange: ExchangeRecord) -> str:
    return f"HTTP {exchange['response']['status']}" if exchange["response"] is not None else "no answer"


def _presented(request: RequestRecord) -> str:
    if request["credential"] is None and request["presentation"] != "made_up":
        return "no key"
    return _PRESENTED.get(request["presentation"], "key {key}").replace("{key}", str(request["credential"]))


def _as_text(first: str, message: RequestRecord | ResponseRecord) -> str:
    lines = [first, *(f"{name}: {value}" for name, value in message["headers"])]
    text = message["body"]["text"]
    return "\n".join([*lines, "", text] if text else lines)


def _body_size(body: BodyRecord) -> str:
    if body["kind"] == "empty":
        return "no body"
    return f"{body['bytes']:,} bytes, {_KINDS.get(body['kind'], body['kind'])}"
