"""Checks that rest on others: what cannot hold by itself sends nothing, and belongs to the finding that explains it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance.checks import MINIMAL, Check, CheckCall, Parameters, Probe, Registry
from gt_conformance.exchange import Request
from gt_conformance.planning import Plan
from gt_conformance.session import Session
from gt_conformance.vocabulary import Outcome, Route
from tests.fake_tenant import REGISTRY, FakeSender, key, place, plan_of, run, tenant_of

TENANT = tenant_of(key("one"), key("two"))
Body = Callable[[Probe], Awaitable[None]]
STREAMED, NAMED = Parameters(stream=True), Parameters(runbook="dify")


def asking(path: str, *, holds: bool = True, usable: bool = True) -> Body:
    """A check that asks for a path, and finds something where it does not hold."""

    async def body(probe: Probe) -> None:
        exchange = await probe.send(Request("GET", probe.url(f"/v1/{path}"), probe.credential.name))
        probe.usable = usable
        probe.must(holds, "it holds", "it does not", exchange)

    return body


def made(name: str, body: Body, **facts: Any) -> Check:
    """A check of that id."""
    return Check(name, f"{name} holds.", f"Repair {name}.", "a test", body, **facts)


def planned(checks: list[Check], *calls: CheckCall) -> Plan:
    """A plan of these calls; these checks open their routes alone."""
    taken = {check.opens for check in checks if check.opens is not None}
    others = [replace(check, opens=None) if check.opens in taken else check for check in REGISTRY.checks]
    return replace(plan_of(TENANT, *calls), registry=Registry((*others, *checks)))


def judged(checks: list[Check], *calls: CheckCall) -> tuple[Session, list[str]]:
    """The session that judged these calls, and the paths that checks asked for, in order.

    What is refused is asked for again at the end of a run.
    """
    sender = FakeSender()
    session = run(planned(checks, *calls), sender)
    assert not session.suite_errors, session.suite_errors
    asked = dict.fromkeys(request for request in sender.sent if "test" in request.url)
    return session, [place(request).removeprefix("/v1/") for request in asked]


NEEDED, RESTING = CheckCall("test.needed", "one"), CheckCall("test.resting", "one")


def resting(body: Body | None = None) -> Check:
    """A check that declares to rest on another."""
    return made("test.resting", body or asking("test-resting"), rests_on=("test.needed",))


def test_what_rests_on_a_failed_check_sends_nothing() -> None:
    """It is blocked because of that finding, says which check it was, and has no remedy of its own."""
    session, asked = judged(
        [made("test.needed", asking("test-needed", holds=False, usable=False)), resting()], NEEDED, RESTING
    )
    needed, result = session.result(NEEDED), session.result(RESTING)
    assert asked == ["test-needed"]
    assert (needed.outcome, result.outcome) == (Outcome.VIOLATES, Outcome.BLOCKED)
    assert result.because == needed.finding != ""
    assert result.reason == "test.needed does not hold: expected it holds; found it does not"
    assert result.remedy == ""


def test_what_rests_on_a_blocked_check_is_blocked_by_the_same_thing() -> None:
    """The cause is handed on, not the check in between."""

    async def blocks(probe: Probe) -> None:
        probe.block("no dataset is named", "Add a dataset.")

    further = made("test.further", asking("test-further"), rests_on=("test.resting",))
    last = CheckCall("test.further", "one")
    session, asked = judged([made("test.needed", blocks), resting(), further], NEEDED, RESTING, last)
    assert asked == []
    assert {session.result(call).finding for call in (NEEDED, RESTING, last)} == {session.result(NEEDED).finding}
    assert session.result(last).reason == "no dataset is named"


def test_what_fails_and_is_usable_still_bears() -> None:
    """What was asked for came: that not all of it is right keeps no other check from asking."""
    session, asked = judged([made("test.needed", asking("test-needed", holds=False)), resting()], NEEDED, RESTING)
    assert asked == ["test-needed", "test-resting"]
    assert session.result(RESTING).outcome is Outcome.CONFORMS


def test_another_keys_failure_is_no_matter() -> None:
    """A check rests on what its own key got."""
    session, asked = judged(
        [made("test.needed", asking("test-needed", holds=False, usable=False)), resting()],
        replace(NEEDED, credential="two"),
        RESTING,
    )
    assert "test-resting" in asked
    assert session.result(RESTING).outcome is Outcome.CONFORMS


def test_of_several_calls_the_nearest_is_rested_on() -> None:
    """The streamed one rests on the streamed one; that of another runbook does not touch it."""

    async def fails_streamed(probe: Probe) -> None:
        await asking("test-needed", holds=not probe.parameters.stream, usable=not probe.parameters.stream)(probe)

    calls = [replace(call, parameters=shape) for call in (NEEDED, RESTING) for shape in (STREAMED, NAMED)]
    session, _ = judged([made("test.needed", fails_streamed), resting()], *calls)
    assert [session.result(call).outcome for call in calls] == [
        Outcome.VIOLATES,
        Outcome.CONFORMS,
        Outcome.BLOCKED,
        Outcome.CONFORMS,
    ]


OPENING = CheckCall("test.opens", "one", STREAMED)


def opens(*, holds: bool) -> Check:
    """A check that opens the chat, in whatever form."""

    async def body(probe: Probe) -> None:
        await asking("test-minimal" if probe.parameters.minimal else "test-shaped", holds=holds, usable=holds)(probe)

    return made("test.opens", body, opens=Route.CHAT)


def test_a_check_in_a_clients_shape_inherits_what_breaks_its_plainest_form() -> None:
    """The same finding, which it is not blocked by but has: nothing is sent in its own shape."""
    session, asked = judged([opens(holds=False)], OPENING)
    result, (plainest,) = session.result(OPENING), session.record()["footing"]
    assert asked == ["test-minimal"]
    assert (result.call, result.outcome) == (OPENING, Outcome.VIOLATES)
    assert (plainest["id"], plainest["parameters"]) == ("test.opens", {"minimal": True})
    assert result.finding == plainest["breaches"][0]["finding"]


def test_what_is_asked_of_a_route_rests_on_its_plainest_form() -> None:
    """No case names that; where it conforms the record does not either."""
    for holds, outcome in ((True, Outcome.CONFORMS), (False, Outcome.BLOCKED)):
        check = made("test.resting", asking("test-resting"), rests_on=("test.opens",))
        session, asked = judged([opens(holds=holds), check], RESTING)
        assert asked == ["test-minimal", *(["test-resting"] if holds else [])]
        assert session.result(RESTING).outcome is outcome
        assert [one["id"] for one in session.record().get("footing", [])] == ([] if holds else ["test.opens"])


def test_a_route_that_is_required_in_the_body_is_opened_once() -> None:
    """However many ask for it; with another key it is another's."""

    async def body(probe: Probe) -> None:
        await probe.require_route(Route.CHAT)
        await probe.require_route(Route.CHAT, "two")
        await asking("test-resting")(probe)

    session, asked = judged(
        [opens(holds=True), made("test.resting", body)], RESTING, replace(RESTING, parameters=NAMED)
    )
    assert sorted(asked) == ["test-minimal", "test-minimal", "test-resting"]
    assert session.result(RESTING).outcome is Outcome.CONFORMS


