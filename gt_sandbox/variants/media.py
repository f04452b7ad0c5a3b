"""Variants of embeddings, audio and images: other lengths, other formats, other ways to return them."""

import base64
import itertools
import json
import math
import random
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

from gt_sandbox.middleware import (
    EMBEDDINGS,
    IMAGES,
    SPEECH,
    TRANSCRIPTIONS,
    Call,
    MiddlewareFactory,
    Request,
    Response,
    Secrets,
    change_headers,
    change_json,
    change_requests,
    change_responses,
    change_successes,
    change_vectors,
    combine,
    error_response,
    per_call,
    refuse,
    with_secrets,
)
from gt_sandbox.variants._variant import variant

_ANY_VECTOR = "OpenAI API reference: a vector is a list of numbers, whose length depends on the model"
_READS = "checks: no page says how much a model reads"
_ANY_FORMAT = "GT API reference: the format may be left to the agent's default"
_MP3 = b"ID3\x04\0\0\0\0\0\0" + b"\xff\xfb\x90\x64" + bytes(413)
_OGG = b"OggS\0\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0"
_FLAC = b"fLaC\x80\0\0\x22" + bytes(34)
_JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xd9"
_OBJECTS = frozenset({400, 422})
_PICTURE = "/pictures/1.jpg"
_SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8"/></svg>\n'
_WEBP = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0"


def _change_each(change: Callable[[list[float]], Sequence[float]]) -> MiddlewareFactory:
    """Other vectors, in either encoding."""
    return change_vectors(EMBEDDINGS, lambda vectors: [change(vector) for vector in vectors])


def _read(change: Callable[[str], str]) -> MiddlewareFactory:
    """The model reads something else of each text to embed."""

    def change_texts(body: bytes) -> bytes:
        fields = json.loads(body)
        given = fields.get("input")
        if isinstance(given, list):
            fields["input"] = [change(one) if isinstance(one, str) else one for one in given]
        elif isinstance(given, str):
            fields["input"] = change(given)
        return json.dumps(fields).encode()

    return change_requests(EMBEDDINGS, change_texts)


_TOKEN = re.compile(r"\s*(?:\w{1,6}|[^\w\s])")
"""Somewhat like the pieces in which models read a text."""
_PAGE, _FEW_TOKENS, _SENTENCE = 500, 32, 64


def _is_long(request: Request) -> bool:
    given = request.fields.get("input") if EMBEDDINGS(request) else ()
    texts = given if isinstance(given, list) else [given]
    return any(isinstance(one, str) and len(_TOKEN.findall(one)) > _SENTENCE for one in texts)


def _jitter(_: Secrets) -> MiddlewareFactory:
    """Each vector is another one each time, near to what it was: the cosine of both is 0.98."""
    chance = random.Random(1)  # noqa: S311 - a choice, not a secret

    def change(vectors: list[list[float]]) -> list[list[float]]:
        return [[number + chance.gauss(0, 0.14 / math.sqrt(len(one))) for number in one] for one in vectors]

    return change_vectors(EMBEDDINGS, change)


def _move_by_what_is_beside(vectors: list[list[float]]) -> list[list[float]]:
    """Among others, each vector is a little off, by how many they are: the cosine of both is 0.998."""
    if len(vectors) == 1:
        return vectors
    return [[number + 0.01 * math.sin(at + len(vectors)) for at, number in enumerate(one)] for one in vectors]


def _widen(vector: list[float]) -> list[float]:
    """1,536 numbers, of length one."""
    times = 1536 // len(vector)
    return [number / math.sqrt(times) for _ in range(times) for number in vector]


def _vary(secrets: Secrets) -> MiddlewareFactory:
    """The last digits differ from answer to answer, as they do from one machine to the next."""
    del secrets
    answers = itertools.count(1)

    def change(vectors: list[list[float]]) -> list[list[float]]:
        phase = next(answers)
        return [[number + 1e-3 * math.sin(phase * place) for place, number in enumerate(one)] for one in vectors]

    return change_vectors(EMBEDDINGS, change)


