"""Chat completions: reading the request, asking the language engine, answering whole or as a stream."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from .accounts import Caller
from .answers import invalid
from .body import Body
from .completion import Completion
from .conversations import HEADER, Conversations
from .keys import CHAT
from .language import reply
from .messages import Turn, turns
from .names import Ability
from .streaming import events
from .tools import offer

_JSON_OBJECT = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
_MOST_STOPS = 4


@dataclass(frozen=True, slots=True)
class Chat:
    """``POST /v1/chat/completions``: stateless, or in a conversation where the header names one."""

    conversations: Conversations

    async def complete(self, request: Request, caller: Caller) -> Response:
        """Answer a chat request."""
        caller.needs(CHAT)
        body = await Body.read(request)
        model = caller.model(body.text("model"), Ability.CHAT).name
        sent, offered, schema = turns(body), offer(body), _schema(body)
        limit, stops = _limit(body), _stops(body)
        _check_sampling(body)
        streams, include_usage = body.flag("stream"), body.mapping("stream_options").flag("include_usage")
        conversation = self.conversations.named(request, caller)
        history = (*conversation.turns, *sent) if conversation else sent
        said = reply(history, offered, schema)
        tokens = max(1, sum(turn.tokens for turn in history))
        completion = Completion.of(said, model=model, prompt_tokens=tokens, limit=limit, stops=stops)
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
