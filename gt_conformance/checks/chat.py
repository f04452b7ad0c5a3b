"""Chat completions that do not stream: in a client's shape, with its messages, its fields and its tools."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._capability import (
    TRIES,
    Ability,
    Recalled,
    ask_again,
    ask_for,
    complete,
    fact_of,
    finish_reasons,
    is_answered,
    is_empty,
    loses_words,
    names_fact,
    require_ability,
    said_in,
)
from gt_conformance.checks._check import Context, Parameters, check, native, plainest
from gt_conformance.checks._completion import (
    MESSAGES_LOST,
    PASS_ON_MESSAGES,
    PLAIN_NEEDS,
    chat_request,
    expect_completion,
    expect_unspoilt,
    fail_error_inside,
    is_accepted,
    plain_chat,
    shape_of,
    stream_request,
)
from gt_conformance.checks._notes import StopCheck
from gt_conformance.checks._probe import Probe, response_if_any
from gt_conformance.checks._tools import CALL_MESSAGES, EMPTY_CALL_MESSAGES, TOOL
from gt_conformance.checks._wording import describe
from gt_conformance.checks._words import ACCENTED, LETTERS, is_cut_off, word_of
from gt_conformance.checks.models import require_published
from gt_conformance.exchange import Exchange, NotJson, Request, Response, parse_json, shortened
from gt_conformance.together import together
from gt_conformance.vocabulary import Actor, Fact, Modality, Route, Severity

_CHAT = "OpenAI API reference, Create chat completion"
_UNMEASURED = "unmeasured"


def _shapes(context: Context) -> Iterator[Parameters]:
    """In each client's own shape, with what it needs of the answer."""
    for profile in (client.chat for client in context.clients):
        yield replace(shape_of(profile), needs=tuple(need for need in profile.needs if need in PLAIN_NEEDS))


def _forms_required(context: Context) -> Iterator[Parameters]:
    """Message forms must be accepted where one of the clients sends them; of some nobody knows whether it does."""
    required = any(client.chat.message_forms for client in context.clients)
    measured = bool(context.runbook.measured_clients)
    yield Parameters(required=required, client=None if measured else _UNMEASURED)


def _own_limits(context: Context) -> Iterator[Parameters]:
    """With the limit that each client sends, where it sends one of its own."""
    for profile in (client.chat for client in context.clients):
        own = profile.token_limit_value is not None
        yield replace(shape_of(profile), fields=()) if own else Parameters()


def _where_structured(context: Context) -> Iterator[Parameters]:
    if any(client.chat.structured_output for client in context.clients):
        yield Parameters()


