"""GT conversations: opened, and carried on."""

import secrets

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._chat_shape import completes, completion, text_of
from gt_conformance.checks._holdings import id_of, opened, uploaded
from gt_conformance.checks._probe import Probe, said
from gt_conformance.checks._registry import check
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Request, shortened
from gt_conformance.vocabulary import CONVERSATION_HEADER, Route

_OPENED = "POST /v1/conversations gives 2xx and a conversation id"
_QUESTION = "What is the code word that I told you?"
_TRIES = 3
_COLOURS = ("amber", "cobalt", "crimson", "indigo", "ochre", "teal", "umber", "viridian")


@check(
    "conversation.create",
    claim="A conversation can be opened, and a chat carries it on.",
    remedy="Use a key with purpose conversation that is allowed the model, linked to an inference and an upload key.",
    source="GT API reference, Create a GT conversation; Conversation continuity header",
    creates=True,
)
async def create(probe: Probe) -> None:
    """2xx and an id, in the body or in X-GT-Conversation-Id; a following chat accepts it."""
    conversation_id = id_of(probe, await opened(probe, probe.credential), _OPENED)
    request = requests.chat(probe.tenant, probe.credential.name, conversation=conversation_id)
    exchange = await probe.send(request)
    if not completes(probe, exchange):
        await _chat_works(probe)
    completion(probe, exchange, "a chat with the new X-GT-Conversation-Id completes")


@check(
    "conversation.continuity",
    claim="A conversation carries on: what was said in one turn is known in the next.",
    remedy="Have the tenant store the turns of a conversation and give them to the model under X-GT-Conversation-Id.",
    source="GT API reference, Run a chat completion; Conversation continuity header",
    creates=True,
)
async def continuity(probe: Probe) -> None:
    """A fact of the first chat is known to the second under the same id, and not without the header."""
    conversation_id = id_of(probe, await opened(probe, probe.credential), _OPENED)
    fact = f"{secrets.choice(_COLOURS)}-{secrets.token_hex(2)}"
    told = await probe.send(
        _turn(probe, f"Remember this: the code word is {fact}. Reply with the word ok.", conversation_id)
    )
    completion(probe, told, "the first chat of the conversation completes")
    returned = told.response.header(CONVERSATION_HEADER) if told.response else None
    probe.must(
        returned in {None, conversation_id},
        "the conversation id stays the same",
        f"it became {shortened(returned or '', 60)}",
        told,
    )
    probe.stop_if_failed()
    await _recalls(probe, fact, conversation_id)
    alone = await probe.send(_turn(probe, _QUESTION, None))
    answer = text_of(completion(probe, alone, "the same question without the header completes")["message"])
    knows = _knows(answer, fact)
    probe.must(not knows, "without the header the chat is stateless", "it knows the code word as well", alone)


async def _recalls(probe: Probe, fact: str, conversation_id: str) -> None:
    # What hangs on a model's words may be asked three times; each try is an exchange of its own.
    asked: Exchange | None = None
    for number in range(1, _TRIES + 1):
        asked = await probe.send(_turn(probe, _QUESTION, conversation_id), again=number)
        answer = text_of(completion(probe, asked, "the second chat of the conversation completes")["message"])
        if _knows(answer, fact):
            if number > 1:
                probe.advise(f"the model recalled the fact at attempt {number} only", asked)
            return
    probe.fail(f"the second chat knows the code word ({fact})", f"{_TRIES} answers without it", asked)


def _knows(answer: str, fact: str) -> bool:
    # A model may begin its sentence with the word, and write the hyphen as it likes.
    return all(part in answer.lower() for part in fact.split("-"))


@check(
    "conversation.same_key",
    claim="One key opens a conversation, chats in it and uploads to it.",
    remedy="Link the conversation key to an inference key and an upload key that allows conversation uploads.",
    source="GT API keys and access, Key purposes: conversation",
    creates=True,
)
async def same_key(probe: Probe) -> None:
    """The same credential creates, chats and uploads."""
    key = probe.credential
    conversation_id = id_of(probe, await opened(probe, key), _OPENED)
    chat = await probe.send(requests.chat(probe.tenant, key.name, conversation=conversation_id))
    completion(probe, chat, "the key that opened the conversation chats in it")
    made = await uploaded(probe, key, Route.CONVERSATION_FILES)
    id_of(probe, made, "the key that opened the conversation uploads to it: 2xx and a file id")


async def _chat_works(probe: Probe) -> None:
    # Where chat fails without a conversation as well, that is a finding of the chat rows: nothing was told of the id.
    plain = await probe.send(requests.chat(probe.tenant, probe.credential.name))
    if not completes(probe, plain):
        raise Blocked(
            "whether a chat takes the new conversation id could not be told: chat fails without one as well "
            f"({said(plain.response) if plain.response else 'no answer'})",
            "Mend chat completions for this key first; then run again.",
        )


def _turn(probe: Probe, text: str, conversation_id: str | None) -> Request:
    return requests.chat(probe.tenant, probe.credential.name, text, conversation=conversation_id)
