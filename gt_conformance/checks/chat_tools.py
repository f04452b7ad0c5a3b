"""Tools in chats: offered and called, whole and in a client's own stream; a result is sent back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gt_conformance import schema
from gt_conformance.checks._capability import TRIES, Ability, ask_again, complete, remark_late, require_ability
from gt_conformance.checks._check import Context, Parameters, check, native
from gt_conformance.checks._completion import (
    Stream,
    block_unfinished,
    chat_request,
    choices_in,
    delta_in,
    expect_completion,
    plain_chat,
    read_stream,
    shape_of,
    tool_calls_in,
    whole_stream,
)
from gt_conformance.checks._probe import Probe, StopCheck, describe_error
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, NotJson, Request, parse_json, shortened
from gt_conformance.vocabulary import Actor, Modality, Route, Severity

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "The city's name."}},
            "required": ["city"],
        },
    },
}

_TOOL_NAME = TOOL["function"]["name"]
_QUESTION = "What is the weather in Oslo now? Use the tool."

CALL_MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": _QUESTION},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_gtconformance1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_gtconformance1", "content": '{"temperature_c": 4, "sky": "clear"}'},
]


_NAMED = {"type": "function", "function": {"name": _TOOL_NAME}}
_CALL_TRIES = 3
_WHOLE = "a whole stream of chat completion chunks, without an error inside"


def _where_tools(context: Context) -> Iterator[Parameters]:
    if any(client.chat.tools for client in context.clients):
        yield Parameters()


@check(
    "chat.tools",
    claim="Tools can be offered, and a tool call can be answered.",
    remedy="Publish the alias with a model that takes tools, and have the tenant pass tools and tool messages on.",
    source="GT API overview, Start Here; OpenAI API reference, Create chat completion, tools; measured clients",
    clauses=("R1",),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("chat.completes",),
    rows=native(Route.CHAT, parameters=_where_tools, any_key=True),
)
async def tools(probe: Probe) -> None:
    """tool_choice auto is accepted; calls that come back are sound and answerable; naming the tool should call it.

    No clause promises that a model calls a tool; that the client's chat completes is one (R1): tools that are refused,
    calls that cannot be read and results that are refused violate. Tools that are accepted and never called, ordered
    or not, are the model's unless the same model calls them in a stream: then the tenant drops them on the way.
    """
    offered: dict[str, Any] = {"tools": [TOOL], "tool_choice": "auto"}
    exchange, choice = await complete(
        probe, plain_chat(probe, _QUESTION, fields=offered), "a chat with tools and tool_choice auto completes"
    )
    called = _judged_calls(probe, exchange, choice)
    await _answer(probe, choice["message"], called)
    named = {"tools": [TOOL], "tool_choice": _NAMED}
    forced = await ask_again(probe, plain_chat(probe, _QUESTION, fields=named))
    if forced.response is None or not forced.response.succeeded:
        probe.advise("tool_choice that names the function is not accepted", forced)
        calls = []
    else:
        choice = expect_completion(probe, forced, "a chat with a named tool_choice completes")
        calls = _judged_calls(probe, forced, choice)
        probe.should(calls or not called, "tool_choice that names the function gives no tool call", forced)
    probe.stop_if_failed()
    if not called and not calls:
        await require_ability(probe, Ability.TOOLS, tool=TOOL)
        probe.fail(
            "tools reach the model, which calls them in a streamed chat",
            "no tool call in chats that are not streamed, ordered or not",
            forced,
            remedy="Have the tenant pass tools and tool_choice on to the model in chats that are not streamed, too.",
        )
    elif not called:
        await _answer(probe, choice["message"], calls)


def _judged_calls(probe: Probe, exchange: Exchange, choice: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    calls = tool_calls_in(choice["message"])
    for call in calls:
        _judge_call(probe, exchange, call, cut=choice.get("finish_reason") == "length")
    return calls


def _judge_call(probe: Probe, exchange: Exchange, call: Mapping[str, Any], *, cut: bool) -> None:
    """What the schema cannot tell of a call: that it is of the tool offered, and that its arguments parse.

    Arguments that the model's token limit cut off (``cut``) are not the tenant's.
    """
    name, arguments = call["function"]["name"], call["function"]["arguments"]
    probe.must(
        name == _TOOL_NAME, f"the tool called is the one offered ({_TOOL_NAME})", shortened(repr(name), 60), exchange
    )
    try:
        parsed = parse_json(arguments)
    except NotJson:
        parsed = None
    if parsed is None and cut:
        alias = probe.model(Modality.CHAT)
        probe.block(
            f"the model behind {alias} cuts a tool call short (finish_reason length): its token limit is too small",
            f"Give the alias {alias} a larger token limit, or publish it with a model that needs less for a tool call.",
            cause=f"tool call cut {alias}",
        )
        return
    probe.must(
        parsed is not None,
        "a tool call's arguments are a string that parses as JSON",
        shortened(repr(arguments), 100),
        exchange,
    )


async def _answer(probe: Probe, message: Mapping[str, Any], calls: list[Mapping[str, Any]]) -> None:
    """Send the calls back with a result each; nothing where there are none, or where one could not be answered."""
    if not calls or probe.violations or probe.blockers:
        return
    request = plain_chat(probe, _with_results(message, calls), fields={"tools": [TOOL]})
    await complete(probe, request, "a chat that carries the tool's result completes")


def _with_results(message: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages that follow a turn with calls: each with a result."""
    return [
        {"role": "user", "content": _QUESTION},
        {"role": "assistant", "content": message.get("content"), "tool_calls": list(calls)},
        *({"role": "tool", "tool_call_id": call["id"], "content": '{"temperature_c": 4}'} for call in calls),
    ]


