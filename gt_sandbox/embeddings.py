"""Embeddings: the same input always gives the same unit vector, and different inputs different ones."""

import base64
import hashlib
import math
import struct

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gt_sandbox.accounts import EMBED, Ability, Caller
from gt_sandbox.protocol import Body, invalid

WIDTH = 64
"""The length of a vector where ``dimensions`` asks for no shorter one."""
MAX_INPUTS = 2048

Piece = str | list[int]


async def create(request: Request, caller: Caller) -> Response:
    """``POST /v1/embeddings``."""
    caller.require(EMBED)
    body = await Body.read(request)
    model = caller.model(body.text("model"), Ability.EMBEDDINGS).name
    pieces = _pieces(body.get("input"))
    width = body.integer("dimensions", 1, WIDTH) or WIDTH
    as_base64 = body.choice("encoding_format", {"float", "base64"}, "float") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(packed) if as_base64 else _floats(packed)}
        for index, packed in enumerate(_packed(model, piece, width) for piece in pieces)
    ]
    tokens = sum(max(1, len(piece.split() if isinstance(piece, str) else piece)) for piece in pieces)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JSONResponse({"object": "list", "data": data, "model": model, "usage": usage})


def _pieces(given: object) -> list[Piece]:
    """One text, texts, one list of token ids, or lists of token ids."""
    if isinstance(given, str):
        many: list[object] = [given]
    elif isinstance(given, list) and given and all(_is_token(item) for item in given):
        many = [given]
    elif isinstance(given, list):
        many = given
    else:
        many = []
    texts: list[Piece] = [item for item in many if isinstance(item, str) and item]
    tokens: list[Piece] = [item for item in many if isinstance(item, list) and item and all(map(_is_token, item))]
    pieces = texts or tokens
    if not pieces or len(pieces) != len(many):
        raise invalid("input", "'input' must be a text, a list of texts, or lists of token ids, none of them empty.")
    if len(pieces) > MAX_INPUTS:
        raise invalid("input", f"'input' may hold at most {MAX_INPUTS} items.")
    return pieces


def _is_token(item: object) -> bool:
    return isinstance(item, int) and not isinstance(item, bool) and item >= 0


def _packed(model: str, piece: Piece, width: int) -> bytes:
    """The vector as float32, little-endian: both encodings are read from these bytes, so they agree exactly."""
    seed = f"{model}\0{'text' if isinstance(piece, str) else 'tokens'}\0{piece}"
    draws = struct.unpack(f"<{width}i", hashlib.shake_256(seed.encode()).digest(4 * width))
    length = math.hypot(*draws)
    return struct.pack(f"<{width}f", *(draw / length for draw in draws))


def _floats(packed: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


def _encoded(packed: bytes) -> str:
    return base64.b64encode(packed).decode()
