"""The plan: what is selected, and in which order."""

from collections.abc import Sequence
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gt_conformance.checks import BUILT_IN, TENANT_CHECKS
from gt_conformance.errors import InputError
from gt_conformance.planning import (
    CaseKind,
    Plan,
    Selection,
    client_case,
    item_case,
    list_cases,
    make_plan,
    row_case,
    tenant_case,
)
from gt_conformance.runbook import (
    Runbook,
)
from gt_conformance.vocabulary import Route, Verdict
from tests.planned import TENANT, bundled

# -- selection


def narrowed(runbooks: Sequence[Runbook], ids_left: Sequence[str] | set[str]) -> Plan:
    """The plan of the cases of these ids, in the order given."""
    known = {case.id: case for case in list_cases(runbooks)}
    return make_plan(TENANT, runbooks, [known[case_id] for case_id in ids_left])


def test_cases_have_ids_of_their_own() -> None:
    """A row, an item, a tenant-wide check and a row for real clients each have an id that never changes."""
    dify = bundled()["dify"]
    cases = [row_case(dify.row(Route.CHAT)), item_case(dify.checklist[1]), tenant_case("key.required")]
    cases.append(client_case(dify.row(Route.CHAT)))
    assert [case.id for case in cases] == [
        *("dify-chat-native", "dify-item-2", "tenant-key.required", "dify-client-chat")
    ]
    assert [case.runbook for case in cases] == ["dify", "dify", None, "dify"]
    assert [(case.route, case.number) for case in cases] == [
        *((Route.CHAT, None), (None, 2), (None, None), (Route.CHAT, None))
    ]
    every = list_cases(list(bundled().values()), driven=bundled())
    assert len({case.id for case in every}) == len(every)


SELECTIONS: dict[str, tuple[Selection, list[str]]] = {
    "a runbook": (Selection(("aider",)), ["aider-item-1", "aider-item-2", "aider-item-3"]),
    "a route": (Selection(("aider", "dify"), (Route.SPEECH,)), []),
    "a verdict": (Selection(("aider",), verdicts=(Verdict.NATIVE,)), []),
}


@pytest.mark.parametrize(("selection", "items"), SELECTIONS.values(), ids=SELECTIONS)
def test_items_go_with_whole_runbooks(selection: Selection, items: list[str]) -> None:
    """Where only some rows of a runbook are selected, its checklist is not; the tenant is always checked.

    What is about the tenant whoever asks is left to a run of all runbooks.
    """
    books = list(bundled().values())
    cases = list_cases(books, selection)
    assert [case.id for case in cases if case.kind is CaseKind.ITEM] == items
    assert [case.row for case in cases if case.kind is CaseKind.ROW] == [
        row
        for book in books
        for row in book.rows
        if book.id in selection.runbooks
        and row.route in (selection.routes or Route)
        and row.verdict in (selection.verdicts or Verdict)
    ]
    wide = [check for check in TENANT_CHECKS if not BUILT_IN[check].of_all]
    assert [case.subject for case in cases if case.kind is CaseKind.TENANT] == wide
    assert len(wide) < len(TENANT_CHECKS)


def test_the_rows_of_a_driven_runbook_are_cases_for_its_clients_too() -> None:
    """They stand in the plan without checks: what they take is known once the clients were driven."""
    books = list(bundled().values())
    cases = list_cases(books, Selection(("aider", "dify"), (Route.CHAT,)), driven={"dify"})
    plan = make_plan(TENANT, books, cases)
    assert [(case.id, case.checks) for case in plan.of(CaseKind.CLIENT)] == [("dify-client-chat", ())]


NOTHING: dict[str, tuple[Selection, str]] = {
    "a name misspelt": (Selection(("dfy",)), "there is no runbook 'dfy'. Did you mean dify?"),
    "no row": (Selection(("aider",), (Route.DATASET_FILES,), (Verdict.NATIVE,)), "No row is selected"),
}


@pytest.mark.parametrize(("selection", "message"), NOTHING.values(), ids=NOTHING)
def test_a_selection_of_nothing_is_an_error(selection: Selection, message: str) -> None:
    """What would test nothing is refused in a sentence, with the nearest name."""
    with pytest.raises(InputError) as caught:
        list_cases(list(bundled().values()), selection)
    assert message in str(caught.value)


def test_the_order_of_selection_does_not_matter() -> None:
    """The same runbooks and rows in another order are judged by the same checks in the same order."""
    books = [bundled()[name] for name in ("n8n", "dify", "aider")]
    rows = [book.row(route).id for book in books for route in (Route.CHAT, Route.FILE_STATUS)]
    plans = [narrowed(order, rows) for order in permutations(books)]
    plans += [narrowed(books, order) for order in (rows[::-1], set(rows))]
    assert len({plan.distinct for plan in plans}) == 1
    assert {frozenset(case.id for case in plan.cases) for plan in plans} == {frozenset(rows)}


@given(st.data())
@settings(max_examples=30)
def test_any_order_of_any_selection_is_one_plan(data: st.DataObject) -> None:
    """Whatever is selected, in whatever order, is judged by the same checks in the same order."""
    books = data.draw(st.lists(st.sampled_from(list(bundled().values())), min_size=1, max_size=4, unique=True))
    left = data.draw(st.lists(st.sampled_from([case.id for case in list_cases(books)]), unique=True))
    one = narrowed(books, left)
    two = narrowed(data.draw(st.permutations(books)), data.draw(st.permutations(left)))
    assert one.distinct == two.distinct
    assert {case.id: case.checks for case in one.cases} == {case.id: case.checks for case in two.cases}
    assert {case.id for case in one.cases} == set(left)


def test_each_distinct_check_stands_once() -> None:
    """However many rows want a check with a key and parameters, it is planned once, in a stable order."""
    plan = make_plan(TENANT, list(bundled().values()))
    calls = list(plan.distinct)
    wanted = {call for case in plan.cases for call in case.checks}
    assert len(calls) == len(wanted)
    assert set(calls) == wanted
    assert calls == sorted(calls, key=lambda call: call.sort_key)
