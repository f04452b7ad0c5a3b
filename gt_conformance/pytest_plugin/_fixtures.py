"""What the suites' functions ask for: judgements, ready to be demanded."""

from collections.abc import Sequence

import pytest

from gt_conformance.checks import known_ids
from gt_conformance.errors import Problem
from gt_conformance.judgement import Judgement
from gt_conformance.pytest_plugin import _exports
from gt_conformance.pytest_plugin._run import Run
from gt_conformance.runbook import findings
from gt_conformance.vocabulary import Outcome


def _run(request: pytest.FixtureRequest) -> Run:
    run = request.config.pluginmanager.get_plugin("gt-conformance-run")
    assert isinstance(run, Run), "the plugin registers its run when it is configured"  # noqa: S101 - a fault of ours
    return run


@pytest.fixture
def judged_row(request: pytest.FixtureRequest) -> Judgement:
    """The judgement of a row. Raises Blocked, an error and no failure, where it could not be tested."""
    run = _run(request)
    book, row = run.row(request.param)
    judgement = run.judge_row(row.id)
    _exports.describe_row(request.node, run.tenant, book, row, judgement, run.evidence(judgement))
    return _tested(judgement)


@pytest.fixture
def judged_item(request: pytest.FixtureRequest) -> Judgement:
    """The judgement of a checklist item. Raises Blocked where it could not be tested, or nobody has vouched."""
    run = _run(request)
    book, item = run.item(request.param)
    judgement = run.judge_item(item.id)
    _exports.describe_item(request.node, run.tenant, book, item, judgement, run.evidence(judgement))
    return _tested(judgement)


@pytest.fixture
def judged_tenant_check(request: pytest.FixtureRequest) -> Judgement:
    """The judgement of a tenant-wide check. Raises Blocked where it could not be tested."""
    run = _run(request)
    judgement = run.judge_tenant_check(request.param)
    _exports.describe_tenant_check(request.node, run.tenant, judgement, run.evidence(judgement))
    return _tested(judgement)


@pytest.fixture
def judged_client(request: pytest.FixtureRequest) -> Judgement:
    """The judgement of a row by the real clients of its runbook. Raises Blocked where they could not be driven."""
    run = _run(request)
    book, row = run.client_row(request.param)
    judgement = run.judge_client(request.param)
    _exports.describe_client(request.node, run.tenant, book, row, judgement, run.client_evidence(judgement))
    return _tested(judgement)


def _tested(judgement: Judgement) -> Judgement:
    judgement.demand_tested()
    if judgement.outcome is Outcome.WAIVED:
        # pytest's own word for a failure that is known and owned; it is never counted as a pass.
        pytest.xfail(judgement.explain())
    return judgement


@pytest.fixture
def sound_runbook(request: pytest.FixtureRequest) -> Sequence[Problem]:
    """What contradicts itself in a runbook file."""
    book = _run(request).runbook(request.param)
    _exports.describe_runbook(request.node, book)
    return findings(book, known_ids())
