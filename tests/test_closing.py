"""Refusals count between two good controls: where live keys are banned meanwhile, nothing is green or red for it."""

import threading

import anyio
import pytest

from gt_conformance import Record, plan
from gt_conformance.checks import Check, CheckCall, CheckResult, Parameters, Probe, Registry
from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange, Request, Response
from gt_conformance.results import findings_of
from gt_conformance.runner import Runner
from gt_conformance.runner._closing import Control
from gt_conformance.tenant import TenantKind, from_mapping
from gt_conformance.vocabulary import Actor, Outcome
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import FaultSet, select_faults
from gt_sandbox.variants import VariantSet, select_variants
from prove._process import bundled
from tests import fake_tenant
from tests.direct import judge
from tests.fake_tenant import FakeSender, answer, key, plan_of, refusal, run, tenant_of
from tests.records import checks_of

BANNED = 3
"""After so many refusals the gateway refuses everything."""


def get(probe: Probe, path: str) -> Request:
    """A request of the check's own key."""
    return Request("GET", probe.url(path), probe.credential.name)


async def refused(probe: Probe) -> None:
    """Five requests are refused."""
    for exchange in await probe.send_all([get(probe, f"/closed/{number}") for number in range(5)]):
        response = probe.answer(exchange, "an answer")
        probe.must(response.refused, "a refusal", str(response.status), exchange)


async def served(probe: Probe) -> None:
    """One request is served."""
    probe.success(await probe.send(get(probe, "/open")), "a success")


async def hole(probe: Probe) -> None:
    """One request that must be refused is served."""
    exchange = await probe.send(get(probe, "/hole"))
    probe.must(exchange.response is None or exchange.response.refused, "a refusal", "HTTP 200", exchange)


async def served_at_last(probe: Probe) -> None:
    """The same after the others."""
    await probe.require("test.refused", parameters=Parameters())
    probe.success(await probe.send(get(probe, "/open/later")), "a success")


async def rests_on_it(probe: Probe) -> None:
    """What rests on another check."""
    await probe.require("test.served_at_last", parameters=Parameters())


CHECKS = {f"test.{body.__name__}": body for body in (refused, served, hole, served_at_last, rests_on_it)}


class Gateway:
    """Refuses who is refused too often: everybody, or the keys named alone."""

    def __init__(self, *keys: str, after: int = BANNED) -> None:
        self._keys, self._left = keys, after

    def __call__(self, request: Request) -> Response | None:
        """The answer, where it is one of the gateway's, or of the paths of this test."""
        if self._left <= 0 and (not self._keys or request.key in self._keys):
            return refusal(403, "Your address is blocked.")
        path = request.path.removeprefix("/api/tenant")
        if path.startswith("/closed"):
            self._left -= 1
            return refusal(403, "This key lacks the scope.")
        return answer({}) if path.startswith(("/open", "/hole")) else None


def results(monkeypatch: pytest.MonkeyPatch, gateway: Gateway, *wanted: CheckCall) -> dict[CheckCall, CheckResult]:
    """What the checks came to behind that gateway."""
    registry = Registry(tuple(Check(name, "It holds.", "Mend it.", "a test", body) for name, body in CHECKS.items()))
    monkeypatch.setattr(fake_tenant, "REGISTRY", registry)
    calls = wanted or tuple(CheckCall(name, "one") for name in CHECKS)
    judged = run(plan_of(tenant_of(key("one"), key("two")), *calls), FakeSender(gateway))
    return {call: judged.result(call) for call in calls}


def test_good_controls_let_refusals_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the live keys still work at the end, a refusal proves what it says."""
    found = results(monkeypatch, Gateway(after=1_000))
    assert {call.check: result.outcome for call, result in found.items()} == {
        name: Outcome.VIOLATES if name == "test.hole" else Outcome.CONFORMS for name in CHECKS
    }


def test_a_ban_blocks_what_refusals_alone_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Green and red by a refusal are blocked, and what rests on them, by one finding; what was served stays."""
    found = {call.check: result for call, result in results(monkeypatch, Gateway()).items()}
    assert {name: result.outcome for name, result in found.items()} == {
        "test.refused": Outcome.BLOCKED,
        "test.served": Outcome.CONFORMS,
        "test.hole": Outcome.VIOLATES,
        "test.served_at_last": Outcome.BLOCKED,
        "test.rests_on_it": Outcome.BLOCKED,
    }
    blocked = [result for result in found.values() if result.outcome is Outcome.BLOCKED]
    assert len({result.finding for result in blocked}) == 1
    assert {blocker.acts for result in blocked for blocker in result.blockers} == {Actor.SETUP}
    assert "stopped working after" in blocked[0].reason
    assert "limits.refusals_per_minute" in blocked[0].remedy


