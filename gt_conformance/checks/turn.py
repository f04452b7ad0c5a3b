"""The client's whole turn in one request: what is tested singly elsewhere, sent together and read as SDKs read it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from gt_conformance import schema
from gt_conformance.checks import _requests as requests
from gt_conformance.checks._capability import (
    TRIES,
    ask_again,
    fact_of,
    has_calls,
    is_answered,
    names_fact,
    never_does,
    said_in,
)
from gt_conformance.checks._check import Context, Parameters, check, native
from gt_conformance.checks._completion import (
    CHUNK_NEEDS,
    EMPTY_STREAM,
    block_unfinished,
    chat_request,
    expect_completion,
    expect_needs,
    expect_no_error,
    expect_unspoilt,
    fail_type,
    is_accepted,
    read_stream,
    shape_of,
    whole_stream,
)
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._surfaces import ABSENT, at_path, base_path
from gt_conformance.checks._tool_turns import join_turn
from gt_conformance.checks._tools import EARLIER_CALLS, QUESTION, TOOL
from gt_conformance.checks._wording import cause_of_answer, describe, describe_error
from gt_conformance.checks._words import LETTERS, word_of
from gt_conformance.checks.addressing import UNROUTED
from gt_conformance.exchange import Exchange, Request, Response, shortened
from gt_conformance.vocabulary import Actor, Route, Severity

_REFUSED = (401, 403)
_SYSTEM = "You are a helpful assistant. Keep answers short."
_TOLD = ("porter", "gardener")
_SAY = ("its system prompt", "an earlier message")
"""Whom a turn without tools is about, and what names them."""
_WHO = "What is the porter called? What is the gardener called?"


def _turns(context: Context) -> Iterator[Parameters]:
    """Each client's shape and headers, streamed where it streams, with a tool where it sends tools."""
    for client in context.clients:
        profile = client.chat
        yield replace(
            shape_of(profile),
            base_path=base_path(context.tenant, context.runbook, client),
            headers=client.headers,
            stream=profile.stream != "never",
            stream_usage=profile.stream_usage == "always",
            load=(("tools", 1),) if profile.tools else (),
            needs=tuple(need for need in profile.needs if need in CHUNK_NEEDS),
        )


