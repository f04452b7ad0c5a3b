"""Faults of transcription, speech and image generation."""

import base64

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import respond_json
from gt_sandbox.middleware import (
    IMAGES,
    SPEECH,
    TRANSCRIPTIONS,
    change_json,
    change_successes,
    error_response,
    json_response,
    respond_with,
)

_NO_IMAGE = base64.b64encode(b"nothing to see").decode()


FAULTS = (
    fault(
        "transcription-500",
        "A transcription fails with 500.",
        respond_with(TRANSCRIPTIONS, error_response(500, "no model")),
        caught_by="audio.transcribes",
    ),
    fault(
        "transcription-without-text",
        "A transcription has no text.",
        respond_json(TRANSCRIPTIONS, {"duration": 1.0}),
        caught_by="audio.transcribes",
    ),
    fault(
        "transcription-bare",
        "A transcription is bare text, not JSON.",
        change_successes(TRANSCRIPTIONS, lambda response: response.with_body(b"A recording.", "text/plain")),
        caught_by="audio.transcribes",
    ),
    fault(
        "speech-500",
        "Speech fails with 500.",
        respond_with(SPEECH, error_response(500, "no voice")),
        caught_by="audio.speaks",
    ),
    fault(
        "speech-in-json",
        "Speech comes as base64 in JSON.",
        respond_with(SPEECH, json_response(200, {"audio": "UklGRg=="})),
        caught_by="audio.speaks",
    ),
    fault(
        "speech-empty",
        "Speech has no bytes.",
        change_successes(SPEECH, lambda response: response.with_body(b"")),
        caught_by="audio.speaks",
    ),
    fault(
        "speech-not-audio",
        "Speech is sent as audio/wav, and its bytes are no audio.",
        change_successes(SPEECH, lambda response: response.with_body(b"nothing to hear")),
        caught_by="audio.speaks",
    ),
    fault(
        "images-500",
        "Image generation fails with 500.",
        respond_with(IMAGES, error_response(500, "no model")),
        caught_by="images.generates",
    ),
    fault(
        "images-none",
        "Image generation gives an empty list.",
        change_json(IMAGES, lambda body: body.update(data=[])),
        caught_by="images.generates",
    ),
    fault(
        "images-of-broken-base64",
        "The base64 of an image is broken.",
        change_json(IMAGES, lambda body: body["data"][0].update(b64_json="not base64!")),
        caught_by="images.generates",
    ),
    fault(
        "images-no-image",
        "The bytes of an image are no image.",
        respond_json(IMAGES, {"created": 1, "data": [{"b64_json": _NO_IMAGE}]}),
        caught_by="images.generates",
    ),
)
