"""Chat completions: reading the request, asking the scripted model, answering whole or as a stream."""

import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gt_sandbox.accounts import CHAT, Ability, Caller
from gt_sandbox.conversations import HEADER, Conversations, Uploads
from gt_sandbox.protocol import Body, Refusal, invalid
from gt_sandbox.scripted_model import Call, Offer, Reply, Tool, Turn, relevant, reply

_TOOL_MODES = ("auto", "none", "required")
_JSON_OBJECT = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
_MOST_STOPS = 4


@dataclass(frozen=True, slots=True)
class Chat:
    """``POST /v1/chat/completions``: stateless, or in a conversation where the header names one."""

    conversations: Conversations
    uploads: Uploads

    async def complete(self, request: Request, caller: Caller) -> Response:
        """Answer a chat request."""
        caller.require(CHAT)
        body = await Body.read(request)
        published = caller.model(body.text("model"), Ability.CHAT)
        model = published.name
        sent, offered, schema = _turns(body), _offer(body), _schema(body)
        limit, stops = _limit(body), _stops(body)
        _check_sampling(body)
        streams, include_usage = body.flag("stream"), body.mapping("stream_options").flag("include_usage")
        conversation = self.conversations.find(request, caller)
        datasets = (published.datasets & caller.datasets) | ({conversation.dataset_id} if conversation else set())
        documents = relevant(self.uploads.texts(datasets), sent[-1].text)
        history = (*(Turn("system", text) for text in documents), *(conversation.turns if conversation else ()), *sent)
        before = tuple(Turn("system", text) for text in (published.base_prompt, *caller.prompts) if text)
        answer = reply((*before, *history), offered, schema)
        tokens = max(1, sum(turn.tokens for turn in history))
        completion = Completion.of(answer, model=model, prompt_tokens=tokens, limit=limit, stops=stops)
        headers = {}
        if conversation:
            conversation.turns += [turn for turn in sent if turn.role != "system"]
            conversation.turns.append(Turn("assistant", completion.text))
            headers = {HEADER: conversation.id}
        if not streams:
            return JSONResponse(completion.answer(), headers=headers)
        headers |= {"Cache-Control": "no-cache"}
        stream = events(completion, include_usage=include_usage)
        return StreamingResponse(stream, headers=headers, media_type="text/event-stream")


def _check_sampling(body: Body) -> None:
    """What is read and then has no effect here; a value out of range is refused all the same."""
    body.integer("n", 1, 1)
    body.integer("seed")
    body.optional_text("user")
    body.flag("parallel_tool_calls")
    body.number("temperature", 0, 2)
    body.number("top_p", 0, 1)
    body.number("presence_penalty", -2, 2)
    body.number("frequency_penalty", -2, 2)


def _limit(body: Body) -> int | None:
    limits = (body.integer("max_completion_tokens", 1), body.integer("max_tokens", 1))
    return next((limit for limit in limits if limit is not None), None)


def _stops(body: Body) -> list[str]:
    given = body.get("stop")
    stops = [given] if isinstance(given, str) else [] if given is None else given
    if not isinstance(stops, list) or len(stops) > _MOST_STOPS or not all(isinstance(s, str) and s for s in stops):
        raise invalid("stop", f"'stop' must be a text or a list of at most {_MOST_STOPS} texts.")
    return stops


def _schema(body: Body) -> Mapping[str, object] | None:
    form = body.mapping("response_format")
    kind = form.get("type")
    if kind is None or kind == "text":
        return None
    if kind == "json_object":
        return _JSON_OBJECT
    wanted = form.get("json_schema")
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    if kind != "json_schema" or not isinstance(schema, dict):
        raise invalid("response_format", "'response_format' must be text, json_object, or json_schema with its schema.")
    return schema


_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


