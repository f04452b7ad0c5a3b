"""A conversation is opened where it is asked for, and by nothing else; the key that opened it uses it."""

from dataclasses import replace

from gt_conformance.checks._check import (
    ADD_INFERENCE_KEY,
    SEVERAL_KEYS,
    Items,
    RunbookKey,
    cannot_reach,
    check,
    gt_extension,
    require_declared_name,
)
from gt_conformance.checks._declared import require_opener
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._resources import (
    OPENED,
    conversation_id_in,
    created_conversation,
    expect_id,
    id_in_header,
    open_conversation,
    upload_file,
)
from gt_conformance.checks._talk import begin_talk, expect_told
from gt_conformance.checks._wording import (
    cause_of_answer,
    describe,
    describe_exchange,
    explain_answer,
)
from gt_conformance.checks.models import require_published
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, NotJson, Response, shortened
from gt_conformance.together import together
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Fact, Modality, Route, Severity

_FAILS = 500


@check(
    "conversation.create",
    claim="A conversation can be opened, and a chat carries it on.",
    remedy="Use a key with purpose conversation that is allowed the model, linked to an inference and an upload key.",
    source="GT API reference, Create a GT conversation; GT API keys and access, Key purposes",
    clauses=("V1", "V2", "V3", "V4", "K3"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.CONVERSATION_FILES,
    rows=gt_extension(Route.CONVERSATION_FILES),
    shows=(Fact.CONVERSATION_KEY,),
    creates=True,
)
async def create(probe: Probe) -> None:
    """2xx and an id, in X-GT-Conversation-Id or in the body, without a title as well; a following chat accepts it."""
    opened = await open_conversation(probe, probe.credential)
    if probe.parameters.minimal:
        await require_published(probe, opened.exchange, Modality.CHAT)
        await require_opener(probe, opened.exchange)
    expect_id(probe, opened, OPENED)
    if probe.parameters.minimal:
        return
    probe.should(
        id_in_header(opened.exchange.response),
        f"a new conversation's id is in the body alone: {CONVERSATION_HEADER} should carry it, as documented",
        opened.exchange,
    )
    await together((_expect_untitled(probe), _expect_carried_on(probe)))


async def _expect_untitled(probe: Probe) -> None:
    """No page asks for a title. What is opened at a second asking is not refused for want of one."""
    untitled = await open_conversation(probe, probe.credential, titled=False)
    response = untitled.exchange.response
    expected = f"{OPENED}, without a title as well"
    fails = response is not None and response.status >= _FAILS
    if response is not None and response.refused:
        again = await probe.send(untitled.exchange.request, again=1)
        fails = created_conversation(again.response) is not None
    if response is not None and fails:
        remedy, cause = explain_answer(untitled.exchange, response), cause_of_answer(untitled.exchange)
        probe.fail(expected, describe(response), untitled.exchange, remedy=remedy, cause=cause)
        return
    probe.must(
        untitled.id is not None,
        expected,
        describe_exchange(untitled.exchange),
        untitled.exchange,
        remedy="Have the tenant open conversations without a title: model is all that it may ask for.",
    )


async def _expect_carried_on(probe: Probe) -> None:
    """Where chat fails without a conversation as well, that says nothing of the id."""
    await probe.require_route(Route.CHAT)
    await expect_told(probe, "a chat with the new X-GT-Conversation-Id completes")
    for early in (await begin_talk(probe)).early[:1]:
        status = early.response.status if early.response is not None else 0
        probe.advise(f"a new conversation is not there at once: its first chat gets {status}", early)


@check(
    "conversation.on_request",
    claim="A chat without X-GT-Conversation-Id opens no conversation.",
    remedy="Have the tenant answer chats without X-GT-Conversation-Id without opening a conversation for them.",
    source="GT API reference, Run a chat completion",
    clauses=("C4",),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    tenant_wide=SEVERAL_KEYS,
    whole_run=True,
)
async def on_request(probe: Probe) -> None:
    """No answer of the whole run to a chat without the header names a conversation, plain or streamed, by any address.

    An id in the body is tried: where a chat under it is taken, it is a conversation's. One that the run opened itself
    was not opened by the chat.
    """
    answered = [one for one in probe.seen if _is_stateless_chat(one) and one.response and one.response.succeeded]
    if not answered:
        await _block_without_chats(probe)
    opened = {_named_in(one.response) for one in probe.seen if one.request.path.endswith("/conversations")}
    for exchange in answered:
        named = id_in_header(exchange.response)
        in_body = "" if named else _named_in(exchange.response)
        if {named, in_body} & (opened - {""}):
            continue
        if in_body and not await _is_conversation(probe, exchange, in_body):
            probe.advise(
                "a chat without the header names a conversation in the body that cannot be carried on", exchange
            )
        elif named or in_body:
            probe.note(exchange)
            expected, found = "a chat without the header opens no conversation", shortened(named or in_body, 60)
            probe.fail(expected, f"the answer names the conversation {found}", exchange)
            return  # all the others are the same


async def _block_without_chats(probe: Probe) -> None:
    if cannot_reach(probe.tenant, Route.CHAT):
        raise Blocked("no credential can serve this check", ADD_INFERENCE_KEY)
    require_declared_name(probe.tenant)
    live = {known.name: known for known in probe.tenant.live_credentials}  # a chat of a revoked key has to be refused
    for key in dict.fromkeys(one.request.key for one in probe.seen if _is_stateless_chat(one)):
        known = live.get(key or "")
        if known is not None and known.may(Route.CHAT) is not False:
            await probe.require("chat.completes", known.name)  # why no chat is answered is its finding
    raise Blocked("no chat without a conversation was answered in this run", "Select something that chats.")


def _is_stateless_chat(exchange: Exchange) -> bool:
    request = exchange.request
    is_chat = request.method == "POST" and request.path.endswith(Route.CHAT.path.removeprefix("/v1"))
    return is_chat and CONVERSATION_HEADER not in dict(request.headers)


def _named_in(response: Response | None) -> str:
    """The conversation that an answer names, in the header or in the body; empty where it names none.

    The ``id`` of a completion is its own.
    """
    named = id_in_header(response)
    if named or response is None or response.media_type == "text/event-stream":
        return named
    try:
        body = response.json()
    except NotJson:
        return ""
    if isinstance(body, dict) and "choices" in body:
        body = {name: body[name] for name in ("conversation_id", "conversation") if name in body}
    return conversation_id_in(body) or ""


async def _is_conversation(probe: Probe, exchange: Exchange, named: str) -> bool:
    headers = (*exchange.request.headers, (CONVERSATION_HEADER, named))
    carried_on = await probe.send(replace(exchange.request, headers=headers))
    return carried_on.response is not None and carried_on.response.succeeded


@check(
    "conversation.same_key",
    claim="One key opens a conversation, chats in it and uploads to it.",
    remedy="Link the conversation key to an inference key and an upload key that allows conversation uploads.",
    source="GT API keys and access, Key purposes",
    clauses=("K3", "K5"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("conversation.create",),
    items=Items(RunbookKey(Route.CONVERSATION_FILES)),
    creates=True,
)
async def same_key(probe: Probe) -> None:
    """The same credential creates, chats and uploads."""
    await probe.require_route(Route.CHAT)
    await expect_told(probe, "the key that opened the conversation chats in it")
    made = await upload_file(probe, probe.credential, Route.CONVERSATION_FILES)
    expect_id(probe, made, "the key that opened the conversation uploads to it: 2xx and a file id")
