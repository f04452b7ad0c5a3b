"""Faults of tool calls that are streamed: pieces that clients cannot join, and calls that get lost on the way."""

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from gt_sandbox.faults._fault import Fault, fault
from gt_sandbox.middleware import (
    CHAT,
    MiddlewareFactory,
    Request,
    Response,
    change_chunks,
    change_json,
    change_pieces,
    change_requests,
    change_responses,
    combine,
    error_response,
    has_role,
    is_stream,
    is_whole_chat,
    respond_with,
)

Chunk = Mapping[str, Any]
Piece = dict[str, Any]
_MANY = 1_000_000


def offers_tools(request: Request) -> bool:
    """Whether it is a streamed chat with tools."""
    return is_stream(request) and bool(request.fields.get("tools"))


def drop_tools(body: bytes) -> bytes:
    """A chat without its tools, and without a choice among them."""
    fields = json.loads(body)
    return json.dumps({name: value for name, value in fields.items() if name not in {"tools", "tool_choice"}}).encode()


def _unstream(body: bytes) -> bytes:
    fields = json.loads(body)
    return json.dumps(
        {name: value for name, value in fields.items() if name not in {"stream", "stream_options"}}
    ).encode()


def _keep_first_tool(body: bytes) -> bytes:
    fields = json.loads(body)
    return json.dumps({**fields, "tools": fields["tools"][:1]}).encode()


def _empty_results(body: bytes) -> bytes:
    fields = json.loads(body)
    for message in fields["messages"]:
        if message["role"] == "tool":
            message["content"] = "{}"
    return json.dumps(fields).encode()


def _functions(body: Any) -> list[Any]:
    calls = body["choices"][0]["message"].get("tool_calls") or ()
    return [call["function"] for call in calls]


def _parse_arguments(body: Any) -> None:
    for function in _functions(body):
        function["arguments"] = json.loads(function["arguments"])


def _repeat_arguments(body: Any) -> None:
    for function in _functions(body):
        function["arguments"] *= 2


def change_calls(change: Callable[[Piece], list[Piece]]) -> MiddlewareFactory:
    """Put other pieces in place of each piece of a streamed call, each in a chunk of its own."""

    def change_chunk(chunk: Chunk) -> list[object]:
        pieces = [piece for choice in chunk["choices"] for piece in choice["delta"].get("tool_calls") or ()]
        if not pieces:
            return [chunk]
        return [with_delta(chunk, tool_calls=[made]) for piece in pieces for made in change(piece)]

    return change_chunks(change_chunk)


def with_delta(chunk: Chunk, **delta: object) -> Chunk:
    """The chunk with this delta in its choice."""
    return {**chunk, "choices": [{**choice, "delta": delta} for choice in chunk["choices"]]}


def is_first(piece: Piece) -> bool:
    """Whether the call begins with this piece."""
    return "id" in piece


def _without(name: str) -> Callable[[Piece], list[Piece]]:
    return lambda piece: [{key: value for key, value in piece.items() if key != name}]


def _with_function(piece: Piece, **fields: object) -> Piece:
    return {**piece, "function": {**piece["function"], **fields}}


def _as_object(piece: Piece) -> list[Piece]:
    return [_with_function(piece, arguments={"city": "Oslo"})] if is_first(piece) else []


def _begin_anew(piece: Piece) -> list[Piece]:
    """Each piece as if it were a call of its own."""
    return [piece if is_first(piece) else {**piece, "index": secrets.randbelow(_MANY) + 1, "id": _new_id()}]


def _new_id() -> str:
    return f"call_{secrets.token_hex(12)}"


def _cut(piece: Piece) -> list[Piece]:
    """Without the end of the arguments."""
    return [piece] if not piece["function"]["arguments"].endswith("}") else []


def _name_late(piece: Piece) -> list[Piece]:
    if is_first(piece):
        return [_with_function(piece, name=None), {"index": piece["index"], "function": {"name": "get_weather"}}]
    return [piece]


def _name_throughout(piece: Piece) -> list[Piece]:
    return [_with_function(piece, name="get_weather")]


