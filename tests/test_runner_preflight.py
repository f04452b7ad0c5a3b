"""The runner and the keys: each passes its preflight before it is used, and a tenant may be none to judge."""

from collections import Counter
from dataclasses import replace

import pytest

from gt_conformance.checks import Probe
from gt_conformance.checks import _requests as requests
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Failure, Presentation, Request, Response
from gt_conformance.tenant import Secret
from gt_conformance.vocabulary import Outcome
from tests.defined_checks import (
    CHAT,
    MODELS,
    NOWHERE,
    SECRET,
    TENANT,
    Defined,
    asks,
    chats,
    definer,
    for_key,
    of_key,
    reads_all,
    run,
    sent_urls,
)
from tests.fake_tenant import (
    HTML_PAGE,
    FakeSender,
    Reply,
    Rule,
    answer,
    key,
    plan_of,
    refusal,
    tenant_of,
)


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Defined:
    """Define a check for this test: what it does, and whether it creates or reads the whole run."""
    return definer(monkeypatch)


# -- preflight


def test_a_key_passes_preflight_before_it_is_used(define: Defined) -> None:
    """Each key lists models before its first request, the first is refused where nothing is; an unused key is not."""
    define("test.asks", asks)
    sender = FakeSender()
    run(plan_of(TENANT, of_key("test.asks", "one"), of_key("test.asks", "two")), sender)
    for name, wanted in {"one": [MODELS, NOWHERE, CHAT], "two": [MODELS, CHAT]}.items():
        assert [url for who, url in sent_urls(sender) if who == name] == wanted
    assert not [request for request in sender.sent if request.key == "three"]
    first = sent_urls(sender).index(("one", NOWHERE))
    assert sent_urls(sender).index(("two", MODELS)) > first


FAILING: dict[str, tuple[Rule, str]] = {
    "a key that is refused": (for_key("two", refusal(401, "Unknown key.")), "HTTP 401: Unknown key."),
    "a key that may do nothing": (for_key("two", refusal(403, "No rights.")), "HTTP 403: No rights."),
    "a key that gets a web page": (for_key("two", HTML_PAGE), "it is an HTML page"),
    "a key that gets no answer": (for_key("two", Reply(failure=Failure.TIMEOUT, detail="late")), "no answer: late"),
    "a key that is busy": (for_key("two", refusal(429)), "429 (too many requests)"),
}


@pytest.mark.parametrize(("rule", "said"), FAILING.values(), ids=FAILING)
def test_a_preflight_that_fails_blocks_its_key_alone(define: Defined, rule: Rule, said: str) -> None:
    """Where a key's preflight fails, its checks are blocked with the reason, and other keys' are judged."""
    define("test.asks", asks)
    sender = FakeSender(rule)
    runner = run(plan_of(TENANT, *(of_key("test.asks", name) for name in ("one", "two", "three"))), sender)
    outcomes = [runner.result(of_key("test.asks", name)).outcome for name in ("one", "two", "three")]
    assert outcomes == [Outcome.CONFORMS, Outcome.BLOCKED, Outcome.CONFORMS]
    blocked = runner.result(of_key("test.asks", "two"))
    assert said in blocked.reason
    assert blocked.remedy
    assert ("two", CHAT) not in sent_urls(sender)
    assert runner.refusal is None


def test_preflight_is_run_once_a_key(define: Defined) -> None:
    """However many checks use a key that fails its preflight, that is sent once."""
    for name in ("test.a", "test.b", "test.c"):
        define(name, asks)
    sender = FakeSender(for_key("one", refusal(401)))
    run(plan_of(TENANT, *map(of_key, ("test.a", "test.b", "test.c"))), sender)
    assert sent_urls(sender).count(("one", MODELS)) == 1


async def presents(probe: Probe) -> None:
    """Present the keys in ways that are to be refused."""
    chat = chats(probe)
    for presentation in (Presentation.NONE, Presentation.WITHOUT_SCHEME, Presentation.BASIC, Presentation.QUERY):
        await probe.send(requests.present(chat, presentation, "three"))
    await probe.send(requests.present(chat, Presentation.MADE_UP, None))
    for dead in ("gone", "one.old"):
        await probe.send(replace(chat, key=dead))


def test_what_is_to_be_refused_needs_no_preflight_of_its_own(define: Defined) -> None:
    """A key shown in another way, a made-up, a retired and a revoked one are sent as they are, once a key works."""
    define("test.presents", presents)
    keys = [replace(key("one"), retired_secret=Secret(SECRET)), key("three"), key("gone", revoked=True)]
    sender = FakeSender()
    run(plan_of(tenant_of(*keys), of_key("test.presents")), sender)
    assert Counter(who for who, url in sent_urls(sender) if url != CHAT) == {"one": 2}
    assert len([url for _, url in sent_urls(sender) if url == CHAT]) == 7


def test_no_refusal_proves_anything_where_no_key_works(define: Defined) -> None:
    """Where every key fails its preflight, what is to be refused is not even sent."""
    define("test.presents", presents)
    sender = FakeSender(lambda _: refusal(401))
    runner = run(plan_of(TENANT, of_key("test.presents")), sender)
    result = runner.result(of_key("test.presents"))
    assert result.outcome is Outcome.BLOCKED
    assert "preflight for key `one` failed" in result.reason
    assert {url for _, url in sent_urls(sender)} == {MODELS, NOWHERE}


