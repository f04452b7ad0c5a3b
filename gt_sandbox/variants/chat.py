"""Variants of chats in one piece: what a response may hold besides, and what may be refused by name."""

import copy
import json
import re
import secrets
from collections.abc import Callable
from typing import Any

from gt_sandbox.middleware import (
    CHAT,
    MiddlewareFactory,
    Predicate,
    Request,
    change_choice,
    change_chunks,
    change_json,
    change_requests,
    combine,
    error_response,
    has_field,
    has_role,
    is_whole_chat,
    json_response,
    refuse,
)
from gt_sandbox.variants._variant import variant

_MEASURED = "checks: every client that was measured takes it"
_UNSAID = "checks: no page says which further fields are taken"
_REFUSED = "checks: accepted, or refused with a 400 that names the field"


def _refuse_by_name(wanted: Predicate, param: str, message: str) -> MiddlewareFactory:
    """Refuse some requests with a 400 that names the field."""
    refusal = error_response(400, message, "invalid_request_error", param=param, code="unsupported_parameter")
    return refuse(wanted, refusal)


def _refuse_field(name: str) -> MiddlewareFactory:
    return _refuse_by_name(has_field(name), name, f"'{name}' is not supported by this model.")


def _change_calls(change: Callable[[list[Any]], object]) -> MiddlewareFactory:
    """Change the tool calls of a response, if it has any."""
    return change_json(
        is_whole_chat,
        change_choice(
            lambda choice: change(choice["message"]["tool_calls"]) if choice["message"].get("tool_calls") else None
        ),
    )


def _has_control_characters(request: Request) -> bool:
    return CHAT(request) and "\\u001b" in json.dumps(request.messages)


def _drop_optional(body: Any) -> None:
    body.pop("usage")
    choice = body["choices"][0]
    choice.pop("logprobs")
    choice["message"].pop("refusal")
    if choice["message"]["content"] is None:
        choice["message"].pop("content")


def _add_nulls(body: Any) -> None:
    body.update(system_fingerprint=None, service_tier=None, error=None)
    message = body["choices"][0]["message"]
    for name in ("tool_calls", "function_call", "audio", "reasoning_content", "refusal"):
        message.setdefault(name, None)


def _add_reasoning(choice: Any) -> None:
    thought = "The user wants an answer, and gets one."
    choice["message"].update(
        reasoning_content=thought, reasoning=thought, reasoning_details=[{"type": "text", "text": thought}]
    )


def _add_content(choice: Any) -> None:
    if choice["message"].get("tool_calls"):
        choice["message"].update(content="I will look.")


def _call_twice(calls: list[Any]) -> None:
    again = copy.deepcopy(calls[0])
    again["id"] = f"call_{secrets.token_hex(4)}"
    calls.append(again)


def _space_arguments(calls: list[Any]) -> None:
    for call in calls:
        call["function"]["arguments"] = json.dumps(json.loads(call["function"]["arguments"]), indent=2) + "\n"


def _change_ids(calls: list[Any]) -> None:
    for number, call in enumerate(calls):
        call.update(id=f"functions.{call['function']['name']}:{number}", index=number)


_SHORT_ID = re.compile("[A-Za-z0-9]{9}")


def _ids_of_calls(request: Request) -> list[object]:
    """The ids of calls, and of those that results are for, in the messages of a chat."""
    calls = [call.get("id") for message in request.messages for call in message.get("tool_calls") or ()]
    return [*calls, *(message.get("tool_call_id") for message in request.messages if message.get("role") == "tool")]


def _has_long_ids(request: Request) -> bool:
    return CHAT(request) and not all(_SHORT_ID.fullmatch(str(one)) for one in _ids_of_calls(request))


_refuse_long_ids = refuse(
    _has_long_ids, error_response(400, "Tool call ids must be a-z, A-Z, 0-9, with a length of 9.", "invalid_request")
)


def _shorten_ids(calls: list[Any]) -> None:
    for call in calls:
        if "id" in call:
            call["id"] = "t" + call["id"][-8:]