def _empty_name(piece: Piece) -> list[Piece]:
    return [_with_function(piece, name="")] if is_first(piece) else [piece]


def _rename(piece: Piece) -> list[Piece]:
    return [_with_function(piece, name="search_web")] if is_first(piece) else [piece]


def _in_ascii(arguments: str) -> str:
    return arguments.encode("ascii", errors="replace").decode()


def _letters_lost(piece: Piece) -> list[Piece]:
    return [_with_function(piece, arguments=_in_ascii(piece["function"].get("arguments") or ""))]


def _lose_letters_of_calls(request: Request, response: Response) -> Response:
    """An answer in one piece, with question marks for letters in the arguments of its calls."""
    body = response.json
    if not (is_whole_chat(request) and response.succeeded and body):
        return response
    for choice in body["choices"]:
        for call in choice["message"].get("tool_calls") or ():
            call["function"]["arguments"] = _in_ascii(call["function"]["arguments"])
    return response.with_json(body)


def _another_call(call: Piece) -> Piece:
    return _with_function(call, arguments='{"city": "Bergen"}')


def _call_twice_under_one_id(request: Request, response: Response) -> Response:
    """An answer in one piece with a second call, which has the id of the first."""
    body = response.json
    if not (is_whole_chat(request) and response.succeeded and body):
        return response
    for choice in body["choices"]:
        calls = choice["message"].get("tool_calls")
        if calls:
            calls.append(_another_call(calls[0]))
    return response.with_json(body)


def _stream_twice_under_one_id(piece: Piece) -> list[Piece]:
    return [piece, {**_another_call(piece), "index": 1}] if is_first(piece) else [piece]


def _change_id(piece: Piece) -> list[Piece]:
    """Another id with each piece of one call."""
    return [{**piece, "id": _new_id()}]


def _call_again(piece: Piece) -> list[Piece]:
    """A second call under the index of the first."""
    if not is_first(piece):
        return []
    whole = _with_function(piece, arguments='{"city": "Oslo"}')
    return [whole, {**whole, "id": "call_second"}]


def _nothing_said(piece: Piece) -> list[Piece]:
    return [_with_function(piece, arguments=None)]


def _as_legacy(chunk: Chunk) -> list[object]:
    pieces = [piece for choice in chunk["choices"] for piece in choice["delta"].get("tool_calls") or ()]
    return [with_delta(chunk, function_call=piece["function"]) for piece in pieces] or [chunk]


def _as_a_mapping(chunk: Chunk) -> list[object]:
    pieces = [piece for choice in chunk["choices"] for piece in choice["delta"].get("tool_calls") or ()]
    return [with_delta(chunk, tool_calls=piece) for piece in pieces] or [chunk]


def _refuse_call(chunk: Chunk) -> list[object]:
    called = any(choice["delta"].get("tool_calls") for choice in chunk["choices"])
    error = {"error": {"message": "upstream at capacity", "type": "server_error", "code": 503}}
    return [error] if called else [chunk]


def _without_end(chunk: Chunk) -> list[object]:
    called = any(choice.get("finish_reason") == "tool_calls" for choice in chunk["choices"])
    return [] if called or not chunk["choices"] else [chunk]


def _end_before_calls(chunk: Chunk) -> list[object]:
    called = any(choice["delta"].get("tool_calls") for choice in chunk["choices"])
    return ["[DONE]", chunk] if called else [chunk]


def _drop_done_of_calls() -> MiddlewareFactory:
    """The stream of a call ends without [DONE]."""
    return change_pieces(offers_tools, lambda piece: b"" if b"[DONE]" in piece else piece)


def _streamed(name: str, description: str, middleware: MiddlewareFactory) -> Fault:
    return fault(
        f"streamed-tools-{name}", description, middleware, caught_by="chat.streamed_tools", breaks=("C8", "R1")
    )


