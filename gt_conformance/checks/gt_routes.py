"""Conversations: a key opens one, chats in it, and uploads to it."""

from gt_conformance.checks._capability import (
    ISOLATION,
    PLANTED,
    QUESTION,
    TRIES,
    Ability,
    complete,
    fact_of,
    names_fact,
    remark_late,
    require_ability,
    tell,
)
from gt_conformance.checks._check import (
    Items,
    RunbookKey,
    check,
    gt_extension,
)
from gt_conformance.checks._completion import plain_chat, text_in
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._resources import (
    OPENED,
    expect_id,
    open_conversation,
    upload_file,
)
from gt_conformance.checks.names import require_published
from gt_conformance.exchange import Exchange, shortened
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Fact, Modality, Route, Severity


@check(
    "conversation.create",
    claim="A conversation can be opened, and a chat carries it on.",
    remedy="Use a key with purpose conversation that is allowed the model, linked to an inference and an upload key.",
    source="GT API reference, Create a GT conversation; GT API keys and access, Key purposes",
    clauses=("V1", "V3", "V4", "K3"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.CONVERSATION_FILES,
    rows=gt_extension(Route.CONVERSATION_FILES),
    shows=(Fact.CONVERSATION_KEY,),
    creates=True,
)
async def create(probe: Probe) -> None:
    """2xx and an id, in the body or in X-GT-Conversation-Id; a following chat accepts it."""
    opened = await open_conversation(probe, probe.credential)
    if probe.parameters.minimal:
        await require_published(probe, opened.exchange, Modality.CHAT)
    conversation_id = expect_id(probe, opened, OPENED)
    if probe.parameters.minimal:
        return
    # Where chat fails without a conversation as well, that says nothing of the id.
    await probe.require_route(Route.CHAT)
    await complete(
        probe, plain_chat(probe, conversation=conversation_id), "a chat with the new X-GT-Conversation-Id completes"
    )


@check(
    "conversation.continuity",
    claim="A conversation continues: the next turn knows what the user wrote in the turn before.",
    remedy="Have the tenant store the turns of a conversation and give them to the model under X-GT-Conversation-Id.",
    source="GT API reference, Run a chat completion; GT API reference, Conversation continuity header",
    clauses=("C3", "C5"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("conversation.create",),
    items=Items(RunbookKey(Route.CONVERSATION_FILES)),
    creates=True,
)
async def continuity(probe: Probe) -> None:
    """A fact of the first chat is known to the second under the same id, and not without the header."""
    await probe.require_route(Route.CHAT)
    conversation_id = expect_id(probe, await open_conversation(probe, probe.credential), OPENED)
    fact = fact_of(probe, "continuity")
    first, _ = await complete(
        probe,
        plain_chat(probe, tell(fact), conversation=conversation_id),
        "the first chat of the conversation completes",
    )
    returned = first.response.header(CONVERSATION_HEADER) if first.response else None
    probe.must(
        returned in {None, conversation_id},
        "the conversation id stays the same",
        f"it became {shortened(returned or '', 60)}",
        first,
    )
    probe.stop_if_failed()
    await _expect_recall(probe, fact, conversation_id)
    alone, choice = await complete(probe, plain_chat(probe, QUESTION), "the same question without the header completes")
    # A tenant may go on in the key's last conversation, which need not be this one.
    told = (fact, fact_of(probe, ISOLATION), fact_of(probe, PLANTED))
    knows = any(names_fact(text_in(choice["message"]), one) for one in told)
    probe.must(not knows, "without the header the chat is stateless", "it knows a code word of a conversation", alone)


async def _expect_recall(probe: Probe, fact: str, conversation_id: str) -> None:
    """The model is asked several times; where it never knows, it is the tenant that forgets if the model can recall."""
    asked: Exchange | None = None
    for number in range(TRIES):
        asked, choice = await complete(
            probe,
            plain_chat(probe, QUESTION, conversation=conversation_id),
            "the second chat of the conversation completes",
            first=number * TRIES,
        )
        probe.stop_if_failed()
        if names_fact(text_in(choice["message"]), fact):
            remark_late(probe, "recalled the fact", number, asked)
            return
    await require_ability(probe, Ability.RECALL)
    probe.fail(f"the second chat knows the code word ({fact})", f"{TRIES} answers without it", asked)


@check(
    "conversation.same_key",
    claim="One key opens a conversation, chats in it and uploads to it.",
    remedy="Link the conversation key to an inference key and an upload key that allows conversation uploads.",
    source="GT API keys and access, Key purposes",
    clauses=("K3", "K5"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("conversation.create",),
    items=Items(RunbookKey(Route.CONVERSATION_FILES)),
    creates=True,
)
async def same_key(probe: Probe) -> None:
    """The same credential creates, chats and uploads."""
    await probe.require_route(Route.CHAT)
    key = probe.credential
    conversation_id = expect_id(probe, await open_conversation(probe, key), OPENED)
    await complete(
        probe, plain_chat(probe, conversation=conversation_id), "the key that opened the conversation chats in it"
    )
    made = await upload_file(probe, key, Route.CONVERSATION_FILES)
    expect_id(probe, made, "the key that opened the conversation uploads to it: 2xx and a file id")
