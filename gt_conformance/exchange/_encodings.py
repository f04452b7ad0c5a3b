"""What a text reads as once its encodings are undone, and where each character of that stood.

A tenant that leaks a key rarely leaks it as it is: it is in an error that was JSON-encoded into a header, in the
base64 of a Basic credential, in a list of bytes. :func:`views` gives every reading of a text: its escapes undone (URL,
HTML, JSON, Python, C, UTF-16), what its hexadecimal, base64, quoted-printable and lists of bytes decode to, and the
readings of those in turn. A reading is made by small steps, each of which can tell where a character came from.

Texts are hostile, so every step takes time in proportion to the text: patterns hold no repetition that can begin in the
middle of itself, towers of one escape (``%252525``) fall in one go, and depth and the sum of all readings are bounded.
"""

import binascii
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from html.entities import html5
from typing import Protocol

Span = tuple[int, int]

_DEPTH = 5
"""How many encodings are undone one inside the other, towers of escapes not counted."""
_PASSES = 8
"""How often escapes are undone in one text; each pass takes a whole tower of one kind."""
_WORK = 16
"""All readings of a text together are at most so many times as long as the text."""
_FREE_WORK = 1 << 18
_GAP = b"\1\1\1\1"
"""Between parts of a text that are read on their own: no alphabet holds it."""


class Step(Protocol):
    """One way to read a text."""

    def apply(self, data: bytes) -> bytes:
        """The reading; the very same object where there is nothing to do."""
        ...

    def origins(self, data: bytes, wanted: Sequence[int]) -> Iterator[Span]:
        """Where in the text the characters of the reading stood, for some of them in ascending order."""
        ...


@dataclass(frozen=True, slots=True)
class _Rewrite:
    """Every match of a pattern is replaced. ``marks``: without any of these bytes there is no match."""

    pattern: re.Pattern[bytes]
    replacement: Callable[[re.Match[bytes]], bytes] | bytes
    marks: bytes

    def apply(self, data: bytes) -> bytes:
        if not any(mark in data for mark in self.marks):
            return data
        made, end = bytearray(), 0  # not by sub(): bytes.join takes eighty bytes for each of a million matches
        for match in self.pattern.finditer(data):
            made += data[end : match.start()]
            made += self._new(match)
            end = match.end()
        made += data[end:]
        return data if made == data else bytes(made)

    def origins(self, data: bytes, wanted: Sequence[int]) -> Iterator[Span]:
        queue = deque(wanted)
        source = made = 0  # how far the text and the reading have been followed
        for match in self.pattern.finditer(data):
            while queue and queue[0] < made + match.start() - source:
                at = source + queue.popleft() - made
                yield at, at + 1
            made += match.start() - source
            size = len(self._new(match))
            while queue and queue[0] < made + size:
                queue.popleft()
                yield match.span()
            made += size
            source = match.end()
        for index in queue:
            at = source + index - made
            yield at, at + 1

    def _new(self, match: re.Match[bytes]) -> bytes:
        return self.replacement if isinstance(self.replacement, bytes) else self.replacement(match)


@dataclass(frozen=True, slots=True)
class _Drop:
    """Some characters are left out."""

    chars: bytes

    def apply(self, data: bytes) -> bytes:
        made = data.translate(None, self.chars)
        return made if len(made) < len(data) else data

    def origins(self, data: bytes, wanted: Sequence[int]) -> Iterator[Span]:
        return _Rewrite(re.compile(b"[" + re.escape(self.chars) + b"]+"), b"", self.chars).origins(data, wanted)


@dataclass(frozen=True, slots=True)
class _Select:
    """Some parts of a text alone, those in which something may be encoded."""

    parts: Callable[[bytes], Iterator[Span]]

    def apply(self, data: bytes) -> bytes:
        found = [data[start:end] for start, end in self.parts(data)]
        return _GAP.join([*found, b""]) if found else b""

    def origins(self, data: bytes, wanted: Sequence[int]) -> Iterator[Span]:
        queue = deque(wanted)
        made = 0
        for start, end in self.parts(data):
            while queue and queue[0] < made + end - start + len(_GAP):
                at = min(start + queue.popleft() - made, end - 1)
                yield at, at + 1
            made += end - start + len(_GAP)


