"""``gt-conformance explain``: what a check claims and sends, what a checklist item asks, who carries a clause."""

import difflib
import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from gt_conformance import resources
from gt_conformance.checks import (
    BUILT_IN,
    Check,
    Entry,
    Registry,
    State,
    clauses,
    find_check,
    ledger,
    load_extensions,
    pages,
)
from gt_conformance.cli._options import further_checks, offering, own_runbooks
from gt_conformance.clients import CLAIMS
from gt_conformance.errors import InputError
from gt_conformance.runbook import ChecklistItem, Runbook, load_directory
from gt_conformance.vocabulary import Part
from gt_sandbox.faults import FAULTS

_MOST_FAULTS = 4
_MARGIN = 11


def names_to_explain() -> Iterator[str]:
    """What a shell is offered: checks, checklist items and clauses."""
    yield from explained_names(BUILT_IN, load_directory(resources.runbooks_dir()))


@click.command
@click.argument("check", metavar="[CHECK|ITEM|CLAUSE]", required=False, shell_complete=offering(names_to_explain))
@own_runbooks
@further_checks
def explain(check: str | None, runbooks: Path | None, modules: tuple[str, ...]) -> int:
    """Describe what a check claims, what it sends, where the claim comes from, and the remedy; or list all checks.

    For a checklist item (dify-item-2): what it asks of whom, the rows and checks that it depends on, and its source.
    For a clause of GT's documentation (A9): its pages, the checks that test it, and the faults that break it.

    \b
    Examples:
      gt-conformance explain
      gt-conformance explain chat.streams
      gt-conformance explain dify-item-2
      gt-conformance explain A9
    """
    known = load_extensions(modules)
    if check is None:
        for line in list_checks(known):
            click.echo(line)
        return 0
    books = load_directory(runbooks or resources.runbooks_dir())
    if print_explanation(check, known, books):
        return 0
    near = difflib.get_close_matches(check, list(explained_names(known, books)), n=1)
    kind = "checklist item" if "-item-" in check else "check"
    raise InputError.of(
        f"there is no {kind} {check!r}.",
        hint=(f"Did you mean {near[0]}? " if near else "") + "`gt-conformance explain` lists the checks.",
    )


def list_checks(known: Registry) -> Iterator[str]:
    """Every check with its claim, a line each; those of real clients last."""
    claims = {item.id: item.claim for item in known.values()} | {name: item.claim for name, item in CLAIMS.items()}
    claims["slo.ROUTE.MEASURE_pN"] = "Each number under slo in the tenant file: what you promise of the tenant's speed."
    width = max(map(len, known))
    return (f"{name:<{width}}  {text}" for name, text in claims.items())


def explained_names(known: Registry, books: Sequence[Runbook]) -> Iterator[str]:
    """Every name that can be explained."""
    yield from (*known, *CLAIMS, *(item.id for book in books for item in book.checklist), *clauses())


def print_explanation(name: str, known: Registry, books: Sequence[Runbook]) -> bool:
    """Print what is known of a check, a checklist item or a clause; whether there is one of that name."""
    items = {item.id: (book, item) for book in books for item in book.checklist}
    if name in CLAIMS:
        claim = CLAIMS[name]
        _print(name, {"claims": claim.claim, "verifies": claim.verifies, "source": _DRIVEN, "remedy": claim.remedy})
    elif (found := find_check(name, known)) is not None:
        _print(name, _describe(found))
    elif name in clauses():
        [entry] = (entry for entry in ledger(known, FAULTS.values()) if entry.clause.id == name)
        _print(name, _describe_clause(entry))
    elif name in items:
        _print(name, _describe_item(*items[name]))
    else:
        return False
    return True


_ASKED = {
    Part.TENANT: "the tenant (probed over HTTP)",
    Part.CLIENT: "the client (probed until it is driven: run --clients)",
    Part.PERSON: "a person (gt-conformance attest)",
    Part.SETUP: "the setup (keys and tenant file)",
}


def _describe_item(book: Runbook, item: ChecklistItem) -> Mapping[str, str]:
    """Everything that a runbook declares about one of its items, by its heading."""
    return {
        "item": item.text + (" (optional)" if item.optional else ""),
        "asks": "; ".join(_ASKED[part] for part in item.asks),
        "rests on": "; ".join(book.row(route).id for route in item.rests_on),
        "checks": ", ".join(item.checks),
        "source": item.source,
    }


def _describe_clause(entry: Entry) -> Mapping[str, str]:
    """Everything that is known of a clause, by its heading."""
    clause = entry.clause
    return {
        "says": clause.text,
        "kind": clause.kind,
        "note": clause.note,
        "pages": "; ".join(_pages(clause.pages)),
        "carried by": ", ".join(entry.checks) or "no check",
        "broken by": _some(entry.faults) or "no fault",
        "state": f"{entry.state}: {entry.reason}" if entry.state is not State.COVERED else entry.state,
    }


def _pages(cited: tuple[str, ...]) -> Iterator[str]:
    for name in cited:
        page = pages()[name.partition(" ")[0]]
        yield f"{name.replace(page.id, page.title, 1)} ({page.file}, {page.revision[:12]})"


_DRIVEN = "The client itself, driven: gt-conformance run --clients, gt-conformance clients run"


def _describe(item: Check) -> Mapping[str, str]:
    """Everything that a check declares about itself, by its heading."""
    return {
        "claims": item.claim,
        "verifies": inspect.getdoc(item.run) or "",
        "clauses": "; ".join(_clauses(item)) or "none: no page of GT's documentation promises it",
        "source": item.source,
        "taken by": "; ".join(_places(item)),
        "rests on": ", ".join(item.rests_on),
        "severity": item.severity.value,
        "who acts": item.acts.value,
        "remedy": item.remedy,
        "fails": _faults(item.id),
        "notes": "Creates something in the tenant: blocked in a read-only run." if item.creates else "",
    }


def _clauses(item: Check) -> Iterator[str]:
    known = clauses()
    for name in item.clauses:
        clause = known[name]
        yield f"{name} ({', '.join(clause.pages)}): {clause.text}"


def _places(item: Check) -> Iterator[str]:
    for rows in item.rows:
        key = "the narrowest key that reaches the route" if rows.any_key else "the key of the row"
        yield f"rows {rows}, with {key}"
    if item.objective is not None:
        yield f"the tenant, once a run, where the tenant file has {item.objective.key}"
    elif item.tenant_wide is not None:
        yield f"the tenant, once a run, with {item.tenant_wide}"
    elif not item.rows:
        yield f"checklist items that name it, with {item.items.key}"


def _print(check: str, parts: Mapping[str, str]) -> None:
    click.secho(check, bold=True)
    for name, text in parts.items():
        if text:
            lead = f"  {name:<{_MARGIN}}"
            whole = " ".join(text.split())
            filled = textwrap.fill(
                whole, 100, initial_indent=lead, subsequent_indent=" " * (_MARGIN + 2), break_on_hyphens=False
            )  # X-GT-Conversation-Id stays whole
            click.echo(filled)


def _faults(check: str) -> str:
    """The faults that are for it, the first few by name."""
    names = [fault.name for fault in FAULTS.values() if fault.caught_by == check]
    return f"with --fault {_some(names)}" if names else "no fault of the embedded tenant can show it"


def _some(names: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(names) - _MOST_FAULTS} more" if len(names) > _MOST_FAULTS else ""
    return ", ".join(names[:_MOST_FAULTS]) + more
