"""Which items there are: cases come from the runbooks, ids from their data."""

import pytest

from gt_conformance.checks import TENANT_CHECKS
from gt_conformance.clients import row_id
from gt_conformance.pytest_plugin._run import Run


def generate(metafunc: pytest.Metafunc, run: Run) -> None:
    """Parametrize the suites' functions by what their fixture is about."""
    if "judged_row" in metafunc.fixturenames:
        metafunc.parametrize(
            "judged_row",
            [
                pytest.param(row.id, id=row.id, marks=getattr(pytest.mark, row.verdict.value))
                for row in run.selection.rows
            ],
            indirect=True,
        )
    if "judged_item" in metafunc.fixturenames:
        metafunc.parametrize(
            "judged_item",
            [pytest.param(item.id, id=item.id, marks=pytest.mark.checklist) for item in run.selection.items],
            indirect=True,
        )
    if "judged_tenant_check" in metafunc.fixturenames:
        metafunc.parametrize(
            "judged_tenant_check",
            [pytest.param(check, id=f"tenant-{check}", marks=pytest.mark.tenant) for check in TENANT_CHECKS],
            indirect=True,
        )
    if "judged_client" in metafunc.fixturenames:
        metafunc.parametrize(
            "judged_client",
            [
                pytest.param(
                    name := row_id(row), id=name, marks=[pytest.mark.client, getattr(pytest.mark, row.verdict.value)]
                )
                for row in run.selection.client_rows
            ],
            indirect=True,
        )
    if "sound_runbook" in metafunc.fixturenames:
        metafunc.parametrize(
            "sound_runbook",
            [pytest.param(book.id, id=book.id, marks=pytest.mark.runbook) for book in run.selection.runbooks],
            indirect=True,
        )
