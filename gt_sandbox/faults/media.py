"""Faults of transcription, speech and image generation."""

import base64
import struct
from itertools import count
from typing import Any

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import respond_json
from gt_sandbox.middleware import (
    IMAGES,
    SPEECH,
    TRANSCRIPTIONS,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_json,
    change_responses,
    change_successes,
    combine,
    error_response,
    json_response,
    refuse,
    respond_with,
    with_secrets,
)

_DEAD = "/pictures/1.png"
_NO_IMAGE = base64.b64encode(b"nothing to see").decode()
_WAVE_HEADER = 44
_UNKNOWN = "Unknown parameter in the request."


def _has(*fields: str) -> Predicate:
    """Whether the request's JSON body has one of these fields."""
    return lambda request: any(name in request.fields for name in fields)


def _speak_on(request: Request, response: Response) -> Response:
    """As long as the text is: the tone of the embedded tenant once for each word."""
    if not response.succeeded:
        return response
    samples = response.body[_WAVE_HEADER:] * len(str(request.fields.get("input")).split())
    whole, sound = (struct.pack("<I", size) for size in (_WAVE_HEADER - 8 + len(samples), len(samples)))
    header = response.body[:4] + whole + response.body[8 : _WAVE_HEADER - 4] + sound
    return response.with_body(header + samples)


def _has_letters(request: Request) -> bool:
    return not all(str(request.fields.get(name) or "").isascii() for name in ("input", "prompt"))


def _names_language(request: Request) -> bool:
    return TRANSCRIPTIONS(request) and b'name="language"' in request.body