@check(
    "client.turn",
    claim="A whole turn of this client, with all that it sends together, completes.",
    remedy="Have the tenant take in one request what it takes singly: tools, limit, fields, stream, this User-Agent.",
    source="GT API overview, Start Here; GT API reference, Run a chat completion; measured client requests",
    clauses=("R1", "C1"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("chat.completes",),
    rows=native(Route.CHAT, parameters=_turns),
)
async def turn(probe: Probe) -> None:
    """A system prompt, tools, fields, limit, stream and usage in one request with the client's own User-Agent.

    It goes to the address that the client builds. The answer may be compressed, and is joined as SDKs join it.

    A client that sends tools asks for a call, any other for what its system prompt and an earlier message say. Either
    comes at the client's own address as it does at the versioned one.

    What the checks of single fields have found already is not found again: it rests on them.
    """
    parameters = probe.parameters
    fields: dict[str, Any] = {}
    if parameters.stream:
        await probe.require_like("chat.streams", conforming=True)
        fields["stream"] = True
        if parameters.stream_usage:
            fields["stream_options"] = {"include_usage": True}
    if parameters.load:
        fields |= {"tools": [TOOL], "tool_choice": "auto"}
    messages = _call_messages(probe.parameters) if parameters.load else _recall_messages(probe)
    versioned = requests.as_sent_by(parameters.headers, chat_request(probe, messages, **fields))
    request = at_path(probe, versioned, Route.CHAT, parameters.base_path)
    exchange = await ask_again(probe, request)
    response = exchange.response
    answered = response is not None and is_accepted(response) and not response.looks_like_html
    if parameters.base_path is not None and not answered:
        # Where the address itself leads nowhere, that is the finding.
        joined = Parameters(route=Route.CHAT, base_path=parameters.base_path)
        await probe.require("base_url.joins", parameters=joined, conforming=True)
    if parameters.load:
        # Only now, so that this request does not wait for those of another check.
        await probe.require_like("chat.tools", conforming=True)
        await probe.require_like("chat.streamed_tools", conforming=True)
    if _is_refused(probe, exchange, elsewhere=request != versioned):
        return
    if not parameters.stream:
        expect_completion(probe, exchange, "a 2xx chat completion for the client's whole turn")
    elif not _expect_streamed(probe, exchange):
        return
    if request != versioned and answered and (parameters.load or not probe.violations):
        await (_expect_called if parameters.load else _expect_read)(probe, request, versioned)


def _is_refused(probe: Probe, exchange: Exchange, *, elsewhere: bool) -> bool:
    """Record a turn that is not let in, or that finds no route where base_url.joins did; whether it is such."""
    response = exchange.response
    if response is None or response.looks_like_html:
        return False
    if response.status in _REFUSED:
        # The key has the right, as the chat shows on which this one rests: it is what comes besides.
        expected = "the client's whole turn is let in, as a plain chat of the same key is"
        probe.fail(expected, describe(response), exchange, cause=cause_of_answer(exchange))
        return True
    if response.status in ABSENT and elsewhere:
        expected = f"{exchange.request.path} reaches the route each time"
        probe.fail(expected, describe(response), exchange, cause=UNROUTED)
        return True
    return False


def _expect_streamed(probe: Probe, exchange: Exchange) -> bool:
    """The whole stream, joined; whether it is called one, as the check on which this one rests has seen it called."""
    expected = "a whole stream for the client's whole turn"
    whole = whole_stream(probe, exchange, expected)
    if (kind := whole.media_type) != "text/event-stream":
        path = exchange.request.path
        fail_type(probe, exchange, f"{path} streams as text/event-stream", kind or "no content type")
        return False
    _expect_joined(probe, exchange, whole, expected)
    return True


def _call_messages(parameters: Parameters) -> list[dict[str, Any]]:
    """A question that asks for a call, after a turn in which tools were called and answered.

    In plain shapes it is the first of a session, but for its system message what ``chat.streamed_tools`` asks: a cache
    must not take the two for one (``answers.own``).
    """
    is_first = parameters.token_limit_value is None and not parameters.headers and not parameters.fields
    earlier = () if is_first else EARLIER_CALLS
    return [{"role": "system", "content": _SYSTEM}, *earlier, {"role": "user", "content": QUESTION}]


def _names(probe: Probe) -> tuple[str, str]:
    """Of whom the turn is about: the second is the code word, so that the answer shows whose it is."""
    return fact_of(probe, _TOLD[0]), word_of(probe.run_id, probe.credential.name)


def _recall_messages(probe: Probe) -> list[dict[str, str]]:
    named = zip(_TOLD, _names(probe), strict=True)
    porter, gardener = (f'The {one} is called "{name} & {LETTERS}".' for one, name in named)
    said = [
        ("system", f"{_SYSTEM} {porter}"),
        ("user", gardener),
        ("assistant", "ok"),
        ("user", _WHO),
    ]
    return [{"role": role, "content": content} for role, content in said]


async def _expect_called(probe: Probe, request: Request, versioned: Request) -> None:
    """A tool is called at the client's own address, if the same turn calls it at the versioned one each time."""
    if await never_does(probe, request, versioned, has_calls):
        probe.fail(
            f"{request.path} passes tools on to the model, which calls them at {versioned.path}",
            f"no tool call in {TRIES} turns, and one in each of {TRIES} at {versioned.path}",
            await ask_again(probe, request),
            remedy="Have the tenant pass the whole request on at both addresses, tools and tool_choice too.",
            cause="base_url:tools dropped",
        )


async def _expect_read(probe: Probe, request: Request, versioned: Request) -> None:
    """Both names are known at the client's own address, if the same turn gets them at the versioned one each time."""
    facts = _names(probe)

    def knows(response: Response) -> bool:
        return is_answered(response) and all(names_fact(said_in(response), fact) for fact in facts)

    def named_in(said: str) -> list[str]:
        return [fact for fact in facts if names_fact(said, fact)]

    def spells(response: Response) -> bool:
        """Of the names that it knows: where a message is dropped at both addresses, that is another check's finding."""
        said = said_in(response)
        named = named_in(said) if is_answered(response) else []
        return bool(named) and all(said.count(f"{fact} & {LETTERS}") == 1 for fact in named)

    exchange = await ask_again(probe, request)
    said, response = said_in(exchange.response), exchange.response
    expect_unspoilt(probe, exchange, said)
    is_tried = response is not None and is_answered(response) and named_in(said) and not spells(response)
    if is_tried and not probe.violations and await _loses_letters(probe, request, versioned, spells):
        if all(said.count(letter) > len(named_in(said)) for letter in LETTERS if not letter.isascii()):
            probe.fail(
                f"the text of {request.path} is that of {versioned.path}",
                f"in {TRIES} turns words came more than once, and in none of {TRIES} at {versioned.path}: "
                f"{shortened(said, 80)!r}",
                exchange,
                remedy="Have the tenant, and every proxy before it, pass each piece on once at both addresses.",
                cause="base_url:text altered",
            )
            return
        probe.fail(
            f"{request.path} passes letters beyond ASCII on, as {versioned.path} does ({LETTERS})",
            f"in {TRIES} turns some were missing or changed, and in none of {TRIES} at {versioned.path}: "
            f"{shortened(said, 80)!r}",
            exchange,
            remedy="Have the tenant pass text on as it is at both addresses: as UTF-8, with letters of every script.",
            cause="base_url:letters dropped",
        )
    if not probe.violations and await never_does(probe, request, versioned, knows):
        lost = [one for one, fact in zip(_TOLD, facts, strict=True) if not names_fact(said, fact)]
        who_says = " and ".join(dict(zip(_TOLD, _SAY, strict=True))[one] for one in lost)
        probe.fail(
            f"{request.path} passes every message on to the model, as {versioned.path} does",
            f"in {TRIES} turns the model did not know the names in {who_says}, "
            f"and in each of {TRIES} at {versioned.path} it did",
            exchange,
            remedy="Have the tenant pass the whole request on at both addresses: every message, system prompts too.",
            cause="base_url:messages dropped",
        )


async def _loses_letters(
    probe: Probe, request: Request, versioned: Request, spells: Callable[[Response], bool]
) -> bool:
    """Whether letters never come there that come each time at the versioned address.

    Compared for one client of each kind of chat: some models write ASCII, or write letters now and then.
    """

    async def make() -> tuple[bool, Sequence[Exchange]]:
        first = await ask_again(probe, versioned)
        written = first.response is not None and spells(first.response)
        return written and await never_does(probe, request, versioned, spells), [first]

    return await probe.shared(("letters", request.path, bool(request.fields.get("stream"))), make)


def _expect_joined(probe: Probe, exchange: Exchange, response: Response, expected: str) -> None:
    expect_no_error(probe, exchange, expected)
    stream = read_stream(response)
    for text in stream.malformed[:1]:
        probe.fail("each event holds JSON of a chat.completion.chunk, or [DONE]", text, exchange)
    rules = schema.load("wire/chat-completion-chunk")
    wrong = [error for chunk in stream.chunks for error in rules.errors(chunk)]
    if wrong:
        probe.fail("each chunk holds text that clients can read", describe_error(wrong[0]), exchange)
    for chunk in stream.chunks:
        expect_needs(probe, exchange, chunk, "chat-completion-chunk", CHUNK_NEEDS)
    joined = join_turn(stream)
    if not joined.text.strip() and not joined.has_calls:
        if not block_unfinished(probe, exchange, stream.finish_reasons):
            probe.fail("the deltas joined give text or a tool call", "neither", exchange, cause=EMPTY_STREAM)
        return
    for what, found in joined.broken.items():
        probe.fail(what, found, exchange)
    whole = stream.finish_reasons or stream.done_at is not None
    probe.must(whole, "the stream shows that it is whole: a finish_reason, or [DONE]", "it ends with neither", exchange)