def _shorten_streamed_ids(chunk: Any) -> list[object]:
    for choice in chunk["choices"]:
        _shorten_ids(choice["delta"].get("tool_calls") or [])
    return [chunk]


def _drop_tools(body: bytes) -> bytes:
    """Take the tools out of a chat that leaves their use to the model."""
    try:
        fields = json.loads(body)
    except ValueError:
        return body
    if not isinstance(fields, dict) or fields.get("tool_choice", "auto") != "auto":
        return body
    return json.dumps({name: value for name, value in fields.items() if name not in {"tools", "tool_choice"}}).encode()


def _by_ollama(body: Any) -> None:
    """Calls with an index and an empty content beside them, an id of three digits."""
    body.update(id=f"chatcmpl-{secrets.randbelow(1000)}", system_fingerprint="fp_ollama")
    for choice in body["choices"]:
        calls = choice["message"].get("tool_calls") or ()
        for number, call in enumerate(calls):
            call["index"] = number
        if calls:
            choice["message"]["content"] = ""


def _by_vllm(body: Any) -> None:
    """Null for what there is not, in fields of its own as well, and an empty list of calls."""
    body.update(prompt_logprobs=None, kv_transfer_params=None, service_tier=None)
    for choice in body["choices"]:
        choice.update(stop_reason=None, token_ids=None)
        message = choice["message"]
        message.update(dict.fromkeys(("reasoning_content", "annotations", "audio", "function_call")))
        message["tool_calls"] = message.get("tool_calls") or []


