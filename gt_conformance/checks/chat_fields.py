"""The fields of a chat request that clients send: accepted, or refused by name."""

import re
from typing import Any

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._chat_shape import completion, taken, text_of
from gt_conformance.checks._probe import Probe, said
from gt_conformance.checks._registry import check
from gt_conformance.checks._tools import WEATHER_TOOL
from gt_conformance.exchange import Exchange, NotJson, parse_json

_CHAT = "OpenAI API reference, Create chat completion"


@check(
    "chat.token_limits",
    claim="Both token-limit fields are taken: max_tokens and max_completion_tokens.",
    remedy="Have the tenant accept max_tokens and max_completion_tokens, each alone: clients send one or the other.",
    source=_CHAT + "; measured clients",
)
async def token_limits(probe: Probe) -> None:
    """Each field alone is accepted; a client's own large value is accepted or refused with a 400 that names it."""
    limit = probe.tenant.limits.completion_tokens
    for field in ("max_tokens", "max_completion_tokens"):
        exchange = await probe.send(requests.chat(probe.tenant, probe.credential.name, fields={field: limit}))
        expected = f"{field} alone is accepted with 2xx"
        response = probe.answer(exchange, expected)
        probe.must(taken(response), expected, said(response), exchange)
    if (value := probe.parameters.token_limit_value) is not None:
        field = probe.parameters.token_limit
        exchange = await probe.send(requests.chat(probe.tenant, probe.credential.name, fields={field: value}))
        _accepted_or_named(probe, exchange, field, f"{field}: {value}, which this client sends,")


_SAMPLING: dict[str, Any] = {
    "temperature": 0.2,
    "seed": 7,
    "user": "gt-conformance",
    "n": 1,
    "stop": ["\n\n\n"],
    "parallel_tool_calls": True,
}


@check(
    "chat.sampling_fields",
    claim="Common sampling fields are taken, or refused with a 400 that names the field.",
    remedy="Have the tenant accept or ignore the field, or name it in a 400.",
    source=_CHAT,
)
async def sampling_fields(probe: Probe) -> None:
    """temperature, seed, user, n: 1, stop, parallel_tool_calls: all at once; one by one where that is refused."""
    everything = await probe.send(
        requests.chat(probe.tenant, probe.credential.name, fields={**_SAMPLING, "tools": [WEATHER_TOOL]})
    )
    if taken(probe.answer(everything, "sampling fields are accepted, or refused with a 400")):
        return
    for field, value in _SAMPLING.items():
        extra = {"tools": [WEATHER_TOOL]} if field == "parallel_tool_calls" else {}
        exchange = await probe.send(requests.chat(probe.tenant, probe.credential.name, fields={field: value, **extra}))
        _accepted_or_named(probe, exchange, field, field)


@check(
    "chat.structured_output",
    claim="A request for structured output is honoured, or refused openly.",
    remedy="Have the tenant honour response_format json_schema, or refuse it with a 400 that names response_format.",
    source=_CHAT + ", response_format",
)
async def structured_output(probe: Probe) -> None:
    """json_schema never gives a 5xx; it should be honoured, or refused with a 400 that names it."""
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string"}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    wanted = {"name": "answer", "strict": True, "schema": schema}
    exchange = await probe.send(
        requests.chat(
            probe.tenant,
            probe.credential.name,
            "Give the word ok as the answer, as JSON.",
            fields={"response_format": {"type": "json_schema", "json_schema": wanted}},
        )
    )
    expected = "response_format json_schema is answered with 2xx, or refused with a 4xx"
    response = probe.answer(exchange, expected)
    probe.must(response.succeeded or response.refused, expected, said(response), exchange)
    if response.refused:
        probe.should(
            "response_format" in response.plain or "json_schema" in response.plain,
            "the refusal of response_format does not name it",
            exchange,
        )
    if response.succeeded:
        choice = completion(probe, exchange)
        probe.should(
            _fits(text_of(choice["message"])),
            "response_format json_schema is accepted but not honoured: the content does not fit the schema",
            exchange,
        )


def _fits(content: str) -> bool:
    try:
        value = parse_json(content)
    except NotJson:
        return False
    return isinstance(value, dict) and isinstance(value.get("answer"), str) and len(value) == 1


def _accepted_or_named(probe: Probe, exchange: Exchange, field: str, what: str) -> None:
    """A 2xx, or a 400 (422 as well) whose body names the field."""
    expected = f"{what} is accepted, or refused with a 400 that names {field}"
    response = probe.answer(exchange, expected)
    # As a word of its own: the letter n, or user, stands in most sentences.
    named = response.status in {400, 422} and re.search(rf"(?<![\w\\]){field}(?!\w)", response.plain)
    probe.must(taken(response) or named, expected, said(response), exchange)
