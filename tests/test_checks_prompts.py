"""Texts that the tenant puts before chats on the server: asked for where the tenant file marks them, and only there."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance.checks import CheckCall
from gt_conformance.checks._capability import TRIES
from gt_conformance.exchange import Request, Response
from gt_conformance.planning import make_plan
from gt_conformance.tenant import Credential, Marker, Tenant
from gt_conformance.vocabulary import Actor, Outcome, Purpose, Scope
from tests.fake_tenant import (
    ALIAS,
    COMPLETION,
    DONE,
    FINISH,
    ROLE,
    FakeSender,
    Reply,
    Rule,
    answer,
    changed,
    chunk,
    extensions,
    given,
    judged,
    key,
    plan_of,
    refusal,
    run,
    sent_json,
    stream,
    tenant_of,
)
from tests.scripted import BOOKS

APPLIED = "prompts.applied"
BASE, MODULES, TEXT = (
    Marker("Which lighthouse?", "Skerryvore"),
    Marker("Who keeps the vault?", "Ailsa"),
    Marker("Which berth?", "Dogger"),
)
RAG = key("rag", prompt_modules=MODULES, prompt_text=TEXT)
MARKED = tenant_of(RAG, base_prompts={ALIAS: BASE})


def asked(request: Request) -> str:
    """What the last message of a chat says; empty in any other request."""
    messages = sent_json(request).get("messages")
    return str(messages[-1]["content"]) if messages else ""


def speaking(*markers: Marker, recalls: bool = True, streams: bool = True) -> Rule:
    """A tenant that applies these texts, to streamed chats or not; its model ``recalls`` what a request says."""

    def rule(request: Request) -> Response | None:
        streamed = bool(sent_json(request).get("stream"))
        known = {marker.ask: marker.expect for marker in markers if streams or not streamed}
        messages = sent_json(request).get("messages", [])
        text = known.get(asked(request), "I do not know.")
        if len(messages) > 1 and recalls and asked(request) not in known:
            text = str(messages[0]["content"])
        if not asked(request) or "Reply" in asked(request):
            return None
        if streamed:
            return stream(ROLE, *(chunk({"content": piece}) for piece in (text[:3], text[3:])), FINISH, DONE)
        return answer(changed(COMPLETION, {"choices.0.message.content": text}))

    return rule


def test_texts_that_are_applied_conform() -> None:
    """Each is asked for once plainly, once in a stream and once by the un-versioned address."""
    sender = FakeSender(speaking(BASE, MODULES, TEXT))
    result = judged(APPLIED, tenant=MARKED, sender=sender, strict=True)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    questions = [asked(request) for request in sender.sent if "?" in asked(request)]
    assert sorted(questions) == sorted(3 * [marker.ask for marker in (BASE, MODULES, TEXT)])


DROPPED: dict[str, tuple[tuple[Marker, ...], str]] = {
    "the base prompt": ((MODULES, TEXT), f"the base prompt of {ALIAS} says: 'Skerryvore'"),
    "the prompt modules": ((BASE, TEXT), "the prompt modules of the key rag says: 'Ailsa'"),
    "the additional text": ((BASE, MODULES), "the additional prompt text of the key rag says: 'Dogger'"),
}


@pytest.mark.parametrize(("kept", "said"), DROPPED.values(), ids=DROPPED)
def test_a_text_that_shows_nowhere_violates(kept: tuple[Marker, ...], said: str) -> None:
    """One finding, plain and streamed; its remedy names the place in the tenant file, which may be wrong as well."""
    result = judged(APPLIED, speaking(*kept), tenant=MARKED)
    assert [violation.expected for violation in result.violations] == [
        f"a chat is answered as {said}",
        f"a streamed chat is answered as {said}",
    ]
    assert {violation.found for violation in result.violations} == {f"{TRIES} answers without it"}
    assert len({violation.finding for violation in result.violations}) == 1
    assert "in the tenant file" in (result.violations[0].remedy or "")


def test_a_text_that_streams_alone_lack_violates() -> None:
    """What plain chats show, the model can say in a stream as well."""
    result = judged(APPLIED, speaking(BASE, MODULES, TEXT, streams=False), tenant=MARKED)
    assert result.outcome is Outcome.VIOLATES
    assert {violation.expected.partition(" is ")[0] for violation in result.violations} == {"a streamed chat"}


@pytest.mark.parametrize("served", [True, False], ids=["where it is served", "where it is not served"])
def test_a_text_that_the_unversioned_address_alone_lacks_violates(*, served: bool) -> None:
    """Clients call there; a tenant need not serve it."""
    everywhere, nowhere = speaking(BASE, MODULES, TEXT), speaking()

    def rule(request: Request) -> Response | Reply | None:
        if "/v1/" in request.url:
            return everywhere(request)
        return nowhere(request) if served else refusal(404, "There is no such route.")

    result = judged(APPLIED, rule, tenant=MARKED)
    assert result.outcome is (Outcome.VIOLATES if served else Outcome.CONFORMS)
    found = {violation.expected.partition(" is ")[0] for violation in result.violations}
    assert found == ({"a chat by the un-versioned address"} if served else set())


RAW = "gt-large-raw"
BY_FORM: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a system message": (
        lambda body: body.get("messages", [{}])[0].get("role") == "system",
        "a chat with a system message of its own",
    ),
    "a raw model": (lambda body: body.get("model") == RAW, f"a chat with the raw model {RAW}"),
}


@pytest.mark.parametrize("able", [True, False], ids=["an able model", "a model that answers otherwise"])
@pytest.mark.parametrize(("lacks", "said"), BY_FORM.values(), ids=BY_FORM)
def test_a_text_that_one_form_of_a_chat_lacks(
    lacks: Callable[[dict[str, Any]], object], said: str, *, able: bool
) -> None:
    """A violation, unless the model does not answer in this form what a message of the client's own says either."""
    everywhere, nowhere = speaking(MODULES), speaking(recalls=able)

    def rule(request: Request) -> Response | Reply | None:
        return (nowhere if lacks(sent_json(request)) else everywhere)(request)

    rag = replace(RAG, models=frozenset({ALIAS, RAW}), prompt_text=None)
    result = judged(APPLIED, rule, tenant=tenant_of(rag, raw_models=(RAW,)))
    found = {violation.expected.partition(" is ")[0] for violation in result.violations}
    assert found == ({said} if able else set())


