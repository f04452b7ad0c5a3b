"""The record's findings as documents show them: labelled, with lines of their own, and with the cases they touch."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, assert_never, cast

from gt_conformance import results
from gt_conformance.checks import clauses
from gt_conformance.planning import CaseKind
from gt_conformance.report._format import numbered
from gt_conformance.results import RecordedCase, cases, noun
from gt_conformance.results.case_types import CasesRecord, CheckRecord, FindingRecord, WaiverRecord
from gt_conformance.results.record_types import Record
from gt_conformance.vocabulary import Actor, Outcome


class Place(NamedTuple):
    """A case: in words, its id in the document, its kind and its runbook, which a tenant check has none of."""

    text: str
    anchor: str
    kind: CaseKind
    runbook: str = ""


class Proof(NamedTuple):
    """A key and the exchanges in which it met the same thing."""

    credential: str | None
    exchanges: tuple[str, ...]


class ProofLine(NamedTuple):
    """One thing that was found, what was expected, where in the body, and every key and exchange that shows it."""

    expected: str
    found: str
    at: str
    proofs: tuple[Proof, ...]


class CitedClause(NamedTuple):
    """A sentence of GT's documentation, by its id and the pages that it is on."""

    id: str
    text: str
    pages: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to fix, to supply, to attest or to know.

    ``label`` and ``anchor`` are its name and its place in a document, ``id`` the name that is the same in every run.
    """

    label: str
    anchor: str
    id: str
    outcome: Outcome
    severity: str
    acts: str
    """Who has to act, in words."""
    check: str
    promise: str
    clauses: tuple[CitedClause, ...]
    remedy: str
    lines: tuple[ProofLine, ...]
    places: tuple[Place, ...]
    extent: str
    """The places, counted: ``65 rows``, ``8 rows, 1 tenant check``."""
    folded: str
    """The places in words, those of a sort together."""
    blocks: str
    """What it keeps from being tested, counted: ``38 rows and 32 items``; empty where that is nothing."""
    waiver: WaiverRecord | None

    @property
    def is_violation(self) -> bool:
        """Whether a promise is broken, waived or not."""
        return self.outcome in {Outcome.VIOLATES, Outcome.WAIVED}

    @property
    def proofs(self) -> list[str]:
        """Every exchange that shows it, in order."""
        return list(dict.fromkeys(ref for line in self.lines for proof in line.proofs for ref in proof.exchanges))

    @property
    def title(self) -> str:
        """The check that fails, or what is missing."""
        return self.check if self.is_violation else self.remedy or self.reason

    @property
    def reason(self) -> str:
        """What was found first."""
        return self.lines[0].found if self.lines else ""


_KINDS = {
    Outcome.VIOLATES: ("V", "violation"),
    Outcome.BLOCKED: ("B", "block"),
    Outcome.UNATTESTED: ("U", "unattested"),
    Outcome.WAIVED: ("W", "waiver"),
}


def findings(record: CasesRecord) -> list[Finding]:
    """All of them in the record's order, the worst first. A record's cases alone have findings too."""
    made = cast("Record", record).get("findings")
    if made is None:
        made = results.find(record)
    if not made:
        return []
    named = {name for item in made for name in (*item["places"], *item["blocks"])}
    there = {
        case.id: Place(_in_words(case), case.id, case.kind, case.runbook) for case in cases(record) if case.id in named
    }
    sorts = _sorts(record)
    numbers: Counter[Outcome] = Counter()
    found = []
    for item in made:
        outcome = Outcome(item["outcome"])
        numbers[outcome] += 1
        found.append(_finding(item, outcome, numbers[outcome], there, sorts))
    return found


def _sorts(record: CasesRecord) -> Mapping[str, str]:
    """What the cases are of a sort with, by their ids: ``native embeddings``, ``checklist item 2``."""
    rows = {
        row["id"]: f"{row['verdict'].replace('_', ' ')} {row['route'].replace('_', ' ')}"
        for book in record["runbooks"]
        for row in book["routes"]
    }
    items = {item["id"]: f"checklist item {item['item']}" for book in record["runbooks"] for item in book["checklist"]}
    return rows | items


def _folded(places: Sequence[Place], sorts: Mapping[str, str]) -> str:
    """``all 14 runbooks with native embeddings; checklist item 2 of 3 of 23 runbooks; tenant check key.required``."""
    known = Counter(sorts.values())
    found = Counter(sorts[place.anchor] for place in places if place.anchor in sorts)
    parts = []
    for sort, number in found.items():
        if number == 1:
            parts.append(next(place.text for place in places if sorts.get(place.anchor) == sort))
        else:
            of_all = f"all {number}" if number == known[sort] else f"{number} of {known[sort]}"
            parts.append(f"{of_all} runbooks with {'a ' if sort.startswith('checklist') else ''}{sort}")
    parts += [place.text for place in places if place.anchor not in sorts]
    return "; ".join(parts)


def violations(record: CasesRecord) -> list[Finding]:
    """What has to be fixed."""
    return _of(record, Outcome.VIOLATES)


def blockers(record: CasesRecord) -> list[Finding]:
    """What has to be supplied before everything can be tested."""
    return _of(record, Outcome.BLOCKED)


def unattested(record: CasesRecord) -> list[Finding]:
    """What only a person can attest, and nobody has."""
    return _of(record, Outcome.UNATTESTED)


def waived(record: CasesRecord) -> list[Finding]:
    """Known violations that someone owns."""
    return _of(record, Outcome.WAIVED)


def _of(record: CasesRecord, outcome: Outcome) -> list[Finding]:
    return [finding for finding in findings(record) if finding.outcome is outcome]


def _finding(
    item: FindingRecord, outcome: Outcome, number: int, there: Mapping[str, Place], sorts: Mapping[str, str]
) -> Finding:
    letter, word = _KINDS[outcome]
    places = tuple(there[name] for name in item["places"] if name in there)
    blocked = [there[name].kind for name in item["blocks"] if name in there]
    return Finding(
        label=f"{letter}{number}",
        anchor=f"{word}-{number}",
        id=item["id"],
        outcome=outcome,
        severity=item["severity"],
        acts=actor_in_words(item["acts"], outcome),
        check=item["check"],
        promise=item["promise"],
        clauses=tuple(_cited(name) for name in item["clauses"]),
        remedy=item["remedy"],
        lines=tuple(_lines(item)),
        places=places,
        extent=", ".join(count(place.kind for place in places)),
        folded=_folded(places, sorts),
        blocks=listed(count(blocked)),
        waiver=item["waiver"],
    )


def _lines(item: FindingRecord) -> Iterator[ProofLine]:
    """What differs in the key and the exchange only is one line."""
    same: dict[tuple[str, str, str], dict[str | None, dict[str, None]]] = {}
    for proof in item["proofs"]:
        # Where several have remedies of their own, each reason holds one; a reader has that of one before the eyes.
        found = proof["found"].removesuffix(f" {item['remedy']}") if not proof["expected"] else proof["found"]
        seen = same.setdefault((proof["expected"], found, proof["at"]), {})
        exchanges = seen.setdefault(proof["credential"], {})
        if proof["exchange"]:
            exchanges[proof["exchange"]] = None
    for (expected, found, at), seen in same.items():
        yield ProofLine(expected, found, at, tuple(Proof(key, tuple(refs)) for key, refs in seen.items()))


def _cited(name: str) -> CitedClause:
    clause = clauses().get(name)
    if clause is None:  # of another version
        return CitedClause(name, "", "")
    return CitedClause(name, clause.text, ", ".join(clause.pages))


def count(kinds: Iterable[CaseKind]) -> list[str]:
    """``65 rows``, ``1 item``: how many there are of each kind."""
    counted = Counter(kinds)
    return [numbered(counted[kind], noun(kind)) for kind in CaseKind if counted[kind]]


def listed(parts: Sequence[str]) -> str:
    """``38 rows, 32 items and 1 tenant check``."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


