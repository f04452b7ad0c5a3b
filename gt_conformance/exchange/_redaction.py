"""Secrets out of every text that leaves: by value in each form that a tenant could send back, and by pattern."""

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any
from urllib.parse import quote, quote_plus

from gt_conformance.exchange._escapes import unescaped

_KEY = re.compile(r"gtak_[A-Za-z0-9_\-]{3,}")
_PREFIX = "gtak_"
_GRAM = 8
_PART = 16
"""A piece of a secret this long, in any text, is taken for a leak; shorter pieces meet by chance."""
_SURE = 2 * _GRAM - 1
_DEEPEST = 6
"""How often escapes are undone: a text may be nothing but escapes of escapes."""


class Redactor:
    """Replaces secrets by ``[secret NAME]`` and whatever looks like a GT key by ``gtak_[secret]``."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._names = {form: name for name, value in secrets.items() for form in _forms(value)}
        longest_first = sorted(self._names, key=len, reverse=True)
        self._whole = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        # Any piece of a text as long as these covers a whole gram that starts at a multiple of _GRAM.
        self._long_grams = {gram for form in self._names if len(form) >= _SURE for gram in _grams(form)}
        self._short = tuple(form for form in self._names if len(form) < _SURE)
        # A gram may stand in several secrets, and more than once in one: keys of a tenant may begin alike.
        self._grams: dict[str, list[tuple[str, str, int]]] = {}
        for form, name in self._names.items():
            if len(form) >= _PART:
                for start, gram in enumerate(_grams(form)):
                    self._grams.setdefault(gram, []).append((name, form, start))

    def text(self, text: str) -> str:
        """The text without secrets: whole, in part, URL-encoded, HTML- or JSON-escaped, base64 or hexadecimal."""
        if self._whole is not None:
            if self._may_hold(text):
                text = self._whole.sub(lambda match: f"[secret {self._names[match.group()]}]", text)
                text = _without(text, self._parts(text))
            text = _without(text, self._escaped(text))
        return _KEY.sub(_PREFIX + "[secret]", text)

    def value(self, value: Any) -> Any:
        """The same for every string of a JSON value, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def holds(self, text: str) -> str | None:
        """The name of a secret that stands in the text, whole or in part; None where there is none."""
        if self._whole is None:
            return None
        found: list[tuple[int, int, str]] = []
        if self._may_hold(text):
            if match := self._whole.search(text):
                return self._names[match.group()]
            found = self._parts(text)
        return next((name for _, _, name in found or self._escaped(text)), None)

    def _escaped(self, text: str, depth: int = _DEEPEST) -> list[tuple[int, int, str]]:
        """Parts of secrets that are there to see once escapes are undone, several times where they were put on so."""
        read = unescaped(text) if depth else None
        if read is None:
            return []
        found = (self._parts(read.text) if self._may_hold(read.text) else []) or self._escaped(read.text, depth - 1)
        return [(read.starts[start], read.starts[end], name) for start, end, name in found]

    def _may_hold(self, text: str) -> bool:
        """False where no form of a secret stands in the text, nor a piece that counts: told twenty times as fast."""
        return any(text[at : at + _GRAM] in self._long_grams for at in range(0, len(text) - _GRAM + 1, _GRAM)) or any(
            form in text for form in self._short
        )

    def _parts(self, text: str) -> list[tuple[int, int, str]]:
        # Any piece of _PART characters covers a whole gram that starts at a multiple of _GRAM.
        found: list[tuple[int, int, str]] = []
        position = floor = 0
        while position + _GRAM <= len(text):
            hits = self._grams.get(text[position : position + _GRAM], ())
            pieces = [(*_extend(text, position, floor, secret, at), name) for name, secret, at in hits]
            start, end, name = max(pieces, key=lambda piece: piece[1] - piece[0], default=(0, 0, ""))
            if end - start >= _PART:
                found.append((start, end, name))
                floor = end
                position = -(-end // _GRAM) * _GRAM
            else:
                position += _GRAM
        return found


def _without(text: str, parts: list[tuple[int, int, str]]) -> str:
    for start, end, name in reversed(parts):
        text = f"{text[:start]}[part of secret {name}]{text[end:]}"
    return text


def _grams(text: str) -> Iterator[str]:
    return (text[start : start + _GRAM] for start in range(len(text) - _GRAM + 1))


def _extend(text: str, position: int, floor: int, secret: str, at: int) -> tuple[int, int]:
    """The piece of the secret around a gram that stands there in both, no further back in the text than the floor."""
    start, end, left, right = position, position + _GRAM, at, at + _GRAM
    while start > floor and left and text[start - 1] == secret[left - 1]:
        start, left = start - 1, left - 1
    while end < len(text) and right < len(secret) and text[end] == secret[right]:
        end, right = end + 1, right + 1
    return start, end


def _forms(secret: str) -> set[str]:
    bare = secret.removeprefix(_PREFIX)
    forms = {secret, quote(secret, safe=""), quote_plus(secret), html.escape(secret), json.dumps(secret)[1:-1]}
    if len(bare) >= _GRAM:
        forms |= {bare, secret.encode().hex(), bare.encode().hex(), bare.encode().hex().upper()}
    for encode, text in product((base64.b64encode, base64.urlsafe_b64encode), (secret, bare)):
        for offset in range(3):
            # Base64 of a text that holds the secret after 0, 1 or 2 bytes: less the characters that neighbours share.
            encoded = encode(b"\0" * offset + text.encode()).decode().rstrip("=")
            skipped = (0, 2, 3)[offset]
            whole = encoded[skipped : len(encoded) - (1 if (offset + len(text)) % 3 else 0)]
            if len(whole) >= _GRAM:
                forms.add(whole)
    return {form for form in forms if form}
