"""What each check declares of itself, and checks of somebody's own that join them."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from click.testing import CliRunner

from gt_conformance import resources, session
from gt_conformance.checks import (
    BUILT_IN,
    Check,
    CheckCall,
    Parameters,
    Registry,
    checks,
    clauses,
    item_calls,
    load_extensions,
    native,
    row_calls,
    tenant_call,
)
from gt_conformance.checks._registry import problems_of
from gt_conformance.cli.explain import explain
from gt_conformance.cli.lint import lint
from gt_conformance.errors import InputError
from gt_conformance.planning import CaseKind, Selection, list_cases
from gt_conformance.runbook import ChecklistItem, load_directory
from gt_conformance.tenant import choose
from gt_conformance.vocabulary import Fact, Route, Verdict
from tests.commands import command, run
from tests.fake_tenant import TENANT, FakeSender

BOOKS = load_directory(resources.runbooks_dir())
DIFY = next(book for book in BOOKS if book.id == "dify")
EXTENDING = Path(__file__).parent.parent / "docs" / "extending.md"
OWN = """\
from gt_conformance.checks import ANY_LIVE_KEY, Probe, check, native
from gt_conformance.vocabulary import Actor, Route, Severity


@check(
    "acme.answers",
    claim="It answers.",
    remedy="Have it answer.",
    source="Acme",
    acts=Actor.TENANT,
    severity=Severity.LOW,
)
async def answers(probe: Probe) -> None:
    \"\"\"It answers.\"\"\"
"""
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Write a module of checks, ``OWN`` with texts replaced, and give its path."""
    before = set(sys.modules)

    def writing(*changes: tuple[str, str], name: str = "acme.py", text: str = OWN) -> str:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    yield writing
    for name in set(sys.modules) - before:
        del sys.modules[name]


# -- the declarations that come with the suite


def test_each_declaration_is_sound() -> None:
    """Its id has the form of ids and is its own; the checks that it rests on and the clauses that it carries exist."""
    for check in BUILT_IN.values():
        others = {name: other for name, other in BUILT_IN.items() if name != check.id}
        assert list(problems_of(check, others)) == [], check.id
        assert all((check.claim.strip(), check.remedy.strip(), check.source.strip())), check.id
        assert check.claim.endswith("."), check.id
        assert check.remedy.endswith("."), check.id


def test_only_what_a_page_promises_is_carried() -> None:
    """A clause that only a person can know, or that HTTP does not show, cannot be carried by a check."""
    kinds = {clause: clauses()[clause].kind for check in BUILT_IN.values() for clause in check.clauses}
    assert {clause: kind for clause, kind in kinds.items() if kind not in {"documented", "implied"}} == {}


def test_no_check_rests_on_itself_in_a_circle() -> None:
    """What a check rests on is judged without it."""

    def below(name: str, seen: tuple[str, ...] = ()) -> Iterator[str]:
        assert name not in seen, f"{' → '.join(seen)} → {name}"
        for other in BUILT_IN[name].rests_on:
            yield other
            yield from below(other, (*seen, name))

    assert all(isinstance(list(below(name)), list) for name in BUILT_IN)


def test_a_run_can_know_each_fact_that_a_runbook_may_name() -> None:
    """The words of ``known_by`` are those of the schema, and a check shows each that the tenant file cannot tell."""
    schema = json.loads((resources.schemas_dir() / "runbook.schema.json").read_text("utf-8"))
    assert schema["$defs"]["prerequisite"]["properties"]["known_by"]["items"]["enum"] == [fact.value for fact in Fact]
    shown = {fact for check in BUILT_IN.values() for fact in check.shows}
    assert shown == set(Fact) - {Fact.DEDICATED_KEY}


def test_the_routes_of_a_runbook_are_the_routes_of_the_suite() -> None:
    """The schema of runbooks asks for each route that the suite knows, with the verdicts that the route can have."""
    schema = json.loads((resources.schemas_dir() / "runbook.schema.json").read_text("utf-8"))
    rows = schema["properties"]["routes"]
    assert rows["required"] == list(rows["properties"]) == [route.title for route in Route]
    for route in Route:
        rule = schema["$defs"][rows["properties"][route.title]["$ref"].rpartition("/")[2]]
        assert rule["properties"]["verdict"]["enum"] == [route.promised.value, Verdict.NOT_SUPPORTED.value]


@pytest.mark.parametrize("route", Route)
def test_each_row_that_a_runbook_can_have_is_verified(route: Route) -> None:
    """Of each route with each verdict that it can have: a row without a check of its own would show nothing."""
    for verdict in (route.promised, Verdict.NOT_SUPPORTED):
        row = replace(DIFY.row(route), verdict=verdict)
        assert list(BUILT_IN.unverified(replace(DIFY, rows=(row,)))) == []


