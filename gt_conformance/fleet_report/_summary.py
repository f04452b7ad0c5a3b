"""How a fleet is tonight, and since when; what is decided of it, here and nowhere else; and the words for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from gt_conformance import report
from gt_conformance.errors import Problem
from gt_conformance.results import EXIT_CODES
from gt_conformance.vocabulary import Decision, Outcome, Severity

NIGHTS = 30
"""How many days a report looks back, tonight included."""
MOST_FINDINGS = 200
MOST_TENANTS = 500
MOST_OTHERS = 100
"""How many of a kind a document lists; it says how many there are."""
FLAPS = 3
"""A tenant flaps whose decision changed so often in the nights that are looked at."""


@dataclass(frozen=True)
class Label:
    """A label and how many tenants have it: tonight in all, and with each decision."""

    key: str
    value: str
    tenants: int
    decisions: Mapping[Decision, int]


@dataclass(frozen=True)
class LabelKey:
    """A key of labels with its values, of which those with most tenants that are not GO come first."""

    key: str
    values: Sequence[Label]
    known: int


@dataclass(frozen=True)
class FleetFinding:
    """A finding with all tenants that have it tonight. ``new`` are those that did not have it when judged before."""

    id: str
    outcome: Outcome
    check: str
    severity: Severity
    acts: str
    says: str
    remedy: str
    tenants: int
    new: int
    since: date | None
    examples: Sequence[str]
    labels: Sequence[tuple[str, str, int]]


@dataclass(frozen=True)
class TenantLine:
    """A tenant and what its reader has to know first. ``since`` is the first night of what violates there."""

    id: str
    name: str
    labels: Mapping[str, str]
    decision: Decision
    embedded: bool
    severity: Severity | None
    says: str
    remedy: str
    acts: str
    violations: int
    new: int
    since: date | None


@dataclass(frozen=True)
class Unjudged:
    """A tenant of which tonight says nothing, and why: ``last`` is the last night that judged it."""

    id: str
    name: str
    why: str
    last: date | None


@dataclass(frozen=True)
class Slow:
    """A tenant whose run took long, and how long it takes on other nights."""

    id: str
    name: str
    seconds: float
    usual: float | None
    requests: int | None


@dataclass(frozen=True)
class Flapping:
    """A tenant whose decision changes again and again: each night with its decision, oldest first."""

    id: str
    name: str
    changes: int
    nights: Sequence[tuple[date, Decision]]


@dataclass(frozen=True)
class Night:
    """How many tenants had which decision on a night."""

    night: date
    tenants: int
    decisions: Mapping[Decision, int]


@dataclass(frozen=True)
class Counts:
    """How many there are of what a document lists some of."""

    tenants: int
    embedded: int
    not_go: int
    findings: int
    violating: int
    """Tenants with a violation."""
    new: int
    """Violations of a tenant that it did not have when it was judged before."""
    newly_new: int
    """The tenants that have one."""
    fixed: int
    """Violations that tonight is the first night not to show any more."""
    still_open: int
    """Violations of earlier nights of which no later night says anything, since nothing judged them again."""
    newly_undecided: int
    """Tenants that are not decided tonight, or missing, and were there and decided the time before."""
    unjudged: int
    overdue: int
    """Those of them that have no row tonight, though one was due."""
    resting: int
    """Tenants that have no row tonight, and none was due."""
    flapping: int


@dataclass(frozen=True)
class Summary:
    """A night of a fleet. ``history`` says whether earlier nights were looked at."""

    night: date
    history: bool
    decision: Decision
    counts: Counts
    decisions: Mapping[Decision, int]
    nights: Sequence[Night]
    findings: Sequence[FleetFinding]
    tenants: Sequence[TenantLine]
    unjudged: Sequence[Unjudged]
    slowest: Sequence[Slow]
    flapping: Sequence[Flapping]
    labels: Sequence[LabelKey]
    problems: Sequence[Problem]
    files_left_out: int
    seconds: float
    requests: int
    tokens: int


def worst_of(decisions: Mapping[Decision, int], *, is_incomplete: bool) -> Decision:
    """The decision of a fleet, by how many of its tenants have which.

    NO-GO where one is NO-GO. NOT DECIDED where one is not decided or not reached, and where the table is incomplete: a
    row that was due is missing, or a file of it is missing or cannot be read. UNREACHABLE where no tenant at all was
    reached. Else what the worst of them is: PARTIAL, GO WITH EXCEPTIONS, GO.
    """
    there = {decision for decision, number in decisions.items() if number}
    if Decision.NO_GO in there:
        return Decision.NO_GO
    if there == {Decision.UNREACHABLE} and not is_incomplete:
        return Decision.UNREACHABLE
    if is_incomplete or not there or there & {Decision.NOT_DECIDED, Decision.UNREACHABLE}:
        return Decision.NOT_DECIDED
    return next(one for one in (Decision.PARTIAL, Decision.GO_WITH_EXCEPTIONS, Decision.GO) if one in there)


def exit_code(summary: Summary, *, only_new: bool = False) -> int:
    """What the decision means to the shell. With ``only_new``, what was so before fails nothing.

    Then 1 where a tenant has a violation that it did not have when it was judged before, 7 where one is newly not
    decided or missing, and where the table cannot be read whole. The decision, and every document, stays as it is.
    """
    if not only_new:
        return EXIT_CODES[summary.decision]
    if summary.counts.new:
        return EXIT_CODES[Decision.NO_GO]
    undecided = summary.counts.newly_undecided or summary.problems
    return EXIT_CODES[Decision.NOT_DECIDED if undecided else Decision.GO]


# -- in words


def describe(summary: Summary) -> str:
    """``NO-GO``; ``GO (EMBEDDED)`` where a tenant is the embedded one, which proves nothing about any other."""
    return report.word(summary.decision, embedded=bool(summary.counts.embedded))


def reason(summary: Summary) -> str:
    """Why the fleet is decided so, in one sentence."""
    counts, decisions = summary.counts, summary.decisions
    of = f"of {numbered(counts.tenants, 'tenant')}"
    open_ = decisions[Decision.NOT_DECIDED] + decisions[Decision.UNREACHABLE]
    if summary.decision is Decision.UNREACHABLE:
        return f"nothing answers as the API at {f'any {of}' if counts.tenants > 1 else 'the one tenant'}."
    parts = []
    if decisions[Decision.NO_GO]:
        anew = f", {counts.newly_new:,} of them with new violations" if summary.history and counts.newly_new else ""
        parts.append(f"{decisions[Decision.NO_GO]:,} {of} {_be(decisions[Decision.NO_GO])} NO-GO{anew}")
    if open_:
        parts.append(f"{open_:,} {'' if parts else f'{of} '}{_be(open_)} not decided")
    if counts.overdue:
        parts.append(f"{numbered(counts.overdue, 'tenant')} {_have(counts.overdue)} no row tonight")
    if summary.problems:
        missing = f"{numbered(summary.files_left_out, 'file')} of the table"
        parts.append(f"{missing} {_be(summary.files_left_out)} missing or cannot be read")
    if parts:
        return f"{'; '.join(parts)}."
    if summary.decision is Decision.GO:
        return f"all {numbered(counts.tenants, 'tenant')} conform in everything that there is."
    part, but = decisions[Decision.PARTIAL], decisions[Decision.GO_WITH_EXCEPTIONS]
    parts += [f"{part:,} {of} {'was' if part == 1 else 'were'} judged in part"] if part else []
    parts += [f"{but:,} {'' if parts else f'{of} '}{_have(but)} exceptions that somebody owns"] if but else []
    return f"nothing violates; {', '.join(parts)}."


def decision_line(summary: Summary) -> str:
    """``NO-GO: 3 of 9,992 tenants are NO-GO; ...``."""
    return f"{describe(summary)}: {reason(summary)}"


def numbered(number: int, noun: str) -> str:
    """``1 tenant``, ``9,992 tenants``."""
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"


def since_words(summary: Summary, day: date | None) -> str:
    """``new tonight``, ``since 2026-11-25``, ``since 2026-11-01 or earlier``; empty where nothing is known."""
    if day is None or not summary.history:
        return ""
    first = min((night.night for night in summary.nights), default=summary.night)
    if day == first:
        return f"since {day} or earlier" if day < summary.night else "no earlier night is in the table"
    return "new tonight" if day == summary.night else f"since {day}"


def finding_line(summary: Summary, finding: FleetFinding) -> str:
    """``high chat.streams: A chat streams. 17 tenants, 2 of them new; since 2026-11-20``, as a text of a document."""
    said = finding.says.rstrip(".")
    new = f", {finding.new:,} of them new" if summary.history and finding.new else ""
    since = since_words(summary, finding.since)
    extent = f"{numbered(finding.tenants, 'tenant')}{new}{f'; {since}' if since else ''}"
    if finding.outcome is Outcome.VIOLATES:
        return f"{finding.severity.value} {finding.check}: {said}. {extent}"
    return f"{finding.outcome.value}: {said}. {extent}"


def problem_line(problem: Problem) -> str:
    """A file of the table that is missing or cannot be read, by its night and name: its folder is nobody's business."""
    place = "/".join(Path(problem.where.file).parts[-2:]) if problem.where else "the table"
    return f"{place}: {problem.message}"


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


def _have(number: int) -> str:
    return "has" if number == 1 else "have"
