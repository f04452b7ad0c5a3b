"""The suite's command line options, as pytest's and as the command's."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import pytest

from gt_conformance.companions import Companions, read_project
from gt_conformance.comparison import FailOn
from gt_conformance.errors import InputError, Problem, unknown
from gt_conformance.history import DEFAULT_KEPT
from gt_conformance.planning import Selection
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import Route, Verdict


class Format(StrEnum):
    """What a run writes to standard output."""

    TEXT = "text"
    """For people."""
    JSON = "json"
    """The record, as in results.json."""
    NDJSON = "ndjson"
    """A line each: the cases, the findings, the decision."""
    GITHUB = "github"
    """The decision and the findings as annotations of a GitHub workflow."""


@dataclass(frozen=True)
class Settings:
    """What a run is about, from the command line, and from the files that the tenant's own runs take."""

    tenant_file: Path | None
    runbooks_dir: Path | None
    selection: Selection
    report_dir: Path
    attestations: Path | None
    waivers: Path | None
    accepted: Path | None
    strict: bool
    faults: tuple[str, ...]
    variants: tuple[str, ...]
    baseline: Path | None
    fail_on: FailOn
    history: Path | None
    history_keep: int
    clients: tuple[str, ...]
    checks: tuple[str, ...]
    collect_only: bool
    output: Format
    timeout_s: float | None
    concurrency: int | None

    def limit(self, tenant: Tenant) -> Tenant:
        """The tenant with the limits that the command line names."""
        limits = tenant.limits
        timeout_s, concurrency = self.timeout_s or limits.timeout_s, self.concurrency or limits.concurrency
        return replace(tenant, limits=replace(limits, timeout_s=timeout_s, concurrency=concurrency))


def add(parser: pytest.Parser) -> None:
    """Register them with pytest."""
    group = parser.getgroup("gt-conformance", "GT API conformance")
    group.addoption(
        "--tenant", metavar="FILE", help="tenant file; else GT_BASE_URL, GT_API_KEY and GT_MODEL; else embedded"
    )
    group.addoption("--runbook", metavar="ID", action="append", default=[], help="only this runbook (may be repeated)")
    group.addoption(
        "--route", metavar="ROUTE", action="append", default=[], help="only this route, such as chat (may be repeated)"
    )
    group.addoption(
        "--verdict", metavar="VERDICT", action="append", default=[], help="only rows of this verdict (may be repeated)"
    )
    group.addoption("--boundary", action="store_true", help="only the tenant's boundary, over all keys, and no runbook")
    group.addoption("--report-dir", metavar="DIR", default="reports", help="where the reports go (default: reports)")
    group.addoption("--runbooks", metavar="DIR", help="a folder of runbooks instead of the 23 that come with the suite")
    group.addoption("--attestations", metavar="FILE", help="what people have attested")
    group.addoption("--waivers", metavar="FILE", help="what is broken or untested, owned until a date")
    group.addoption("--accepted", metavar="FILE", help="the same, as gt-conformance accept writes it")
    group.addoption("--baseline", metavar="FILE", help="results.json of an earlier run: say what changed since")
    group.addoption(
        "--fail-on",
        metavar="WHAT",
        default=FailOn.ANY.value,
        help="any: everything that is wrong fails the run (default); new: only what nobody accepted",
    )
    group.addoption("--history", metavar="DIR", help="keep the results there, and compare with the last ones")
    group.addoption(
        "--history-keep",
        metavar="COUNT",
        type=int,
        default=DEFAULT_KEPT,
        help=f"how many results of a tenant the history keeps (default: {DEFAULT_KEPT})",
    )
    group.addoption(
        "--clients",
        metavar="ID,...",
        default="",
        help="drive these real clients too: runbooks (langchain), single clients (langchain/python), or all",
    )
    group.addoption(
        "--checks",
        metavar="MODULE",
        action="append",
        default=[],
        help="add the checks of this module or .py file (may be repeated)",
    )
    group.addoption("--strict-advisories", action="store_true", dest="gt_strict", help="advisories count as violations")
    group.addoption(
        "--fault",
        metavar="NAME",
        action="append",
        default=[],
        help="embedded tenant: apply this fault (may be repeated)",
    )
    group.addoption(
        "--variant",
        metavar="NAME",
        action="append",
        default=[],
        help="embedded tenant: apply this permitted variation (may be repeated)",
    )
    group.addoption("--versioned-only", action="store_true", help="the same as --fault versioned-only")
    # Other plugins have --timeout and --format: those of the command are these.
    group.addoption(
        "--gt-format",
        metavar="FORMAT",
        default=Format.TEXT.value,
        help=f"what standard output gets: {', '.join(Format)} (default: text)",
    )
    group.addoption("--gt-timeout", metavar="SECONDS", help="how long an answer may take, instead of limits.timeout_s")
    group.addoption(
        "--gt-concurrency", metavar="COUNT", help="requests under way at once, instead of limits.concurrency"
    )


