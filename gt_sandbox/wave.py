"""WAVE files, as far as speech and transcription need them: write a tone, read a length."""

import math
import struct

_RATE = 16_000


def tone(hertz: float, seconds: float) -> bytes:
    """A sine as a WAVE file: PCM, 16 bit, mono, 16 kHz."""
    step = 2 * math.pi * hertz / _RATE
    count = int(_RATE * seconds)
    samples = struct.pack(f"<{count}h", *(int(12_000 * math.sin(step * index)) for index in range(count)))
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE, 2 * _RATE, 2, 16)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def seconds(content: bytes) -> float | None:
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
