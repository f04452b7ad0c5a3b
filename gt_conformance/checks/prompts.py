"""Texts that the tenant puts before a chat on the server: base prompts, prompt modules, a key's additional text.

Nothing of them shows by itself. So the operator puts the answer to a question into such a text and names both in the
tenant file; where none is named, no row takes the check, and what the texts do is left to a person.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gt_conformance.checks._capability import (
    TRIES,
    Ability,
    Recalled,
    ask_for,
    fact_of,
    is_answered,
    remark_late,
    require_ability,
)
from gt_conformance.checks._check import Context, Parameters, check, gt_extension, native
from gt_conformance.checks._completion import plain_chat
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._resources import open_conversation
from gt_conformance.checks._surfaces import Address, at_address
from gt_conformance.checks._tools import TOOL
from gt_conformance.exchange import Exchange, Request
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

    So it does with a system message and tools of the client's own, by the un-versioned address, where that answers
    chats, with a raw model that the key may use, where the text is the key's, and in a conversation.
    A conversation key has the texts of the inference key that it is linked to.
    """
    await probe.require_route(Route.CHAT)
    await together(_expect_applied(probe, *one) for one in _markers(probe.tenant, probe.credential))


@dataclass(frozen=True)
class _Form:
    """A kind of chat, in words, and how it asks; the ``plainer`` ones tell which part of it the text does not reach."""

    words: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    system: str = ""
    address: Address = Address.VERSIONED
    conversation: str | None = None
    plainer: "tuple[_Form, ...]" = ()

    @property
    def is_special(self) -> bool:
        """Whether the model itself may be another one in it, or does something else than answer."""
        return bool(self.system or self.fields.keys() - {"stream"})

    @property
    def kind(self) -> tuple[object, ...]:
        """What it is, by whichever address; plain chats are apart."""
        return (self.fields, self.system, self.conversation) if self.fields or self.system else (self.words,)

    def request(self, probe: Probe, ask: str, system: str = "") -> Request:
        """The question in this form, or with another system message."""
        said = [("system", system or self.system), ("user", ask)]
        messages = [{"role": role, "content": content} for role, content in said if content]
        request = plain_chat(probe, messages, conversation=self.conversation, fields=self.fields)
        return at_address(request, probe.tenant, self.address)


_STREAM = {"stream": True}
_OWN_SYSTEM, _TOOLS = "You answer in a few words.", {"tools": [TOOL]}
_PLAIN = _Form("a chat")
_STREAMED = _Form(
    "a streamed chat with a system message of its own",
    _STREAM,
    _OWN_SYSTEM,
    plainer=(_Form("a streamed chat", _STREAM), _Form("a chat with a system message of its own", {}, _OWN_SYSTEM)),
)
_UNVERSIONED = _Form(
    "a streamed chat with tools by the un-versioned address",
    {**_STREAM, **_TOOLS},
    address=Address.UNVERSIONED,
    plainer=(
        _Form("a chat by the un-versioned address", address=Address.UNVERSIONED),
        _Form("a streamed chat by the un-versioned address", _STREAM, address=Address.UNVERSIONED),
        _Form("a chat with tools", _TOOLS),
    ),
)


async def _other_forms(probe: Probe, name: str, ask: str) -> AsyncIterator[_Form]:
    """Those that this tenant and key have: what does not answer at all is the finding of other checks."""
    unversioned = [_UNVERSIONED, *_UNVERSIONED.plainer[:1]]
    key, raw = probe.credential, next(filter(probe.credential.may_use, probe.tenant.raw_models), None)
    own = [_Form(f"a chat with the raw model {raw}", {"model": raw})] if raw and name != "base_prompts" else []
    if key.holds_conversations and not probe.tenant.read_only and not probe.parameters.keys:
        opened = (await open_conversation(probe, key)).id
        own += [_Form("a chat in a conversation", conversation=opened)] if opened else []
    for forms in (unversioned, *([one] for one in own)):
        for form in forms:
            if is_answered((await probe.send(form.request(probe, ask))).response):
                yield form
                break


async def _expect_applied(probe: Probe, text: str, name: str, marker: Marker) -> None:
    async def ask(forms: Sequence[_Form]) -> list[tuple[_Form, Recalled]]:
        told = await together(ask_for(probe, form.request(probe, marker.ask), marker.expect) for form in forms)
        return list(zip(forms, told, strict=True))

    found = await ask([_PLAIN, _STREAMED])
    plain, streamed = (asked for _, asked in found)
    lacking: list[tuple[object, ...]] = []
    if plain.knows or streamed.knows:  # else it is nowhere: that is one finding
        found += await ask([form async for form in _other_forms(probe, name, marker.ask)])
    for form, asked in found:
        if asked.knows:
            remark_late(probe, "gave the marker", asked.attempt, asked.exchange)
            continue
        if not asked.answered:  # why it is none is the finding of the chat or of the stream
            await probe.require_like("chat.streams" if form is _STREAMED else "chat.completes", conforming=True)
        elif not plain.knows and not streamed.knows:
            await require_ability(probe, Ability.RECALL)
        narrowed, exchange = await _narrow(probe, form, asked.exchange, marker)
        if narrowed.kind in lacking:
            continue  # so it is by the versioned address
        lacking.append(narrowed.kind)
        if narrowed.is_special and not await _can_tell(probe, narrowed):
            continue
        probe.fail(
            f"{narrowed.words} is answered as {text} says: {marker.expect!r}",
            f"{TRIES} answers without it" if asked.answered else "no readable answer",
            exchange,
            remedy=f"Have the tenant apply {text} to chats, whatever comes with them, streamed ones too; where the "
            f"text itself does not answer the question, correct {name} in the tenant file.",
            cause=f"prompts:{name}",
        )


async def _narrow(probe: Probe, form: _Form, exchange: Exchange, marker: Marker) -> tuple[_Form, Exchange]:
    """The plainest of its forms that the text does not reach either, with the exchange that shows it."""
    for plainer in form.plainer:
        asked = await ask_for(probe, plainer.request(probe, marker.ask), marker.expect)
        if not asked.knows:
            return plainer, asked.exchange
    return form, exchange


async def _can_tell(probe: Probe, form: _Form) -> bool:
    """Whether the model answers in this form what a system message of the client's says."""
    fact = fact_of(probe, "miller")
    told = form.request(probe, "What is the name of the miller?", f'The name of the miller is "{fact}".')
    return (await ask_for(probe, told, fact)).knows