def read_settings(config: pytest.Config) -> Settings:
    """The settings of this run. Raises InputError naming every option that makes no sense."""
    option = config.getoption
    if option("numprocesses", None) or option("dist", "no") not in {"no", None} or hasattr(config, "workerinput"):
        raise InputError.of(
            "-n does not go with this suite: each worker would send every request again.",
            hint="Leave it out; the suite already sends requests concurrently (limits.concurrency).",
        )
    problems: list[Problem] = []
    routes = [_route(name, problems) for name in split_names(option("--route"))]
    verdicts = [_verdict(name, problems) for name in split_names(option("--verdict"))]
    tenant_file = option("--tenant")
    faults = _faults(
        [*split_names(option("--fault")), *(["versioned-only"] if option("--versioned-only") else [])], problems
    )
    if faults and (tenant_file or os.environ.get("GT_BASE_URL")):
        word = "--fault" if option("--fault") else "--versioned-only"
        problems.append(Problem(f"{word} is about the embedded tenant, and another is named."))
    variants = _variants(split_names(option("--variant")), problems)
    if variants and (tenant_file or os.environ.get("GT_BASE_URL")):
        problems.append(Problem("--variant is about the embedded tenant, and another is named."))
    fail_on = _fail_on(option("--fail-on"), problems)
    output = _format(option("--gt-format"), problems)
    timeout_s = _timeout(option("--gt-timeout"), problems)
    concurrency = _concurrency(option("--gt-concurrency"), problems)
    if option("--boundary") and (option("--runbook") or routes or verdicts or option("--clients")):
        hint = "Leave out --runbook, --route, --verdict and --clients, or --boundary."
        problems.append(Problem("--boundary judges no runbook, and a part of them is named.", hint=hint))
    if option("--history-keep") < 1:
        problems.append(Problem("--history-keep is less than 1.", hint="Name how many results to keep."))
    report_dir = Path(option("--report-dir"))
    if report_dir.exists() and not report_dir.is_dir():
        problems.append(Problem(f"--report-dir {report_dir} is a file.", hint="Name a folder."))
    if problems:
        raise InputError(problems)
    return Settings(
        tenant_file=Path(tenant_file) if tenant_file else None,
        runbooks_dir=Path(option("--runbooks")) if option("--runbooks") else None,
        attestations=Path(option("--attestations")) if option("--attestations") else None,
        waivers=Path(option("--waivers")) if option("--waivers") else None,
        accepted=Path(option("--accepted")) if option("--accepted") else None,
        selection=Selection(
            runbooks=tuple(dict.fromkeys(split_names(option("--runbook")))),
            routes=tuple(route for route in routes if route),
            verdicts=tuple(verdict for verdict in verdicts if verdict),
            boundary=option("--boundary"),
        ),
        report_dir=report_dir,
        strict=option("gt_strict"),
        faults=faults,
        variants=variants,
        baseline=Path(option("--baseline")) if option("--baseline") else None,
        fail_on=fail_on,
        history=Path(option("--history")) if option("--history") else None,
        history_keep=option("--history-keep"),
        clients=tuple(name.strip() for name in option("--clients").split(",") if name.strip()),
        checks=tuple(option("--checks")),
        collect_only=option("collectonly"),
        output=output,
        timeout_s=timeout_s,
        concurrency=concurrency,
    )


def add_companions(settings: Settings, tenant: Tenant | None) -> Settings:
    """The settings with the files that no option names: those of the tenant file, then of gt-conformance.toml.

    The embedded tenant (None) takes none of them. Raises InputError.
    """
    if tenant is not None:
        named = Companions(settings.attestations, settings.waivers, settings.accepted, settings.history)
        found = named.or_else(tenant.companions).or_else(read_project(Path()))
        settings = replace(
            settings,
            attestations=found.attestations,
            waivers=found.waivers,
            accepted=found.accepted,
            history=found.history,
        )
    if settings.fail_on is FailOn.NEW and not (settings.accepted or settings.baseline or settings.history):
        hint = "Add --accepted, --history or --baseline."
        raise InputError.of("--fail-on new needs to know what was accepted.", hint=hint)
    return settings


def split_names(given: Sequence[str]) -> list[str]:
    """The names of an option that may be repeated, and of which each may hold several with commas between them."""
    return [name.strip() for text in given for name in text.split(",") if name.strip()]


def _format(name: str, problems: list[Problem]) -> Format:
    try:
        return Format(name)
    except ValueError:
        problems.append(unknown("format", name, list(Format)))
        return Format.TEXT


_LONGEST_S, _MOST_AT_ONCE = 3600, 64
"""As the schema of the tenant file has them."""


def _timeout(text: str | None, problems: list[Problem]) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST_S:
        hint = f"Write seconds, more than 0 and at most {_LONGEST_S}."
        problems.append(Problem(f"{text!r} is not a timeout.", hint=hint))
    return seconds


def _concurrency(text: str | None, problems: list[Problem]) -> int | None:
    if text is None:
        return None
    count = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= count <= _MOST_AT_ONCE:
        hint = f"Write a number from 1 to {_MOST_AT_ONCE}."
        problems.append(Problem(f"{text!r} is not a number of requests.", hint=hint))
    return count


def _faults(names: Sequence[str], problems: list[Problem]) -> tuple[str, ...]:
    if not names:
        return ()
    from gt_conformance.pytest_plugin._embedded import name_faults  # noqa: PLC0415 - as it says

    try:
        return name_faults(names)
    except InputError as error:
        problems += error.problems
        return ()


def _variants(names: Sequence[str], problems: list[Problem]) -> tuple[str, ...]:
    if not names:
        return ()
    from gt_conformance.pytest_plugin._embedded import name_variants  # noqa: PLC0415 - as it says

    try:
        return name_variants(names)
    except InputError as error:
        problems += error.problems
        return ()


def _route(name: str, problems: list[Problem]) -> Route | None:
    for route in Route:
        if name in {route.value, route.title, route.path}:
            return route
    problems.append(unknown("route", name, [route.value for route in Route]))
    return None


def _fail_on(name: str, problems: list[Problem]) -> FailOn:
    try:
        return FailOn(name)
    except ValueError:
        problems.append(unknown("value of --fail-on", name, [value.value for value in FailOn]))
        return FailOn.ANY


def _verdict(name: str, problems: list[Problem]) -> Verdict | None:
    try:
        return Verdict(name)
    except ValueError:
        problems.append(unknown("verdict", name, [verdict.value for verdict in Verdict]))
        return None
