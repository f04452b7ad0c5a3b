"""Tools in chats: offered and called, whole and in a client's own stream; a result is sent back."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from gt_conformance.checks._capability import (
    TRIES,
    Ability,
    ask_again,
    ask_for,
    complete,
    fact_of,
    finish_reasons,
    is_answered,
    is_empty,
    names_fact,
    never_does,
    remark_late,
    require_ability,
    said_in,
)
from gt_conformance.checks._check import Context, Parameters, check, native
from gt_conformance.checks._completion import (
    AFTER_DONE,
    COMPLETES,
    EMPTY_STREAM,
    FILTERED,
    FIND_THE_TEXT,
    PASS_ON_WHOLE,
    Stream,
    block_unfinished,
    bodies_in,
    chat_request,
    choices_in,
    error_inside,
    expect_completion,
    plain_chat,
    read_stream,
    shape_of,
    tool_calls_in,
    whole_stream,
)
from gt_conformance.checks._notes import StopCheck
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._surfaces import Address, at_address
from gt_conformance.checks._tool_turns import Turn, join_turn
from gt_conformance.checks._tools import CITY, DEGREES, QUESTION, REQUIRED, SEVERAL_TOOLS, TOOL, TOOL_NAME
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, NotJson, Request, Response, parse_json, shortened
from gt_conformance.together import together
from gt_conformance.vocabulary import Actor, Modality, Route, Severity

_NAMED = {"type": "function", "function": {"name": TOOL_NAME}}
_CALL_TRIES = 5
"""So often a way of asking never calls, and the other each time, before that is no chance: some models write half of
their calls as text."""
_WHOLE = "a whole stream of chat completion chunks, without an error inside"
_STREAM_WITH_TOOLS = (
    "Have the tenant, and every proxy before it, stream the answers to requests with tools as it streams others."
)


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
    or not, are the model's unless the same model calls them in a stream: then the tenant drops them on the way. So are
    calls that the model writes wrong: arguments that do not parse, or a tool that was not offered.
    """
    named = _whole_request(probe, _NAMED, SEVERAL_TOOLS)
    elsewhere = at_address(named, probe.tenant, Address.UNVERSIONED)
    await probe.send_all([_whole_request(probe, "auto"), elsewhere])  # neither waits for the other
    exchange = await ask_again(probe, _whole_request(probe, "auto"))
    called = _read_whole(probe, exchange, "a chat with tools and tool_choice auto completes")
    called = await _sound(probe, called, _whole_again(probe, "auto"), _streamed_instead(probe))
    await _answer(probe, called)
    there = await ask_again(probe, elsewhere)
    is_called_there = _has_calls(there.response)
    forced = there if is_called_there else await ask_again(probe, named)
    ordered = Called(forced)
    if is_called_there:
        ordered = await _read_unversioned(probe, forced, called)
    elif forced.response is None or not forced.response.succeeded:
        probe.advise("tool_choice that names the function is not accepted", forced)
    else:
        ordered = _read_whole(probe, forced, "a chat with a named tool_choice completes")
        ordered = await _sound(probe, ordered, _whole_again(probe, _NAMED, SEVERAL_TOOLS), _streamed_instead(probe))
        text = "tool_choice that names the function gives no tool call"
        probe.should(ordered.calls or not called.calls, text, forced)
    probe.stop_if_failed()
    is_ordered = bool(ordered.calls)
    if not called.calls and not ordered.calls:
        if "content_filter" in finish_reasons(forced.response):
            raise Blocked(*FILTERED)
        ordered = await _called_later(probe, forced)
    if not is_ordered:
        await _expect_each_tool(probe, forced)
    if not called.calls:
        await _answer(probe, ordered)


