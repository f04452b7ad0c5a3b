"""A runbook and a tenant to plan for."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from gt_conformance import resources
from gt_conformance.checks import Parameters
from gt_conformance.planning import (
    Case,
    make_plan,
)
from gt_conformance.runbook import (
    ClientProfile,
    Row,
    Runbook,
    load_directory,
)
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import Purpose, Route, Scope, Verdict
from tests.fake_tenant import INFERENCE, key, tenant_of

CHAT = key("chat", scopes=INFERENCE)
UPLOAD = key(
    "upload", purpose=Purpose.UPLOAD, scopes=frozenset({Scope.DATASETS_WRITE}), models=None, datasets=frozenset({"d"})
)
APP = key(
    "app",
    purpose=Purpose.CONVERSATION,
    scopes=INFERENCE | {Scope.DATASETS_WRITE},
    datasets=frozenset({"d"}),
    inherits=("chat", "upload"),
)
TENANT = tenant_of(CHAT, UPLOAD, APP, dataset="d")


@cache
def bundled() -> Mapping[str, Runbook]:
    """The runbooks that come with the project, by id."""
    return {book.id: book for book in load_directory(resources.runbooks_dir())}


def a_book(*clients: ClientProfile, book_id: str = "dify", **verdicts: Verdict) -> Runbook:
    """A runbook whose rows have these verdicts, all others being refused, for these clients."""
    rows = tuple(
        Row(book_id, route, verdicts.get(route.value, Verdict.NOT_SUPPORTED), "As the test says.") for route in Route
    )
    return replace(bundled()["dify"], id=book_id, rows=rows, measured_clients=clients, checklist=())


def planned_row(book: Runbook, route: Route, tenant: Tenant = TENANT) -> Case:
    """The row of that route in the plan of the runbook alone."""
    return make_plan(tenant, [book]).case(book.row(route).id)


def ids(row: Case) -> list[str]:
    """The ids of a row's checks, each once."""
    return list(dict.fromkeys(check.check for check in row.checks))


def parameters(book: Runbook, route: Route, check: str) -> list[Parameters]:
    """The parameters with which the row takes the check, in order."""
    return [item.parameters for item in planned_row(book, route).checks if item.check == check]
