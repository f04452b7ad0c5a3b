"""What is wrong, untested or remarked, each listed once, with every case that it affects."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, assert_never

from gt_conformance.planning import CaseKind
from gt_conformance.report._format import numbered
from gt_conformance.results import RecordedCase, cases, noun
from gt_conformance.results.record_types import CasesRecord, CheckRecord
from gt_conformance.vocabulary import Outcome


class Place(NamedTuple):
    """A case: in words, its id in the document, and its kind."""

    text: str
    anchor: str
    kind: CaseKind


class Observation(NamedTuple):
    """One thing that was found, and what was expected where something was."""

    expected: str
    found: str


class Source(NamedTuple):
    """The key with which it was seen, the exchanges that prove it, and the others of the same check."""

    credential: str | None
    proofs: tuple[str, ...]
    others: tuple[str, ...]


class Waiver(NamedTuple):
    """Who owns a known violation, until when and why."""

    owner: str
    expires: str
    reason: str
    issue: str


class _Cause(NamedTuple):
    check: str
    claim: str
    remedy: str
    waiver: Waiver | None = None


_Observations = tuple[Observation, ...]
_Seen = tuple[_Cause, _Observations, Source]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to fix, to supply or to know: what was found, with which key, and the places that it affects."""

    label: str
    anchor: str
    check: str
    claim: str
    remedy: str
    waiver: Waiver | None
    cases: Mapping[_Observations, Mapping[Source, tuple[Place, ...]]]
    extent: str
    """``65 rows``, ``8 rows, 1 tenant check``."""


def placed_checks(record: CasesRecord) -> Iterator[tuple[Place, CheckRecord]]:
    """Every check of the record with its place: tenant checks first, then runbook by runbook."""
    for case in cases(record):
        place = Place(_in_words(case), case.id, case.kind)
        yield from ((place, check) for check in case.checks)


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


def violations(record: CasesRecord) -> list[Finding]:
    """By check and remedy: however many rows it affects, one fault is one thing to fix."""
    return _gathered(record, "V", "violation", _violations)


def waived(record: CasesRecord) -> list[Finding]:
    """By check, remedy and waiver: known violations that someone owns."""
    return _gathered(record, "W", "waiver", _waived)


def blockers(record: CasesRecord) -> list[Finding]:
    """By remedy: one missing thing may keep many rows from being tested, for several reasons."""
    return _gathered(record, "B", "block", _blockers)


def unattested(record: CasesRecord) -> list[Finding]:
    """What only a person can attest, and nobody has."""
    return _gathered(record, "U", "unattested", _unattested)


def advisories(record: CasesRecord) -> list[Finding]:
    """By text."""
    return _gathered(record, "A", "advisory", _advisories)


def labels(findings: Iterable[Finding]) -> dict[tuple[str, str, str], Finding]:
    """The findings by kind, check and remedy, so that a row's check can name the one that it belongs to."""
    return {(finding.label[0], finding.check, finding.remedy): finding for finding in findings}


def cards(checks: Sequence[CheckRecord]) -> list[list[CheckRecord]]:
    """The checks that do not conform; those that the same thing keeps from being tested are together."""
    together: dict[object, list[CheckRecord]] = {}
    for number, check in enumerate(checks):
        if check["outcome"] != Outcome.CONFORMS:
            alone = check["breaches"] or not check["obstacles"]
            reasons = tuple((item["reason"], item["remedy"]) for item in check["obstacles"])
            together.setdefault(number if alone else (check["outcome"], reasons), []).append(check)
    return list(together.values())


def _gathered(
    record: CasesRecord, letter: str, word: str, split: Callable[[CheckRecord], Iterator[_Seen]]
) -> list[Finding]:
    found: dict[_Cause, dict[_Observations, dict[Source, dict[Place, None]]]] = {}
    affected: dict[_Cause, set[Place]] = {}
    for place, check in placed_checks(record):
        for cause, lines, source in split(check):
            found.setdefault(cause, {}).setdefault(lines, {}).setdefault(source, {})[place] = None
            affected.setdefault(cause, set()).add(place)
    ordered = sorted(found, key=lambda cause: -len(affected[cause]))
    return [
        Finding(
            f"{letter}{number}",
            f"{word}-{number}",
            *cause,
            cases={
                lines: {source: tuple(places) for source, places in seen.items()}
                for lines, seen in found[cause].items()
            },
            extent=_extent(affected[cause]),
        )
        for number, cause in enumerate(ordered, start=1)
    ]


def _extent(places: Iterable[Place]) -> str:
    counted = Counter(place.kind for place in places)
    return ", ".join(numbered(counted[kind], noun(kind)) for kind in CaseKind if counted[kind])


def _violations(check: CheckRecord) -> Iterator[_Seen]:
    if check["outcome"] == Outcome.VIOLATES:
        yield _broken(check, None)


def _waived(check: CheckRecord) -> Iterator[_Seen]:
    waiver = check["waiver"]
    if check["outcome"] == Outcome.WAIVED and waiver is not None:
        yield _broken(check, Waiver(waiver["owner"], waiver["expires"], waiver["reason"], waiver["issue"]))


def _broken(check: CheckRecord, waiver: Waiver | None) -> _Seen:
    lines = tuple(Observation(item["expected"], item["found"]) for item in check["breaches"])
    proofs = tuple(dict.fromkeys(item["exchange"] for item in check["breaches"] if item["exchange"]))
    others = tuple(ref for ref in check["exchanges"] if ref not in proofs)
    cause = _Cause(check["id"], check["claim"], check["remedy"], waiver)
    return cause, lines or (Observation("", check["reason"]),), Source(check["credential"], proofs, others)


def _blockers(check: CheckRecord) -> Iterator[_Seen]:
    if check["outcome"] != Outcome.UNATTESTED:
        yield from _kept(check)


def _unattested(check: CheckRecord) -> Iterator[_Seen]:
    if check["outcome"] == Outcome.UNATTESTED:
        yield from _kept(check)


def _kept(check: CheckRecord) -> Iterator[_Seen]:
    for item in check["obstacles"]:
        yield _Cause("", "", item["remedy"]), (Observation("", item["reason"]),), Source(None, (), ())


def _advisories(check: CheckRecord) -> Iterator[_Seen]:
    for item in check["advisories"]:
        proofs = (item["exchange"],) if item["exchange"] else ()
        yield _Cause(check["id"], item["text"], ""), (), Source(check["credential"], proofs, ())