async def _read_unversioned(probe: Probe, exchange: Exchange, called: "Called") -> "Called":
    """The calls that came by the un-versioned address, where clients chat, if the tool is called.

    What is wrong with them there alone, whenever it is asked for, is that address's: the same model calls right at the
    versioned one.
    """
    if _tried(probe, lambda trial: _read_whole(trial, exchange)) is None:
        joined = Parameters(route=Route.CHAT, base_path=urlsplit(probe.tenant.base_url).path)
        await probe.require("base_url.joins", parameters=joined, conforming=True)
    expected = "a chat with a named tool_choice completes by the un-versioned address"
    ordered = _read_whole(probe, exchange, expected)

    async def again(number: int) -> Called | None:
        one = await ask_again(probe, exchange.request, first=number * TRIES)
        return _tried(probe, lambda trial: _read_whole(trial, one))

    at_versioned = _whole_again(probe, _NAMED, SEVERAL_TOOLS) if called.is_sound else _streamed_instead(probe)
    return await _sound(probe, ordered, again, at_versioned)


def _has_calls(response: Response | None) -> bool:
    """Whether it is an answer in one piece in which something is called, sound or not."""
    bodies = bodies_in(response) if response is not None and response.succeeded else ()
    messages = (choice.get("message") for body in bodies for choice in choices_in(body))
    return any(isinstance(message, dict) and message.get("tool_calls") for message in messages)


async def _expect_each_tool(probe: Probe, named: Exchange) -> None:
    """The last of two tools can be called by its name, if it can each time where it is the first.

    It was not called here, and no other in its place: that would be the model's way.
    """

    async def is_called(tools: Sequence[Mapping[str, Any]], number: int) -> bool:
        called = await _whole_again(probe, _NAMED, tools)(number)
        return called is not None and called.is_sound

    if any([await is_called(SEVERAL_TOOLS, number) for number in range(1, _CALL_TRIES)]):
        return
    if all([await is_called(SEVERAL_TOOLS[::-1], number) for number in range(_CALL_TRIES)]):
        probe.fail(
            "each of several tools reaches the model",
            f"the last of two cannot be called in {_CALL_TRIES} chats; as the first, it is in each of {_CALL_TRIES}",
            named,
            remedy="Have the tenant pass every tool of a request on to the model, whatever its place among them.",
            cause="tools:not each",
        )
        raise StopCheck


async def _called_later(probe: Probe, forced: Exchange) -> "Called":
    """What the model calls at a later asking; where it never does, and each time in a stream, that violates."""
    for number in range(1, _CALL_TRIES):
        one = await _whole_again(probe, _NAMED)(number)
        if one is not None and one.calls:
            remark_late(probe, "called the tool that it was ordered to call", number, one.exchange)
            return await _sound(probe, one, _whole_again(probe, _NAMED), _streamed_instead(probe))
    await require_ability(probe, Ability.TOOLS, tool=TOOL)
    others = await together(_streamed_instead(probe, _NAMED)(number) for number in range(_CALL_TRIES))
    if not all(one is not None and one.calls for one in others):
        raise _now_and_then(probe, "in chats that are not streamed")
    probe.fail(
        "tools reach the model, which calls them in a streamed chat",
        "no tool call in chats that are not streamed, ordered or not",
        forced,
        remedy="Have the tenant pass tools and tool_choice on to the model in chats that are not streamed, too.",
    )
    raise StopCheck


def _now_and_then(probe: Probe, where: str) -> Blocked:
    alias = probe.model(Modality.CHAT)
    return Blocked(
        f"the model behind {alias} calls its tool now and then only, and did not {where}",
        f"Publish the alias {alias} with a stronger model, one that calls the tool that it is ordered to call.",
    )


def _whole_request(probe: Probe, tool_choice: object, tools: Sequence[Mapping[str, Any]] = (TOOL,)) -> Request:
    return plain_chat(probe, QUESTION, fields={"tools": list(tools), "tool_choice": tool_choice})


def _whole_again(probe: Probe, tool_choice: object, tools: Sequence[Mapping[str, Any]] = (TOOL,)) -> "_Ask":
    async def ask(number: int) -> Called | None:
        exchange = await ask_again(probe, _whole_request(probe, tool_choice, tools), first=number * TRIES)
        return _tried(probe, lambda trial: _read_whole(trial, exchange))

    return ask


def _streamed_instead(probe: Probe, tool_choice: object = "auto") -> "_Ask":
    async def ask(number: int) -> Called | None:
        request = plain_chat(probe, QUESTION, fields={"tools": [TOOL], "tool_choice": tool_choice, "stream": True})
        exchange = await ask_again(probe, request, first=number * TRIES)
        return _tried(probe, lambda trial: _read_streamed(trial, exchange))

    return ask