def test_a_key_that_is_locked_alone_is_told_from_a_ban(monkeypatch: pytest.MonkeyPatch) -> None:
    """What refusals of that key show is blocked; the other key, which works, proves its own."""
    calls = [CheckCall("test.refused", name) for name in ("one", "two")]
    after = [CheckCall("test.served_at_last", name) for name in ("one", "two")]
    found = results(monkeypatch, Gateway("one"), *calls, *after)
    assert found[after[0]].outcome is Outcome.BLOCKED
    assert "the key one gets HTTP 403" in found[after[0]].reason
    assert found[after[1]].outcome is Outcome.CONFORMS


def judged(other: FaultSet | VariantSet, *books: str) -> Record:
    """A run of these runbooks, with the tenant's whole boundary."""
    with EmbeddedTenant(middleware=other.middleware) as running:
        document = other.change_tenant_file(running.tenant_document())
        tenant = from_mapping(document, running.secrets, kind=TenantKind.EMBEDDED, name="the tenant")
        return judge(plan(tenant, [book for book in bundled() if book.id in books]), running)


def test_a_banning_gateway_is_neither_green_nor_red() -> None:
    """The embedded tenant behind such a gateway: nothing violates, and what must be refused is blocked, once."""
    record = judged(select_variants(("bans-after-refusals",)), "dify")
    by_outcome: dict[str, set[str]] = {}
    reported: dict[str, set[str]] = {}
    for one in checks_of(record):
        by_outcome.setdefault(one["outcome"], set()).add(one["id"])
        reported.setdefault(one["id"], set()).update(findings_of(one))
    assert "violates" not in by_outcome
    tried = {"key.required", "key.scope_enforced", "key.revocation", "names.unpublished_refused", "route.refused"}
    assert tried <= by_outcome["blocked"]
    assert not tried & by_outcome["conforms"]
    assert len({name for check in tried for name in reported[check]}) == 1


def test_a_key_that_is_replaced_meanwhile_is_the_operators() -> None:
    """A secret that is rotated, or expires, during a run blocks what its key shows, and says so: no tenant's fault."""
    record = judged(select_variants(("a-key-replaced-during-the-run",)), "dify")
    assert not [one["check"] for one in record["findings"] if one["outcome"] == "violates"]
    [missing] = [one for one in record["findings"] if one["outcome"] == "blocked"]
    assert missing["acts"] == "setup"
    assert missing["remedy"].startswith("Look whether chat expired, or was rotated or revoked, during the run")
    assert "7 other keys still work" in missing["proofs"][0]["found"]


def test_what_was_answered_is_judged_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hole that shows by a 2xx is no matter of refusals: a run that is interrupted before its end has it."""
    begun = threading.Event()

    async def waits(_: Probe) -> None:
        begun.set()
        await anyio.sleep_forever()

    async def refused_then_open(probe: Probe) -> None:
        await refused(probe)
        await hole(probe)

    bodies = {"test.mixed": refused_then_open, "test.refused": refused}
    made = [Check(name, "It holds.", "Mend it.", "a test", body) for name, body in bodies.items()]
    last = Check("test.waits", "It holds.", "Mend it.", "a test", waits, last=True)
    monkeypatch.setattr(fake_tenant, "REGISTRY", Registry((*made, last)))
    mixed, alone, waiting = (CheckCall(name, "one") for name in (*bodies, last.id))
    sender = FakeSender(Gateway(after=100))
    runner = Runner(plan_of(tenant_of(key("one")), mixed, alone, waiting), lambda: sender, run_id="r1")
    runner.start()
    assert begun.wait(20)
    runner.stop(Blocker("It was interrupted.", ""))
    assert runner.result(mixed).outcome is Outcome.VIOLATES
    assert {runner.result(call).outcome for call in (alone, waiting)} == {Outcome.BLOCKED}


def answered(status: int) -> Exchange:
    """An answer to a key's request."""
    return Exchange("x1", Request("GET", "https://acme.example/v1/nowhere", "chat"), Response(status, (), b""), 1.0)


@pytest.mark.parametrize(("status", "good"), [(200, True), (404, True), (401, False), (403, False), (500, False)])
def test_what_failed_before_is_nothing_to_compare_with(status: int, *, good: bool) -> None:
    """Where the first answer was a 5xx, which comes now and then, only a refusal of the key, or a failure, is bad."""
    assert Control(answered(500), answered(status)).is_good is good


def test_a_key_that_its_client_locks_is_one_finding() -> None:
    """What its refusals hide at the end is blocked because of the check that saw the key locked, by no ban."""
    record = judged(select_faults(["looking-around-locks-the-key"]), "hermes")
    assert not [one for one in record["findings"] if "stopped working" in str(one["proofs"])]
    [locked] = [one for one in record["findings"] if one["check"] == "client.discovery"]
    assert "route.refused" not in {one["check"] for one in record["findings"]}
    assert locked["blocks"]
