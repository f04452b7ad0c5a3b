"""As many texts as a client sends embed in one request, each read as a whole and with every letter."""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import Context, Parameters, check, native
from gt_conformance.checks._probe import Probe, is_longer_than_read
from gt_conformance.checks._vectors import NEAR, cosine, is_same, least_cosine
from gt_conformance.checks._wording import describe, is_beyond_context
from gt_conformance.checks._words import mark
from gt_conformance.checks.embeddings import (
    ALIKE,
    ALONE,
    BASE64,
    BY_ONE_MODEL,
    IN_ORDER,
    LENGTHS,
    ORDER,
    decoded,
    expect_no_zeros,
    profiles,
    vector_alone,
)
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Request
from gt_conformance.vocabulary import Actor, Modality, Route, Severity

_MANY = 100
"""So many LlamaIndex puts into one request by default."""


def _large_batches(context: Context) -> Iterator[Parameters]:
    for profile in profiles(context):
        if profile.batch:
            yield Parameters(encoding_format=profile.encoding_format)


@check(
    "embeddings.client_batch",
    claim="As many texts as a client puts into one request embed together.",
    remedy="Raise the limit on inputs in one request, of the tenant and of the model's server; clients send hundreds.",
    source="GT API overview, Start Here; OpenAI API reference, Create embeddings; GT API reference, Create embeddings",
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
    if form != BASE64 and is_longer_than_read(exchange.response):
        form = BASE64  # a fourth of the bytes: a hundred vectors of 4,096 numbers are nine million with all digits
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
    vectors = decoded(probe, exchange, _MANY)
    lengths = sorted({len(vector) for vector in vectors})
    found = f"lengths {lengths[:5]}"
    probe.must(len(lengths) == 1, "all vectors have one length", found, exchange, cause=LENGTHS)
    probe.stop_if_failed()
    alone = await vector_alone(probe)
    probe.must(
        not alone or len(alone) == lengths[0],
        "a text embeds by itself to as many numbers as it does among many",
        f"{len(alone)} dimensions by itself, {lengths[0]} among many",
        exchange,
        remedy=BY_ONE_MODEL,
        cause=ALONE,
    )
    probe.stop_if_failed()
    expect_no_zeros(probe, vectors, exchange)
    first, *others, last = vectors
    nearest = max(range(len(others)), key=lambda number: cosine(last, others[number]))
    own = cosine(last, first) >= cosine(last, others[nearest]) and not is_same(last, others[nearest])
    alike = cosine(last, first)
    varies = not (own and alike > NEAR) and await _may_vary(probe, form, first, last)
    probe.must(
        own or varies,
        "each text gets its own vector, in the order of the texts",
        f"the last text, which is the first again, gets a vector that is nearer to that of text {nearest + 2}",
        exchange,
        remedy=IN_ORDER,
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
        remedy=BY_ONE_MODEL,
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
    return decoded(probe, await probe.send(asked), len(texts))


async def _may_vary(probe: Probe, form: str, first: Sequence[float], last: Sequence[float]) -> bool:
    """Whether two vectors of one text are no further apart than the model gives them where it has only that text."""
    text = _many_texts(probe.run_id, probe.credential.name)[0]
    alike = [cosine(one, other) for one, other in combinations(await _embed(probe, form, [text] * _OFTEN), 2)]
    least = 1 - _MORE * (1 - min(alike))
    return min(alike) < ALIKE and cosine(first, last) >= max(NEAR, least)


_OFTEN, _MORE = 5, 3


async def _expect_read_to_the_end(
    probe: Probe, form: str, vectors: Sequence[Sequence[float]], exchange: Exchange
) -> None:
    """Two texts that differ in their last words get vectors of their own.

    How long a text a model reads is promised by no page. One reads a line at least; where this one reads no more, and
    where nothing else than the beginning of a text tells what it has read, that is advised.
    """
    if not is_same(*vectors[_SHORT:_WHOLE]):
        return
    lines = [f"{_BEGINNING[:_LINE]} {word}" for word in _THINGS[:2]]
    begun = [f"{word} {text}" for text, word in zip(_BEGIN_ALIKE * (len(_PLACES) // 2), _THINGS, strict=False)]
    marked = [mark(text, probe.run_id, probe.credential.name) for text in (*lines, *begun)]
    line, other_line, *shown = await _embed(probe, form, marked)
    if is_same(line, other_line) or _goes_by_endings(shown):
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
    becomes = {how: is_same(as_it_is, vector) for how, vector in zip(_SPOILT.values(), lost, strict=True)}
    if any(becomes.values()):
        # What the model does not read may be anything: other letters in the place of these tell.
        texts = (*_OTHERS.values(), *_OTHER_SIGNS, *_TWO_LINES, *_ONE_LINE)
        *others, first, second, one, other = await _embed(
            probe, form, [mark(text, probe.run_id, probe.credential.name) for text in texts]
        )
        if is_same(first, second) and not is_same(one, other):
            probe.fail(
                "a text is embedded to its end, beyond its line breaks",
                "two texts of two lines each, which differ in the second, get one vector, and two in one line do not",
                exchange,
                remedy="Have the tenant, and every proxy before it, pass each text to embed on with all of its lines.",
                cause="embeddings:lines",
            )
            begins = {text: _first_line(text) != _first_line(_LETTERS) for text in _SPOILT}
            becomes = {how: becomes[how] and begins[text] for text, how in _SPOILT.items()}
        read = [not is_same(as_it_is, vector) for vector in others[: len(_OTHERS)]]
        signs = dict(zip(_OTHER_SIGNS, others[len(_OTHERS) :], strict=True))
        told = [reads and not _is_sign(text, as_it_is, signs) for text, reads in zip(_SPOILT, read, strict=True)]
        becomes = {how: found and shows for (how, found), shows in zip(becomes.items(), told, strict=True)}
    least = least_cosine(vectors[0], vectors[-1], ALIKE)
    is_other = cosine(escaped, as_it_is) <= least
    if is_other and any(is_same(one, other) for one, other in combinations(vectors[1:_SHORT], 2)):
        probe.fail(
            "each text gets its own vector, in the order of the texts",
            "one text, written in two ways, gets two vectors, and two other texts get one",
            exchange,
            remedy=IN_ORDER,
            cause="embeddings:order",
        )
        return
    becomes["other letters than those of its JSON escapes"] = is_other
    for how in (how for how, found in becomes.items() if found):
        found = f"a text with such letters gets the vector of one with {how}"
        probe.fail(_ANY_LETTER, found, exchange, remedy=_IN_UTF_8, cause="embeddings:letters")
        return


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _is_sign(text: str, vector: Sequence[float], signs: Mapping[str, Sequence[float]]) -> bool:
    """Whether a text has a sign in place of the emoji alone, and the model reads each sign as what parts two words."""
    return text in _SIGNS and all(is_same(vector, other) for other in signs.values())


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
_ONE_LINE = ("The ferry is late. The captain plays the violin.", "The ferry is late. An engine is out of order.")
_TWO_LINES = tuple(text.replace(". ", ".\n") for text in _ONE_LINE)
_SIGNS = {_LETTERS.replace("🚀", sign) for sign in ("?", "??")}
_OTHER_SIGNS = tuple(_LETTERS.replace("🚀", sign) for sign in ("!", " "))
"""An emoji is a sign and no letter: there are models to which words are letters and digits, and the rest is a space."""


_WHOLE = _MANY - 3 - len(_SPOILT)
"""The place of the text with such letters among the many."""
_SHORT = _WHOLE - len(_BEGIN_ALIKE)
"""How many of them are short."""