# -- calls that are whole, and whose they are where they are wrong


@dataclass(frozen=True)
class Called:
    """What the assistant said, whole or in a stream: its text, and its calls as they are sent back."""

    exchange: Exchange
    content: str | None = None
    calls: Sequence[Mapping[str, Any]] = ()
    cut: bool = False
    """Whether the model's token limit ended it."""
    goes_on: bool = False
    """Whether more of it follows [DONE], where SDKs stop reading."""

    @property
    def flaw(self) -> tuple[str, str] | None:
        """What the schema cannot tell of a call: that it is of the tool offered, and that its arguments parse."""
        offered = [tool["function"]["name"] for tool in self.exchange.request.fields["tools"]]
        for call in self.calls:
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            if name not in offered:
                return f"the tool called is one of those offered ({', '.join(offered)})", shortened(repr(name), 60)
            try:
                parsed = parse_json(arguments)
            except NotJson:
                parsed = None
            if not isinstance(parsed, dict):
                parses = "as JSON" if parsed is None else "as a JSON object"
                return f"a tool call's arguments are a string that parses {parses}", shortened(repr(arguments), 100)
        return None

    @property
    def lack(self) -> tuple[str, str] | None:
        """That a call which has no flaw lacks what the tool requires."""
        asked_for = [call for call in self.calls if call["function"]["name"] == TOOL_NAME]
        for arguments in (call["function"]["arguments"] for call in asked_for if self.flaw is None):
            if missing := [one for one in REQUIRED if one not in parse_json(arguments)]:
                return f"a tool call's arguments hold {', '.join(missing)}, which the tool requires", repr(arguments)
        return None

    @property
    def spoilt(self) -> tuple[str, str] | None:
        """That letters of the city came as others, where a call has no flaw."""
        for arguments in (call["function"]["arguments"] for call in self.calls if self.flaw is None):
            city = parse_json(arguments).get(REQUIRED[0])
            if isinstance(city, str) and _SPOILT_CITY.search(city):
                return f"a tool call's arguments hold {CITY} as it was asked for", shortened(repr(arguments), 100)
        return None

    @property
    def is_sound(self) -> bool:
        """Whether there are calls, with neither flaw nor lack, and no letters that became others."""
        return bool(self.calls) and self.flaw is None and self.lack is None and self.spoilt is None


_SPOILT_CITY = re.compile(r"[?\ufffd]|[ÃÅ][\x80-\xbf]|^\W*(?:ód|d)\b", re.IGNORECASE)
"""What becomes of the city on a way that loses letters, or takes UTF-8 for Latin-1."""
_LETTERS_IN_CALLS = "Have the tenant, and every proxy before it, read and write the arguments of tool calls as UTF-8."
LETTERS_OF_CALLS = "tools:letters"
_Ask = Callable[[int], Awaitable[Called | None]]
"""Has the model called once more, or in another way: the number tells the askings apart. None where no call came."""


