"""Faults of addresses: where the tenant can be reached, and what it takes that is no GT surface."""

import json
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from gt_sandbox.app import BASE
from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import (
    ALIAS,
    PROVIDER,
    break_off,
    lose_four_bytes,
    lose_letters,
    model_entry,
    replace_bytes,
    unescape,
    web_page,
)
from gt_sandbox.middleware import (
    CHAT,
    EMBEDDINGS,
    MODELS,
    SPEECH,
    TRANSCRIPTIONS,
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    change_choice,
    change_events,
    change_headers,
    change_json,
    change_requests,
    change_responses,
    change_successes,
    change_vectors,
    error_response,
    has_role,
    is_route,
    is_stream,
    is_whole_chat,
    json_response,
    per_call,
    refuse,
    reroute,
    respond_with,
)

_NOWHERE = f"{BASE}/v1/not-routed"


def _is_unversioned(request: Request) -> bool:
    return request.path.startswith(f"{BASE}/") and not request.path.startswith(f"{BASE}/v1/")


def _label_as_text(route: Predicate) -> MiddlewareFactory:
    return change_headers(
        lambda headers: {**headers, "content-type": "text/plain"},
        lambda request: route(request) and _is_unversioned(request) and not is_stream(request),
    )


def _embeds_unversioned(request: Request) -> bool:
    return EMBEDDINGS(request) and _is_unversioned(request)


def _texts_of(request: Request) -> Sequence[Any]:
    given = request.fields.get("input")
    return given if isinstance(given, list) else ()


_FEW = 3
_KILOBYTES_32 = 32_768


def _without(*names: str) -> Callable[[bytes], bytes]:
    """A JSON body without these fields."""

    def change(body: bytes) -> bytes:
        return json.dumps({name: value for name, value in json.loads(body).items() if name not in names}).encode()

    return change


def _with_messages(kept: Callable[[Sequence[Any]], Sequence[Any]]) -> Callable[[bytes], bytes]:
    """A chat with these of its messages."""

    def change(body: bytes) -> bytes:
        fields = json.loads(body)
        return json.dumps({**fields, "messages": kept(fields["messages"])}).encode()

    return change


def _but_system(messages: Sequence[Any]) -> list[Any]:
    return [one for one in messages if one.get("role") != "system"]


def _respond_to_vendor(path: str, response: Response) -> MiddlewareFactory:
    """Respond on one of OpenAI's own routes, which is no GT surface, to a key that works."""
    return change_responses(
        is_route(path, method="POST"), lambda _, refusal: response if refusal.status == 404 else refusal
    )


@per_call
async def _redirect_to_versioned(call: Call) -> None:
    path = call.request.path
    if not _is_unversioned(call.request):
        await call.forward()
        return
    await call.respond(Response(308, (("location", path.replace(BASE, f"{BASE}/v1", 1)),), b""))


def _repeat_text(response: Response) -> Response:
    """A stream in which each piece of text begins with those before it."""
    events, said = response.body.split(b"\n\n"), ""
    for number, event in enumerate(events):
        if b'"content":"' in event:
            chunk = json.loads(event.removeprefix(b"data: "))
            delta = chunk["choices"][0]["delta"]
            said += delta["content"]
            delta["content"] = said
            events[number] = b"data: " + json.dumps(chunk, separators=(",", ":")).encode()
    return response.with_body(b"\n\n".join(events))


def _drop_accents(body: bytes) -> bytes:
    """The text with its letters without accents, as where it is made fit for a search."""
    plain = unicodedata.normalize("NFD", unescape(body))
    return unicodedata.normalize("NFC", "".join(char for char in plain if not unicodedata.combining(char))).encode()


def _drop_four_bytes(body: bytes) -> bytes:
    """The text without what takes four bytes in UTF-8, as of a database that holds three."""
    return "".join(char for char in body.decode() if len(char.encode()) < _FOUR).encode()


_FOUR = 4