@check(
    "chat.completes",
    claim="A chat in the shape that this client sends gives a chat completion.",
    remedy="Check that the alias is published with a working chat model, and that the key has inference:chat for it.",
    source="GT API reference, Run a chat completion; "
    "GT API keys and access, Key purposes; "
    "GT client runbooks (hermes); "
    "OpenAI API reference, Create chat completion",
    clauses=("C1", "C7", "K1", "R6"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.CHAT,
    rows=(
        native(Route.CHAT, parameters=plainest),
        native(Route.CHAT, parameters=_shapes, any_key=True),
    ),
    shows=(Fact.SCOPE_CHAT,),
)
async def completes(probe: Probe) -> None:
    """2xx JSON, choices not empty, an assistant message with content or tool calls, a known finish_reason."""
    exchange = await ask_again(probe, chat_request(probe))
    if probe.parameters.minimal:
        await require_published(probe, exchange, Modality.CHAT)
    expect_completion(probe, exchange)
    if probe.parameters.minimal:
        await _expect_whole(probe, exchange)
    elif exchange.request != plain_chat(probe) and not probe.violations:
        await _expect_words(probe, exchange)


async def _expect_words(probe: Probe, exchange: Exchange) -> None:
    """The words that were asked for come as such, if streams in the same shape bring them: not joined to one."""
    said = said_in(exchange.response)
    expect_unspoilt(probe, exchange, said)
    if not probe.violations and await loses_words(probe, exchange, stream_request(probe)):
        probe.fail(
            "an answer in one piece has the words that were asked for, as a streamed one has",
            f"in {TRIES} answers never: {shortened(said, 80)!r}",
            exchange,
            remedy="Have the tenant, and every proxy before it, pass the text of unstreamed answers on as it is, "
            "with its spaces and line breaks.",
            cause="chat:words",
        )


async def _expect_whole(probe: Probe, exchange: Exchange) -> None:
    """The word that was asked for does not break off: in each of five answers, where streams bring all of it.

    An answer that a token limit ends says so; one that ends as if it were whole has lost its end on the way.
    """
    key, word = probe.credential.name, word_of(probe.run_id, probe.credential.name)

    def breaks_off(one: Exchange) -> bool:
        cut = is_cut_off(said_in(one.response), probe.run_id, key)
        return cut and "length" not in finish_reasons(one.response)

    if not breaks_off(exchange):
        return
    for number in range(1, TRIES):
        if not breaks_off(await ask_again(probe, chat_request(probe), first=number * TRIES)):
            return
    streamed = await ask_again(probe, plain_chat(probe, fields={"stream": True}))
    if names_fact(said_in(streamed.response), word):
        probe.usable = False
        probe.fail(
            "an answer in one piece comes whole, as a streamed one does",
            f"in {TRIES} answers the end is missing, and finish_reason does not say so: "
            f"{shortened(said_in(exchange.response), 80)!r}",
            exchange,
            remedy="Have the tenant, and every proxy before it, pass on the whole text of unstreamed answers.",
            cause="chat:cut",
        )


async def _takes_everything(probe: Probe) -> bool:
    """Whether one chat with every role, every message form, every sampling field and a token limit completes.

    Then each of them is taken, and none of them is asked for alone.
    """
    exchange = await probe.send(_everything(probe))
    trial = probe.dry_run()
    try:
        expect_completion(trial, exchange)
    except StopCheck:
        return False
    return not trial.violations and not trial.blockers


def _everything(probe: Probe) -> Request:
    fields = {**_SAMPLING, **_IN_ONE_PIECE, "tools": [TOOL], "max_tokens": _limit(probe)}
    system, question, answer, _ = _roles(probe)
    answer = {**answer, "content": f"{answer['content']} {_says(probe, _POTTER)}"}
    told, asked = _in_parts(_says(probe, _SMITH), _REMEMBER), _in_parts(_ANSWER, _WHO["content"])
    messages = [system, question, answer, *_EVERY_FORM, told, asked]
    return requests.compressible(plain_chat(probe, messages, fields=fields))


def _says(probe: Probe, *people: str) -> str:
    return " ".join(f"The name of the {one} is {fact_of(probe, one)}." for one in people)


def _in_parts(*texts: str) -> dict[str, Any]:
    """A user's message as clients send it that may add files: in parts.

    What asks comes last, what tells comes first: neither the first part nor the last is all that is needed.
    """
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


_ANSWER, _REMEMBER = "Answer this question.", "Keep it in mind."


@check(
    "chat.roles",
    claim="A conversation of system, user and assistant messages completes.",
    remedy="Have the tenant pass every role of the message list to the model.",
    source="GT API reference, Run a chat completion; OpenAI API reference, Create chat completion",
    clauses=("C1",),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("chat.completes",),
    rows=native(Route.CHAT, any_key=True),
)
async def roles(probe: Probe) -> None:
    """System + user + assistant + user completes with 2xx, where the answer may be compressed as well.

    With every other form in one chat, where that completes; alone, plain and streamed. An accented word comes back as
    it is, and the answer comes in one piece, as `stream: false` says. What the system message says is known each time.
    """
    plain, streamed = (plain_chat(probe, _roles(probe), fields=fields) for fields in ({}, {"stream": True}))
    whole, *_ = await probe.send_all([_everything(probe), plain, streamed])
    if not await _takes_everything(probe):
        request = requests.compressible(plain_chat(probe, _roles(probe, ACCENTED), fields=_IN_ONE_PIECE))
        whole, _ = await complete(probe, request, "a chat with system, user and assistant messages completes")
    alone = [await ask_again(probe, request) for request in (plain, streamed)]
    for exchange in (whole, *alone):
        said = said_in(exchange.response)
        if exchange is whole or names_fact(said, fact_of(probe, _MILLER_IS)):  # else its pieces are wrong
            expect_unspoilt(probe, exchange, said)
        await _expect_system_read(probe, exchange)
    probe.stop_if_failed()
    if all(_names(exchange, fact_of(probe, _MILLER_IS)) for exchange in alone):
        await _expect_everything_read(probe, whole)


def _names(exchange: Exchange, fact: str) -> bool:
    return not is_answered(exchange.response) or names_fact(said_in(exchange.response), fact)


async def _expect_everything_read(probe: Probe, whole: Exchange) -> None:
    """The last question is read where it comes in parts, and each message where others come before or after it.

    What the same model answers to the same question in one text, and in few messages, it was not asked otherwise.
    """
    told_in_it = _PEOPLE if _POTTER in whole.request.body.decode() else (_MILLER_IS,)
    lost = [fact for fact in (fact_of(probe, one) for one in told_in_it) if not _names(whole, fact)]
    if not lost or "length" in finish_reasons(whole.response):  # what a token limit cuts off is no message that is lost
        return
    fact, (system, *_) = lost[0], _roles(probe)
    said = _says(probe, _SMITH, _POTTER)
    user, model = {"role": "user", "content": said}, {"role": "assistant", "content": "Indeed."}
    chatter = {"role": "user", "content": _SMALL_TALK}
    told = {
        "plain": [system, user, model, _WHO],
        "parts": [system, _in_parts(said, _REMEMBER), model, _in_parts(_ANSWER, _WHO["content"])],
        "row": [system, user, _WHO],
        "assistant": [system, chatter, {**model, "content": said}, _WHO],
        "many": [system, user, model, *(chatter, model) * _TURNS, _WHO],
    }
    answers = await together(ask_for(probe, plain_chat(probe, messages), fact) for messages in told.values())
    asked = dict(zip(told, answers, strict=True))
    if not asked["plain"].knows:
        return
    for words, promise, remedy in (
        ("parts", "the text of every content part reaches the model", "every text part of a message"),
        ("row", "each of several user messages in a row reaches the model", "every message of a chat"),
        ("assistant", "what the assistant said earlier reaches the model", "every message of a chat"),
        ("many", "the first message of a chat reaches the model, however many follow it", "every message of a chat"),
    ):
        if asked[words].answered and not asked[words].knows:
            probe.fail(
                f"{promise} ({fact})",
                f"{TRIES} answers without it, which the same model gives to one text in a short chat",
                whole,
                remedy=f"Have the tenant pass {remedy} on to the model.",
                cause=MESSAGES_LOST if words == "many" else f"chat:{words}",
            )
            return


_SMALL_TALK = "It is a fine day."
_TURNS = 5


_IN_ONE_PIECE = {"stream": False}
"""As LangChain and LlamaIndex send it: said, and not left out."""
_PEOPLE = _MILLER_IS, _SMITH, _POTTER = "miller", "smith", "potter"
"""Who has a name that the model is asked for: the system says the miller's, a user the smith's, it the potter's."""
_WHO = {"role": "user", "content": " ".join(f"What is the name of the {one}?" for one in _PEOPLE)}
_MILLER = "What is the name of the miller?"
_SHORTLY = "You answer in a few words."


def _roles(probe: Probe, word: str = LETTERS) -> list[dict[str, Any]]:
    """One message of each role; the last asks for what the first says, with a word beyond ASCII behind it."""
    said = [
        ("system", f'{_SHORTLY} The name of the miller is "{fact_of(probe, _MILLER_IS)} & {word}".'),
        ("user", "What colour is the sky by day?"),
        ("assistant", "Blue."),
        ("user", _MILLER),
    ]
    return [{"role": role, "content": content} for role, content in said]


async def _expect_system_read(probe: Probe, exchange: Exchange) -> None:
    """The answer names what the system message says, if the model names it where a user says it.

    Not to tell what it was told may be the model's way: one that does as a system message says has read it. What it
    knows as the second of as many messages, and never as the first, whoever says it, is lost with the first.
    """
    fact, sent = fact_of(probe, _MILLER_IS), parse_json(exchange.request.body.decode())
    if not is_answered(exchange.response) or names_fact(said_in(exchange.response), fact):
        return
    by_system, *others = sent["messages"]
    by_user = {**by_system, "role": "user"}
    order = {"role": "system", "content": f"Whatever you are asked, reply with the word {fact} and nothing else."}
    ask = {"role": "user", "content": "What do you say?"}
    fields = {name: value for name, value in sent.items() if name not in {"model", "messages"}}

    async def said(messages: Sequence[Mapping[str, Any]], tries: int = TRIES) -> Recalled:
        return await ask_for(probe, plain_chat(probe, messages, fields=fields), fact, tries=tries)

    async def knows(messages: Sequence[Mapping[str, Any]]) -> bool:
        return (await said(messages)).knows

    kind = "a streamed chat" if sent.get("stream") else "a chat"
    first = await said([by_user, *others])
    if not first.knows:  # what nobody can tell it is no system message's
        as_second = [{**order, "content": _SHORTLY}, by_user, {"role": "assistant", "content": "Indeed."}, others[-1]]
        is_known = len(as_second) == len(sent["messages"]) and first.answered
        if is_known and (await said(as_second, 1)).knows:  # at once: what it tells now and then shows nothing
            probe.fail(
                f"the first message of {kind} reaches the model, however many follow it ({fact})",
                f"{TRIES} answers without it, which the same model gives where the second message says it",
                exchange,
                remedy=PASS_ON_MESSAGES,
                cause=MESSAGES_LOST,
            )
    elif not await knows([by_system, *others]) and not await knows([order, ask]):
        probe.fail(
            f"{kind} knows what its system message says ({fact})",
            f"{TRIES} answers without it, which the same model gives where a user says it",
            exchange,
            remedy="Have the tenant pass system messages on to the model, in streamed chats and in all others.",
            cause="chat:system",
        )


@check(
    "chat.message_forms",
    claim="The message forms of clients are accepted: consecutive user messages, content parts, earlier tool calls; "
    "text in any script, and source code.",
    remedy="Have the tenant accept OpenAI's message forms as they are: no alternating roles, no string content needed; "
    "and store and forward text as UTF-8, characters beyond the Basic Multilingual Plane (emoji) included.",
    source="GT API reference, Run a chat completion; GT API overview, Start Here; "
    "OpenAI API reference, Create chat completion; "
    "measured clients (openclaw, cline)",
    clauses=("C1", "R1"),
    acts=Actor.TENANT,
    severity=Severity.MEDIUM,
    rests_on=("chat.completes",),
    rows=native(Route.CHAT, parameters=_forms_required, any_key=True),
)
async def message_forms(probe: Probe) -> None:
    """All forms in one chat; where that is refused, or answered without text, each alone.

    Role developer is a should; text in any script and source code are a must, whatever the clients were seen to send.
    The output of a terminal may be refused; it must not make the tenant fail.
    """
    if await _takes_everything(probe):
        return
    everything = await probe.send(_every_form(probe))
    if everything.response is not None and is_accepted(everything.response) and not _says_nothing(everything):
        return
    alone = [_forms_chat(probe, messages) for messages in (*_FORMS.values(), _DEVELOPER, _ANY_SCRIPT, _CODE, _OUTPUT)]
    *exchanges, developer, any_script, code, output = await probe.send_all(alone)
    for form, exchange in zip(_FORMS, exchanges, strict=True):
        _accepts(probe, exchange, form, required=probe.parameters.required)
    _accepts(probe, developer, "the role developer", required=False)
    _accepts(probe, any_script, "text with Chinese, Hebrew and emoji", required=True)
    if not probe.violations:
        await _expect_said(probe, [*(exchanges if probe.parameters.required else ()), any_script, code])
    _expect_code(probe, code)
    crashes = output.response is not None and output.response.status >= _CRASHED
    _accepts(probe, output, "the output of a terminal, with control characters and bare line ends,", required=crashes)


_DEVELOPER: list[dict[str, Any]] = [
    {"role": "developer", "content": "You answer in one word."},
    {"role": "user", "content": requests.ONE_WORD},
]
_PARTS: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": requests.ONE_WORD}]}]
_IN_A_ROW: list[dict[str, Any]] = [
    {"role": "user", "content": "I will ask for one word."},
    {"role": "user", "content": requests.ONE_WORD},
]
_FORMS = {
    "two user messages in a row": _IN_A_ROW,
    "content as a list of text parts": _PARTS,
    "earlier tool calls with their results": CALL_MESSAGES,
    "an earlier tool call beside an empty text": EMPTY_CALL_MESSAGES,
}
_ANY_SCRIPT: list[dict[str, Any]] = [{"role": "user", "content": f"{requests.ONE_WORD}\n\n(好的, טוב, 👩🏽‍🚀)"}]
_CODE: list[dict[str, Any]] = [
    {
        "role": "user",
        "content": "SELECT id FROM users WHERE id = 1 OR id = 2; -- both\n"  # noqa: S608 - a text, which no database is sent
        '<script src="../../app.js">alert("ok")</script>\n'
        "grep root /etc/passwd; rm -rf ./build && echo $(whoami)\n"
        "printf('%s %(name)s', \"{{ user.name }} ${HOME} {0} {name!r} {% if a %}\"); // C:\\new\\u\n"
        f"{requests.ONE_WORD}",
    }
]
"""What agents and people send all day, which firewalls for web forms take for attacks, and templates for templates."""
_OUTPUT: list[dict[str, Any]] = [
    {"role": "user", "content": f"\n\x1b[32mpassed\x1b[0m\r\n\ta\x08b\x0c\x7f\r\n{requests.ONE_WORD}\n"}
]
"""What agents paste: the output of a program, as it was. To refuse it is lawful, to fail at it is not."""
_CRASHED = 500
_EVERY_FORM = [_DEVELOPER[0], *CALL_MESSAGES, *EMPTY_CALL_MESSAGES, *_IN_A_ROW, *_PARTS, *_ANY_SCRIPT, *_CODE, *_OUTPUT]


def _says_nothing(exchange: Exchange) -> bool:
    """Whether an answer is without text, and names no reason for that: a token limit, or a filter."""
    reasons = finish_reasons(exchange.response)
    return is_empty(exchange.response) and reasons.isdisjoint({"length", "content_filter"})


async def _expect_said(probe: Probe, exchanges: Sequence[Exchange]) -> None:
    """A form that is taken is answered with text, as a plain chat is."""
    for exchange in exchanges:
        if _says_nothing(exchange):
            await complete(probe, exchange.request, "a chat with this form of message is answered with text")
    probe.stop_if_failed()


def _every_form(probe: Probe) -> Request:
    """All forms in one request, with a limit on its tokens."""
    return plain_chat(probe, _EVERY_FORM, fields={"tools": [TOOL], "max_tokens": _limit(probe)})


def _forms_chat(probe: Probe, messages: list[dict[str, Any]]) -> Request:
    fields = {"tools": [TOOL]} if any(message["role"] == "tool" for message in messages) else {}
    return plain_chat(probe, messages, fields=fields)


def _accepts(probe: Probe, exchange: Exchange, form: str, *, required: bool) -> None:
    expected = f"{form} is accepted with 2xx"
    if required:
        if not fail_error_inside(probe, exchange, expected):
            probe.expect(exchange, expected, is_accepted)
    elif exchange.response is None or not is_accepted(exchange.response):
        found = describe(exchange.response) if exchange.response else "no answer"
        measured = probe.parameters.client != _UNMEASURED
        sends = "this client does not send it" if measured else "whether this client sends it was not measured"
        probe.advise(f"{form} is not accepted ({found}); {sends}", exchange)


_FILTER = re.compile(r"content.?(?:filter|management|policy)|guardrail|moderation", re.IGNORECASE)
_LONGEST_REFUSAL = 4_000


def _expect_code(probe: Probe, exchange: Exchange) -> None:
    """It is accepted. A web page that refuses it let other chats through: the set-up of this machine is not the cause.

    A filter of the model, which names itself, may be set to refuse it.
    """
    expected = "text with source code (SQL, HTML, shell, templates) is accepted with 2xx"
    response = probe.answer(exchange, expected)
    if response.refused and _FILTER.search(response.text[:_LONGEST_REFUSAL]):
        probe.advise(f"a content filter refuses text with source code: {describe(response)}", exchange)
    elif response.status == HTTPStatus.UNAUTHORIZED:
        probe.fail_answer(expected, exchange, response)  # what looks at the text does not ask for a key
    elif not is_accepted(response):
        remedy = "Have every firewall before the tenant pass prompts on, whatever they hold: code is not an attack."
        if response.status >= _CRASHED:
            remedy = (
                "Have the tenant take prompts as they are, and as no template, query or pattern of its own: "
                "it fails at text with source code."
            )
        probe.fail(expected, describe(response), exchange, remedy=remedy, cause="chat:code")


@check(
    "chat.token_limits",
    claim="Both token-limit fields should be accepted: max_tokens and max_completion_tokens.",
    remedy="Have the tenant accept max_tokens and max_completion_tokens, each alone: clients send one or the other.",
    source=_CHAT + "; measured clients",
    only_advises=True,
    acts=Actor.TENANT,
    severity=Severity.MEDIUM,
    rests_on=("chat.completes",),
    rows=native(Route.CHAT, parameters=_own_limits, any_key=True),
    by_surface=True,
)
async def token_limits(probe: Probe) -> None:
    """Each field without the other, and a client's own large value: accepted, or refused with a 400 that names it.

    That a client's own chat is refused is the finding of chat.completes; of the other field no page speaks. One of the
    fields goes with every form of a message, the other with the fields of chat.sampling_fields: each goes alone where
    these are refused. In a run of some runbooks only their clients' own field counts.

    One of them comes in chunks, as bodies do whose length is not known before: no page speaks of that either.
    """
    field, value = probe.parameters.token_limit, probe.parameters.token_limit_value
    own = [] if value is None else [chat_request(probe)]
    with_others = {} if probe.parameters.keys else {_LIMIT: requests.in_chunks(_every_field(probe))}
    if not await _takes_everything(probe):
        with_others["max_tokens"] = _every_form(probe)
    exchanges = await probe.send_all([*with_others.values(), *own])
    for name, exchange in zip(with_others, exchanges, strict=False):
        if exchange.response is None or not is_accepted(exchange.response):
            if name == _LIMIT and await _takes_whole_alone(probe, exchange):
                continue
            alone = await probe.send(plain_chat(probe, fields={name: _limit(probe)}))
            _should_accept(probe, alone, f"{name} alone")
    for exchange in exchanges[len(with_others) :]:
        _should_accept_or_name(probe, exchange, field, f"{field}: {value}, which this client sends,")


async def _takes_whole_alone(probe: Probe, in_chunks: Exchange) -> bool:
    """Whether what was not accepted in chunks is accepted with its length: that is advised."""
    whole = await probe.send(_every_field(probe))
    if whole.response is None or not is_accepted(whole.response):
        return False
    found = describe(in_chunks.response) if in_chunks.response else "no answer"
    probe.advise(
        "a chat whose body comes in chunks (Transfer-Encoding: chunked) is not accepted, and is with a Content-Length: "
        f"{found}; have the tenant, and every proxy before it, read bodies of both forms",
        in_chunks,
    )
    return True


def _limit(probe: Probe) -> int:
    return probe.tenant.limits.completion_tokens


def _every_field(probe: Probe) -> Request:
    """The sampling fields and one of those that limit tokens, in one request."""
    return plain_chat(probe, fields={**_SAMPLING, _LIMIT: _limit(probe), "tools": [TOOL]})


_LIMIT = "max_completion_tokens"
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
    claim="Common sampling fields should be accepted, or refused with a 400 that names the field.",
    remedy="Have the tenant accept or ignore the field, or name it in a 400.",
    source=_CHAT,
    only_advises=True,
    acts=Actor.TENANT,
    severity=Severity.MEDIUM,
    rests_on=("chat.completes",),
    rows=native(Route.CHAT, any_key=True),
)
async def sampling_fields(probe: Probe) -> None:
    """temperature, seed, user, n: 1, stop, parallel_tool_calls: all at once; one by one where that is refused."""
    if await _takes_everything(probe):
        return
    everything = await probe.send(_every_field(probe))
    if everything.response is not None and is_accepted(everything.response):
        return
    extra = {"parallel_tool_calls": {"tools": [TOOL]}}
    alone = [plain_chat(probe, fields={field: value, **extra.get(field, {})}) for field, value in _SAMPLING.items()]
    for field, exchange in zip(_SAMPLING, await probe.send_all(alone), strict=True):
        _should_accept_or_name(probe, exchange, field, field)


