"""What other programs and people read of a fleet: metrics.prom, summary.md, notify.txt."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time

from gt_conformance import report
from gt_conformance.fleet_report._summary import (
    MOST_FINDINGS,
    Summary,
    decision_line,
    finding_line,
    numbered,
    problem_line,
)
from gt_conformance.vocabulary import Decision, Outcome

METRICS, SUMMARY, NOTIFY = "metrics.prom", "summary.md", "notify.txt"

_LISTED = 20
_Samples = Sequence[tuple[Mapping[str, str], float]]


def render_metrics(summary: Summary) -> str:
    """The fleet as gauges for Prometheus. The number of series is bounded, whatever tenants say and are called."""
    text = ""
    for name, says, samples in _gauges(summary):
        full = f"gt_conformance_fleet_{name}"
        text += f"# HELP {full} {says}\n# TYPE {full} gauge\n"
        text += "".join(report.sample(full, labels, value) for labels, value in samples)
    return text


def _gauges(summary: Summary) -> Iterator[tuple[str, str, _Samples]]:
    counts = summary.counts
    decided = [({"decision": one.value}, float(one is summary.decision)) for one in Decision]
    yield "decision", "1 for the decision of the fleet, 0 for the others.", decided
    tenants = [({"decision": one.value}, summary.decisions.get(one, 0)) for one in Decision]
    yield "tenants", "Tenants by their decision.", tenants
    yield "embedded_tenants", "Tenants that are the embedded one.", [({}, counts.embedded)]
    yield "tenants_not_judged", "Tenants of which this night says nothing.", [({}, counts.unjudged)]
    yield "tenants_missing", "Tenants without a row, though one was due.", [({}, counts.overdue)]
    yield "tenants_violating", "Tenants with a violation.", [({}, counts.violating)]
    if summary.history:
        yield "violations_new", "Violations that their tenant did not have before.", [({}, counts.new)]
        yield "violations_fixed", "Violations that their tenant has no more.", [({}, counts.fixed)]
        yield (
            "violations_not_judged_again",
            "Violations of earlier nights, not judged since.",
            [({}, counts.still_open)],
        )
        yield "tenants_flapping", "Tenants whose decision changes again and again.", [({}, counts.flapping)]
    yield (
        "finding_tenants",
        f"Tenants by finding, at most {MOST_FINDINGS} findings.",
        [
            (
                {
                    "finding": one.id,
                    "check": one.check,
                    "severity": one.severity.value,
                    "outcome": one.outcome.value,
                },
                one.tenants,
            )
            for one in summary.findings
        ],
    )
    yield (
        "label_tenants",
        "Tenants by label and decision.",
        [
            ({"label": one.key, "value": value.value, "decision": decision.value}, number)
            for one in summary.labels
            for value in one.values
            for decision, number in value.decisions.items()
            if number
        ],
    )
    yield "files_unreadable", "Files of the table that are missing or cannot be read.", [({}, summary.files_left_out)]
    yield "duration_seconds", "How long the runs of the tenants took together.", [({}, summary.seconds)]
    yield "requests", "Requests that were sent to all tenants.", [({}, summary.requests)]
    yield "tokens", "Tokens as the tenants count them.", [({}, summary.tokens)]
    night = datetime.combine(summary.night, time(), UTC).timestamp()
    yield "night_timestamp_seconds", "The night, in seconds since 1970.", [({}, night)]


def render_markdown(summary: Summary, page: str) -> str:
    """summary.md: the decision, what violates, and who is not judged, for the page of a job."""
    return "\n".join(_markdown(summary, page)) + "\n"


def _markdown(summary: Summary, page: str) -> Iterator[str]:
    counts = summary.counts
    yield f"# GT API conformance of a fleet, {summary.night}"
    yield ""
    yield f"**{report.plain(decision_line(summary))}**"
    yield ""
    if counts.embedded:
        yield f"EMBEDDED: {numbered(counts.embedded, 'run')} of the embedded tenant: no evidence about any other."
        yield ""
    yield "| decision | tenants |"
    yield "| --- | ---: |"
    yield from (f"| {one.value} | {number:,} |" for one, number in summary.decisions.items() if number)
    yield ""
    if summary.history:
        yield _changes(summary)
        yield ""
    yield from _part("What violates", list(_violations(summary)))
    yield from _part("Not tested, not attested, waived", list(_others(summary)))
    yield from _part(
        "Not judged",
        [
            f"{one.id}: {one.why or 'no row tonight'}" + (f" (last judged on {one.last})" if one.last else "")
            for one in summary.unjudged
        ],
        counts.unjudged,
    )
    yield from _part("The table itself", [problem_line(problem) for problem in summary.problems])
    yield f"All of it: {page}"


def _changes(summary: Summary) -> str:
    counts = summary.counts
    again = (
        f"; {numbered(counts.still_open, 'violation')} of earlier nights not judged again" if counts.still_open else ""
    )
    return f"Since the run before: {numbered(counts.new, 'new violation')}, {counts.fixed:,} fixed{again}."


def _part(title: str, lines: Sequence[str], known: int | None = None) -> Iterator[str]:
    if lines:
        yield f"## {title}"
        yield ""
        yield from (f"- {report.plain(line)}" for line in lines[:_LISTED])
        more = (known or len(lines)) - min(len(lines), _LISTED)
        yield from ([f"- and {more:,} more"] if more else [])
        yield ""


def _violations(summary: Summary) -> Iterable[str]:
    return (finding_line(summary, one) for one in summary.findings if one.outcome is Outcome.VIOLATES)


def _others(summary: Summary) -> Iterable[str]:
    return (finding_line(summary, one) for one in summary.findings if one.outcome is not Outcome.VIOLATES)


def render_notify(summary: Summary, page: str) -> str:
    """notify.txt: at most 3 kB of plain text for a chat or a mail; nothing from outside is a link or markup in it."""
    return report.fitted(report.harmless(decision_line(summary), 400), _message(summary), f"Report: {page}")


def _message(summary: Summary) -> Iterator[str]:
    counts = summary.counts
    if counts.embedded:
        yield "EMBEDDED tenants: evidence about the suite, never about a tenant."
    numbers = ", ".join(f"{number:,} {one.value}" for one, number in summary.decisions.items() if number)
    yield f"Night {summary.night}: {numbers}."
    if summary.history:
        yield _changes(summary)
    violations = [one for one in summary.findings if one.outcome is Outcome.VIOLATES]
    new_first = sorted(violations, key=lambda one: not one.new) if summary.history else violations
    for one in new_first:
        acts = report.actor_in_words(one.acts)
        yield f"- {report.harmless(finding_line(summary, one), 300)}. {acts[:1].upper()}{acts[1:]} has to act."
    if counts.unjudged:
        yield f"Not judged: {numbered(counts.unjudged, 'tenant')}"
    for line in summary.unjudged:
        last = f" Last judged on {line.last}." if line.last else ""
        yield f"- {report.harmless(line.id)}: {report.harmless(line.why or 'no row tonight').rstrip('.')}.{last}"
    for problem in summary.problems:
        yield f"- {report.harmless(problem_line(problem), 300)}"
