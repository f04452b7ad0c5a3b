"""What is said of a fleet, the same in every document."""

from datetime import date
from pathlib import Path

from gt_conformance import report
from gt_conformance.errors import Problem
from gt_conformance.fleet_report._summary import FleetFinding, Summary
from gt_conformance.vocabulary import Decision, Outcome


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