@check(
    "chat.structured_output",
    claim="A request for structured output should be honoured, or refused openly.",
    remedy="Have the tenant honour response_format json_schema, or refuse it with a 400 that names response_format.",
    source=_CHAT + ", response_format",
    only_advises=True,
    acts=Actor.TENANT,
    severity=Severity.MEDIUM,
    rests_on=("chat.completes",),
    rows=native(Route.CHAT, parameters=_where_structured, any_key=True),
    of_all=True,
)
async def structured_output(probe: Probe) -> None:
    """json_schema should be honoured, or refused with a 400 that names it.

    No clause promises it, so what the tenant does with it is advised at most. Where the model gives no JSON when it is
    asked in words either, whether the tenant passes response_format on cannot be told: blocked.
    """
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string"}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    wanted = {"name": "answer", "strict": True, "schema": schema}
    exchange = await ask_again(
        probe,
        plain_chat(
            probe,
            f"Give the word {word_of(probe.run_id, probe.credential.name)} as the answer, as JSON.",
            fields={"response_format": {"type": "json_schema", "json_schema": wanted}},
        ),
    )
    response = response_if_any(probe, exchange, "response_format json_schema")
    if response is None:
        return
    if is_accepted(response):
        if not _fits(response):
            await require_ability(probe, Ability.JSON)
            probe.advise(
                "response_format json_schema is accepted but not honoured: the content does not fit the schema",
                exchange,
            )
        return
    named = response.refused and ("response_format" in response.plain or "json_schema" in response.plain)
    text = f"response_format json_schema should be honoured, or named where it is refused: {describe(response)}"
    probe.should(named, text, exchange)


def _fits(response: Response) -> bool:
    try:
        value = parse_json(response.json()["choices"][0]["message"]["content"])
    except (NotJson, LookupError, TypeError, AttributeError):
        return False
    return isinstance(value, dict) and isinstance(value.get("answer"), str) and len(value) == 1


def _should_accept(probe: Probe, exchange: Exchange, what: str) -> None:
    response = response_if_any(probe, exchange, what)
    if response is not None and not is_accepted(response):
        probe.advise(f"{what} should be accepted: {describe(response)}", exchange)


def _should_accept_or_name(probe: Probe, exchange: Exchange, field: str, what: str) -> None:
    """A 2xx, or a 400 (422 as well) whose body names the field."""
    response = response_if_any(probe, exchange, what)
    if response is None:
        return
    # As a separate word: the letter n, or user, is part of most sentences.
    named = response.status in {400, 422} and re.search(rf"(?<![\w\\]){field}(?!\w)", response.plain)
    text = f"{what} should be accepted, or refused with a 400 that names {field}: {describe(response)}"
    probe.should(is_accepted(response) or named, text, exchange)
