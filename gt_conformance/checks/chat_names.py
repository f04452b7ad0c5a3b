"""Names in chats: an answer says a published name of the key, and raw models work as aliases do."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._capability import (
    ask_again,
    finish_reasons,
    is_answered,
    is_empty,
)
from gt_conformance.checks._check import Context, Parameters, check, native, plainest
from gt_conformance.checks._completion import (
    block_unfinished,
    chat_request,
    errors_in,
    expect_completion,
    plain_chat,
    shape_of,
    stream_request,
    whole_stream,
)
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._surfaces import NO_IDS, Address, Tried, at_address, is_explained, surface_of
from gt_conformance.checks._wording import describe
from gt_conformance.checks._words import say_word
from gt_conformance.checks.models import ids_in, is_unknown, listed_to_others, published_names, shown, unpublished_in
from gt_conformance.exchange import Exchange, NotJson, Request, parse_json, shortened
from gt_conformance.vocabulary import Actor, Route, Severity

_PUBLISHED = "the model named in the answer is a published name of the key"


def _plain_shapes(context: Context) -> Iterator[Parameters]:
    """In each client's own shape."""
    for profile in (client.chat for client in context.clients):
        yield shape_of(profile)


def _streamed_shapes(context: Context) -> Iterator[Parameters]:
    """The same, streamed, of the clients that stream."""
    for profile in (client.chat for client in context.clients if client.chat.stream != "never"):
        yield replace(shape_of(profile), stream=True, stream_usage=profile.stream_usage == "always")


@check(
    "chat.model_is_published",
    claim="Answers name a published model, never a provider's or an internal one.",
    remedy="Have the tenant put the published name into `model` of every answer and stream chunk.",
    source="GT API reference, Run a chat completion",
    clauses=("C2",),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("chat.completes",),
    rows=(
        native(Route.CHAT, parameters=plainest),
        native(Route.CHAT, parameters=_plain_shapes, any_key=True),
        native(Route.CHAT, parameters=_streamed_shapes, any_key=True),
    ),
)
async def model_is_published(probe: Probe) -> None:
    """`model` in the answer, and in every chunk of the stream where the client streams, is on the key's allowlist."""
    if probe.parameters.stream:
        await probe.require_like("chat.streams")
        exchange = await probe.send(stream_request(probe))
        named = _models_streamed(probe, exchange)
    else:
        exchange = await probe.send(chat_request(probe))
        response = probe.success(exchange, _PUBLISHED)
        named = _models_in(probe.parsed(exchange, response, _PUBLISHED))
    await _expect_published(probe, dict.fromkeys(named, exchange))


async def _expect_published(probe: Probe, named: Mapping[str, Exchange]) -> None:
    """Each name in an answer is one that the key may see."""
    published = await published_names(probe)
    for name in sorted(named.keys() - published):
        internal = name in probe.tenant.unpublished_models
        expected = f"{_PUBLISHED}: {', '.join(sorted(published))}"
        cause = shown(name) if internal else unpublished_in(Route.CHAT)
        probe.fail(expected, f"model is {name!r}", named[name], cause=cause)


def _models_in(body: Any) -> set[str]:
    model = body.get("model") if isinstance(body, dict) else None
    # An empty name, as some gateways put into a stream's first chunk, names nobody.
    return {model} if isinstance(model, str) and model else set()


def _models_streamed(probe: Probe, exchange: Exchange) -> set[str]:
    found: set[str] = set()
    for event in whole_stream(probe, exchange, _PUBLISHED).events:
        with suppress(NotJson):
            found |= _models_in(parse_json(event.data))
    return found


def _where_raw_models_are_allowed(context: Context) -> Iterator[Parameters]:
    key = context.choice.inference.get(Route.CHAT)
    if key is not None and any(key.may_use(name) for name in context.tenant.raw_models):
        yield Parameters()


