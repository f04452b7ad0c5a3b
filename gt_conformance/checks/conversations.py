"""Conversations: opened, and carried on in plain and streamed chats."""

from urllib.parse import urlsplit

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._capability import (
    QUESTION,
    TRIES,
    Ability,
    Recalled,
    ask_again,
    ask_for,
    complete,
    fact_of,
    finish_reasons,
    has_calls,
    is_answered,
    is_empty,
    lacks,
    names_fact,
    never_does,
    remark_late,
    require_ability,
    require_no_echo,
    said_in,
)
from gt_conformance.checks._check import (
    Items,
    Parameters,
    RunbookKey,
    check,
    gt_extension,
)
from gt_conformance.checks._completion import (
    EMPTY_STREAM,
    FIND_THE_TEXT,
    MESSAGES_LOST,
    PASS_ON_MESSAGES,
    PASS_ON_WHOLE,
    block_unfinished,
    expect_completion,
    expect_unspoilt,
    plain_chat,
    read_stream,
    text_in,
)
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._resources import (
    OPENED,
    expect_id,
    open_another,
    open_conversation,
    upload_file,
)
from gt_conformance.checks._surfaces import (
    Address,
    at_address,
)
from gt_conformance.checks._talk import (
    BESIDES,
    EVERY_IN_ASCII,
    EVERY_QUESTION,
    SAID_QUESTION,
    SECOND_QUESTION,
    Talk,
    all_said,
    as_clients_ask,
    ask_last,
    chat_in,
    expect_told,
    hold_talk,
    in_stored_letters,
    said_by_model,
)
from gt_conformance.checks._tools import QUESTION as TOOL_QUESTION
from gt_conformance.checks._tools import TOOL
from gt_conformance.checks._wording import (
    HEADER_LOST,
    KEEP_HEADER,
    describe,
    describe_exchange,
    is_header_lost,
)
from gt_conformance.checks._words import spoilt_in
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Request, Response, shortened
from gt_conformance.together import both, together
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, RemarkKind, Route, Severity

_LATER = "said in a later conversation"
_SAID_BEFORE = "said in an earlier message"
_NEXT = "said in the turn before"
_NEXT_IS, _NEXT_QUESTION = "Remember this: the name of the miller is", "What is the name of the miller that I gave you?"
_ELSEWHERE = f"{QUESTION} What is the name of the weaver that I gave you?"
LETTERS_STORED = "conversation:letters"
_STORE_IN_UTF_8 = "Have the tenant store conversations in full UTF-8 (utf8mb4 in MySQL)."
_STREAM_IN_UTF_8 = (
    "Have the tenant store and stream conversations in UTF-8, and do not split a character between two pieces."
)
_OK = "Reply with the word ok."


