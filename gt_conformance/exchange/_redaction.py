"""Secrets out of every text that leaves: whole and in part, in each encoding that a tenant could send them back in."""

import base64
import logging
import re
import sys
import traceback
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import compress, count, takewhile
from typing import Any, Protocol

from gt_conformance.exchange._encodings import View, canonical, views

_KEY = re.compile(r"gtak_[A-Za-z0-9_\-]{3,}")
_PREFIX = "gtak_"
PART = 12
"""A piece of a secret this long, in any text, is taken for a leak; shorter pieces meet by chance."""
_DIGITS = 16
"""The same in base64."""
_APART = "\n.\n"
"""Between texts that are searched together: no encoding goes on from one to the next."""
_AT_ONCE = 1 << 17
"""So many characters are searched together: a search takes several times as much memory."""
_GRAM = 4
_SLICE = 1 << 8
"""So many grams are looked at in one go: nearly all hold none of a secret's."""
_SHORTEST = 8
_REMEMBERED = 200
"""Texts up to that length are remembered: names of headers, addresses and the like come again and again."""
_CLEAN = 1 << 22
"""Of the texts that were searched together and hold no secret, so many characters are remembered: an answer is searched
for what it gives away, and again before it is recorded."""
_ROUNDS = 40
"""How often a text is searched again after something was cut out: once for each way in which it contains a secret."""


@dataclass(frozen=True, slots=True)
class _Needle:
    """A secret in lower case as it is searched for, or its mirror image.

    ``random`` tells which of it is the secret itself, without the ``gtak_`` that all keys have; ``shared`` is what
    it has in common with all other secrets, which by itself gives nothing away.
    """

    name: str
    text: bytes
    random: range
    shared: range


@dataclass(frozen=True, slots=True)
class _Piece:
    """Where a secret, or a part of it, is."""

    start: int
    end: int
    whole: bool
    name: str