VARIANTS = (
    variant(
        "chat-at-no-time",
        "Chats are created at 0, and all have one id.",
        change_json(is_whole_chat, lambda body: body.update(created=0, id="chatcmpl-local")),
        permitted_by=_MEASURED,
        alters="ids",
    ),
    variant(
        "chats-under-one-id",
        "All chats have one id, streamed or not, as servers give it that have no use for ids.",
        combine(
            change_json(is_whole_chat, lambda body: body.update(id="chatcmpl-local")),
            change_chunks(lambda chunk: [{**chunk, "id": "chatcmpl-local"}]),
        ),
        permitted_by=_MEASURED,
        alters="ids",
    ),
    variant(
        "chat-at-a-fraction",
        "The time at which a chat was created is a fraction, and its id is a number in quotes.",
        change_json(is_whole_chat, lambda body: body.update(created=body["created"] + 0.25, id=secrets.token_hex(2))),
        permitted_by=_MEASURED,
        alters="ids",
    ),
    variant(
        "chat-by-ollama",
        "Chats are written as Ollama writes them.",
        change_json(is_whole_chat, _by_ollama),
        permitted_by=_MEASURED,
        alters="ids tool-message",
    ),
    variant(
        "chat-by-vllm",
        "Chats are written as vLLM writes them.",
        change_json(is_whole_chat, _by_vllm),
        permitted_by=_MEASURED,
        alters="tool-message",
    ),
    variant(
        "chat-without-finish-reason",
        "Chats have no finish_reason.",
        change_json(is_whole_chat, change_choice(lambda choice: choice.pop("finish_reason"))),
        permitted_by=_MEASURED,
        alters="finish",
    ),
    variant(
        "chat-with-foreign-finish-reason",
        "Chats give the provider's finish_reason (eos_token).",
        change_json(is_whole_chat, change_choice(lambda choice: choice.update(finish_reason="eos_token"))),
        permitted_by=_MEASURED,
        alters="finish",
    ),
    variant(
        "stop-refused-without-a-name",
        "The field stop is refused, and the refusal does not name it.",
        refuse(has_field("stop"), error_response(400, "Bad request.")),
        permitted_by=_UNSAID,
        alters="stop",
    ),
    variant(
        "stop-refused-in-200",
        "The field stop is answered with 200 and an error object.",
        refuse(has_field("stop"), json_response(200, {"error": {"message": "Unknown field.", "type": "invalid"}})),
        permitted_by=_UNSAID,
        alters="stop",
    ),
    variant(
        "structured-output-500",
        "Structured output fails with 500.",
        refuse(has_field("response_format"), error_response(500, "grammar compiler")),
        permitted_by=_UNSAID,
        alters="structured-output",
    ),
    variant(
        "chat-without-optional-fields",
        "Chats leave out usage, logprobs and refusal.",
        change_json(is_whole_chat, _drop_optional),
        permitted_by="OpenAI API reference: optional fields",
    ),
    variant(
        "chat-with-nulls",
        "Chats contain null for what they do not have, an error included.",
        change_json(is_whole_chat, _add_nulls),
        permitted_by="OpenAI API reference: nullable fields",
    ),
    variant(
        "chat-with-reasoning",
        "Chats contain the model's reasoning beside the answer.",
        change_json(is_whole_chat, change_choice(_add_reasoning)),
        permitted_by="GT API reference: extra fields anywhere",
    ),
    variant(
        "content-beside-tool-calls",
        "A message that calls a tool has words as well.",
        change_json(
            is_whole_chat,
            change_choice(_add_content),
        ),
        permitted_by="OpenAI API reference: content beside tool_calls is optional",
    ),
    variant(
        "tool-calls-twice",
        "A tool is called twice at once.",
        _change_calls(_call_twice),
        permitted_by="OpenAI API reference: parallel tool calls",
    ),
    variant(
        "tool-ids-of-another-shape",
        "Ids of tool calls hold dots and colons.",
        _change_calls(_change_ids),
        permitted_by="OpenAI API reference: an id is any string",
        alters="tool-ids",
    ),
    variant(
        "tool-ids-of-nine-letters",
        "Ids of tool calls are of nine letters and digits, and no other is taken, as Mistral's servers have it.",
        combine(_refuse_long_ids, _change_calls(_shorten_ids), change_chunks(_shorten_streamed_ids)),
        permitted_by="checks: clients send back the ids that they were given",
        alters="tool-ids",
    ),
    variant(
        "tool-arguments-spaced",
        "The arguments of tool calls are JSON over several lines.",
        _change_calls(_space_arguments),
        permitted_by="RFC 8259, 2: white space between tokens",
    ),
    variant(
        "tools-left-unused",
        "The model answers in words where tools are only offered.",
        change_requests(is_whole_chat, _drop_tools),
        permitted_by="OpenAI API reference: with auto the model may call no tool",
    ),
    variant(
        "structured-output-refused",
        "Structured output is refused by name.",
        _refuse_field("response_format"),
        permitted_by="checks: honoured, or refused with a 400 that names it",
        alters="structured-output",
    ),
    variant(
        "parallel-tool-calls-refused",
        "The field parallel_tool_calls is refused by name.",
        _refuse_field("parallel_tool_calls"),
        permitted_by=_REFUSED,
    ),
    variant(
        "developer-role-refused",
        "The role developer is refused by name.",
        _refuse_by_name(has_role("developer"), "messages", "The role developer is not supported by this model."),
        permitted_by="checks: the role developer is a should",
    ),
    variant(
        "chat-refuses-control-characters",
        "A chat that holds control characters is refused with a 400.",
        refuse(_has_control_characters, error_response(400, "Control characters are not allowed.")),
        permitted_by="checks: to refuse the output of a terminal is advised, to fail at it a violation",
    ),
    variant(
        "code-filtered",
        "A content filter before the model, which names itself, refuses source code.",
        refuse(
            lambda request: CHAT(request) and "<script" in json.dumps(request.messages),
            error_response(400, "The prompt triggered the content management policy.", code="content_filter"),
        ),
        permitted_by="GT API reference: prompt guardrail modules apply on the server",
    ),
    variant(
        "chunked-bodies-refused",
        "What comes in chunks, without a length, is refused with a 411.",
        refuse(
            lambda request: request.header("transfer-encoding") == "chunked", error_response(411, "Length required.")
        ),
        permitted_by="RFC 9112, 6.3: a server may refuse a request with a body and no Content-Length",
    ),
)
