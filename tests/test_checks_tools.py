"""Streamed tool calls: pieces that clients cannot join are violations, those that all join are none."""

import json
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest

from gt_conformance.checks import CheckResult, Parameters
from gt_conformance.exchange import Request, Response
from gt_conformance.vocabulary import Outcome
from tests.fake_tenant import (
    CHUNKS,
    COMPLETION,
    DONE,
    ROLE,
    FakeSender,
    Rule,
    answer,
    chunk,
    findings,
    judged,
    refusal,
    sent_json,
    stream,
)

STREAMED = Parameters(stream=True, stream_usage=True)
CALLED = chunk({}, "tool_calls")
FIRST = {"index": 0, "id": "t1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":'}}
REST = {"index": 0, "function": {"arguments": ' "Oslo"}'}}
SECOND = {"index": 1, "id": "t2", "function": {"name": "get_weather", "arguments": '{"city": "Bergen"}'}}
WHOLE = {**FIRST, "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}


def pieces(*parts: dict[str, Any], finish: str | None = "tool_calls") -> list[object]:
    """A stream of these pieces of calls."""
    return [ROLE, *(chunk({"tool_calls": [part]}) for part in parts), chunk({}, finish), DONE]


def first(**facts: Any) -> dict[str, Any]:
    """The first piece of a call, with these facts; None leaves one out."""
    return {name: value for name, value in {**FIRST, **facts}.items() if value is not None}


def function(**facts: Any) -> dict[str, Any]:
    """The first piece of a call whose function has these facts."""
    return {**FIRST, "function": {"name": "get_weather", "arguments": '{"city":', **facts}}


def has_result(body: dict[str, Any]) -> bool:
    """Whether a chat carries a tool's result."""
    return any(message["role"] == "tool" for message in body["messages"])


def streams_tools(call: Response, *, after: Response | None = None) -> Rule:
    """A rule that answers streamed chats with tools so, and others as a conforming tenant does."""

    def rule(request: Request) -> Response | None:
        body = sent_json(request)
        if not (body.get("stream") and body.get("tools")):
            return None
        return after if has_result(body) else call

    return rule


def result(sent: Sequence[object] | Response, *rules: Rule, after: Response | None = None) -> CheckResult:
    """What the check says of a call that is streamed so."""
    call = sent if isinstance(sent, Response) else stream(*sent)
    return judged("chat.streamed_tools", *rules, streams_tools(call, after=after), parameters=STREAMED)


BROKEN: dict[str, tuple[Sequence[object] | Response, str]] = {
    "no index": (pieces(first(index=None), REST), "the key 'index' is missing"),
    "no index in a call that is whole": (pieces({**WHOLE, "index": None}), "index"),
    "an index that is a text": (pieces({**WHOLE, "index": "0"}), "index"),
    "an index below nought": (pieces({**WHOLE, "index": -1}), "index"),
    "arguments as an object": (pieces(function(arguments={"city": "Oslo"})), "arguments"),
    "a new index and id for each piece": (pieces(FIRST, {**REST, "index": 1, "id": "t2"}), "none at index 1"),
    "arguments cut short": (pieces(FIRST), "parses as JSON; found '{\"city\":'"),
    "arguments that are null throughout": (pieces(function(arguments=None)), "parses as JSON; found ''"),
    "an argument that is required left out": (
        pieces(function(arguments="{}")),
        "hold city, which the tool requires; found '{}'",
    ),
    "arguments of a second call cut short": (
        pieces(WHOLE, {**SECOND, "function": {"name": "get_weather", "arguments": "{"}}),
        "parses as JSON; found '{'",
    ),
    "no id": (pieces(first(id=None), REST), "has its id; found none"),
    "an empty id": (pieces(first(id=""), REST), "has its id; found none"),
    "an id in the second piece only": (pieces(first(id=None), {**REST, "id": "t1"}), "has its id; found none"),
    "an id that changes": (pieces(FIRST, {**REST, "id": "t2"}), "one id and an index of its own; found t1, then t2"),
    "no name": (pieces({**FIRST, "function": {"arguments": '{"city":'}}, REST), "has its name; found none"),
    "a name in the second piece only": (
        pieces(function(name=None), {**REST, "function": {"name": "get_weather", "arguments": ' "Oslo"}'}}),
        "has its name; found none",
    ),
    "a name in two halves": (
        pieces(function(name="get_"), {**REST, "function": {"name": "weather", "arguments": ' "Oslo"}'}}),
        "whole in its first piece and in no other",
    ),
    "a name that is repeated": (
        pieces(FIRST, {**REST, "function": {"name": "get_weather", "arguments": ' "Oslo"}'}}),
        "whole in its first piece and in no other",
    ),
    "a tool that was not offered": (pieces(function(name="get_time"), REST), "found 'get_time'"),
    "two calls with one index": (pieces(WHOLE, {**SECOND, "index": 0}), "an index of its own; found t1, then t2"),
    "the form of old": (
        [ROLE, chunk({"function_call": WHOLE["function"]}), chunk({}, "function_call"), DONE],
        "calls come in tool_calls",
    ),
    "calls that are no list": ([ROLE, chunk({"tool_calls": WHOLE}), CALLED, DONE], "tool_calls is a list"),
    "a call that is no object": ([ROLE, chunk({"tool_calls": ["get_weather"]}), CALLED, DONE], "clients can join"),
    "an error inside": ([ROLE, {"error": {"message": "upstream at capacity"}}], "upstream at capacity"),
    "a stream that is cut": ([ROLE, chunk({"tool_calls": [FIRST]})], "neither a finish_reason nor [DONE]"),
    "a refusal": (refusal(400, "No tools in streams."), "No tools in streams."),
    "a call after [DONE]": ([ROLE, DONE, *pieces(WHOLE)], "no tool call in 5 streamed chats"),
    "text instead of the call": ([*CHUNKS, DONE], "no tool call in 5 streamed chats"),
}


@pytest.mark.parametrize(("sent", "found"), BROKEN.values(), ids=BROKEN)
def test_what_clients_cannot_join_violates(sent: Sequence[object] | Response, found: str) -> None:
    """Each broken form is one finding, which says what was expected and what came."""
    judged_so = result(sent)
    assert judged_so.outcome is Outcome.VIOLATES
    assert found in findings(judged_so)
    assert len({violation.finding for violation in judged_so.violations}) == 1


LAWFUL: dict[str, tuple[Sequence[object], str]] = {
    "two pieces": (pieces(FIRST, REST), ""),
    "a call that is whole": (pieces(WHOLE), ""),
    "no type": (pieces(first(type=None), REST), ""),
    "two calls, one after another": (pieces(WHOLE, SECOND), ""),
    "two calls in turns": (pieces(FIRST, SECOND, REST), ""),
    "two calls in one chunk": ([ROLE, chunk({"tool_calls": [WHOLE, SECOND]}), CALLED, DONE], ""),
    "null arguments at first": (
        pieces(function(arguments=None), {**WHOLE, "id": None, "function": {"arguments": '{"city": "Oslo"}'}}),
        "",
    ),
    "an empty name later": (pieces(FIRST, {**REST, "id": "", "function": {"name": "", "arguments": ' "Oslo"}'}}), ""),
    "content before, amid and after it": (
        [ROLE, *(chunk({"content": "Let me look.", "tool_calls": [part]}) for part in (FIRST, REST)), CALLED, DONE],
        "",
    ),
    "a finish_reason with the last piece": ([ROLE, chunk({"tool_calls": [WHOLE]}, "tool_calls"), DONE], ""),
    "no [DONE]": (pieces(WHOLE)[:-1], ""),
    "an id that is repeated": (pieces(FIRST, {**REST, "id": "t1"}), "should be in its first piece alone"),
    "the finish_reason stop": (pieces(WHOLE, finish="stop"), "should be tool_calls: stop"),
    "no finish_reason": (pieces(WHOLE, finish=None), "should be tool_calls: none"),
    "a piece after the finish_reason": (
        [ROLE, chunk({"tool_calls": [FIRST]}, "tool_calls"), chunk({"tool_calls": [REST]}), DONE],
        "a tool call follows the finish_reason of its choice",
    ),
}


@pytest.mark.parametrize(("sent", "advised"), LAWFUL.values(), ids=LAWFUL)
def test_what_every_client_joins_conforms(sent: Sequence[object], advised: str) -> None:
    """At most it is advised."""
    found = result(sent)
    assert (found.outcome, findings(found)) == (Outcome.CONFORMS, "")
    assert [item.text for item in found.advisories if advised not in item.text or not advised] == []
    assert bool(advised) == bool(found.advisories)


def in_city(name: str) -> list[object]:
    """A stream of a call for that city."""
    return pieces(function(arguments=json.dumps({"city": name}, ensure_ascii=False)))


@pytest.mark.parametrize("name", ["Łódź", "łódź, Poland", "Lodz", "LODZ", "Łodz", "Lódź", "Warsaw", "Å", "Łódź (PL)"])
def test_a_city_in_whatever_spelling_conforms(name: str) -> None:
    """A model may write its letters as ASCII, in part too, or another city."""
    assert result(in_city(name)).outcome is Outcome.CONFORMS


@pytest.mark.parametrize("name", ["?ód?", "??d?", "\u0141\ufffd\ufffddź", "Å\x81Ã³dÅº", "ód", "d", "ód, PL"])
def test_letters_that_became_others_in_a_call_violate(name: str) -> None:
    """Question marks, UTF-8 that was taken for Latin-1, and letters that are left out."""
    found = result(in_city(name))
    assert found.outcome is Outcome.VIOLATES
    assert "hold Łódź as it was asked for" in findings(found)


@pytest.mark.parametrize(
    ("after", "said"),
    {
        "refused": (refusal(422, "No role tool."), "No role tool."),
        "empty": (stream(ROLE, chunk({}, "stop"), DONE), "neither content nor a tool call"),
        "cut": (stream(ROLE), "neither a finish_reason nor [DONE]"),
    }.values(),
    ids=["refused", "empty", "cut"],
)
def test_a_result_must_be_taken(after: Response, said: str) -> None:
    """The stream that follows a result is refused, empty or cut: a violation."""
    found = result(pieces(WHOLE), after=after)
    assert found.outcome is Outcome.VIOLATES
    assert said in findings(found)


def test_calls_are_sent_back_as_a_client_joins_them() -> None:
    """Each with its id, its name and its whole arguments, and a result each; as a stream again."""
    sender = FakeSender(streams_tools(stream(*pieces(FIRST, SECOND, REST))))
    judged("chat.streamed_tools", parameters=STREAMED, sender=sender)
    sent = next(body for body in map(sent_json, sender.sent) if body.get("stream") and has_result(body))
    assert [call["function"]["arguments"] for call in sent["messages"][1]["tool_calls"]] == [
        '{"city": "Oslo"}',
        '{"city": "Bergen"}',
    ]
    assert [message["tool_call_id"] for message in sent["messages"][2:]] == ["t1", "t2"]


def ordered_only(request: Request) -> Response | None:
    """A model that calls a tool in plain chats, and only if it is ordered to."""
    body = sent_json(request)
    return answer(COMPLETION) if body.get("tool_choice") == "auto" and not body.get("stream") else None


def test_a_result_that_streams_alone_do_not_know_is_dropped_by_the_tenant() -> None:
    """Where plain chats say something of it each time, it is no matter of the model."""
    found = result(pieces(WHOLE), after=stream(*CHUNKS, DONE))
    assert found.outcome is Outcome.VIOLATES
    assert "the result of a tool reaches the model in a streamed chat" in found.reason


def test_a_model_that_calls_only_when_it_is_ordered_is_ordered_in_the_stream_too() -> None:
    """What it then calls is judged; if it calls nothing although it does in a plain chat, tools are dropped."""

    def called_when_ordered(request: Request) -> Response | None:
        body = sent_json(request)
        return stream(*pieces(WHOLE)) if body.get("stream") and isinstance(body.get("tool_choice"), dict) else None

    text = [*CHUNKS, DONE]
    assert result(text, called_when_ordered, ordered_only).outcome is Outcome.CONFORMS
    dropped = result(text, ordered_only)
    assert "no tool call in 5 streamed chats" in findings(dropped)


def test_a_model_that_calls_now_and_then_is_not_the_tenant() -> None:
    """It called in the third stream: the check holds, and says that it came late."""
    asked: Iterator[list[object]] = iter([[*CHUNKS, DONE], [*CHUNKS, DONE], pieces(WHOLE)])

    def rule(request: Request) -> Response | None:
        body = sent_json(request)
        return stream(*next(asked)) if body.get("stream") and body.get("tools") and not has_result(body) else None

    found = result(pieces(WHOLE), rule)
    assert found.outcome is Outcome.CONFORMS
    assert [item.text for item in found.remarks] == ["the model called the tool at attempt 3 only"]


def whole_at(*calling: int) -> Rule:
    """A model that calls a tool in those plain chats alone, as they are counted from 0."""
    asked = count()

    def rule(request: Request) -> Response | None:
        body = sent_json(request)
        wanted = body.get("tools") and not body.get("stream") and not has_result(body)
        return answer(COMPLETION) if wanted and next(asked) not in calling else None

    return rule


def streams_at(*calling: int) -> Rule:
    """A model that calls a tool in those streams alone, as they are counted from 0."""
    asked = count()

    def rule(request: Request) -> Response | None:
        body = sent_json(request)
        wanted = body.get("tools") and body.get("stream") and not has_result(body)
        return stream(*(pieces(WHOLE) if next(asked) in calling else [*CHUNKS, DONE])) if wanted else None

    return rule


@pytest.mark.parametrize(
    ("rules", "outcome", "said"),
    [
        ([whole_at(5), streams_at(0)], Outcome.CONFORMS, ""),
        ([whole_at(), streams_at(0, 1, 2, 4, 5)], Outcome.BLOCKED, "calls its tool now and then only"),
        ([whole_at(), streams_at()], Outcome.BLOCKED, "does not call the tool that it is ordered to call"),
        ([whole_at(), streams_at(*range(9))], Outcome.VIOLATES, "no tool call in chats that are not streamed"),
    ],
    ids=["at last", "now and then", "never", "in streams each time"],
)
def test_a_model_that_calls_in_streams_must_call_in_each_before_tools_are_dropped_elsewhere(
    rules: list[Rule], outcome: Outcome, said: str
) -> None:
    """A tool that is never called in plain chats is the tenant's only where each of five streams calls it."""
    found = judged("chat.tools", *rules)
    assert found.outcome is outcome
    assert said in found.reason


def test_arguments_that_the_models_limit_cut_off_block() -> None:
    """finish_reason length: the limit is too small, and nothing is the tenant's."""
    found = result(pieces(FIRST, finish="length"))
    assert found.outcome is Outcome.BLOCKED
