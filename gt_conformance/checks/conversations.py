"""GT conversations: opened, and carried on."""

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._chat_shape import completion
from gt_conformance.checks._holdings import id_of, opened
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._registry import check


@check(
    "conversation.create",
    claim="A conversation can be opened, and a chat carries it on.",
    remedy="Use a key with purpose conversation that is allowed the model, linked to an inference and an upload key.",
    source="GT API reference, Create a GT conversation; Conversation continuity header",
    creates=True,
)
async def create(probe: Probe) -> None:
    """2xx and an id, in the body or in X-GT-Conversation-Id; a following chat accepts it."""
    expected = "POST /v1/conversations gives 2xx and a conversation id"
    made = await opened(probe, probe.credential)
    conversation_id = id_of(probe, made, expected)
    request = requests.chat(probe.tenant, probe.credential.name, conversation=conversation_id)
    exchange = await probe.send(request)
    completion(probe, exchange, "a chat with the new X-GT-Conversation-Id completes")
