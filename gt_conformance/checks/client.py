"""What one client does beyond plain requests: its size, and its discovery of the server."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import Any

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._capability import (
    TRIES,
    ask_again,
    ask_for,
    fact_of,
    finish_reasons,
    is_answered,
    is_empty,
)
from gt_conformance.checks._check import Context, Parameters, check, native
from gt_conformance.checks._completion import (
    EMPTY_LARGE,
    block_unfinished,
    expect_no_error,
    fail_type,
    plain_chat,
    whole_stream,
)
from gt_conformance.checks._probe import Probe, response_if_any
from gt_conformance.checks._surfaces import AUTHENTICATE, Address, at_path, base_path, hole, surface_of, try_all
from gt_conformance.checks._wording import (
    BEYOND_CONTEXT,
    describe,
    describe_failure,
    is_beyond_context,
)
from gt_conformance.checks._words import mark, say_word
from gt_conformance.checks.models import expect_listing, join_some
from gt_conformance.errors import Blocked, name_finding
from gt_conformance.exchange import Exchange, NotJson, Presentation, Request, Response
from gt_conformance.vocabulary import Actor, Route, Severity

_QUICK_MS = 2_000
_EVENTS = "text/event-stream"
_FILLER = "Follow the conventions of the project and keep answers short. "


def _loads(context: Context) -> Iterator[Parameters]:
    for client in (one for one in context.clients if one.chat.load):
        path = base_path(context.tenant, context.runbook, client)
        yield Parameters(load=client.chat.load, stream=client.chat.stream == "always", base_path=path)


def _discoveries(context: Context) -> Iterator[Parameters]:
    for client in context.clients:
        if client.discovery:
            yield Parameters(discovery=client.discovery, needs=client.misled_by)


@check(
    "chat.client_load",
    claim="A request of the client's own size is accepted: its system prompt and its tools.",
    remedy="Raise the tenant's and its proxies' limits on body size, length and number of messages, and tools.",
    source="GT API overview, Start Here; "
    "GT API reference, Run a chat completion; "
    "measured client requests (facts of each runbook's wire profile)",
    clauses=("R1", "C1"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("chat.completes",),
    rows=native(Route.CHAT, parameters=_loads),
)
async def client_load(probe: Probe) -> None:
    """As many tools, as long a system prompt, as large a body as the client sends on a trivial prompt, after turns.

    It goes to the address that the client builds; what is not taken there, to the versioned one as well.
    That a model reads so much is promised by no page: where it says that its context is too small, it blocks. Where it
    does not know what the prompt says at its ends, and does know it of a short one, the prompt may be cut: advised.
    """
    if probe.parameters.stream:
        await probe.require_like("chat.streams")
    load = defaultdict(int, probe.parameters.load)
    tools = [_numbered_tool(number) for number in range(load["tools"])]
    body: dict[str, Any] = {"tools": tools} if tools else {}
    if probe.parameters.stream:
        body["stream"] = True
    chars = load["system_prompt_chars"]
    request = _request_of(probe, chars, body)
    while (short := load["body_bytes"] - request.size) > 0:
        chars += short
        request = _request_of(probe, chars, body)
    exchange = await ask_again(probe, at_path(probe, request, Route.CHAT, probe.parameters.base_path))
    if exchange.request.url != request.url and not _is_taken(probe, exchange.response):
        versioned = await ask_again(probe, request)
        if _is_taken(probe, versioned.response):
            await _fail_elsewhere(probe, exchange)
            return
        exchange = versioned
    if is_beyond_context(exchange.response):
        raise Blocked(*BEYOND_CONTEXT)
    sent = f"{request.size} bytes, {len(request.fields['messages'])} messages, {len(tools)} tools"
    expected = f"a request of this client's size ({sent}) is accepted with 2xx"
    response = whole_stream(probe, exchange, expected)
    expect_no_error(probe, exchange, expected)
    if await _is_answered(probe, exchange, response, expected):
        await _advise_on_cut_prompts(probe, exchange.request, body)


def _is_taken(probe: Probe, response: Response | None) -> bool:
    """Whether it is an answer in which the model says something, streamed if that was asked for."""
    is_stream = response is not None and response.media_type == _EVENTS
    return is_answered(response) and is_stream == probe.parameters.stream


async def _fail_elsewhere(probe: Probe, exchange: Exchange) -> None:
    """Record a large request that the versioned address alone takes, where small ones are taken at both."""
    joined = Parameters(route=Route.CHAT, base_path=probe.parameters.base_path)
    await probe.require("base_url.joins", parameters=joined, conforming=True)
    await probe.require_like("client.turn", conforming=True)
    probe.fail(
        f"{exchange.request.path} takes a request of this client's size, as the versioned address does",
        describe(exchange.response) if exchange.response is not None else describe_failure(exchange),
        exchange,
        remedy="Have every proxy before the tenant set the limits on body size, length, number of messages and tools, "
        "and what it does to streams, alike for both addresses.",
        cause="base_url:large requests",
    )


async def _is_answered(probe: Probe, exchange: Exchange, response: Response, expected: str) -> bool:
    """Whether a large request is answered as it asks, in a stream with text or a call in it; else that is recorded."""
    if probe.parameters.stream and (response.media_type != _EVENTS or is_empty(response)):
        await probe.require_like("chat.streams", conforming=True)  # that small ones fail alike is the finding there
    if probe.parameters.stream and response.media_type not in {_EVENTS, "application/json"}:
        fail_type(probe, exchange, f"{expected} and streams", response.media_type or "no content type")
        return False
    if probe.parameters.stream and response.media_type != _EVENTS:
        if exchange.request.fields.get("tools"):  # that streams with tools come whole is the finding there
            await probe.require_like("chat.streamed_tools", conforming=True)
        remedy = (
            "Have the tenant, and every proxy before it, stream the answers to large requests as those to small ones."
        )
        probe.fail(f"{expected} and streams", describe(response), exchange, remedy=remedy, cause="chat:large streams")
        return False
    if is_empty(response):
        if not block_unfinished(probe, exchange, finish_reasons(response)):
            found = f"{TRIES} answers without text or a tool call"
            probe.fail(f"{expected} and answered", found, exchange, cause=EMPTY_LARGE)
        return False
    return True


_PORTERS = ("porter", "gardener")
"""Whom the system prompt names: one at its beginning, one at its end."""
_WHO = "What is the name of the porter? What is the name of the gardener?"
_EARLIER = [{"role": "user", "content": "Go on."}, {"role": "assistant", "content": "Done."}]
_TURNS = 20
"""So many turns came before: agents that send this much send the whole session each time."""
_ROOM_FOR_TURNS = 4_000


def _request_of(probe: Probe, system_chars: int, body: Mapping[str, Any]) -> Request:
    """With a system prompt of that many characters, which names two at its ends where there is room for that.

    Where it is long, earlier turns take some of its place: a session is many messages.
    """
    turns: list[dict[str, Any]] = []
    if system_chars > _ROOM_FOR_TURNS:
        turns = _EARLIER * _TURNS
        system_chars -= sum(len(str(one)) for one in turns)
    first, last = (f"The name of the {one} is {fact_of(probe, one)}." for one in _PORTERS)
    room = system_chars - len(f"{first}  {last}")
    system = f"{first} {_filler(room)} {last}" if room >= 0 else _filler(system_chars)
    question = mark(_WHO, probe.run_id, probe.credential.name) if room >= 0 else None
    asked = question or say_word(probe.run_id, probe.credential.name)
    messages = [
        *([{"role": "system", "content": system}] if system else []),
        *turns,
        {"role": "user", "content": asked},
    ]
    return plain_chat(probe, messages, fields=body)


async def _advise_on_cut_prompts(probe: Probe, request: Request, body: Mapping[str, Any]) -> None:
    """Where the model knows both of a short prompt and not of the long one."""
    facts = " ".join(fact_of(probe, one) for one in _PORTERS)
    prompt = request.fields["messages"][0]["content"]
    if not all(fact_of(probe, one) in prompt for one in _PORTERS):
        return
    long = await ask_for(probe, request, facts, tries=2)
    if not long.answered or long.knows:
        return
    short = await ask_for(probe, _request_of(probe, _SHORT, body), facts, tries=2)
    if short.knows:
        size = f"{len(prompt):,} characters"
        probe.advise(
            f"a system prompt of {size} may be cut: the model knows what the ends of a short one say, not of this one",
            long.exchange,
        )


_SHORT = 200


def _filler(length: int) -> str:
    """Plain text of that many characters."""
    return "".join(islice(cycle(_FILLER), length))


@check(
    "client.discovery",
    claim="The client's own discovery requests do not mislead it, and its key works afterwards.",
    remedy="Have the tenant answer unknown paths below the base URL with a 404 at once, with and without a key.",
    source="GT API overview, Start Here; "
    "GT API reference, List published models; "
    "GT client runbooks (hermes); "
    "measured client requests (facts of each runbook's wire profile)",
    clauses=("R1", "R6", "M7"),
    acts=Actor.TENANT,
    severity=Severity.LOW,
    rows=native(Route.CHAT, parameters=_discoveries),
    refuses=True,
)
async def discovery(probe: Probe) -> None:
    """Each discovery request with the key; a 2xx where one misleads the client; then the key lists models.

    Those that mislead are sent without a key as well, as a client does in its first round. All should get a 4xx within
    two seconds. What nobody's key alone gets, where chats need none either, is the hole that ``key.required`` finds.
    """
    asked: list[tuple[str, str | None]] = [(line, probe.credential.name) for line in probe.parameters.discovery]
    asked += [(line, None) for line in probe.parameters.discovery if line in probe.parameters.needs]
    exchanges = await probe.send_all([_discovery_request(probe, line, key) for line, key in asked])
    misled: set[str] = set()
    unrefused: dict[int, tuple[str, Exchange]] = {}
    slow: list[tuple[str, Exchange]] = []
    for (line, key), exchange in zip(asked, exchanges, strict=True):
        what = f"{line} {'with' if key else 'without'} the key"
        response = response_if_any(probe, exchange, what)
        if response is not None and response.succeeded and line in probe.parameters.needs:
            if key is None and line not in misled and (cause := await _open_to_nobody(probe)) is not None:
                because = name_finding(cause.partition(":")[0], cause)
                probe.block(f"{what} is answered, as chats are: that is a hole of its own", "", because=because)
                continue
            misled.add(line)
            expected = f"{what} is refused with a 4xx: else this client takes the tenant for another server"
            probe.fail(expected, describe(response), exchange)
        elif response is not None and not response.refused:
            unrefused.setdefault(response.status, (f"{what} gives {describe(response)}", exchange))
        if exchange.elapsed_ms > _QUICK_MS:
            slow.append((what, exchange))
    await _expect_nothing_listed(probe, exchanges)
    for found, exchange in unrefused.values():
        probe.advise(f"paths that do not exist should be refused with a 4xx: {found}", exchange)
    if slow:
        what, exchange = max(slow, key=lambda one: one[1].elapsed_ms)
        took = f"{exchange.elapsed_ms / 1000:.1f} s"
        probe.advise(f"paths that do not exist should be refused within two seconds: {what} took {took}", exchange)
    await expect_listing(probe, "the key works after the client's discovery", again=1)


async def _expect_nothing_listed(probe: Probe, answered: Sequence[Exchange]) -> None:
    """What names published names to the key, at a path of another server, does not do so without a key."""
    published = {name for key in probe.tenant.live_credentials for name in key.models or ()}
    naming = (one for one in answered if one.request.key and published.intersection(_texts_in(one.response)))
    exchange = next(naming, None)
    if exchange is None or await _open_to_nobody(probe) is not None:
        return
    alone = await probe.send(requests.present(exchange.request, Presentation.NONE, None))
    names = sorted(published.intersection(_texts_in(alone.response)))
    if names:
        probe.fail(
            "nothing is listed without a valid key",
            f"{join_some(names)} at {exchange.request.method} {exchange.request.path} without a key",
            alone,
            remedy=AUTHENTICATE,
            cause="boundary:names at other paths",
            severity=Severity.CRITICAL,
        )


def _texts_in(response: Response | None) -> Iterator[str]:
    """Every text in the JSON of a success, wherever it stands."""
    try:
        rest: list[Any] = [response.json()] if response is not None and response.succeeded else []
    except NotJson:
        rest = []
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            yield value
        rest += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


async def _open_to_nobody(probe: Probe) -> str | None:
    """The cause of the hole by which chats need no key, at either address; None where they need one."""
    chats = [(surface_of("chat"), at) for at in (Address.VERSIONED, Address.UNVERSIONED)]
    tried = await try_all(probe, chats, None, Presentation.NONE)
    return next((hole(one.address, "without a key") for one in tried if one.is_open), None)


def _discovery_request(probe: Probe, line: str, key: str | None) -> Request:
    method, _, path = line.partition(" ")
    return Request(method, probe.url(path), key)


_PATH = {"type": "string", "description": "A path below the workspace's root."}
_SCHEMAS: tuple[dict[str, Any], ...] = (
    {"type": "object", "properties": {"path": _PATH}, "required": ["path"]},
    {"type": "object", "properties": {}},
    {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "path": _PATH,
            "owner": {"type": ["string", "null"]},
            "kind": {"type": "string", "enum": ["file", "folder"], "default": "file"},
            "until": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
            "lines": {"type": "array", "items": {"type": "object", "properties": {"at": {"type": "integer"}}}},
        },
        "required": ["path"],
        "additionalProperties": False,
    },
)
"""Forms of parameters that agents and the servers of their tools send: plain, none at all, and nested.

The servers' own packages write them: MCP's for TypeScript names the draft, and a value that may be null by its types.
"""


def _numbered_tool(number: int) -> dict[str, Any]:
    """One of many tools that have nothing to do with the question."""
    separator = "_" if number % 2 else "-"
    return {
        "type": "function",
        "function": {
            "name": f"workspace{separator}tool_{number}",
            "description": "Reads a file of the workspace.",
            "parameters": _SCHEMAS[number % len(_SCHEMAS)],
        },
    }