def _speak(sound: bytes, content_type: str) -> MiddlewareFactory:
    return change_successes(SPEECH, lambda response: response.with_body(sound, content_type))


def _draw(**item: object) -> MiddlewareFactory:
    return change_json(IMAGES, lambda body: body.update(data=[item]))


def _give_address(request: Request, response: Response) -> Response:
    """An address on the tenant's own host in place of the image."""
    if not response.succeeded:
        return response
    return response.with_json({"created": 1, "data": [{"url": f"http://{request.header('host')}{_PICTURE}"}]})


def _break_lines(body: Any) -> None:
    for item in body["data"]:
        encoded = item["b64_json"]
        item["b64_json"] = "\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))


def _of_samples(response: Response, content_type: str) -> Response:
    return response.with_body(response.body[44:], content_type)


def _speak_mp3_unversioned(request: Request, response: Response) -> Response:
    if not response.succeeded or "/v1/" in request.path:
        return response
    return response.with_body(_MP3 + response.body[44:], "audio/mpeg")


def _show_late(_: Secrets) -> MiddlewareFactory:
    """The picture is there when it is asked for the second time."""
    asked = itertools.count()

    @per_call
    async def show(call: Call) -> None:
        if call.request.path != _PICTURE:
            await call.forward()
        elif next(asked) == 0:
            await call.respond(error_response(404, "There is no such image."))
        else:
            await call.respond(Response(200, (("content-type", "image/jpeg"),), _JPEG))

    return show


def _open_length(response: Response) -> Response:
    body, unknown = response.body, b"\xff" * 4
    at = body.find(b"data") + 4
    return response.with_body(body[:4] + unknown + body[8:at] + unknown + body[at + 4 :])


def _speak_alike(response: Response, sound: bytes = bytes(1600)) -> Response:
    head = struct.pack(
        "<4sI8sIHHIIHH4sI", b"RIFF", 36 + len(sound), b"WAVEfmt ", 16, 1, 1, 8000, 16000, 2, 16, b"data", len(sound)
    )
    return response.with_body(head + sound)


def _hum(request: Request, response: Response) -> Response:
    """A tone that is as long as the text."""
    tone = b"".join(struct.pack("<h", 8000 if at % 20 < _HALF else -8000) for at in range(20))
    length = len(str(request.fields.get("input")))
    return _speak_alike(response, tone * 5 * length) if response.succeeded else response


_HALF = 10


def _hide_audio_type(headers: dict[str, str]) -> dict[str, str]:
    if not headers["content-type"].startswith("audio/"):
        return headers
    return {**headers, "content-type": "application/octet-stream"}


def _add_segments(body: Any) -> None:
    usage = {"type": "duration", "seconds": 1}
    body.update(task="transcribe", language="english", duration=1.0, segments=[], words=None, usage=usage)


def _add_description(body: Any) -> None:
    usage = {"input_tokens": 5, "input_tokens_details": {"text_tokens": 5, "image_tokens": 0}, "output_tokens": 4}
    body.update(background="opaque", output_format="png", quality="low", size="64x64")
    body["usage"] = usage | {"total_tokens": 9}
    body["data"][0].setdefault("url", None)
    body["data"][0]["revised_prompt"] = "A plain grey square."


def _is_image_without_prompt(request: Request) -> bool:
    return IMAGES(request) and "prompt" not in request.fields


