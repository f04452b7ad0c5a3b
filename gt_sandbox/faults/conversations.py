"""Faults of conversations."""

import json
import re
from dataclasses import replace
from itertools import count
from typing import Any

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import ALIAS, model_entry, use_last_conversation, with_limits
from gt_sandbox.faults.tools import drop_tools
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_FILES,
    CONVERSATION_HEADER,
    CONVERSATIONS,
    EMBEDDINGS,
    IMAGES,
    MODELS,
    SPEECH,
    TRANSCRIPTIONS,
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_choice,
    change_events,
    change_headers,
    change_json,
    change_requests,
    change_scopes,
    change_successes,
    combine,
    delay,
    error_response,
    is_dataset_upload,
    is_live,
    is_stream,
    is_whole_chat,
    per_call,
    refuse,
    replay_body,
    respond_with,
    use_key,
    with_request_header,
    with_secrets,
)
from gt_sandbox.tenant_file import with_markers


def _rename(response: Response) -> Response:
    """The id with its last character changed, in the header and in the body."""
    known = response.json["id"]
    given = f"{known[:-1]}{'1' if known.endswith('0') else '0'}"
    return response.with_json({**response.json, "id": given}).with_header(CONVERSATION_HEADER, given)


def _asks_for_usage(request: Request) -> bool:
    return is_stream(request) and bool((request.fields.get("stream_options") or {}).get("include_usage"))


def _is_in_conversation(request: Request) -> bool:
    return CHAT(request) and bool(request.header(CONVERSATION_HEADER))


def _leave_end_out(event: bytes) -> bytes:
    """The event without what shows that a stream is whole; none, where that is all it holds."""
    return b"" if b"[DONE]" in event else event.replace(b'"finish_reason":"stop"', b'"finish_reason":null')


def _name_the_first(secrets: Secrets) -> MiddlewareFactory:
    """Answers in conversations name the first conversation that their key opened."""
    first: dict[str, str] = {}

    async def name(call: Call) -> None:
        response = await call.response()
        if CONVERSATIONS(call.request) and response.succeeded:
            first.setdefault(call.request.secret, response.json["id"])
        elif response.succeeded and is_live(call.request, secrets):
            response = response.with_header(CONVERSATION_HEADER, first.get(call.request.secret))
        await call.respond(response)

    async def choose(call: Call) -> None:
        if CONVERSATIONS(call.request) or (_is_in_conversation(call.request) and is_whole_chat(call.request)):
            await name(call)
        else:
            await call.forward()

    return per_call(choose)


def _unstream(body: bytes) -> bytes:
    fields = json.loads(body)
    return json.dumps({name: fields[name] for name in fields if name not in {"stream", "stream_options"}}).encode()


def _is_outside_conversations(request: Request) -> bool:
    return CHAT(request) and not request.header(CONVERSATION_HEADER)


def _has_letters_in_title(request: Request) -> bool:
    return CONVERSATIONS(request) and not str(request.fields.get("title") or "").isascii()


def _share_memory(_: Secrets) -> MiddlewareFactory:
    """What is said in one conversation of a key goes before what is said in each of the others."""
    said: dict[str, list[Any]] = {}

    async def share(call: Call) -> None:
        request = call.request
        if not _is_in_conversation(request):
            await call.forward()
            return
        known = said.setdefault(request.secret, [])
        body = json.dumps({**request.fields, "messages": [*known, *request.messages]}).encode()
        known += [message for message in request.messages if message.get("role") == "user"]
        scope = with_request_header(call.scope, "content-length", str(len(body)))
        await replace(call, receive=replay_body(body, call.receive)).forward(scope)

    return per_call(share)


def _store_no_answers(_: Secrets) -> MiddlewareFactory:
    """Chats in a conversation go on without it, from what its user wrote there; those about its files go on in it."""
    written: dict[tuple[str, str], list[Any]] = {}

    async def chat(call: Call) -> None:
        request = call.request
        response = await call.response() if CONVERSATIONS(request) else None
        if response is not None:
            if response.succeeded:
                written[response.json["id"], request.secret] = []
            await call.respond(response)
            return
        conversation = request.header(CONVERSATION_HEADER)
        before = written.get((conversation, request.secret))
        if before is None or not CHAT(request) or b"uploaded" in request.body:
            await call.forward()
            return
        body = json.dumps({**request.fields, "messages": [*before, *request.messages]}).encode()
        before += [message for message in request.messages if message.get("role") == "user"]
        scope = with_request_header(call.scope, "content-length", str(len(body)))
        scope = with_request_header(scope, CONVERSATION_HEADER, None)
        await replace(call, receive=replay_body(body, call.receive)).forward(scope)

    return per_call(chat)


