"""The runner: a request is sent once, and what a check comes to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance.checks import CheckCall, CheckResult, Probe, StopCheck
from gt_conformance.errors import Blocked, Blocker
from gt_conformance.exchange import Exchange, Response
from gt_conformance.planning import Plan
from gt_conformance.tenant import Secret, Tenant
from gt_conformance.vocabulary import Outcome
from tests.defined_checks import (
    CHAT,
    MODELS,
    NOWHERE,
    SECRET,
    TENANT,
    Defined,
    asks,
    breaks_two_promises,
    chats,
    definer,
    for_key,
    of_key,
    reads_all,
    run,
    sent_urls,
)
from tests.fake_tenant import (
    ALIAS,
    COMPLETION,
    DROPPED,
    FakeSender,
    Reply,
    answer,
    changed,
    escaped,
    is_control,
    key,
    plan_of,
    stream,
    tenant_of,
    to,
)


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Defined:
    """Define a check for this test: what it does, and whether it creates or reads the whole run."""
    return definer(monkeypatch)


# -- once


def test_a_request_is_sent_once_however_many_ask(define: Defined) -> None:
    """Checks that ask for the same at the same time share one exchange, and each has it for evidence."""
    names = [f"test.asks{number}" for number in range(5)]
    for name in names:
        define(name, asks)
    sender = FakeSender()
    runner = run(plan_of(TENANT, *map(of_key, names)), sender)
    assert Counter(sent_urls(sender)) == {("one", MODELS): 1, ("one", NOWHERE): 1, ("one", CHAT): 1}
    results = [runner.result(of_key(name)) for name in names]
    assert {result.outcome for result in results} == {Outcome.CONFORMS}
    assert {result.exchanges for result in results} == {("x0003",)}


def test_another_asking_is_another_sending(define: Defined) -> None:
    """A check may ask for the same again by number, and each number is sent once."""

    async def twice(probe: Probe) -> None:
        for number in (0, 1, 1):
            await probe.send(chats(probe), again=number)

    define("test.twice", twice)
    define("test.asks", asks)
    sender = FakeSender()
    run(plan_of(TENANT, of_key("test.twice"), of_key("test.asks")), sender)
    assert sent_urls(sender).count(("one", CHAT)) == 2


def test_what_several_need_is_made_once(define: Defined) -> None:
    """Something shared is made by one check, and is evidence for each; so is the block that it came to."""
    made: list[str] = []

    async def needs(probe: Probe) -> None:
        async def make() -> tuple[str, Sequence[Exchange]]:
            made.append(probe.check.id)
            return "thing", [await probe.send(chats(probe))]

        assert await probe.shared("thing", make) == "thing"

    async def fails(probe: Probe) -> None:
        async def make() -> tuple[str, Sequence[Exchange]]:
            made.append("failed")
            raise Blocked("nothing to make it of", "Bring some.")

        await probe.shared("other", make)

    for name, body in {"test.a": needs, "test.b": needs, "test.c": fails, "test.d": fails}.items():
        define(name, body)
    runner = run(plan_of(TENANT, *map(of_key, ("test.a", "test.b", "test.c", "test.d"))), FakeSender())
    assert sorted(made) in (["failed", "test.a"], ["failed", "test.b"])
    assert runner.result(of_key("test.a")).exchanges == runner.result(of_key("test.b")).exchanges == ("x0003",)
    assert {runner.result(of_key(name)).reason for name in ("test.c", "test.d")} == {"nothing to make it of"}


def test_exchanges_are_numbered_in_the_order_of_sending(define: Defined) -> None:
    """References count from x0001, and the evidence of a check is found by them."""
    define("test.asks", asks)
    runner = run(plan_of(TENANT, of_key("test.asks")), FakeSender())
    assert list(runner.evidence()) == ["x0001", "x0002", "x0003"]
    assert list(runner.evidence({"x0003"})) == ["x0003"]
    assert runner.evidence()["x0003"]["request"]["url"] == CHAT
    assert [exchange.ref for exchange in runner.seen] == ["x0001", "x0002", "x0003"]


# -- what a check comes to


async def breaks_one_promise(probe: Probe) -> None:
    """Note one violation."""
    probe.fail("a", "b")


async def stops_short(probe: Probe) -> None:
    """Note a blocker, and stop before what depends on it."""
    probe.block("no time", "Wait.")
    probe.stop_if_failed()
    raise AssertionError("never reached")


async def is_kept_from_it(probe: Probe) -> None:
    """Note two obstacles, one by raising it."""
    probe.block("no time", "Wait.")
    raise Blocked("no key", "Add.")


async def remarks(probe: Probe) -> None:
    """Note a remark, twice."""
    probe.should(holds=False, text="remarked")
    probe.advise("remarked")


async def halts(probe: Probe) -> None:
    """End with nothing noted."""
    del probe
    raise StopCheck


async def is_full_of_secrets(probe: Probe) -> None:
    """Note a secret and an escape sequence everywhere."""
    hostile = f"\x1b[2J{probe.tenant.secrets()[probe.credential.name].reveal()}"
    probe.fail(hostile, hostile, remedy=hostile)
    probe.advise(hostile)
    probe.block(hostile, hostile)


def test_breaches_outweigh_obstacles(define: Defined) -> None:
    """A check with breaches violates: the first is its reason, with how many more. Each has its own remedy."""
    define("test.breaks", breaks_two_promises)
    result = run(plan_of(TENANT, of_key("test.breaks")), FakeSender()).result(of_key("test.breaks"))
    assert (result.outcome, result.claim) == (Outcome.VIOLATES, "The claim of test.breaks.")
    assert result.reason == "expected a; found b (and 1 more)"
    assert result.remedy == "Mend d."
    assert [violation.remedy for violation in result.violations] == ["The remedy of test.breaks.", "Mend d."]
    assert [violation.exchange for violation in result.violations] == ["x0003", "x0003"]
    assert [advisory.text for advisory in result.advisories] == ["remarked"]
    assert result.blockers == (Blocker("not all was tried", "Try."),)
    assert 0 < result.elapsed_ms < 60_000


def test_one_breach_is_the_whole_reason(define: Defined) -> None:
    """A single violation is described alone, with the check's own remedy."""
    define("test.breaks", breaks_one_promise)
    result = run(plan_of(TENANT, of_key("test.breaks")), FakeSender()).result(of_key("test.breaks"))
    assert (result.reason, result.remedy) == ("expected a; found b", "The remedy of test.breaks.")