FAULTS = (
    _streamed("without-index", "The pieces of a streamed tool call have no index.", change_calls(_without("index"))),
    _streamed("arguments-an-object", "The arguments of a streamed call are an object.", change_calls(_as_object)),
    _streamed(
        "begin-anew", "Each piece of a streamed call has an index and an id of its own.", change_calls(_begin_anew)
    ),
    _streamed("arguments-cut", "The arguments of a streamed call are cut short.", change_calls(_cut)),
    _streamed("arguments-null", "The arguments of a streamed call are null throughout.", change_calls(_nothing_said)),
    _streamed(
        "dropped", "A streamed chat gets to the model without its tools.", change_requests(offers_tools, drop_tools)
    ),
    _streamed(
        "come-whole",
        "A chat that offers tools, and is to be streamed, is answered in one piece, as JSON.",
        change_requests(offers_tools, _unstream),
    ),
    _streamed(
        "refused",
        "A streamed chat that offers tools is refused.",
        respond_with(offers_tools, error_response(400, "Tools cannot be streamed.")),
    ),
    _streamed("error", "A streamed call breaks off with an error object inside a 200.", change_chunks(_refuse_call)),
    _streamed(
        "without-end",
        "The stream of a tool call ends with neither a finish_reason nor [DONE].",
        combine(_drop_done_of_calls(), change_chunks(_without_end)),
    ),
    _streamed("after-done", "A streamed tool call follows [DONE].", change_chunks(_end_before_calls)),
    _streamed("without-id", "A streamed tool call has no id to answer it by.", change_calls(_without("id"))),
    _streamed("id-changes", "The id of a streamed tool call changes from piece to piece.", change_calls(_change_id)),
    _streamed("name-late", "The name of a streamed call comes with its second piece.", change_calls(_name_late)),
    _streamed(
        "name-throughout",
        "Each piece of a streamed call repeats its name, which LangChain adds up.",
        change_calls(_name_throughout),
    ),
    _streamed("name-empty", "The name of a streamed tool call is empty.", change_calls(_empty_name)),
    _streamed("name-unknown", "A streamed tool call names a tool that was not offered.", change_calls(_rename)),
    _streamed("calls-share-an-index", "Two streamed tool calls have one index.", change_calls(_call_again)),
    _streamed("legacy", "A streamed call comes as function_call, the form of old.", change_chunks(_as_legacy)),
    _streamed("not-a-list", "The tool_calls of a delta are no list.", change_chunks(_as_a_mapping)),
    _streamed(
        "result-refused",
        "A streamed chat that carries the result of a tool is refused.",
        respond_with(
            lambda request: is_stream(request) and has_role("tool")(request),
            error_response(422, "role: tool is not a role."),
        ),
    ),
    _streamed(
        "letters-lost", "Letters of a streamed call's arguments become question marks.", change_calls(_letters_lost)
    ),
    _streamed("one-id", "Two tool calls of a stream have one id.", change_calls(_stream_twice_under_one_id)),
    fault(
        "tools-called-under-one-id",
        "Two tool calls of one answer, not streamed, have one id.",
        change_responses(CHAT, _call_twice_under_one_id),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "letters-of-calls-lost",
        "Letters of the arguments of calls that are not streamed become question marks.",
        change_responses(CHAT, _lose_letters_of_calls),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "tools-after-the-first-dropped",
        "Of several tools the model gets the first one.",
        change_requests(lambda request: CHAT(request) and bool(request.fields.get("tools")), _keep_first_tool),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "results-dropped-in-streams",
        "Of a streamed chat the model gets the results of tools without what is in them.",
        change_requests(lambda request: is_stream(request) and has_role("tool")(request), _empty_results),
        caught_by="chat.streamed_tools",
        breaks=("R1", "C8"),
    ),
    fault(
        "unversioned-arguments-of-calls-are-objects",
        "By the un-versioned address the arguments of calls are objects, not JSON as text.",
        change_json(lambda request: is_whole_chat(request) and "/v1/" not in request.path, _parse_arguments),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "unversioned-arguments-of-calls-twice",
        "By the un-versioned address the arguments of calls that are not streamed come twice.",
        change_json(lambda request: is_whole_chat(request) and "/v1/" not in request.path, _repeat_arguments),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
)