def test_what_the_model_cannot_say_either_is_not_held_against_the_tenant() -> None:
    """It does not repeat what stands in the same request."""
    result = judged(APPLIED, speaking(recalls=False), tenant=MARKED)
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    assert {blocker.acts for blocker in result.blockers} == {Actor.SETUP}


def test_streams_that_are_broken_are_another_finding() -> None:
    """Blocked because of it; what plain chats show counts."""
    calls = (CheckCall("chat.streams", "rag"), CheckCall(APPLIED, "rag"))
    broken = given(refusal(500, "Broken."), lambda request: bool(sent_json(request).get("stream")))
    session = run(plan_of(MARKED, *calls), FakeSender(broken, speaking(BASE, MODULES, TEXT)))
    streams, applied = (session.result(call) for call in calls)
    assert (applied.outcome, applied.because) == (Outcome.BLOCKED, streams.violations[0].finding)


# -- who is asked

APP = key("app", purpose=Purpose.CONVERSATION, inherits=("rag", "up"), prompt_modules=MODULES)
UP = key("up", purpose=Purpose.UPLOAD, scopes=frozenset({Scope.DATASETS_WRITE}), models=None)
PLAIN = key("plain")


def keys_asked(*keys: Credential, **facts: object) -> Iterator[str | None]:
    """The keys with which a runbook that chats, in conversations too, asks for texts."""
    tenant: Tenant = replace(tenant_of(*keys), **facts)  # type: ignore[arg-type]
    planned = make_plan(tenant, [BOOKS["dify"]])
    return (call.credential for call in planned.distinct if call.check == APPLIED)


def test_only_what_the_tenant_file_marks_is_asked_for() -> None:
    """Without a marker no row takes the check; with a base prompt each chat does, with modules those of the key."""
    assert list(keys_asked(PLAIN)) == []
    assert set(keys_asked(PLAIN, base_prompts={ALIAS: BASE})) == {"plain"}
    assert set(keys_asked(PLAIN, base_prompts={"another": BASE})) == set()
    assert set(keys_asked(RAG)) == {"rag"}
    assert "app" in set(keys_asked(PLAIN, APP, UP))


def test_a_conversation_key_shows_the_texts_that_it_inherits() -> None:
    """Asked for with the conversation key itself."""
    tenant = tenant_of(APP, RAG, UP)
    assert judged(APPLIED, speaking(MODULES), extensions, tenant=tenant).outcome is Outcome.CONFORMS
    result = judged(APPLIED, speaking(), extensions, tenant=tenant)
    assert "the prompt modules of the key app" in result.violations[0].expected
