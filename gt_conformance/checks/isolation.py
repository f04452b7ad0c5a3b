"""Conversations are kept from other keys: these neither read nor continue them."""

from collections.abc import Iterable

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._capability import (
    Ability,
    complete,
    fact_of,
    names_fact,
    require_ability,
    said_in,
)
from gt_conformance.checks._check import (
    NarrowestKey,
    check,
    gt_extension,
)
from gt_conformance.checks._completion import text_in
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._refusal import expect_refusal
from gt_conformance.checks._resources import (
    KEEP_FROM_OTHERS,
    OPENED,
    READ_BY_OTHERS,
    expect_id,
)
from gt_conformance.checks._surfaces import (
    ABSENT,
    AUTHENTICATE,
    NO_IDS,
    WITHOUT_A_KEY,
    Address,
    Tried,
    hole,
    is_explained,
    is_redirect,
    surface_of,
)
from gt_conformance.checks._talk import (
    PLANTED,
    PLANTED_QUESTION,
    Try,
    all_said,
    ask_last,
    hold_talk,
    strangers_to,
    tries_of,
)
from gt_conformance.checks._wording import (
    describe,
)
from gt_conformance.checks._words import say_word
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Presentation, Response
from gt_conformance.together import together
from gt_conformance.vocabulary import Actor, Modality, Route, Severity

_FAILS = 500


@check(
    "conversation.isolated",
    claim="Another key's conversation is neither read nor continued in a chat.",
    remedy=KEEP_FROM_OTHERS,
    source="GT API reference, Conversation continuity header",
    clauses=("A9", "A2"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    rows=gt_extension(Route.CONVERSATION_FILES),
    tenant_wide=NarrowestKey(
        "that opens conversations and may chat",
        lambda tenant, key: key.holds_conversations and tenant.may_use(key, Modality.CHAT) is not False,
        "Add a live key with purpose conversation, linked to an inference and an upload key, to the tenant file.",
    ),
    by_surface=True,
    creates=True,
)
async def isolated(probe: Probe) -> None:
    """A code word of one key's conversation is not told to other keys that name it, plain, streamed, un-versioned.

    Nor does what they say there come back: the conversation's own key does not hear it. The own key is asked first: a
    model that cannot recall shows nothing. A run of some runbooks tries one stranger, of its own keys where it has one,
    in plain chats.
    """
    key, strangers = probe.credential, strangers_to(probe)
    if not strangers:
        raise Blocked(
            f"no other live key that may chat, unlinked to {key.name}, is there to try its conversation with",
            "Add another live key with purpose conversation, or inference, to the tenant file.",
        )
    await together(probe.require_route(route) for route in (Route.CONVERSATION_FILES, Route.CHAT))
    talk = await hold_talk(probe)
    conversation = expect_id(probe, talk.opened, OPENED)
    if not talk.recalls:
        await probe.require_like("conversation.continuity", conforming=True)
        await require_ability(probe, Ability.RECALL)
        raise Blocked(
            f"the key {key.name} does not hear the code word of its own conversation: nothing shows who else does",
            "Fix the continuity of conversations first (conversation.continuity), then run again.",
        )
    planted = fact_of(probe, PLANTED)
    tries = list(tries_of(probe, strangers, conversation, talk.facts, planted))
    answered, exchanges = False, await probe.send_all([one.request for one in tries])
    tried = list(zip(tries, exchanges, strict=True))
    told = {one: await _is_told_to_anybody(probe, exchange, one) for one, exchange in tried}
    at = Address.VERSIONED if any(told[one] and one.address is Address.VERSIONED for one in tries) else None
    for one, exchange in tried:
        if told[one]:
            await _record_told(probe, exchange, one, at or one.address)
        else:
            answered |= await _is_answered_without(probe, exchange, one)
    is_told = any(told.values())
    # Who reads it also continues it: that is one hole. What is refused may have been stored before it was.
    if not (probe.violations or is_told) and (answered or not probe.parameters.keys):
        last = await ask_last(probe, talk, conversation)
        if last is not None and last.knows:
            exchange, said = last.exchange, said_in(last.exchange.response)
        else:
            asked = requests.chat(probe.tenant, key.name, PLANTED_QUESTION, conversation=conversation)
            exchange, own = await complete(probe, asked)
            said = text_in(own["message"])
        probe.must(
            not names_fact(said, planted),
            "what another key says does not reach the conversation",
            "the conversation knows what another key said in it",
            exchange,
            cause="conversation:continued by others",
        )


async def _is_told_to_anybody(probe: Probe, exchange: Exchange, tried: Try) -> bool:
    """Whether it is told to a stranger, and without a key as well."""
    if not _tells(exchange.response, tried.facts):
        return False
    anybody = requests.present(tried.request, Presentation.NONE, None)
    return _tells((await probe.send(anybody)).response, tried.facts)


async def _record_told(probe: Probe, exchange: Exchange, tried: Try, at: Address) -> None:
    """What is told to anybody: where chats need no key, that hole explains it; else this is such a hole itself."""
    surface = surface_of("chat_stream" if tried.request.fields.get("stream") else "chat")
    if not await is_explained(probe, Tried(surface, tried.address, exchange), tried.what, NO_IDS):
        expected, found = f"{tried.what} does not know what was said there", "it tells the code word, as to anybody"
        probe.fail(expected, found, exchange, remedy=AUTHENTICATE, cause=hole(at, WITHOUT_A_KEY))


def _tells(response: Response | None, facts: Iterable[str]) -> bool:
    return any(names_fact(all_said(response), fact) for fact in facts)


async def _is_answered_without(probe: Probe, exchange: Exchange, tried: Try) -> bool:
    """Whether a stranger's chat in the conversation was answered at all; that it tells the code word is a violation."""
    if tried.beside and not (exchange.response is not None and exchange.response.succeeded):
        return False
    response = probe.answer_or_refusal(exchange, f"{tried.what} is refused, or knows nothing of it")
    if not response.succeeded:
        is_absent = response.status in ABSENT or is_redirect(response)
        if response.status >= _FAILS and await _fails_anywhere(probe, exchange):
            return False
        if tried.address is Address.VERSIONED or not is_absent:
            expect_refusal(probe, exchange, tried.what, statuses=range(400, 500), reasoned=False)
        return False
    told = _tells(response, tried.facts)
    expected = f"{tried.what} does not know what was said there"
    found = "it tells the code word of the conversation"
    probe.must(not told, expected, found, exchange, cause=READ_BY_OTHERS)
    return True


async def _fails_anywhere(probe: Probe, exchange: Exchange) -> bool:
    """Record a stranger's chats that fail without a conversation as well: then that is no way of refusing it."""
    key, model = exchange.request.key, exchange.request.fields.get("model")
    plain = await probe.send(requests.chat(probe.tenant, key, say_word(probe.run_id, key), model=model))
    response = plain.response
    if response is None or response.status < _FAILS:
        return False
    probe.fail(
        f"a chat of the key {key} with {model} completes, or is refused with a 4xx",
        f"{describe(response)}, in a conversation or not",
        plain,
        remedy=f"Check the model behind {model}, and that the chats of the key {key} reach it.",
        cause=f"refusal:{response.status}",  # what else fails so with this key or name is the same
    )
    return True
