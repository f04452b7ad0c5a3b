"""What is wrong, untested or remarked, each said once, with every row and tenant check that it touches."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gt_conformance.results import Record
from gt_conformance.vocabulary import Outcome

_Check = Mapping[str, Any]


class Place(NamedTuple):
    """A row or a tenant check, in words, and its id in the document."""

    text: str
    anchor: str


class Line(NamedTuple):
    """One thing that was seen, and what was expected where something was."""

    expected: str
    found: str


class Source(NamedTuple):
    """The key with which it was seen, the exchanges that prove it, and the others of the same check."""

    credential: str | None
    proofs: tuple[str, ...]
    others: tuple[str, ...]


class _Subject(NamedTuple):
    check: str
    claim: str
    remedy: str


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
    cases: Mapping[_Lines, Mapping[Source, tuple[Place, ...]]]
    rows: int
    tenant_checks: int

    @property
    def extent(self) -> str:
        """``65 rows``, ``8 rows and 1 tenant check``."""
        counted = ((self.rows, "row"), (self.tenant_checks, "tenant check"))
        return " and ".join(f"{number} {noun}{'' if number == 1 else 's'}" for number, noun in counted if number)


def placed_checks(record: Record) -> Iterator[tuple[Place, _Check]]:
    """Every check of the record with where it stands: tenant checks first, then row by row."""
    for check in record["tenant_checks"]:
        yield Place(f"tenant check {check['id']}", f"tenant-{check['id']}"), check
    for book in record["runbooks"]:
        for row in book["routes"]:
            place = Place(f"{book['title']} · {row['route'].replace('_', ' ')}", row["id"])
            for check in row["checks"]:
                yield place, check


def violations(record: Record) -> list[Finding]:
    """By check and remedy: however many rows it touches, one broken thing is one thing to mend."""
    return _gathered(record, "V", "violation", _breaches)


def obstacles(record: Record) -> list[Finding]:
    """By remedy: one missing thing may keep many rows from being tested, for several reasons."""
    return _gathered(record, "B", "block", _obstacles)


def advisories(record: Record) -> list[Finding]:
    """By text."""
    return _gathered(record, "A", "advisory", _advisories)


def labels(findings: Iterable[Finding]) -> dict[tuple[str, str], Finding]:
    """The findings by check and remedy, so that a row's check can name the one that it belongs to."""
    return {(finding.check, finding.remedy): finding for finding in findings}


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
    tenant = {f"tenant-{check['id']}" for check in record["tenant_checks"]}
    for place, check in placed_checks(record):
        for subject, lines, source in split(check):
            found.setdefault(subject, {}).setdefault(lines, {}).setdefault(source, {})[place] = None
            touched.setdefault(subject, set()).add(place)
    ordered = sorted(found, key=lambda subject: -len(touched[subject]))
    findings = []
    for number, subject in enumerate(ordered, start=1):
        checks = sum(place.anchor in tenant for place in touched[subject])
        cases = {
            lines: {source: tuple(places) for source, places in seen.items()} for lines, seen in found[subject].items()
        }
        rows = len(touched[subject]) - checks
        findings.append(Finding(f"{letter}{number}", f"{word}-{number}", *subject, cases, rows, checks))
    return findings


def _breaches(check: _Check) -> Iterator[_Seen]:
    if check["outcome"] == Outcome.VIOLATES:
        lines = tuple(Line(item["expected"], item["found"]) for item in check["breaches"])
        proofs = tuple(dict.fromkeys(item["exchange"] for item in check["breaches"] if item["exchange"]))
        others = tuple(ref for ref in check["exchanges"] if ref not in proofs)
        subject = _Subject(check["id"], check["claim"], check["remedy"])
        yield subject, lines or (Line("", check["reason"]),), Source(check["credential"], proofs, others)


def _obstacles(check: _Check) -> Iterator[_Seen]:
    for item in check["obstacles"]:
        yield _Subject("", "", item["remedy"]), (Line("", item["reason"]),), Source(None, (), ())


def _advisories(check: _Check) -> Iterator[_Seen]:
    for item in check["advisories"]:
        proofs = (item["exchange"],) if item["exchange"] else ()
        yield _Subject(check["id"], item["text"], ""), (), Source(check["credential"], proofs, ())
