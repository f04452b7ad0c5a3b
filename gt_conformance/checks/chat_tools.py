"""Tools in a chat: offered, called, answered."""

from collections.abc import Mapping
from typing import Any

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._chat_shape import completion, tool_calls
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._registry import check
from gt_conformance.checks._tools import WEATHER_QUESTION, WEATHER_TOOL
from gt_conformance.exchange import Exchange, NotJson, parse_json, shortened

_NAME = WEATHER_TOOL["function"]["name"]


@check(
    "chat.tools",
    claim="Tools can be offered, and a tool call can be answered.",
    remedy="Publish the alias with a model that takes tools, and have the tenant pass tools and tool messages on.",
    source="OpenAI API reference, Create chat completion, tools; measured clients",
)
async def tools(probe: Probe) -> None:
    """tool_choice auto is accepted; calls that come back are sound and answerable; naming the tool should call it."""
    offered: dict[str, Any] = {"tools": [WEATHER_TOOL], "tool_choice": "auto"}
    exchange = await probe.send(requests.chat(probe.tenant, probe.credential.name, WEATHER_QUESTION, fields=offered))
    choice = completion(probe, exchange, "a chat with tools and tool_choice auto completes")
    called = _judged_calls(probe, exchange, choice)
    await _answer(probe, choice["message"], called)
    named = {"tools": [WEATHER_TOOL], "tool_choice": {"type": "function", "function": {"name": _NAME}}}
    forced = await probe.send(requests.chat(probe.tenant, probe.credential.name, WEATHER_QUESTION, fields=named))
    response = forced.response
    if response is None or not response.succeeded:
        probe.advise("tool_choice that names the function is not accepted", forced)
        return
    choice = completion(probe, forced, "a chat with a named tool_choice completes")
    calls = _judged_calls(probe, forced, choice)
    probe.should(calls, "tool_choice that names the function gives no tool call", forced)
    if not called:
        await _answer(probe, choice["message"], calls)


def _judged_calls(probe: Probe, exchange: Exchange, choice: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    calls = tool_calls(choice["message"])
    for call in calls:
        _judge_call(probe, exchange, call)
    return calls


def _judge_call(probe: Probe, exchange: Exchange, call: Mapping[str, Any]) -> None:
    """What the schema cannot tell of a call: that it is of the tool offered, and that its arguments parse."""
    name, arguments = call["function"]["name"], call["function"]["arguments"]
    probe.must(name == _NAME, f"the tool called is the one offered ({_NAME})", shortened(repr(name), 60), exchange)
    try:
        parsed = parse_json(arguments)
    except NotJson:
        parsed = None
    probe.must(
        parsed is not None,
        "a tool call's arguments are a string that parses as JSON",
        shortened(repr(arguments), 100),
        exchange,
    )


async def _answer(probe: Probe, message: Mapping[str, Any], calls: list[Mapping[str, Any]]) -> None:
    """Send the calls back with a result each; nothing where there are none, or where one could not be answered."""
    if not calls or probe.violations:
        return
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": WEATHER_QUESTION},
        {"role": "assistant", "content": message.get("content"), "tool_calls": calls},
        *({"role": "tool", "tool_call_id": call["id"], "content": '{"temperature_c": 4}'} for call in calls),
    ]
    exchange = await probe.send(
        requests.chat(probe.tenant, probe.credential.name, messages, fields={"tools": [WEATHER_TOOL]})
    )
    completion(probe, exchange, "a chat that carries the tool's result completes")