def _hide_id(response: Response) -> Response:
    """A conversation without its id, in the body and in the header."""
    return response.with_header(CONVERSATION_HEADER, None).with_body(b'{"created": true}')


def _store_no_streams(_: Secrets) -> MiddlewareFactory:
    """Streamed chats read what plain ones have said in their conversation, and leave nothing in it themselves."""
    said: dict[tuple[str, str], list[Any]] = {}

    async def divert(call: Call) -> None:
        request = call.request
        thread = (request.secret, request.header(CONVERSATION_HEADER))
        if is_stream(request) and thread in said:
            body = json.dumps({**request.fields, "messages": [*said[thread], *request.messages]}).encode()
            scope = with_request_header(call.scope, CONVERSATION_HEADER, None)
            scope = with_request_header(scope, "content-length", str(len(body)))
            await replace(call, receive=replay_body(body, call.receive)).forward(scope)
            return
        if _is_in_conversation(request):
            said.setdefault(thread, []).extend(request.messages)
        await call.forward()

    return per_call(divert)


def _forget_every_other(_: Secrets) -> MiddlewareFactory:
    """Each second chat in a conversation finds none."""
    chats = count(1)
    unknown = error_response(404, "The conversation does not exist.", "invalid_request_error")
    return refuse(lambda request: _is_in_conversation(request) and next(chats) % 2 == 0, unknown)


def _refuse_to(key: str, wanted: Predicate, refusal: Response) -> MiddlewareFactory:
    """Refuse some requests of one key, ``APP`` say."""
    return with_secrets(
        lambda secrets: refuse(lambda request: wanted(request) and is_live(request, secrets, key), refusal)
    )


def _gain_a_name(secrets: Secrets) -> MiddlewareFactory:
    """APP lists another key's alias, and uses it."""

    def is_of_app(wanted: Predicate) -> Predicate:
        return lambda request: wanted(request) and is_live(request, secrets, "APP")

    return combine(
        change_json(is_of_app(MODELS), lambda body: body["data"].append(model_entry("desk-assistant"))),
        change_requests(is_of_app(CHAT), lambda body: body.replace(b"desk-assistant", ALIAS.encode())),
    )


def _store_refused_chats(secrets: Secrets) -> MiddlewareFactory:
    """What another key says in a conversation is refused, and stored there all the same."""
    owners: dict[str, str] = {}

    async def store(call: Call) -> None:
        request = call.request
        if is_stream(request):
            await call.forward()
            return
        response = await call.response()
        named = request.header(CONVERSATION_HEADER)
        if CONVERSATIONS(request) and response.succeeded:
            owners[response.json["id"]] = request.header("authorization")
        if CHAT(request) and not response.succeeded and named in owners and is_live(request, secrets):
            again = replace(call, receive=replay_body(request.body, call.receive))
            await again.response(with_request_header(call.scope, "authorization", owners[named]))
        await call.respond(response)

    return per_call(store)


def _remember_users(wanted: Predicate) -> MiddlewareFactory:
    """Put what a user's last chats said before each of these that is outside of a conversation."""

    def make(_: Secrets) -> MiddlewareFactory:
        said: dict[str, list[Any]] = {}

        def remember(body: bytes) -> bytes:
            fields = json.loads(body)
            before = said.get(fields["user"], [])
            said[fields["user"]] = [*before, *fields["messages"]][-_LAST:]
            return json.dumps({**fields, "messages": [*before, *fields["messages"]]}).encode()

        return change_requests(
            lambda request: bool(
                wanted(request) and request.fields.get("user") and not request.header(CONVERSATION_HEADER)
            ),
            remember,
        )

    return with_secrets(make)


_LAST = 100
"""So many messages of a user are kept."""


