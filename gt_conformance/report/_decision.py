"""The record's decision in words: one sentence, the same in every document, in the terminal and on a badge.

What is decided is in the record. Here it is only worded.
"""

from collections.abc import Sequence

from gt_conformance.report._findings import Finding, count, findings, listed, violations, waived
from gt_conformance.report._format import interruption, numbered
from gt_conformance.results import Record, cases, decide, decide_runbook
from gt_conformance.results.case_types import RunbookRecord
from gt_conformance.vocabulary import Decision, Outcome

EMBEDDED = "EMBEDDED"
TONES = {
    Decision.GO: "conforms",
    Decision.GO_WITH_EXCEPTIONS: "waived",
    Decision.NO_GO: "violates",
    Decision.NOT_DECIDED: "blocked",
    Decision.PARTIAL: "partial",
    Decision.UNREACHABLE: "blocked",
}
"""The mark and the colour of each decision, by the name that the style sheet has for it."""
STYLES = {
    Decision.GO: "bold green",
    Decision.GO_WITH_EXCEPTIONS: "bold magenta",
    Decision.NO_GO: "bold red",
    Decision.NOT_DECIDED: "bold yellow",
    Decision.PARTIAL: "bold cyan",
    Decision.UNREACHABLE: "bold yellow",
}


def decision(record: Record) -> Decision:
    """The decision of the run."""
    return Decision(record.get("decision") or decide(record))


def runbook_decision(record: Record, book: RunbookRecord) -> Decision:
    """The decision of one of its runbooks."""
    return Decision(book.get("decision") or decide_runbook(record, book))


def is_embedded(record: Record) -> bool:
    """Whether the run was against the tenant of this suite, which proves nothing about any other."""
    return record["run"]["tenant"]["kind"] == "embedded"


def word(found: Decision, *, embedded: bool) -> str:
    """``GO``, ``NO-GO (EMBEDDED)``: a decision never goes without the kind of its tenant."""
    return f"{found.value} ({EMBEDDED})" if embedded else found.value


def decisions(record: Record) -> dict[str, str]:
    """Everything that was decided, by name, for formats that hold names and values only."""
    embedded = is_embedded(record)
    return {
        "tenant": _where(record) if not embedded else EMBEDDED,
        "decision": word(decision(record), embedded=embedded),
        "reason": decision_line(record),
        **{
            f"decision.{book['id']}": word(runbook_decision(record, book), embedded=embedded)
            for book in record["runbooks"]
        },
    }


def tone(record: Record) -> str:
    """The mark and the colour of the run's decision; a GO of the embedded tenant is not green."""
    found = decision(record)
    return "embedded" if found is Decision.GO and is_embedded(record) else TONES[found]


def style(record: Record) -> str:
    """The same for a terminal."""
    return "bold blue" if tone(record) == "embedded" else STYLES[decision(record)]


def decision_line(record: Record) -> str:
    """``NO-GO: Dify with https://acme.example/api/tenant: V1 chat.streams fails (high): ...``."""
    return f"{word(decision(record), embedded=is_embedded(record))}: {decision_reason(record)}"


def decision_reason(record: Record) -> str:
    """Why: of what, and for a NO-GO the first finding with who has to act."""
    match decision(record):
        case Decision.GO:
            return f"{_everything(record)}."
        case Decision.GO_WITH_EXCEPTIONS:
            return f"{_everything(record)}, apart from {_exceptions(record)}."
        case Decision.NO_GO:
            return f"{_subject(record)}: {_first_violation(record)}"
        case Decision.NOT_DECIDED:
            return f"{_subject(record)}: {_missing(record)}"
        case Decision.PARTIAL:
            apart = f", apart from {_exceptions(record)}" if waived(record) else ""
            return f"{_subject(record)}: what was selected conforms{apart}: {_selected(record)}."
        case Decision.UNREACHABLE:
            refusal = record["run"]["refusal"]
            reason, remedy = (refusal["reason"], refusal["remedy"]) if refusal else ("nothing answered", "")
            return f"{reason.rstrip('.')}. {remedy}".rstrip()