@pytest.mark.parametrize(("conforming", "outcome"), [(False, Outcome.CONFORMS), (True, Outcome.BLOCKED)])
def test_all_that_a_check_claims_may_be_required(conforming: bool, outcome: Outcome) -> None:  # noqa: FBT001 - a parameter
    """Usable is enough, unless the body asks for all of it to conform."""

    async def body(probe: Probe) -> None:
        await probe.require("test.needed", parameters=Parameters(), conforming=conforming)

    needed = made("test.needed", asking("test-needed", holds=False))
    session, _ = judged([needed, made("test.resting", body)], NEEDED, RESTING)
    result = session.result(RESTING)
    assert result.outcome is outcome
    assert result.because == (session.result(NEEDED).finding if conforming else "")


# -- what one client's request shows of another's

ALL_FIELDS = CheckCall("test.shaped", "one", Parameters(fields=(("seed", 1), ("user", "x"))), stand_ins=("two",))
FEWER_FIELDS = replace(ALL_FIELDS, parameters=Parameters(fields=(("user", "x"),), needs=("usage",)))


def shaped(*, refuses: str = "") -> Check:
    """A check that asks with the fields of its parameters, of a tenant that refuses one of them."""

    async def body(probe: Probe) -> None:
        names = [name for name, _ in probe.parameters.fields]
        await asking(f"test-{'-'.join(names)}", holds=refuses not in names)(probe)

    return made("test.shaped", body)


