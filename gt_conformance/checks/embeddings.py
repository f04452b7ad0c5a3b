"""Embeddings in the form that each client asks for."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import Context, Parameters, check, native, plainest
from gt_conformance.checks._completion import JSON_TYPE, expect_json_type, expect_needs
from gt_conformance.checks._notes import StopCheck
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._surfaces import at_path, base_path
from gt_conformance.checks._vectors import (
    NEAR,
    agree,
    cosine,
    in_order,
    is_numbered,
    is_same,
    least_cosine,
    scaled_alike,
    tell_apart,
)
from gt_conformance.checks.models import published_names, require_published, shown, unpublished_in
from gt_conformance.exchange import Exchange, NotJson, Request, Response, parse_json
from gt_conformance.runbook import EmbeddingsProfile
from gt_conformance.together import together
from gt_conformance.vocabulary import Actor, Fact, Modality, Route, Severity

_EXPECTED = "a 2xx embedding list with one vector per input"
ALIKE = 0.999
"""The least cosine of two vectors of one text in one request."""
IN_ORDER = (
    "Have the tenant give each text its own vector, in the order of the texts, also where it asks for them in parts, "
    "and have one model make them all."
)
_READABLE = "Have the tenant give vectors as numbers or, where base64 is asked for, as standard base64 of float32."
ALONE, ORDER = "embeddings:alone", "embeddings:order"
LENGTHS, OTHER_VALUES = "embeddings:lengths", "embeddings:base64"
STRING, NO_VECTOR = "embeddings:string", "embeddings:no vector"
"""The causes of vectors that are another model's, or another text's, as far as one finding shows it."""
_NEEDS = frozenset({"model", "usage", JSON_TYPE})
BASE64 = "base64"
BASE64_IGNORED = "plain floats: this client gets other vectors, without an error"
_NUMBERS = "numbers"
"""What a client needs that names no encoding: it reads lists of numbers, which is OpenAI's default."""
_TOKEN_IDS = [[9906, 1917, 0], [791, 47325]]
"""As many lists as neither of them has ids, nor both: what takes each id for a text gives another number of vectors."""


def profiles(context: Context) -> list[EmbeddingsProfile]:
    """How the runbook's clients embed; a plain client where none was measured."""
    return [client.embeddings for client in context.clients if client.embeddings] or [EmbeddingsProfile()]


def _shapes(context: Context) -> Iterator[Parameters]:
    measured = any(client.embeddings for client in context.clients)
    for profile in profiles(context):
        needs = tuple(need for need in profile.needs if need in _NEEDS)
        by_default = (_NUMBERS,) if measured and profile.encoding_format == "none" else ()
        yield replace(_shape_of(profile), needs=(*needs, *by_default))


def _shape_of(profile: EmbeddingsProfile) -> Parameters:
    """How this client asks for vectors."""
    return Parameters(
        encoding_format=profile.encoding_format, batch=profile.batch, string=profile.string, fields=profile.fields
    )


def _one_text(_: Context) -> Iterator[Parameters]:
    """One text in a list and nothing besides, which other checks of a key ask as well."""
    yield Parameters(minimal=True, batch=False)


def _published_shapes(context: Context) -> Iterator[Parameters]:
    yield from map(_shape_of, profiles(context))


def _base64_shapes(context: Context) -> Iterator[Parameters]:
    for profile in profiles(context):
        if profile.encoding_format == "base64":
            needs = tuple(need for need in profile.needs if need == BASE64)
            yield Parameters(batch=profile.batch, needs=needs)


def _token_id_shapes(context: Context) -> Iterator[Parameters]:
    for client in context.clients:
        profile = client.embeddings
        if profile is not None and profile.input == "token_ids":
            path = base_path(context.tenant, context.runbook, client)
            yield Parameters(encoding_format=profile.encoding_format, base_path=path)