@check(
    "conversation.continuity",
    claim="A conversation continues: the next turn knows what the user wrote in the turn before, streamed or not.",
    remedy="Have the tenant store the turns of a conversation and give them to the model under X-GT-Conversation-Id.",
    source="GT API reference, Run a chat completion; GT API reference, Conversation continuity header",
    clauses=("C1", "C3", "C5", "C6", "A2"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("conversation.create",),
    rows=gt_extension(Route.CONVERSATION_FILES),
    items=Items(RunbookKey(Route.CONVERSATION_FILES)),
    by_surface=True,
    creates=True,
)
async def continuity(probe: Probe) -> None:
    """A fact told in a plain chat is known to a streamed one under the same id, and the other way round.

    So each kind of chat is shown to read what was stored, and to be stored itself. The facts are not known without the
    header, nor under an id that no conversation has; and what is said without the header is not known to the next chat.
    A model that recalls what was said in a conversation recalls what the earlier messages of one request say. A run of
    some runbooks leaves out ids that no conversation has: these are no concern of a client that works.
    """
    await probe.require_route(Route.CHAT)
    await expect_told(probe, "the first chat of the conversation completes")
    await together((hold_talk(probe), _say_elsewhere(probe)))
    talk = await hold_talk(probe)
    conversation = expect_id(probe, talk.opened, OPENED)
    _expect_same_id(probe, talk, conversation)
    await _expect_streamed(probe, talk)
    if talk.apart is not None:
        expected = f"a streamed chat that asks for its usage knows the code word ({talk.facts[0]})"
        found = f"{TRIES} streams without it, which streams without stream_options know"
        probe.fail(expected, found, talk.apart.exchange, remedy=_GO_ON, cause="conversation:left by usage")
    elsewhere, _ = await both(
        _ask_unversioned(probe, talk, conversation),
        together(
            (
                _expect_recall_there_alone(probe, talk, conversation),
                *([] if probe.parameters.keys else [_expect_nothing_elsewhere(probe, talk)]),
                _expect_messages_read(probe, talk),
            )
        ),
    )
    # Where the versioned address lacks something, that is the finding.
    if elsewhere is not None and elsewhere.answered and not elsewhere.knows and not probe.violations:
        # Where that address answers no chat as it should, in a conversation or not, that is the finding.
        joined = Parameters(route=Route.CHAT, base_path=urlsplit(probe.tenant.base_url).path)
        await probe.require("base_url.joins", parameters=joined, conforming=True)
        expected = f"a chat in the conversation by the un-versioned address knows the code word ({talk.facts[0]})"
        found = f"{TRIES} answers without it"
        # By then more was said than when it was asked for first: what the model no longer tells is the model's.
        beside = await ask_for(probe, chat_in(probe, conversation, QUESTION), talk.facts[0])
        if not beside.answered or beside.knows:
            probe.fail(expected, found, elsewhere.exchange, remedy=READ_EVERYWHERE)
        elif not await _knows_the_turn_before(probe, conversation):
            raise lacks(probe, Ability.RECALL)
        elif not await _knows_the_turn_before(probe, conversation, Address.UNVERSIONED):
            expected = "a chat in the conversation by the un-versioned address knows the turn before it"
            probe.fail(expected, found, elsewhere.exchange, remedy=READ_EVERYWHERE)
    if elsewhere is not None and not elsewhere.answered and not probe.violations:
        await _expect_answered_elsewhere(probe, elsewhere.exchange)
    if elsewhere is not None and elsewhere.knows and not probe.violations:
        await _expect_streamed_elsewhere(probe, talk, conversation)
    if not probe.violations:
        await _expect_answers_stored(probe, talk, conversation)
        await _expect_tools_passed_on(probe)
    _expect_own_id(probe)


async def _expect_answers_stored(probe: Probe, talk: Talk, conversation: str) -> None:
    """What the model said in the conversation goes on with it: a word that it had from a system message alone.

    The last chat knows the code word, which was told before. Where it does not know that word, the model is made to say
    it once more, and asked for it alone; and where no answer has it, in the same messages without the conversation,
    which the model must understand.
    """
    fact, last = said_by_model(probe), await ask_last(probe, talk, conversation)
    before = await probe.send(as_clients_ask(probe, conversation))
    said = said_in(before.response)
    if (
        last is None
        or not last.knows
        or not names_fact(said, fact)
        or names_fact(said_in(last.exchange.response), fact)
    ):
        return
    await probe.send(as_clients_ask(probe, conversation), again=1)  # no page says how far back a conversation goes
    asked = await ask_for(probe, chat_in(probe, conversation, SAID_QUESTION), fact)
    if asked.knows or not asked.answered:
        return
    messages = [("user", EVERY_QUESTION), ("assistant", said), ("user", SAID_QUESTION)]
    alone = plain_chat(probe, [{"role": role, "content": content} for role, content in messages])
    if (await ask_for(probe, alone, fact)).knows:
        probe.fail(
            f"a later chat knows what the model said in an earlier answer of the conversation ({fact})",
            f"{TRIES} answers without it, though they know what the user wrote",
            asked.exchange,
            remedy=_STORE_ANSWERS,
            cause="conversation:answers",
        )


_STORE_ANSWERS = "Have the tenant store what the model answers as well: each answer is a turn of the conversation."


def _expect_own_id(probe: Probe) -> None:
    """No chat of the key in a later conversation of its own is answered under the id of another."""
    for exchange in probe.seen if not probe.violations else ():
        request, response = exchange.request, exchange.response
        named = dict(request.headers).get(CONVERSATION_HEADER)
        if request.key != probe.credential.name or not named or response is None or not response.succeeded:
            continue
        returned = response.header(CONVERSATION_HEADER)
        if request.path.endswith("/chat/completions") and returned not in {None, "", named}:
            probe.fail(
                "a chat of a conversation is answered under its own id",
                f"it became {shortened(returned or '', 60)}",
                probe.note(exchange),
                remedy="Have the tenant give back the id of the conversation that the chat names, and of no other.",
                cause="conversation:another id",
            )
            return


async def _expect_answered_elsewhere(probe: Probe, exchange: Exchange) -> None:
    """A chat of the conversation is answered by the un-versioned address, if one without it is answered there.

    Not at once: no page says from when on a conversation is known.
    """
    later = await ask_again(probe, exchange.request, first=TRIES)
    if is_answered(later.response):
        probe.remark(RemarkKind.LATE, "the un-versioned address knew the conversation at the second attempt", later)
        return
    streams = bool(exchange.request.fields.get("stream"))
    alone = plain_chat(probe, fields={"stream": True} if streams else None)
    beside = await ask_again(probe, at_address(alone, probe.tenant, Address.UNVERSIONED))
    if not is_answered(beside.response):
        return
    if streams:
        _fail_stream(probe, exchange, "a streamed chat of the conversation completes by the un-versioned address too")
    else:
        expect_completion(probe, exchange, "a chat of the conversation completes by the un-versioned address too")


def _fail_stream(probe: Probe, exchange: Exchange, expected: str) -> None:
    """Record a stream of the conversation in which no text can be read, where other streams have it."""
    response = probe.success(exchange, expected)
    if not is_empty(response):
        probe.fail(expected, f"HTTP {response.status} without a readable text", exchange, remedy=PASS_ON_WHOLE)
    elif not block_unfinished(probe, exchange, finish_reasons(response)):
        probe.fail(expected, f"{TRIES} streams without text", exchange, remedy=FIND_THE_TEXT, cause=EMPTY_STREAM)


async def _expect_streamed_elsewhere(probe: Probe, talk: Talk, conversation: str) -> None:
    """What plain chats know by the un-versioned address, streamed ones know, as at the versioned one."""
    asked = await ask_last(probe, talk, conversation)
    if asked is not None:
        said = said_by_model(probe)
        words = f"The name of the cooper is {in_stored_letters(said)}. {SAID_QUESTION}"
        told = at_address(plain_chat(probe, words, fields={"stream": True}), probe.tenant, Address.UNVERSIONED)
        await _expect_letters_kept(probe, asked.exchange, told, said, _STREAM_IN_UTF_8)
    if asked is None or asked.knows or talk.streamed is None or not talk.streamed.knows:
        return
    fact = talk.facts[0]
    question = chat_in(probe, conversation, QUESTION, stream=True)  # several at once may be too much for the model
    here = await ask_for(probe, at_address(question, probe.tenant, Address.UNVERSIONED), fact)
    if not here.answered:
        await _expect_answered_elsewhere(probe, here.exchange)
    if not here.answered or here.knows:
        return
    if (await ask_for(probe, question, fact)).knows:
        expected = f"a streamed chat in the conversation by the un-versioned address knows the code word ({fact})"
        found = f"{TRIES} streams without it, which plain chats there know, and streams at the versioned address"
        probe.fail(expected, found, here.exchange, remedy=READ_EVERYWHERE)


async def _ask_unversioned(probe: Probe, talk: Talk, conversation: str) -> Recalled | None:
    """The question by the un-versioned address, where clients chat and the header means the same."""
    if probe.parameters.keys or not talk.recalls:
        return None
    request = at_address(chat_in(probe, conversation, QUESTION), probe.tenant, Address.UNVERSIONED)
    return await ask_for(probe, request, talk.facts[0])


async def _say_elsewhere(probe: Probe) -> None:
    """Tell other facts: in chats without a conversation, and in a later conversation of the key.

    A tenant may go on in the key's last conversation, whatever a chat names.
    """
    await together((_say_in_later_conversation(probe), _say_in_messages(probe)))


async def _say_in_messages(probe: Probe) -> None:
    asked = _with_earlier_messages(probe)  # first the plain one: a cache of it is there for the other
    await ask_again(probe, asked.get(_PLAIN, asked[_STREAMED]))


async def _say_in_stream(probe: Probe) -> None:
    """The same streamed, once a conversation was told what no chat without the header may know."""
    await ask_again(probe, _with_earlier_messages(probe)[_STREAMED])


async def _say_in_later_conversation(probe: Probe) -> None:
    if probe.parameters.keys:
        return
    later = await open_conversation(probe, probe.credential, titled=False)
    if later.id is not None:
        told = await ask_again(probe, _with_a_tool(probe, later.id))
        if not is_answered(told.response):
            await ask_again(probe, chat_in(probe, later.id, _told_later(probe)))


def _told_later(probe: Probe) -> str:
    return f"Remember this: the name of the weaver is {fact_of(probe, _LATER)}."


def _with_a_tool(probe: Probe, conversation: str | None) -> Request:
    """What is told to a later conversation, with a question for which the model is to call a tool."""
    fields = {"tools": [TOOL], "tool_choice": "auto"}
    return plain_chat(probe, f"{_told_later(probe)} {TOOL_QUESTION}", conversation=conversation, fields=fields)


async def _expect_tools_passed_on(probe: Probe) -> None:
    """A chat in a conversation calls a tool, where the same chat without one calls it each time."""
    later = None if probe.parameters.keys else await open_conversation(probe, probe.credential, titled=False)
    if later is None or later.id is None:
        return
    there, alone = _with_a_tool(probe, later.id), _with_a_tool(probe, None)
    exchange = await ask_again(probe, there)

    async def anew(number: int) -> Request | None:
        """The same in a conversation in which the model gave no answer yet, since it may do as it did before."""
        new = await open_another(probe, there.fields["model"], number)
        return None if new is None else _with_a_tool(probe, new)

    if is_answered(exchange.response) and await never_does(probe, there, alone, has_calls, anew=anew):
        probe.fail(
            "tools reach the model in a chat of a conversation, as they do without one, where it calls them",
            f"no tool call in {TRIES} chats of a conversation, and one in each of {TRIES} without",
            exchange,
            remedy="Have the tenant pass tools and tool_choice on to the model in conversations, too.",
            cause="conversation:tools dropped",
        )


async def _expect_recall_there_alone(probe: Probe, talk: Talk, conversation: str) -> None:
    """One after the other: what the conversation's chat was answered must not be the answer to a chat without it."""
    try:
        await together((_expect_recall(probe, talk, conversation), _say_in_stream(probe)))
    finally:
        await _expect_stateless(probe, talk)
    if talk.streamed is not None and talk.streamed.knows and not probe.violations:
        await _expect_of_this_alone(probe, conversation)


def _expect_same_id(probe: Probe, talk: Talk, conversation: str) -> None:
    """No answer names another conversation; one that does ends the check, since what it knows is of the other."""
    for exchange in talk.exchanges[1:]:
        returned = exchange.response.header(CONVERSATION_HEADER) if exchange.response else None
        found = f"it became {shortened(returned or '', 60)}"
        probe.must(returned in {None, conversation}, "the conversation id stays the same", found, exchange)
        probe.stop_if_failed()


async def _expect_streamed(probe: Probe, talk: Talk) -> None:
    """A chat of the conversation that is to be streamed is, and to its end, if others are: else it is their finding."""
    exchange = talk.streamed.exchange if talk.streamed is not None and talk.streamed.answered else None
    if exchange is None or exchange.response is None or _is_streamed_whole(exchange.response):
        return
    try:
        await probe.require_like("chat.streams", conforming=True)
    except Blocked:
        return
    alone = (await ask_again(probe, plain_chat(probe, fields={"stream": True}))).response  # of this key, not a row's
    if alone is None or not _is_streamed_whole(alone):
        return
    if exchange.response.media_type == "application/json":
        probe.fail(
            "a chat of the conversation that is to be streamed comes as server-sent events",
            f"{describe(exchange.response)}, whole, where chats without a conversation stream",
            exchange,
            remedy="Have the tenant stream the answers of conversations as it streams others.",
            cause="conversation:whole streams",
        )
    else:
        probe.fail(
            "a streamed chat of the conversation shows that it is whole: a finish_reason, or [DONE]",
            "it ends with neither, where streams without a conversation have one",
            exchange,
            remedy="End the streams of conversations as the tenant ends others: with a finish_reason and [DONE].",
            cause="conversation:streams without an end",
        )


def _is_streamed_whole(response: Response) -> bool:
    """Whether it came as a stream, and shows its end."""
    stream = read_stream(response)
    return response.media_type != "application/json" and bool(stream.done_at is not None or stream.finish_reasons)


async def _expect_recall(probe: Probe, talk: Talk, conversation: str) -> None:
    """Each kind of chat reads what was stored, and is stored: what only streamed chats lack is a finding of theirs."""
    first, second = talk.facts
    if talk.streamed is None:
        raise ValueError("a conversation that knows something is asked for it")
    if talk.streamed.knows:
        remark_late(probe, "recalled the fact", talk.streamed.attempt, talk.streamed.exchange)
        plain = await _ask_plainly(probe, conversation, second)
    else:
        plain = talk.plain or talk.streamed
    if not plain.answered:
        expect_completion(probe, plain.exchange, "a later chat of the conversation completes")
    elif plain.knows:
        remark_late(probe, "recalled the fact", plain.attempt, plain.exchange)
    elif talk.recalls:  # then streamed chats do: what they told may be missing, or plain chats read nothing
        again = await ask_for(probe, chat_in(probe, conversation, QUESTION), first)
        if not again.knows:
            require_no_echo(probe, again.exchange)
            if await _knows_the_turn_before(probe, conversation):
                return
        fact = f"what a streamed one said ({second})" if again.knows else f"the code word ({first})"
        remedy = _STORE_STREAMS if again.knows else None
        probe.fail(f"a later chat knows {fact}", f"{TRIES} answers without it", plain.exchange, remedy=remedy)
    else:
        await require_ability(probe, Ability.RECALL)
        remedy, cause = (KEEP_HEADER, HEADER_LOST) if await _is_header_lost(probe) else (None, "")
        found = f"{TRIES} answers without it"
        probe.fail(f"a later chat knows the code word ({first})", found, plain.exchange, remedy=remedy, cause=cause)
    if plain.knows:
        told = f"The name of the pilot is {in_stored_letters(second)}. {SECOND_QUESTION}"
        await _expect_letters_kept(probe, plain.exchange, as_clients_ask(probe, question=told), second)
    if plain.knows and not talk.streamed.knows:
        await _expect_streamed_recall(probe, talk.streamed, first)


async def _knows_the_turn_before(probe: Probe, conversation: str, at: Address = Address.VERSIONED) -> bool:
    """Whether what a streamed chat says is known to the next one, by that address; then it is advised that more is not.

    No page says how many turns of a conversation a model is given.
    """
    fact = fact_of(probe, f"{_NEXT}, {at.value}")
    said = await ask_again(probe, chat_in(probe, conversation, f"{_NEXT_IS} {fact}. {_OK}", stream=True))
    asked = await ask_for(probe, at_address(chat_in(probe, conversation, _NEXT_QUESTION), probe.tenant, at), fact)
    if not is_answered(said.response) or not asked.knows:
        return False
    probe.advise("a chat of a conversation knows the turn before it, and not what was said some turns earlier", said)
    return True


async def _ask_plainly(probe: Probe, conversation: str, fact: str) -> Recalled:
    """What a streamed chat said, asked for in a plain one.

    First as it is asked without the conversation, since a cache may not look at the header.
    """
    asked = as_clients_ask(probe, conversation)
    exchange = await probe.send(asked)
    if exchange.response is not None and not exchange.response.succeeded:
        in_ascii = as_clients_ask(probe, conversation, EVERY_IN_ASCII)
        if await _expect_letters_stored(probe, exchange, in_ascii):
            asked = in_ascii
        elif exchange.response.refused:
            asked = plain_chat(probe, EVERY_IN_ASCII, conversation=conversation)
    plain = await ask_for(probe, asked, fact, tries=1)
    if plain.answered and not plain.knows:  # several questions at once may be too much for the model
        plain = await ask_for(probe, chat_in(probe, conversation, SECOND_QUESTION), fact)
        if plain.knows:
            await _expect_recall_as_asked(probe, conversation, fact)
    return plain


async def _expect_letters_stored(probe: Probe, exchange: Exchange, in_ascii: Request) -> bool:
    """Record letters at which a chat fails in a conversation alone; whether there are such.

    Letters that are not taken outside of a conversation either are the finding of another check.
    """
    there, outside = await probe.send_all([in_ascii, as_clients_ask(probe)])
    taken = [one.response is not None and one.response.succeeded for one in (there, outside)]
    if all(taken) and exchange.response is not None:
        probe.fail(
            "a chat of the conversation takes letters beyond ASCII, emoji too, as one without the header does",
            f"{describe(exchange.response)}; the same chat without such letters is answered",
            exchange,
            remedy=_STORE_IN_UTF_8,
            cause=LETTERS_STORED,
        )
    elif taken[1] and there.response is not None and there.response.refused:
        await _expect_plain_taken(probe, there)
    return all(taken)


async def _expect_letters_kept(
    probe: Probe, exchange: Exchange, told: Request, fact: str, remedy: str = _STORE_IN_UTF_8
) -> None:
    """Letters that the conversation was told come back as they were, where they do so in a chat without it.

    A model may leave them out: only what stands in their place shows that they are lost.
    """
    if not (found := spoilt_in(said_in(exchange.response))):
        return
    outside = await ask_again(probe, told)
    if spoilt_in(said := said_in(outside.response)):
        expect_unspoilt(probe, outside, said)
    elif names_fact(said, fact):
        probe.fail(
            "letters beyond ASCII come back from a conversation as they were sent to it",
            f"an accented word came as {found!r}, and as it was sent in a chat without the conversation",
            exchange,
            remedy=remedy,
            cause=LETTERS_STORED,
        )


async def _expect_plain_taken(probe: Probe, exchange: Exchange) -> None:
    """Record what clients send besides, where a chat in the conversation is refused for that alone."""
    conversation = dict(exchange.request.headers)[CONVERSATION_HEADER]
    plain = await ask_again(probe, chat_in(probe, conversation, SECOND_QUESTION))
    if is_answered(plain.response):
        probe.fail(
            "a chat of the conversation takes a system message, tools, a user and a temperature, as others do",
            describe(exchange.response) if exchange.response is not None else "no answer",
            exchange,
            remedy=_GO_ON,
            cause="conversation:fields",
        )


async def _expect_of_this_alone(probe: Probe, conversation: str) -> None:
    """The conversation knows nothing that was said in a later one of its key, or in a chat without the header.

    Two conversations of one id are the finding of another check.
    """
    exchange = await probe.send(as_clients_ask(probe, conversation))
    said, asked = said_in(exchange.response), [(_SAID_BEFORE, "a chat without the header")]
    if not probe.parameters.keys:
        later = await open_conversation(probe, probe.credential, titled=False)
        asked += [(_LATER, "another conversation")] if later.id != conversation else []
    for purpose, where in asked:
        expected = "a conversation knows what was said in it, and nothing else"
        found = f"it knows a code word of {where} of the same key"
        probe.must(not names_fact(said, fact_of(probe, purpose)), expected, found, exchange, remedy=_KEEP_APART)


async def _expect_recall_as_asked(probe: Probe, conversation: str, fact: str) -> None:
    """What plain chats know, those with what clients send besides know, if the model answers these where it is told.

    Where each of several does not, the tenant takes them out of their conversation.
    """
    asked = as_clients_ask(probe, conversation, SECOND_QUESTION)
    found = await ask_for(probe, asked, fact)
    if not found.answered or found.knows:
        return
    told = f"The name of the pilot is {fact}. {SECOND_QUESTION}"
    if (await ask_for(probe, as_clients_ask(probe, question=told), fact)).knows:
        probe.fail(
            f"a later chat with a system message and tools knows what a streamed one said ({fact})",
            f"{TRIES} answers without it, which chats without these know",
            found.exchange,
            remedy=_GO_ON,
        )


async def _is_header_lost(probe: Probe) -> bool:
    """Whether the tenant says so: an upload into the conversation is refused for want of the header."""
    if probe.tenant.read_only or probe.credential.may(Route.CONVERSATION_FILES) is False:
        return False
    exchange = (await upload_file(probe, probe.credential, Route.CONVERSATION_FILES)).exchange
    return exchange.response is not None and is_header_lost(exchange, exchange.response)


async def _expect_streamed_recall(probe: Probe, streamed: Recalled, fact: str) -> None:
    """What plain chats know, streamed ones know. That streams are broken is the finding of their own check.

    Where they are so in conversations alone, it is one here.
    """
    await probe.require_like("chat.streams", conforming=True)
    if streamed.answered:
        found = f"{TRIES} streams without it, which plain chats know"
        probe.fail(f"a streamed chat knows the code word ({fact})", found, streamed.exchange, remedy=_READ_IN_STREAMS)
        return
    _fail_stream(probe, streamed.exchange, "a streamed chat of the conversation completes")


async def _expect_stateless(probe: Probe, talk: Talk) -> None:
    """Without the header nothing is known of a conversation, nor of another chat without it, of the same user too."""
    request = as_clients_ask(probe)
    first, *streamed = await probe.send_all([request, *_as_clients_stream(probe, request)])
    if _is_refused(first):
        request = plain_chat(probe, EVERY_IN_ASCII)
        streamed = await probe.send_all(_as_clients_stream(probe, request))
    exchange, choice = await complete(probe, request, "the same question without the header completes")
    of_conversations = (*talk.facts, fact_of(probe, _LATER))
    if not probe.parameters.keys:  # by the versioned address: a stream whose own messages say another fact
        streamed.append(await ask_again(probe, _with_earlier_messages(probe)[_STREAMED]))
    said = [(exchange, text_in(choice["message"])), *((one, all_said(one.response)) for one in streamed)]
    for one, text in said:
        own = one.request == _with_earlier_messages(probe).get(_STREAMED)
        others = (*of_conversations, *(() if own else (fact_of(probe, _SAID_BEFORE),)))
        told = [fact for fact in others if names_fact(text, fact)]
        where = "a conversation" if any(fact in of_conversations for fact in told) else "another chat"
        how = "the chat" if one is exchange else "a streamed chat"
        found = f"it knows a code word of {where}"
        expected = f"without the header {how} is stateless"
        if expected not in {item.expected for item in probe.violations}:
            probe.must(not told, expected, found, one, remedy=_STAY_STATELESS)


def _as_clients_stream(probe: Probe, request: Request) -> list[Request]:
    """The same streamed, by the un-versioned address, as most clients chat; none in a run of some runbooks."""
    if probe.parameters.keys:
        return []
    return [at_address(requests.with_fields(request, {"stream": True}), probe.tenant, Address.UNVERSIONED)]


async def _expect_messages_read(probe: Probe, talk: Talk) -> None:
    """Without the header the messages of the request itself are all that was said: each of them reaches the model."""
    if not talk.recalls:
        return
    fact = fact_of(probe, _SAID_BEFORE)
    for kind, request in _with_earlier_messages(probe).items():
        asked = await ask_for(probe, request, fact)
        if _is_refused(asked.exchange) or (asked.answered and not asked.knows):
            asked = await ask_for(probe, requests.without_fields(request, BESIDES), fact)
        response = asked.exchange.response
        if kind == _PLAIN and response is not None and response.media_type == "text/event-stream":
            expect_completion(probe, asked.exchange, f"{kind} of several messages completes")
        if asked.answered and not asked.knows:
            require_no_echo(probe, asked.exchange)
            if kind == _STREAMED:
                await probe.require_like("chat.streams", conforming=True)
            expected = f"{kind} without the header knows what an earlier message of it says ({fact})"
            found = f"{TRIES} answers without it, though the same model recalls what is said in a conversation"
            probe.fail(expected, found, asked.exchange, remedy=PASS_ON_MESSAGES, cause=MESSAGES_LOST)
            return


_PLAIN, _STREAMED = "a chat", "a streamed chat"


def _with_earlier_messages(probe: Probe) -> dict[str, Request]:
    """Chats whose last message asks for what an earlier one says, by kind; in a run of some runbooks the streamed one.

    Most clients stream. Both have the same messages, so that a cache of one must not answer the other. They name a
    user, by whom no tenant may remember what was said, and have what else is sent where a conversation is asked.
    """
    told = f"Remember this: the name of the baker is {fact_of(probe, _SAID_BEFORE)}. {_OK}"
    said = [("user", told), ("assistant", "ok"), ("user", EVERY_QUESTION)]
    messages = [{"role": role, "content": content} for role, content in said]
    asked = {_STREAMED: plain_chat(probe, messages, fields={"stream": True, **BESIDES})}
    return asked if probe.parameters.keys else {_PLAIN: plain_chat(probe, messages, fields=BESIDES), **asked}


def _is_refused(exchange: Exchange) -> bool:
    return exchange.response is not None and exchange.response.refused


_GO_ON = "Have the tenant go on with the conversation of X-GT-Conversation-Id, whatever else a chat holds."
_KEEP_APART = "Have the tenant give the model what was said in the conversation that X-GT-Conversation-Id names alone."
_STAY_STATELESS = "Have the tenant answer chats without X-GT-Conversation-Id from what the request itself holds."
_READ_IN_STREAMS = "Have the tenant read X-GT-Conversation-Id in streamed chats too, and go on with that conversation."
_STORE_STREAMS = "Have the tenant store the turns of streamed chats in their conversation, as it does for plain ones."


async def _expect_nothing_elsewhere(probe: Probe, talk: Talk) -> None:
    """Under an unknown id, and in a stream under a malformed one, nothing is known of it; they should be refused."""
    asked = {
        "a chat under an unknown conversation id": plain_chat(probe, _ELSEWHERE, conversation=requests.MADE_UP_ID),
        "a streamed chat under a malformed conversation id": plain_chat(
            probe, _ELSEWHERE, conversation=requests.MALFORMED_ID, fields={"stream": True}
        ),
    }
    for what, exchange in zip(asked, await probe.send_each(list(asked.values())), strict=True):
        if isinstance(exchange, Blocked):
            probe.block_part(what, exchange)
            continue
        if any(names_fact(all_said(exchange.response), fact) for fact in (*talk.facts, fact_of(probe, _LATER))):
            expected, found = f"{what} goes on in no conversation", "it tells the code word of the key's conversation"
            probe.fail(expected, found, exchange, remedy=_NAMED_ALONE, cause="named by another id")
            continue
        refused = exchange.response is not None and exchange.response.refused
        came = describe_exchange(exchange)
        text = f"{what} should be refused with a 4xx, or the client takes it for the stored one: {came}"
        probe.should(refused, text, exchange)


READ_EVERYWHERE = "Have the tenant read X-GT-Conversation-Id at the un-versioned paths too, which clients call."
_NAMED_ALONE = "Have the tenant go on in the conversation that X-GT-Conversation-Id names exactly, and in no other."
