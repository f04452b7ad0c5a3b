"""The end of a run for the terminal: what an operator needs, in the order in which it is needed."""

import textwrap
from collections.abc import Iterator, Sequence

from gt_conformance.report._clients import client_table
from gt_conformance.report._cover import attested
from gt_conformance.report._findings import Finding, advisories, blockers, unattested, violations, waived
from gt_conformance.report._format import Line, in_words, interruption, numbered
from gt_conformance.report._since import since
from gt_conformance.results import Record, count, runbook_cases
from gt_conformance.results.record_types import BlockerRecord, CheckRecord, RunbookRecord
from gt_conformance.vocabulary import Outcome, RunbookOutcome

_WIDTH = 110
_MOST_PLACES = 8
_MOST_LINES = 8
_MOST_CHANGES = 10
_WORDS = {
    RunbookOutcome.CONFORMANT: "conformant",
    RunbookOutcome.NON_CONFORMANT: "NON-CONFORMANT",
    RunbookOutcome.INCOMPLETE: "INCOMPLETE",
}
_STYLES = {
    RunbookOutcome.CONFORMANT: "green",
    RunbookOutcome.NON_CONFORMANT: "bold red",
    RunbookOutcome.INCOMPLETE: "yellow",
}


def summary_lines(record: Record) -> list[Line]:
    """Per runbook its outcome, or all of a single one; every violation and blocker, each listed once; the totals."""
    refusal = record["run"]["refusal"]
    cut_short = interruption(record["run"])
    lines = [Line(f"{cut_short} What was not judged by then is blocked.", "bold red")] if cut_short else []
    if refusal is not None:
        lines += _refusal(refusal)
    else:
        alone = record["runbooks"][0] if len(record["runbooks"]) == 1 else None
        lines += _single(alone) if alone is not None else _runbooks(record["runbooks"])
        lines += _tenant(record["tenant_checks"])
        lines += client_table(record)
        for gathered, title, style in _SECTIONS:
            lines += _findings(gathered(record), title, style)
        lines += _advisories(record)
    lines += since_lines(record)
    lines += [Line(problem, "bold red") for problem in record["waiver_problems"]]
    for error in record["suite_errors"]:
        lines.append(Line(f"The suite itself failed: {error.strip().splitlines()[-1]}", "bold red"))
    return [*lines, Line(""), *_totals(record)]


NOT_DECIDED = "NOT DECIDED: the run itself failed, as described above. Run it again once that is fixed."
"""The end of a run that failed by a fault of the suite, or could not write what it found."""


def last_line(record: Record) -> Line | None:
    """Go or no-go, for a run about one runbook; that nothing is decided, where the suite failed; None for any other."""
    if record["suite_errors"]:
        return Line(NOT_DECIDED, "bold red")
    if len(record["runbooks"]) != 1 or record["run"]["refusal"] is not None:
        return None
    book = record["runbooks"][0]
    where = (
        "the embedded tenant" if record["run"]["tenant"]["kind"] == "embedded" else record["run"]["tenant"]["base_url"]
    )
    outcome = RunbookOutcome(book["outcome"])
    boundary = Outcome.worst(Outcome(check["outcome"]) for check in record["tenant_checks"])
    cut_short = interruption(record["run"])
    if not cut_short and outcome is RunbookOutcome.CONFORMANT and (not record["tenant_checks"] or boundary in _GOOD):
        return Line(f"GO: {book['title']} works with {where} as its runbook says.", "bold green")
    if outcome is RunbookOutcome.NON_CONFORMANT:
        why = "its runbook promises what does not hold there"
    elif cut_short:
        why = f"the run was {cut_short[0].lower()}{cut_short[1:-1]}"
    elif outcome is RunbookOutcome.INCOMPLETE:
        why = "not everything could be tested, or is attested"
    elif boundary is Outcome.VIOLATES:
        why = "its own rows hold, but the tenant's trust boundary does not"
    else:
        why = "its own rows hold, but the tenant's trust boundary was not fully tested"
    return Line(f"NO-GO: {book['title']} with {where}: {why}.", "bold red")


