"""A conversation of a key in which facts were told and asked for, and what other keys say in it: each once a run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._capability import (
    QUESTION,
    TRIES,
    Recalled,
    ask_again,
    ask_for,
    fact_of,
    is_answered,
    said_in,
    tell,
)
from gt_conformance.checks._completion import expect_completion, plain_chat
from gt_conformance.checks._notes import StopCheck
from gt_conformance.checks._polling import read_in
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._resources import (
    NAMED_IN_BODY,
    OPENED,
    Created,
    conversation_id_in,
    expect_id,
    id_in_header,
    model_for,
    open_conversation,
    unrelated_keys,
    until_known,
)
from gt_conformance.checks._surfaces import (
    Address,
    at_address,
)
from gt_conformance.checks._tools import TOOL
from gt_conformance.checks._words import LETTERS_OF_THREE_BYTES
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Request, Response, joined_text, shortened
from gt_conformance.tenant import Credential
from gt_conformance.vocabulary import CONVERSATION_HEADER, Route

_KEPT = "kept in its conversation"
_KEPT_TOO = "kept of a streamed chat"
PLANTED = "what another key says in it"
PLANTED_QUESTION = "What is the name of the tailor that I gave you?"
SECOND_QUESTION = "What is the name of the pilot that I gave you?"
SAID_QUESTION = "What is the name of the cooper?"
"""The user does not know: the system message of one chat says it, and the model's answer to that chat."""
EVERY_IN_ASCII = (
    f"{SECOND_QUESTION} {SAID_QUESTION} What is the name of the weaver that I gave you? "
    "What is the name of the baker that I gave you?"
)
EVERY_QUESTION = f"{EVERY_IN_ASCII} (好的, 👩🏽‍🚀)"
"""Asked in the conversation, without it, and behind earlier messages: the answer of one must not be that of another.

A conversation is stored: a database may keep three bytes of a letter, and fail at one of four.
"""
BESIDES: dict[str, Any] = {"user": "gt-conformance", "temperature": 0.2, "tools": [TOOL]}
_STRANGERS = 2


@dataclass(frozen=True)
class Talk:
    """A conversation of a key in which facts were told and one was asked for; what follows on a failure is None.

    The first fact is told in a plain chat and asked for in a streamed one, which tells the second.
    """

    opened: Created
    facts: tuple[str, str]
    early: tuple[Exchange, ...] = ()
    """The chats that came before the conversation was there for them."""
    told: Exchange | None = None
    streamed: Recalled | None = None
    plain: Recalled | None = None
    """Asked for the first fact as well, where the streamed chats do not know it."""
    apart: Recalled | None = None
    """A streamed chat that asks for its usage, as most clients do, where only such ones do not know the first fact."""

    @property
    def recalls(self) -> bool:
        """Whether the conversation's own key hears the first fact, in whichever kind of chat."""
        return any(asked is not None and asked.knows for asked in (self.streamed, self.plain))

    @property
    def exchanges(self) -> list[Exchange]:
        """What made it, in order."""
        asked = (one.exchange for one in (self.streamed, self.plain) if one is not None)
        return [self.opened.exchange, *self.early, *([self.told] if self.told is not None else []), *asked]


async def begin_talk(probe: Probe) -> Talk:
    """The conversation of the check's key in which the first fact was told, once a run."""
    key = probe.credential
    facts = (fact_of(probe, _KEPT), fact_of(probe, _KEPT_TOO))

    async def make() -> tuple[Talk, Sequence[Exchange]]:
        opened = await open_conversation(probe, key)
        talk = Talk(opened, facts)
        if opened.id is not None:
            request = chat_in(probe, opened.id, tell(facts[0]))
            *early, told = await until_known(lambda number: ask_again(probe, request, first=number * TRIES))
            talk = replace(talk, early=tuple(early), told=told)
        return talk, talk.exchanges

    return await probe.shared(("told", key.name), make)


