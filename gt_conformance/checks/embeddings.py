"""Embeddings in the form that each client asks for."""

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import Any

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import Context, Parameters, check, native, plainest
from gt_conformance.checks._completion import JSON_TYPE, expect_json_type, expect_needs
from gt_conformance.checks._probe import Probe, StopCheck, is_longer_than_read
from gt_conformance.checks._surfaces import at_path, base_path
from gt_conformance.checks._vectors import NEAR, cosine, in_order, is_numbered, least_cosine
from gt_conformance.checks._wording import describe, is_beyond_context
from gt_conformance.checks._words import mark
from gt_conformance.checks.models import published_names, require_published, shown, unpublished_in
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, NotJson, Request, Response, parse_json
from gt_conformance.runbook import EmbeddingsProfile
from gt_conformance.together import together
from gt_conformance.vocabulary import Actor, Fact, Modality, Route, Severity

_SOURCE = "OpenAI API reference, Create embeddings; GT API reference, Create embeddings"
_EXPECTED = "a 2xx embedding list with one vector per input"
_SAME = 0.999
_ONE_TEXT = 0.99999
_ROUNDING = 0.02
"""By so much the lengths of a vector may differ that was rounded, or made anew."""
_MANY = 100
"""So many LlamaIndex puts into one request by default."""
_IN_ORDER = (
    "Have the tenant give each text its own vector, in the order of the texts, also where it asks for them in parts, "
    "and have one model make them all."
)
_READABLE = "Have the tenant give vectors as numbers or, where base64 is asked for, as standard base64 of float32."
ALONE, ORDER = "embeddings:alone", "embeddings:order"
LENGTHS, OTHER_VALUES = "embeddings:lengths", "embeddings:base64"
STRING, NO_VECTOR = "embeddings:string", "embeddings:no vector"
"""The causes of vectors that are another model's, or another text's, as far as one finding shows it."""
_NEEDS = frozenset({"model", "usage", JSON_TYPE})
_BASE64 = "base64"
BASE64_IGNORED = "plain floats: this client gets other vectors, without an error"
_NUMBERS = "numbers"
"""What a client needs that names no encoding: it reads lists of numbers, which is OpenAI's default."""
_TOKEN_IDS = [[9906, 1917], [791, 47325]]


def _profiles(context: Context) -> list[EmbeddingsProfile]:
    """How the runbook's clients embed; a plain client where none was measured."""
    return [client.embeddings for client in context.clients if client.embeddings] or [EmbeddingsProfile()]


def _shapes(context: Context) -> Iterator[Parameters]:
    measured = any(client.embeddings for client in context.clients)
    for profile in _profiles(context):
        needs = tuple(need for need in profile.needs if need in _NEEDS)
        by_default = (_NUMBERS,) if measured and profile.encoding_format == "none" else ()
        yield replace(_shape_of(profile), needs=(*needs, *by_default))


def _shape_of(profile: EmbeddingsProfile) -> Parameters:
    """How this client asks for vectors."""
    return Parameters(
        encoding_format=profile.encoding_format, batch=profile.batch, string=profile.string, fields=profile.fields
    )


def _published_shapes(context: Context) -> Iterator[Parameters]:
    yield from map(_shape_of, _profiles(context))


def _base64_shapes(context: Context) -> Iterator[Parameters]:
    for profile in _profiles(context):
        if profile.encoding_format == "base64":
            needs = tuple(need for need in profile.needs if need == _BASE64)
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
        _decoded(probe, exchange, 1)
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
    same = alike > _SAME or (alike > NEAR and alike > cosine(first, other))
    if not same and probe.parameters.string and _is_same(first, await _vector_alone(probe)):
        _fail_string(probe, f"cosine {alike:.4f}", exchange)
    elif probe.must(
        same,
        f"the same text gives the same vector (cosine over {_SAME})",
        f"cosine {alike:.4f}",
        exchange,
        remedy=_IN_ORDER,
        cause=ORDER,
    ):  # where equal texts differ, that two others are alike is the same mistake
        probe.must(
            not _is_same(first, other),  # what some models give for any two texts is nearly one
            "different texts give different vectors",
            "two different texts give the same one",
            exchange,
            remedy=_IN_ORDER,
            cause=ORDER,
        )
    probe.should(alike > _SAME, f"the same text should get the same vector each time: cosine {alike:.4f}", exchange)
    probe.stop_if_failed()
    least = least_cosine(first, again, _SAME)
    await _expect_as_alone(probe, first, least, min(least, max(NEAR, cosine(first, other))), exchange)