# -- calls that come in pieces


def _streamed_shapes(context: Context) -> Iterator[Parameters]:
    """In the shape of each client that streams and has tools."""
    for profile in (client.chat for client in context.clients):
        if profile.tools and profile.stream != "never":
            yield replace(shape_of(profile), stream=True, stream_usage=profile.stream_usage == "always")


@dataclass
class JoinedCall:
    """One call, joined as OpenAI's SDKs join it: by index, id and name from the first piece, arguments added up."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    pieces: int = 0

    def answer(self) -> dict[str, Any]:
        """As it is sent back."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": function}


@dataclass
class Turn:
    """What the assistant said in a stream: its text and its calls, and what no client can join."""

    text: str = ""
    calls: dict[int, JoinedCall] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    """What was expected of the pieces, and what came."""
    deviations: list[str] = field(default_factory=list)

    @property
    def has_calls(self) -> bool:
        """Whether there is anything of a call in it, sound or not."""
        return bool(self.calls or self.broken)


@check(
    "chat.streamed_tools",
    claim="Tool calls arrive in this client's stream as it joins them, and their results can be sent back.",
    remedy="Have the tenant pass the pieces of tool calls on as OpenAI's API streams them: index, id, name, arguments.",
    source="GT client runbooks, GT route mapping; "
    "GT API overview, Start Here; "
    "OpenAI API reference, Streaming: delta.tool_calls; "
    "measured clients",
    clauses=("C8", "R1"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("chat.completes",),
    rows=native(Route.CHAT, parameters=_streamed_shapes, any_key=True),
)
async def streamed_tools(probe: Probe) -> None:
    """Pieces are joined by index; id and name in the first; arguments that join to JSON; the result is taken.

    A streamed chat that never calls, where the same model calls in plain chats, is one from which the tenant drops the
    tools. What breaks streams without tools, or tools without streams, is the finding of those checks.
    """
    exchange = await ask_again(probe, _streamed(probe))
    await probe.require_like("chat.streams", conforming=True)
    await probe.require("chat.tools", parameters=Parameters(), conforming=True)
    exchange, turn = await _until_called(probe, exchange)
    _judge_turn(probe, exchange, turn)
    probe.stop_if_failed()
    calls = [call.answer() for call in turn.calls.values()]
    if calls:
        request = _streamed(probe, _with_results({"content": turn.text or None}, calls))
        _expect_words(probe, await ask_again(probe, request))


def _streamed(probe: Probe, messages: Any = _QUESTION, *, tool_choice: object = "auto") -> Request:
    options = {"stream_options": {"include_usage": True}} if probe.parameters.stream_usage else {}
    return chat_request(probe, messages, tools=[TOOL], tool_choice=tool_choice, stream=True, **options)


async def _until_called(probe: Probe, exchange: Exchange) -> tuple[Exchange, Turn]:
    """The first streamed chat with a call: it is asked for three times, then ordered.

    Where the same model calls whenever it is asked in a plain chat, and never in a stream, that is the violation. One
    that calls now and then only is ordered: where it calls in a plain chat alone, that violates as well.
    """
    for number in range(_CALL_TRIES):
        if number:
            exchange = await ask_again(probe, _streamed(probe), first=number * TRIES)
        turn = _read_turn(probe, exchange)
        if turn.has_calls:
            remark_late(probe, "called the tool", number, exchange)
            return exchange, turn
    if all([await _calls_when_plain(probe, "auto", number) for number in range(_CALL_TRIES)]):
        raise _dropped(probe, exchange)
    ordered = await ask_again(probe, _streamed(probe, tool_choice=_NAMED))
    turn = _read_turn(probe, ordered)
    if turn.has_calls:
        return ordered, turn
    if await _calls_when_plain(probe, _NAMED, 0):
        raise _dropped(probe, ordered)
    await require_ability(probe, Ability.TOOLS, tool=TOOL)
    alias = probe.model(Modality.CHAT)
    raise Blocked(
        f"the model behind {alias} calls its tool now and then only, and did not in this client's stream",
        f"Publish the alias {alias} with a stronger model, one that calls the tool that it is ordered to call.",
    )


async def _calls_when_plain(probe: Probe, tool_choice: object, number: int) -> bool:
    request = plain_chat(probe, _QUESTION, fields={"tools": [TOOL], "tool_choice": tool_choice})
    exchange = await ask_again(probe, request, first=number * TRIES)
    trial = probe.dry_run()
    try:
        return bool(tool_calls_in(expect_completion(trial, exchange)["message"]))
    except StopCheck:
        return False


def _dropped(probe: Probe, exchange: Exchange) -> StopCheck:
    probe.fail(
        "tools reach the model in a streamed chat, as they do in a plain one, where it calls them",
        f"no tool call in {_CALL_TRIES} streamed chats",
        exchange,
        remedy="Have the tenant pass tools and tool_choice on to the model in streamed chats, too.",
    )
    return StopCheck()


def _read_turn(probe: Probe, exchange: Exchange) -> Turn:
    """What was said up to [DONE], where SDKs stop; a stream that is no whole one ends the check."""
    stream = _sound_stream(probe, exchange)
    turn = join_turn(stream)
    _note_finish(probe, exchange, turn, stream)
    return turn


def join_turn(stream: Stream) -> Turn:
    """A streamed message up to [DONE], put together as SDKs do: text joined, pieces of calls joined by their index."""
    turn, finished = Turn(), False
    for choice in (one for chunk in stream.chunks[: stream.done_at] for one in choices_in(chunk)):
        delta = delta_in(choice)
        said = delta.get("content") or delta.get("refusal")
        turn.text += said if isinstance(said, str) else ""
        if delta.get("function_call"):
            turn.broken["calls come in tool_calls"] = "function_call, which clients that send tools do not read"
        pieces = delta.get("tool_calls") or []
        if isinstance(pieces, list):
            for piece in pieces:
                _join(turn, piece)
        else:
            turn.broken["tool_calls is a list"] = shortened(repr(pieces), 100)
        if pieces and finished:
            turn.deviations.append("a tool call follows the finish_reason of its choice")
        finished = finished or bool(choice.get("finish_reason"))
    return turn


def _sound_stream(probe: Probe, exchange: Exchange) -> Stream:
    stream = read_stream(whole_stream(probe, exchange, _WHOLE))
    for chunk in stream.chunks:
        if chunk.get("error"):
            probe.fail(_WHOLE, f"an error inside the stream: {shortened(str(chunk['error']), 160)}", exchange)
    for text in stream.malformed[:1]:
        probe.fail(_WHOLE, text, exchange)
    if stream.done_at is None and not stream.finish_reasons:
        probe.fail(_WHOLE, "it ends with neither a finish_reason nor [DONE]", exchange)
    probe.stop_if_failed()
    return stream


def _join(turn: Turn, piece: Any) -> None:
    """Add a piece to its call, as SDKs do."""
    errors = schema.load("wire/chat-completion-chunk").errors(piece, at="#/$defs/tool_call")
    if errors:
        turn.broken.setdefault("pieces of tool calls that clients can join", describe_error(errors[0]))
        return
    function = piece.get("function") or {}
    given_id, name, arguments = piece.get("id") or "", function.get("name") or "", function.get("arguments") or ""
    call = turn.calls.get(piece["index"])
    if call is None:
        call = turn.calls[piece["index"]] = JoinedCall(piece["index"], given_id, name)
        for what, value in (("id", given_id), ("name", name)):
            if not value:
                turn.broken.setdefault(f"the first piece of each call has its {what}", f"none at index {call.index}")
    else:
        if given_id and given_id != call.id:
            turn.broken.setdefault("each call has one id and an index of its own", f"{call.id}, then {given_id}")
        elif given_id:
            turn.deviations.append("the id of a tool call should be in its first piece alone")
        if name:
            # Most SDKs add texts to each other, so that a name which is given twice is another tool's.
            expected = "the name of a call is whole in its first piece and in no other"
            turn.broken.setdefault(expected, f"{call.name!r}, then {name!r}")
    call.arguments += arguments
    call.pieces += 1


def _note_finish(probe: Probe, exchange: Exchange, turn: Turn, stream: Stream) -> None:
    """Which finish_reason a stream with calls has is read by few clients."""
    if turn.has_calls and "tool_calls" not in stream.finish_reasons and "length" not in stream.finish_reasons:
        given = ", ".join(sorted(map(str, stream.finish_reasons))) or "none"
        turn.deviations.append(f"the finish_reason of a tool call should be tool_calls: {given}")
    for text in turn.deviations:
        probe.advise(text, exchange)


def _judge_turn(probe: Probe, exchange: Exchange, turn: Turn) -> None:
    """Every broken form is one finding: that the pieces are not passed on as they should be."""
    for expected, found in turn.broken.items():
        probe.fail(expected, found, exchange)
    probe.stop_if_failed()
    reasons = read_stream(probe.success(exchange, _WHOLE)).finish_reasons
    for call in turn.calls.values():
        _judge_call(probe, exchange, call.answer(), cut="length" in reasons)


def _expect_words(probe: Probe, exchange: Exchange) -> None:
    """The stream that follows a result says something, or calls again."""
    expected = "a streamed chat that carries the tool's result completes"
    turn = _read_turn(probe, exchange)
    reasons = read_stream(probe.success(exchange, expected)).finish_reasons
    if not turn.text.strip() and not turn.has_calls and not block_unfinished(probe, exchange, reasons):
        probe.fail(expected, "the deltas joined give neither content nor a tool call", exchange)