@check(
    "embeddings.batch",
    claim="Texts embed, one vector each, the same text to the same vector.",
    remedy="Check that the alias resolves to an embedding model, and that the key has inference:embed for it.",
    source="GT API reference, Create embeddings; "
    "GT API keys and access, Key purposes; "
    "OpenAI API reference, Create embeddings",
    clauses=("E1", "E3", "K1"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.EMBEDDINGS,
    rows=(
        native(Route.EMBEDDINGS, parameters=plainest),
        native(Route.EMBEDDINGS, parameters=_shapes, any_key=True),
    ),
    shows=(Fact.SCOPE_EMBED,),
)
async def batch(probe: Probe) -> None:
    """Three texts, the first and last alike: one vector each, finite, of one length; alike where the texts are."""
    if probe.parameters.minimal:
        request = requests.embeddings(probe.tenant, probe.credential.name, _texts(probe)[:1])
        exchange = await probe.send(request)
        await require_published(probe, exchange, Modality.EMBEDDINGS)
        probe.usable = False
        decoded(probe, exchange, 1)
        probe.usable = True
        return
    try:
        await _expect_vectors(probe)
    finally:
        # What else is asked of embeddings compares vectors: it rests on sound ones.
        probe.usable = probe.usable and not probe.violations


async def _expect_vectors(probe: Probe) -> None:
    vectors, exchange = await _vectors(probe, probe.parameters.encoding_format)
    first, other, again = vectors
    lengths = sorted({len(vector) for vector in vectors})
    found = f"lengths {lengths}"
    probe.must(len(lengths) == 1, "all vectors have one length", found, exchange, cause=LENGTHS)
    finite = all(math.isfinite(number) for vector in vectors for number in vector)
    await _require_form(probe, holds=finite)
    probe.must(
        finite,
        "vectors hold finite numbers",
        "a vector holds a number that is not finite",
        exchange,
    )
    probe.stop_if_failed()
    alike = cosine(first, again)
    same = alike > ALIKE or (alike > NEAR and alike > cosine(first, other))
    if not same and probe.parameters.string and is_same(first, await vector_alone(probe)):
        _fail_string(probe, f"cosine {alike:.4f}", exchange)
    elif probe.must(
        same,
        f"the same text gives the same vector (cosine over {ALIKE})",
        f"cosine {alike:.4f}",
        exchange,
        remedy=IN_ORDER,
        cause=ORDER,
    ):  # where equal texts differ, that two others are alike is the same mistake
        probe.must(
            not is_same(first, other),  # what some models give for any two texts is nearly one
            "different texts give different vectors",
            "two different texts give the same one",
            exchange,
            remedy=IN_ORDER,
            cause=ORDER,
        )
    probe.should(alike > ALIKE, f"the same text should get the same vector each time: cosine {alike:.4f}", exchange)
    probe.stop_if_failed()
    least = least_cosine(first, again, ALIKE)
    await _expect_as_alone(probe, first, least, min(least, max(NEAR, cosine(first, other))), exchange)


def _fail_string(probe: Probe, found: str, exchange: Exchange) -> None:
    expected = "a text embeds as a string as it does in a list"
    probe.fail(expected, found, exchange, remedy=BY_ONE_MODEL, cause=STRING)


def expect_no_zeros(probe: Probe, vectors: Sequence[Sequence[float]], exchange: Exchange) -> None:
    """End the check where a vector is all zeros, or holds a number that is not finite."""
    probe.must(
        all(0 < math.hypot(*vector) < math.inf for vector in vectors),
        "each text gets a vector of finite numbers, not all of them zero",
        "a vector of zeros, or one with a number that is not finite",
        exchange,
        remedy=IN_ORDER,
        cause=NO_VECTOR,
    )
    probe.stop_if_failed()


async def _require_form(probe: Probe, *, holds: bool) -> None:
    """Raises Blocked where something does not hold of vectors in base64, and that form is the finding."""
    if not holds and probe.parameters.encoding_format == "base64":
        await probe.require_like("embeddings.base64", conforming=True)


async def _expect_as_alone(
    probe: Probe, first: Sequence[float], usual: float, least: float, exchange: Exchange
) -> None:
    """The first text embeds as it did by itself, in the plain request on which this check rests, if it did.

    ``usual`` is the cosine that two vectors of one text have by this model in one request. Numbers that are rounded to
    integers by the scale of a whole request move with what is beside a text: ``least`` is what they have at least.
    """
    single = await vector_alone(probe)
    if not single:
        return
    if len(single) != len(first):
        found = f"{len(single)} dimensions by itself, {len(first)} among others"
    else:
        found = tell_apart(single, first)
    alike = len(single) == len(first) and cosine(single, first) > least and scaled_alike(single, first, usual)
    await _require_form(probe, holds=alike)
    probe.must(
        alike,
        "a text embeds by itself as it does among others",
        found,
        exchange,
        remedy=BY_ONE_MODEL,
        cause=ALONE,
    )
    moved = f"a text should get one vector, whatever is beside it in a request: {found}"
    probe.should(not alike or cosine(single, first) > usual, moved, exchange)


BY_ONE_MODEL = "Have the tenant embed single texts and several by the same model, and scale their vectors alike."


async def vector_alone(probe: Probe) -> list[float]:
    """The vector of the first text in the plain request on which these checks rest; empty where it holds none."""
    alone = await probe.send(requests.embeddings(probe.tenant, probe.credential.name, _texts(probe)[:1]))
    try:
        [item] = alone.response.json()["data"] if alone.response is not None and alone.response.succeeded else []
        return requests.floats(item["embedding"])
    except (NotJson, LookupError, TypeError, ValueError):
        return []


@check(
    "embeddings.base64",
    claim="encoding_format base64 gives the same vectors as float.",
    remedy="Have the tenant honour encoding_format base64: little-endian float32, as OpenAI's SDKs ask by default.",
    source="GT API reference, Create embeddings; OpenAI API reference, Create embeddings; the OpenAI SDKs' default",
    clauses=("E3", "E4"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("embeddings.batch",),
    rows=native(Route.EMBEDDINGS, parameters=_base64_shapes, any_key=True),
)
async def base64(probe: Probe) -> None:
    """The base64 answer decodes to float32 of the same length and values as the float answer."""
    (encoded, exchange), (plain, _), ([alone], by_itself) = await together(
        (_vectors(probe, BASE64), _vectors(probe, "float"), _vector_of_string(probe, BASE64))
    )
    least = min(least_cosine(form[0], form[-1], ALIKE) for form in (encoded, plain))
    for number, (one, other) in enumerate(zip(encoded, plain, strict=True)):
        same_length = probe.must(
            len(one) == len(other),
            "base64 and float give vectors of one length",
            f"input {number}: {len(one)} values as base64, {len(other)} as float",
            exchange,
            cause=OTHER_VALUES,
        )
        if same_length:
            same = agree(one, other, least)
            what, found = "base64 and float give the same values", f"input {number} differs"
            probe.must(same, what, found, exchange, cause=OTHER_VALUES)
    probe.stop_if_failed()
    in_list = await vector_alone(probe) or encoded[0]
    if len(alone) != len(in_list):
        _fail_string(probe, f"{len(alone)} values as a string, {len(in_list)} in a list", by_itself)
    elif not agree(alone, in_list, least):
        _fail_string(probe, tell_apart(alone, in_list), by_itself)
    _expect_base64(probe, by_itself if _is_base64(exchange) else exchange)


async def _vector_of_string(probe: Probe, encoding_format: str) -> tuple[list[list[float]], Exchange]:
    """The first text as a string, which is how SDKs embed a question, not in a list."""
    exchange = await probe.send(_request(probe, _texts(probe)[0], encoding_format))
    return decoded(probe, exchange, 1), exchange


def _is_base64(exchange: Exchange) -> bool:
    body = exchange.response.json() if exchange.response else {}
    return all(isinstance(item["embedding"], str) for item in body["data"])


def _expect_base64(probe: Probe, exchange: Exchange) -> None:
    """As base64 was asked for: what else comes, some clients read wrong."""
    as_asked = _is_base64(exchange)
    if BASE64 in probe.parameters.needs:
        expected = "encoding_format base64 gives base64, which this client decodes whatever came"
        probe.must(as_asked, expected, BASE64_IGNORED, exchange)
    else:
        probe.should(
            as_asked,
            "encoding_format base64 is answered with plain floats; openai (npm) 6.49 corrupts them silently",
            exchange,
        )


@check(
    "embeddings.token_ids",
    claim="Input as lists of token ids embeds.",
    remedy="Have the tenant accept token ids, or have the client send strings (check_embedding_ctx_length=False).",
    source="GT API overview, Start Here; "
    "GT API reference, Create embeddings; "
    "OpenAI API reference, Create embeddings; "
    "measured: LangChain's default",
    clauses=("R1", "E1", "E4"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("embeddings.batch",),
    rows=native(Route.EMBEDDINGS, parameters=_token_id_shapes),
)
async def token_ids(probe: Probe) -> None:
    """Two lists of token ids are accepted and give two vectors as long as a text's, at the address that it builds."""
    asked = requests.embeddings(
        probe.tenant, probe.credential.name, _TOKEN_IDS, encoding_format=probe.parameters.encoding_format
    )
    exchange = await probe.send(at_path(probe, asked, Route.EMBEDDINGS, probe.parameters.base_path))
    joined = Parameters(route=Route.EMBEDDINGS, base_path=probe.parameters.base_path, encoding_format="float")
    if exchange.request != asked and (exchange.response is None or not _is_list(exchange.response)):
        # Where that address leads nowhere, for texts either, that is the finding.
        await probe.require("base_url.joins", parameters=joined, conforming=True)
    vectors = decoded(probe, exchange, len(_TOKEN_IDS))
    expect_no_zeros(probe, vectors, exchange)
    lengths = {len(vector) for vector in (*vectors, await vector_alone(probe)) if vector}
    if exchange.request != asked and len(lengths) > 1:  # as those of texts may be there
        await probe.require("base_url.joins", parameters=joined, conforming=True)
    probe.must(
        len(lengths) == 1,
        "token ids embed to as many numbers as a text does",
        f"lengths {sorted(lengths)}",
        exchange,
        remedy="Have the tenant embed token ids by the model that embeds texts, and encode their vectors alike.",
        cause=LENGTHS,
    )
    probe.stop_if_failed()
    probe.must(
        not is_same(*vectors), "different token ids give different vectors", "both give the same vector", exchange
    )


def _is_list(response: Response) -> bool:
    return response.succeeded and response.media_type == "application/json"


@check(
    "embeddings.model_is_published",
    claim="Embedding answers name a published model, never a provider's or an internal one.",
    remedy="Have the tenant put the published name into `model` of every embedding answer.",
    source="GT API reference, Create embeddings",
    clauses=("E2",),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("embeddings.batch",),
    rows=(
        native(Route.EMBEDDINGS, parameters=_one_text),
        native(Route.EMBEDDINGS, parameters=_published_shapes, any_key=True),
    ),
)
async def model_is_published(probe: Probe) -> None:
    """`model` in the answer is on the key's allowlist."""
    expected = "the model named in the answer is a published name of the key"
    texts = _texts(probe) if probe.parameters.batch else _texts(probe)[:1]
    exchange = await probe.send(_request(probe, texts, probe.parameters.encoding_format))
    body = probe.parsed(exchange, probe.success(exchange, expected, modality=Modality.EMBEDDINGS), expected)
    name = body.get("model") if isinstance(body, dict) else None
    if isinstance(name, str) and name:
        published = await published_names(probe)
        cause = shown(name) if name in probe.tenant.unpublished_models else unpublished_in(Route.EMBEDDINGS)
        expected = f"{expected}: {', '.join(sorted(published))}"
        probe.must(name in published, expected, f"model is {name!r}", exchange, cause=cause)


def _texts(probe: Probe) -> list[str]:
    return requests.texts(probe.run_id, probe.credential.name)


def _request(probe: Probe, given: object, encoding_format: str) -> Request:
    """In the shape of this client, but for the encoding."""
    fields = probe.parameters.fields
    return requests.embeddings(
        probe.tenant, probe.credential.name, given, encoding_format=encoding_format, fields=fields
    )


async def _vectors(probe: Probe, encoding_format: str) -> tuple[list[list[float]], Exchange]:
    """The three texts embedded: in one request, or in one each for a client that sends them so."""
    texts = _texts(probe)
    if probe.parameters.batch:
        exchange = await probe.send(_request(probe, texts, encoding_format))
        return decoded(probe, exchange, len(texts)), exchange
    first, other, again = texts
    # The last text is the first again: asked for once more, not remembered, and as this client asks for one by itself.
    forms = ([first], [other], again if probe.parameters.string else [again])
    singly = [_request(probe, form, encoding_format) for form in forms]
    exchanges = await together(probe.send(one, again=singly[:place].count(one)) for place, one in enumerate(singly))
    return [vector for exchange in exchanges for vector in decoded(probe, exchange, 1)], exchanges[-1]


def decoded(probe: Probe, exchange: Exchange, count: int) -> list[list[float]]:
    """The vectors of so many texts, in their order; what cannot be read so is a violation and ends the check."""
    body: dict[str, Any] = probe.json(exchange, "embeddings", _EXPECTED, modality=Modality.EMBEDDINGS)
    expect_needs(probe, exchange, body, "embeddings", _NEEDS)
    expect_json_type(probe, exchange)
    items = body["data"]
    if not probe.must(
        len(items) == count,
        "one vector per input",
        f"{len(items)} for {count}",
        exchange,
        remedy="Have the tenant give a vector for each text, for equal texts and for many in one request as well.",
        cause="embeddings:count",
    ):
        raise StopCheck
    indexes = [item.get("index") for item in items]
    probe.should(is_numbered(items), f"index 0 to {count - 1}, each once: index {indexes[:10]}", exchange)
    _expect_form(probe, exchange, items)
    try:
        # Clients that were measured take the vectors as they come; a right index says which input each belongs to.
        return [requests.floats(item["embedding"]) for item in in_order(items)]
    except ValueError as error:
        expected, remedy = "vectors are numbers, or base64 of little-endian float32", _READABLE
        probe.fail(expected, str(error), exchange, remedy=remedy, cause="embeddings:unreadable")
        raise StopCheck from None


def _expect_form(probe: Probe, exchange: Exchange, items: Sequence[Mapping[str, Any]]) -> None:
    """Numbers where they are asked for, and for a client that reads nothing else."""
    asked = parse_json(exchange.request.body.decode()).get("encoding_format")
    if asked == "float" or (asked is None and _NUMBERS in probe.parameters.needs):
        probe.must(
            not any(isinstance(item["embedding"], str) for item in items),
            "vectors are lists of numbers, unless encoding_format base64 asks for text",
            "base64, which was not asked for",
            exchange,
            remedy="Have the tenant give vectors as numbers unless encoding_format is base64.",
            cause="embeddings:unasked base64",
        )
