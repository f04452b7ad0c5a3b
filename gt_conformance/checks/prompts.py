"""Texts that the tenant puts before a chat on the server: base prompts, prompt modules, a key's additional text.

Nothing of them shows by itself. So the operator puts the answer to a question into such a text and names both in the
tenant file; where none is named, no row takes the check, and what the texts do is left to a person.
"""

from collections.abc import Iterable, Iterator

from gt_conformance.checks._capability import TRIES, Ability, ask_for, is_answered, remark_late, require_ability
from gt_conformance.checks._check import Context, Parameters, check, gt_extension, native
from gt_conformance.checks._completion import plain_chat
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._surfaces import Address, at_address
from gt_conformance.tenant import Credential, Marker, Tenant
from gt_conformance.together import together
from gt_conformance.vocabulary import Actor, Modality, Route, Severity


def _where_chats_are_marked(context: Context) -> Iterable[Parameters]:
    return _where_marked(context.tenant, context.choice.inference.get(Route.CHAT))


def _where_inherited_texts_are_marked(context: Context) -> Iterable[Parameters]:
    key = context.choice.extension.get(Route.CONVERSATION_FILES)
    return _where_marked(context.tenant, key) if key is not None and key.inherits else ()


def _where_marked(tenant: Tenant, key: Credential | None) -> Iterable[Parameters]:
    return (Parameters(),) if key is not None and any(_markers(tenant, key)) else ()


def _markers(tenant: Tenant, key: Credential) -> Iterator[tuple[str, str, Marker]]:
    """What the tenant puts before a chat of the key, as far as the tenant file marks it: in words, and its name."""
    alias = tenant.model(Modality.CHAT)
    marked = {
        f"the base prompt of {alias}": ("base_prompts", tenant.base_prompts.get(alias)),
        f"the prompt modules of the key {key.name}": ("prompt_modules", key.prompt_modules),
        f"the additional prompt text of the key {key.name}": ("prompt_text", key.prompt_text),
    }
    for text, (name, marker) in marked.items():
        if marker is not None:
            yield text, name, marker


@check(
    "prompts.applied",
    claim="The texts that the operator puts before chats are applied: base prompt, prompt modules, additional text.",
    remedy="Have the tenant apply base prompts, prompt modules and additional prompt text to every chat on the server.",
    source="GT API reference, Bearer authentication; GT API reference, Run a chat completion; "
    "GT API keys and access, Prompt policy on inference keys",
    clauses=("K7", "K8", "K9", "K10", "A2"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("chat.completes",),
    rows=(
        native(Route.CHAT, parameters=_where_chats_are_marked),
        gt_extension(Route.CONVERSATION_FILES, parameters=_where_inherited_texts_are_marked),
    ),
)
async def applied(probe: Probe) -> None:
    """The question that the tenant file names gets the answer that only the text can give, plain and streamed.

    So it does by the un-versioned address, where that answers chats.
    A conversation key has the texts of the inference key that it is linked to.
    """
    await probe.require_route(Route.CHAT)
    await together(_expect_applied(probe, *one) for one in _markers(probe.tenant, probe.credential))


_FORMS = ("a chat", "a streamed chat", "a chat by the un-versioned address")


async def _expect_applied(probe: Probe, text: str, name: str, marker: Marker) -> None:
    requests = [plain_chat(probe, marker.ask, fields=fields) for fields in (None, {"stream": True})]
    elsewhere = at_address(requests[0], probe.tenant, Address.UNVERSIONED)
    there = (await probe.send(elsewhere)).response
    if is_answered(there):  # else base_url.joins finds out what comes there
        requests.append(elsewhere)
    plain, streamed, *others = await together(ask_for(probe, request, marker.expect) for request in requests)
    if others and not plain.knows and not streamed.knows:
        others = []  # it is nowhere: that is one finding
    for asked, how in zip((plain, streamed, *others), _FORMS, strict=False):
        if asked.knows:
            remark_late(probe, "gave the marker", asked.attempt, asked.exchange)
            continue
        if not asked.answered:  # why it is none is the finding of the chat or of the stream
            await probe.require_like("chat.streams" if asked is streamed else "chat.completes", conforming=True)
        elif not plain.knows and not streamed.knows:
            await require_ability(probe, Ability.RECALL)
        probe.fail(
            f"{how} is answered as {text} says: {marker.expect!r}",
            f"{TRIES} answers without it" if asked.answered else "no readable answer",
            asked.exchange,
            remedy=f"Have the tenant apply {text} to chats, streamed ones too; where the text itself does not answer "
            f"the question, correct {name} in the tenant file.",
            cause=f"prompts:{name}",
        )
