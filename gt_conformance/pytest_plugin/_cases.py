"""The items of the suites: one for each case, with an id that never changes, and the fixtures that judge it."""

from collections.abc import Sequence

import pytest

from gt_conformance.errors import Problem
from gt_conformance.judgement import Judgement
from gt_conformance.planning import Case, CaseKind
from gt_conformance.pytest_plugin import _reporters
from gt_conformance.pytest_plugin._run import JUDGEMENT, Run
from gt_conformance.runbook import findings
from gt_conformance.vocabulary import Outcome

_RUNBOOK = "sound_runbook"
_MARKS = {CaseKind.ITEM: "checklist", CaseKind.TENANT: "tenant", CaseKind.CLIENT: "client"}


def parametrize(metafunc: pytest.Metafunc, run: Run) -> None:
    """Give a suite's function one item for each selected case of the kind that its module names (``CASES``).

    Its parameter is the id: reporters write down the parameters of each item, and a whole case is a long text.
    """
    if JUDGEMENT in metafunc.fixturenames:
        kind = CaseKind(metafunc.module.CASES)
        parameters = [pytest.param(case.id, id=case.id, marks=_marks(case)) for case in run.cases if case.kind is kind]
        metafunc.parametrize(JUDGEMENT, parameters, indirect=True)
    if _RUNBOOK in metafunc.fixturenames:
        books = [pytest.param(book.id, id=book.id, marks=pytest.mark.runbook) for book in run.selected_runbooks]
        metafunc.parametrize(_RUNBOOK, books, indirect=True)


def _marks(case: Case) -> list[pytest.MarkDecorator]:
    names = [_MARKS.get(case.kind), case.verdict.value if case.verdict is not None else None]
    return [getattr(pytest.mark, name) for name in names if name is not None]


@pytest.fixture
def judgement(request: pytest.FixtureRequest) -> Judgement:
    """The judgement of a case. Raises Blocked, an error and no failure, where it could not be tested."""
    run = _run(request)
    found = run.judge(request.param)
    _reporters.describe(request.node, run.describe_tenant(), run.book_of(found.case), found, run.evidence(found))
    found.demand_tested()
    if found.outcome is Outcome.WAIVED:
        # pytest's own word for a failure that is known and owned; it is never counted as a pass.
        pytest.xfail(found.explain())
    return found


@pytest.fixture
def sound_runbook(request: pytest.FixtureRequest) -> Sequence[Problem]:
    """What contradicts itself in a runbook file."""
    run = _run(request)
    book = run.book(request.param)
    _reporters.describe_runbook(request.node, book)
    return [*findings(book, run.registry.acts), *run.registry.unverified(book)]


def _run(request: pytest.FixtureRequest) -> Run:
    run = request.config.pluginmanager.get_plugin("gt-conformance-run")
    assert isinstance(run, Run), "the plugin registers its run when it is configured"  # noqa: S101 - a fault of ours
    return run