async def expect_told(probe: Probe, expected: str) -> None:
    """The first chat of the conversation completes."""
    talk = await begin_talk(probe)
    expect_id(probe, talk.opened, OPENED)
    if talk.told is not None:
        await _expect_right_header(probe, talk)
        expect_completion(probe, talk.told, expected)


_NAME_IN_HEADER = (
    f"Have the tenant, and every gateway before it, give the id of a new conversation whole in {CONVERSATION_HEADER}."
)


async def _expect_right_header(probe: Probe, talk: Talk) -> None:
    """Where chats do not know the id in the header of the new conversation, they do not know that in its body either.

    A body may hold ids of other things: it tells something only where a chat is answered under it.
    """
    opened, told = talk.opened.exchange, talk.told
    in_header, in_body = id_in_header(opened.response), read_in(opened.response, conversation_id_in)
    if told is None or is_answered(told.response) or not in_header or in_body in {None, in_header}:
        return
    answered = await ask_again(probe, chat_in(probe, str(in_body), "Reply with the word ok."))
    if is_answered(answered.response):
        probe.fail(
            f"{CONVERSATION_HEADER} of a new conversation is the id that chats know",
            f"{shortened(in_header, 60)}, which they do not know; the body has {shortened(str(in_body), 60)}",
            opened,
            remedy=_NAME_IN_HEADER,
            cause="conversation:another id in the header",
        )
        raise StopCheck


async def hold_talk(probe: Probe) -> Talk:
    """The same conversation, in which the fact was asked for in a streamed chat that told the second, once a run."""

    async def make() -> tuple[Talk, Sequence[Exchange]]:
        talk = await begin_talk(probe)
        conversation, told, (first, second) = talk.opened.id, talk.told, talk.facts
        if conversation is None or told is None or not _goes_on(told, conversation):
            return talk, talk.exchanges
        more = f"{QUESTION} Remember this as well: the name of the pilot is"
        tells = chat_in(probe, conversation, f"{more} {second}.", stream=True)
        in_letters = chat_in(probe, conversation, f"{more} {in_stored_letters(second)}.", stream=True)
        as_most = requests.with_fields(in_letters, {"stream_options": {"include_usage": True}})
        streamed, apart = await ask_for(probe, as_most, first), None
        if not streamed.knows:
            with_usage, streamed = streamed, await ask_for(probe, tells, first)
            apart = with_usage if streamed.knows and with_usage.answered else None
        if streamed.answered and not streamed.knows:  # two things at once may be too much for the model
            streamed = await ask_for(probe, chat_in(probe, conversation, QUESTION, stream=True), first)
        plain = None if streamed.knows else await ask_for(probe, chat_in(probe, conversation, QUESTION), first)
        talk = replace(talk, streamed=streamed, plain=plain, apart=apart)
        return talk, talk.exchanges

    return await probe.shared(("talk", probe.credential.name), make)


def in_stored_letters(fact: str) -> str:
    """The fact with letters of other scripts behind it: what stores a conversation may keep some letters alone.

    None of them takes four bytes, at which a store may fail: that is asked for apart.
    """
    return f"{fact}/{LETTERS_OF_THREE_BYTES}"


def _goes_on(told: Exchange, conversation: str) -> bool:
    """Whether the first chat was answered, and in that conversation, as far as the answer says."""
    return is_answered(told.response) and id_in_header(told.response) in {"", conversation}


def chat_in(probe: Probe, conversation: str, text: str, *, stream: bool = False) -> Request:
    return plain_chat(probe, text, conversation=conversation, fields={"stream": True} if stream else None)


def as_clients_ask(probe: Probe, conversation: str | None = None, question: str = EVERY_QUESTION) -> Request:
    """A question with what clients send besides: a system message, a tool, a user, a temperature."""
    system = f"You answer in a few words. The name of the cooper is {in_stored_letters(said_by_model(probe))}."
    messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    return plain_chat(probe, messages, conversation=conversation, fields=BESIDES)


