"""Faults of chats in one piece, of what a chat request may hold, and of tools."""

import html
import json
import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import (
    INTERNAL,
    PROVIDER,
    break_off,
    lose_four_bytes,
    lose_letters,
    redirect,
    replace_bytes,
    respond_json,
    web_page,
)
from gt_sandbox.faults.tools import drop_tools
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_HEADER,
    MiddlewareFactory,
    Predicate,
    Request,
    change_choice,
    change_events,
    change_json,
    change_requests,
    change_successes,
    combine,
    error_response,
    has_field,
    has_role,
    is_stream,
    is_whole_chat,
    json_response,
    respond_with,
)


def _change_message(**fields: object) -> Callable[[Any], object]:
    """Other fields of the assistant's message, if it is text."""
    return change_choice(
        lambda choice: None if choice["message"].get("tool_calls") else choice["message"].update(fields)
    )


def _change_calls(change: Callable[[Any], object]) -> MiddlewareFactory:
    """Change every tool call of a response; another fault may have made a success of a refusal, which has none."""

    def change_body(body: Any) -> None:
        for choice in body.get("choices", ()):
            for call in choice["message"].get("tool_calls") or ():
                change(call)

    return change_json(is_whole_chat, change_body)


def _has_users_in_a_row(request: Request) -> bool:
    roles = [message.get("role") for message in request.messages]
    return CHAT(request) and any(one == other == "user" for one, other in pairwise(roles))


def _has_content_parts(request: Request) -> bool:
    return CHAT(request) and any(isinstance(message.get("content"), list) for message in request.messages)


def _has_four_bytes(request: Request) -> bool:
    return CHAT(request) and max(json.dumps(request.messages, ensure_ascii=False)) > "\uffff"


def _without_content(event: bytes) -> bytes:
    return re.sub(rb'"content":"(?:[^"\\]|\\.)*"', b'"content":""', event)


def _end_in_an_error(choice: Any) -> None:
    choice["message"].update(content="", tool_calls=None)
    choice.update(finish_reason="error", error={"code": 502, "message": "The provider returned an error."})


def _has_tools(request: Request) -> bool:
    return CHAT(request) and bool(request.fields.get("tools"))


def _is_plain(request: Request) -> bool:
    return is_whole_chat(request) and not request.fields.get("tools")


def _says_stream_false(request: Request) -> bool:
    return CHAT(request) and request.fields.get("stream") is False


def _asks_in_messages(request: Request) -> bool:
    return CHAT(request) and len(request.messages) > 1 and request.messages[-1].get("role") == "user"


def _keep_last(body: bytes) -> bytes:
    fields = json.loads(body)
    return json.dumps({**fields, "messages": fields["messages"][-1:]}).encode()


def _drop_system(body: bytes) -> bytes:
    """A chat without its system messages, unless it has no others."""
    fields = json.loads(body)
    others = [message for message in fields["messages"] if message["role"] not in {"system", "developer"}]
    return json.dumps({**fields, "messages": others or fields["messages"]}).encode()


def _has_messages(least: int) -> Predicate:
    return lambda request: CHAT(request) and len(request.messages) >= least


def _change_messages(body: bytes, change: Callable[[list[Any]], list[Any]]) -> bytes:
    fields = json.loads(body)
    return json.dumps({**fields, "messages": change(fields["messages"])}).encode()


def _keep_first_in_a_row(messages: list[Any]) -> list[Any]:
    """Without each user message that follows another."""
    follows = (one["role"] == other["role"] == "user" for one, other in pairwise(messages))
    return messages[:1] + [other for other, drop in zip(messages[1:], follows, strict=True) if not drop]


def _keep_last_in_a_row(messages: list[Any]) -> list[Any]:
    return _keep_first_in_a_row(messages[::-1])[::-1]


def _drop_assistant(messages: list[Any]) -> list[Any]:
    """Without what an assistant said, unless it called a tool."""
    return [message for message in messages if message["role"] != "assistant" or message.get("tool_calls")]


