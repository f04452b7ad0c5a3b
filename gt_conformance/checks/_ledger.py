"""The ledger of GT's documentation: what each clause says, which checks carry it, which faults break it, what is open.

What a clause says is data (schemas/clauses.yaml). Checks declare which they carry, faults which they break: here the
three are joined, and what does not agree is a problem that ``lint`` tells.
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from typing import Protocol, assert_never

from gt_conformance import document, resources
from gt_conformance.checks._check import Check
from gt_conformance.checks.slo import check_of_id
from gt_conformance.errors import Location, Problem
from gt_conformance.vocabulary import Actor

_FILE = "clauses.yaml"
_PROMISED = frozenset({"documented", "implied"})


@dataclass(frozen=True, slots=True)
class Page:
    """A page of GT's documentation, as of one revision, with its headings."""

    id: str
    title: str
    file: str
    revision: str
    sections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clause:
    """One sentence of GT's documentation that can be true or false of a tenant.

    ``open`` says what is missing where no check carries it or no fault breaks it, ``partly`` what of it nothing judges
    where both are there, ``left_out`` why no check judges it at all.
    """

    id: str
    pages: tuple[str, ...]
    kind: str
    text: str
    note: str = ""
    open: str = ""
    partly: str = ""
    left_out: str = ""

    @property
    def is_promised(self) -> bool:
        """Whether a check may violate for it: a page says it, or it follows from a runbook's fields."""
        return self.kind in _PROMISED

    @property
    def page_ids(self) -> tuple[str, ...]:
        """Its pages without the runbooks that are named: ``RB (dify)`` is ``RB``."""
        return tuple(page.partition(" ")[0] for page in self.pages)


@cache
def _ledger_file(schema: str | None = None) -> document.Document:
    """The file, read once; it is held against its schema where its problems are looked for."""
    return document.read(resources.schemas_dir() / _FILE, schema=schema)


@cache
def pages() -> Mapping[str, Page]:
    """The pages of GT's documentation, by the ids that clauses use."""
    found = _ledger_file().value["pages"]
    return {
        name: Page(name, value["title"], value["file"], value["revision"], tuple(value["sections"]))
        for name, value in found.items()
    }


@cache
def clauses() -> Mapping[str, Clause]:
    """The clauses of GT's documentation, by id."""
    found = _ledger_file().value["clauses"]
    return {
        name: Clause(
            name,
            tuple(value["pages"]),
            value["kind"],
            value["says"],
            *(value.get(key, "") for key in ("note", "open", "partly", "left_out")),
        )
        for name, value in found.items()
    }


# -- joined with checks and faults


