"""Images: a real PNG in one colour, which the prompt decides."""

import base64
import hashlib
import re
import struct
import time
import zlib

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .accounts import Caller
from .answers import invalid
from .body import Body
from .keys import IMAGE
from .names import Ability

_SIZE = re.compile(r"([1-9]\d{0,3})x([1-9]\d{0,3})")
_LARGEST = 2048


async def create(request: Request, caller: Caller) -> Response:
    """``POST /v1/images/generations``: one image, as base64."""
    caller.needs(IMAGE)
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