def _cut_pictures(body: Any) -> None:
    """Leave the second half of each picture out."""
    for item in body["data"]:
        picture = base64.b64decode(item["b64_json"])
        item["b64_json"] = base64.b64encode(picture[: len(picture) // 2]).decode()


def _spoil_pictures(body: Any) -> None:
    for one in body["data"]:
        data = base64.b64decode(one["b64_json"])
        spoilt = data[:_BEFORE_PICTURE] + bytes(byte if byte < _ASCII else ord("?") for byte in data[_BEFORE_PICTURE:])
        one["b64_json"] = base64.b64encode(spoilt).decode()


_ASCII, _BEFORE_PICTURE = 128, 60


def _every_other_empty(_: Secrets) -> MiddlewareFactory:
    """Each second sound has no bytes."""
    spoken = count()
    return change_successes(SPEECH, lambda response: response.with_body(b"") if next(spoken) % 2 else response)


FAULTS = (
    fault(
        "speech-voice-refused",
        "Speech with a voice is refused.",
        respond_with(lambda request: SPEECH(request) and _has("voice")(request), error_response(400, _UNKNOWN)),
        caught_by="audio.speaks_as_asked",
        breaks=("S3",),
    ),
    fault(
        "transcriptions-without-words",
        "Each transcription is empty, of what the tenant speaks itself as well.",
        combine(
            change_responses(SPEECH, _speak_on),
            change_json(TRANSCRIPTIONS, lambda body: body.update(text="")),
        ),
        caught_by="audio.transcribes_as_asked",
        breaks=("S4",),
    ),
    fault(
        "transcription-language-refused",
        "A transcription with a language is refused.",
        respond_with(_names_language, error_response(400, _UNKNOWN)),
        caught_by="audio.transcribes_as_asked",
        breaks=("S4",),
    ),
    fault(
        "images-size-refused",
        "An image of a given size is refused.",
        respond_with(lambda request: IMAGES(request) and _has("size")(request), error_response(400, _UNKNOWN)),
        caught_by="images.generates_as_asked",
        breaks=("S6",),
    ),
    fault(
        "images-at-dead-addresses",
        "The address of an image gives 404 to everybody.",
        combine(
            refuse(lambda request: request.path == _DEAD, error_response(404, "No such image.")),
            change_responses(
                IMAGES,
                lambda request, response: (
                    response.with_json({"created": 1, "data": [{"url": f"http://{request.header('host')}{_DEAD}"}]})
                    if response.succeeded
                    else response
                ),
            ),
        ),
        caught_by="images.generates",
        breaks=("S5",),
    ),
    fault(
        "transcription-500",
        "A transcription fails with 500.",
        respond_with(TRANSCRIPTIONS, error_response(500, "no model")),
        caught_by="audio.transcribes",
        breaks=("S1", "K1"),
    ),
    fault(
        "transcription-without-text",
        "A transcription has no text.",
        respond_json(TRANSCRIPTIONS, {"duration": 1.0}),
        caught_by="audio.transcribes",
        breaks=("S1",),
    ),
    fault(
        "transcription-bare",
        "A transcription is bare text, not JSON.",
        change_successes(TRANSCRIPTIONS, lambda response: response.with_body(b"A recording.", "text/plain")),
        caught_by="audio.transcribes",
        breaks=("S1",),
    ),
    fault(
        "speech-500",
        "Speech fails with 500.",
        respond_with(SPEECH, error_response(500, "no voice")),
        caught_by="audio.speaks",
        breaks=("S2", "K1"),
    ),
    fault(
        "speech-in-json",
        "Speech comes as base64 in JSON.",
        respond_with(SPEECH, json_response(200, {"audio": "UklGRg=="})),
        caught_by="audio.speaks",
        breaks=("S2",),
    ),
    fault(
        "speech-empty",
        "Speech has no bytes.",
        change_successes(SPEECH, lambda response: response.with_body(b"")),
        caught_by="audio.speaks",
        breaks=("S2",),
    ),
    fault(
        "speech-cut-short",
        "A proxy before the tenant cuts speech off at a size, and gives the length of what is left.",
        change_successes(SPEECH, lambda response: response.with_body(response.body[: len(response.body) // 2])),
        caught_by="audio.speaks",
        breaks=("S2",),
    ),
    fault(
        "speech-of-a-header-alone",
        "Speech is the header of a WAVE file: the model that should speak fails behind it.",
        change_successes(SPEECH, lambda response: response.with_body(response.body[:_WAVE_HEADER])),
        caught_by="audio.speaks",
        breaks=("S2",),
    ),
    fault(
        "speech-empty-now-and-then",
        "Each second sound has no bytes: one of two models that speak is broken.",
        with_secrets(_every_other_empty),
        caught_by="audio.speaks_as_asked",
        breaks=("S3",),
    ),
    fault(
        "speech-not-audio",
        "Speech is sent as audio/wav, and its bytes are no audio.",
        change_successes(SPEECH, lambda response: response.with_body(b"nothing to hear")),
        caught_by="audio.speaks",
        breaks=("S2",),
    ),
    fault(
        "speech-needs-a-voice",
        "Speech is refused where the request names no voice.",
        respond_with(
            lambda request: SPEECH(request) and "voice" not in request.fields, error_response(400, "voice is required.")
        ),
        caught_by="audio.speaks",
        breaks=("S2",),
    ),
    fault(
        "images-500",
        "Image generation fails with 500.",
        respond_with(IMAGES, error_response(500, "no model")),
        caught_by="images.generates",
        breaks=("S5", "K1"),
    ),
    fault(
        "images-cut-short",
        "The base64 of an image ends in the middle of its picture.",
        change_json(IMAGES, _cut_pictures),
        caught_by="images.generates",
        breaks=("S5",),
    ),
    fault(
        "images-through-a-text-filter",
        "A gateway takes the picture in a PNG for text: each byte of it that is no ASCII becomes a question mark.",
        change_json(IMAGES, _spoil_pictures),
        caught_by="images.generates",
        breaks=("S5",),
    ),
    fault(
        "images-of-a-signature-alone",
        "The base64 of an image that is asked for so holds the eight bytes with which each PNG begins.",
        change_json(
            lambda request: IMAGES(request) and request.fields.get("response_format") == "b64_json",
            lambda body: [one.update(b64_json="iVBORw0KGgo=") for one in body["data"]],
        ),
        caught_by="images.generates_as_asked",
        breaks=("S6",),
    ),
    fault(
        "letters-of-prompts-500",
        "Speech and images of a text with a letter beyond ASCII fail: their backend takes ASCII alone.",
        respond_with(
            lambda request: (SPEECH(request) or IMAGES(request)) and _has_letters(request),
            error_response(500, "'ascii' codec can't encode character"),
        ),
        caught_by="audio.speaks_as_asked",
        breaks=("S3",),
    ),
    fault(
        "images-none",
        "Image generation gives an empty list.",
        change_json(IMAGES, lambda body: body.update(data=[])),
        caught_by="images.generates",
        breaks=("S5",),
    ),
    fault(
        "images-of-broken-base64",
        "The base64 of an image is broken.",
        change_json(IMAGES, lambda body: body["data"][0].update(b64_json="not base64!")),
        caught_by="images.generates",
        breaks=("S5",),
    ),
    fault(
        "images-no-image",
        "The bytes of an image are no image.",
        respond_json(IMAGES, {"created": 1, "data": [{"b64_json": _NO_IMAGE}]}),
        caught_by="images.generates",
        breaks=("S5",),
    ),
)
