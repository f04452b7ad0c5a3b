"""Variants of the model behind an alias: what it cannot do, and what it does now and then, is no fault of the tenant.

Each changes what the assistant says, whole or streamed; the tenant around it works as ever.
"""

import html
import json
import random
import re
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_HEADER,
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    combine,
    error_response,
    has_field,
    has_role,
    is_any,
    per_call,
    refuse,
    respond_with,
    with_secrets,
)
from gt_sandbox.scripted_model import Offer, Turn, reply
from gt_sandbox.tenant_file import with_markers
from gt_sandbox.variants._variant import variant

EMPTY_SHARE = 0.05
"""How often the model that is sometimes empty is."""
_SEED = 12
_LEAST_TOKENS = 1_000
_MODEL = "GT API reference: what a model says is not documented"
_LENGTH = "OpenAI API reference: finish_reason length, reasoning tokens included"

_SMALL_CONTEXT = 16_000
"""Bytes of a request: some 4,096 tokens."""
_BEYOND_CONTEXT = error_response(
    400,
    "This model's maximum context length is 4096 tokens. However, your messages resulted in 9000 tokens.",
    "context_length_exceeded",
)

_LONGEST_ANSWER = 4_096
_BEYOND_ANSWER = error_response(
    400,
    "max_tokens is too large: 8192. This model supports at most 4096 completion tokens, whereas you provided 8192.",
    "invalid_request_error",
    param="max_tokens",
    code="invalid_value",
)

_NO_TOOLS = error_response(400, "registry.ollama.ai/library/gemma3:4b does not support tools", "api_error")
_NO_SYSTEM = error_response(400, "System role not supported", "BadRequestError")
_FIXED_VALUES = error_response(
    400,
    "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
    "invalid_request_error",
    param="temperature",
    code="unsupported_value",
)
_OTHER_LIMIT = error_response(
    400,
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    "invalid_request_error",
    param="max_tokens",
    code="unsupported_parameter",
)
_TAKES = "does not take what clients send"

Choice = dict[str, Any]
"""The only choice of an answer: ``message`` and ``finish_reason``, put together where it was streamed."""


def change_answers(wanted: Predicate, change: Callable[[Request, Choice], object]) -> MiddlewareFactory:
    """Change what the assistant says to some chats; a stream is put together first, and streamed anew."""

    @per_call
    async def change_answer(call: Call) -> None:
        if not (CHAT(call.request) and wanted(call.request)):
            await call.forward()
            return
        response = await call.response()
        if response.succeeded:
            response = _with_choice(response, lambda choice: change(call.request, choice))
        await call.respond(response)

    return change_answer


def _with_choice(response: Response, change: Callable[[Choice], object]) -> Response:
    body = response.json
    if body is not None:
        change(body["choices"][0])
        return response.with_json(body)
    lines = (line.removeprefix(b"data: ") for line in response.body.split(b"\n\n"))
    chunks = [json.loads(line) for line in lines if line.startswith(b"{")]
    choice = _gather(chunks)
    change(choice)
    events = [*(json.dumps(chunk).encode() for chunk in _stream(chunks, choice)), b"[DONE]"]
    return response.with_body(b"".join(b"data: %b\n\n" % event for event in events))


def _gather(chunks: list[dict[str, Any]]) -> Choice:
    """The choice of a stream, as a whole answer has it."""
    calls: dict[int, Choice] = {}
    content, finish = "", None
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        finish = choice["finish_reason"] or finish
        content += choice["delta"].get("content") or ""
        for part in choice["delta"].get("tool_calls") or ():
            called = calls.setdefault(part["index"], {**part, "function": {**part["function"], "arguments": ""}})
            called["function"]["arguments"] += part["function"]["arguments"]
    listed = [{name: value for name, value in call.items() if name != "index"} for call in calls.values()]
    message = {"role": "assistant", "content": None if listed else content}
    return {"index": 0, "message": message | ({"tool_calls": listed} if listed else {}), "finish_reason": finish}


