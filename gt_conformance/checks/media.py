"""Audio and images: bytes that are what they say they are."""

import base64
from typing import Any

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import check, native
from gt_conformance.checks._probe import Probe
from gt_conformance.checks.names import require_published
from gt_conformance.exchange import NotJson, Response
from gt_conformance.vocabulary import Actor, Fact, Modality, Route, Severity

_RAW_AUDIO = frozenset({"audio/pcm", "audio/l16", "audio/basic", "audio/x-pcm"})


@check(
    "audio.transcribes",
    claim="A WAV file is transcribed.",
    remedy="Give the agent a speech-to-text model, and the key inference:transcribe for its alias.",
    source="GT API reference, Transcribe audio; OpenAI API reference, Create transcription",
    clauses=("S1", "K1"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.TRANSCRIPTIONS,
    rows=native(Route.TRANSCRIPTIONS),
    shows=(Fact.SCOPE_TRANSCRIBE,),
)
async def transcribes(probe: Probe) -> None:
    """A generated one-second WAV by multipart gives 2xx JSON with a string text."""
    exchange = await probe.send(requests.transcription(probe.tenant, probe.credential.name))
    await require_published(probe, exchange, Modality.TRANSCRIPTION)
    probe.json(exchange, "transcription", "2xx JSON with a string text", modality=Modality.TRANSCRIPTION)


@check(
    "audio.speaks",
    claim="A text is spoken.",
    remedy="Give the agent a text-to-speech model with a default voice, and the key inference:speech for its alias.",
    source="GT API reference, Generate speech; OpenAI API reference, Create speech",
    clauses=("S2", "K1"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.SPEECH,
    rows=native(Route.SPEECH),
    shows=(Fact.SCOPE_SPEECH,),
)
async def speaks(probe: Probe) -> None:
    """2xx with an audio type or octet-stream, and bytes that begin as a known audio format does."""
    expected = "2xx audio bytes of a known format"
    exchange = await probe.send(requests.speech(probe.tenant, probe.credential.name))
    await require_published(probe, exchange, Modality.SPEECH)
    response = probe.success(exchange, expected, modality=Modality.SPEECH)
    kind = response.media_type
    audio_type = kind.startswith("audio/") or kind in {"application/octet-stream", "application/ogg", "video/mp4"}
    probe.should(audio_type, f"speech should have an audio content type; found {kind or 'none'}", exchange)
    if not probe.must(response.body, expected, "an empty body", exchange):
        return
    known = is_audio(response.body) or (kind in _RAW_AUDIO and not _is_json(response))
    probe.must(known, expected, f"bytes that begin with {response.body[:8].hex(' ')}", exchange)


@check(
    "images.generates",
    claim="A prompt gives an image.",
    remedy="Give the agent an image model, and the key inference:image for its alias.",
    source="GT API reference, Generate an image; OpenAI API reference, Create image",
    clauses=("S5", "K1"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.IMAGES,
    rows=native(Route.IMAGES),
    shows=(Fact.SCOPE_IMAGE,),
)
async def generates(probe: Probe) -> None:
    """2xx, data not empty, each item a url or a b64_json that decodes to a known image format."""
    expected = "2xx JSON whose data holds images"
    exchange = await probe.send(requests.image(probe.tenant, probe.credential.name))
    await require_published(probe, exchange, Modality.IMAGE)
    body: dict[str, Any] = probe.json(exchange, "images", expected, modality=Modality.IMAGE)
    for number, item in enumerate(body["data"]):
        if encoded := item.get("b64_json"):
            try:
                data = base64.b64decode(encoded, validate=True)
            except ValueError:
                probe.fail("b64_json is base64", f"image {number} is not", exchange)
                continue
            found = f"image {number} begins with {data[:8].hex(' ')}"
            probe.must(is_image(data), "b64_json decodes to a known image format", found, exchange)
        else:
            valid = item["url"].startswith(("https://", "http://", "data:image/", "/"))
            probe.must(valid, "each image is a url or b64_json", f"image {number} is neither", exchange)


def _is_json(response: Response) -> bool:
    try:
        response.json()
    except NotJson:
        return False
    return True


def is_audio(data: bytes) -> bool:
    """Whether the bytes begin as WAV, AIFF, MP3, AAC, Ogg, FLAC, MP4, WebM or AU does."""
    return (
        (data[:4] == b"RIFF" and data[8:12] == b"WAVE")
        or data.startswith((b"ID3", b"OggS", b"fLaC", b"\x1aE\xdf\xa3", b".snd"))
        or (data[:4] == b"FORM" and data[8:12] in {b"AIFF", b"AIFC"})
        or data[4:8] == b"ftyp"
        or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0)
    )


def is_image(data: bytes) -> bool:
    """Whether the bytes begin as PNG, JPEG, GIF, WebP, AVIF, BMP or TIFF does."""
    return (
        data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*"))
        or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
        or data[4:12] in {b"ftypavif", b"ftypmif1", b"ftypheic"}
    )