def since_lines(record: Record) -> list[Line]:
    """What changed since an earlier run, where the record carries a comparison."""
    found = since(record)
    if found is None:
        return []
    lines = [Line(""), Line(f"Since {found.earlier}", "bold"), *_wrapped(found.headline, "  ", "")]
    for group in found.groups:
        lines.append(Line(f"  {group.title} ({group.count})", _STYLE_OF[Outcome(group.tone)]))
        for change in group.changes[:_MOST_CHANGES]:
            lines += _wrapped(f"{change.check} in {_some(change.places, 4)}", "    ", "")
            lines += _wrapped(f"was: {change.was}", "      ", "dim") if change.was else []
        if len(group.changes) > _MOST_CHANGES:
            lines.append(Line(f"    and {len(group.changes) - _MOST_CHANGES} more in compliance.html", "dim"))
    for remark in found.remarks:
        lines += _wrapped(remark, "  ", "dim")
    return lines


_GOOD = frozenset({Outcome.CONFORMS, Outcome.WAIVED})
_SECTIONS = (
    (violations, "Violations", "bold red"),
    (blockers, "Blocked: could not be tested", "yellow"),
    (unattested, "Unattested: an attestation is missing", "yellow"),
    (waived, "Waived: known violations with an owner", "magenta"),
)
_MARKS = {
    Outcome.CONFORMS: ("✓", "green"),
    Outcome.WAIVED: ("~", "magenta"),
    Outcome.UNATTESTED: ("?", "yellow"),
    Outcome.BLOCKED: ("?", "yellow"),
    Outcome.VIOLATES: ("✗", "bold red"),
}
_STYLE_OF = {outcome: style for outcome, (_, style) in _MARKS.items()}
_KNOWN = {"yes": ("✓", "green"), "no": ("✗", "bold red"), "unknown": ("?", "dim")}


def _single(book: RunbookRecord) -> Iterator[Line]:
    yield Line(f"{book['title']}  ({book['compatibility']}, key preset {book['key_preset']})", "bold")
    if book["prerequisites"]:
        yield Line("  Prerequisites, as far as this run can tell", "dim")
    for needed in book["prerequisites"]:
        mark, style = _KNOWN[needed["known"]]
        how = f" ({'; '.join(needed['how'])})" if needed["how"] else ""
        yield from _wrapped(f"{needed['text']}{how}", f"    {mark} ", style)
    yield Line("  Routes", "dim")
    for row in book["routes"]:
        yield _marked(Outcome(row["outcome"]), f"{row['title']:<31} {row['verdict']:<13} {row['outcome']}")
    if book["checklist"]:
        yield Line("  Checklist", "dim")
    for item in book["checklist"]:
        text = f"{item['item']}. {item['text']}{' (optional)' if item['optional'] else ''}  {item['outcome']}"
        if by := item["attestation"]:
            text += f"; attested by {by['name']}, {by['role']}, until {by['expires']}"
        mark, style = _MARKS[Outcome(item["outcome"])]
        yield from _wrapped(text, f"    {mark} ", style)
    if book["credential_note"]:
        yield from _wrapped(book["credential_note"], "  ", "dim")


def _marked(outcome: Outcome, text: str) -> Line:
    mark, style = _MARKS[outcome]
    return Line(f"    {mark} {text}", style)


def _refusal(refusal: BlockerRecord) -> Iterator[Line]:
    yield Line("Nothing could be tested", "bold red")
    yield from _wrapped(refusal["reason"], "  ", "")
    yield from _wrapped(refusal["remedy"], "  → ", "")


def _runbooks(runbooks: Sequence[RunbookRecord]) -> Iterator[Line]:
    if not runbooks:
        return
    yield Line("Runbooks", "bold")
    width = max(len(book["id"]) for book in runbooks)
    for book in runbooks:
        outcome = RunbookOutcome(book["outcome"])
        parts = [
            f"{sum(part['outcome'] == Outcome.CONFORMS for part in some)}/{numbered(len(some), noun)}"
            for some, noun in ((book["routes"], "row"), (book["checklist"], "item"))
            if some
        ]
        others = [case.outcome for case in runbook_cases(book) if case.outcome is not Outcome.CONFORMS]
        parts += reversed(in_words(count(others)))
        yield Line(f"  {book['id']:<{width}}  {_WORDS[outcome]:<14}  {', '.join(parts)}", _STYLES[outcome])
        if book["credential_note"]:
            yield from _wrapped(book["credential_note"], " " * (width + 4), "dim")