FAULTS = (
    fault(
        "conversations-answer-under-the-first-id",
        "Answers in a conversation name the first conversation that the key opened.",
        with_secrets(_name_the_first),
        caught_by="conversation.continuity",
        breaks=("C5",),
    ),
    fault(
        "streams-of-conversations-part-letters",
        "Streams in conversations have two replacement characters for each letter beyond ASCII, which they part.",
        change_events(
            lambda request: _is_in_conversation(request) and is_stream(request),
            lambda event: re.sub(rb"\\u[0-9a-f]{4}", rb"\\ufffd\\ufffd", event),
        ),
        caught_by="conversation.continuity",
        breaks=("C6",),
    ),
    fault(
        "tools-dropped-in-conversations",
        "A chat in a conversation gets to the model without its tools.",
        change_requests(_is_in_conversation, drop_tools),
        caught_by="conversation.continuity",
        breaks=("C1",),
    ),
    fault(
        "streams-of-conversations-come-whole",
        "A chat in a conversation that is to be streamed comes whole, as JSON.",
        change_requests(lambda request: is_stream(request) and _is_in_conversation(request), _unstream),
        caught_by="conversation.continuity",
        breaks=("C6",),
    ),
    fault(
        "conversations-share-their-memory",
        "What is said in one conversation of a key is known in its other conversations.",
        with_secrets(_share_memory),
        caught_by="conversation.continuity",
        breaks=("C5",),
    ),
    fault(
        "chats-with-tools-leave-their-conversation",
        "A chat that offers tools does not go on in the conversation that it names.",
        change_scopes(
            lambda scope, request: (
                with_request_header(scope, CONVERSATION_HEADER, None)
                if _is_in_conversation(request) and request.fields.get("tools")
                else scope
            )
        ),
        caught_by="conversation.continuity",
        breaks=("C5",),
    ),
    fault(
        "refused-chats-stored",
        "A chat in another key's conversation is refused, and stored there all the same.",
        with_secrets(_store_refused_chats),
        caught_by="conversation.isolated",
        breaks=("A9",),
    ),
    fault(
        "conversations-need-a-title",
        "A conversation is opened with a title alone.",
        refuse(
            lambda request: CONVERSATIONS(request) and "title" not in request.fields,
            error_response(400, "'title' must be a text.", "invalid_request_error", param="title"),
        ),
        caught_by="conversation.create",
        breaks=("V2",),
    ),
    fault(
        "chats-with-tools-refused-in-conversations",
        "A chat with tools is refused where it names a conversation.",
        respond_with(
            lambda request: CHAT(request) and "tools" in request.fields and bool(request.header(CONVERSATION_HEADER)),
            error_response(400, "Unsupported request."),
        ),
        caught_by="conversation.continuity",
        breaks=("C5",),
    ),
    fault(
        "streams-with-usage-leave-their-conversation",
        "A streamed chat that asks for its usage, as most clients do, does not look at the conversation that it names.",
        change_scopes(
            lambda scope, request: (
                with_request_header(scope, CONVERSATION_HEADER, None) if _asks_for_usage(request) else scope
            )
        ),
        caught_by="conversation.continuity",
        breaks=("C6",),
    ),
    fault(
        "emoji-in-conversations-500",
        "A chat in a conversation fails at a character of four bytes in UTF-8: what stores it keeps three.",
        respond_with(
            lambda request: (
                _is_in_conversation(request) and max(json.dumps(request.messages, ensure_ascii=False)) > "\uffff"
            ),
            error_response(500, "Incorrect string value"),
        ),
        caught_by="conversation.continuity",
        breaks=("C5", "C1"),
    ),
    fault(
        "conversations-in-latin-1",
        "What stores conversations keeps letters of Latin-1, and question marks in the place of others.",
        change_requests(
            _is_in_conversation,
            lambda body: json.dumps(
                json.loads(body.decode().encode("latin-1", errors="replace").decode("latin-1")), ensure_ascii=False
            ).encode(),
        ),
        caught_by="conversation.continuity",
        breaks=("C5",),
    ),
    fault(
        "streams-forget-the-conversation",
        "A streamed chat does not look at the conversation that it names.",
        change_scopes(
            lambda scope, request: (
                with_request_header(scope, CONVERSATION_HEADER, None) if is_stream(request) else scope
            )
        ),
        caught_by="conversation.continuity",
        breaks=("C6",),
    ),
    fault(
        "streams-are-not-stored",
        "What is said in a streamed chat is not stored in its conversation.",
        with_secrets(_store_no_streams),
        caught_by="conversation.continuity",
        breaks=("C6",),
    ),
    fault(
        "unknown-conversations-are-the-last-one",
        "A chat under an unknown id goes on in the key's last conversation.",
        use_last_conversation(CHAT, if_named=lambda named: bool(named) and not named.startswith("conv_")),
        caught_by="conversation.continuity",
        breaks=("C5",),
    ),
    fault(
        "stateless-chats-remember-their-user",
        "What a chat without a conversation says is known to the next one that names the same user.",
        _remember_users(CHAT),
        caught_by="conversation.continuity",
        breaks=("C3",),
    ),
    fault(
        "stateless-streams-remember-their-user",
        "What a streamed chat without a conversation says is known to the next streamed one that names the same user.",
        _remember_users(is_stream),
        caught_by="conversation.continuity",
        breaks=("C3",),
    ),
    fault(
        "stateless-chats-open-conversations",
        "A chat without a conversation opens one, and names it.",
        change_headers(
            lambda headers: headers | {CONVERSATION_HEADER: "conv_made_for_this_chat"}, _is_outside_conversations
        ),
        caught_by="conversation.on_request",
        breaks=("C4",),
    ),
    fault(
        "conversation-keys-list-other-names",
        "A conversation key lists a name that its linked inference key is not allowed.",
        with_secrets(
            lambda secrets: change_json(
                lambda request: MODELS(request) and is_live(request, secrets, "APP"),
                lambda body: body["data"].append(model_entry("gt-large-raw")),
            )
        ),
        caught_by="conversation.inherits",
        breaks=("K4",),
    ),
    fault(
        "names-of-others-listed-to-a-key-of-no-runbook",
        "A conversation key that serves no runbook lists a name that it is not allowed.",
        with_secrets(
            lambda secrets: change_json(
                lambda request: MODELS(request) and is_live(request, secrets, "PARTNER"),
                lambda body: body["data"].append(model_entry(ALIAS)),
            )
        ),
        caught_by="key.isolation",
        breaks=("M1",),
    ),
    fault(
        "conversation-keys-lose-a-scope",
        "A conversation key may not embed, though its linked inference key may.",
        _refuse_to("APP", EMBEDDINGS, error_response(403, "This key lacks the scope inference:embed.")),
        caught_by="conversation.inherits",
        breaks=("K5",),
    ),
    fault(
        "conversation-keys-gain-a-scope",
        "A conversation key may speak, though its linked inference key may not.",
        use_key(lambda request, secrets: "FULL" if SPEECH(request) and is_live(request, secrets, "APP") else None),
        caught_by="key.scope_enforced",
        breaks=("K5", "A5", "K14"),
    ),
    fault(
        "conversation-keys-gain-every-scope",
        "A conversation key may do all that an inference key may, and not just what its linked one may.",
        use_key(
            lambda request, secrets: (
                "FULL"
                if (SPEECH(request) or TRANSCRIPTIONS(request) or IMAGES(request)) and is_live(request, secrets, "APP")
                else None
            )
        ),
        tenant_file=with_markers,
        caught_by="key.scope_enforced",
        breaks=("K5", "A5"),
    ),
    fault(
        "conversation-keys-gain-a-name",
        "A conversation key lists a name that its linked inference key is not allowed, and may use it.",
        with_secrets(_gain_a_name),
        caught_by="conversation.inherits",
        breaks=("K4",),
    ),
    fault(
        "conversation-keys-lose-the-dataset",
        "A conversation key may not upload to the dataset of its linked upload key.",
        _refuse_to("APP", is_dataset_upload, error_response(404, "The dataset does not exist.")),
        caught_by="conversation.inherits",
        breaks=("K6",),
    ),
    fault(
        "upload-keys-kept-from-conversations",
        "An upload key with the right to upload into conversations may not, in that of its linked key.",
        _refuse_to("UPLOAD", CONVERSATION_FILES, error_response(403, "This key may not upload to conversations.")),
        caught_by="conversation.inherits",
        breaks=("K18",),
    ),
    fault(
        "conversations-500",
        "Opening a conversation fails with 500.",
        respond_with(CONVERSATIONS, error_response(500, "no store")),
        caught_by="conversation.create",
        breaks=("V1", "K3"),
    ),
    fault(
        "conversations-without-id",
        "A conversation is opened, and its id is not returned.",
        change_successes(CONVERSATIONS, _hide_id),
        caught_by="conversation.create",
        breaks=("V1", "V3"),
    ),
    fault(
        "chat-needs-a-conversation",
        "A chat without X-GT-Conversation-Id is refused.",
        respond_with(_is_outside_conversations, error_response(400, "The header X-GT-Conversation-Id is required.")),
        caught_by="chat.completes",
        breaks=("C7", "C1"),
    ),
    fault(
        "conversation-refused-in-chat",
        "A chat with X-GT-Conversation-Id is refused.",
        respond_with(_is_in_conversation, error_response(404, "The conversation does not exist.")),
        caught_by="conversation.create",
        breaks=("V4",),
    ),
    fault(
        "conversations-under-another-id",
        "A new conversation is given another id than the one under which it is kept.",
        change_successes(CONVERSATIONS, _rename),
        caught_by="conversation.create",
        breaks=("V3", "V4"),
    ),
    fault(
        "conversation-ids-cut-in-headers",
        "A gateway cuts long headers: the id of a new conversation is whole in the body alone.",
        change_headers(
            lambda headers: {
                name: value[:16] if name == CONVERSATION_HEADER else value for name, value in headers.items()
            },
            CONVERSATIONS,
        ),
        caught_by="conversation.create",
        breaks=("V3", "V4"),
    ),
    fault(
        "conversations-name-another-alias",
        "A chat in a conversation names an alias that its key is not allowed, as if another agent had answered.",
        change_json(
            lambda request: is_whole_chat(request) and _is_in_conversation(request),
            lambda body: body.update(model="desk-assistant" if body["model"] == ALIAS else ALIAS),
        ),
        caught_by="answers.name_published",
        breaks=("C2",),
    ),
    fault(
        "conversations-on-one-of-two-instances",
        "One of two instances behind a load balancer keeps conversations; the other one knows none.",
        with_secrets(_forget_every_other),
        caught_by="conversation.continuity",
        breaks=("C5",),
    ),
    fault(
        "conversation-says-nothing",
        "A chat with X-GT-Conversation-Id is answered with nothing.",
        change_json(_is_in_conversation, change_choice(lambda choice: choice["message"].update(content=""))),
        caught_by="conversation.create",
        breaks=("V4",),
    ),
    fault(
        "requests-in-conversations-too-large",
        "A gateway refuses whatever has the header X-GT-Conversation-Id with 431.",
        refuse(
            lambda request: bool(request.header(CONVERSATION_HEADER)),
            Response(431, (("content-type", "text/plain"),), b"Request Header Fields Too Large"),
        ),
        caught_by="conversation.create",
        breaks=("V4",),
    ),
    fault(
        "conversation-header-stripped",
        "A gateway before the tenant takes X-GT-Conversation-Id off every request.",
        change_scopes(lambda scope, _: with_request_header(scope, CONVERSATION_HEADER, None)),
        caught_by="conversation.continuity",
        breaks=("C5",),
    ),
    fault(
        "conversation-forgets",
        "X-GT-Conversation-Id is ignored: each chat begins anew.",
        change_scopes(
            lambda scope, request: with_request_header(scope, CONVERSATION_HEADER, None) if CHAT(request) else scope
        ),
        caught_by="conversation.continuity",
        breaks=("C5",),
    ),
    fault(
        "conversation-never-ends",
        "A chat without X-GT-Conversation-Id goes on in the key's last conversation.",
        use_last_conversation(CHAT, if_named=lambda named: not named),
        caught_by="conversation.continuity",
        breaks=("C3",),
    ),
    fault(
        "titles-beyond-ascii-500",
        "A conversation whose title has a letter beyond ASCII is not opened: its database keeps no such letters.",
        refuse(_has_letters_in_title, error_response(500, "The server had an error.", "server_error")),
        caught_by="conversation.create",
        breaks=("V1",),
    ),
    fault(
        "conversation-id-changes",
        "A chat in a conversation answers with another conversation's id.",
        change_successes(
            _is_in_conversation, lambda response: response.with_header(CONVERSATION_HEADER, "conv_of_another_thread")
        ),
        caught_by="conversation.continuity",
        breaks=("C5",),
    ),
    fault(
        "conversations-hang",
        "A request to open a conversation is never answered, as where its database is locked.",
        delay(60, CONVERSATIONS),
        tenant_file=with_limits(timeout_s=2),
        caught_by="conversation.create",
        breaks=("V1", "K3"),
    ),
    fault(
        "answers-are-not-stored",
        "A conversation stores what its user writes, and not what the model answers.",
        with_secrets(_store_no_answers),
        caught_by="conversation.continuity",
        breaks=("C5",),
    ),
    fault(
        "streams-of-conversations-without-an-end",
        "A streamed chat in a conversation ends with neither a finish_reason nor [DONE].",
        change_events(lambda request: is_stream(request) and _is_in_conversation(request), _leave_end_out),
        caught_by="conversation.continuity",
        breaks=("C6",),
    ),
)
