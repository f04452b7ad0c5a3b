"""A valid request for each route: frugal, and the same wherever the same is asked, so that it is sent once."""

import base64
import io
import json
import math
import struct
import wave
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import Any, assert_never
from urllib.parse import quote

from gt_conformance.checks._uploads import Kind, file_part
from gt_conformance.checks._words import ACCENTED, mark, say_word, word_of
from gt_conformance.exchange import FilePart, Presentation, Request
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import CONVERSATION_HEADER, Modality, Route

ONE_WORD = "Reply with the word ok."
TEXTS = ("The harbour froze in January.", "Interest rates rose by two percent.", "The harbour froze in January.")
MADE_UP_ID = "gt-conformance-no-such-id"
MALFORMED_ID = "gt-conformance no such id; ../%00'"


def get(tenant: Tenant, path: str, key: str | None, *, headers: Mapping[str, str] | None = None) -> Request:
    """A GET below the base URL."""
    return Request("GET", tenant.base_url + path, key, headers=tuple((headers or {}).items()))


def chat(
    tenant: Tenant,
    key: str | None,
    messages: Sequence[Mapping[str, Any]] | str = ONE_WORD,
    *,
    conversation: str | None = None,
    model: str | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Request:
    """A chat completion; a text stands for one user message. ``fields`` are further fields of the body."""
    listed = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
    content = {"model": model or tenant.model(Modality.CHAT), "messages": listed, **(fields or {})}
    headers = {CONVERSATION_HEADER: conversation} if conversation else None
    return Request.of_json("POST", tenant.base_url + Route.CHAT.path, key, content, headers=headers)


def embeddings(
    tenant: Tenant,
    key: str | None,
    given: Any = TEXTS,
    *,
    encoding_format: str = "none",
    model: str | None = None,
    fields: tuple[tuple[str, Any], ...] = (),
) -> Request:
    """Embeddings of texts or of lists of token ids. ``fields`` are further fields of the body."""
    body: dict[str, Any] = {"model": model or tenant.model(Modality.EMBEDDINGS), "input": given, **dict(fields)}
    if encoding_format != "none":
        body["encoding_format"] = encoding_format
    return Request.of_json("POST", tenant.base_url + Route.EMBEDDINGS.path, key, body)


def transcription(
    tenant: Tenant,
    key: str | None,
    *,
    model: str | None = None,
    with_file: bool = True,
    sound: bytes | None = None,
    fields: Mapping[str, str] | None = None,
) -> Request:
    """A transcription of a sound; left out, of a short tone in the key's own pitch. ``fields`` are more of the form."""
    named = {"model": model or tenant.model(Modality.TRANSCRIPTION), **(fields or {})}
    parts = [FilePart(name, value.encode()) for name, value in named.items()]
    if with_file:
        parts.insert(0, FilePart("file", sound or short_wav(key), "gt-conformance.wav", "audio/wav"))
    return Request("POST", tenant.base_url + Route.TRANSCRIPTIONS.path, key, parts=tuple(parts))


SAME_IN_EACH_RUN = TEXTS[1]
"""What every run embeds, so that what it gives can be compared with what it gave to an earlier one."""


def texts(run_id: str, key: str | None) -> list[str]:
    """Three texts to be embedded, the last of which is the first again; all but one are this run's and key's."""
    return [text if text == SAME_IN_EACH_RUN else mark(text, run_id, key) for text in TEXTS]


def spoken(run_id: str, key: str | None, word: str = "ok") -> str:
    """A word to be spoken, with a part of the code word: each second of speech costs."""
    return f"{word} {word_of(run_id, key)[-4:]}"


def drawn(run_id: str, key: str | None, colour: str = "grey") -> str:
    """The prompt of an image."""
    return mark(f"A plain {colour} square.", run_id, key)


def speech(
    tenant: Tenant,
    key: str | None,
    text: str = "ok",
    *,
    model: str | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Request:
    """A text to be spoken; voice and format are left to the agent's defaults unless ``fields`` name them."""
    body = {"model": model or tenant.model(Modality.SPEECH), "input": text, **(fields or {})}
    return Request.of_json("POST", tenant.base_url + Route.SPEECH.path, key, body)


def image(
    tenant: Tenant,
    key: str | None,
    prompt: str = "A plain grey square.",
    *,
    model: str | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Request:
    """An image; size, number and form are left to the tenant unless ``fields`` name them."""
    body = {"model": model or tenant.model(Modality.IMAGE), "prompt": prompt, **(fields or {})}
    return Request.of_json("POST", tenant.base_url + Route.IMAGES.path, key, body)


def conversation(
    tenant: Tenant, key: str | None, run_id: str, *, model: str | None = None, titled: bool = True
) -> Request:
    """A GT conversation named after the run, with a letter beyond ASCII, or without a title."""
    body = {"model": model or tenant.model(Modality.CHAT)}
    if titled:
        body["title"] = mark(f"gt-conformance-{run_id} {ACCENTED}", run_id, key)
    return Request.of_json("POST", f"{tenant.base_url}/v1/conversations", key, body, creates=True)


def upload(  # noqa: PLR0913 - one argument for each part of the form
    tenant: Tenant,
    path: str,
    key: str | None,
    run_id: str,
    *,
    kind: Kind = Kind.TEXT,
    conversation_id: str | None = None,
    purpose: str | None = None,
    plainly: bool = False,
) -> Request:
    """A small file, named after the run, to an upload route."""
    parts = [file_part(kind, run_id, key, path, plainly=plainly)]
    if purpose is not None:
        parts.append(FilePart("purpose", purpose.encode()))
    headers = ((CONVERSATION_HEADER, conversation_id),) if conversation_id is not None else ()
    return Request("POST", tenant.base_url + path, key, headers=headers, parts=tuple(parts), creates=True)


def valid(  # noqa: PLR0911 - one request for each route
    tenant: Tenant,
    route: Route,
    key: str | None,
    run_id: str,
    *,
    file_id: str = MADE_UP_ID,
    conversation_id: str | None = None,
    model: str | None = None,
) -> Request:
    """A request that this route accepts from a key that may use it; read-only, to a dataset that nobody has."""
    match route:
        case Route.MODELS:
            return get(tenant, route.path, key)
        case Route.CHAT:
            return chat(tenant, key, say_word(run_id, key), model=model)
        case Route.EMBEDDINGS:
            return embeddings(tenant, key, texts(run_id, key)[:1], model=model)
        case Route.TRANSCRIPTIONS:
            return transcription(tenant, key, model=model)
        case Route.SPEECH:
            return speech(tenant, key, spoken(run_id, key), model=model)
        case Route.IMAGES:
            return image(tenant, key, drawn(run_id, key), model=model)
        case Route.CONVERSATION_FILES:
            return upload(tenant, route.path, key, run_id, conversation_id=conversation_id or MADE_UP_ID)
        case Route.DATASET_FILES:
            dataset = None if tenant.read_only else tenant.dataset
            return upload(tenant, dataset_path(dataset or MADE_UP_ID), key, run_id)
        case Route.FILE_STATUS:
            return get(tenant, status_path(file_id), key)
        case _:
            assert_never(route)


def dataset_path(dataset: str) -> str:
    """The upload route of a dataset."""
    return Route.DATASET_FILES.path.replace("{id}", quote(dataset, safe=""))


def status_path(file_id: str) -> str:
    """The route that gives a file's state."""
    return Route.FILE_STATUS.path.replace("{id}", quote(file_id, safe=""))


def alias_path(file_id: str) -> str:
    """The documented alias of the route that gives a file's state."""
    return f"/v1/uploads/{quote(file_id, safe='')}"


def present(request: Request, presentation: Presentation, key: str | None) -> Request:
    """The same request with the key presented in another way."""
    return replace(request, key=key, presentation=presentation)


def with_fields(request: Request, fields: Mapping[str, Any]) -> Request:
    """The same request with further fields of its form, or of its JSON body."""
    if request.parts:
        more = (FilePart(name, str(value).encode()) for name, value in fields.items())
        return replace(request, parts=(*request.parts, *more))
    body = json.dumps({**json.loads(request.body), **fields}, ensure_ascii=False, separators=(",", ":"))
    return replace(request, body=body.encode())


def without_fields(request: Request, names: Container[str]) -> Request:
    """The same request without these fields of its form, or of its JSON body."""
    if request.parts:
        return replace(request, parts=tuple(part for part in request.parts if part.name not in names))
    kept = {name: value for name, value in json.loads(request.body).items() if name not in names}
    return replace(request, body=json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode())


def as_sent_by(headers: tuple[tuple[str, str], ...], request: Request) -> Request:
    """The same request with the headers of a client that was measured; one that was not takes compressed answers.

    A coding that this suite cannot decode is not asked for, so that a tenant which uses it for such clients is not
    held to what nobody here can read.
    """
    if not headers:
        return compressible(request)
    sent = tuple((name, _decodable(value) if name.lower() == "accept-encoding" else value) for name, value in headers)
    return replace(request, headers=(*request.headers, *sent))


def _decodable(codings: str) -> str:
    """A value of Accept-Encoding without the codings that this suite does not decode."""
    named = [one.strip() for one in codings.split(",")]
    kept = [one for one in named if one.partition(";")[0].strip().lower() in _DECODABLE]
    return ", ".join(kept) or "identity"


_DECODABLE = frozenset({"gzip", "x-gzip", "deflate", "identity"})


def in_chunks(request: Request) -> Request:
    """The same request with its body in chunks and without a length, as clients send what they write as they go."""
    return replace(request, headers=(*request.headers, ("Transfer-Encoding", "chunked")))


def compressible(request: Request) -> Request:
    """The same request, from a client that takes a compressed answer, as every HTTP library does by default."""
    return replace(request, headers=(*request.headers, ("Accept-Encoding", "gzip, deflate")))


@cache
def short_wav(key: str | None = None, *, rate: int = 8_000, seconds: float = 0.5) -> bytes:
    """Half a second of a quiet tone: mono, 16 bit, 8 kHz; small, since gateways limit what they take.

    It is of another pitch for each key, so that no two of them send the same.
    """
    pitch = 440 + (sha256(key.encode()).digest()[0] if key else 0)
    count, steps = int(rate * seconds), rate // 20
    period = [int(4_000 * math.sin(2 * math.pi * step / steps)) for step in range(steps)]
    samples = [period[pitch * n // 20 % steps] for n in range(count)]
    target = io.BytesIO()
    with wave.open(target, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(struct.pack(f"<{count}h", *samples))
    return target.getvalue()


def longer_wav(key: str | None) -> bytes:
    """A second of it as recorders make it, at 48 kHz: of a hundred kilobytes, as what people say."""
    return short_wav(key, rate=48_000, seconds=1)


def floats(vector: Any) -> list[float]:
    """An embedding as numbers: a list as it is, or base64 of little-endian float32. Raises ValueError."""
    if isinstance(vector, list):
        try:
            return [float(number) for number in vector]
        except OverflowError as error:
            raise ValueError("it holds a whole number that is beyond what a float can be") from error
    data = base64.b64decode(vector, validate=True)
    if not data or len(data) % 4:
        raise ValueError(f"its length of {len(data)} is not a whole number of float32 values")
    return list(struct.unpack(f"<{len(data) // 4}f", data))