VARIANTS = (
    variant(
        "images-without-a-prompt-500",
        "An image without a prompt fails with 500.",
        change_responses(
            _is_image_without_prompt,
            lambda _, response: error_response(500, "prompt is None") if response.status in _OBJECTS else response,
        ),
        permitted_by="checks: no page says how a wrong request is refused",
    ),
    variant(
        "embeddings-index-always-0",
        "Every vector of a batch has index 0.",
        change_json(EMBEDDINGS, lambda body: [item.update(index=0) for item in body["data"]]),
        permitted_by="checks: every client that was measured takes vectors as they come",
        alters="embeddings_index",
    ),
    variant(
        "speech-of-another-type",
        "Speech is sent as text/plain.",
        change_successes(SPEECH, lambda response: response.with_body(response.body, "text/plain")),
        permitted_by="checks: no page names the content type of speech",
        alters="speech",
    ),
    variant(
        "image-in-lines",
        "The base64 of an image has line breaks, as MIME has it.",
        change_json(IMAGES, _break_lines),
        permitted_by="RFC 2045, 6.8; every client that was measured leaves them out",
        alters="image",
    ),
    variant(
        "speech-of-unknown-length",
        "Speech is a WAV whose header leaves its length open, as of a stream.",
        change_successes(SPEECH, _open_length),
        permitted_by="OpenAI API reference: speech may be streamed",
        alters="speech",
    ),
    variant(
        "embeddings-1536",
        "Vectors have 1,536 numbers.",
        _change_each(_widen),
        permitted_by=_ANY_VECTOR,
        alters="vectors",
    ),
    variant(
        "embeddings-of-4096-integers",
        "Vectors have 4,096 numbers, which are integers from -127 to 127.",
        _change_each(lambda numbers: [round(number * 127) for number in numbers] * 64),
        permitted_by=_ANY_VECTOR,
        alters="vectors json-text",  # a hundred such vectors, each letter escaped, are longer than a run reads
    ),
    variant(
        "embeddings-by-what-is-beside",
        "A vector is a little off where other texts are in the request, as integers by one scale for all have it.",
        change_vectors(EMBEDDINGS, _move_by_what_is_beside),
        permitted_by=_READS,
        alters="vectors",
    ),
    variant(
        "embeddings-of-small-numbers",
        "The numbers of vectors are millionths.",
        _change_each(lambda numbers: [number / 1e6 for number in numbers]),
        permitted_by=_ANY_VECTOR,
        alters="vectors",
    ),
    variant(
        "embeddings-not-of-length-one",
        "Vectors are of any length.",
        _change_each(lambda numbers: [7 * number for number in numbers]),
        permitted_by=_ANY_VECTOR,
        alters="vectors",
    ),
    variant(
        "embeddings-vary-a-little",
        "The same text embeds to a vector whose last digits differ each time.",
        with_secrets(_vary),
        permitted_by="GT client runbooks (dify), Validation checklist: knowledge features go on; no digit is promised",
        alters="vectors",
    ),
    variant(
        "embeddings-rounded",
        "Vectors are rounded to four digits.",
        _change_each(lambda numbers: [round(number, 4) for number in numbers]),
        permitted_by=_ANY_VECTOR,
        alters="vectors",
    ),
    variant(
        "embeddings-of-500-characters",
        "The model behind embeddings reads the first 500 characters of a text.",
        _read(lambda text: text[:_PAGE]),
        permitted_by=_READS,
        alters="texts",
    ),
    variant(
        "embeddings-of-32-tokens",
        "The model behind embeddings reads the first 32 tokens of a text.",
        _read(lambda text: "".join(_TOKEN.findall(text)[:_FEW_TOKENS])),
        permitted_by=_READS,
        alters="texts",
    ),
    variant(
        "embeddings-without-digits",
        "The model behind embeddings reads no digits.",
        _read(lambda text: re.sub(r"\d", "", text)),
        permitted_by=_READS,
        alters="texts",
    ),
    variant(
        "embeddings-of-known-words",
        "The model behind embeddings reads words, and takes those with digits in them for one unknown word.",
        _read(lambda text: re.sub(r"\b(?=[a-z]*\d)[a-z0-9]{8,}\b", "[UNK]", text)),
        permitted_by=_READS,
        alters="texts",
    ),
    variant(
        "embeddings-of-words-alone",
        "The model behind embeddings reads letters and digits; whatever else there is parts words, emoji too.",
        _read(lambda text: " ".join(re.findall(r"\w+", text)) or text),
        permitted_by=_READS,
        alters="texts",
    ),
    variant(
        "embeddings-refuse-100-tokens",
        "The model behind embeddings reads 64 tokens of a text, and refuses one that has more.",
        refuse(
            _is_long,
            error_response(400, "This model's maximum context length is 64 tokens.", code="context_length_exceeded"),
        ),
        permitted_by=_READS,
        lacks="is longer than it reads",
    ),
    variant(
        "embeddings-jitter",
        "The same text embeds to a vector that is only near to the last one, as coarse rounding has it.",
        with_secrets(_jitter),
        permitted_by="GT client runbooks (dify), Validation checklist: knowledge features go on; no digit is promised",
        alters="vectors",
    ),
    variant(
        "embeddings-close-together",
        "The vectors of any two texts have a cosine of 0.9995, as some models give them.",
        _change_each(lambda numbers: [number + 45 / math.sqrt(len(numbers)) for number in numbers]),
        permitted_by=_ANY_VECTOR,
        alters="vectors",
    ),
    variant(
        "embeddings-in-another-order",
        "The last vector comes first, under its index.",
        change_json(EMBEDDINGS, lambda body: body["data"].reverse()),
        permitted_by="OpenAI API reference: index gives the position",
        alters="embeddings_index",
    ),
    variant("speech-mp3", "Speech is MP3.", _speak(_MP3, "audio/mpeg"), permitted_by=_ANY_FORMAT, alters="speech"),
    variant(
        "speech-ogg",
        "Speech is Opus in Ogg.",
        _speak(_OGG, "audio/ogg; codecs=opus"),
        permitted_by=_ANY_FORMAT,
        alters="speech",
    ),
    variant("speech-flac", "Speech is FLAC.", _speak(_FLAC, "audio/flac"), permitted_by=_ANY_FORMAT, alters="speech"),
    variant(
        "speech-of-a-telephone",
        "Speech is samples in A-law without a header.",
        change_responses(
            SPEECH, lambda _, response: _of_samples(response, "audio/PCMA") if response.succeeded else response
        ),
        permitted_by=_ANY_FORMAT + "; RFC 4856",
        alters="speech",
    ),
    variant(
        "speech-of-bytes-without-a-header",
        "Speech is samples without a header, under the content type of any bytes.",
        change_successes(SPEECH, lambda response: _of_samples(response, "application/octet-stream")),
        permitted_by=_ANY_FORMAT,
        alters="speech",
    ),
    variant(
        "speech-in-another-format-unversioned",
        "Speech is MP3 by the un-versioned address, and a WAV by the other.",
        change_responses(SPEECH, _speak_mp3_unversioned),
        permitted_by=_ANY_FORMAT,
        alters="speech",
    ),
    variant(
        "image-svg",
        "Images are SVG.",
        _draw(b64_json=base64.b64encode(_SVG).decode()),
        permitted_by="checks: no page names the format of an image",
        alters="image",
    ),
    variant(
        "image-jpeg-xl",
        "Images are JPEG XL.",
        _draw(b64_json=base64.b64encode(b"\xff\x0a" + bytes(60)).decode()),
        permitted_by="checks: no page names the format of an image",
        alters="image",
    ),
    variant(
        "image-urls-appear-late",
        "Images are addresses of the tenant, which has nothing there at first.",
        combine(
            with_secrets(_show_late),
            change_responses(IMAGES, _give_address),
        ),
        permitted_by="GT API reference: no time is promised",
        alters="image",
    ),
    variant(
        "speech-rf64",
        "Speech is a WAVE file of the form for any size.",
        _speak(b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0" + bytes(28), "audio/wav"),
        permitted_by=_ANY_FORMAT + "; EBU Tech 3306",
        alters="speech",
    ),
    variant(
        "speech-raw",
        "Speech is samples without a header.",
        _speak(bytes(range(256)) * 4, "audio/pcm"),
        permitted_by="OpenAI API reference: response_format pcm",
        alters="speech",
    ),
    variant(
        "speech-of-bytes",
        "Speech has the content type of any bytes.",
        change_headers(_hide_audio_type, SPEECH),
        permitted_by="OpenAI API reference: the answer is the audio file's content",
        alters="speech",
    ),
    variant(
        "transcription-verbose",
        "A transcription has language, duration and segments.",
        change_json(TRANSCRIPTIONS, _add_segments),
        permitted_by="OpenAI API reference: verbose_json; GT API reference: extra fields anywhere",
    ),
    variant(
        "models-of-sound-stand-in",
        "Every text is the same sound, and every recording the same words: the models stand in for real ones.",
        combine(
            change_successes(SPEECH, _speak_alike),
            change_json(TRANSCRIPTIONS, lambda body: body.update(text="Thank you.")),
        ),
        permitted_by="checks: what a model says, and hears, is the model's",
        alters="speech transcription",
    ),
    variant(
        "models-of-sound-hum",
        "Every text is a tone as long as the text, and every recording the same words, as stand-ins of models give.",
        combine(
            change_responses(SPEECH, _hum),
            change_json(TRANSCRIPTIONS, lambda body: body.update(text="Thank you.")),
        ),
        permitted_by="checks: what a model says, and hears, is the model's",
        alters="speech transcription",
    ),
    variant(
        "transcription-of-nothing",
        "A tone is transcribed as no words.",
        change_json(TRANSCRIPTIONS, lambda body: body.update(text="")),
        permitted_by="checks: a string text; what a model hears in a tone is the model's",
        alters="transcription",
    ),
    variant(
        "image-urls",
        "Images are addresses.",
        _draw(url="https://images.acme.example/1.png?signature=x"),
        permitted_by="OpenAI API reference: url or b64_json",
        alters="image",
    ),
    variant(
        "image-urls-of-the-tenant",
        "Images are addresses of the tenant, which gives them to anybody.",
        combine(
            refuse(lambda request: request.path == _PICTURE, Response(200, (("content-type", "image/jpeg"),), _JPEG)),
            change_responses(IMAGES, _give_address),
        ),
        permitted_by="OpenAI API reference: url or b64_json",
        alters="image",
    ),
    variant(
        "speech-format-refused",
        "Speech is in one format, and a request for another is refused by its name.",
        refuse(
            lambda request: SPEECH(request) and "response_format" in request.fields,
            error_response(400, "response_format is not supported.", "invalid_request_error"),
        ),
        permitted_by="GT API reference: the format may be left to the agent's default",
        alters="speech",
    ),
    variant(
        "speech-own-voices",
        "The tenant has voices of its own.",
        refuse(
            lambda request: SPEECH(request) and "voice" in request.fields,
            error_response(400, "There is no voice 'alloy': the voices are anna, ben.", "invalid_request_error"),
        ),
        permitted_by="GT API reference: the voice is the agent's; no page names the voices",
        alters="speech",
    ),
    variant(
        "image-data-urls",
        "Images are addresses that hold them.",
        _draw(url="data:image/jpeg;base64," + base64.b64encode(_JPEG).decode(), b64_json=None),
        permitted_by="OpenAI API reference: url or b64_json; RFC 2397",
        alters="image",
    ),
    variant(
        "image-jpeg",
        "Images are JPEG.",
        _draw(b64_json=base64.b64encode(_JPEG).decode()),
        permitted_by=_ANY_FORMAT,
        alters="image",
    ),
    variant(
        "image-webp",
        "Images are WebP.",
        _draw(b64_json=base64.b64encode(_WEBP).decode()),
        permitted_by=_ANY_FORMAT,
        alters="image",
    ),
    variant(
        "image-described",
        "Images come with what was made of the prompt, and the usage.",
        change_json(IMAGES, _add_description),
        permitted_by="OpenAI API reference: optional fields",
    ),
)
