"""The model list: the names of the key, each once, and what is made of a list that fails."""

from typing import Any

import pytest

from gt_conformance.checks import CheckCall, Parameters
from gt_conformance.exchange import Failure, Presentation, Request, Response
from gt_conformance.vocabulary import Outcome
from tests.fake_tenant import (
    ALIAS,
    BASE_URL,
    COMPLETION,
    FakeSender,
    Reply,
    Rule,
    answer,
    changed,
    given,
    judged,
    key,
    plan_of,
    refusal,
    run,
    tenant_of,
    to,
)

OTHER = "other"
CONTAINS, EXACT = "models.contains_alias", "models.exact_allowlist"
BROKEN = refusal(500, "Broken.")
LISTED = "GET /v1/models lists the published names that the key may use"


def models(*names: object, **facts: object) -> dict[str, Any]:
    """OpenAI's model list of these ids."""
    data = [{"id": name, "object": "model", "created": 1, "owned_by": "gt", **facts} for name in names]
    return {"object": "list", "data": data}


def listing(reply: Response | Reply | dict[str, Any]) -> Rule:
    """A rule for the model list. A key that does not exist is refused, so that the list alone is broken."""
    given = answer(reply) if isinstance(reply, dict) else reply

    def rule(request: Request) -> Response | Reply | None:
        if request.presentation is Presentation.MADE_UP:
            return refusal(401, "Unknown key.")
        return given if request.url == f"{BASE_URL}/v1/models" else None

    return rule


@pytest.mark.parametrize("check", [CONTAINS, EXACT])
def test_a_list_of_the_keys_names_conforms(check: str) -> None:
    """Nothing is said of it, with --strict neither."""
    result = judged(check, strict=True)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")


WRONG: dict[str, tuple[Response | dict[str, Any], str]] = {
    "a 5xx": (BROKEN, "HTTP 500: Broken."),
    "a redirect": (answer("", 302), "HTTP 302"),
    "a list of nothing": (answer({"object": "list"}), "data"),
    "names alone": (answer({"data": [ALIAS]}), "data.0"),
    "an entry without an id": (answer({"data": [{"name": ALIAS}]}), "data.0"),
    "an id that is a number": (models(7), "data.0.id"),
    "an empty id": (models(""), "data.0.id"),
}


@pytest.mark.parametrize("check", [CONTAINS, EXACT])
@pytest.mark.parametrize(("reply", "said"), WRONG.values(), ids=WRONG)
def test_a_list_that_cannot_be_read_violates(reply: Response | dict[str, Any], said: str, check: str) -> None:
    """A 2xx, a list, and a text as the id of each entry."""
    [violation] = judged(check, listing(reply)).violations
    assert violation.expected == LISTED
    assert said in violation.found


WITHOUT = f"{LISTED}, {ALIAS} among them"
TWELVE = [f"agent-{number:02}" for number in range(12)]
SOME = ", ".join(TWELVE[:5]) + " and 7 more"
EXACTLY = f"exactly the key's allowlist: {ALIAS}"
DIFFERENT: dict[str, tuple[str, dict[str, Any], list[tuple[str, str]]]] = {
    "no name": (CONTAINS, models(), [(WITHOUT, f"0 names without {ALIAS}")]),
    "another name": (CONTAINS, models("report-writer"), [(WITHOUT, f"1 name without {ALIAS}")]),
    "two others": (CONTAINS, models("a", "b"), [(WITHOUT, f"2 names without {ALIAS}")]),
    "the name in other letters": (CONTAINS, models(ALIAS.upper()), [(WITHOUT, f"1 name without {ALIAS}")]),
    "none is listed": (EXACT, models(), [(EXACTLY, f"not listed: {ALIAS}")]),
    "one too many": (EXACT, models(ALIAS, "agent-7f3a"), [(EXACTLY, "listed though not allowed: agent-7f3a")]),
    "another for it": (
        EXACT,
        models("agent-7f3a"),
        [(EXACTLY, f"not listed: {ALIAS}"), (EXACTLY, "listed though not allowed: agent-7f3a")],
    ),
    "many too many": (EXACT, models(ALIAS, *TWELVE), [(EXACTLY, f"listed though not allowed: {SOME}")]),
    "many names twice": (
        EXACT,
        models(ALIAS, *TWELVE, *TWELVE),
        [
            (EXACTLY, f"listed though not allowed: {SOME}"),
        ],
    ),
}


def test_a_name_that_is_listed_twice_is_remarked() -> None:
    """No page says that a name is listed once."""
    result = judged(EXACT, listing(models(ALIAS, ALIAS)))
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    assert f"each name should be listed once; more than once: {ALIAS}" in [item.text for item in result.advisories]


@pytest.mark.parametrize(("check", "body", "said"), DIFFERENT.values(), ids=DIFFERENT)
def test_a_list_of_other_names_violates(check: str, body: dict[str, Any], said: list[tuple[str, str]]) -> None:
    """What is missing and what is too many are findings of their own, each proved by the list."""
    sender = FakeSender(listing(body))
    found = judged(check, sender=sender).violations
    assert [(violation.expected, violation.found) for violation in found] == said
    assert {sender.request(violation.exchange).url for violation in found} == {f"{BASE_URL}/v1/models"}