@dataclass(frozen=True, slots=True)
class _Decode:
    """Digits to bytes, ``digits`` of them at a time, from the digit ``shift`` on. What is no digit counts as zero."""

    decode: Callable[[bytes], bytes]
    table: bytes
    digits: int
    shift: int

    def apply(self, data: bytes) -> bytes:
        end = len(data) - (len(data) - self.shift) % self.digits
        return self.decode(data[self.shift : end].translate(self.table))

    def origins(self, data: bytes, wanted: Sequence[int]) -> Iterator[Span]:
        del data
        for index in wanted:
            group, place = divmod(index, self.digits - 1)
            at = self.shift + group * self.digits + place
            yield at, at + 2  # a byte takes two digits of either alphabet, in base64 parts of them


@dataclass(frozen=True, slots=True)
class View:
    """One reading of a text; the text itself has no parent."""

    data: bytes
    depth: int = 0
    parent: "View | None" = None
    step: Step | None = None

    def sources(self, spans: Sequence[Span]) -> list[Span]:
        """Where in the text itself these parts of the reading stood."""
        view, found = self, list(spans)
        while view.parent is not None and view.step is not None:
            ends = sorted({index for start, end in found for index in (start, end - 1)})
            origin = dict(zip(ends, view.step.origins(view.parent.data, ends), strict=True))
            found = [(origin[start][0], origin[end - 1][1]) for start, end in found]
            view = view.parent
        return found


def views(text: str, least: int) -> Iterator[View]:
    """The text, and every reading of it that could hold ``least`` characters of a key. Each as late as can be.

    Characters beyond Latin-1, of which no key is made, are read as question marks: each is one byte.
    """
    root = View(text.encode("latin-1", "replace"))
    budget = _WORK * len(root.data) + _FREE_WORK
    queue = deque([root])
    while queue:
        view = queue.popleft()
        yield view
        for unescaped in _unescaped(view):
            view = unescaped
            budget -= len(view.data)
            yield view
        if view.depth < _DEPTH and budget > 0:
            for encoding in _encodings(least):
                for inner in _inside(view, encoding):
                    budget -= len(inner.data)
                    queue.append(inner)


def canonical(text: str) -> bytes:
    """The text with all its escapes undone."""
    view = View(text.encode("latin-1", "replace"))
    for unescaped in _unescaped(view):
        view = unescaped
    return view.data


def _follow(view: View, steps: Sequence[Step], depth: int) -> View:
    for step in steps:
        data = step.apply(view.data)
        if data is not view.data:
            view = View(data, depth, view, step)
        if not data:
            break
    return view


def _inside(view: View, encoding: "_Encoding") -> Iterator[View]:
    """What a reading decodes to, at each shift."""
    chosen = _follow(view, encoding.choose, view.depth + 1)
    if not chosen.data:
        return
    for steps in encoding.decode:
        inner = _follow(chosen, steps, view.depth + 1)
        if inner.data and inner is not view:
            yield inner


def _unescaped(view: View) -> Iterator[View]:
    """The readings of one text with escapes undone, pass after pass, until nothing changes."""
    for _ in range(_PASSES):
        after = _follow(view, _CODES, view.depth)
        if after is view:
            after = _follow(view, _SLASHES, view.depth)
        if after is view:
            return
        view = after
        yield view


# -- escapes: each stands for one character


def _code(pattern: bytes, base: int, mark: bytes) -> _Rewrite:
    """Numbers of characters. A pattern has a group for each way to write them, of which one matches."""

    def decoded(match: re.Match[bytes]) -> bytes:
        code = int(match[match.lastindex or 0], base)
        return bytes((code,)) if code < 256 else match[0]

    return _Rewrite(re.compile(pattern), decoded, mark)