def _tenant(tenant_checks: Sequence[CheckRecord]) -> Iterator[Line]:
    if not tenant_checks:
        return
    outcomes = [Outcome(check["outcome"]) for check in tenant_checks]
    conforming = outcomes.count(Outcome.CONFORMS)
    others = in_words(count(outcome for outcome in outcomes if outcome is not Outcome.CONFORMS))
    style = "green" if not others else "bold red" if Outcome.VIOLATES in outcomes else "yellow"
    yield Line("Tenant checks", "bold")
    yield Line(f"  {conforming}/{len(outcomes)} conform{', ' if others else ''}{', '.join(others)}", style)


def _findings(found: Sequence[Finding], title: str, style: str) -> Iterator[Line]:
    """Each thing to fix or to supply once, under the label that it has in the document too."""
    if not found:
        return
    yield Line("")
    yield Line(f"{title} ({numbered(len(found), 'finding')})", style)
    for finding in found:
        yield Line(" · ".join(part for part in (f"{finding.label:>4}", finding.check, finding.extent) if part), "bold")
        places = {place.anchor: None for seen in finding.cases.values() for where in seen.values() for place in where}
        yield from _wrapped(_some(list(places), _MOST_PLACES), "     in        ", "dim")
        yield from _wrapped(finding.claim, "     promise   ", "") if finding.claim else ()
        yield from _lines(finding)
        if finding.waiver:
            waiver = finding.waiver
            owned = f"{waiver.owner} until {waiver.expires}: {waiver.reason} ({waiver.issue})"
            yield from _wrapped(owned, "     waived by ", "magenta")
        yield from _wrapped(finding.remedy, "     → ", "cyan")


def _lines(finding: Finding) -> Iterator[Line]:
    seen: dict[tuple[str, str], str] = {}
    for lines, sources in finding.cases.items():
        source = next(iter(sources))
        proof = ", ".join(filter(None, (f"key {source.credential}" if source.credential else "", *source.proofs[:1])))
        for line in lines:
            seen.setdefault((line.expected, line.found), f"  [{proof}]" if proof else "")
    for (expected, found), proof in list(seen.items())[:_MOST_LINES]:
        yield from _wrapped(expected, "     expected  ", "") if expected else ()
        yield from _wrapped(found + proof, f"     {'found    ' if expected else 'because  '} ", "")
    if len(seen) > _MOST_LINES:
        yield Line(f"     and {len(seen) - _MOST_LINES} more in compliance.html", "dim")


def _some(names: Sequence[str], most: int) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _advisories(record: Record) -> Iterator[Line]:
    found = advisories(record)
    if not found:
        return
    yield Line("")
    yield Line("Advisories: deviations that no client depends on (--strict makes them violations)", "bold")
    for finding in found:
        yield from _wrapped(f"{finding.claim} ({finding.check}, {finding.extent})", f"{finding.label:>4} ", "")


def _totals(record: Record) -> Iterator[Line]:
    totals, traffic = record["totals"], record["traffic"]
    books = record["runbooks"]
    counted = (
        numbered(sum(len(book["routes"]) for book in books), "row"),
        numbered(sum(len(book["checklist"]) for book in books), "checklist item"),
        numbered(len(record["tenant_checks"]), "tenant check"),
    )
    bad = totals["violates"] or record["waiver_problems"] or record["run"]["refusal"]
    style = "bold red" if bad else "bold yellow" if totals["blocked"] or totals["unattested"] else "bold green"
    yield Line(f"{', '.join(counted)}: {', '.join(in_words(totals)) or 'nothing'}", style)
    if clients := record.get("client_totals"):
        worse = "bold red" if clients["violates"] else "bold yellow" if clients["blocked"] else "bold green"
        number = numbered(sum(len(entry["routes"]) for entry in record.get("clients", ())), "row")
        yield Line(f"{number} of real clients, driven: {', '.join(in_words(clients))}", worse)
    if sentence := attested(record):
        yield Line(sentence, "dim")
    sent, tokens = numbered(traffic["requests"], "request"), numbered(traffic["tokens"], "token")
    yield Line(f"{sent}, {tokens}, {record['run']['duration_s']:.1f} s", "dim")


def _wrapped(text: str, lead: str, style: str) -> Iterator[Line]:
    wrapper = textwrap.TextWrapper(
        _WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead), break_long_words=False, break_on_hyphens=False
    )
    for line in wrapper.wrap(text) or [lead]:
        yield Line(line, style)