BROKEN_LIST = for_key("one", refusal(500, "Broke."), MODELS)


@pytest.mark.parametrize("told_apart", [True, False])
def test_a_model_list_that_alone_is_broken_is_a_finding(define: Defined, *, told_apart: bool) -> None:
    """Where the list fails, its own checks find it; others are judged where the tenant tells real keys from made-up."""
    define("test.asks", asks)

    def made_up(request: Request) -> Response | None:
        return refusal(401) if request.presentation is Presentation.MADE_UP and told_apart else None

    runner = run(
        plan_of(TENANT, of_key("models.contains_alias"), of_key("test.asks")), FakeSender(BROKEN_LIST, made_up)
    )
    assert runner.result(of_key("models.contains_alias")).outcome is Outcome.VIOLATES
    assert runner.result(of_key("test.asks")).outcome is (Outcome.CONFORMS if told_apart else Outcome.BLOCKED)
    assert runner.refusal is None


# -- a tenant that cannot be judged


AT_ONCE: dict[str, tuple[Response | Reply, str]] = {
    "no connection": (Reply(failure=Failure.CONNECT, detail="no connection (refused)"), "no connection (refused)"),
    "no address": (Reply(failure=Failure.DNS, detail="the host's name has no address"), "has no address"),
    "no TLS": (Reply(failure=Failure.TLS, detail="the TLS connection failed"), "TLS"),
    "no answer": (Reply(failure=Failure.TIMEOUT, detail="nothing came"), "nothing came"),
    "a web page": (HTML_PAGE, "it is an HTML page"),
    "a proxy before nothing": (answer("Bad Gateway", 502, "text/plain"), "HTTP 502"),
    "a proxy that speaks JSON": (answer({"message": "down"}, 503), "HTTP 503: down"),
    "a redirect": (answer("", 302, location="https://acme.example/login"), "HTTP 302 redirect to"),
}


@pytest.mark.parametrize(("found", "said"), AT_ONCE.values(), ids=AT_ONCE)
def test_a_tenant_that_is_not_there_blocks_everything_at_once(
    define: Defined, found: Response | Reply, said: str
) -> None:
    """The first preflight tells that nothing can be judged: no other request is sent, and everything says why."""
    define("test.asks", asks)
    define("test.reads", reads_all, whole_run=True)
    calls = [*(of_key("test.asks", name) for name in ("one", "two", "three")), of_key("test.reads", None)]
    sender = FakeSender(lambda _: found)
    runner = run(plan_of(TENANT, *calls), sender)
    assert len(sender.sent) <= 2
    results = [runner.result(call) for call in calls]
    assert {result.outcome for result in results} == {Outcome.BLOCKED}
    assert {result.reason for result in results} == {runner.refusal.reason if runner.refusal else None}
    assert said in results[0].reason
    assert results[0].remedy


def test_a_tenant_that_takes_no_key_refuses_the_run(define: Defined) -> None:
    """Where every key that is used is refused, the run could judge nothing; where one works, it could."""
    define("test.asks", asks)
    define("test.reads", reads_all, whole_run=True)
    calls = [of_key("test.asks", "one"), of_key("test.asks", "two"), of_key("test.reads", None)]
    tenant = tenant_of(key("one"), key("two"))
    runner = run(plan_of(tenant, *calls), FakeSender(lambda _: refusal(401, "Unknown key.")))
    assert runner.refusal is not None
    assert runner.refusal.reason.startswith(
        "the tenant refuses all 2 keys that were tried: preflight for key `one` failed"
    )
    assert "Unknown key." in runner.refusal.reason
    alone = run(plan_of(tenant_of(key("one")), calls[0]), FakeSender(lambda _: refusal(401, "Unknown key.")))
    assert alone.refusal is not None
    assert alone.refusal.reason == alone.result(calls[0]).reason
    assert {runner.result(call).outcome for call in calls} == {Outcome.BLOCKED}
    runner = run(plan_of(tenant, *calls), FakeSender(for_key("one", refusal(401, "Unknown key."))))
    assert runner.refusal is None
    assert [runner.result(call).outcome for call in calls] == [Outcome.BLOCKED, *[Outcome.CONFORMS] * 2]


def test_a_limit_that_is_reached_is_no_fault_of_the_tenant(define: Defined) -> None:
    """Where max_requests forbids a key's preflight, its checks are blocked for that, and the tenant is not blamed."""

    class Limited(FakeSender):
        async def send(self, request: Request, ref: str) -> Exchange:
            if request.key == "two":
                raise Blocked("the run's limit of 3 requests was reached", "Raise limits.max_requests.")
            return await super().send(request, ref)

    define("test.asks", asks)
    runner = run(plan_of(TENANT, of_key("test.asks", "one"), of_key("test.asks", "two")), Limited())
    assert runner.result(of_key("test.asks", "one")).outcome is Outcome.CONFORMS
    blocked = runner.result(of_key("test.asks", "two"))
    assert (blocked.outcome, blocked.remedy) == (Outcome.BLOCKED, "Raise limits.max_requests.")
    assert runner.refusal is None
