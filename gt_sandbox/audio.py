"""Audio: transcription, which says only what it can know, and speech, which is a short tone."""

import hashlib

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from . import wave
from .accounts import Caller
from .answers import invalid
from .body import Body
from .form import Form
from .keys import SPEECH, TRANSCRIBE
from .names import Ability

_OTHER_FORMATS = (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf1", b"fLaC", b"OggS", b"\x1aE\xdf\xa3")
_LONGEST_INPUT = 4096


async def transcribe(request: Request, caller: Caller) -> Response:
    """``POST /v1/audio/transcriptions``."""
    caller.needs(TRANSCRIBE)
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
    caller.needs(SPEECH)
    body = await Body.read(request)
    caller.model(body.text("model"), Ability.SPEECH)
    text = body.text("input")
    if len(text) > _LONGEST_INPUT:
        raise invalid("input", f"'input' may hold at most {_LONGEST_INPUT} characters.")
    body.choice("response_format", {"wav"}, "wav")
    body.number("speed", 0.25, 4)
    pitch = 220 + hashlib.sha256(text.encode()).digest()[0]
    return Response(wave.tone(pitch, 0.2), media_type="audio/wav")


def _duration(content: bytes) -> float:
    """The length in seconds; 0 for formats that are only recognised. A 400 for what is no audio."""
    length = wave.seconds(content)
    if length is not None:
        return length
    if content.startswith(_OTHER_FORMATS) or content[4:8] == b"ftyp":
        return 0.0
    raise invalid("file", "The file is no audio that this tenant knows.")
