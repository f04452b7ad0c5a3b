"""A rehearsal: what a run costs, found out in memory, to the longest chain of requests that wait for one another."""

from collections.abc import Sequence

import pytest

from gt_conformance import resources, session
from gt_conformance.checks import Check, CheckCall, CheckResult, Parameters, Probe, Registry
from gt_conformance.checks._check import CheckFunction
from gt_conformance.exchange import Exchange, Request
from gt_conformance.planning import Selection
from gt_conformance.runbook import load_directory
from gt_conformance.runner import Cost, Rehearsal
from gt_conformance.session import Session
from gt_conformance.tenant import Limits, Tenant, TenantKind, from_mapping
from gt_conformance.together import together
from gt_conformance.vocabulary import Outcome
from gt_sandbox import EmbeddedTenant
from tests import fake_tenant
from tests.fake_tenant import TENANT, plan_of

MOST = 10
"""The longest chain that a run of everything may have: seconds, where a tenant takes one for each answer.

A run of everything has nine: what rests on one another, then dead secrets and keys that are presented wrongly, then the
controls.
"""
BEFORE = 1
"""The preflight: two requests at once."""
AFTER = 1
"""The controls at the end, where something was refused."""
MISREAD = {"basic", "elsewhere", "other_scheme", "without_scheme"}
"""How a live key is presented wrongly."""


def get(probe: Probe, path: str) -> Request:
    """A request of the probe's key that no route takes."""
    return Request("GET", probe.url(path), probe.credential.name)


async def one_after_the_other(probe: Probe) -> None:
    """Three requests, each after the one before."""
    for number in range(3):
        await probe.send(get(probe, f"/slow/{number}"))


async def at_once(probe: Probe) -> None:
    """Forty requests that wait for nothing."""
    await probe.send_all([get(probe, f"/quick/{number}") for number in range(40)])


async def send_some(probe: Probe, paths: tuple[str, ...]) -> None:
    """One after the other."""
    for path in paths:
        await probe.send(get(probe, path))


async def branching(probe: Probe) -> None:
    """Two chains side by side, of one request and of three, then one that waits for both."""
    await together(send_some(probe, paths) for paths in (("/short",), ("/long/1", "/long/2", "/long/3")))
    await probe.send(get(probe, "/last"))


@pytest.mark.parametrize(
    ("bodies", "chain"),
    [
        pytest.param((one_after_the_other,), 3, id="a chain"),
        pytest.param((at_once,), 1, id="at once"),
        pytest.param((at_once, one_after_the_other), 3, id="side by side"),
        pytest.param((branching,), 4, id="a chain after the longer of two"),
    ],
)
def test_the_longest_chain_is_counted(
    monkeypatch: pytest.MonkeyPatch, bodies: tuple[CheckFunction, ...], chain: int
) -> None:
    """Requests that wait for one another count, not those that go beside them; the controls come before and after."""
    made = [Check(f"test.check{n}", "It holds.", "Mend it.", "a test", body) for n, body in enumerate(bodies)]
    monkeypatch.setattr(fake_tenant, "REGISTRY", Registry(tuple(made)))
    cost = session.rehearse(plan_of(TENANT, *(CheckCall(one.id, "chat", Parameters()) for one in made)))
    assert cost.longest_chain == BEFORE + chain + AFTER


@pytest.fixture(scope="module")
def embedded() -> Tenant:
    """The tenant file of the embedded tenant, which is not called."""
    with EmbeddedTenant() as running:
        return from_mapping(running.tenant_document(), running.secrets, kind=TenantKind.EMBEDDED, name="embedded")


@pytest.fixture(scope="module")
def rehearsed(embedded: Tenant) -> tuple[Sequence[CheckResult], Cost]:
    """What everything comes to in a rehearsal, and what it costs."""
    plan = session.plan(embedded, load_directory(resources.runbooks_dir()))
    rehearsal = Rehearsal(embedded)
    with Session(plan, sender=lambda: rehearsal, run_id="rehearsal") as judging:
        found = [judging.result(call) for call in plan.distinct]
        return found, Cost(tuple(judging.exchanges), rehearsal.longest_chain)


def test_a_run_of_everything_is_wide_and_not_long(
    embedded: Tenant, rehearsed: tuple[Sequence[CheckResult], Cost]
) -> None:
    """Of all requests few wait for one another, and the rehearsal takes every check to its end."""
    found, cost = rehearsed
    assert [result.call.check for result in found if result.outcome is not Outcome.CONFORMS] == []
    assert cost.longest_chain <= MOST
    assert len(cost.exchanges) <= embedded.limits.max_requests


@pytest.mark.runs
def test_a_run_of_one_runbook_is_no_longer(embedded: Tenant) -> None:
    """What takes all rows side by side takes those of each runbook so: by checks, too, that only some of them name."""
    books = load_directory(resources.runbooks_dir())
    plans = {book.id: session.plan(embedded, books, selection=Selection(runbooks=(book.id,))) for book in books}
    chains = {name: session.rehearse(plan).longest_chain for name, plan in plans.items()}
    assert {name: chain for name, chain in chains.items() if chain > MOST} == {}


def test_what_others_need_is_not_sent_among_refusals(rehearsed: tuple[Sequence[CheckResult], Cost]) -> None:
    """What a check makes so that it can be asked for is no refusal, though the check asks for what is to be refused."""
    _, cost = rehearsed
    created = [one for one in cost.exchanges if one.request.creates and one.response and one.response.succeeded]
    assert created
    assert [one.request.path for one in created if one.request.refused] == []


def test_keys_are_shown_wrongly_after_all_that_needs_them(
    embedded: Tenant, rehearsed: tuple[Sequence[CheckResult], Cost]
) -> None:
    """Dead secrets, and live keys that are presented wrongly, come last; after them only the controls."""
    _, cost = rehearsed
    dead = {key.name for key in embedded.revoked_credentials} | {
        key.retired_name for key in embedded.credentials.values() if key.retired_secret is not None
    }
    dangerous = {
        number
        for number, exchange in enumerate(cost.exchanges)
        if exchange.request.key in dead or exchange.request.presentation in MISREAD
    }
    others = {n for n, one in enumerate(cost.exchanges) if not one.request.refused} - dangerous
    after = [cost.exchanges[number] for number in others if number > min(dangerous)]
    assert {(one.request.method, one.request.path.removeprefix("/api/tenant")) for one in after} == {
        ("GET", "/v1/models")
    }


@pytest.mark.parametrize(
    ("requests", "chain", "limits", "least_s"),
    [
        pytest.param(80, 5, Limits(concurrency=8), 10, id="as many as go at once"),
        pytest.param(8, 5, Limits(concurrency=8), 5, id="as many as wait for one another"),
        pytest.param(61, 5, Limits(concurrency=64, requests_per_minute=60), 62, id="as the rate allows"),
    ],
)
def test_the_least_time_is_the_longest_of_three(requests: int, chain: int, limits: Limits, least_s: float) -> None:
    """Connections, the chain, or the rate: whichever takes longest where each answer takes a second."""
    exchange = Exchange("x1", Request("GET", TENANT.base_url, None), None, 0.0)
    cost = Cost((exchange,) * requests, chain)
    assert cost.least_s(limits, 1.0) == pytest.approx(least_s, abs=0.1)
