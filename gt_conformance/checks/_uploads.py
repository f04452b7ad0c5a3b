"""What is uploaded: tiny files made on the spot, of which a text and a PDF state a fact that nobody else can know.

The same run, key and path make the same file, so that equal uploads stay equal. What a fact is about differs from run
to run, in plain words and by a name of its own: a dataset that is uploaded to every night is still searched for the
right one.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from random import Random

from gt_conformance.checks._words import LETTERS_OF_THREE_BYTES, made_up_name
from gt_conformance.exchange import FilePart


class Kind(StrEnum):
    """What kind of file it is."""

    TEXT = "text"
    PDF = "PDF"
    PNG = "PNG"
    BROKEN = "broken PDF"
    """Begins as a PDF and goes on with bytes that mean nothing: no reader can process it."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A fact that a file states: what it is about, and the name that only this file gives."""

    subject: str
    name: str

    def __str__(self) -> str:
        """As a PDF states it."""
        return f"The {self.subject} is called {self.name}."

    @property
    def in_letters(self) -> str:
        """As a text states it: with letters beyond ASCII behind the name, which an answer may leave out."""
        return f"The {self.subject} is called {self.name}/{LETTERS_OF_THREE_BYTES}."

    def question(self, where: str) -> str:
        """What a chat is asked; it holds nothing of the answer."""
        return f"Search {where}: what is the {self.subject} called? Reply with its name only."


def statement_of(run_id: str, key: str | None, path: str, kind: Kind = Kind.TEXT) -> Statement:
    """What a file of that kind says that this key uploads at this path in this run; a text and a PDF say different."""
    parts = (run_id, key, path, *([] if kind is Kind.TEXT else [kind.value]))
    random = Random(" ".join(map(str, parts)))  # noqa: S311 - a choice, not a secret
    looks, thing, place = map(random.choice, (_LOOKS, _THINGS, _PLACES))
    owner = made_up_name(*parts, "owner")
    return Statement(f"{looks} {thing} of {owner} {place}", made_up_name(*parts))


_LOOKS = ("copper", "crooked", "frozen", "gilded", "hollow", "painted", "rusty", "silent", "striped", "wooden")
_THINGS = ("anchor", "bell", "clock", "drum", "ferry", "kettle", "lantern", "loom", "plough", "violin")
_PLACES = (
    "in the old harbour",
    "on the northern ridge",
    "behind the granary",
    "under the stone bridge",
    "beside the orchard",
    "at the salt works",
    "near the lighthouse",
    "above the tannery",
    "across the marsh",
    "within the quarry",
)


def file_part(kind: Kind, run_id: str, key: str | None, path: str, *, plainly: bool = False) -> FilePart:
    """The part ``file`` of the form, named after the run and, since a dataset may hold each name once, after the key.

    A text is longer than the passages in which files are searched, and states its fact in the middle: what is indexed
    in part only lacks it. It is in UTF-8. A PDF quotes source code, and the name of a PNG has letters beyond ASCII, as
    what people upload does; neither does ``plainly``.
    """
    name = f"gt-conformance-{run_id}-{sha256(f'{key} {path}'.encode()).hexdigest()[:4]}"
    whose = f"This file was written by gt-conformance, run {run_id}."
    heading, stated = (whose, "It may be deleted."), statement_of(run_id, key, path, kind)
    match kind:
        case Kind.TEXT:
            text = "\n".join((*heading, "", _PAGES, "", stated.in_letters, "", _PAGES, ""))
            return FilePart("file", text.encode(), f"{name}.txt", "text/plain")
        case Kind.PDF:
            return FilePart(
                "file", _pdf((*heading, str(stated)), b"" if plainly else _CODE), f"{name}.pdf", "application/pdf"
            )
        case Kind.PNG:
            return FilePart("file", _png(), f"{name}{'' if plainly else _LETTERS}.png", "image/png")
        case Kind.BROKEN:
            return FilePart("file", _broken(run_id), f"{name}.broken.pdf", "application/pdf")


_PAGES = "\n\n".join(
    f"Rule {number}. Whoever opens the shutters in the morning closes them at dusk, sweeps the landing, and enters the "
    "hour in the log. Visitors wait at the door until somebody fetches them. Lamps burn low on moonlit nights, and "
    "ropes hang dry before they go back on their hooks."
    for number in range(1, 11)
)
"""Two and a half thousand characters about nothing that anybody asks for."""
_CODE = (
    b"SELECT id FROM users WHERE id = 1 OR 1 = 1 UNION SELECT name FROM accounts; DROP TABLE drafts; -- an example\n"
    b'<script src="../../app.js">alert("ok")</script>\n'
    b"grep root /etc/passwd; rm -rf ./build && echo $(whoami)\n"
)
"""What a firewall for web forms takes for an attack."""
_LETTERS = " Übersicht 漢字"
_WEIGHT = 128 * 1024
"""About so many bytes a PDF and a PNG have: what people upload has more, and gateways stop at less."""


def _pdf(lines: Sequence[str], beside: bytes) -> bytes:
    """A page of these lines, in PDF 1.4 as its specification has it: objects, a table of their places, a trailer.

    What is ``beside`` the page nothing refers to.
    """
    shown = " T* ".join(f"({line}) Tj" for line in lines)  # no line has a parenthesis or a backslash
    text = f"BT /F1 12 Tf 14 TL 56 760 Td {shown} ET".encode()
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page + b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (_WEIGHT, beside.ljust(_WEIGHT)),
    )
    made, places = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, one in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%b\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    made += b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n" % (size, table) + (
        b"<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(made))
    )
    return bytes(made)


_WIDTH, _HEIGHT, _SQUARE = 512, 256, 32


def _png() -> bytes:
    """A chequered picture in grey, whose pixels are not compressed."""
    squares = (b"\x00" * _SQUARE, b"\xff" * _SQUARE)
    rows = [b"".join(squares[(x + odd) % 2] for x in range(_WIDTH // _SQUARE)) for odd in range(2)]
    pixels = zlib.compress(b"".join(b"\0" + rows[y // _SQUARE % 2] for y in range(_HEIGHT)), 0)
    head = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _broken(run_id: str) -> bytes:
    noise = b"".join(sha256(f"{run_id} {number}".encode()).digest() for number in range(8))
    return b"%PDF-1.7\n" + noise
