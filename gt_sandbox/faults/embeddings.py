"""Faults of embeddings."""

import base64
import json
import math
import random
import re
import struct
from itertools import count
from typing import Any

from gt_sandbox.embeddings import WIDTH
from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import INTERNAL, PROVIDER, cut_off, lose_letters, web_page
from gt_sandbox.middleware import (
    EMBEDDINGS,
    MiddlewareFactory,
    Request,
    Response,
    Secrets,
    change_json,
    change_requests,
    change_responses,
    change_successes,
    change_vectors,
    error_response,
    respond_with,
    unpack_vector,
    with_secrets,
)


def _asks_for_base64(request: Request) -> bool:
    return EMBEDDINGS(request) and request.fields.get("encoding_format") == "base64"


def _asks_for_floats(request: Request) -> bool:
    return EMBEDDINGS(request) and request.fields.get("encoding_format") == "float"


def _names_no_encoding(request: Request) -> bool:
    return EMBEDDINGS(request) and bool(request.fields) and "encoding_format" not in request.fields


def _gives_a_string(request: Request) -> bool:
    return EMBEDDINGS(request) and isinstance(request.fields.get("input"), str)


def _asks_for_base64_of_a_string(request: Request) -> bool:
    return _asks_for_base64(request) and _gives_a_string(request)


def _ask_for_base64(body: bytes) -> bytes:
    return json.dumps({**json.loads(body), "encoding_format": "base64"}).encode()


def _unpack(body: Any) -> None:
    for item in body["data"]:
        item["embedding"] = unpack_vector(item["embedding"])


def _encode_for_addresses(body: Any) -> None:
    for item in body["data"]:
        item["embedding"] = base64.urlsafe_b64encode(base64.b64decode(item["embedding"])).decode()


def _leave_in_order_of_length(request: Request, response: Response) -> Response:
    """The vectors in the order of their texts' length, the longest first, which is how servers fill their batches."""
    texts = request.fields.get("input")
    if response.json is None or not response.succeeded or not isinstance(texts, list):
        return response
    body = response.json
    longest = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
    vectors = [body["data"][place]["embedding"] for place in longest]
    for item, vector in zip(body["data"], vectors, strict=True):
        item["embedding"] = vector
    return response.with_json(body)


def _blur(vectors: list[list[float]]) -> list[list[float]]:
    """Each vector with as much of the sum of those before it as its place says."""
    made, before = [], [0.0] * len(vectors[0])
    for vector in vectors:
        made.append([number + other / _FULLY for number, other in zip(vector, before, strict=True)])
        before = [number + other for number, other in zip(vector, before, strict=True)]
    return made


_FULLY = 12


def _has_tokens(request: Request) -> bool:
    value = request.fields.get("input")
    return EMBEDDINGS(request) and isinstance(value, list) and any(isinstance(item, list | int) for item in value)


def _spell_out_tokens(body: bytes) -> bytes:
    fields = json.loads(body)
    first = fields["input"][0] if isinstance(fields["input"][0], list) else fields["input"]
    return json.dumps({**fields, "input": [str(token) for token in first]}).encode()


def _pack_in_64_bits(body: Any) -> None:
    for item in body["data"]:
        vector = unpack_vector(item["embedding"])
        item["embedding"] = base64.b64encode(struct.pack(f"<{len(vector)}d", *vector)).decode()


def _keep_first_lines(body: bytes) -> bytes:
    return re.sub(rb"\\n[^\"]*", b"", body)


def _has_tokens_unversioned(request: Request) -> bool:
    return _has_tokens(request) and "/v1/" not in request.path


def _count(request: Request) -> int:
    """How many texts a list holds; 0 for a single string, and for token ids."""
    given = request.fields.get("input")
    is_list = EMBEDDINGS(request) and isinstance(given, list) and not _has_tokens(request)
    return len(given) if isinstance(given, list) and is_list else 0


_FEW = 3


def _zeros(vectors: list[list[float]]) -> list[list[float]]:
    return [[0.0] * len(one) for one in vectors]


def _cut_texts(body: bytes) -> bytes:
    fields = json.loads(body)
    given = fields.get("input")
    if isinstance(given, list):
        fields["input"] = [one[:_FEW] if isinstance(one, str) else one for one in given]
    return json.dumps(fields).encode()