async def _sound(probe: Probe, called: Called, again: _Ask, elsewhere: _Ask) -> Called:
    """The calls, or those of a later asking where these are wrong. Ends the check where they are wrong each time.

    What is wrong here whenever it is asked for, and right each time when the same model calls in the other way (whole
    or streamed), the tenant makes wrong; else the model writes it so. What the model leaves out is advised.
    """
    _expect_own_ids(probe, called)
    flaw, alias = called.flaw or called.lack or called.spoilt, probe.model(Modality.CHAT)
    if flaw is None:
        return called
    if called.cut and called.flaw:
        raise Blocked(
            f"the model behind {alias} cuts a tool call short (finish_reason length): its token limit is too small",
            f"Give the alias {alias} a larger token limit, or publish it with a model that needs less for a tool call.",
            cause=f"tool call cut {alias}",
        )
    later = await together(again(number) for number in range(1, TRIES))
    for number, one in enumerate(later, start=1):
        if one is not None and one.is_sound:
            remark_late(probe, "called the tool as it was offered", number, one.exchange)
            return one
    others = await together(elsewhere(number) for number in range(_CALL_TRIES))
    if all(one is not None and one.is_sound for one in others):
        remedy = "Have the tenant pass tool calls on as the model writes them, with all of their arguments."
        if called.goes_on:
            _fail_after_done(probe, called.exchange, *flaw)
        elif called.spoilt is not None:
            probe.fail(*flaw, called.exchange, remedy=_LETTERS_IN_CALLS, cause=LETTERS_OF_CALLS)
        else:
            path = called.exchange.request.path
            where = "" if path.endswith(Route.CHAT.path) else f", at {path} alone"
            probe.fail(flaw[0], f"{flaw[1]}{where}", called.exchange, remedy=remedy)
        raise StopCheck
    if called.spoilt is not None:  # the model writes texts with such letters: what it writes here is as good
        await probe.require_like("chat.roles", conforming=True)
        probe.fail(*flaw, called.exchange, remedy=_LETTERS_IN_CALLS, cause=LETTERS_OF_CALLS)
        raise StopCheck
    if called.flaw is None:
        probe.advise(f"the model leaves out what a tool requires: {flaw[0]}; found {flaw[1]}", called.exchange)
        return called
    raise Blocked(
        f"the model behind {alias} writes tool calls that nothing can carry out: {flaw[1]}",
        f"Publish the alias {alias} with a stronger model, one that writes sound tool calls.",
        cause=f"tool call wrong {alias}",
    )


def _tried(probe: Probe, read: Callable[[Probe], Called]) -> Called | None:
    """What it reads, with nothing recorded; None where it is no sound answer."""
    trial = probe.dry_run()
    try:
        called = read(trial)
    except StopCheck:
        return None
    return None if trial.violations or trial.blockers else called


def _read_whole(probe: Probe, exchange: Exchange, expected: str = COMPLETES) -> Called:
    choice = expect_completion(probe, exchange, expected)
    message = choice["message"]
    calls, finish = tool_calls_in(message), choice.get("finish_reason")
    if calls and finish not in ("tool_calls", "length") and exchange.request.fields.get("tool_choice") == "auto":
        _advise_on_finish(probe, exchange, f"{finish}")
    return Called(exchange, message.get("content"), calls, finish == "length")


def _advise_on_finish(probe: Probe, exchange: Exchange, given: str) -> None:
    """Few clients read which finish_reason an answer with calls has."""
    probe.advise(f"the finish_reason of a tool call should be tool_calls: {given}", exchange)


async def _answer(probe: Probe, called: Called) -> None:
    """Send the calls back with a result each; nothing where there are none, or where one could not be answered."""
    if not called.calls or probe.violations or probe.blockers:
        return
    fields = {"tools": called.exchange.request.fields["tools"]}
    request = plain_chat(probe, _with_results(probe, called), fields=fields)
    exchange, _ = await complete(probe, request, "a chat that carries the tool's result completes")
    await _expect_result_read(probe, request, exchange)


async def _expect_result_read(probe: Probe, request: Request, exchange: Exchange) -> None:
    """The answer says something of the result, at one asking at least, if the model does where a user tells it.

    That a model reads the result of a tool is promised by no page: advised at most.
    """
    for number in range(1, TRIES + 1):
        if exchange.response is None or not is_answered(exchange.response) or _says_result(probe, exchange.response):
            return
        if number < TRIES:
            exchange = await ask_again(probe, request, first=number * TRIES)
    told = f"The name of the weather station is {_station(probe)}. What is the name of the weather station?"
    if (await ask_for(probe, plain_chat(probe, told), _station(probe))).knows:
        text = (
            f"nothing of a tool's result is in {TRIES} answers to it: messages of the role tool may not reach the model"
        )
        probe.advise(text, exchange)


def _says_result(probe: Probe, response: Response) -> bool:
    said = said_in(response)
    return names_fact(said, _station(probe)) or _SAYS_DEGREES.search(said) is not None


_SAYS_DEGREES = re.compile(rf"\b(?:{DEGREES}|four)\b", re.IGNORECASE)


def _station(probe: Probe) -> str:
    return fact_of(probe, "station")