def test_a_row_that_nothing_verifies_is_an_error() -> None:
    """A verdict that its route cannot have has no check, and lint says so at its line."""
    row = replace(DIFY.row(Route.CHAT), verdict=Verdict.GT_EXTENSION)
    [problem] = BUILT_IN.unverified(replace(DIFY, rows=(row,)))
    assert problem.message == "no check verifies that POST /v1/chat/completions is gt_extension."
    assert problem.where == DIFY.document.locate("routes", Route.CHAT.title)
    joins = Registry(tuple(check for check in BUILT_IN.values() if check.id == "base_url.joins"))
    assert [problem.path for problem in joins.unverified(replace(DIFY, rows=(DIFY.row(Route.CHAT),)))]


def test_routes_are_found_by_their_ids_titles_and_paths() -> None:
    """Each way leads to the same member, and anything else to none."""
    for route in Route:
        assert Route(route.value) is Route.titled(route.title) is Route.at(route.path.replace("{id}", "f-1")) is route
    assert Route.at("/v1/files/a/b") is None
    with pytest.raises(ValueError, match="nothing"):
        Route("nothing")


# -- what is taken, by declaration alone


def own_check(check_id: str = "acme.own", **facts: object) -> Check:
    """A check of somebody's own that does nothing, with these facts."""

    async def run(_: object) -> None:
        """Nothing is sent."""

    made = Check(check_id, "A claim.", "A remedy.", "A source", run)
    return replace(made, **facts)  # type: ignore[arg-type] # the facts of a Check, by name


def test_a_check_of_ones_own_joins_rows_items_and_the_tenant() -> None:
    """By its declaration alone: in the rows of its routes, once a run, and by name in an item."""
    shapes = own_check(
        "acme.shapes", rows=(native(Route.CHAT, parameters=lambda context: [Parameters(route=context.route)]),)
    )
    wide = own_check("acme.wide", tenant_wide=BUILT_IN["key.required"].tenant_wide)
    named = own_check("acme.named")
    registry = Registry((*BUILT_IN.checks, shapes, wide, named))
    choice = choose(TENANT, DIFY.id, DIFY.native_routes())
    of_row = row_calls(TENANT, DIFY, DIFY.row(Route.CHAT), choice, registry)
    assert of_row[-1] == CheckCall("acme.shapes", "chat", Parameters(route=Route.CHAT))
    assert row_calls(TENANT, DIFY, DIFY.row(Route.MODELS), choice, registry) == row_calls(
        TENANT, DIFY, DIFY.row(Route.MODELS), choice
    )
    assert registry.tenant_wide == (*checks().tenant_wide, "acme.wide")
    assert tenant_call(TENANT, "acme.wide", registry) == CheckCall("acme.wide", "chat")
    item = ChecklistItem("dify", 1, "So it is.", ("acme.named", "acme.shapes", "acme.wide"))
    by_row = {row.route: row_calls(TENANT, DIFY, row, choice, registry) for row in DIFY.rows}
    assert item_calls(TENANT, DIFY, item, choice, by_row, registry) == (
        CheckCall("acme.named", "chat"),
        CheckCall("acme.shapes", "chat", Parameters(route=Route.CHAT)),
        CheckCall("acme.wide", "chat"),
    )
    assert {"acme.shapes", "acme.wide", "acme.named"} <= registry.item_ids
    assert checks() is BUILT_IN
    assert "acme.wide" not in BUILT_IN


def test_only_a_tenant_wide_check_is_taken_by_the_tenant() -> None:
    """To ask for another is a mistake of the caller."""
    with pytest.raises(ValueError, match=r"chat\.completes is not tenant-wide"):
        tenant_call(TENANT, "chat.completes")


# -- modules of checks


def problems_of_loading(*modules: str) -> list[str]:
    """What is said of modules that cannot be used."""
    with pytest.raises(InputError) as error:
        load_extensions(modules)
    return [str(problem) for problem in error.value.problems]


@pytest.mark.parametrize("name", ["", " "])
def test_a_module_without_a_name_is_the_options_mistake(name: str) -> None:
    """An empty variable behind --checks is told as such, and not as a line of Python's own import machinery."""
    [problem] = problems_of_loading(name)
    assert problem.startswith("--checks names no module.")


def test_without_a_module_the_checks_are_the_suites_own() -> None:
    """Nothing is added, and the same registry comes back."""
    assert load_extensions() is BUILT_IN