def _fail_string(probe: Probe, found: str, exchange: Exchange) -> None:
    expected = "a text embeds as a string as it does in a list"
    probe.fail(expected, found, exchange, remedy=_BY_ONE_MODEL, cause=STRING)


def _expect_no_zeros(probe: Probe, vectors: Sequence[Sequence[float]], exchange: Exchange) -> None:
    probe.must(
        all(0 < math.hypot(*vector) < math.inf for vector in vectors),
        "each text gets a vector of finite numbers, not all of them zero",
        "a vector of zeros, or one with a number that is not finite",
        exchange,
        remedy=_IN_ORDER,
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
    single = await _vector_alone(probe)
    if not single:
        return
    if len(single) != len(first):
        found = f"{len(single)} dimensions by itself, {len(first)} among others"
    else:
        found = _told_apart(single, first)
    alike = len(single) == len(first) and cosine(single, first) > least and _scaled_alike(single, first, usual)
    await _require_form(probe, holds=alike)
    probe.must(
        alike,
        "a text embeds by itself as it does among others",
        found,
        exchange,
        remedy=_BY_ONE_MODEL,
        cause=ALONE,
    )
    moved = f"a text should get one vector, whatever is beside it in a request: {found}"
    probe.should(not alike or cosine(single, first) > usual, moved, exchange)


_BY_ONE_MODEL = "Have the tenant embed single texts and several by the same model, and scale their vectors alike."


async def _vector_alone(probe: Probe) -> list[float]:
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
        (_vectors(probe, _BASE64), _vectors(probe, "float"), _vector_of_string(probe, _BASE64))
    )
    least = min(least_cosine(form[0], form[-1], _SAME) for form in (encoded, plain))
    for number, (one, other) in enumerate(zip(encoded, plain, strict=True)):
        same_length = probe.must(
            len(one) == len(other),
            "base64 and float give vectors of one length",
            f"input {number}: {len(one)} values as base64, {len(other)} as float",
            exchange,
            cause=OTHER_VALUES,
        )
        if same_length:
            same = _agree(one, other, least)
            what, found = "base64 and float give the same values", f"input {number} differs"
            probe.must(same, what, found, exchange, cause=OTHER_VALUES)
    probe.stop_if_failed()
    in_list = await _vector_alone(probe) or encoded[0]
    if len(alone) != len(in_list):
        _fail_string(probe, f"{len(alone)} values as a string, {len(in_list)} in a list", by_itself)
    elif not _agree(alone, in_list, least):
        _fail_string(probe, _told_apart(alone, in_list), by_itself)
    _expect_base64(probe, by_itself if _is_base64(exchange) else exchange)


async def _vector_of_string(probe: Probe, encoding_format: str) -> tuple[list[list[float]], Exchange]:
    """The first text as a string, which is how SDKs embed a question, not in a list."""
    exchange = await probe.send(_request(probe, _texts(probe)[0], encoding_format))
    return _decoded(probe, exchange, 1), exchange


def _is_base64(exchange: Exchange) -> bool:
    body = exchange.response.json() if exchange.response else {}
    return all(isinstance(item["embedding"], str) for item in body["data"])


def _expect_base64(probe: Probe, exchange: Exchange) -> None:
    """As base64 was asked for: what else comes, some clients read wrong."""
    as_asked = _is_base64(exchange)
    if _BASE64 in probe.parameters.needs:
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
    clauses=("R1", "E1"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("embeddings.batch",),
    rows=native(Route.EMBEDDINGS, parameters=_token_id_shapes),
)
async def token_ids(probe: Probe) -> None:
    """Two lists of token ids are accepted and give two vectors, at the address that this client builds."""
    asked = requests.embeddings(
        probe.tenant, probe.credential.name, _TOKEN_IDS, encoding_format=probe.parameters.encoding_format
    )
    exchange = await probe.send(at_path(probe, asked, Route.EMBEDDINGS, probe.parameters.base_path))
    if exchange.request != asked and (exchange.response is None or not _is_list(exchange.response)):
        # Where that address leads nowhere, for texts either, that is the finding.
        joined = Parameters(route=Route.EMBEDDINGS, base_path=probe.parameters.base_path, encoding_format="float")
        await probe.require("base_url.joins", parameters=joined, conforming=True)
    vectors = _decoded(probe, exchange, len(_TOKEN_IDS))
    _expect_no_zeros(probe, vectors, exchange)
    probe.must(
        not _is_same(*vectors), "different token ids give different vectors", "both give the same vector", exchange
    )