def _where(record: Record) -> str:
    return "the embedded tenant" if is_embedded(record) else record["run"]["tenant"]["base_url"]


def _subject(record: Record) -> str:
    """The runbooks that share the decision of the run, and the tenant."""
    books, found = record["runbooks"], decision(record)
    if len(books) == 1:
        name = books[0]["title"]
    elif not books:
        name = "the tenant's boundary"
    elif found is Decision.PARTIAL:
        name = numbered(len(books), "runbook")
    else:
        same = sum(runbook_decision(record, book) is found for book in books)
        name = f"{same} of {numbered(len(books), 'runbook')}" if same else "the run as a whole"
    return f"{name} with {_where(record)}"


def _everything(record: Record) -> str:
    books, where = record["runbooks"], _where(record)
    if len(books) == 1:
        return f"{books[0]['title']} works with {where} as its runbook says"
    return f"all {numbered(len(books), 'runbook')} work with {where} as they say"


def _first_violation(record: Record) -> str:
    found = violations(record)
    if not found:
        return f"a waiver must be removed: {next(iter(record['waiver_problems']), 'see above')}"
    first, rest = found[0], len(found) - 1
    also = f" {numbered(rest, 'more finding')}." if rest else ""
    acts = f"{first.acts[:1].upper()}{first.acts[1:]} has to act."
    return f"{first.label} {first.check} fails ({first.severity}): {_ended(first.promise)} {acts}{also}"


def _missing(record: Record) -> str:
    if differences := record.get("unverified"):
        return f"NOT VERIFIED: the record is not consistent. {_ended(differences[0])}"
    if record["suite_errors"]:
        return "the suite itself failed. Run it again once that is fixed."
    parts = [f"the run was {text[:1].lower()}{text[1:-1]}"] if (text := interruption(record["run"])) else []
    blocked = [case.kind for case in cases(record) if case.outcome is Outcome.BLOCKED]
    parts += [f"{listed(count(blocked))} could not be tested"] if blocked else []
    found = findings(record)
    wanted = {place for finding in found if finding.outcome is Outcome.UNATTESTED for place in finding.places}
    parts += (
        [f"{listed(count(place.kind for place in wanted))} {'needs' if len(wanted) == 1 else 'need'} an attestation"]
        if wanted
        else []
    )
    return f"nothing violates, but {'; '.join(parts) or 'nothing was tested'}.{_next_step(found)}"


def _next_step(found: Sequence[Finding]) -> str:
    """What is to be supplied first; else what is to be attested first."""
    wanted = [[one for one in found if one.outcome is outcome] for outcome in (Outcome.BLOCKED, Outcome.UNATTESTED)]
    first = next((one for some in wanted for one in some), None)
    if first is None:
        return ""
    return f" First {first.label}: {_ended(first.title)}"


def _exceptions(record: Record) -> str:
    named = [
        f"{finding.label} {_excepted(finding)}"
        + (f" (owner {finding.waiver['owner']}, until {finding.waiver['expires']})" if finding.waiver else "")
        for finding in waived(record)
    ]
    return ", ".join(named)


def _excepted(finding: Finding) -> str:
    """The check that fails; what could not be tested, with the reason, so that no exception passes for a test."""
    tested = any(line.expected for line in finding.lines)
    return finding.check if tested or not finding.lines else f"not tested: {finding.reason.rstrip('.')}"


def _selected(record: Record) -> str:
    scope, books = record["run"].get("scope"), record["runbooks"]
    rows, items = (sum(len(book[part]) for book in books) for part in ("routes", "checklist"))
    parts = [numbered(rows, "row"), numbered(items, "item")]
    if scope is not None:
        checks = scope["tenant_checks"]
        parts.append(f"{checks['selected']} of {numbered(checks['known'], 'tenant check')}")
    return ", ".join(parts)


def _ended(text: str) -> str:
    """The text as the end of a sentence."""
    return text if text.endswith((".", "!", "?")) else f"{text}."
