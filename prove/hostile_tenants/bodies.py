"""Hostile bodies: too slow, too large, and larger than they look."""

import itertools
import zlib
from collections.abc import Iterator
from functools import cache

from prove.hostile_tenants._answers import MEBIBYTE, beyond_controls, chunk, everything, for_ever, head, saying, whole
from prove.hostile_tenants._front import Asked, Hostile, Line

_GIBIBYTE = 1024 * MEBIBYTE
_JUST_ALLOWED = 8 * MEBIBYTE - 1024


@cache
def _bomb() -> bytes:
    """A gibibyte of spaces, compressed to one mebibyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join(packer.compress(b" " * MEBIBYTE) for _ in range(1024)) + packer.flush()


async def _explode(_: Asked, line: Line) -> None:
    await line.say(whole(_bomb(), "200 OK", "Content-Encoding: gzip"))


def _drip() -> Iterator[bytes]:
    """The beginning of a lawful body, byte by byte, and then spaces."""
    return itertools.chain((bytes([byte]) for byte in b'{"object": "list", "data": ['), itertools.repeat(b" "))


HOSTILE = (
    Hostile(
        "one-byte-a-second", "bodies at one byte a second, for ever", for_ever(head(), _drip, 1.0), beyond_controls
    ),
    Hostile(
        "refuses-at-one-byte-a-second",
        "refuses everything, and takes for ever to say why",
        for_ever(head("401 Unauthorized"), _drip, 1.0),
        beyond_controls,
    ),
    Hostile(
        "gigabyte",
        "a gibibyte with its length",
        for_ever(head("200 OK", f"Content-Length: {_GIBIBYTE}"), lambda: itertools.repeat(b"x" * MEBIBYTE, 1024)),
        everything,
    ),
    Hostile(
        "gigabyte-in-chunks",
        "a gibibyte in chunks",
        for_ever(head("200 OK", "Transfer-Encoding: chunked"), lambda: itertools.repeat(chunk(b"x" * MEBIBYTE), 1024)),
        beyond_controls,
    ),
    Hostile("gzip-bomb", "a mebibyte that unpacks to a gibibyte", _explode, beyond_controls),
    Hostile(
        "always-as-large-as-allowed",
        "every answer just within the limit of one answer",
        saying(whole(b'"' + b"x" * (_JUST_ALLOWED - 2) + b'"')),
        beyond_controls,
    ),
    Hostile(
        "refuses-at-length",
        "every refusal just within the limit of one answer, one letter of it beyond ASCII",
        saying(
            whole(
                '{"error": {"message": "\N{GRINNING FACE}'.encode() + b"x" * (_JUST_ALLOWED - 64) + b'"}}',
                "403 Forbidden",
            )
        ),
        beyond_controls,
    ),
    Hostile(
        "a-million-entries",
        "a list of more than a million empty objects",
        saying(whole(b'{"data": [' + b"{}," * (_JUST_ALLOWED // 3 - 10) + b"{}]}")),
        beyond_controls,
    ),
)