def test_an_obstacle_halts_as_well(define: Defined) -> None:
    """What depends on something that could not be tested is not tried."""
    define("test.stops", stops_short)
    result = run(plan_of(TENANT, of_key("test.stops")), FakeSender()).result(of_key("test.stops"))
    assert (result.outcome, result.reason) == (Outcome.BLOCKED, "no time")


def test_obstacles_block(define: Defined) -> None:
    """A check that could not be carried out is blocked, with what is missing and no violation."""
    define("test.kept", is_kept_from_it)
    result = run(plan_of(TENANT, of_key("test.kept")), FakeSender()).result(of_key("test.kept"))
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    assert (result.reason, result.remedy) == ("no time (and 1 more)", "Wait.")
    assert result.blockers == (Blocker("no time", "Wait."), Blocker("no key", "Add."))


@pytest.mark.parametrize(
    ("strict", "outcome"), [(False, Outcome.CONFORMS), (True, Outcome.VIOLATES)], ids=["as ever", "strict"]
)
def test_remarks_are_findings_with_strict_only(define: Defined, outcome: Outcome, *, strict: bool) -> None:
    """A remark is said once and conforms, unless the run is strict."""
    define("test.remarks", remarks)
    result = run(plan_of(TENANT, of_key("test.remarks")), FakeSender(), strict=strict).result(of_key("test.remarks"))
    assert result.outcome is outcome
    assert len(result.advisories) + len(result.violations) == 1


def test_a_check_that_halts_with_nothing_found_conforms(define: Defined) -> None:
    """Halting alone says nothing."""
    define("test.halts", halts)
    assert (
        run(plan_of(TENANT, of_key("test.halts")), FakeSender()).result(of_key("test.halts")).outcome
        is Outcome.CONFORMS
    )


def test_a_result_is_safe_to_show(define: Defined) -> None:
    """No text of a result holds a secret or acts on a terminal."""
    define("test.hostile", is_full_of_secrets)
    result = run(plan_of(TENANT, of_key("test.hostile")), FakeSender()).result(of_key("test.hostile"))
    shown = repr(result) + result.reason + result.remedy
    assert TENANT.secrets()["one"].reveal()[5:21] not in shown
    assert "\x1b" not in result.reason + result.remedy
    assert "[secret one]" in result.reason


def test_a_check_that_is_blocked_already_sends_nothing(define: Defined) -> None:
    """A planned blocker is the result, without a request but those that show whether there is a tenant at all."""
    define("test.asks", asks)
    blocker = Blocker("no credential reaches it", "Add a key.")
    plan = plan_of(TENANT, CheckCall("test.asks", blocker=blocker))
    sender = FakeSender()
    result = run(plan, sender).result(CheckCall("test.asks"))
    assert (result.outcome, result.reason, result.remedy) == (Outcome.BLOCKED, "no credential reaches it", "Add a key.")
    assert all(map(is_control, sender.sent))