_FEW = 64
_MOST_AT_ONCE = 32


def _cache_by_beginnings(_: Secrets) -> MiddlewareFactory:
    """Texts that begin alike get the vector of the first of them; a vector is the sum of those of a text's words."""
    known: dict[str, list[float]] = {}

    def vector_of(text: str) -> list[float]:
        words = [random.Random(word) for word in text.lower().split()]  # noqa: S311 - a choice, not a secret
        return [sum(word.gauss(0, 1) for word in words) for _ in range(WIDTH)]

    def change(request: Request, response: Response) -> Response:
        given, body = request.fields.get("input"), response.json
        texts = given if isinstance(given, list) else [given]
        if not response.succeeded or body is None or not all(isinstance(text, str) for text in texts):
            return response
        for item, text in zip(body["data"], texts, strict=True):
            vector = known.setdefault(text[:_MANY_LETTERS], vector_of(text))
            packed = base64.b64encode(struct.pack(f"<{WIDTH}f", *vector)).decode()
            item["embedding"] = packed if isinstance(item["embedding"], str) else vector
        return response.with_json(body)

    return change_responses(EMBEDDINGS, change)


_MANY_LETTERS = 255


def _all_alike(vectors: list[list[float]]) -> list[list[float]]:
    return [[1.0] * len(vector) for vector in vectors]


def _turn(_: Secrets) -> MiddlewareFactory:
    """Each vector is turned a little further than the one before it."""
    turns = count(1)

    def turn(vectors: list[list[float]]) -> list[list[float]]:
        return [[math.sin(number + 7 * next(turns)) for number in range(len(vector))] for vector in vectors]

    return change_vectors(EMBEDDINGS, turn)


def _is_alone(request: Request) -> bool:
    """Whether it embeds one text."""
    given = request.fields.get("input")
    return EMBEDDINGS(request) and (isinstance(given, str) or (isinstance(given, list) and len(given) == 1))


def _has_four_bytes(request: Request) -> bool:
    return EMBEDDINGS(request) and max(json.dumps(request.fields.get("input"), ensure_ascii=False)) > "\uffff"


def _in_bmp(body: bytes) -> bytes:
    return re.sub("[\U00010000-\U0010ffff]", "", body.decode(errors="replace")).encode()


def _as_latin_1(body: bytes) -> bytes:
    return body.decode("latin-1").encode()


_FEW_TEXTS = 8


def _holds_a_word(request: Request) -> bool:
    given = request.fields.get("input") if EMBEDDINGS(request) else None
    texts = given if isinstance(given, list) else [given]
    return any(isinstance(text, str) and len(text) < _SHORTEST for text in texts)


_SHORTEST = 5