_ATTESTS = "a person who can attest it"


def actor_in_words(acts: str, outcome: str = "") -> str:
    """Who has to act, as a sentence's subject. What nobody has attested waits for a person, whoever set it up."""
    if outcome == Outcome.UNATTESTED:
        return _ATTESTS
    match Actor(acts):
        case Actor.TENANT:
            return "the platform (tenant)"
        case Actor.SETUP:
            return "the operator (setup: keys, names, tenant file)"
        case Actor.RUNBOOK:
            return "the runbook's author"
        case Actor.CLIENT:
            return "the client's vendor"
        case Actor.HERE:
            return "whoever looks after this machine"
    assert_never(Actor(acts))


def _in_words(case: RecordedCase) -> str:
    match case.kind:
        case CaseKind.TENANT:
            return f"tenant check {case.name}"
        case CaseKind.ROW:
            return f"{case.title} · {case.name.replace('_', ' ')}"
        case CaseKind.ITEM:
            return f"{case.title} · item {case.name}"
        case CaseKind.CLIENT:
            return f"{case.title}, driven · {case.name.replace('_', ' ')}"
    assert_never(case.kind)


# -- from a case's checks to the findings


def placed_checks(record: CasesRecord) -> Iterator[tuple[Place, CheckRecord]]:
    """Every check of the record with its place: tenant checks first, then runbook by runbook."""
    for case in cases(record):
        place = Place(_in_words(case), case.id, case.kind, case.runbook)
        yield from ((place, check) for check in case.checks)