def test_a_read_only_run_creates_nothing(define: Defined) -> None:
    """A check that creates something is blocked in a read-only run, and any other is judged."""
    define("test.creates", asks, creates=True)
    define("test.asks", asks)
    tenant = replace(TENANT, read_only=True)
    sender = FakeSender()
    runner = run(plan_of(tenant, of_key("test.creates"), of_key("test.asks", "two")), sender)
    assert runner.result(of_key("test.creates")).outcome is Outcome.BLOCKED
    assert "read-only" in runner.result(of_key("test.creates")).reason
    assert runner.result(of_key("test.asks", "two")).outcome is Outcome.CONFORMS
    assert ("one", CHAT) not in sent_urls(sender)


# -- the whole run


def test_checks_of_the_whole_run_come_last(define: Defined) -> None:
    """A check that reads every exchange runs after all others, and sees what each of them sent."""
    define("test.a-reads", reads_all, whole_run=True)
    for name in ("test.b", "test.c"):
        define(name, asks)
    calls = [of_key("test.a-reads", None), of_key("test.b", "one"), of_key("test.c", "two")]
    runner = run(plan_of(TENANT, *calls), FakeSender())
    assert runner.result(calls[0]).exchanges == tuple(exchange.ref for exchange in runner.seen)
    assert len(runner.seen) == 5


# -- what the run says of echoes and names, which it reads in every exchange


ECHOES: dict[str, Response | Reply] = {
    "in a body": answer(changed(COMPLETION, {"echo": SECRET})),
    "in a header": answer(COMPLETION, X_Key=SECRET),
    "its random part": answer(changed(COMPLETION, {"echo": SECRET[5:]})),
    "with its characters escaped": answer(f'{{"echo": {escaped(SECRET)}}}'),
    "in pieces of a stream": stream(
        *({"choices": [{"delta": {"content": part}}]} for part in (SECRET[:12], SECRET[12:]))
    ),
}


def a_secret_tenant(**facts: Any) -> Tenant:
    """A tenant whose key's secret is known."""
    return tenant_of(replace(key("one"), secret=Secret(SECRET)), **facts)


@pytest.mark.parametrize("found", ECHOES.values(), ids=ECHOES)
def test_an_echoed_secret_is_found_in_the_whole_run(found: Response) -> None:
    """A secret in any answer of the run violates, and is not repeated by the result."""
    calls = (of_key("chat.roles"), of_key("key.never_echoed", None))
    runner = run(plan_of(a_secret_tenant(), *calls), FakeSender(to("chat/completions", found)))
    result = runner.result(calls[1])
    assert result.outcome is Outcome.VIOLATES
    assert "x0003" in result.exchanges
    assert SECRET[5:21] not in repr(result)


def test_a_run_without_an_echo_conforms() -> None:
    """Answers that hold no secret give nothing to say."""
    calls = (of_key("chat.roles"), of_key("key.never_echoed", None))
    runner = run(plan_of(a_secret_tenant(), *calls), FakeSender())
    assert runner.result(calls[1]).outcome is Outcome.CONFORMS


def test_an_unpublished_name_is_found_in_the_whole_run() -> None:
    """An internal name in any answer violates, unless the request itself had named it."""
    tenant = a_secret_tenant(unpublished_models=("agent-7f3a",))
    calls = (of_key("chat.completes"), of_key("tenant.no_raw_model_ids", None))
    leaks = to("chat/completions", answer(changed(COMPLETION, {"system_fingerprint": "agent-7f3a"})))
    assert run(plan_of(tenant, *calls), FakeSender(leaks)).result(calls[1]).outcome is Outcome.VIOLATES
    hidden = to("chat/completions", answer(f'{{"provider": {escaped("agent-7f3a")}}}'))
    assert run(plan_of(tenant, *calls), FakeSender(hidden)).result(calls[1]).outcome is Outcome.VIOLATES
    assert run(plan_of(tenant, *calls), FakeSender()).result(calls[1]).outcome is Outcome.CONFORMS
    named = tenant_of(key("one", models=None), unpublished_models=(ALIAS,))
    fingerprint = to("chat/completions", answer(changed(COMPLETION, {"usage": DROPPED, "system_fingerprint": ALIAS})))
    runner = run(plan_of(named, *calls), FakeSender(fingerprint, for_key("one", answer({"data": []}), MODELS)))
    assert runner.result(calls[1]).outcome is Outcome.CONFORMS


def test_results_are_values(define: Defined) -> None:
    """A result is frozen: what was judged is not changed afterwards."""
    define("test.asks", asks)
    result: CheckResult = run(plan_of(TENANT, of_key("test.asks")), FakeSender()).result(of_key("test.asks"))
    with pytest.raises(AttributeError):
        result.outcome = Outcome.VIOLATES  # type: ignore[misc]


def test_a_plan_without_checks_ends_at_once() -> None:
    """A run of nothing sends nothing and ends."""
    sender = FakeSender()
    plan: Plan = plan_of(TENANT)
    runner = run(plan, sender)
    assert (runner.progress.planned, sender.sent, runner.refusal) == (0, [], None)