def _stream(chunks: list[dict[str, Any]], choice: Choice) -> Iterator[Mapping[str, Any]]:
    """The chunks of a stream that says this, with the names and the usage of those that were."""
    for delta in _deltas(choice["message"]):
        yield chunks[0] | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield chunks[0] | {"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}
    yield from (chunk for chunk in chunks if not chunk["choices"])


def _deltas(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    calls = message.get("tool_calls") or ()
    yield {"role": "assistant", "content": None if calls else ""}
    yield from ({"content": piece} for piece in (message.get("content") or "").splitlines(keepends=True))
    for index, call in enumerate(calls):
        yield {"tool_calls": [{"index": index, **call}]}


def say(choice: Choice, text: str, finish_reason: str = "stop") -> None:
    """Have the assistant say this, and call nothing."""
    choice["message"].pop("tool_calls", None)
    choice["message"]["content"] = text
    choice["finish_reason"] = finish_reason


def sometimes_empty(seed: int, share: float = EMPTY_SHARE) -> MiddlewareFactory:
    """The model says nothing at all in that share of its answers, in an order that the seed decides."""

    def make(_: Secrets) -> MiddlewareFactory:
        chance = random.Random(seed)  # noqa: S311 - a choice, not a secret
        return change_answers(lambda _: chance.random() < share, lambda _, choice: say(choice, ""))

    return with_secrets(make)


def _asked(request: Request) -> str:
    """The text of the last message."""
    return str(request.messages[-1].get("content")) if request.messages else ""


def _recalls(request: Request) -> bool:
    """Whether the last message may ask for what was said before it: where a tool or nobody has spoken, it does not."""
    return bool(request.messages) and request.messages[-1].get("role") == "user"


def _forget(request: Request, choice: Choice) -> None:
    """Say what the model would say to the last message alone."""
    if not choice["message"].get("tool_calls") and "response_format" not in request.fields:
        say(choice, reply((Turn("user", _asked(request)),), Offer()).text)


def _wants_json(request: Request) -> bool:
    return "response_format" in request.fields or "JSON" in _asked(request)


def _is_limited(request: Request) -> bool:
    """Whether it allows fewer tokens than the model thinks."""
    limits = (request.fields.get(name) for name in ("max_tokens", "max_completion_tokens"))
    return any(isinstance(limit, int) and limit < _LEAST_TOKENS for limit in limits)


def _allows_more(request: Request) -> bool:
    """Whether a chat allows more tokens than the model answers with."""
    limits = (request.fields.get(name) for name in ("max_tokens", "max_completion_tokens"))
    return CHAT(request) and any(isinstance(limit, int) and limit > _LONGEST_ANSWER for limit in limits)


def _calls(change: Callable[[Choice], object]) -> MiddlewareFactory:
    """Change answers that call a tool."""
    return change_answers(
        lambda request: bool(request.fields.get("tools")),
        lambda _, choice: change(choice) if choice["message"].get("tool_calls") else None,
    )


def _change_arguments(change: Callable[[str], str]) -> Callable[[Choice], None]:
    def change_all(choice: Choice) -> None:
        for call in choice["message"]["tool_calls"]:
            call["function"]["arguments"] = change(call["function"]["arguments"])

    return change_all


def _cut_arguments(choice: Choice) -> None:
    _change_arguments(lambda text: text[: len(text) // 2])(choice)
    choice["finish_reason"] = "length"


def _cut_words(choice: Choice) -> None:
    words = (choice["message"].get("content") or "").split()
    if len(words) > _TWO:
        choice["message"]["content"] = " ".join(words[:_TWO])
        choice["finish_reason"] = "length"


def _cut_letter(_: Request, choice: Choice) -> None:
    """Say nothing more from the first letter beyond ASCII on, which takes a token of its own."""
    said = choice["message"].get("content") or ""
    if not said.isascii():
        before = re.split(r"[^\x00-\x7f]", said)[0]
        choice["message"]["content"] = before
        choice["finish_reason"] = "length"


_TWO = 2


def _at_times(share: float, change: Callable[[Choice], object]) -> MiddlewareFactory:
    """Change that share of the answers that call a tool, in an order that the seed decides."""

    def make(_: Secrets) -> MiddlewareFactory:
        chance = random.Random(_SEED)  # noqa: S311 - a choice, not a secret
        return _calls(lambda choice: change(choice) if chance.random() < share else None)

    return with_secrets(make)


def _write_calls(choice: Choice) -> None:
    """Write the first call into the text, as a model's template has it."""
    called = choice["message"]["tool_calls"][0]["function"]
    text = json.dumps({"name": called["name"], "arguments": json.loads(called["arguments"])})
    say(choice, f"<tool_call>\n{text}\n</tool_call>")


def _call_another(choice: Choice) -> None:
    for call in choice["message"]["tool_calls"]:
        call["function"]["name"] = "weather"


def _call_twice(choice: Choice) -> None:
    calls = choice["message"]["tool_calls"]
    calls.append({**calls[0], "id": f"call_{secrets.token_hex(12)}"})


def _sign(request: Request, choice: Choice) -> None:
    """Sign what is said in prose."""
    if not (choice["message"].get("tool_calls") or _wants_json(request) or choice["finish_reason"] == "length"):
        say(choice, f"{choice['message']['content']}\nSigned: the desk of Dogger.", choice["finish_reason"])


def _wrap(_: Request, choice: Choice) -> None:
    if choice["finish_reason"] != "length":
        say(choice, json.dumps({"answer": choice["message"]["content"]}), choice["finish_reason"])


def _forget_after(chats: int) -> MiddlewareFactory:
    """Who asks for the first thing alone, after so many chats of a conversation, is told nothing."""
    had: Counter[str] = Counter()

    def forget(request: Request, choice: Choice) -> None:
        conversation = request.header(CONVERSATION_HEADER)
        if conversation and _asked(request) == "What is the code word that I gave you?" and had[conversation] > chats:
            say(choice, "So much was said that I no longer know.")
        had[conversation] += 1

    return change_answers(is_any, forget)


def _remember(messages: int) -> MiddlewareFactory:
    """The model is given so many of a conversation's messages, the last ones: code words before them are unknown."""
    stored: defaultdict[str, list[str]] = defaultdict(list)

    def forget(request: Request, choice: Choice) -> None:
        before = stored[request.header(CONVERSATION_HEADER)]
        sent = [str(message.get("content")) for message in request.messages]
        read = " ".join((*before[-messages:], *sent))
        if "I gave you" in _asked(request) and any(one not in read for one in _words_in(choice)):
            say(choice, "I do not know.")
        before += [*sent, choice["message"].get("content") or ""]

    return change_answers(lambda request: CHAT(request) and bool(request.header(CONVERSATION_HEADER)), forget)


def _words_in(choice: Choice) -> list[str]:
    return re.findall(r"\b[a-z]+-[0-9a-f]{4}\b", choice["message"].get("content") or "")


def _mark_up(_: Request, choice: Choice) -> None:
    if choice["finish_reason"] != "length":
        text = html.escape(choice["message"]["content"]).encode("ascii", "xmlcharrefreplace").decode()
        say(choice, f"<p>{text}</p>", choice["finish_reason"])


def _mask_digits(request: Request, choice: Choice) -> None:
    if choice["message"].get("content") and not _wants_json(request):
        say(choice, re.sub(r"\d", "#", choice["message"]["content"]), choice["finish_reason"])


VARIANTS = (
    variant(
        "model-signs-answers",
        "The model signs its answers, as a key's additional prompt text asks it to; the tenant file marks such texts.",
        change_answers(lambda request: not request.fields.get("tools"), _sign),
        permitted_by="GT API keys and access: the tenant may apply prompt modules and additional prompt text",
        tenant_file=with_markers,
    ),
    variant(
        "model-sometimes-empty",
        "The model says nothing in one of twenty answers.",
        sometimes_empty(_SEED),
        permitted_by=_MODEL,
    ),
    variant(
        "model-calls-two-tools",
        "The model calls a tool twice at once, in streams as well.",
        _calls(_call_twice),
        permitted_by="OpenAI API reference: parallel tool calls",
        alters="tool-calls",
    ),
    variant(
        "model-adds-arguments",
        "The model gives arguments that a tool does not have.",
        _calls(_change_arguments(lambda text: json.dumps({**json.loads(text), "unit": "celsius"}))),
        permitted_by="OpenAI API reference: the model may make up parameters",
        alters="tool-calls",
    ),
    variant(
        "model-recalls-nothing",
        "The model answers the last message alone, whatever was said before it.",
        change_answers(_recalls, _forget),
        permitted_by=_MODEL,
        lacks="recall",
    ),
    variant(
        "model-forgets-in-long-conversations",
        "The model no longer tells what was said first once a conversation has gone on for some chats.",
        with_secrets(lambda _: _forget_after(chats=1)),
        permitted_by=_MODEL,
        alters="memory",
    ),
    variant(
        "model-writes-no-json",
        "The model writes arguments of tool calls that are no JSON.",
        _calls(_change_arguments(lambda _: "city = Oslo")),
        permitted_by=_MODEL,
        lacks="nothing can carry out",
        alters="tool-calls",
    ),
    variant(
        "model-sometimes-writes-no-json",
        "The model writes arguments of tool calls that are no JSON, a quarter of the time.",
        _at_times(0.25, _change_arguments(lambda text: text.replace('"', "'"))),
        permitted_by=_MODEL,
        alters="tool-calls",
    ),
    variant(
        "model-sometimes-writes-calls-as-text",
        "The model writes tool calls into its text, as its template has them, half of the time.",
        _at_times(0.5, _write_calls),
        permitted_by=_MODEL,
        alters="tool-calls",
    ),
    variant(
        "model-leaves-arguments-out",
        "The model calls a tool without the argument that it requires.",
        _calls(_change_arguments(lambda _: "{}")),
        permitted_by=_MODEL,
        alters="tool-calls",
    ),
    variant(
        "model-calls-another-tool",
        "The model calls a tool that was not offered.",
        _calls(_call_another),
        permitted_by=_MODEL,
        lacks="nothing can carry out",
        alters="tool-calls",
    ),
    variant(
        "model-of-small-context",
        "The model reads 4,096 tokens, and refuses what is longer by OpenAI's code.",
        respond_with(lambda request: CHAT(request) and len(request.body) > _SMALL_CONTEXT, _BEYOND_CONTEXT),
        permitted_by=_MODEL,
        lacks="context",
    ),
    variant(
        "model-of-short-answers",
        "The model answers with 4,096 tokens at most, and refuses a larger token limit, as OpenAI's do.",
        refuse(_allows_more, _BEYOND_ANSWER),
        permitted_by=_MODEL,
        lacks="is beyond its context",
    ),
    variant(
        "model-takes-no-tools",
        "The model takes no tools, and the server behind the alias says so in a 400, as Ollama's does.",
        refuse(lambda request: CHAT(request) and bool(request.fields.get("tools")), _NO_TOOLS),
        permitted_by=_MODEL,
        lacks=_TAKES,
    ),
    variant(
        "model-takes-no-tools-by-its-name",
        "The model takes no tools, and the server behind the alias says so in a 400 that names it.",
        refuse(
            lambda request: CHAT(request) and bool(request.fields.get("tools")),
            error_response(400, "The model `field-analyst` does not support tools.", "invalid_request_error"),
        ),
        permitted_by=_MODEL,
        lacks=_TAKES,
    ),
    variant(
        "model-takes-no-system-messages",
        "The model's template has no role system, and the server behind the alias says so in a 400, as vLLM does.",
        refuse(has_role("system"), _NO_SYSTEM),
        permitted_by=_MODEL,
        lacks=_TAKES,
    ),
    variant(
        "model-of-fixed-values",
        "The model takes no temperature but its own, and one token limit of two, as OpenAI's reasoning models do.",
        combine(
            refuse(lambda request: CHAT(request) and request.fields.get("temperature", 1) != 1, _FIXED_VALUES),
            refuse(has_field("max_tokens"), _OTHER_LIMIT),
        ),
        permitted_by=_MODEL,
        lacks=_TAKES,
    ),
    variant(
        "model-calls-no-tools",
        "The model calls no tool, even if it is ordered to.",
        _calls(lambda choice: say(choice, "I would look at the weather, were I able to.")),
        permitted_by=_MODEL,
        lacks="call",
    ),
    variant(
        "model-gives-no-json",
        "The model answers in prose where JSON is asked for.",
        change_answers(_wants_json, lambda _, choice: say(choice, "Well,\nthe answer is: ok.")),
        permitted_by=_MODEL,
        lacks="JSON",
    ),
    variant(
        "model-answers-in-json",
        "The model answers in JSON, in which letters beyond ASCII are escaped, whatever it is asked.",
        change_answers(lambda request: not request.fields.get("tools") and not _wants_json(request), _wrap),
        permitted_by=_MODEL,
        alters="answer-form",
    ),
    variant(
        "model-answers-in-html",
        "The model answers in HTML, with entities for what is no letter of ASCII, whatever it is asked.",
        change_answers(lambda request: not request.fields.get("tools") and not _wants_json(request), _mark_up),
        permitted_by=_MODEL,
        alters="answer-form",
    ),
    variant(
        "model-declines",
        "The model declines whatever it is asked, politely, and calls no tool.",
        change_answers(lambda _: True, lambda _, choice: say(choice, "I am sorry, but I cannot help with that.")),
        permitted_by=_MODEL,
        lacks="does not",
    ),
    variant(
        "model-thinks-long",
        "Reasoning that is not shown uses up small token limits before any text comes.",
        change_answers(_is_limited, lambda _, choice: say(choice, "", "length")),
        permitted_by=_LENGTH,
        lacks="token limit",
        alters="finish",
    ),
    variant(
        "model-filters-content",
        "The model's content filter withholds the answer to some prompts.",
        change_answers(
            lambda request: "code word" in _asked(request), lambda _, choice: say(choice, "", "content_filter")
        ),
        permitted_by="OpenAI API reference: finish_reason content_filter",
        lacks="content filter",
        alters="finish",
    ),
    variant(
        "prompts-filtered-with-400",
        "A content filter before the model refuses some prompts with a 400 and its code, as Azure's does.",
        refuse(
            lambda request: CHAT(request) and "code word" in _asked(request),
            error_response(400, "The response was filtered: see the content management policy.", code="content_filter"),
        ),
        permitted_by="GT API reference: prompt guardrail modules apply on the server",
        lacks="content filter",
        alters="finish",
    ),
    variant(
        "model-reads-four-messages",
        "A conversation gives the model its last four messages, and none from before.",
        with_secrets(lambda _: _remember(messages=4)),
        permitted_by="GT API reference: how many messages of a conversation a model is given is not documented",
        alters="memory",
    ),
    variant(
        "model-digits-masked",
        "A privacy filter behind the model writes a sign in place of each digit that it says.",
        change_answers(is_any, _mask_digits),
        permitted_by="GT API reference: prompt guardrail modules apply on the server",
        lacks="signs in place of what was said",
    ),
    variant(
        "model-cuts-words",
        "The model's own token limit cuts off what it says within a word, before a letter beyond ASCII.",
        change_answers(is_any, _cut_letter),
        permitted_by=_LENGTH,
    ),
    variant(
        "model-cuts-answers",
        "The model's own token limit cuts off what it says after two words.",
        change_answers(is_any, lambda _, choice: _cut_words(choice)),
        permitted_by=_LENGTH,
        lacks="token limit",
        alters="finish",
    ),
    variant(
        "model-cuts-tool-calls",
        "The model's own token limit cuts off the arguments of tool calls.",
        _calls(_cut_arguments),
        permitted_by=_LENGTH,
        lacks="cuts a tool call short",
        alters="finish",
    ),
)