def test_a_request_with_more_fields_shows_what_one_with_fewer_would() -> None:
    """Where one key asks for all, the widest request is sent, and each client's needs are read in its answer."""
    session, asked = judged([shaped()], ALL_FIELDS, FEWER_FIELDS)
    assert asked == ["test-seed-user"]
    assert [session.result(call).outcome for call in (ALL_FIELDS, FEWER_FIELDS)] == [Outcome.CONFORMS] * 2
    assert session.result(FEWER_FIELDS).call == FEWER_FIELDS


def test_what_fails_for_a_field_that_a_client_does_not_send_is_asked_for_without_it() -> None:
    """So that nobody is accused of what only another client's field breaks."""
    session, asked = judged([shaped(refuses="seed")], ALL_FIELDS, FEWER_FIELDS)
    assert sorted(asked) == ["test-seed-user", "test-user"]
    assert session.result(ALL_FIELDS).outcome is Outcome.VIOLATES
    assert session.result(FEWER_FIELDS).outcome is Outcome.CONFORMS


@pytest.mark.parametrize(
    "other",
    [
        replace(FEWER_FIELDS, stand_ins=()),
        replace(FEWER_FIELDS, credential="two"),
        replace(FEWER_FIELDS, parameters=Parameters(fields=(("user", "y"),))),
        replace(FEWER_FIELDS, parameters=replace(FEWER_FIELDS.parameters, stream=True)),
    ],
    ids=["a key's own request", "another key", "another value", "another shape"],
)
def test_only_the_same_request_with_more_fields_stands_for_another(other: CheckCall) -> None:
    """What differs in anything else is sent by itself."""
    assert planned([shaped()], ALL_FIELDS, other).widened(other) is None
    assert planned([shaped()], ALL_FIELDS, FEWER_FIELDS).widened(FEWER_FIELDS) is not None


def test_a_stream_with_its_usage_shows_what_one_without_would() -> None:
    """The usage is asked for in a body field as others are."""
    usage = replace(FEWER_FIELDS, parameters=replace(FEWER_FIELDS.parameters, stream_usage=True))
    plan = planned([shaped()], usage, FEWER_FIELDS)
    assert (plan.widened(FEWER_FIELDS), plan.widened(usage)) == (usage, None)


# -- which call is nearest


@pytest.mark.parametrize(
    ("one", "other", "likeness"),
    [
        (Parameters(), Parameters(), 0),
        (Parameters(), STREAMED, 0),
        (STREAMED, STREAMED, 1),
        (STREAMED, NAMED, 0),
        (replace(STREAMED, runbook="dify"), replace(STREAMED, runbook="dify", token_limit="max_tokens"), 2),
        (NAMED, Parameters(runbook="n8n"), None),
        (replace(STREAMED, runbook="dify"), replace(STREAMED, runbook="n8n"), None),
    ],
)
def test_likeness_counts_what_both_set_alike(one: Parameters, other: Parameters, likeness: int | None) -> None:
    """What only one of them sets does not count; what both set and differs makes them strangers. In both directions."""
    assert one.likeness(other) == likeness
    assert other.likeness(one) == likeness


def test_the_nearest_call_has_the_same_key_and_contradicts_nothing() -> None:
    """Of those that suit, the one that is like it in most; none where all of them are about another shape."""
    needed = made("test.needed", asking("test-needed"))
    shapes = (NAMED, replace(NAMED, stream=True), Parameters(runbook="n8n", stream=True))
    plan = planned([needed, resting()], *(replace(NEEDED, parameters=shape) for shape in shapes))

    def nearest(parameters: Parameters, name: str = "one") -> Parameters | None:
        found = plan.nearest("test.needed", CheckCall("test.resting", name, parameters))
        return found.parameters if found is not None else None

    assert nearest(NAMED) in {NAMED, replace(NAMED, stream=True)}
    assert nearest(replace(NAMED, stream=True)) == replace(NAMED, stream=True)
    assert nearest(Parameters(runbook="n8n")) == shapes[2]
    assert nearest(Parameters(runbook="aider")) is None
    assert nearest(NAMED, "two") is None
    assert plan.nearest("test.other", RESTING) is None
    assert MINIMAL not in {call.parameters for call in plan.distinct}
