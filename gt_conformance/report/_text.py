"""The end of a run for the terminal: what an operator needs, in the order in which it is needed."""

import textwrap
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Literal

from gt_conformance.report._clients import client_table
from gt_conformance.report._cover import describe_attestations
from gt_conformance.report._decision import STYLES, decision_line, runbook_decision, style
from gt_conformance.report._findings import (
    Finding,
    Proof,
    ProofLine,
    advisories,
    blockers,
    findings,
    unattested,
    violations,
    waived,
)
from gt_conformance.report._format import Line, in_words, interruption, numbered
from gt_conformance.report._since import since
from gt_conformance.report._spending import spent_in_short
from gt_conformance.report._times import describe_chats
from gt_conformance.results import Record, count
from gt_conformance.results.case_types import BlockerRecord, CheckRecord, RunbookRecord
from gt_conformance.vocabulary import Decision, Outcome

_WIDTH: ContextVar[int] = ContextVar("width", default=110)
_LEAST_WIDTH = 60
_MOST_PLACES = 4
_MOST_LINES = 3
_MOST_EXCHANGES = 2
_MOST_FINDINGS = 6
_MOST_ADVISORIES = 5
_MOST_CHANGES = 10


def summary_lines(record: Record, columns: int | None = None) -> list[Line]:
    """The runbooks by decision, or all of a single one; every finding with its proof and remedy; the totals.

    It fits a screen for a typical run: what there is more of is in compliance.html, and these lines say so. Texts are
    wrapped for a terminal of so many ``columns``, where it is narrower than they are by default.
    """
    default = _WIDTH.get()
    token = _WIDTH.set(default if columns is None else min(default, max(_LEAST_WIDTH, columns)))
    try:
        return _summary_lines(record)
    finally:
        _WIDTH.reset(token)


def _summary_lines(record: Record) -> list[Line]:
    refusal = record["run"]["refusal"]
    cut_short = interruption(record["run"])
    lines = [Line(f"{cut_short} What was not judged by then is blocked.", "bold red")] if cut_short else []
    if refusal is not None:
        lines += _refusal(refusal)
    else:
        alone = record["runbooks"][0] if len(record["runbooks"]) == 1 else None
        lines += _single(alone) if alone is not None else _runbooks(record)
        lines += _tenant(record["tenant_checks"])
        lines += client_table(record)
        for gathered, title, colour in _SECTIONS:
            lines += _findings(gathered(record), title, colour)
        lines += _advisories(record)
    lines += since_lines(record)
    lines += [Line(problem, "bold red") for problem in record["waiver_problems"]]
    for error in record["suite_errors"]:
        lines.append(Line(f"The suite itself failed: {error.strip().splitlines()[-1]}", "bold red"))
    return [*lines, Line(""), *_totals(record)]


NOT_DECIDED = "NOT DECIDED: the run itself failed, as described above. Run it again once that is fixed."
"""The end of a run that failed by a fault of the suite, or could not write what it found."""


def last_line(record: Record) -> Line:
    """The decision of the run, with its reason."""
    return Line(NOT_DECIDED, "bold red") if record["suite_errors"] else Line(decision_line(record), style(record))


def since_lines(record: Record) -> list[Line]:
    """What changed since an earlier run, where the record carries a comparison."""
    found = since(record)
    if found is None:
        return []
    lines = [Line(""), Line(f"Since {found.earlier}", "bold"), *_wrapped(found.headline, "  ", "")]
    for group in found.groups:
        lines.append(Line(f"  {group.title} ({group.count})", _STYLE_OF[Outcome(group.tone)]))
        for change in group.changes[:_MOST_CHANGES]:
            lines += _wrapped(f"{change.check} in {_some(change.places, 4)}{change.waived_before}", "    ", "")
            lines += _wrapped(f"was: {change.was}", "      ", "dim") if change.was else []
        if len(group.changes) > _MOST_CHANGES:
            lines.append(Line(f"    and {len(group.changes) - _MOST_CHANGES} more in compliance.html", "dim"))
    for remark in found.remarks:
        lines += _wrapped(remark, "  ", "dim")
    return lines