@check(
    "chat.raw_model",
    claim="A published raw-model name works as model, as an alias does.",
    remedy="Have the tenant resolve the raw-model names of its catalog in chats of the keys that are allowed them.",
    source="GT API reference, Run a chat completion",
    clauses=("M6", "C2"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("chat.completes",),
    rows=native(Route.CHAT, parameters=_where_raw_models_are_allowed),
)
async def raw_model(probe: Probe) -> None:
    """A chat completes with each name that the tenant file calls a raw model and allows the key.

    The first of them in a stream as well, and by the un-versioned address, where an alias is answered there.

    One that the tenant does not list to the key is mistyped, or not published: that is the operator's to correct.
    """
    key, published = probe.credential, []
    for name in filter(key.may_use, probe.tenant.raw_models):
        request = _raw_chat(probe, name)
        exchange = await ask_again(probe, request)
        response = exchange.response
        if response is not None and response.refused:
            listed = ids_in(await probe.send(requests.get(probe.tenant, Route.MODELS.path, key.name)))
            if name not in listed:
                if name in await listed_to_others(probe) and await is_unknown(probe, key, name, ()):
                    continue  # the key is another than the one that is declared
                probe.block(
                    f"the raw model {name} is not among the names that the tenant lists to the key {key.name}",
                    f"Correct raw_models in {probe.tenant.source}, or have the name published to the key.",
                    cause=f"name {name}",
                )
                continue
        published.append(name)
        expect_completion(probe, exchange, f"a chat with the raw model {name} completes")
        named = _models_in(response.json()) if response is not None else set()
        await _expect_asked_for(probe, name, dict.fromkeys(named, exchange))
    if published and not probe.violations:
        await _expect_raw_elsewhere(probe, published[0])


async def _expect_asked_for(probe: Probe, name: str, named: Mapping[str, Exchange]) -> None:
    """The answer names a published name: the one that was asked for, or who reads it takes it for another model's."""
    await _expect_published(probe, named)
    for other, exchange in named.items():
        said = f"a chat with {name} should say that name as model: {shortened(other, 60)!r}"
        probe.should(other == name or probe.violations, said, exchange)


def _raw_chat(probe: Probe, name: str, **fields: Any) -> Request:
    key = probe.credential.name
    return requests.chat(probe.tenant, key, say_word(probe.run_id, key), model=name, fields=fields)


async def _expect_raw_elsewhere(probe: Probe, name: str) -> None:
    """What completes in one piece completes in a stream, and where clients call, if it does with an alias.

    Both are asked at once, as most clients do; apart where that is not answered.
    """
    both = at_address(_raw_chat(probe, name, stream=True), probe.tenant, Address.UNVERSIONED)
    streamed = await ask_again(probe, both)
    if not is_answered(streamed.response):
        streamed = await ask_again(probe, _raw_chat(probe, name, stream=True))
        if is_answered(streamed.response):
            await _expect_raw_unversioned(probe, name)
    if not is_answered(streamed.response):
        await probe.require_like("chat.streams", conforming=True)
        _fail_raw(probe, streamed, f"a streamed chat with the raw model {name} completes")
    else:
        await _expect_asked_for(probe, name, dict.fromkeys(_models_streamed(probe, streamed), streamed))


async def _expect_raw_unversioned(probe: Probe, name: str) -> None:
    """The un-versioned address takes the raw model in plain chats and in streams where it takes an alias so."""
    for fields in ({}, {"stream": True}):
        asked = (_raw_chat(probe, name, **fields), plain_chat(probe, fields=fields))
        raw, plain = (at_address(request, probe.tenant, Address.UNVERSIONED) for request in asked)
        elsewhere = await ask_again(probe, raw)
        if is_answered(elsewhere.response):
            continue
        by_alias = await ask_again(probe, plain)
        if is_answered(by_alias.response):  # else base_url.joins finds out what comes there
            how = "a streamed chat" if fields else "a chat"
            what = f"{how} with the raw model {name} completes at {elsewhere.request.path}, as one with an alias does"
            surface = surface_of("chat_stream" if fields else "chat")
            if not await is_explained(probe, Tried(surface, Address.UNVERSIONED, by_alias), what, NO_IDS):
                _fail_raw(probe, elsewhere, what)
        return


def _fail_raw(probe: Probe, exchange: Exchange, expected: str) -> None:
    """Record a chat with a raw model that is no answer, unless its token limit or a filter explains that."""
    response = probe.answer(exchange, expected)
    if is_empty(response) and block_unfinished(probe, exchange, finish_reasons(response)):
        return
    inside = next(errors_in(response), "") if response.succeeded else ""
    if inside or response.status >= _FAILS:
        found = (
            f"HTTP {response.status} with an error inside: {shortened(inside, 160)}" if inside else describe(response)
        )
        remedy = "Look for this request in the tenant's log: the raw model fails where others answer."
    else:
        found = f"{describe(response)} without an answer in it" if response.succeeded else describe(response)
        remedy = "Have the tenant resolve raw-model names in every chat: streamed ones, and by both addresses."
    probe.fail(expected, found, exchange, remedy=remedy, cause="names:raw models elsewhere")


_FAILS = 500