def _turns(body: Body) -> tuple[Turn, ...]:
    """The turns of a chat request; a 400 naming the field where one is wrong."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages", "'messages' must be a non-empty list of messages.")
    return tuple(_turn(message, f"messages[{index}]") for index, message in enumerate(messages))


def _turn(message: object, where: str) -> Turn:
    if not isinstance(message, dict):
        raise invalid(where, f"'{where}' must be an object.")
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise invalid(f"{where}.role", f"'{where}.role' must be one of: {', '.join(_ROLES)}.")
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise invalid(f"{where}.tool_call_id", "A tool message must name the call that it answers.")
    if role != "assistant":
        return Turn(_ROLES[role], _text(message.get("content"), f"{where}.content"))
    content, calls = message.get("content"), message.get("tool_calls")
    if calls:
        _check_calls(calls, f"{where}.tool_calls")
    if content is None and (calls or message.get("function_call")):
        return Turn(role, "")
    return Turn(role, _text(content, f"{where}.content"))


def _text(content: object, where: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise invalid(where, f"'{where}' must be a string or a list of text parts.")
    return "\n".join(_part(part, where) for part in content)


def _part(part: object, where: str) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    text = part.get("refusal" if kind == "refusal" else "text") if isinstance(part, dict) else None
    if kind not in {"text", "refusal"} or not isinstance(text, str):
        raise invalid(where, f"'{where}' may hold only parts of type text.")
    return text


def _check_calls(calls: object, where: str) -> None:
    for call in calls if isinstance(calls, list) else [None]:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise invalid(where, f"'{where}' must be a list of function calls.")


def _offer(body: Body) -> Offer:
    """The tools on offer; a 400 naming ``tools`` or ``tool_choice`` where one is wrong."""
    given = body.get("tools")
    if given is not None and not isinstance(given, list):
        raise invalid("tools", "'tools' must be a list.")
    tools = tuple(_tool(item, f"tools[{index}]") for index, item in enumerate(given or []))
    choice = body.get("tool_choice")
    if choice is None:
        return Offer(tools)
    wrong = invalid("tool_choice", "'tool_choice' must be auto, none, required or one of the functions in 'tools'.")
    if isinstance(choice, dict):
        return _named(choice, tools, wrong)
    if choice not in _TOOL_MODES or (choice == "required" and not tools):
        raise wrong
    return Offer(tools, str(choice))


def _named(choice: Mapping[str, object], tools: tuple[Tool, ...], wrong: Refusal) -> Offer:
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    chosen = tuple(tool for tool in tools if tool.name == name)
    if not chosen:
        raise wrong
    return Offer(chosen[:1], "required")


def _tool(item: object, where: str) -> Tool:
    function = item.get("function") if isinstance(item, dict) and item.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str) or not name:
        raise invalid(where, f"'{where}' must be of type function, with a named function.")
    parameters = function.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise invalid(where, f"'{where}.function.parameters' must be a JSON Schema.")
    return Tool(name, str(function.get("description") or ""), parameters)


_TOKEN = re.compile(r"\s*\S+")


@dataclass(frozen=True, slots=True)
class Completion:
    """What every form of the answer is rendered from, whole or streamed. A word counts as a token."""

    model: str
    text: str
    calls: tuple[Call, ...]
    finish_reason: str
    prompt_tokens: int
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    @classmethod
    def of(
        cls, reply: Reply, *, model: str, prompt_tokens: int, limit: int | None = None, stops: Sequence[str] = ()
    ) -> "Completion":
        """The reply, cut at the first stop text and then to so many tokens."""
        text, finish_reason = reply.text, "tool_calls" if reply.calls else "stop"
        for stop in stops:
            text = text.partition(stop)[0]
        tokens = _TOKEN.findall(text)
        if limit is not None and len(tokens) > limit:
            text, finish_reason = "".join(tokens[:limit]), "length"
        return cls(model, text, reply.calls, finish_reason, prompt_tokens)

    @property
    def usage(self) -> dict[str, int]:
        """Tokens; the total is the sum of its parts."""
        texts = (self.text, *(f"{call.name} {call.arguments}" for call in self.calls))
        written = sum(len(text.split()) for text in texts)
        total = self.prompt_tokens + written
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": written, "total_tokens": total}

    def message(self) -> dict[str, object]:
        """The assistant's message."""
        message: dict[str, object] = {
            "role": "assistant",
            "content": None if self.calls else self.text,
            "refusal": None,
        }
        if self.calls:
            message["tool_calls"] = [call.answer() for call in self.calls]
        return message

    def answer(self) -> dict[str, object]:
        """The body of an answer that is not streamed."""
        choice = {"index": 0, "message": self.message(), "logprobs": None, "finish_reason": self.finish_reason}
        return self.head("chat.completion") | {"choices": [choice], "usage": self.usage}

    def head(self, kind: str) -> dict[str, object]:
        """What a whole answer and each of its chunks begin with."""
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


_PAUSE = 0.004
_MOST_PIECES = 32
_WORD = re.compile(r"\s*\S+\s*")


async def events(completion: Completion, *, include_usage: bool) -> AsyncIterator[bytes]:
    """The events of one stream, each to be sent as soon as it comes."""
    for chunk in _chunks(completion, include_usage=include_usage):
        yield b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"
        await asyncio.sleep(_PAUSE)
    yield b"data: [DONE]\n\n"


def _chunks(completion: Completion, *, include_usage: bool) -> Iterator[Mapping[str, object]]:
    head = completion.head("chat.completion.chunk")
    usage = {"usage": None} if include_usage else {}
    for delta in _deltas(completion):
        yield head | {"choices": [_choice(delta, None)]} | usage
    yield head | {"choices": [_choice({}, completion.finish_reason)]} | usage
    if include_usage:
        yield head | {"choices": [], "usage": completion.usage}


def _choice(delta: Mapping[str, object], finish_reason: str | None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _deltas(completion: Completion) -> Iterator[dict[str, object]]:
    yield {"role": "assistant", "content": None if completion.calls else ""}
    for index, call in enumerate(completion.calls):
        for part in _call_parts(index, call):
            yield {"tool_calls": [part]}
    if not completion.calls:
        for piece in _pieces(completion.text):
            yield {"content": piece}


def _call_parts(index: int, call: Call) -> Iterator[dict[str, object]]:
    yield {"index": index, **call.answer(), "function": {"name": call.name, "arguments": ""}}
    for piece in _pieces(call.arguments):
        yield {"index": index, "function": {"arguments": piece}}


def _pieces(text: str) -> list[str]:
    """Several pieces that join to the text: words, or characters where there are too few words."""
    pieces = _WORD.findall(text)
    if len(pieces) < 3:
        third = -(-len(text) // 3) or 1
        pieces = [text[at : at + third] for at in range(0, len(text), third)]
    many = -(-len(pieces) // _MOST_PIECES) or 1
    return ["".join(pieces[at : at + many]) for at in range(0, len(pieces), many)]