_SECTIONS = (
    (violations, "Violations", "bold red"),
    (blockers, "Blocked: could not be tested", "yellow"),
    (unattested, "Unattested: an attestation is missing", "yellow"),
    (waived, "Waived: known, with an owner and an end", "magenta"),
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
    if entered := book.get("entered_base_url"):
        text = f"Base URL as entered: {entered}, a deviation from the documented {book['base_url']}"
        yield from _wrapped(text, "  ", "dim")
    if book["credential_note"]:
        yield from _wrapped(book["credential_note"], "  ", "dim")


def _marked(outcome: Outcome, text: str) -> Line:
    mark, style = _MARKS[outcome]
    return Line(f"    {mark} {text}", style)


def _refusal(refusal: BlockerRecord) -> Iterator[Line]:
    yield Line("Nothing could be tested", "bold red")
    yield from _wrapped(refusal["reason"], "  ", "")
    yield from _wrapped(refusal["remedy"], "  → ", "")


def _runbooks(record: Record) -> Iterator[Line]:
    """Each decision with the runbooks that come to it, the worst first; a note on keys once, with all that have it."""
    books = record["runbooks"]
    if not books:
        return
    yield Line("Runbooks", "bold")
    for found in _WORST_FIRST:
        same = [book for book in books if runbook_decision(record, book) is found]
        if not same:
            continue
        shares = (_share(same, "routes", "row"), _share(same, "checklist", "item"))
        counted = f"{', '.join(filter(None, shares))} conform"
        yield Line(f"  {found.value}: {numbered(len(same), 'runbook')}; {counted}", STYLES[found])
        yield from _wrapped(", ".join(book["id"] for book in same), "    ", "")
    notes: dict[str, list[str]] = {}
    for book in books:
        if entered := book.get("entered_base_url"):
            notes.setdefault(f"Judged with the base URL {entered}, not the documented one.", []).append(book["id"])
        if book["credential_note"]:
            notes.setdefault(book["credential_note"], []).append(book["id"])
    for note, names in notes.items():
        yield from _wrapped(f"{note} ({_some(names, _MOST_PLACES)})", "  ", "dim")


_WORST_FIRST = (
    Decision.NO_GO,
    Decision.UNREACHABLE,
    Decision.NOT_DECIDED,
    Decision.GO_WITH_EXCEPTIONS,
    Decision.PARTIAL,
    Decision.GO,
)


def _share(books: Sequence[RunbookRecord], part: Literal["routes", "checklist"], word: str) -> str:
    outcomes = [case["outcome"] for book in books for case in book[part]]
    return f"{outcomes.count(Outcome.CONFORMS)} of {numbered(len(outcomes), word)}" if outcomes else ""


def _tenant(tenant_checks: Sequence[CheckRecord]) -> Iterator[Line]:
    if not tenant_checks:
        return
    outcomes = [Outcome(check["outcome"]) for check in tenant_checks]
    conforming = outcomes.count(Outcome.CONFORMS)
    others = in_words(count(outcome for outcome in outcomes if outcome is not Outcome.CONFORMS))
    style = "green" if not others else "bold red" if Outcome.VIOLATES in outcomes else "yellow"
    yield Line("Tenant checks", "bold")
    yield Line(f"  {conforming}/{len(outcomes)} conform{', ' if others else ''}{', '.join(others)}", style)


def _findings(found: Sequence[Finding], title: str, colour: str) -> Iterator[Line]:
    """Each thing to fix or to supply once, under the label that it has in the document too."""
    if not found:
        return
    yield Line("")
    yield Line(f"{title} ({numbered(len(found), 'finding')})", colour)
    for finding in found[:_MOST_FINDINGS]:
        yield from _violation(finding) if finding.is_violation else _missing(finding)
    if len(found) > _MOST_FINDINGS:
        yield Line(f"  and {numbered(len(found) - _MOST_FINDINGS, 'finding')} more in compliance.html", "dim")


def finding_lines(record: Record, name: str) -> list[Line]:
    """One finding, by its id or label, with every place and every exchange that shows it; empty where there is none."""
    wanted = name.casefold()
    found = next((one for one in findings(record) if wanted in {one.id.casefold(), one.label.casefold()}), None)
    if found is None:
        return []
    lines = [*(_violation(found) if found.is_violation else _missing(found))]
    lines = lines[:-1]  # how to see this
    for clause in found.clauses:
        lines += _wrapped(f"{clause.id}, {clause.pages}: {clause.text}", "     clause    ", "dim")
    lines += (
        _wrapped(", ".join(place.anchor for place in found.places), "     places    ", "dim") if found.places else []
    )
    refs = dict.fromkeys(ref for line in found.lines for proof in line.proofs for ref in proof.exchanges)
    lines += [Line(f"     show      gt-conformance show {ref}", "dim") for ref in refs]
    return [*lines, Line(f"     finding   {found.id}", "dim")]


def _violation(finding: Finding) -> Iterator[Line]:
    yield Line(f"{finding.label:>4} · {finding.check} · {finding.severity} · {finding.acts} has to act", "bold")
    yield from _wrapped(finding.promise, "     promise   ", "")
    for line in finding.lines[:_MOST_LINES]:
        at = f" at {line.at}" if line.at else ""
        yield from _wrapped(f"{line.expected}{at}", "     expected  ", "") if line.expected else ()
        yield from _wrapped(line.found + _proofs(line), f"     {'found    ' if line.expected else 'because  '} ", "")
    if len(finding.lines) > _MOST_LINES:
        yield Line(f"     and {len(finding.lines) - _MOST_LINES} more in compliance.html", "dim")
    if finding.waiver:
        waiver = finding.waiver
        issue = f" ({waiver['issue']})" if waiver["issue"] else ""
        owned = f"{waiver['owner']} until {waiver['expires']}: {waiver['reason']}{issue}"
        yield from _wrapped(owned, "     waived by ", "magenta")
    yield from _wrapped(finding.remedy, "     → ", "cyan")
    listed = f"{finding.extent}: {_some([place.anchor for place in finding.places], _MOST_PLACES)}"
    yield from _wrapped(listed, "     in        ", "dim") if finding.places else ()
    if finding.blocks:
        yield Line(f"     blocks    keeps {finding.blocks} from being tested", "yellow")
    yield Line(f"     show      gt-conformance show {finding.id}", "dim")


def _missing(finding: Finding) -> Iterator[Line]:
    """What to supply or to attest, then why, then what waits for it."""
    yield from _wrapped(finding.remedy or "No remedy is known.", f"{finding.label:>4} → ", "cyan")
    reasons = [line.found for line in finding.lines]
    shown = reasons[: _MOST_LINES if finding.outcome is Outcome.UNATTESTED else 1]
    for number, reason in enumerate(shown, 1):
        more = f" (and {len(reasons) - number} more)" if number == len(shown) < len(reasons) else ""
        yield from _wrapped(f"{reason}{more}", "     because   ", "")
    if finding.outcome is Outcome.UNATTESTED:
        yield from _wrapped(", ".join(place.anchor for place in finding.places), "     in        ", "dim")
    waiting = finding.extent or finding.blocks or "no case"
    yield Line(f"     {waiting} · {finding.acts} has to act", "dim")
    yield Line(f"     show      gt-conformance show {finding.id}", "dim")


def _proofs(line: ProofLine) -> str:
    """``  [key chat, x0012; key rag, x0017]``."""
    shown = [text for proof in line.proofs[:_MOST_LINES] if (text := _proof(proof))]
    if len(line.proofs) > _MOST_LINES:
        shown.append(f"{numbered(len(line.proofs) - _MOST_LINES, 'more key')}")
    return f"  [{'; '.join(shown)}]" if shown else ""


def _proof(proof: Proof) -> str:
    """``key chat, x0012``."""
    refs = list(proof.exchanges[:_MOST_EXCHANGES])
    if len(proof.exchanges) > _MOST_EXCHANGES:
        refs.append(f"{len(proof.exchanges) - _MOST_EXCHANGES} more")
    return ", ".join([*([f"key {proof.credential}"] if proof.credential else []), *refs])


def _some(names: Sequence[str], most: int) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _advisories(record: Record) -> Iterator[Line]:
    found = advisories(record)
    if not found:
        return
    yield Line("")
    yield Line("Advisories: deviations that no client depends on (--strict makes them violations)", "bold")
    for remark in found[:_MOST_ADVISORIES]:
        checks = _some(remark.checks, _MOST_PLACES)
        yield from _wrapped(f"{remark.text} ({checks}; {remark.extent})", f"{remark.label:>4} ", "")
    if len(found) > _MOST_ADVISORIES:
        yield Line(f"     and {len(found) - _MOST_ADVISORIES} more in compliance.html", "dim")


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
    if sentence := describe_attestations(record):
        yield Line(sentence, "dim")
    sent = numbered(traffic["requests"], "request")
    yield Line(f"{sent}, {spent_in_short(traffic)}, {record['run']['duration_s']:.1f} s", "dim")
    if chats := describe_chats(record):
        yield Line(f"{chats[:1].upper()}{chats[1:]}", "dim")


def _wrapped(text: str, lead: str, style: str) -> Iterator[Line]:
    wrapper = textwrap.TextWrapper(
        _WIDTH.get(),
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in wrapper.wrap(text) or [lead]:
        yield Line(line, style)
