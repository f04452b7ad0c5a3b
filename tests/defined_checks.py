"""Checks that a test defines, and a runner that has carried them out over a sender of made-up answers."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gt_conformance.checks import Check, CheckCall, Parameters, Probe, Registry
from gt_conformance.checks import _requests as requests
from gt_conformance.exchange import Request, Response
from gt_conformance.planning import Plan
from gt_conformance.runner import Runner, Sender
from tests import fake_tenant
from tests.fake_tenant import (
    BASE_URL,
    FakeSender,
    Reply,
    Rule,
    key,
    tenant_of,
)

SECRET = "gtak_4f9AbQ-x7Lm2_ZkR0vTn8sWc"
TENANT = tenant_of(key("one"), key("two"), key("three"))
MODELS, NOWHERE = f"{BASE_URL}/v1/models", f"{BASE_URL}/v1/gt-conformance-no-such-route"
CHAT = f"{BASE_URL}/v1/chat/completions"
Body = Callable[[Probe], Awaitable[None]]


def run(plan: Plan, sender: Sender, *, strict: bool = False) -> Runner:
    """The runner after it carried the plan out to the end."""
    runner = Runner(plan, lambda: sender, run_id="r1", strict=strict)
    runner.start()
    try:
        for call in plan.distinct:
            runner.result(call)
    finally:
        runner.stop()
    return runner


Defined = Callable[..., None]


def definer(monkeypatch: pytest.MonkeyPatch) -> Defined:
    """Define a check for this test: what it does, and whether it creates or reads the whole run."""

    def defining(check_id: str, body: Body, **facts: Any) -> None:
        made = Check(check_id, f"The claim of {check_id}.", f"The remedy of {check_id}.", "a test", body, **facts)
        monkeypatch.setattr(fake_tenant, "REGISTRY", Registry((*fake_tenant.REGISTRY.checks, made)))

    return defining


def of_key(check: str, name: str | None = "one", **parameters: Any) -> CheckCall:
    """The check applied to that key."""
    return CheckCall(check, name, Parameters(**parameters))


def chats(probe: Probe) -> Request:
    """A chat of the check's key."""
    return requests.chat(probe.tenant, probe.credential.name)


async def asks(probe: Probe) -> None:
    """Send a chat, and hold the answer to be a 2xx."""
    probe.success(await probe.send(chats(probe)), "the chat is answered")


def sent_urls(sender: FakeSender) -> list[tuple[str | None, str]]:
    """What was sent: the key and the address of each request, in order."""
    return [(request.key, request.url) for request in sender.sent]


def for_key(name: str, found: Response | Reply, url: str | None = None) -> Rule:
    """A rule for the requests of one key, to one address if it is named."""
    return lambda request: found if request.key == name and url in {None, request.url} else None


async def breaks_two_promises(probe: Probe) -> None:
    """Note two violations, an advisory and a blocker, and stop."""
    exchange = await probe.send(chats(probe))
    probe.fail("a", "b", exchange)
    probe.fail("c", "d", exchange, remedy="Mend d.")
    probe.advise("remarked", exchange)
    probe.block("not all was tried", "Try.")
    probe.stop_if_failed()
    raise AssertionError("never reached")


async def reads_all(probe: Probe) -> None:
    """Note every exchange of the run."""
    for exchange in probe.seen:
        probe.note(exchange)


async def raises(probe: Probe) -> None:
    """Fail as a check that has a fault would, with a secret in the message."""
    await probe.send(chats(probe))
    raise KeyError(probe.tenant.secrets()[probe.credential.name].reveal())