FAULTS = (
    fault(
        "versioned-only",
        "Only /api/tenant/v1/* is routed: a client that adds no /v1 to the documented base URL gets 404.",
        reroute(lambda request: _NOWHERE if _is_unversioned(request) else None),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "unversioned-redirected",
        "Each un-versioned path redirects to the versioned one: what does not follow redirects reaches nothing.",
        _redirect_to_versioned,
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "embeddings-versioned-only",
        "Un-versioned embeddings are not routed.",
        reroute(lambda request: _NOWHERE if request.path == f"{BASE}/embeddings" else None),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "web-page-at-unversioned-paths",
        "A web application answers the un-versioned paths with its page and 200.",
        change_responses(_is_unversioned, lambda _, response: web_page() if response.succeeded else response),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "unversioned-streams-doubled",
        "By the un-versioned path each event of a stream that holds text comes twice, as after a gateway's second try.",
        change_events(
            lambda request: is_stream(request) and _is_unversioned(request),
            lambda event: event * 2 if b'"content":"' in event else event,
        ),
        caught_by="client.turn",
        breaks=("R1", "C1"),
    ),
    fault(
        "unversioned-streams-repeat-what-came",
        "By the un-versioned path each piece of a stream holds all of the text so far, as servers of models send it.",
        change_responses(
            lambda request: is_stream(request) and _is_unversioned(request), lambda _, response: _repeat_text(response)
        ),
        caught_by="client.turn",
        breaks=("R1",),
    ),
    fault(
        "unversioned-streams-come-whole",
        "By the un-versioned path, which clients call, a chat that is to be streamed comes whole.",
        change_requests(
            lambda request: CHAT(request) and _is_unversioned(request),
            lambda body: body.replace(b'"stream":true', b'"stream":false'),
        ),
        caught_by="client.turn",
        breaks=("C1", "R1"),
    ),
    fault(
        "unversioned-chats-refuse-tools",
        "By the un-versioned path, which clients call, a chat that offers tools is refused.",
        change_successes(
            lambda request: CHAT(request) and _is_unversioned(request) and "tools" in request.fields,
            lambda _: error_response(400, "Extra inputs are not permitted."),
        ),
        caught_by="client.turn",
        breaks=("C1", "R1"),
    ),
    fault(
        "unversioned-chats-drop-tools",
        "By the un-versioned path, which clients call, tools do not reach the model.",
        change_requests(lambda request: CHAT(request) and _is_unversioned(request), _without("tools", "tool_choice")),
        caught_by="client.turn",
        breaks=("R1",),
    ),
    *(
        fault(
            f"unversioned-{name}",
            f"By the un-versioned path, which clients call, {what} of a chat do not reach the model.",
            change_requests(lambda request: CHAT(request) and _is_unversioned(request), _with_messages(kept)),
            caught_by="client.turn",
            breaks=("C1", "R1"),
        )
        for name, what, kept in (
            ("system-messages-dropped", "system messages", _but_system),
            ("last-message-alone", "all messages but the last", lambda messages: messages[-1:]),
        )
    ),
    fault(
        "unversioned-tool-results-refused",
        "By the un-versioned path, which clients call, a chat with an earlier tool call is refused.",
        respond_with(
            lambda request: has_role("tool")(request) and _is_unversioned(request),
            error_response(422, "role: tool is not a role."),
        ),
        caught_by="client.turn",
        breaks=("R1",),
    ),
    fault(
        "unversioned-chats-in-ascii",
        "By the un-versioned path, which clients call, chats are passed on in ASCII, with ? for other letters.",
        change_requests(lambda request: CHAT(request) and _is_unversioned(request), lose_letters),
        caught_by="client.turn",
        breaks=("R1",),
    ),
    fault(
        "unversioned-emoji-become-question-marks",
        "By the un-versioned path, what takes four bytes in UTF-8 goes to the model as a question mark.",
        change_requests(lambda request: CHAT(request) and _is_unversioned(request), lose_four_bytes),
        caught_by="client.turn",
        breaks=("R1",),
    ),
    fault(
        "unversioned-accents-dropped",
        "By the un-versioned path, which clients call, letters go to the model without their accents.",
        change_requests(lambda request: CHAT(request) and _is_unversioned(request), _drop_accents),
        caught_by="client.turn",
        breaks=("R1",),
    ),
    fault(
        "unversioned-emoji-dropped",
        "By the un-versioned path, what takes four bytes in UTF-8 does not get to the model.",
        change_requests(lambda request: CHAT(request) and _is_unversioned(request), _drop_four_bytes),
        caught_by="client.turn",
        breaks=("R1",),
    ),
    fault(
        "unversioned-answers-escaped-for-web-pages",
        "By the un-versioned path, which clients call, answers come with HTML entities.",
        replace_bytes(lambda request: CHAT(request) and _is_unversioned(request), b"&", b"&amp;"),
        caught_by="client.turn",
        breaks=("R1",),
    ),
    fault(
        "unversioned-stream-usage-without-choices",
        "By the un-versioned path the usage chunk has no choices, without which Dify and the Vercel AI SDK break off.",
        replace_bytes(
            lambda request: is_stream(request) and _is_unversioned(request), b'"choices":[],', b'"choices":null,'
        ),
        caught_by="client.turn",
        breaks=("R1",),
    ),
    fault(
        "unversioned-chats-in-parts",
        "By the un-versioned path, which clients call, the content of an answer in one piece is a list of parts.",
        change_json(
            lambda request: is_whole_chat(request) and _is_unversioned(request),
            change_choice(lambda choice: choice["message"].update(content=[{"type": "text", "text": "ok"}])),
        ),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "unversioned-chats-fail-in-200",
        "By the un-versioned path, which clients call, a chat in one piece is answered with 200 and an error object.",
        change_successes(
            lambda request: is_whole_chat(request) and _is_unversioned(request),
            lambda response: response.with_json({"error": {"message": "upstream failed", "type": "server_error"}}),
        ),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "unversioned-chats-say-nothing",
        "By the un-versioned path, which clients call, a chat in one piece has no text.",
        change_json(
            lambda request: is_whole_chat(request) and _is_unversioned(request),
            change_choice(lambda choice: choice["message"].update(content="")),
        ),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "unversioned-chats-break-off",
        "By the un-versioned path, which clients call, half of each answer in one piece is missing.",
        change_json(lambda request: is_whole_chat(request) and _is_unversioned(request), change_choice(break_off)),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "unversioned-transcriptions-without-text",
        "By the un-versioned path, which clients call, a transcription has no text.",
        change_json(
            lambda request: TRANSCRIPTIONS(request) and _is_unversioned(request), lambda body: body.pop("text")
        ),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "unversioned-speech-empty",
        "By the un-versioned path, which clients call, speech has no bytes.",
        change_successes(
            lambda request: SPEECH(request) and _is_unversioned(request), lambda response: response.with_body(b"")
        ),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "unversioned-speech-cut-short",
        "By the un-versioned path, which clients call, speech ends in its middle, with the length of what is left.",
        change_successes(
            lambda request: SPEECH(request) and _is_unversioned(request),
            lambda response: response.with_body(response.body[: len(response.body) // 2]),
        ),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "unversioned-speech-with-a-voice-refused",
        "By the un-versioned path, which clients call, speech with a voice is refused.",
        respond_with(
            lambda request: SPEECH(request) and _is_unversioned(request) and "voice" in request.fields,
            error_response(400, "Unknown parameter in the request."),
        ),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "unversioned-transcriptions-of-32-kilobytes-at-most",
        "By the un-versioned path, which clients call, recordings of more than 32 kB are refused.",
        refuse(
            lambda request: TRANSCRIPTIONS(request) and _is_unversioned(request) and len(request.body) > _KILOBYTES_32,
            error_response(413, "Too large."),
        ),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    *(
        fault(
            f"unversioned-{what}-labelled-as-text",
            f"By the un-versioned path {what} are sent as text/plain.",
            _label_as_text(route),
            caught_by="base_url.joins",
            breaks=("R1",),
        )
        for what, route in (("chats", CHAT), ("embeddings", EMBEDDINGS))
    ),
    fault(
        "unversioned-streams-labelled-as-json",
        "By the un-versioned path a stream is sent as application/json.",
        change_headers(
            lambda headers: {**headers, "content-type": "application/json"},
            lambda request: is_stream(request) and _is_unversioned(request),
        ),
        caught_by="client.turn",
        breaks=("R1",),
    ),
    fault(
        "unversioned-embeddings-drop-encoding-format",
        "By the un-versioned path, which clients call, encoding_format does not arrive.",
        change_requests(lambda request: EMBEDDINGS(request) and _is_unversioned(request), _without("encoding_format")),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "unversioned-embeddings-by-another-model",
        "By the un-versioned path, which clients call, another model embeds.",
        change_vectors(
            lambda request: EMBEDDINGS(request) and _is_unversioned(request),
            lambda vectors: [vector[::-1] for vector in vectors],
        ),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    *(
        fault(
            f"unversioned-embeddings-{name}",
            f"By the un-versioned path, which clients call, {what}.",
            middleware,
            caught_by="base_url.joins",
            breaks=("R1",),
        )
        for name, what, middleware in (
            (
                "of-three-texts-at-most",
                "more than three texts to embed are refused",
                respond_with(
                    lambda request: _embeds_unversioned(request) and len(_texts_of(request)) > _FEW,
                    error_response(400, "At most 3 inputs are allowed."),
                ),
            ),
            (
                "of-many-all-alike",
                "each of many texts gets the vector of the first",
                change_vectors(
                    lambda request: _embeds_unversioned(request) and len(_texts_of(request)) > _FEW,
                    lambda vectors: vectors[:1] * len(vectors),
                ),
            ),
            (
                "of-many-in-another-order",
                "many texts are embedded in parts, and the vectors of the last part come in another order",
                change_vectors(
                    lambda request: _embeds_unversioned(request) and len(_texts_of(request)) > _FEW,
                    lambda vectors: [*vectors[:32], *vectors[:31:-1]],
                ),
            ),
            (
                "in-ascii",
                "texts to embed are passed on in ASCII, with ? for other letters",
                change_requests(_embeds_unversioned, lose_letters),
            ),
            (
                "of-one-string-refused",
                "a text to embed that is a string and no list is refused, with which Dify tries a model",
                respond_with(
                    lambda request: _embeds_unversioned(request) and isinstance(request.fields.get("input"), str),
                    error_response(422, "input: Input should be a valid list"),
                ),
            ),
            (
                "with-a-user-refused",
                "embeddings with the field user, which Dify sends, are refused",
                respond_with(
                    lambda request: _embeds_unversioned(request) and "user" in request.fields,
                    error_response(422, "user: Extra inputs are not permitted"),
                ),
            ),
        )
    ),
    fault(
        "unversioned-chats-name-provider-model",
        "By the un-versioned path a chat completion names the provider's model.",
        change_json(
            lambda request: CHAT(request) and _is_unversioned(request), lambda body: body.update(model=PROVIDER)
        ),
        caught_by="base_url.joins",
        breaks=("C2",),
    ),
    fault(
        "unversioned-streams-name-provider-model",
        "By the un-versioned path the chunks of a stream name the provider's model.",
        replace_bytes(
            lambda request: is_stream(request) and _is_unversioned(request),
            f'"model":"{ALIAS}"'.encode(),
            f'"model":"{PROVIDER}"'.encode(),
        ),
        caught_by="answers.name_published",
        breaks=("C2",),
    ),
    fault(
        "unversioned-list-of-others",
        "By the un-versioned path the model list holds the names of other keys as well.",
        change_json(
            lambda request: MODELS(request) and _is_unversioned(request),
            lambda body: body["data"].append(model_entry("desk-assistant")),
        ),
        caught_by="base_url.joins",
        breaks=("M1",),
    ),
    fault(
        "unversioned-list-of-agents-alone",
        "By the un-versioned path the model list lacks raw models.",
        change_json(
            lambda request: MODELS(request) and _is_unversioned(request),
            lambda body: body.update(data=[one for one in body["data"] if one["owned_by"] == "gt-agents"]),
        ),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "versioned-list-of-agents-alone",
        "By the versioned path the model list lacks raw models, which the un-versioned one holds.",
        change_json(
            lambda request: MODELS(request) and not _is_unversioned(request),
            lambda body: body.update(data=[one for one in body["data"] if one["owned_by"] == "gt-agents"]),
        ),
        caught_by="models.exact_allowlist",
        breaks=("M2",),
    ),
    fault(
        "vendor-files-accepted",
        "OpenAI's own file upload puts the file into a dataset.",
        _respond_to_vendor(
            "/files", json_response(200, {"id": "f1", "object": "file", "dataset_id": "scratch-briefs"})
        ),
        caught_by="vendor.files_refused",
        breaks=("R3",),
    ),
    fault(
        "vendor-responses-name-provider-model",
        "OpenAI's responses are answered, and name the provider's model.",
        _respond_to_vendor("/responses", json_response(200, {"id": "r1", "object": "response", "model": PROVIDER})),
        caught_by="vendor.responses_refused",
        breaks=("A11",),
    ),
    fault(
        "vendor-threads-accepted",
        "OpenAI's threads open conversations of GT.",
        _respond_to_vendor("/threads", json_response(200, {"id": "t1", "object": "thread", "conversation_id": "c1"})),
        caught_by="vendor.assistants_refused",
        breaks=("R4",),
    ),
)
