"""What clients discover: what nobody serves is refused at once, misleads no client, and locks no key out."""

from collections import Counter
from dataclasses import replace

import pytest

from gt_conformance.checks import CheckCall, Parameters
from gt_conformance.exchange import Failure, Request
from gt_conformance.vocabulary import Outcome
from tests.fake_tenant import (
    TENANT,
    FakeSender,
    Reply,
    Rule,
    answer,
    judged,
    key,
    plan_of,
    refusal,
    run,
    tenant_of,
)

CHAT = "chat/completions"
SERVER_ERROR = refusal(500, "Something broke.")
GONE = Reply(failure=Failure.CLOSED, detail="the connection was closed without an answer")
DISCOVERY = Parameters(discovery=("GET /api/tags", "GET /v1/props"))


def tags(found: object) -> Rule:
    """A rule for the first discovery request."""
    return lambda request: found if request.url.endswith("/api/tags") else None  # type: ignore[return-value]


SLOW, SLOWER = Reply(refusal(404), elapsed_ms=2_001), Reply(refusal(404), elapsed_ms=60_000)
DISCOVERED: dict[str, tuple[Rule, str]] = {
    "a 2xx": (tags(answer({})), "should be refused with a 4xx: GET /api/tags with the key gives HTTP 200"),
    "a 5xx": (tags(SERVER_ERROR), "GET /api/tags with the key gives HTTP 500"),
    "a redirect": (tags(answer("", 301)), "GET /api/tags with the key gives HTTP 301"),
    "no answer": (tags(GONE), "no answer"),
    "a slow refusal": (tags(SLOW), "within two seconds: GET /api/tags with the key took 2.0 s"),
    "a refusal after a minute": (
        tags(SLOWER),
        "GET /api/tags with the key took 60.0 s",
    ),
    "with the key only": (
        lambda request: answer({}) if request.url.endswith("/api/tags") and request.key else None,
        "GET /api/tags with the key gives HTTP 200",
    ),
}


@pytest.mark.parametrize(("rule", "said"), DISCOVERED.values(), ids=DISCOVERED)
def test_discovery_that_is_not_refused_at_once_is_remarked(rule: Rule, said: str) -> None:
    """A discovery request that gets anything but a quick 4xx is remarked."""
    result = judged("client.discovery", rule, parameters=DISCOVERY)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    assert any(said in item.text for item in result.advisories)


def test_what_answers_all_discovery_is_remarked_once() -> None:
    """A web application, or a redirect for every path: a line for each request would say no more."""
    paths = [line.partition(" ")[2] for line in DISCOVERY.discovery]
    found = answer("<html>", 200, "text/html")
    page = judged(
        "client.discovery",
        lambda request: found if any(request.url.endswith(path) for path in paths) else None,
        parameters=DISCOVERY,
    )
    assert len(paths) > 1
    assert sum("should be refused with a 4xx" in item.text for item in page.advisories) == 1


def test_discovery_that_misleads_the_client_is_a_violation() -> None:
    """Where a success makes the client take the tenant for another server, it violates."""
    result = judged("client.discovery", tags(answer({})), parameters=replace(DISCOVERY, needs=("GET /api/tags",)))
    assert result.outcome is Outcome.VIOLATES
    assert "this client takes the tenant for another server" in result.violations[0].expected


def test_a_refusal_just_in_time_is_quick() -> None:
    """Two seconds are still quick."""
    in_time = Reply(refusal(404), elapsed_ms=2_000)
    assert judged("client.discovery", tags(in_time), parameters=DISCOVERY).outcome is Outcome.CONFORMS


def locks_out(key_name: str) -> Rule:
    """A tenant that lists that key's models once."""
    listed: list[Request] = []

    def rule(request: Request) -> Reply | None:
        if request.url.endswith("/v1/models") and request.key == key_name:
            listed.append(request)
            return Reply(refusal(403, "Locked.")) if len(listed) > 1 else None
        return None

    return rule


def test_a_key_that_discovery_locks_out_is_a_violation() -> None:
    """The key must list models after the client has found out what the server is."""
    locked, other = (CheckCall("client.discovery", name, DISCOVERY) for name in ("chat", "other"))
    plan = plan_of(tenant_of(key("chat"), key("other")), locked, other)
    session = run(plan, FakeSender(locks_out("chat")))
    assert session.result(other).outcome is Outcome.CONFORMS
    result = session.result(locked)
    assert result.outcome is Outcome.VIOLATES
    assert result.reason == "expected the key works after the client's discovery; found HTTP 403: Locked."


def test_that_every_key_is_locked_out_is_not_told_from_a_ban() -> None:
    """A gateway may ban a caller that was refused too often: no key is left that would tell."""
    result = judged("client.discovery", locks_out("chat"), parameters=DISCOVERY)
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    assert result.reason.startswith("a live key stopped working after ")


def test_discovery_asks_without_the_key_as_well_where_an_answer_misleads() -> None:
    """Each discovery request goes out with the key, and once more without it where a success would mislead."""
    sender = FakeSender()
    judged("client.discovery", parameters=replace(DISCOVERY, needs=("GET /api/tags",)), sender=sender)
    asked = [(request.url.removeprefix(TENANT.base_url), request.key) for request in sender.sent]
    assert Counter(pair for pair in asked if pair[0] in {"/api/tags", "/v1/props"}) == Counter(
        [("/api/tags", None), ("/api/tags", "chat"), ("/v1/props", "chat")]
    )