FAULTS = (
    fault(
        "short-texts-not-embedded",
        "A text of fewer than five characters is refused, and all that are embedded beside it.",
        respond_with(_holds_a_word, error_response(400, "input is too short")),
        caught_by="embeddings.client_batch",
        breaks=("E1",),
    ),
    *(
        fault(
            name,
            description,
            change_requests(lambda request: EMBEDDINGS(request) and not request.body.isascii(), change),
            caught_by="embeddings.client_batch",
            breaks=("E1",),
        )
        for name, description, change in (
            (
                "embeddings-in-ascii",
                "A proxy passes texts to embed on in ASCII, with ? for other letters.",
                lose_letters,
            ),
            ("embeddings-without-emoji", "What takes four bytes in UTF-8 is taken out of texts to embed.", _in_bmp),
            ("embeddings-read-as-latin-1", "The UTF-8 of texts to embed is taken for Latin-1.", _as_latin_1),
        )
    ),
    fault(
        "embeddings-of-emoji-500",
        "Embeddings of a text with a character of four bytes in UTF-8 fail: the cache keeps three.",
        respond_with(_has_four_bytes, error_response(500, "Incorrect string value")),
        caught_by="embeddings.client_batch",
        breaks=("E1", "R1"),
    ),
    fault(
        "embeddings-of-lines-500",
        "Embeddings of a text with a line break fail: it goes on to the model line by line.",
        respond_with(
            lambda request: EMBEDDINGS(request) and "\\n" in json.dumps(request.fields.get("input")),
            error_response(500, "Expecting value"),
        ),
        caught_by="embeddings.client_batch",
        breaks=("E1", "R1"),
    ),
    fault(
        "embeddings-of-beginnings",
        "Of a text to embed the model gets the first 64 characters.",
        change_requests(EMBEDDINGS, _cut_texts),
        caught_by="embeddings.client_batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-cached-by-beginnings",
        "A cache knows a text to embed by its first 255 characters.",
        with_secrets(_cache_by_beginnings),
        caught_by="embeddings.client_batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-of-many-all-alike",
        "Where many texts are embedded, each gets the vector of the first.",
        change_vectors(EMBEDDINGS, lambda vectors: vectors[:1] * len(vectors) if len(vectors) > 10 else vectors),
        caught_by="embeddings.client_batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-of-many-end-in-zeros",
        "Where many texts are embedded, the last ones get vectors of zeros: their part of the batch was lost.",
        change_vectors(
            EMBEDDINGS,
            lambda vectors: [
                vector if place < _MOST_AT_ONCE else [0.0] * len(vector) for place, vector in enumerate(vectors)
            ],
        ),
        caught_by="embeddings.client_batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-500",
        "Embeddings fail with 500.",
        respond_with(EMBEDDINGS, error_response(500, "upstream failed")),
        caught_by="embeddings.batch",
        breaks=("E1", "K1"),
    ),
    fault(
        "embeddings-html",
        "Embeddings are answered with a web page and 200.",
        respond_with(EMBEDDINGS, web_page()),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-half-json",
        "An embedding answer ends in the middle of its JSON.",
        change_successes(EMBEDDINGS, lambda response: response.with_body(response.body[: len(response.body) // 2])),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-cut-short",
        "The connection ends in the middle of an embedding answer.",
        cut_off(EMBEDDINGS, after=40),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-name-provider-model",
        "An embedding answer names the provider's model.",
        change_json(EMBEDDINGS, lambda body: body.update(model=PROVIDER)),
        caught_by="embeddings.model_is_published",
        breaks=("E2",),
    ),
    fault(
        "embeddings-of-token-ids-name-provider-model",
        "Embeddings of token ids name a provider's model.",
        change_json(_has_tokens, lambda body: body.update(model=PROVIDER)),
        caught_by="answers.name_published",
        breaks=("E2",),
    ),
    fault(
        "embeddings-name-internal-model",
        "An embedding answer names the internal id of the agent.",
        change_json(EMBEDDINGS, lambda body: body.update(model=INTERNAL)),
        caught_by="embeddings.model_is_published",
        breaks=("E2",),
    ),
    fault(
        "embeddings-of-another-length-alone",
        "A text by itself embeds to a shorter vector than among others.",
        change_vectors(_is_alone, lambda vectors: [vector[:32] for vector in vectors]),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-of-another-model-alone",
        "A text by itself is embedded by another model than among others.",
        change_vectors(_is_alone, lambda vectors: [vector[::-1] for vector in vectors]),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-scaled-alone",
        "A text by itself embeds to a vector of length one, and not among others.",
        change_vectors(
            lambda request: EMBEDDINGS(request) and not _is_alone(request),
            lambda vectors: [[3 * number for number in vector] for vector in vectors],
        ),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-all-alike",
        "Every text embeds to the same vector.",
        change_vectors(EMBEDDINGS, _all_alike),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-never-alike",
        "The same text embeds to another vector each time.",
        with_secrets(_turn),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-swapped",
        "The vectors of a batch come back in another order than the texts.",
        change_vectors(EMBEDDINGS, lambda vectors: [*vectors[1:], vectors[0]]),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-left-in-order-of-length",
        "The texts of a batch are embedded in the order of their length, and their vectors are left in that order.",
        change_responses(EMBEDDINGS, _leave_in_order_of_length),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-blurred-by-others",
        "A vector is mixed with those of the texts before it, more with each of many.",
        change_vectors(EMBEDDINGS, _blur),
        caught_by="embeddings.client_batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-of-many-by-another-model",
        "Many texts are embedded by another model than few, with as many dimensions.",
        change_vectors(lambda request: _count(request) > _FEW, lambda vectors: [one[::-1] for one in vectors]),
        caught_by="embeddings.client_batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-of-lists-of-one-shorter",
        "A list of one text is embedded by a model of fewer dimensions than a string, or several texts.",
        change_vectors(lambda request: _count(request) == 1, lambda vectors: [one[: WIDTH // 2] for one in vectors]),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-of-several-all-zeros",
        "Several texts embed to zeros, one to a vector.",
        change_vectors(lambda request: _count(request) > 1, _zeros),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "floats-by-another-model",
        "Where encoding_format is float, another model embeds.",
        change_vectors(_asks_for_floats, lambda vectors: [one[::-1] for one in vectors]),
        caught_by="embeddings.base64",
        breaks=("E1", "E3"),
    ),
    fault(
        "embeddings-parts-swapped",
        "Many texts are embedded in parts, whose vectors are put together in another order.",
        change_vectors(EMBEDDINGS, lambda vectors: [*vectors[32:], *vectors[:32]]),
        caught_by="embeddings.client_batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-of-many-shorter",
        "Many texts are embedded by another model, whose vectors are shorter.",
        change_vectors(
            EMBEDDINGS, lambda vectors: [vector[:32] for vector in vectors] if len(vectors) > _FEW_TEXTS else vectors
        ),
        caught_by="embeddings.client_batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-of-two-lengths",
        "The vectors of a batch differ in length.",
        change_vectors(EMBEDDINGS, lambda vectors: [vector[: 64 - place % 3] for place, vector in enumerate(vectors)]),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-one-missing",
        "The last text of a batch gets no vector.",
        change_json(EMBEDDINGS, lambda body: body.update(data=body["data"][:-1])),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-without-model",
        "An embedding answer names no model, without which Dify saves no embedding model.",
        change_json(EMBEDDINGS, lambda body: body.pop("model")),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-as-plain-text",
        "An embedding answer is sent as text/plain, which OpenAI's SDK for JavaScript does not parse.",
        change_successes(EMBEDDINGS, lambda response: response.with_header("content-type", "text/plain")),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-without-usage",
        "An embedding answer has no usage, without which Dify saves no embedding model.",
        change_json(EMBEDDINGS, lambda body: body.pop("usage")),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "base64-as-floats",
        "encoding_format base64 is answered with floats, which n8n and Flowise take for other vectors.",
        change_json(EMBEDDINGS, _unpack),
        caught_by="embeddings.base64",
        breaks=("E4",),
    ),
    fault(
        "base64-of-a-string-as-floats",
        "A string by itself embeds as floats where base64 is asked for, as LangChain.js asks for a question's vector.",
        change_json(_asks_for_base64_of_a_string, _unpack),
        caught_by="embeddings.base64",
        breaks=("E4",),
    ),
    fault(
        "base64-of-a-string-refused",
        "A string by itself is refused where base64 is asked for, which is what OpenAI's SDKs send for one text.",
        respond_with(_asks_for_base64_of_a_string, error_response(400, "input must be a list.")),
        caught_by="embeddings.base64",
        breaks=("E3",),
    ),
    fault(
        "embeddings-of-strings-by-another-model",
        "A text that is given as a string gets another vector than in a list: another model makes it.",
        change_vectors(_gives_a_string, lambda vectors: [vector[::-1] for vector in vectors]),
        caught_by="embeddings.base64",
        breaks=("E3",),
    ),
    fault(
        "embeddings-not-finite",
        "A vector holds values that are no finite numbers.",
        change_vectors(EMBEDDINGS, lambda vectors: [[math.nan] * len(vector) for vector in vectors]),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "base64-big-endian",
        "Vectors as base64 have their bytes in the wrong order.",
        change_vectors(_asks_for_base64, lambda vectors: vectors, order=">"),
        caught_by="embeddings.base64",
        breaks=("E4",),
    ),
    fault(
        "base64-of-another-length",
        "Vectors as base64 are three times those of numbers: only one of the two is made a unit vector.",
        change_vectors(_asks_for_base64, lambda vectors: [[3 * one for one in vector] for vector in vectors]),
        caught_by="embeddings.base64",
        breaks=("E4",),
    ),
    fault(
        "base64-unasked",
        "Vectors are base64 where the request names no encoding, which LiteLLM and Open WebUI do not decode.",
        change_requests(_names_no_encoding, _ask_for_base64),
        caught_by="embeddings.batch",
        breaks=("E1", "E3"),
    ),
    fault(
        "base64-half-length",
        "Vectors as base64 are half as long as those of numbers.",
        change_vectors(_asks_for_base64, lambda vectors: [vector[:32] for vector in vectors]),
        caught_by="embeddings.base64",
        breaks=("E4",),
    ),
    fault(
        "base64-for-addresses",
        "Vectors as base64 are in the alphabet that is for URLs.",
        change_json(_asks_for_base64, _encode_for_addresses),
        caught_by="embeddings.base64",
        breaks=("E4",),
    ),
    fault(
        "base64-refused",
        "encoding_format base64 is refused.",
        respond_with(_asks_for_base64, error_response(400, "encoding_format must be float.")),
        caught_by="embeddings.base64",
        breaks=("E4",),
    ),
    fault(
        "floats-refused",
        "encoding_format float is refused.",
        respond_with(_asks_for_floats, error_response(400, "encoding_format must be base64.")),
        caught_by="embeddings.base64",
        breaks=("E3",),
    ),
    fault(
        "embeddings-of-one-string-refused",
        "Input that is a string and no list is refused, with which Dify tries a model.",
        respond_with(
            lambda request: EMBEDDINGS(request) and isinstance(request.fields.get("input"), str),
            error_response(422, "input: Input should be a valid list"),
        ),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "embeddings-with-a-user-refused",
        "Embeddings with the field user, which Dify sends, are refused.",
        respond_with(
            lambda request: EMBEDDINGS(request) and "user" in request.fields,
            error_response(422, "user: Extra inputs are not permitted"),
        ),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "token-ids-in-64-bits",
        "Vectors of token ids come in base64 as numbers of 64 bits.",
        change_json(lambda request: _has_tokens(request) and _asks_for_base64(request), _pack_in_64_bits),
        caught_by="embeddings.token_ids",
        breaks=("E4",),
    ),
    fault(
        "embeddings-of-first-lines",
        "Of each text the first line alone is embedded.",
        change_requests(EMBEDDINGS, _keep_first_lines),
        caught_by="embeddings.client_batch",
        breaks=("E1",),
    ),
    fault(
        "token-ids-refused",
        "Input as lists of token ids is refused.",
        respond_with(_has_tokens, error_response(422, "input: texts are expected.")),
        caught_by="embeddings.token_ids",
        breaks=("R1",),
    ),
    fault(
        "token-ids-refused-unversioned",
        "By the un-versioned path, which clients call, input as lists of token ids is refused.",
        respond_with(_has_tokens_unversioned, error_response(422, "input: texts are expected.")),
        caught_by="embeddings.token_ids",
        breaks=("R1",),
    ),
    fault(
        "token-ids-unversioned-name-provider-model",
        "By the un-versioned path, which clients call, embeddings of token ids name a provider's model.",
        change_json(_has_tokens_unversioned, lambda body: body.update(model=PROVIDER)),
        caught_by="answers.name_published",
        breaks=("E2",),
    ),
    fault(
        "token-ids-of-zeros",
        "Every list of token ids embeds to zeros.",
        change_vectors(_has_tokens, _zeros),
        caught_by="embeddings.token_ids",
        breaks=("E1", "R1"),
    ),
    fault(
        "token-ids-all-alike",
        "Every list of token ids embeds to the same vector.",
        change_vectors(_has_tokens, _all_alike),
        caught_by="embeddings.token_ids",
        breaks=("R1",),
    ),
    fault(
        "embeddings-in-reverse",
        "The vectors of a request come in the reverse order of its texts.",
        change_vectors(EMBEDDINGS, lambda vectors: vectors[::-1]),
        caught_by="embeddings.client_batch",
        breaks=("E1", "R1"),
    ),
    fault(
        "embeddings-of-the-first-text",
        "Each text of a request gets the vector of the first.",
        change_vectors(EMBEDDINGS, lambda vectors: vectors[:1] * len(vectors)),
        caught_by="embeddings.batch",
        breaks=("E1",),
    ),
    fault(
        "token-ids-one-text-each",
        "Of lists of token ids each id of the first is embedded as a text.",
        change_requests(_has_tokens, _spell_out_tokens),
        caught_by="embeddings.token_ids",
        breaks=("R1", "E1"),
    ),
)