def test_a_module_is_named_by_its_path_or_as_in_an_import(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either way its checks come after the suite's own."""
    path = write()
    assert list(load_extensions([path])) == [*BUILT_IN, "acme.answers"]
    monkeypatch.syspath_prepend(str(Path(path).parent))
    assert load_extensions(["acme"])["acme.answers"].run.__module__ == "acme"


def test_an_installed_package_offers_its_checks(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an entry point of the group, without an option."""
    monkeypatch.syspath_prepend(str(Path(write()).parent))
    found = EntryPoints(
        [EntryPoint("acme", "acme", "gt_conformance.checks"), EntryPoint("x", "nothing", "another.group")]
    )
    monkeypatch.setattr("importlib.metadata.entry_points", found.select)
    assert "acme.answers" in load_extensions()
    gone = EntryPoints([EntryPoint("gone", "nothing_of_this_name", "gt_conformance.checks")])
    monkeypatch.setattr("importlib.metadata.entry_points", gone.select)
    [problem] = problems_of_loading()
    assert "entry point gone (nothing_of_this_name) cannot be imported: ModuleNotFoundError" in problem


BROKEN: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {
    "an id that is taken": ((('"acme.answers"', '"chat.completes"'),), "there is a check 'chat.completes' already."),
    "an id of a driven client's check": (
        (('"acme.answers"', '"client.works"'),),
        "there is a check 'client.works' already.",
    ),
    "an id of another form": ((('"acme.answers"', '"Acme answers"'),), "'Acme answers' is not an id of a check."),
    "it rests on what is not there": (
        (("acts=", 'rests_on=("chat.complets",),\n    acts='),),
        "'acme.answers' rests on 'chat.complets', which is not another check. Did you mean chat.completes?",
    ),
    "it rests on itself": (
        (("acts=", 'rests_on=("acme.answers",),\n    acts='),),
        "'acme.answers' rests on 'acme.answers', which is not another check.",
    ),
    "a clause that is not there": (
        (("acts=", 'clauses=("C88",),\n    acts='),),
        "'acme.answers' carries 'C88', which is not a clause. Did you mean C8?",
    ),
    "no docstring": ((('    """It answers."""', "    del probe"),), "the check 'acme.answers' has no docstring."),
    "not async": ((("async def", "def"),), "the check 'acme.answers' is not an async function."),
    "an argument left out": (
        (('    remedy="Have it answer.",\n', ""),),
        "cannot be imported: TypeError: check() missing 1 required keyword-only argument: 'remedy'. Correct it.",
    ),
    "a slip in the syntax": ((("async def answers(", "async def answers"),), "cannot be imported: SyntaxError:"),
    "it raises with a key": (
        (("@check(", "raise ValueError('gtak_0123456789abcdef0123456789abcdef')\n@check("),),
        "cannot be imported: ValueError: gtak_***. Correct it.",
    ),
    "it ends the program": ((("@check(", "raise SystemExit(0)\n@check("),), "cannot be imported: SystemExit: 0."),
    "it imports what is not there": (
        (("from gt_conformance.checks", "import nothing_of_this_name\nfrom gt_conformance.checks"),),
        "cannot be imported: ModuleNotFoundError: No module named 'nothing_of_this_name'.",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BROKEN.values(), ids=BROKEN)
def test_a_module_that_cannot_be_used_is_an_error(
    changes: tuple[tuple[str, str], ...], message: str, write: Write
) -> None:
    """With its file and line, what is wrong, and what would be right: a sentence, never a traceback."""
    path = write(*changes)
    [problem] = problems_of_loading(path)
    assert re.match(rf"{re.escape(path)}:\d+: ", problem)
    assert message in problem
    assert "Traceback" not in problem


def test_a_module_without_checks_is_an_error(write: Write) -> None:
    """Nobody names a module for nothing: that it holds no check is a slip."""
    path = write(text="VALUE = 1\n")
    hint = "Decorate an async function with @check (gt_conformance.checks)."
    assert problems_of_loading(path) == [f"{path} declares no check. {hint}"]
    imported = write(text="from gt_conformance.checks import PREFLIGHT\n", name="other.py")
    assert problems_of_loading(imported) == [f"{imported} declares no check. {hint}"]


def test_a_module_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A path or a name: each is told with the way in which the other would be named."""
    assert problems_of_loading(str(tmp_path / "gone.py"), "nothing_of_this_name.checks") == [
        f"there is no file {tmp_path / 'gone.py'}. Name a Python file, or a module that can be imported.",
        (
            "there is no module nothing_of_this_name.checks. "
            "Name a module that can be imported from here, or the path of its file."
        ),
    ]


def test_a_folder_is_no_module() -> None:
    """Nor is a path without its ending: Python would look for what it cannot find, and say so in words of its own."""
    hint = "Name a file that ends in .py, or a module."
    assert problems_of_loading(".", "acme/checks") == [
        f". is no Python file. {hint}",
        f"acme/checks is no Python file. {hint}",
    ]


def test_two_modules_may_not_share_an_id(write: Write) -> None:
    """The second is the error, at its line; two checks of one module that share one are as well."""
    first, second = write(), write(name="again.py")
    [problem] = problems_of_loading(first, second)
    assert problem.startswith(f"{second}:")
    assert "there is a check 'acme.answers' already. Give it an id of its own." in problem
    twice = write(text=OWN + OWN.partition("\n\n\n")[2].replace("def answers", "def answers_again"), name="twice.py")
    assert len(problems_of_loading(twice)) == 2


# -- in a run

REFUSES = OWN.replace("severity=Severity.LOW,", "severity=Severity.LOW,\n    rows=native(Route.CHAT),").replace(
    '    """It answers."""', '    """It answers."""\n    probe.fail("an answer", "none")'
)


def test_a_check_of_ones_own_is_planned_judged_and_recorded(write: Write) -> None:
    """With its row, as the suite's own are; what it finds fails the row, with its own remedy."""
    registry = load_extensions([write(text=REFUSES)])
    plan = session.plan(TENANT, [DIFY], selection=Selection(routes=(Route.CHAT,)), registry=registry)
    record = session.run(plan, sender=FakeSender)
    [row] = (row for book in record["runbooks"] for row in book["routes"] if row["id"] == "dify-chat-native")
    [own] = (check for check in row["checks"] if check["id"] == "acme.answers")
    assert (own["outcome"], own["claim"], own["remedy"]) == ("violates", "It answers.", "Have it answer.")
    assert row["outcome"] == "violates"


def test_a_tenant_wide_check_of_ones_own_is_counted(write: Write) -> None:
    """Among the tenant's, selected and known."""
    wide = write(("severity=Severity.LOW,", "severity=Severity.LOW,\n    tenant_wide=ANY_LIVE_KEY,"))
    plan = session.plan(TENANT, [DIFY], selection=Selection(routes=(Route.MODELS,)), registry=load_extensions([wide]))
    assert [case.id for case in plan.of(CaseKind.TENANT)][-1] == "tenant-acme.answers"
    record = session.run(plan, sender=FakeSender)
    assert record["run"]["scope"]["tenant_checks"] == {
        "selected": len(BUILT_IN.tenant_wide) + 1,
        "known": len(BUILT_IN.tenant_wide) + 1,
        "of_all": sum(check.of_all for check in BUILT_IN.values() if check.tenant_wide is not None),
    }


def test_an_item_that_names_no_check_is_an_error() -> None:
    """Before anything is sent, with the item, the nearest check and all of them."""
    item = ChecklistItem("dify", 2, "So it is.", ("chat.complets",))
    with pytest.raises(
        InputError, match=r"dify-item-2: there is no check 'chat\.complets'\. Did you mean chat\.completes"
    ):
        list_cases([replace(DIFY, checklist=(item,))])


def test_the_command_runs_checks_of_ones_own(write: Write, tmp_path: Path) -> None:
    """Named by a path from the folder of the caller; what it finds is in the record and in the page."""
    write(text=REFUSES)
    done = run("--runbook", "dify", "--route", "chat", "--checks", "acme.py", cwd=tmp_path, lean=True)
    assert (done.code, done.check_ids("violates")) == (1, {"acme.answers"})
    assert "Have it answer." in (done.folder / "compliance.html").read_text("utf-8")
    planned = command("plan", "--runbook", "dify", "--checks", "acme.py", cwd=tmp_path)
    assert planned.code == 0
    missing = run("--runbook", "dify", "--checks", "gone.py", cwd=tmp_path, lean=True)
    assert (missing.code, "there is no file" in missing.said) == (4, True)


# -- the page that says how


def test_the_example_of_the_page_is_a_check(write: Write) -> None:
    """docs/extending.md: its example loads, and lint and explain know it."""
    example = EXTENDING.read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    path = write(text=example, name="acme_checks.py")
    [added] = set(load_extensions([path])) - set(BUILT_IN)
    found = CliRunner().invoke(explain, ["--checks", path, added], standalone_mode=False)
    words = " ".join(found.output.split())
    for part in ("Every model list names the region", "GET /v1/models (native)", "severity low", "who acts tenant"):
        assert part in words
    assert CliRunner().invoke(lint, ["--checks", path], standalone_mode=False).return_value == 0
    listed = CliRunner().invoke(explain, ["--checks", path], standalone_mode=False)
    assert added in listed.output


def test_the_page_names_every_argument_of_a_declaration() -> None:
    """What can be declared is described, by its name."""
    text = EXTENDING.read_text("utf-8")
    names = [name for name in Check.__dataclass_fields__ if name not in {"id", "run"}]
    assert [name for name in names if f"`{name}`" not in text] == []