@dataclass(frozen=True, slots=True)
class _Index:
    """Needles by their windows of so many characters, and by the grams with which windows begin."""

    size: int
    grams: set[int] = field(default_factory=set)
    windows: dict[bytes, list[tuple[_Needle, int]]] = field(default_factory=dict)

    def add(self, needle: _Needle) -> None:
        text = needle.text
        starts = [
            start
            for start in range(len(text) - self.size + 1)
            if not (start in needle.shared and start + self.size - 1 in needle.shared)
        ]
        for start in starts:
            self.windows.setdefault(text[start : start + self.size], []).append((needle, start))
        if starts:  # which follow one another, for what is shared is one end of the needle
            grams = range(starts[0], starts[-1] + self.step)
            self.grams.update(int.from_bytes(text[at : at + _GRAM], sys.byteorder) for at in grams)

    @property
    def step(self) -> int:
        """How far apart grams are looked at: wherever a window begins, one of them lies whole in it."""
        return self.size // _GRAM * _GRAM - _GRAM

    def pieces(self, data: bytes) -> Iterator[_Piece]:
        """Where needles and parts of them stand in plain sight, in order."""
        text, step = data.lower(), self.step
        grams = array("I", text[: len(text) // _GRAM * _GRAM])[:: step // _GRAM]
        floor = 0  # the end of the last piece
        for begin in range(0, len(grams), _SLICE):
            some = grams[begin : begin + _SLICE]
            if self.grams.isdisjoint(some):
                continue
            for number in compress(count(begin), map(self.grams.__contains__, some)):
                for start in range(max(floor, step * (number - 1) + 1), step * number + 1):
                    if hits := self.windows.get(text[start : start + self.size]):
                        piece = max(
                            (_extended(text, start, self.size, floor, needle, at) for needle, at in hits),
                            key=lambda piece: (piece.end - piece.start, piece.whole),
                        )
                        yield piece
                        floor = piece.end
                        break


class Redactor:
    """Replaces secrets by ``[secret NAME]`` and whatever looks like a GT key by ``gtak_[secret]``.

    A secret is found in any case, backwards, and in every reading of a text that :mod:`._encodings` knows of.
    """

    def __init__(self, secrets: Mapping[str, str], *, whole: Collection[str] = ()) -> None:
        """The secrets by name. Those in ``whole`` are looked for as they are written, and not in parts."""
        self._given = given = {name: value for name, value in secrets.items() if value}
        self._recall = lru_cache(4096)(self._redact)
        self._clean: set[str] = set()
        self._clean_size = 0
        self._plain, self._digits = _Index(PART), _Index(_DIGITS)
        self._short: dict[bytes, str] = {}
        """What is too short to recognize by parts: found whole and literally."""
        shared = _shared(set(given.values()))
        for name, value in given.items():
            if name in whole:
                self._short[value.encode("latin-1", "replace")] = name
                continue
            bare = value.removeprefix(_PREFIX)
            for form in {value.encode("latin-1", "replace"), canonical(value)}:
                self._search_for(name, form, len(form) - len(bare), shared)
            for short in (value, bare):
                if len(short) < PART and (short == value or len(short) >= _SHORTEST):
                    self._short[short.encode("latin-1", "replace")] = name
        self._least = min([PART, *map(len, self._short)])
        # A name in brackets must not bring back what it stands for.
        self._labels = {name: f" {name}" for name in given}
        for name in given:
            if any(self._pieces(f"[part of secret {name}]".encode("latin-1", "replace"))):
                self._labels[name] = ""

    def for_own_texts(self) -> "Redactor":
        """The same for documents of ours: a secret made of words is found there whole, since its words may be ours."""
        in_words = {name for name, value in self._given.items() if _WORDS.search(value.removeprefix(_PREFIX))}
        return Redactor(self._given, whole=in_words) if in_words else self

    def text(self, text: str) -> str:
        """The text without secrets, in whole or part, however they are encoded; the rest stays as it is."""
        if len(text) < min(self._least, _SHORTEST):
            return text
        return self._recall(text) if len(text) <= _REMEMBERED else self._redact(text)

    def value(self, value: Any) -> Any:
        """The same for every string of a JSON value, keys included. One that holds no secret may be given as it is."""
        return value if self._is_clean(value) else self._cleaned(value)

    def values(self, values: list[Any]) -> list[Any]:
        """The same for several, which are searched together."""
        return values if self._is_clean(values) else [self.value(value) for value in values]

    def _is_clean(self, value: Any) -> bool:
        """Whether nothing in a JSON value has to be replaced: what is nearly always so, and soon known."""
        texts: dict[str, None] = {}
        seen: set[int] = set()  # mappings that are part of the value several times over
        left = [value]
        while left:
            one = left.pop()
            if isinstance(one, str):
                texts[one] = None
            elif isinstance(one, dict):
                if id(one) in seen:
                    continue
                seen.add(id(one))
                left += one
                left += one.values()
            elif isinstance(one, list):
                if self._spells(one):
                    return False
                left += one
            elif one is not None and not isinstance(one, (int, float)):
                return False
        return not any(map(_KEY.search, texts)) and not self.any_holds(texts)

    def _spells(self, value: Sequence[Any]) -> bool:
        """Whether a list holds a secret character by character."""
        return len(value) >= PART and all(map(_is_one_character, value)) and self.holds(f"{value}") is not None

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._cleaned(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            if self._spells(value):
                return [self.text(f"{list(value)}"[1:-1])]
            return [self._cleaned(item) for item in value]
        return value

    def holds(self, text: str) -> str | None:
        """The name of a secret that the text contains, whole or in part, however encoded; None where there is none."""
        if len(text) < self._least:
            return None
        return next((piece.name for _, pieces in self._readings(text) for piece in pieces), None)

    def any_holds(self, texts: Iterable[str]) -> bool:
        """Whether any of the texts holds a secret. They are searched together: most of the work is the same for any."""
        for some in _together(text for text in texts if text not in self._clean):
            if self.holds(_APART.join(some)) is not None and any(self.holds(text) is not None for text in some):
                return True
            self._remember_clean(some)
        return False

    def _remember_clean(self, texts: Sequence[str]) -> None:
        size = sum(map(len, texts))
        if self._clean_size + size <= _CLEAN:
            self._clean_size += size
            self._clean.update(texts)

    def _redact(self, text: str) -> str:
        if self._plain.windows or self._short:
            for _ in range(_ROUNDS):
                pieces = self._find(text)
                if not pieces:
                    break
                text = self._without(text, pieces)
            else:
                text = "[withheld: it holds a secret in too many encodings]"
        return _KEY.sub(_PREFIX + "[secret]", text)

    def _find(self, text: str) -> list[_Piece]:
        """The pieces in the first reading of the text that holds any, as places of the text itself."""
        for view, found in self._readings(text):
            if pieces := list(found):
                return _placed(view, pieces)
        return []

    def _readings(self, text: str) -> Iterator[tuple[View, Iterator[_Piece]]]:
        """Every reading of a text, with what is found in it.

        Last comes base64 that cannot be decoded, for it stands in one case or backwards: it is known by its digits.
        """
        outer = []
        for view in views(text, self._least):
            if not view.depth:
                outer.append(view)
            yield view, self._pieces(view.data)
        for view in outer:
            yield view, self._digits.pieces(view.data)

    def _without(self, text: str, pieces: list[_Piece]) -> str:
        parts, end = [], 0
        for piece in pieces:
            if piece.start < end:  # the end of one that is part of another
                end = max(end, piece.end)
                continue
            label = self._labels[piece.name]
            parts += [text[end : piece.start], f"[secret{label}]" if piece.whole else f"[part of secret{label}]"]
            end = piece.end
        return "".join([*parts, text[end:]])

    def _search_for(self, name: str, form: bytes, prefix: int, shared: int) -> None:
        for index, text, random, common in (
            (self._plain, form, range(prefix, len(form)), range(shared)),
            *((self._digits, digits, range(len(digits)), common) for digits, common in _in_base64(form, shared)),
        ):
            size, lower = len(text), text.lower()
            index.add(_Needle(name, lower, random, common))
            mirrored = range(size - random.stop, size - random.start), range(size - common.stop, size - common.start)
            index.add(_Needle(name, lower[::-1], *mirrored))

    def _pieces(self, data: bytes) -> Iterator[_Piece]:
        """Where secrets are in the text itself, in order; those that are too short for parts first."""
        for short, name in self._short.items():
            at = data.find(short)
            while at >= 0:
                yield _Piece(at, at + len(short), whole=True, name=name)
                at = data.find(short, at + len(short))
        yield from self._plain.pieces(data)


_WORDS = re.compile(rf"[a-z_-]{{{PART}}}|[A-Z_-]{{{PART}}}")
"""A part of a secret that a text could hold for what it says; one in three hundred random secrets has such a part."""


def _together(texts: Iterable[str]) -> Iterator[Sequence[str]]:
    """The texts in order, so many at once that each reading of them takes little memory."""
    some: list[str] = []
    size = 0
    for text in texts:
        some.append(text)
        size += len(text)
        if size > _AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some


def _is_one_character(value: Any) -> bool:
    return type(value) is int or (isinstance(value, str) and len(value) == 1)


def _in_base64(form: bytes, shared: int) -> Iterator[tuple[bytes, range]]:
    """The digits that hold nothing else, after any number of bytes; and which of them hold only what is shared."""
    for before in range(3):
        digits = base64.b64encode(bytes(before) + form).replace(b"+", b"-").replace(b"/", b"_")
        first, last = -(-8 * before // 6), 8 * (before + len(form)) // 6
        common = range(max(0, 8 * (before + shared) // 6 - first))
        yield digits[first:last], common
        if b"-" in digits or b"_" in digits:
            yield digits[first:last].replace(b"-", b"+").replace(b"_", b"/"), common


def _shared(secrets: set[str]) -> int:
    """How many first characters are the same for all, and so no secret; of one alone, its ``gtak_``."""
    if len(secrets) > 1:
        columns = zip(*(secret.lower() for secret in secrets), strict=False)
        return min(sum(1 for _ in takewhile(lambda chars: len(set(chars)) == 1, columns)), min(map(len, secrets)) // 2)
    return max((len(_PREFIX) for secret in secrets if secret.startswith(_PREFIX)), default=0)


def _extended(text: bytes, start: int, size: int, floor: int, needle: _Needle, at: int) -> _Piece:
    """The piece of the needle around a window that is in both, no further back in the text than the floor."""
    end, left, right, secret = start + size, at, at + size, needle.text
    while start > floor and left and text[start - 1] == secret[left - 1]:
        start, left = start - 1, left - 1
    while end < len(text) and right < len(secret) and text[end] == secret[right]:
        end, right = end + 1, right + 1
    return _Piece(start, end, left <= needle.random.start and right >= needle.random.stop, needle.name)


def _placed(view: View, pieces: list[_Piece]) -> list[_Piece]:
    sources = view.sources([(piece.start, piece.end) for piece in pieces])
    found = [_Piece(start, end, piece.whole, piece.name) for (start, end), piece in zip(sources, pieces, strict=True)]
    return sorted(found, key=lambda piece: (piece.start, -piece.end))


# -- the logs of this process


class _Redacting(Protocol):
    """Takes secrets out of a text."""

    def text(self, text: str) -> str:
        """The text without them."""


@contextmanager
def redact_logs(redactor: _Redacting) -> Iterator[None]:
    """While inside, every log record of the process is made without secrets, its traceback included.

    A live log is printed as it comes, before any report is searched.
    """
    make = logging.getLogRecordFactory()

    def clean(*given: Any, **more: Any) -> logging.LogRecord:
        record = make(*given, **more)
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):  # arguments that do not fit their message are shown beside it
            text = f"{record.msg} {record.args}"
        record.msg, record.args = redactor.text(text), None
        if record.exc_info:
            record.exc_text = redactor.text("".join(traceback.format_exception(*record.exc_info)).rstrip())
            record.exc_info = None
        return record

    logging.setLogRecordFactory(clean)
    try:
        yield
    finally:
        logging.setLogRecordFactory(make)