def _with_results(probe: Probe, called: Called) -> list[dict[str, Any]]:
    """The messages that follow a turn with calls: each with a result."""
    result = json.dumps({"temperature_c": DEGREES, "station": _station(probe)})
    return [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": called.content, "tool_calls": list(called.calls)},
        *({"role": "tool", "tool_call_id": call["id"], "content": result} for call in called.calls),
    ]


def _expect_own_ids(probe: Probe, called: Called) -> None:
    """Of several calls at once no two that differ have one id: nothing would match their results with them."""
    functions: dict[str, Mapping[str, Any]] = {}
    for call in called.calls:
        if functions.setdefault(call["id"], call["function"]) != call["function"]:
            probe.fail(
                "each of several tool calls has an id of its own, by which its result names it",
                f"two different calls have the id {shortened(repr(call['id']), 60)}",
                called.exchange,
                remedy="Have the tenant, or the server of the model, give each tool call an id that no other has.",
                cause="tools:one id",
            )
            raise StopCheck


# -- calls that come in pieces


def _streamed_shapes(context: Context) -> Iterator[Parameters]:
    """In the shape of each client that streams and has tools; a limit of tokens that has no number is left out.

    ``client.turn`` sends it, with tools and in a stream as well.
    """
    for profile in (client.chat for client in context.clients):
        if profile.tools and profile.stream != "never":
            shape = replace(shape_of(profile), stream=True, stream_usage=profile.stream_usage == "always")
            yield shape if shape.token_limit_value is not None else replace(shape, token_limit="none")  # noqa: S106


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
    exchange = await _until_called(probe, exchange)
    called = await _sound(probe, _read_streamed(probe, exchange), _streamed_again(probe), _whole_again(probe, "auto"))
    if called.calls:
        request = _streamed(probe, _with_results(probe, called))
        exchange = await ask_again(probe, request)
        _expect_words(probe, exchange)
        whole = chat_request(probe, _with_results(probe, called), tools=[TOOL], tool_choice="auto")
        is_clean = is_answered(exchange.response) and not probe.violations and not probe.blockers
        if is_clean and await never_does(probe, request, whole, lambda response: _says_result(probe, response)):
            probe.fail(
                "the result of a tool reaches the model in a streamed chat, as it does in a plain one",
                f"nothing of it in {TRIES} streams, and in each of {TRIES} plain chats of the same messages",
                exchange,
                remedy="Have the tenant pass messages of the role tool on to the model in streamed chats, too.",
            )
            return
        await _expect_result_read(probe, request, exchange)


def _streamed_again(probe: Probe) -> _Ask:
    async def ask(number: int) -> Called | None:
        # Those before it were asked for until one called.
        exchange = await ask_again(probe, _streamed(probe), first=(number + _CALL_TRIES) * TRIES)
        return _tried(probe, lambda trial: _read_streamed(trial, exchange))

    return ask


def _streamed(probe: Probe, messages: Any = QUESTION, *, tool_choice: object = "auto") -> Request:
    options = {"stream_options": {"include_usage": True}} if probe.parameters.stream_usage else {}
    return chat_request(probe, messages, tools=[TOOL], tool_choice=tool_choice, stream=True, **options)


async def _until_called(probe: Probe, exchange: Exchange) -> Exchange:
    """The first streamed chat with a call: it is asked for five times, then ordered as often.

    Where the same model calls whenever it is asked in a plain chat, and never in a stream, that is the violation. One
    that calls now and then only is ordered: where it calls each time in a plain chat alone, that violates as well.
    """
    for number in range(_CALL_TRIES):
        if number:
            exchange = await ask_again(probe, _streamed(probe), first=number * TRIES)
        if _read_turn(probe, exchange).has_calls:
            remark_late(probe, "called the tool", number, exchange)
            return exchange
        if is_empty(exchange.response) and block_unfinished(probe, exchange, finish_reasons(exchange.response)):
            raise StopCheck
    if all([await _calls_when_whole(probe, "auto", number) for number in range(_CALL_TRIES)]):
        raise _dropped(probe, exchange)
    for number in range(_CALL_TRIES):
        exchange = await ask_again(probe, _streamed(probe, tool_choice=_NAMED), first=number * TRIES)
        if _read_turn(probe, exchange).has_calls:
            return exchange
    if all([await _calls_when_whole(probe, _NAMED, number) for number in range(_CALL_TRIES)]):
        raise _dropped(probe, exchange)
    await require_ability(probe, Ability.TOOLS, tool=TOOL)
    raise _now_and_then(probe, "in this client's stream")


