"""The first page: what was decided about whom, why, what proves it, what was not tested, who attested, what is next."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, assert_never
from urllib.parse import urlsplit

from gt_conformance.planning import CaseKind
from gt_conformance.report._decision import decision, is_embedded, runbook_decision
from gt_conformance.report._findings import Finding, count, listed
from gt_conformance.report._format import interruption, numbered
from gt_conformance.results import Record, cases
from gt_conformance.vocabulary import Decision, Outcome, Severity

_READY = (Decision.GO, Decision.GO_WITH_EXCEPTIONS)
_MOST_NAMES = 30
_MOST_LINES, _MOST_ON_PAPER = 6, 10
_MOST_TASKS, _MOST_LABELS = 3, 8


class Names(NamedTuple):
    """The runbooks of one decision: their titles with their anchors, and how many more there are."""

    decision: Decision
    titles: tuple[tuple[str, str], ...]
    more: int

    @property
    def number(self) -> int:
        """Of all of them."""
        return len(self.titles) + self.more


class Task(NamedTuple):
    """One thing to do, in words, and the findings that it is for."""

    remedy: str
    findings: tuple[Finding, ...]


class Step(NamedTuple):
    """What one of those who have to act does: the first of it in words, and the findings that are left then."""

    actor: str
    tasks: tuple[Task, ...]
    left: tuple[Finding, ...]
    more: int


class Attested(NamedTuple):
    """What one person attested: how many items, until when the first of it ends."""

    name: str
    role: str
    items: str
    until: str


@dataclass(frozen=True, slots=True)
class FirstPage:
    """Answers, each a value to be laid out. The lists are as long as the page has room, ``more_...`` is the rest."""

    tenant: str
    answer: str
    is_part: bool
    """Whether only a part of what it is about was judged, so that nothing is decided."""
    ready: str
    share: int
    """Of each hundred runbooks those that are ready."""
    names: tuple[Names, ...]
    severity: str
    broken: tuple[Finding, ...]
    more_broken: int
    on_paper: tuple[Finding, ...]
    """Those that a printed page has room for besides."""
    more_on_paper: int
    untested: tuple[Finding, ...]
    more_untested: int
    untested_in_all: str
    attested: tuple[Attested, ...]
    more_attested: int
    steps: tuple[Step, ...]
    proof: str


def tenant_name(record: Record) -> str:
    """The name that its tenant file gives, else its host; the embedded tenant is called so."""
    tenant = record["run"]["tenant"]
    if is_embedded(record):
        return "the embedded tenant"
    return tenant.get("name") or urlsplit(tenant["base_url"]).netloc or tenant["base_url"]


def first_page(record: Record, findings: Sequence[Finding]) -> FirstPage:
    """The first page of a record with these findings, which are all it has."""
    broken = [one for one in findings if one.is_violation]
    untested = [one for one in findings if one.outcome is Outcome.BLOCKED or _waived_block(one)]
    unattested = [one for one in findings if one.outcome is Outcome.UNATTESTED]
    broken = [one for one in broken if one not in untested]
    attested = _list_attestations(record)
    books = record["runbooks"]
    ready = sum(runbook_decision(record, book) in _READY for book in books)
    return FirstPage(
        tenant=tenant_name(record),
        answer=_answer(record, broken),
        is_part=decision(record) is Decision.PARTIAL,
        ready=f"{ready} of {numbered(len(books), 'runbook')} ready" if books else "",
        share=round(100 * ready / len(books)) if books else 0,
        names=tuple(_names(record)),
        severity=_severity(record, broken),
        broken=tuple(broken[:_MOST_LINES]),
        more_broken=max(0, len(broken) - _MOST_LINES),
        on_paper=tuple(broken[_MOST_LINES:_MOST_ON_PAPER]),
        more_on_paper=max(0, len(broken) - _MOST_ON_PAPER),
        untested=tuple([*untested, *unattested][:_MOST_LINES]),
        more_untested=max(0, len(untested) + len(unattested) - _MOST_LINES),
        untested_in_all=_untested(record),
        attested=attested[:_MOST_LINES],
        more_attested=max(0, len(attested) - _MOST_LINES),
        steps=tuple(_steps([*broken, *untested, *unattested])),
        proof=_proof(record),
    )


def _waived_block(finding: Finding) -> bool:
    """Whether it is waived that something could not be tested: then no promise is broken."""
    return finding.outcome is Outcome.WAIVED and not any(line.expected for line in finding.lines)


def _answer(record: Record, broken: Sequence[Finding]) -> str:
    """``Dify works with Acme staging as its runbook says.``: whether it is ready, in a sentence."""
    books, tenant = record["runbooks"], tenant_name(record)
    several = len(books) > 1
    subject = numbered(len(books), "runbook") if several else books[0]["title"] if books else "the boundary"
    whole = f"all {subject}" if several else subject
    works = f"{whole} {'work' if several else 'works'} with {tenant}"
    says = f"{works} {'as they say' if several else 'as its runbook says' if books else 'as documented'}"
    match decision(record):
        case Decision.GO:
            answer = says
        case Decision.GO_WITH_EXCEPTIONS:
            number = sum(one.outcome is Outcome.WAIVED for one in broken) or 1
            answer = f"{says}, apart from {numbered(number, 'known exception')}"
        case Decision.NO_GO:
            bad = sum(runbook_decision(record, book) is Decision.NO_GO for book in books)
            answer = (
                f"{bad} of {subject} {'is' if bad == 1 else 'are'} not ready" if several else f"{subject} is not ready"
            )
            answer = f"{answer} for {tenant}" if bad or broken else f"the run on {tenant} rests on a waiver to correct"
        case Decision.NOT_DECIDED:
            answer = f"whether {works} is not decided: {_why_open(record)}"
        case Decision.PARTIAL:
            answer = f"only a part of {subject} was judged on {tenant}; that part conforms"
        case Decision.UNREACHABLE:
            answer = f"nothing is known of {subject}: {tenant} was not reached"
        case unknown:
            assert_never(unknown)
    return f"{_capital(answer)}."


def _why_open(record: Record) -> str:
    if record["suite_errors"]:
        return "the suite itself failed"
    cut = interruption(record["run"])
    if cut:
        return f"the run was {cut[:1].lower()}{cut[1:].rstrip('.')}"
    outcomes = {case.outcome for case in cases(record)}
    if Outcome.BLOCKED in outcomes:
        return "nothing violates, and something could not be tested"
    return "nothing violates, and attestations are missing"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _names(record: Record) -> Iterator[Names]:
    """The runbooks by decision, those that are ready last."""
    found: dict[Decision, list[tuple[str, str]]] = {}
    for book in record["runbooks"]:
        entry = (book["title"], f"runbook-{book['id']}")
        found.setdefault(runbook_decision(record, book), []).append(entry)
    for name in sorted(found, key=lambda name: (name in _READY, list(Decision).index(name))):
        titles = found[name]
        yield Names(name, tuple(titles[:_MOST_NAMES]), max(0, len(titles) - _MOST_NAMES))


def _severity(record: Record, broken: Sequence[Finding]) -> str:
    """``1 critical, 2 high``: how bad it is."""
    if record["run"]["refusal"] is not None:
        return "not known"
    counted = Counter(one.severity for one in broken if one.outcome is Outcome.VIOLATES)
    if counted:
        return ", ".join(f"{counted[name]} {name}" for name in Severity if counted[name])
    return "nothing violates but what is waived" if broken else "nothing violates"


def _untested(record: Record) -> str:
    """``38 rows, 32 items``: what could not be tested or attested, in all."""
    lacking = [case for case in cases(record) if case.outcome in {Outcome.BLOCKED, Outcome.UNATTESTED}]
    return listed(count(case.kind for case in lacking))


def _list_attestations(record: Record) -> tuple[Attested, ...]:
    people: dict[tuple[str, str], list[str]] = {}
    for book in record["runbooks"]:
        for item in book["checklist"]:
            if (said := item["attestation"]) is not None:
                people.setdefault((said["name"], said["role"]), []).append(said["expires"])
    return tuple(Attested(name, role, numbered(len(ends), "item"), min(ends)) for (name, role), ends in people.items())


def _steps(findings: Iterable[Finding]) -> Iterator[Step]:
    """What has to be done, by who has to do it; what is waived already is for its owner."""
    by_actor: dict[str, list[Finding]] = {}
    for one in findings:
        actor = f"{one.waiver['owner']} (owner, until {one.waiver['expires']})" if one.waiver else one.acts
        by_actor.setdefault(actor, []).append(one)
    for actor, own in by_actor.items():
        by_remedy: dict[str, list[Finding]] = {}
        for one in own:
            by_remedy.setdefault(one.remedy or one.reason, []).append(one)
        # What could not be tested is listed with its remedies beside it.
        worded = _MOST_TASKS if own[0].is_violation else 1
        tasks = [Task(remedy, tuple(found)) for remedy, found in by_remedy.items()]
        told = tuple(task._replace(findings=task.findings[:_MOST_LABELS]) for task in tasks[:worded])
        left = [one for task in tasks[worded:] for one in task.findings]
        left += [one for task in tasks[:worded] for one in task.findings[_MOST_LABELS:]]
        room = max(0, _MOST_LABELS - sum(len(task.findings) for task in told))
        yield Step(_capital(actor), told, tuple(left[:room]), max(0, len(left) - room))


def _proof(record: Record) -> str:
    """What was sent for it, and how much was judged by that."""
    kinds: Mapping[CaseKind, int] = Counter(case.kind for case in cases(record))
    judged = listed([numbered(number, _NOUNS[kind]) for kind, number in kinds.items()])
    sent = numbered(record["traffic"]["requests"], "request")
    return f"{sent} for {judged}" if judged else f"{sent}, and nothing was judged by that"


_NOUNS = {
    CaseKind.ROW: "row",
    CaseKind.ITEM: "checklist item",
    CaseKind.TENANT: "tenant check",
    CaseKind.CLIENT: "client row",
}
