"""Speech, transcription and images: a short tone, what can be known of a recording, and a PNG in one colour."""

import base64
import hashlib
import math
import re
import struct
import time
import zlib

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gt_sandbox.accounts import IMAGE, SPEECH, TRANSCRIBE, Ability, Caller
from gt_sandbox.protocol import Body, Form, invalid

_OTHER_FORMATS = (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf1", b"fLaC", b"OggS", b"\x1aE\xdf\xa3")
_LONGEST_INPUT = 4096


async def transcribe(request: Request, caller: Caller) -> Response:
    """``POST /v1/audio/transcriptions``."""
    caller.require(TRANSCRIBE)
    form = await Form.read(request)
    caller.model(form.fields.text("model"), Ability.TRANSCRIPTION)
    style = form.fields.choice("response_format", {"json", "text", "verbose_json"}, "json")
    duration = _duration(form.content)
    text = f"A recording of {duration:.1f} seconds." if duration else "A recording."
    if style == "text":
        return PlainTextResponse(text + "\n")
    if style == "json":
        return JSONResponse({"text": text})
    segment = {"id": 0, "start": 0.0, "end": duration, "text": text}
    answer = {"task": "transcribe", "language": "english", "duration": duration, "text": text, "segments": [segment]}
    return JSONResponse(answer)


async def speak(request: Request, caller: Caller) -> Response:
    """``POST /v1/audio/speech``: a WAVE file, whose pitch the text decides. Voices are all alike."""
    caller.require(SPEECH)
    body = await Body.read(request)
    caller.model(body.text("model"), Ability.SPEECH)
    text = body.text("input")
    if len(text) > _LONGEST_INPUT:
        raise invalid("input", f"'input' may hold at most {_LONGEST_INPUT} characters.")
    body.choice("response_format", {"wav"}, "wav")
    body.number("speed", 0.25, 4)
    pitch = 220 + int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**24
    return Response(_tone(pitch, 0.2), media_type="audio/wav")


def _duration(content: bytes) -> float:
    """The length in seconds; 0 for formats that are only recognised. A 400 for what is no audio."""
    length = _seconds(content)
    if length is not None:
        return length
    if content.startswith(_OTHER_FORMATS) or content[4:8] == b"ftyp":
        return 0.0
    raise invalid("file", "The file is no audio that this tenant knows.")


_RATE = 16_000


def _tone(hertz: float, seconds: float) -> bytes:
    """A sine as a WAVE file: PCM, 16 bit, mono, 16 kHz."""
    step = 2 * math.pi * hertz / _RATE
    count = int(_RATE * seconds)
    samples = struct.pack(f"<{count}h", *(int(12_000 * math.sin(step * index)) for index in range(count)))
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE, 2 * _RATE, 2, 16)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def _seconds(content: bytes) -> float | None:
    """How long a WAVE file plays; ``None`` where it is none or is damaged."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return None
    rate, at = 0, 12
    while at + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, at)
        if kind == b"fmt " and size >= 16 and at + 24 <= len(content):
            rate = struct.unpack_from("<I", content, at + 16)[0]
        if kind == b"data":
            played: int = min(size, len(content) - at - 8)
            return played / rate if rate else None
        at += 8 + size + size % 2
    return None


_SIZE = re.compile(r"([1-9]\d{0,3})x([1-9]\d{0,3})")
_LARGEST = 2048


async def draw(request: Request, caller: Caller) -> Response:
    """``POST /v1/images/generations``: one image, as base64."""
    caller.require(IMAGE)
    body = await Body.read(request)
    caller.model(body.text("model"), Ability.IMAGE)
    prompt = body.text("prompt")
    body.integer("n", 1, 1)
    body.choice("response_format", {"b64_json"}, "b64_json")
    body.choice("output_format", {"png"}, "png")
    width, height = _size(body.optional_text("size") or "auto")
    picture = base64.b64encode(_png(prompt, width, height)).decode()
    return JSONResponse({"created": int(time.time()), "data": [{"b64_json": picture}]})


def _size(text: str) -> tuple[int, int]:
    if text == "auto":
        return 64, 64
    found = _SIZE.fullmatch(text)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < max(width, height) <= _LARGEST:
        raise invalid("size", f"'size' must be auto or <width>x<height>, each at most {_LARGEST}.")
    return width, height


def _png(prompt: str, width: int, height: int) -> bytes:
    colour = hashlib.sha256(prompt.encode()).digest()[:3]
    rows = bytes(1 + (width + 7) // 8) * height  # one bit a pixel: all of them the palette's only colour
    header = struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", colour), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