def test_a_key_that_may_see_nothing_is_shown_nothing() -> None:
    """An empty allowlist is one."""
    tenant = tenant_of(key("chat", models=frozenset()))
    assert judged(EXACT, listing(models()), tenant=tenant).outcome is Outcome.CONFORMS
    [violation] = judged(EXACT, listing(models("a")), tenant=tenant).violations
    assert violation.expected == "exactly the key's allowlist: nothing"


UNKNOWN = tenant_of(key("chat", models=None))
DECLARE = "Add models: [...] to the key chat in the tenant file."


def test_without_an_allowlist_there_is_nothing_to_compare_with() -> None:
    """The tenant file has to say what the key may see."""
    result = judged(EXACT, tenant=UNKNOWN)
    assert (result.outcome, result.reason, result.remedy) == (
        Outcome.BLOCKED,
        "no allowlist is declared for the key chat",
        DECLARE,
    )


# -- the list as others use it


@pytest.mark.parametrize("check", ["chat.model_is_published", "embeddings.model_is_published"])
def test_names_that_nobody_tells_cannot_be_compared_with(check: str) -> None:
    """Neither the tenant file nor a list: that the list fails is its own row's finding, not this one's."""
    sender = FakeSender(listing(answer({"data": "none"})))
    result = judged(check, tenant=UNKNOWN, sender=sender)
    assert (result.outcome, result.reason, result.remedy, result.violations) == (
        Outcome.BLOCKED,
        "the key's names are unknown: none are declared, and GET /v1/models does not list them",
        DECLARE,
        (),
    )


def test_a_declared_allowlist_needs_no_list() -> None:
    """A name that the tenant lists and the tenant file does not allow is not a published one of the key."""
    rules = (
        listing(models(ALIAS, "agent-7f3a")),
        to("chat/completions", answer(changed(COMPLETION, {"model": "agent-7f3a"}))),
    )
    assert judged("chat.model_is_published", *rules).outcome is Outcome.VIOLATES
    assert judged("chat.model_is_published", *rules, tenant=UNKNOWN).outcome is Outcome.CONFORMS


WORKS_AFTER = "the key works after the client's discovery"
GONE = Reply(failure=Failure.CLOSED, detail="closed")


def afterwards(first: Response, later: Response | Reply) -> Rule:
    """A model list that answers the first key once so and then so."""
    seen: list[Request] = []

    def rule(request: Request) -> Response | Reply | None:
        if request.key == OTHER:
            return None
        found = listing(later if seen else first)(request)
        if request.url == f"{BASE_URL}/v1/models":
            seen.append(request)
        return found

    return rule


AFTER: dict[str, tuple[Response, Response | Reply, list[str]]] = {
    "it goes on": (answer(models(ALIAS)), answer(models(ALIAS)), []),
    "it failed before": (BROKEN, BROKEN, []),
    "it works at last": (BROKEN, answer(models(ALIAS)), []),
    "it is locked out": (answer(models(ALIAS)), refusal(403, "Locked."), ["HTTP 403: Locked."]),
    "no answer any more": (answer(models(ALIAS)), GONE, ["no answer: closed"]),
}


@pytest.mark.parametrize(("first", "later", "said"), AFTER.values(), ids=AFTER)
def test_a_key_that_listed_models_goes_on_listing_them(
    first: Response, later: Response | Reply, said: list[str]
) -> None:
    """A list that failed before as it does now tells nothing of what came between; another key tells it from a ban."""
    parameters = Parameters(discovery=("GET /props",))
    call, other = (CheckCall("client.discovery", name, parameters) for name in ("chat", OTHER))
    session = run(plan_of(tenant_of(key("chat"), key(OTHER)), call, other), FakeSender(afterwards(first, later)))
    found = session.result(call)
    assert [(violation.expected, violation.found) for violation in found.violations] == [
        (WORKS_AFTER, text) for text in said
    ]
    assert found.outcome is (Outcome.VIOLATES if said else Outcome.CONFORMS)


@pytest.mark.parametrize(
    ("to_all", "said"), [(True, [f"{ALIAS} at GET /api/tenant/api/tags without a key"]), (False, [])]
)
def test_a_path_of_another_server_lists_no_names_without_a_key(to_all: bool, said: list[str]) -> None:  # noqa: FBT001
    """What it says to the key is advised alone: that it is there at all is forbidden by no page."""
    tags = answer({"models": [{"name": ALIAS}]})
    rules = (
        given(refusal(401), lambda request: request.key is None and not to_all),
        given(tags, lambda request: request.url.endswith("/api/tags")),
        given(refusal(401), lambda request: request.key is None),
        listing(models(ALIAS)),
    )
    result = judged("client.discovery", *rules, parameters=Parameters(discovery=("GET /api/tags",)))
    assert [violation.found for violation in result.violations] == said
    assert len(result.advisories) == 1