def _is_list(response: Response) -> bool:
    return response.succeeded and response.media_type == "application/json"


def _large_batches(context: Context) -> Iterator[Parameters]:
    for profile in _profiles(context):
        if profile.batch:
            yield Parameters(encoding_format=profile.encoding_format)


@check(
    "embeddings.client_batch",
    claim="As many texts as a client puts into one request embed together.",
    remedy="Raise the limit on inputs in one request, of the tenant and of the model's server; clients send hundreds.",
    source=f"GT API overview, Start Here; {_SOURCE}",
    clauses=("R1", "E1"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("embeddings.batch",),
    rows=native(Route.EMBEDDINGS, parameters=_large_batches, any_key=True),
)
async def client_batch(probe: Probe) -> None:
    """Short texts, more than the 32 or 96 that model servers stop at, in one request that takes gzip: a vector each.

    The last text is the first again: a gateway that asks for them in parts must put the parts back in their order. One
    has letters beyond ASCII, once as they are and once as JSON escapes, which is the same text. Others are what it
    becomes on a way that loses letters: no vector may be one of theirs. Two are longer, and differ in their last words.
    """
    await probe.require_like("embeddings.batch")
    key, form = probe.credential.name, probe.parameters.encoding_format
    texts = _many_texts(probe.run_id, key)
    exchange = await probe.send(many(probe, form))
    if form != _BASE64 and is_longer_than_read(exchange.response):
        form = _BASE64  # a fourth of the bytes: a hundred vectors of 4,096 numbers are nine million with all digits
        exchange = await probe.send(many(probe, form))
    if is_beyond_context(exchange.response) and await _takes_short_ones(probe, form):
        alias = probe.model(Modality.EMBEDDINGS)
        raise Blocked(
            f"the model behind {alias} says that a text of {len(_BEGIN_ALIKE[0])} characters is longer than it reads",
            f"Publish the alias {alias} with a model that reads longer texts: clients embed passages of a page.",
        )
    if exchange.response is not None and not exchange.response.succeeded:
        in_letters = [text for text in texts if text.isascii()]
        plain = requests.embeddings(probe.tenant, key, [*in_letters, *in_letters][:_MANY], encoding_format=form)
        in_ascii = await probe.send(requests.compressible(plain))
        if in_ascii.response is not None and in_ascii.response.succeeded:
            found = f"{describe(exchange.response)}; as many texts without such letters embed"
            probe.fail(_ANY_LETTER, found, exchange, remedy=_IN_UTF_8, cause="embeddings:letters")
            return
    vectors = _decoded(probe, exchange, _MANY)
    lengths = sorted({len(vector) for vector in vectors})
    found = f"lengths {lengths[:5]}"
    probe.must(len(lengths) == 1, "all vectors have one length", found, exchange, cause=LENGTHS)
    probe.stop_if_failed()
    alone = await _vector_alone(probe)
    probe.must(
        not alone or len(alone) == lengths[0],
        "a text embeds by itself to as many numbers as it does among many",
        f"{len(alone)} dimensions by itself, {lengths[0]} among many",
        exchange,
        remedy=_BY_ONE_MODEL,
        cause=ALONE,
    )
    probe.stop_if_failed()
    _expect_no_zeros(probe, vectors, exchange)
    first, *others, last = vectors
    nearest = max(range(len(others)), key=lambda number: cosine(last, others[number]))
    own = cosine(last, first) >= cosine(last, others[nearest]) and not _is_same(last, others[nearest])
    alike = cosine(last, first)
    varies = not (own and alike > NEAR) and await _may_vary(probe, form, first, last)
    probe.must(
        own or varies,
        "each text gets its own vector, in the order of the texts",
        f"the last text, which is the first again, gets a vector that is nearer to that of text {nearest + 2}",
        exchange,
        remedy=_IN_ORDER,
        cause=ORDER,
    )
    probe.stop_if_failed()
    probe.must(
        alike > NEAR or varies,
        f"a text gets one vector, wherever it is among many (cosine over {NEAR})",
        f"the last text, which is the first again, gets another one: cosine {alike:.2f}",
        exchange,
        remedy="Have the model's server embed each text of a request by itself: what is beside it must not show.",
        cause="embeddings:beside others",
    )
    probe.stop_if_failed()
    own = not alone or cosine(alone, first) > NEAR or await _may_vary(probe, form, alone, first)
    probe.must(
        own,
        f"a text embeds by itself as it does among many (cosine over {NEAR})",
        f"cosine {cosine(alone, first) if alone else 0:.2f}",
        exchange,
        remedy=_BY_ONE_MODEL,
        cause=ALONE,
    )
    probe.stop_if_failed()
    await _expect_read_to_the_end(probe, form, vectors, exchange)
    probe.stop_if_failed()
    await _expect_letters(probe, form, vectors, exchange)


async def _takes_short_ones(probe: Probe, form: str) -> bool:
    """Whether as many texts embed that are short: then it is the length of one that is refused."""
    texts = _many_texts(probe.run_id, probe.credential.name)[:_SHORT]
    asked = requests.embeddings(probe.tenant, probe.credential.name, [*texts, *texts][:_MANY], encoding_format=form)
    response = (await probe.send(asked)).response
    return response is not None and response.succeeded


async def _embed(probe: Probe, form: str, texts: Sequence[str]) -> list[list[float]]:
    """The vectors of some texts more, to see what the model itself can tell apart."""
    asked = requests.embeddings(probe.tenant, probe.credential.name, texts, encoding_format=form)
    return _decoded(probe, await probe.send(asked), len(texts))


async def _may_vary(probe: Probe, form: str, first: Sequence[float], last: Sequence[float]) -> bool:
    """Whether two vectors of one text are no further apart than the model gives them where it has only that text."""
    text = _many_texts(probe.run_id, probe.credential.name)[0]
    alike = [cosine(one, other) for one, other in combinations(await _embed(probe, form, [text] * _OFTEN), 2)]
    least = 1 - _MORE * (1 - min(alike))
    return min(alike) < _SAME and cosine(first, last) >= max(NEAR, least)


_OFTEN, _MORE = 5, 3


async def _expect_read_to_the_end(
    probe: Probe, form: str, vectors: Sequence[Sequence[float]], exchange: Exchange
) -> None:
    """Two texts that differ in their last words get vectors of their own.

    How long a text a model reads is promised by no page. One reads a line at least; where this one reads no more, and
    where nothing else than the beginning of a text tells what it has read, that is advised.
    """
    if not _is_same(*vectors[_SHORT:_WHOLE]):
        return
    lines = [f"{_BEGINNING[:_LINE]} {word}" for word in _THINGS[:2]]
    begun = [f"{word} {text}" for text, word in zip(_BEGIN_ALIKE * (len(_PLACES) // 2), _THINGS, strict=False)]
    marked = [mark(text, probe.run_id, probe.credential.name) for text in (*lines, *begun)]
    line, other_line, *shown = await _embed(probe, form, marked)
    if _is_same(line, other_line) or _goes_by_endings(shown):
        probe.fail(
            f"texts of {len(_BEGINNING)} characters that differ in their last words get vectors of their own",
            "both get one vector",
            exchange,
            remedy="Have the tenant, and every cache before it, look at the whole of each text to embed.",
            cause="embeddings:beginning",
        )
    else:
        text = f"texts of {len(_BEGINNING)} characters that differ in their last words get one vector: what is beyond "
        probe.advise(f"{text}their first {_LINE} characters may be read by nobody", exchange)


def _goes_by_endings(vectors: Sequence[Sequence[float]]) -> bool:
    """Whether those of every second text, which end alike, are nearer to each other than to the others."""
    pairs = combinations(_PLACES, 2)
    cosines = [(one % 2 == other % 2, cosine(vectors[one], vectors[other])) for one, other in pairs]
    return min(near for alike, near in cosines if alike) > max(near for alike, near in cosines if not alike)


async def _expect_letters(probe: Probe, form: str, vectors: Sequence[Sequence[float]], exchange: Exchange) -> None:
    """A text with letters beyond ASCII gets one vector, however JSON writes it, and none that one without them gets."""
    escaped, as_it_is, *lost = vectors[_WHOLE:-1]
    becomes = {how: _is_same(as_it_is, vector) for how, vector in zip(_SPOILT.values(), lost, strict=True)}
    if any(becomes.values()):
        # What the model does not read may be anything: other letters in the place of these tell.
        marked = [mark(text, probe.run_id, probe.credential.name) for text in (*_OTHERS.values(), *_OTHER_SIGNS)]
        others = await _embed(probe, form, marked)
        read = [not _is_same(as_it_is, vector) for vector in others[: len(_OTHERS)]]
        signs = dict(zip(_OTHER_SIGNS, others[len(_OTHERS) :], strict=True))
        told = [reads and not _is_sign(text, as_it_is, signs) for text, reads in zip(_SPOILT, read, strict=True)]
        becomes = {how: found and shows for (how, found), shows in zip(becomes.items(), told, strict=True)}
    least = least_cosine(vectors[0], vectors[-1], _SAME)
    is_other = cosine(escaped, as_it_is) <= least
    if is_other and any(_is_same(one, other) for one, other in combinations(vectors[1:_SHORT], 2)):
        probe.fail(
            "each text gets its own vector, in the order of the texts",
            "one text, written in two ways, gets two vectors, and two other texts get one",
            exchange,
            remedy=_IN_ORDER,
            cause="embeddings:order",
        )
        return
    becomes["other letters than those of its JSON escapes"] = is_other
    for how in (how for how, found in becomes.items() if found):
        found = f"a text with such letters gets the vector of one with {how}"
        probe.fail(_ANY_LETTER, found, exchange, remedy=_IN_UTF_8, cause="embeddings:letters")
        return


def _is_sign(text: str, vector: Sequence[float], signs: Mapping[str, Sequence[float]]) -> bool:
    """Whether a text has a sign in place of the emoji alone, and the model reads each sign as what parts two words."""
    return text in _SIGNS and all(_is_same(vector, other) for other in signs.values())


def many(probe: Probe, encoding_format: str) -> Request:
    """The request for many texts in that form, which takes gzip."""
    key = probe.credential.name
    texts = _many_texts(probe.run_id, key)
    request = requests.embeddings(probe.tenant, key, texts, encoding_format=encoding_format)
    return requests.compressible(_escape_first(request, texts[_WHOLE]))


def _many_texts(run_id: str, key: str) -> list[str]:
    """Short ones, one of a single word; two that begin alike; one with letters beyond ASCII twice, what becomes of it.

    The first is there again at the end. It is embedded by itself as well.
    """
    short = [f"The {look} {thing} of the handbook." for look, thing in product(_LOOKS, _THINGS)][1:_SHORT]
    short.insert(0, requests.TEXTS[0])
    texts = [mark(text, run_id, key) for text in (*short, *_BEGIN_ALIKE, _LETTERS, _LETTERS, *_SPOILT, short[0])]
    texts[1] = _WORD
    return texts


_WORD = "ping"
"""The shortest text: what Dify embeds to try a model, and as short as what many a chunk of a document holds."""
_LOOKS = ("red", "quiet", "wooden", "narrow", "heavy", "bright", "round", "frozen", "hollow", "striped")
_THINGS = ("door", "bridge", "lamp", "kettle", "ladder", "violin", "garden", "compass", "pillow", "engine")
"""Words, since there are models to which any number is the same."""
_BEGINNING = (
    "The ferry crosses the bay from the first of April to the last of October, every hour from seven in the morning "
    "until nine at night, and in July and August until midnight. Tickets are sold on board and at the kiosk on the "
    "northern pier. Bicycles travel free of charge, dogs need a ticket and a lead, and cars are taken on the upper "
    "deck alone."
)
_BEGIN_ALIKE = (f"{_BEGINNING} Whoever is late waits an hour.", f"{_BEGINNING} The captain plays the violin.")
"""About a hundred tokens: most models read five times as many."""
_LINE = 110
"""So many characters every model reads."""
_PLACES = range(6)
"""Of so many texts, each of which begins with another word, every second one ends alike: chance alone orders none."""


def _escape_first(request: Request, text: str) -> Request:
    """The same request with the letters beyond ASCII of one text as JSON escapes, where it comes first."""
    plain, escaped = (json.dumps(text, ensure_ascii=ascii_alone).encode() for ascii_alone in (False, True))
    return replace(request, body=request.body.replace(plain, escaped, 1))


_LETTERS = "A naïve coupé crossed\nthe st山one br🚀idge of the riשver."
"""Letters beyond ASCII within words, so that what is left without them are words as well, to whatever model."""
_ANY_LETTER = "letters beyond ASCII, and line breaks, embed as they were sent, emoji too"
_IN_UTF_8 = "Have the tenant, and every proxy before it, pass texts to embed on in UTF-8, with every letter."
_LOSSES = {"beyond ASCII": r"[^\x00-\x7f]", "beyond Latin-1": r"[^\x00-\xff]"} | {letter: letter for letter in "山ש🚀"}
_SPOILT = {
    re.sub(lost, mark_in_place, _LETTERS): f"{how} in place of those {what}" if len(what) > 1 else f"{how} for {what}"
    for what, lost in _LOSSES.items()
    for mark_in_place, how in (("?", "question marks"), ("", "nothing"))
} | {
    unicodedata.normalize("NFKD", _LETTERS).encode("ascii", "ignore").decode(): "the nearest letters of ASCII",
    _LETTERS.replace("🚀", "??"): "two question marks for 🚀",
}
"""What becomes of it on the way, and how.

That é and e embed alike is nobody's fault: there are models which know no accents. None takes a word for another one.
"""
_OTHERS = {
    spoilt: "".join("x" if letter not in spoilt and not letter.isascii() else letter for letter in _LETTERS)
    for spoilt in _SPOILT
}
"""The same text with other letters in the place of those that each of them lacks."""
_SIGNS = {_LETTERS.replace("🚀", sign) for sign in ("?", "??")}
_OTHER_SIGNS = tuple(_LETTERS.replace("🚀", sign) for sign in ("!", " "))
"""An emoji is a sign and no letter: there are models to which words are letters and digits, and the rest is a space."""


_WHOLE = _MANY - 3 - len(_SPOILT)
"""The place of the text with such letters among the many."""
_SHORT = _WHOLE - len(_BEGIN_ALIKE)
"""How many of them are short."""


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
        native(Route.EMBEDDINGS, parameters=plainest),
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
        return _decoded(probe, exchange, len(texts)), exchange
    first, other, again = texts
    # The last text is the first again: asked for once more, not remembered, and as this client asks for one by itself.
    forms = ([first], [other], again if probe.parameters.string else [again])
    singly = [_request(probe, form, encoding_format) for form in forms]
    exchanges = await together(probe.send(one, again=singly[:place].count(one)) for place, one in enumerate(singly))
    return [vector for exchange in exchanges for vector in _decoded(probe, exchange, 1)], exchanges[-1]


def _decoded(probe: Probe, exchange: Exchange, count: int) -> list[list[float]]:
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


def _told_apart(one: Sequence[float], other: Sequence[float]) -> str:
    """By which figures two vectors of one length differ."""
    return f"cosine {cosine(one, other):.4f}, lengths {math.hypot(*one):.3g} and {math.hypot(*other):.3g}"


def _is_same(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether both are vectors of one text: machines round differently."""
    return len(one) == len(other) and cosine(one, other) > _ONE_TEXT


def _agree(one: Sequence[float], other: Sequence[float], least: float) -> bool:
    """Whether two vectors of one length are of one text, and scaled alike."""
    return cosine(one, other) > least and _scaled_alike(one, other, least)


def _scaled_alike(one: Sequence[float], other: Sequence[float], usual: float) -> bool:
    """Whether two vectors are as long as each other, as far as those of one text are whose cosine is the usual."""
    return math.isclose(math.hypot(*one), math.hypot(*other), rel_tol=max(_ROUNDING, 1 - usual))