def cards(checks: Sequence[CheckRecord]) -> list[list[CheckRecord]]:
    """The checks that do not conform; those that the same findings keep from being tested are together."""
    together: dict[object, list[CheckRecord]] = {}
    for number, check in enumerate(checks):
        if check["outcome"] != Outcome.CONFORMS:
            alone = check["breaches"] or not check["obstacles"]
            same = (check["outcome"], tuple(_why(check)))
            together.setdefault(number if alone else same, []).append(check)
    return list(together.values())


def _why(check: CheckRecord) -> Iterator[object]:
    for item in check["obstacles"]:
        yield item.get("because") or (item["reason"], item["remedy"])


# -- advisories


@dataclass(frozen=True, slots=True)
class Remark:
    """A deviation that no client depends on: once for each place in a schema, however many answers have it."""

    label: str
    anchor: str
    text: str
    checks: tuple[str, ...]
    proofs: tuple[Proof, ...]
    places: tuple[Place, ...]
    extent: str


def advisories(record: CasesRecord) -> list[Remark]:
    """Those of every check, by their place in a schema, or else by their text; what affects most comes first."""
    same: dict[str, list[tuple[Place, CheckRecord, str, str | None]]] = {}
    for place, check in placed_checks(record):
        for item in check["advisories"]:
            key = item.get("at") or f"{check['id']} {item['text']}"
            same.setdefault(key, []).append((place, check, item["text"], item["exchange"]))
    ordered = sorted(same.values(), key=lambda seen: -len({place for place, *_ in seen}))
    return [_remark(number, seen) for number, seen in enumerate(ordered, 1)]


def _remark(number: int, seen: Sequence[tuple[Place, CheckRecord, str, str | None]]) -> Remark:
    places = tuple(dict.fromkeys(place for place, *_ in seen))
    refs: dict[str | None, dict[str, None]] = {}
    for _, check, _, ref in seen:
        if ref:
            refs.setdefault(check["credential"], {})[ref] = None
    return Remark(
        label=f"A{number}",
        anchor=f"advisory-{number}",
        text=seen[0][2],
        checks=tuple(dict.fromkeys(check["id"] for _, check, *_ in seen)),
        proofs=tuple(Proof(key, tuple(some)) for key, some in refs.items()),
        places=places,
        extent=", ".join(count(place.kind for place in places)),
    )
