"""What is wrong, untested or remarked, each said once, with every row and tenant check that it touches."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gt_conformance.results import Record
from gt_conformance.vocabulary import Outcome

_Check = Mapping[str, Any]


class Place(NamedTuple):
    """A row, an item, a tenant check or a client's row: in words, its id in the document, and which of them it is."""

    text: str
    anchor: str
    kind: str


class Line(NamedTuple):
    """One thing that was seen, and what was expected where something was."""

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


class _Subject(NamedTuple):
    check: str
    claim: str
    remedy: str
    waiver: Waiver | None = None


_Lines = tuple[Line, ...]
_Seen = tuple[_Subject, _Lines, Source]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend, to supply or to know: what was seen, by what, and the places that it touches."""

    label: str
    anchor: str
    check: str
    claim: str
    remedy: str
    waiver: Waiver | None
    cases: Mapping[_Lines, Mapping[Source, tuple[Place, ...]]]
    extent: str
    """``65 rows``, ``8 rows, 1 tenant check``."""


def placed_checks(record: Record) -> Iterator[tuple[Place, _Check]]:
    """Every check of the record with where it stands: tenant checks first, then runbook by runbook."""
    for check in record["tenant_checks"]:
        yield Place(f"tenant check {check['id']}", f"tenant-{check['id']}", "tenant check"), check
    for book in record["runbooks"]:
        for row in book["routes"]:
            place = Place(f"{book['title']} · {row['route'].replace('_', ' ')}", row["id"], "row")
            yield from ((place, check) for check in row["checks"])
        for item in book["checklist"]:
            place = Place(f"{book['title']} · item {item['item']}", item["id"], "item")
            yield from ((place, check) for check in item["checks"])
    for entry in record.get("clients", ()):
        for row in entry["routes"]:
            place = Place(f"{entry['title']}, driven · {row['route'].replace('_', ' ')}", row["id"], "client row")
            yield from ((place, check) for check in row["checks"])


def violations(record: Record) -> list[Finding]:
    """By check and remedy: however many rows it touches, one broken thing is one thing to mend."""
    return _gathered(record, "V", "violation", _breaches)


def waived(record: Record) -> list[Finding]:
    """By check, remedy and waiver: known violations that someone owns."""
    return _gathered(record, "W", "waiver", _waived)


def blockers(record: Record) -> list[Finding]:
    """By remedy: one missing thing may keep many rows from being tested, for several reasons."""
    return _gathered(record, "B", "block", _obstacles)


def unattested(record: Record) -> list[Finding]:
    """What only a person can vouch for, and nobody has."""
    return _gathered(record, "U", "unattested", _unattested)


def advisories(record: Record) -> list[Finding]:
    """By text."""
    return _gathered(record, "A", "advisory", _advisories)


def labels(findings: Iterable[Finding]) -> dict[tuple[str, str, str], Finding]:
    """The findings by kind, check and remedy, so that a row's check can name the one that it belongs to."""
    return {(finding.label[0], finding.check, finding.remedy): finding for finding in findings}


def cards(checks: Sequence[_Check]) -> list[list[_Check]]:
    """The checks that do not conform; those that the same thing keeps from being tested stand together."""
    together: dict[object, list[_Check]] = {}
    for number, check in enumerate(checks):
        if check["outcome"] != Outcome.CONFORMS:
            alone = check["breaches"] or not check["obstacles"]
            reasons = tuple((item["reason"], item["remedy"]) for item in check["obstacles"])
            together.setdefault(number if alone else (check["outcome"], reasons), []).append(check)
    return list(together.values())


def _gathered(record: Record, letter: str, word: str, split: Callable[[_Check], Iterator[_Seen]]) -> list[Finding]:
    found: dict[_Subject, dict[_Lines, dict[Source, dict[Place, None]]]] = {}
    touched: dict[_Subject, set[Place]] = {}
    for place, check in placed_checks(record):
        for call, lines, source in split(check):
            found.setdefault(call, {}).setdefault(lines, {}).setdefault(source, {})[place] = None
            touched.setdefault(call, set()).add(place)
    ordered = sorted(found, key=lambda call: -len(touched[call]))
    return [
        Finding(
            f"{letter}{number}",
            f"{word}-{number}",
            *call,
            cases={
                lines: {source: tuple(places) for source, places in seen.items()} for lines, seen in found[call].items()
            },
            extent=_extent(touched[call]),
        )
        for number, call in enumerate(ordered, start=1)
    ]


def _extent(places: Iterable[Place]) -> str:
    counted = Counter(place.kind for place in places)
    nouns = [noun for noun in ("row", "item", "tenant check", "client row") if counted[noun]]
    return ", ".join(f"{counted[noun]} {noun}{'' if counted[noun] == 1 else 's'}" for noun in nouns)


def _breaches(check: _Check) -> Iterator[_Seen]:
    if check["outcome"] == Outcome.VIOLATES:
        yield _broken(check, None)


def _waived(check: _Check) -> Iterator[_Seen]:
    if check["outcome"] == Outcome.WAIVED:
        waiver = check["waiver"]
        yield _broken(check, Waiver(waiver["owner"], waiver["expires"], waiver["reason"], waiver["issue"]))


def _broken(check: _Check, waiver: Waiver | None) -> _Seen:
    lines = tuple(Line(item["expected"], item["found"]) for item in check["breaches"])
    proofs = tuple(dict.fromkeys(item["exchange"] for item in check["breaches"] if item["exchange"]))
    others = tuple(ref for ref in check["exchanges"] if ref not in proofs)
    call = _Subject(check["id"], check["claim"], check["remedy"], waiver)
    return call, lines or (Line("", check["reason"]),), Source(check["credential"], proofs, others)


def _obstacles(check: _Check) -> Iterator[_Seen]:
    if check["outcome"] != Outcome.UNATTESTED:
        yield from _kept(check)


def _unattested(check: _Check) -> Iterator[_Seen]:
    if check["outcome"] == Outcome.UNATTESTED:
        yield from _kept(check)


def _kept(check: _Check) -> Iterator[_Seen]:
    for item in check["obstacles"]:
        yield _Subject("", "", item["remedy"]), (Line("", item["reason"]),), Source(None, (), ())


def _advisories(check: _Check) -> Iterator[_Seen]:
    for item in check["advisories"]:
        proofs = (item["exchange"],) if item["exchange"] else ()
        yield _Subject(check["id"], item["text"], ""), (), Source(check["credential"], proofs, ())