def _change_contents(body: bytes, change: Callable[[list[Any]], object]) -> bytes:
    """Another content of messages whose content is in parts."""

    def changed(message: dict[str, Any]) -> dict[str, Any]:
        content = message.get("content")
        return {**message, "content": change(content)} if isinstance(content, list) else message

    return _change_messages(body, lambda messages: [changed(message) for message in messages])


def _change_message_text(change: Callable[[str], str]) -> MiddlewareFactory:
    """Another text of whole answers."""

    def change_body(body: Any) -> None:
        for choice in body["choices"]:
            if isinstance(choice["message"].get("content"), str):
                choice["message"]["content"] = change(choice["message"]["content"])

    return change_json(is_whole_chat, change_body)


def _without_spaces(choice: Any) -> None:
    said = choice["message"].get("content")
    if isinstance(said, str):
        choice["message"]["content"] = said.replace(" ", "")


FAULTS = (
    fault(
        "whole-answers-without-spaces",
        "Answers in one piece lose their spaces, as tokens that are joined without them do.",
        change_json(is_whole_chat, change_choice(_without_spaces)),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "chat-500",
        "Chat completions fail with 500.",
        respond_with(CHAT, error_response(500, "upstream failed")),
        caught_by="chat.completes",
        breaks=("C1", "K1"),
    ),
    fault(
        "chat-not-routed",
        "Chat completions are not routed: 404.",
        respond_with(CHAT, error_response(404, "No such route.")),
        caught_by="chat.completes",
        breaks=("C1", "R6"),
    ),
    fault(
        "chat-redirects",
        "Chat completions redirect to another address.",
        respond_with(CHAT, redirect()),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "chat-html",
        "Chat completions are answered with a web page and 200.",
        respond_with(CHAT, web_page()),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "chat-error-in-200",
        "A chat that fails is answered with 200 and an error object in it.",
        respond_json(
            is_whole_chat,
            {"error": {"message": "upstream failed", "type": "server_error", "param": None, "code": None}},
        ),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "chat-names-provider-model",
        "A chat completion names the provider's model instead of the alias.",
        change_json(is_whole_chat, lambda body: body.update(model=PROVIDER)),
        caught_by="chat.model_is_published",
        breaks=("C2",),
    ),
    fault(
        "chat-names-internal-model",
        "A chat completion names the internal id of the agent.",
        change_json(is_whole_chat, lambda body: body.update(model=INTERNAL)),
        caught_by="chat.model_is_published",
        breaks=("C2",),
    ),
    fault(
        "chats-with-tools-name-provider-model",
        "A chat with tools names a provider's model.",
        change_json(
            lambda request: is_whole_chat(request) and _has_tools(request), lambda body: body.update(model=PROVIDER)
        ),
        caught_by="answers.name_published",
        breaks=("C2",),
    ),
    fault(
        "chats-in-conversations-name-provider-model",
        "A chat in a conversation names a provider's model.",
        change_json(
            lambda request: is_whole_chat(request) and bool(request.header(CONVERSATION_HEADER)),
            lambda body: body.update(model=PROVIDER),
        ),
        caught_by="answers.name_published",
        breaks=("C2",),
    ),
    fault(
        "chat-without-choices",
        "A chat completion has no choices.",
        change_json(is_whole_chat, lambda body: body.update(choices=[])),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "chat-without-role",
        "The message of a chat completion has no role.",
        change_json(is_whole_chat, change_choice(lambda choice: choice["message"].pop("role"))),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "chat-of-another-role",
        "The message of a chat completion is of a role of its own, which LiteLLM and the Vercel AI SDK refuse.",
        change_json(is_whole_chat, change_choice(lambda choice: choice["message"].update(role="ai"))),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "chat-id-a-number",
        "The id of a chat completion is a number, which the Vercel AI SDK refuses.",
        change_json(is_whole_chat, lambda body: body.update(id=7)),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "chat-calls-itself-something-else",
        "A chat completion calls itself chat.answer, with which Dify saves no credentials.",
        change_json(is_whole_chat, lambda body: body.update(object="chat.answer")),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "chat-usage-without-counts",
        "The usage of a chat completion has null for its counts, with which Dify cannot reckon.",
        change_json(is_whole_chat, lambda body: body["usage"].update(dict.fromkeys(body["usage"]))),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "stream-false-streams",
        "A chat with stream: false is streamed: what counts is that the field is there.",
        change_requests(_says_stream_false, lambda body: json.dumps({**json.loads(body), "stream": True}).encode()),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "stream-false-refused",
        "A chat with stream: false, as LangChain and LlamaIndex send it, is refused.",
        respond_with(_says_stream_false, error_response(422, "stream: Input should be true")),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "last-message-alone",
        "Only the last message of a chat gets to the model, with what is stored in its conversation.",
        change_requests(_asks_in_messages, _keep_last),
        caught_by="conversation.continuity",
        breaks=("C1",),
    ),
    fault(
        "last-message-alone-streamed",
        "Only the last message of a streamed chat gets to the model.",
        change_requests(lambda request: is_stream(request) and _asks_in_messages(request), _keep_last),
        caught_by="conversation.continuity",
        breaks=("C1",),
    ),
    fault(
        "last-message-alone-unless-streamed",
        "Only the last message of a chat that is not streamed gets to the model.",
        change_requests(lambda request: is_whole_chat(request) and _asks_in_messages(request), _keep_last),
        caught_by="conversation.continuity",
        breaks=("C1",),
    ),
    *(
        fault(
            name,
            f"{what} gets to the model without its system messages.",
            change_requests(wanted, _drop_system),
            caught_by="chat.roles",
            breaks=("C1",),
        )
        for name, what, wanted in (
            ("system-messages-dropped", "A chat", CHAT),
            ("system-messages-dropped-in-streams", "A streamed chat", is_stream),
            ("system-messages-dropped-without-tools", "A whole chat without tools", _is_plain),
        )
    ),
    fault(
        "last-four-messages-alone",
        "Of a chat the model gets the last four messages.",
        change_requests(_has_messages(5), lambda body: _change_messages(body, lambda messages: messages[-4:])),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "last-three-messages-alone",
        "Of a chat the model gets the last three messages.",
        change_requests(_has_messages(4), lambda body: _change_messages(body, lambda messages: messages[-3:])),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "first-message-dropped-in-streams",
        "A streamed chat of several messages gets to the model without the first.",
        change_requests(
            lambda request: is_stream(request) and _has_messages(2)(request),
            lambda body: _change_messages(body, lambda messages: messages[1:]),
        ),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "first-content-part-alone",
        "Of a message in parts the model gets the first one.",
        change_requests(_has_content_parts, lambda body: _change_contents(body, lambda parts: parts[:1])),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "last-content-part-alone",
        "Of a message in parts the model gets the last one.",
        change_requests(_has_content_parts, lambda body: _change_contents(body, lambda parts: parts[-1:])),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    *(
        fault(
            name,
            f"Of several user messages in a row the model gets the {which}.",
            change_requests(_has_users_in_a_row, partial(_change_messages, change=keep)),
            caught_by="chat.roles",
            breaks=("C1",),
        )
        for name, which, keep in (
            ("first-of-users-in-a-row-alone", "first", _keep_first_in_a_row),
            ("last-of-users-in-a-row-alone", "last", _keep_last_in_a_row),
        )
    ),
    fault(
        "assistant-messages-dropped",
        "What the assistant said earlier in a chat does not reach the model.",
        change_requests(_asks_in_messages, partial(_change_messages, change=_drop_assistant)),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "content-parts-as-an-object",
        "A message in parts is put into a text as languages do that print objects.",
        change_requests(_has_content_parts, lambda body: _change_contents(body, lambda _: "[object Object]")),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "answers-escaped-for-web-pages",
        "Answers come with HTML entities.",
        _change_message_text(html.escape),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "accents-become-question-marks",
        "A proxy before the tenant passes chats on in ASCII, with ? for every other letter.",
        change_requests(is_whole_chat, lose_letters),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "chat-read-as-latin-1",
        "The UTF-8 of a chat completion is taken for Latin-1, and encoded once more.",
        replace_bytes(is_whole_chat, b"\xc3\xa9", b"\xc3\x83\xc2\xa9"),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "chat-as-plain-text",
        "A chat completion is sent as text/plain, which OpenAI's SDK for JavaScript does not parse.",
        change_successes(is_whole_chat, lambda response: response.with_header("content-type", "text/plain")),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "chat-says-nothing",
        "The message of a chat completion is empty.",
        change_json(is_whole_chat, _change_message(content="")),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "chats-break-off",
        "Half of each answer in one piece is missing, and finish_reason is stop.",
        change_json(is_whole_chat, change_choice(break_off)),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "system-messages-refused",
        "A chat with a system message is refused.",
        respond_with(has_role("system"), error_response(400, "Only user and assistant are roles.")),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "system-messages-unanswered",
        "A chat with a system message is answered with nothing.",
        change_json(
            lambda request: is_whole_chat(request) and has_role("system")(request), _change_message(content="")
        ),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "assistant-messages-refused",
        "A chat with an earlier answer of the assistant in it is refused.",
        respond_with(has_role("assistant"), error_response(422, "The messages are no question.")),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "user-messages-in-a-row-refused",
        "A chat with two user messages in a row is refused.",
        respond_with(_has_users_in_a_row, error_response(400, "Roles must alternate.")),
        caught_by="chat.message_forms",
        breaks=("R1",),
    ),
    fault(
        "content-parts-refused",
        "A chat whose content is a list of text parts is refused.",
        respond_with(_has_content_parts, error_response(422, "content: a string is expected.")),
        caught_by="chat.message_forms",
        breaks=("R1",),
    ),
    fault(
        "content-parts-unanswered",
        "A chat whose content is a list of text parts is answered without text.",
        change_json(_has_content_parts, _change_message(content="")),
        caught_by="chat.message_forms",
        breaks=("C1",),
    ),
    fault(
        "chats-with-a-seed-say-nothing",
        "A chat that names a seed is answered without text, whole or streamed.",
        combine(
            change_json(has_field("seed"), _change_message(content="")),
            change_events(lambda request: is_stream(request) and "seed" in request.fields, _without_content),
        ),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "chats-with-tools-say-nothing",
        "A chat with tools in which none is called is answered without text.",
        change_json(_has_tools, _change_message(content="")),
        caught_by="chat.tools",
        breaks=("C1", "R1"),
    ),
    fault(
        "chats-with-emoji-500",
        "A chat whose text holds a character of four bytes in UTF-8 fails: its log keeps three.",
        respond_with(_has_four_bytes, error_response(500, "Incorrect string value")),
        caught_by="chat.message_forms",
        breaks=("C1", "R1"),
    ),
    fault(
        "chats-with-control-characters-500",
        "A chat that holds the output of a terminal fails: its log takes no control characters.",
        respond_with(
            lambda request: CHAT(request) and "\\u001b" in json.dumps(request.messages),
            error_response(500, "invalid byte sequence"),
        ),
        caught_by="chat.message_forms",
        breaks=("C1", "R1"),
    ),
    fault(
        "emoji-become-question-marks",
        "What takes four bytes in UTF-8 goes to the model as a question mark.",
        change_requests(CHAT, lose_four_bytes),
        caught_by="chat.roles",
        breaks=("C1",),
    ),
    fault(
        "max-tokens-refused",
        "A chat with max_tokens is refused.",
        respond_with(has_field("max_tokens"), error_response(400, "Unsupported parameter: max_tokens.")),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "max-completion-tokens-refused",
        "A chat with max_completion_tokens is refused.",
        respond_with(
            has_field("max_completion_tokens"), error_response(400, "Unsupported parameter: max_completion_tokens.")
        ),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "large-token-limit-500",
        "A chat with a token limit beyond the model's fails with 500.",
        respond_with(
            lambda request: CHAT(request) and request.fields.get("max_tokens", 0) > 32_768,
            error_response(500, "context length"),
        ),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "seed-500",
        "A chat with seed fails with 500.",
        respond_with(has_field("seed"), error_response(500, "unexpected keyword argument")),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "content-parts-refused-in-200",
        "A chat whose content is a list of text parts is answered with 200 and an error object in it.",
        respond_with(
            _has_content_parts,
            json_response(200, {"error": {"message": "Unknown content.", "type": "invalid"}}),
        ),
        caught_by="chat.message_forms",
        breaks=("R1",),
    ),
    fault(
        "user-field-refused",
        "A chat with the field user is refused with 403.",
        respond_with(has_field("user"), error_response(403, "Extra inputs are not permitted.")),
        caught_by="chat.completes",
        breaks=("C1",),
    ),
    fault(
        "tools-refused",
        "A chat that offers tools is refused.",
        respond_with(_has_tools, error_response(400, "tools: Extra inputs are not permitted.")),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "chats-with-tools-end-in-an-error",
        "A chat in one piece that offers tools is answered with 200, no text, and the provider's error in its choice.",
        change_json(lambda request: is_whole_chat(request) and _has_tools(request), change_choice(_end_in_an_error)),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "tools-dropped-unless-streamed",
        "A chat that is not streamed gets to the model without its tools.",
        change_requests(lambda request: is_whole_chat(request) and _has_tools(request), drop_tools),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "tool-results-unanswered",
        "A chat that carries the result of a tool is answered with nothing.",
        change_json(lambda request: is_whole_chat(request) and has_role("tool")(request), _change_message(content="")),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "tool-results-refused",
        "A chat that carries the result of a tool is refused.",
        respond_with(has_role("tool"), error_response(422, "role: tool is not a role.")),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "results-of-two-calls-refused",
        "A chat that carries the results of two tool calls is refused.",
        respond_with(
            lambda request: sum(message.get("role") == "tool" for message in request.messages) > 1,
            error_response(400, "Expected a message of the role assistant after one of the role tool."),
        ),
        caught_by="chat.message_forms",
        breaks=("R1",),
    ),
    fault(
        "empty-texts-beside-calls-refused",
        "A chat whose earlier tool call has an empty text beside it, as the Vercel AI SDK sends it back, is refused.",
        respond_with(
            lambda request: (
                has_role("assistant")(request) and any(one.get("content") == "" for one in request.messages)
            ),
            error_response(400, "messages: text content blocks must be non-empty."),
        ),
        caught_by="chat.message_forms",
        breaks=("R1",),
    ),
    fault(
        "tool-call-without-id",
        "A tool call has no id to answer it by.",
        _change_calls(lambda call: call.pop("id")),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "tool-call-of-unknown-tool",
        "A tool call names a tool that was not offered.",
        _change_calls(lambda call: call["function"].update(name="search_web")),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "tool-arguments-not-json",
        "The arguments of a tool call are cut short.",
        _change_calls(lambda call: call["function"].update(arguments='{"city": "Ly')),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "tool-arguments-lost",
        "The arguments of a tool call are an empty object.",
        _change_calls(lambda call: call["function"].update(arguments="{}")),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "tool-arguments-encoded-twice",
        "The arguments of a tool call are JSON of a string, which holds the JSON.",
        _change_calls(lambda call: call["function"].update(arguments=json.dumps(call["function"]["arguments"]))),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
    fault(
        "tool-arguments-an-object",
        "The arguments of a tool call are an object, not JSON as text.",
        _change_calls(lambda call: call["function"].update(arguments={"city": "Lyon"})),
        caught_by="chat.tools",
        breaks=("R1",),
    ),
)
