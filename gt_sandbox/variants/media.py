"""Audio and images: other formats, and other ways to hand them over. As far as their first bytes tell."""

import base64
from typing import Any

from ..edges import EdgeMaker, successes
from ._parts import IMAGES, SPEECH, TRANSCRIPTIONS, amended, headed
from ._variant import Area

variant = Area("media")
_FORMATS = "GT API reference: the format may be left to the agent's default"
_SPEECHES = "speech-mp3 speech-ogg speech-flac speech-of-bytes speech-raw"
_IMAGES = "image-urls image-data-urls image-jpeg image-webp"
_MP3 = b"ID3\x04\0\0\0\0\0\0" + b"\xff\xfb\x90\x64" + bytes(413)
_OGG = b"OggS\0\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0"
_FLAC = b"fLaC\x80\0\0\x22" + bytes(34)
_JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xd9"
_WEBP = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0"


def _spoken(sound: bytes, kind: str) -> EdgeMaker:
    return successes(SPEECH, lambda answer: answer.saying(sound, kind))


def _drawn(**item: object) -> EdgeMaker:
    return amended(IMAGES, lambda body: body.update(data=[item]))


def _verbose(body: Any) -> None:
    body.update(
        task="transcribe",
        language="english",
        duration=1.0,
        segments=[],
        words=None,
        usage={"type": "duration", "seconds": 1},
    )


def _described(body: Any) -> None:
    usage = {"input_tokens": 5, "input_tokens_details": {"text_tokens": 5, "image_tokens": 0}, "output_tokens": 4}
    body.update(background="opaque", output_format="png", quality="low", size="64x64")
    body["usage"] = usage | {"total_tokens": 9}
    body["data"][0].setdefault("url", None)
    body["data"][0]["revised_prompt"] = "A plain grey square."


VARIANTS = (
    variant("speech-mp3", "Speech is MP3.", _spoken(_MP3, "audio/mpeg"), lawful=_FORMATS, conflicts=_SPEECHES),
    variant(
        "speech-ogg",
        "Speech is Opus in Ogg.",
        _spoken(_OGG, "audio/ogg; codecs=opus"),
        lawful=_FORMATS,
        conflicts=_SPEECHES,
    ),
    variant("speech-flac", "Speech is FLAC.", _spoken(_FLAC, "audio/flac"), lawful=_FORMATS, conflicts=_SPEECHES),
    variant(
        "speech-raw",
        "Speech is samples without a header.",
        _spoken(bytes(range(256)) * 4, "audio/pcm"),
        lawful="OpenAI API reference: response_format pcm",
        conflicts=_SPEECHES,
    ),
    variant(
        "speech-of-bytes",
        "Speech calls itself no more than bytes.",
        headed(
            lambda headers: (
                {**headers, "content-type": "application/octet-stream"}
                if headers["content-type"].startswith("audio/")
                else headers
            ),
            SPEECH,
        ),
        lawful="OpenAI API reference: the answer is the audio file's content",
        conflicts=_SPEECHES,
    ),
    variant(
        "transcription-verbose",
        "A transcription tells language, duration and segments.",
        amended(TRANSCRIPTIONS, _verbose),
        lawful="OpenAI API reference: verbose_json; GT API reference: extra fields anywhere",
    ),
    variant(
        "transcription-of-nothing",
        "A tone is heard as no words.",
        amended(TRANSCRIPTIONS, lambda body: body.update(text="")),
        lawful="checks: a string text; the probe sends no speech",
    ),
    variant(
        "image-urls",
        "Images are addresses.",
        _drawn(url="https://images.acme.example/1.png?signature=x"),
        lawful="OpenAI API reference: url or b64_json",
        conflicts=_IMAGES,
    ),
    variant(
        "image-data-urls",
        "Images are addresses that hold them.",
        _drawn(url="data:image/jpeg;base64," + base64.b64encode(_JPEG).decode(), b64_json=None),
        lawful="OpenAI API reference: url or b64_json; RFC 2397",
        conflicts=_IMAGES,
    ),
    variant(
        "image-jpeg",
        "Images are JPEG.",
        _drawn(b64_json=base64.b64encode(_JPEG).decode()),
        lawful=_FORMATS,
        conflicts=_IMAGES,
    ),
    variant(
        "image-webp",
        "Images are WebP.",
        _drawn(b64_json=base64.b64encode(_WEBP).decode()),
        lawful=_FORMATS,
        conflicts=_IMAGES,
    ),
    variant(
        "image-described",
        "Images come with what was made of the prompt, and the usage.",
        amended(IMAGES, _described),
        lawful="OpenAI API reference: optional fields",
    ),
)