class Breaking(Protocol):
    """What the ledger needs of a fault, which is the embedded tenant's."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def caught_by(self) -> str:
        """The id of the check that must fail because of it."""

    @property
    def breaks(self) -> tuple[str, ...]:
        """The clauses that are false of a tenant with it."""


class State(StrEnum):
    """How far a clause is judged."""

    COVERED = "covered"
    PARTLY = "partly covered"
    OPEN = "open"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Entry:
    """A clause with the checks that carry it, and the faults that break it."""

    clause: Clause
    checks: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def state(self) -> State:
        """How far it is judged, as the ledger says; :func:`problems_of_ledger` tells where that is not so."""
        if self.clause.left_out:
            return State.LEFT_OUT
        if self.clause.open or not (self.checks and self.faults):
            return State.OPEN
        return State.PARTLY if self.clause.partly else State.COVERED

    @property
    def reason(self) -> str:
        """Why it is not covered as a whole; empty where it is."""
        return self.clause.left_out or self.clause.open or self.clause.partly


def ledger(known: Mapping[str, Check], faults: Iterable[Breaking] = ()) -> tuple[Entry, ...]:
    """Each clause with the checks that carry it and the faults that break it, in the order of the file."""
    breaking = tuple(faults)
    return tuple(
        Entry(
            clause,
            tuple(name for name, check in known.items() if clause.id in check.clauses),
            tuple(fault.name for fault in breaking if clause.id in fault.breaks),
        )
        for clause in clauses().values()
    )


def problems_of_ledger(known: Mapping[str, Check], faults: Iterable[Breaking]) -> Iterator[Problem]:
    """Where clauses, checks and faults do not agree. Raises InputError where the file does not hold to its schema."""
    _ledger_file("clauses")
    breaking = tuple(faults)
    for entry in ledger(known, breaking):
        yield from _problems_of_entry(entry)
    for check in known.values():
        yield from _problems_of_promise(check)
        yield from _problems_of_source(check)
    for fault in breaking:
        yield from _problems_of_fault(fault, known)


def count_states(entries: Iterable[Entry]) -> Mapping[State, int]:
    """How many of the clauses that HTTP can show are in each state."""
    visible = [entry.state for entry in entries if entry.clause.is_promised]
    return {state: visible.count(state) for state in State}


def _problems_of_entry(entry: Entry) -> Iterator[Problem]:
    clause, checks = entry.clause, entry.checks
    for page in clause.page_ids:
        if page not in pages():
            yield _problem_of(clause, f"cites {page}, which is not a page.", nearest(page, pages()))
    if clause.left_out:
        if checks:
            found = f"is left out, and carried by {', '.join(checks)}."
            yield _problem_of(clause, found, "Take left_out off.", "left_out")
    elif not clause.is_promised:
        said = "only a person can know" if clause.kind == "person" else "HTTP does not show"
        yield _problem_of(clause, f"is one that {said}.", "Say why no check judges it: left_out.")
    else:
        yield from _problems_of_cover(entry)


def _problems_of_cover(entry: Entry) -> Iterator[Problem]:
    clause = entry.clause
    lacking = {"no check carries it": entry.checks, "no fault breaks it": entry.faults}
    missing = " and ".join(text for text, found in lacking.items() if not found)
    if not missing and clause.open:
        hint = "Take its open off, or say with partly what of it is not judged."
        yield _problem_of(clause, "is carried and broken, and called open.", hint, "open")
    if missing and not clause.open:
        hint = "Add what is missing, or say why it is: open, or left_out."
        yield _problem_of(clause, f"is not covered: {missing}.", hint)
    if missing and clause.partly:
        yield _problem_of(clause, f"is not partly covered: {missing}.", "Write open instead of partly.", "partly")


def _problem_of(clause: Clause, message: str, hint: str, key: str = "") -> Problem:
    where = _ledger_file().locate_key("clauses", clause.id, *([key] if key else []))
    return Problem(f"clause {clause.id} {message}", where, hint=hint)


def _problems_of_promise(check: Check) -> Iterator[Problem]:
    where = place_of(check)
    promised = [name for name in check.clauses if name in clauses() and clauses()[name].is_promised]
    for name in check.clauses:
        if name in clauses() and name not in promised:
            yield Problem(
                f"{check.id!r} carries {name}, which no tenant can break over HTTP.", where, hint="Name another clause."
            )
    if check.objective is not None and check.clauses:
        hint = "Name no clause: what it judges is promised by the operator."
        yield Problem(f"{check.id!r} judges an objective of the operator's, and carries clauses.", where, hint=hint)
    if check.acts is not Actor.TENANT or check.objective is not None:
        return
    if check.only_advises and check.clauses:
        yield Problem(
            f"{check.id!r} only advises, and carries {', '.join(check.clauses)}.",
            where,
            hint="Let it violate, or name no clause.",
        )
    if not check.only_advises and not promised:
        yield Problem(
            f"{check.id!r} may violate, and carries no clause of the documentation.",
            where,
            hint="Name the clause that it carries, or declare only_advises=True.",
        )


def _problems_of_source(check: Check) -> Iterator[Problem]:
    """The pages that a source names say what the check claims, and have the headings that it names."""
    where = place_of(check)
    carried = [clauses()[name] for name in check.clauses if name in clauses()]
    cited = {page for clause in carried for page in clause.page_ids}
    titles = {page.title: page for page in pages().values()}
    named: set[str] = set()
    for part in check.source.split(";"):
        text = part.partition(":")[0].strip()
        if not text.startswith("GT "):
            continue
        title, _, section = text.partition(",")
        page = titles.get(title.partition(" (")[0])
        if page is None:
            yield Problem(f"{check.id!r} cites {title!r}, which is not a page.", where, hint=nearest(title, titles))
            continue
        named.add(page.id)
        if section and section.strip() not in page.sections:
            yield Problem(
                f"{check.id!r} cites {section.strip()!r}, which is not a heading of {title}.",
                where,
                hint=nearest(section.strip(), page.sections),
            )
        if carried and page.id not in cited:
            yield Problem(
                f"{check.id!r} cites {title}, which says nothing of {', '.join(check.clauses)}.",
                where,
                hint=f"Cite {' or '.join(pages()[one].title for one in sorted(cited) if one in pages())}.",
            )
    for clause in carried:
        if not named & set(clause.page_ids):
            says = " or ".join(pages()[one].title for one in clause.page_ids if one in pages())
            yield Problem(f"{check.id!r} carries {clause.id}, and does not cite {says}.", where, hint="Cite it.")


def _problems_of_fault(fault: Breaking, known: Mapping[str, Check]) -> Iterator[Problem]:
    for name in fault.breaks:
        if name not in clauses():
            message = f"the fault {fault.name} breaks {name!r}, which is not a clause."
            yield Problem(message, hint=nearest(name, clauses()))
        elif not clauses()[name].is_promised:
            yield Problem(f"the fault {fault.name} breaks {name}, which no tenant can break over HTTP.")
    catching = known.get(fault.caught_by) or check_of_id(fault.caught_by)
    if catching is not None and catching.objective is not None:
        if fault.breaks:
            message = (
                f"the fault {fault.name} breaks {', '.join(fault.breaks)}, and is for a promise of the operator's."
            )
            yield Problem(message, hint="Name no clause.")
    elif catching is None:
        yield Problem(f"the fault {fault.name} is for {fault.caught_by!r}, which is not a check.")
    elif not set(fault.breaks) & set(catching.clauses):
        yield Problem(
            f"the fault {fault.name} breaks {', '.join(fault.breaks) or 'no clause'}: {fault.caught_by}, which it is "
            f"for, carries {', '.join(catching.clauses) or 'none'}.",
            hint="A fault breaks a clause that its check carries.",
        )


def place_of(check: Check) -> Location:
    """Where a check is declared."""
    return Location(inspect.getsourcefile(check.run) or "?", inspect.getsourcelines(check.run)[1])


def nearest(name: str, allowed: Iterable[str]) -> str:
    """The nearest of what is allowed, and all of it."""
    names = list(allowed)
    near = get_close_matches(name, names, n=1)
    return (f"Did you mean {near[0]}? " if near else "") + f"Allowed: {', '.join(sorted(names))}."


def described(state: State) -> str:
    """What a state means, in words."""
    match state:
        case State.COVERED:
            return "checks carry it, and a fault that breaks it is caught"
        case State.PARTLY:
            return "as covered, and some of it is not judged"
        case State.OPEN:
            return "not covered yet"
        case State.LEFT_OUT:
            return "excluded, or left to a person"
    assert_never(state)
