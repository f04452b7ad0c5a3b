"""What a run is about, from the command line."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from gt_conformance.companions import Companions, read_project
from gt_conformance.comparison import FailOn
from gt_conformance.errors import InputError, Problem, unknown
from gt_conformance.launch._gate import ACCEPTED_OF_NOTHING, Gate, read_fail_on, read_history_keep
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
class Settings(Gate):
    """What a run is about, from the command line, and from the files that the tenant's own runs take."""

    tenant_file: Path | None
    runbooks_dir: Path | None
    selection: Selection
    report_dir: Path
    attestations: Path | None
    waivers: Path | None
    strict: bool
    faults: tuple[str, ...]
    variants: tuple[str, ...]
    clients: tuple[str, ...]
    checks: tuple[str, ...]
    collect_only: bool
    output: Format
    timeout_s: float | None
    concurrency: int | None
    max_tokens: int | None

    def limit(self, tenant: Tenant) -> Tenant:
        """The tenant with the limits that the command line names."""
        limits = tenant.limits
        changed = replace(
            limits,
            timeout_s=self.timeout_s or limits.timeout_s,
            concurrency=self.concurrency or limits.concurrency,
            max_tokens=self.max_tokens or limits.max_tokens,
        )
        return replace(tenant, limits=changed)


def settings_of(
    option: Callable[[str], Any],
    faults: tuple[str, ...] = (),
    variants: tuple[str, ...] = (),
    problems: Sequence[Problem] = (),
) -> Settings:
    """The settings of a run. ``option`` gives the value of an option, by the name that it has for pytest.

    ``faults`` and ``variants`` are those that exist, of those that are named. Raises InputError naming every option
    that makes no sense, with the ``problems`` that are known already.
    """
    problems = list(problems)
    routes = [_route(name, problems) for name in split_names(option("--route"))]
    verdicts = [_verdict(name, problems) for name in split_names(option("--verdict"))]
    tenant_file = option("--tenant")
    if faults and (tenant_file or os.environ.get("GT_BASE_URL")):
        word = "--fault" if option("--fault") else "--versioned-only"
        problems.append(Problem(f"{word} is about the embedded tenant, and another is named."))
    if variants and (tenant_file or os.environ.get("GT_BASE_URL")):
        problems.append(Problem("--variant is about the embedded tenant, and another is named."))
    fail_on = read_fail_on(option("--fail-on"), problems)
    named = option("--accepted") or option("--baseline") or option("--history")
    if fail_on is FailOn.NEW and not (named or tenant_file or os.environ.get("GT_BASE_URL")):
        problems.append(ACCEPTED_OF_NOTHING)
    output = _format(option("--gt-format"), problems)
    timeout_s = _timeout(option("--gt-timeout"), problems)
    concurrency = _count(option("--gt-concurrency"), "requests", _MOST_AT_ONCE, problems)
    max_tokens = _count(option("--gt-max-tokens"), "tokens", _MOST_TOKENS, problems)
    if option("--boundary") and (option("--runbook") or routes or verdicts or option("--clients")):
        hint = "Leave out --runbook, --route, --verdict and --clients, or --boundary."
        problems.append(Problem("--boundary judges no runbook, and a part of them is named.", hint=hint))
    history_keep = read_history_keep(option("--history-keep"), problems)
    report_dir = Path(option("--report-dir"))
    if report_dir.exists() and not report_dir.is_dir():
        problems.append(Problem(f"--report-dir {report_dir} is a file.", hint="Name a folder."))
    if problems:
        raise InputError(problems)
    return Settings(
        tenant_file=_path(tenant_file),
        runbooks_dir=_path(option("--runbooks")),
        attestations=_path(option("--attestations")),
        waivers=_path(option("--waivers")),
        accepted=_path(option("--accepted")),
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
        baseline=_path(option("--baseline")),
        fail_on=fail_on,
        history=_path(option("--history")),
        history_keep=history_keep,
        clients=tuple(name.strip() for name in option("--clients").split(",") if name.strip()),
        checks=tuple(option("--checks")),
        collect_only=option("collectonly"),
        output=output,
        timeout_s=timeout_s,
        concurrency=concurrency,
        max_tokens=max_tokens,
    )


def add_companions(settings: Settings, tenant: Tenant | None) -> Settings:
    """The settings with the files that no option names: those of the tenant file, then of gt-conformance.toml.

    The embedded tenant (None) takes none of them; a mistake in gt-conformance.toml is refused all the same, since who
    names a tenant there would take the embedded one for theirs. Raises InputError.
    """
    project = read_project(Path())
    if tenant is not None:
        named = Companions(settings.attestations, settings.waivers, settings.accepted, settings.history)
        found = named.or_else(tenant.companions).or_else(project)
        settings = replace(
            settings,
            attestations=found.attestations,
            waivers=found.waivers,
            accepted=found.accepted,
            history=found.history,
        )
    if settings.fail_on is FailOn.NEW and not settings.names_what_was_accepted:
        raise InputError([ACCEPTED_OF_NOTHING])
    return settings


def _path(given: str | None) -> Path | None:
    return Path(given) if given else None


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
_MOST_TOKENS = 10**12


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


def _count(text: str | None, noun: str, most: int, problems: list[Problem]) -> int | None:
    if text is None:
        return None
    count = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(most)) else 0
    if not 1 <= count <= most:
        problems.append(Problem(f"{text!r} is not a number of {noun}.", hint=f"Write a number from 1 to {most}."))
    return count


def _route(name: str, problems: list[Problem]) -> Route | None:
    for route in Route:
        if name in {route.value, route.title, route.path}:
            return route
    problems.append(unknown("route", name, [route.value for route in Route]))
    return None


def _verdict(name: str, problems: list[Problem]) -> Verdict | None:
    try:
        return Verdict(name)
    except ValueError:
        problems.append(unknown("verdict", name, [verdict.value for verdict in Verdict]))
        return None
