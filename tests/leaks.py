"""Looks for secrets as someone would who wants them: undoes what a text may have been through, and looks again.

Written apart from the redactor that it is to catch out: it decodes what is there, where that replaces what it knows.
"""

import base64
import binascii
import gzip
import html
import quopri
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

PIECE = 12
"""So many characters of a secret, side by side and in any case, are a leak."""
_GRAM, _STEP = 6, 7
"""Of the grams of a text, one at each step, every piece in it holds one: 7 - 1 + 6 = 12."""

_RUN = re.compile(r"[A-Za-z0-9+/_-]{16,}(?:\s[A-Za-z0-9+/_-]+)*")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}[ :]?){12,}")
_NUMBERS = re.compile(r"[0-9]{2,3}(?:,\s*[0-9]{2,3}){11,}")
_ESCAPE = re.compile(r"\\+(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|u\{([0-9A-Fa-f]+)\})|\\+0?([01][0-7]{2})")
_SPOKEN = re.compile(r'"(?:content|text|arguments|reasoning_content)"\s*:\s*"((?:[^"\\]|\\.)*)"')


def found(texts: Iterable[tuple[str, str]], secrets: Iterable[str]) -> list[str]:
    """Where a piece of a secret stands, and after which steps it was there to see."""
    lowered = [secret.lower() for secret in secrets]
    grams = _parts(lowered, _GRAM)
    pieces = _parts(lowered, PIECE)
    clean: set[str] = set()
    leaks = []
    for name, text in texts:
        if text in clean:  # as the attachments of many cases are
            continue
        here = [
            f"{name}: {way}: {piece}"
            for way, shown in _ways(text)
            for piece in sorted(_pieces_in(shown.lower(), grams, pieces))
        ]
        leaks += here
        if not here:
            clean.add(text)
    return leaks


def _parts(texts: Iterable[str], size: int) -> set[str]:
    return {text[at : at + size] for text in texts for at in range(len(text) - size + 1)}


def _pieces_in(text: str, grams: set[str], pieces: set[str]) -> set[str]:
    """Those of the pieces that stand in a text: where a gram stands, it is looked around it."""
    near = [at for at in range(0, len(text), _STEP) if text[at : at + _GRAM] in grams]
    starts = {start for at in near for start in range(max(0, at - _GRAM), at + 1)}
    return pieces.intersection(text[start : start + PIECE] for start in starts)


def files(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file below a folder as text, what is compressed unpacked; and the names of all."""
    for path in sorted(folder.rglob("*")):
        yield f"the name of {path.name}", str(path.relative_to(folder))
        if path.is_file():
            data = path.read_bytes()
            yield (
                str(path.relative_to(folder)),
                (gzip.decompress(data) if path.suffix == ".gz" else data).decode(errors="replace"),
            )


def _ways(text: str) -> Iterator[tuple[str, str]]:
    """The text as it stands, and as it reads once escapes and encodings are undone."""
    plain = _settled(text)
    yield "as it stands", text
    if plain != text:
        yield "unescaped", plain
    yield "joined", "".join(_SPOKEN.findall(plain))
    yield "backwards", plain[::-1]
    yield "quoted-printable", quopri.decodestring(plain.encode(errors="surrogatepass")).decode(errors="replace")
    for name, decode in _DECODERS.items():
        decoded = "\n".join(decode(plain)).replace("\0", "")
        yield name, decoded
        for inner, again in _DECODERS.items():
            yield f"{inner} in {name}", "\n".join(again(decoded)).replace("\0", "")


def _settled(text: str) -> str:
    """HTML, URL, JSON, Python and octal escapes undone, and UTF-16, until nothing changes."""
    for _ in range(8):
        before = text
        text = _ESCAPE.sub(_character, unquote(html.unescape(text)).replace("\0", ""))
        text = text.replace('\\"', '"').replace("\\/", "/").replace("\\\\", "\\").replace("\\n", "\n")
        if text == before:
            break
    return text


def _character(match: re.Match[str]) -> str:
    return chr(int(match[4], 8) if match[4] else int(match[1] or match[2] or match[3], 16))


def _from_hex(text: str) -> Iterator[str]:
    for run in _HEX.findall(text):
        for shift in (0, 1):
            digits = re.sub(r"[ :]", "", run)[shift:]
            yield bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("latin-1")


def _from_base64(text: str) -> Iterator[str]:
    for run in set(_RUN.findall(text)):
        standard = re.sub(r"\s", "", run).replace("-", "+").replace("_", "/")
        for shift in range(4):
            digits = standard[shift:]
            try:
                yield base64.b64decode(digits[: len(digits) // 4 * 4]).decode("latin-1")
            except binascii.Error:
                continue


def _from_numbers(text: str) -> Iterator[str]:
    for run in _NUMBERS.findall(text):
        yield "".join(chr(int(number)) for number in re.findall("[0-9]+", run))


_DECODERS: dict[str, Callable[[str], Iterator[str]]] = {
    "hexadecimal": _from_hex,
    "base64": _from_base64,
    "numbers": _from_numbers,
}