def said_by_model(probe: Probe) -> str:
    """What no message of the conversation's user says, and the model is asked for there."""
    return fact_of(probe, "said by the model")


async def ask_last(probe: Probe, talk: Talk, conversation: str) -> Recalled | None:
    """The first fact, what the model said, and what other keys tried to say, asked of the conversation after all that.

    Once a run, in a stream by the un-versioned address; None where nobody could try.
    """
    if probe.parameters.keys or not talk.recalls:
        return None

    async def make() -> tuple[Recalled | None, Sequence[Exchange]]:
        tries = tries_of(probe, strangers_to(probe), conversation, talk.facts, fact_of(probe, PLANTED))
        try:
            await probe.send_all([one.request for one in tries])
        except Blocked:
            return None, ()
        await probe.send(as_clients_ask(probe, conversation))
        asked = chat_in(probe, conversation, f"{QUESTION} {SAID_QUESTION} {PLANTED_QUESTION}", stream=True)
        last = await ask_for(probe, at_address(asked, probe.tenant, Address.UNVERSIONED), talk.facts[0], tries=1)
        return last, [last.exchange]

    return await probe.shared(("last", probe.credential.name), make)


def strangers_to(probe: Probe) -> list[Credential]:
    """The keys that try the conversation of the check's key: those that hold conversations themselves first."""
    strangers = [other for other in unrelated_keys(probe, probe.credential) if other.may(Route.CHAT) is not False]
    among = probe.parameters.keys
    strangers.sort(key=lambda other: (other.name not in among, other.holds_conversations is not True))
    return strangers[: 1 if among else _STRANGERS]


@dataclass(frozen=True)
class Try:
    """A chat in a conversation that is not the key's own: in words, by which address, and what it must not tell."""

    what: str
    address: Address
    request: Request
    facts: tuple[str, ...]
    beside: bool = False
    """The conversation is named where nothing documents it: a tenant may take that, or refuse it, as it likes."""


def tries_of(
    probe: Probe, strangers: Sequence[Credential], conversation: str, facts: tuple[str, ...], planted: str
) -> Iterable[Try]:
    """Each stranger; the likeliest in streams as well and by every address, which let in whoever comes by them.

    It names what it may use itself, so that the conversation alone is to be refused; un-versioned once, and where one
    request is all, what the conversation's own key may use, for whom it may be taken.
    """
    words = f"{QUESTION} Remember this as well: the name of the tailor is {planted}."
    forms: list[tuple[dict[str, Any], str]] = [({}, "a chat"), ({"stream": True}, "a streamed chat")]
    for number, stranger in enumerate(strangers):
        for fields, how in forms[:1] if number or probe.parameters.keys else forms:
            for at in (Address.VERSIONED,) if number or probe.parameters.keys else Address:
                as_owner = bool(probe.parameters.keys) or (at is Address.UNVERSIONED and not fields)
                model = model_for(probe, probe.credential if as_owner else stranger)
                request = requests.chat(
                    probe.tenant, stranger.name, words, conversation=conversation, model=model, fields=fields
                )
                what = f"{how} by the key {stranger.name} in another key's conversation ({at})"
                yield Try(what, at, at_address(request, probe.tenant, at), facts)
    for stranger in () if probe.parameters.keys else strangers[:1]:
        plain = requests.chat(
            probe.tenant,
            stranger.name,
            words,
            model=model_for(probe, stranger),
            fields=dict.fromkeys(NAMED_IN_BODY, conversation),
        )
        url = f"{plain.url}?conversation_id={quote(conversation, safe='')}"
        headers = (*plain.headers, ("X-Conversation-Id", conversation))
        what = f"a chat by the key {stranger.name} that names another key's conversation in its body or address"
        yield Try(what, Address.VERSIONED, replace(plain, url=url, headers=headers), facts, beside=True)


def all_said(response: Response | None) -> str:
    """All of an answer, a stream put together as well."""
    return f"{response.plain} {joined_text(response)} {said_in(response)}" if response is not None else ""