def _slashed(pattern: bytes, base: int) -> _Rewrite:
    """The same after backslashes. Of two, the first escapes the second: what follows is a code once that is undone."""

    def decoded(match: re.Match[bytes]) -> bytes:
        slashes = match[1]
        code = match[0][len(slashes) :] if len(slashes) % 2 == 0 else bytes((int(match[match.lastindex or 0], base),))
        return slashes[: len(slashes) // 2] + code

    return _Rewrite(re.compile(b"(" + _SLASH_RUN + b")" + pattern), decoded, b"\\")


# From the first backslash of a run only: else each of a million would be tried.
_SLASH_RUN = rb"\\(?<!\\\\)\\*+"
_ENTITIES = {
    name.encode(): char.encode()
    for name, char in html5.items()
    if name[-1] == ";" and len(char) == 1 and char.isascii()
}
_CODES: tuple[Step, ...] = (
    _Drop(b"\0"),  # every second byte of UTF-16
    _code(rb"%(?:25){0,30}([0-9a-fA-F]{2})", 16, b"%"),
    _code(rb"%[uU]00([0-9a-fA-F]{2})", 16, b"%"),  # JavaScript's escape()
    _code(rb"&(?:amp;){0,30}#[xX]0{0,8}([0-9a-fA-F]{1,2});?", 16, b"&"),
    _code(rb"&(?:amp;){0,30}#0{0,8}([0-9]{1,3});?", 10, b"&"),
    _Rewrite(re.compile(rb"&(?:amp;){0,30}([A-Za-z]{2,16};)"), lambda match: _ENTITIES.get(match[1], match[0]), b"&"),
    _slashed(
        rb"(?:u005[cC]){0,30}(?:(?:U000000|[uU]00)([0-9a-fA-F]{2})|[ux]\{0{0,8}([0-9a-fA-F]{1,2})\}|[xX]([0-9a-fA-F]{2}))",
        16,
    ),
    _slashed(rb"(?:0?([01][0-7]{2})|(0{1,2})(?![0-7]))", 8),
)
_SLASHES: tuple[Step, ...] = (
    _Rewrite(re.compile(_SLASH_RUN + rb"[nrtfv]"), b"\n", b"\\"),
    _Drop(b"\\"),  # what is left escapes a quote, a slash, Markdown's underscore
)


# -- encodings: each stands for a text, of which all is encoded

_SPACE = b" \t\r\n"
_BASE64 = b"A-Za-z0-9+/_-"
_HEX = b"0-9a-fA-F"
_BETWEEN_HEX = _SPACE + b":,-"
_BETWEEN_NUMBERS = _SPACE + b",;:|[](){}\"'"
_READABLE = rb"\t\r\n\0\x20-\x7e"
# JSON.stringify makes {"0": 103, "1": 116} of JavaScript's arrays of bytes: there the index is no number of the list.
_NUMBER = rb'(?:"[0-9]{1,6}"[ ]?:[ ]?)?(?:0[xX]([0-9a-fA-F]{1,2})|([0-9]{1,3}))(?![0-9A-Za-z.])'
_NEXT = rb'(?:(?!"[0-9]{1,6}"[ ]?:)[' + re.escape(_BETWEEN_NUMBERS) + b"]){1,40}+"
# Letters one by one: list(key), {...key}, a char[]. The last may be missing, so that no run is read twice.
_APART = rb'(?:"[0-9]{1,6}"[ ]?:[ ]?|[' + re.escape(_BETWEEN_NUMBERS) + b"]){1,40}+"
_LETTER = b"[A-Za-z0-9_-]"
_QUOTED = re.compile(rb"=(?:(?:3[dD]){0,30}([0-9a-fA-F]{2})|[ \t]{0,8}\r?\n)")
_REACH = 1000
"""What is quoted-printable is read on so far around each character that is encoded: few of them are."""
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def _digits(*alphabets: bytes) -> bytes:
    """A table for bytes.translate: digits as they are in the first alphabet, all else as its zero."""
    table = bytearray(alphabets[0][:1] * 256)
    for alphabet in alphabets:
        for digit, char in zip(alphabets[0], alphabet, strict=True):
            table[char] = digit
    return bytes(table)


_ALONE = b" x "


def _mask(matching: bytes) -> bytes:
    """A table for bytes.translate: x for each character of that class, a space for all else."""
    holds = re.compile(b"[" + matching + b"]")
    return bytes(ord("x" if holds.match(bytes((char,))) else " ") for char in range(256))


def _runs(matching: bytes, least: int, inside: re.Pattern[bytes] | None = None) -> _Select:
    """Runs of so many characters of that class, or what else matches inside of them."""
    table, run = _mask(matching), b"x" * least

    def parts(data: bytes) -> Iterator[Span]:
        mask = data.translate(table)  # a run of one character is found many times as fast as a match
        start = mask.find(run)
        while start >= 0:
            end = mask.find(b" ", start)
            end = len(mask) if end < 0 else end
            if inside is None:
                yield start, end
            else:
                yield from (match.span() for match in inside.finditer(data, start, end))
            start = mask.find(run, end)

    return _Select(parts)


def _alone(matching: bytes, pattern: re.Pattern[bytes]) -> _Select:
    """What matches a pattern whose matches begin with a character of that class that has none beside it."""
    table = _mask(matching)

    def parts(data: bytes) -> Iterator[Span]:
        mask = b" %b " % data.translate(table)  # few are alone, and those are found many times as fast as a match
        at, end = mask.find(_ALONE), 0
        while at >= 0:
            if at >= end and (match := pattern.match(data, at)):
                yield match.span()
                end = match.end()
            at = mask.find(_ALONE, at + 1)

    return _Select(parts)


def _around_quoted(data: bytes) -> Iterator[Span]:
    start = end = 0
    for match in _QUOTED.finditer(data):
        if match.start() - _REACH > end:
            if end:
                yield start, end
            start = match.start() - _REACH
        end = min(match.end() + _REACH, len(data))
    if end:
        yield start, end


def _quoted(match: re.Match[bytes]) -> bytes:
    return bytes((int(match[1], 16),)) if match[1] else b""


def _number(match: re.Match[bytes]) -> bytes:
    code = int(match[1], 16) if match[1] else int(match[2])
    return bytes((code,)) if code < 256 else _GAP


@dataclass(frozen=True, slots=True)
class _Encoding:
    """What could be so encoded, and the ways to decode it: the place of the first digit is not known."""

    choose: tuple[Step, ...]
    decode: tuple[tuple[Step, ...], ...]


@cache
def _encodings(least: int) -> tuple[_Encoding, ...]:
    """The encodings of texts. A key's part in them is at least so many characters long before it is encoded."""
    hexadecimal = _digits(b"0123456789abcdef", b"0123456789ABCDEF")
    base64 = _digits(_ALPHABET + b"+/", _ALPHABET + b"-_")
    readable = _runs(_READABLE, least)
    wrapped = -(-4 * least // 3)
    numbers = re.compile(b"(?<![0-9A-Za-z.])(?:%b%b){%d,}+(?:%b)?" % (_NUMBER, _NEXT, least - 1, _NUMBER))
    letters = re.compile(
        b"(?<!%b)(?:%b%b){%d,}+(?:%b(?!%b))?" % (_LETTER, _LETTER, _APART, least - 1, _LETTER, _LETTER)
    )
    return (
        _Encoding((_alone(_LETTER[1:-1], letters), _Rewrite(re.compile(_APART), b"", _BETWEEN_NUMBERS)), ((),)),
        _Encoding((_Select(_around_quoted), _Rewrite(_QUOTED, _quoted, b"=")), ((),)),
        _Encoding(
            (_runs(_HEX + _BETWEEN_HEX, 2 * least), _Drop(_BETWEEN_HEX)),
            tuple((_Decode(binascii.unhexlify, hexadecimal, 2, shift), readable) for shift in range(2)),
        ),
        _Encoding(
            (
                # Lines that are wrapped are joined: a space or line break after a run of digits, before one more.
                _Rewrite(
                    re.compile(
                        b"[%b](?<=[%b]{%d}[%b])[%b]{0,3}(?=[%b])" % (_SPACE, _BASE64, wrapped, _SPACE, _SPACE, _BASE64)
                    ),
                    b"",
                    _SPACE,
                ),
                _runs(_BASE64, wrapped),
            ),
            tuple((_Decode(binascii.a2b_base64, base64, 4, shift), readable) for shift in range(4)),
        ),
        _Encoding(
            (
                _runs(_HEX + b"xX" + re.escape(_BETWEEN_NUMBERS), 3 * least - 1, numbers),
                _Rewrite(re.compile(b"(?:" + _NEXT + b")?" + _NUMBER), _number, b"0123456789"),
                readable,
            ),
            ((),),
        ),
    )