async def _calls_when_whole(probe: Probe, tool_choice: object, number: int) -> bool:
    called = await _whole_again(probe, tool_choice)(number)
    return called is not None and bool(called.calls)


def _dropped(probe: Probe, exchange: Exchange) -> StopCheck:
    expected = "tools reach the model in a streamed chat, as they do in a plain one, where it calls them"
    found = f"no tool call in {_CALL_TRIES} streamed chats"
    if exchange.response is not None and read_stream(exchange.response).goes_on:
        _fail_after_done(probe, exchange, expected, found)
    else:
        remedy = "Have the tenant pass tools and tool_choice on to the model in streamed chats, too."
        probe.fail(expected, found, exchange, remedy=remedy)
    return StopCheck()


def _read_turn(probe: Probe, exchange: Exchange) -> Turn:
    """What was said up to [DONE], where SDKs stop; a stream that is no whole one ends the check."""
    stream = _sound_stream(probe, exchange)
    turn = join_turn(stream)
    _note_deviations(probe, exchange, turn, stream)
    return turn


def _sound_stream(probe: Probe, exchange: Exchange) -> Stream:
    response = whole_stream(probe, exchange, _WHOLE)
    if response.media_type == "application/json":
        found = f"HTTP {response.status} ({response.media_type}): the answer in one piece"
        probe.fail(_WHOLE, found, exchange, remedy=_STREAM_WITH_TOOLS, cause="chat:whole with tools")
        raise StopCheck
    stream = read_stream(response)
    for chunk in stream.chunks:
        if inside := error_inside(chunk):
            probe.fail(_WHOLE, f"an error inside the stream: {shortened(str(inside), 160)}", exchange)
    for text in stream.malformed[:1]:
        probe.fail(_WHOLE, text, exchange)
    if stream.done_at is None and not stream.finish_reasons:
        probe.fail(_WHOLE, "it ends with neither a finish_reason nor [DONE]", exchange)
    probe.stop_if_failed()
    return stream


def _note_deviations(probe: Probe, exchange: Exchange, turn: Turn, stream: Stream) -> None:
    if turn.has_calls and "tool_calls" not in stream.finish_reasons and "length" not in stream.finish_reasons:
        given = ", ".join(sorted(map(str, stream.finish_reasons))) or "none"
        _advise_on_finish(probe, exchange, given)
    for text in turn.deviations:
        probe.advise(text, exchange)


def _read_streamed(probe: Probe, exchange: Exchange) -> Called:
    """What was said in a stream. Every broken form is one finding: the pieces are not passed on as they should be."""
    turn, stream = _read_turn(probe, exchange), read_stream(whole_stream(probe, exchange, _WHOLE))
    for expected, found in turn.broken.items():
        probe.fail(expected, found, exchange)
    probe.stop_if_failed()
    calls = [call.answer() for call in turn.calls.values()]
    return Called(exchange, turn.text or None, calls, "length" in stream.finish_reasons, stream.goes_on)


def _fail_after_done(probe: Probe, exchange: Exchange, expected: str, found: str) -> None:
    """What a stream lacks because it ends too early is no flaw of its tool calls."""
    found = f"{found}, and what is missing follows [DONE], where SDKs stop reading"
    probe.fail(expected, found, exchange, remedy=PASS_ON_WHOLE, cause=AFTER_DONE)


def _expect_words(probe: Probe, exchange: Exchange) -> None:
    """The stream that follows a result says something, or calls again."""
    expected = "a streamed chat that carries the tool's result completes"
    turn, stream = _read_turn(probe, exchange), read_stream(whole_stream(probe, exchange, expected))
    if turn.text.strip() or turn.has_calls or block_unfinished(probe, exchange, stream.finish_reasons):
        return
    found = "the deltas joined give neither content nor a tool call"
    if stream.goes_on:
        _fail_after_done(probe, exchange, expected, found)
    else:
        probe.fail(expected, found, exchange, remedy=FIND_THE_TEXT, cause=EMPTY_STREAM)
