"""A tenant file that several tenants share: placeholders in its texts stand for what differs."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gt_conformance import document
from gt_conformance.document import Document
from gt_conformance.errors import InputError, Problem, unknown

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([A-Za-z][A-Za-z0-9_]*)\}")
_BRACES = {"{{": "{", "}}": "}"}


def placeholders(text: str) -> frozenset[str]:
    """The names of the placeholders in a text."""
    return frozenset(found[1] for found in _PLACEHOLDER.finditer(text) if found[1])


def fill(text: str, words: Mapping[str, str]) -> str:
    """The text with words in the places of their placeholders. Raises KeyError for a placeholder that has none."""
    return _PLACEHOLDER.sub(lambda found: words[found[1]] if found[1] else _BRACES[found[0]], text)


@dataclass(frozen=True, eq=False)
class Template:
    """A tenant file with placeholders."""

    document: Document

    @classmethod
    def read(cls, path: Path) -> "Template":
        """The template of a file. What it holds is checked once its placeholders are filled. Raises InputError."""
        return cls(document.read(path, schema=None))

    @cached_property
    def placeholders(self) -> frozenset[str]:
        """The names of the placeholders in it."""
        return frozenset(name for _, text in _texts(self.document.value, ()) for name in placeholders(text))

    def fill(self, words: Mapping[str, str]) -> Document:
        """The tenant file of one tenant. Raises InputError for what is wrong with it, or has no word."""
        problems = [
            _unknown(name, words, self.document, path)
            for path, text in _texts(self.document.value, ())
            for name in sorted(placeholders(text) - words.keys())
        ]
        if problems:
            raise InputError(document.limit_problems(problems, self.document.path))
        value = _map_texts(self.document.value, lambda text: fill(text, words))
        return document.changed(self.document, value, schema="tenant")


def _unknown(name: str, words: Mapping[str, str], source: Document, path: tuple[str | int, ...]) -> Problem:
    found = unknown("placeholder", f"{{{name}}}", [f"{{{word}}}" for word in words])
    hint = f"{found.hint} For braces that are meant, write {{{{ and }}}}."
    return Problem(found.message, source.locate(*path), ".".join(map(str, path)), hint)


def _texts(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, index))


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _map_texts(inner, change) for name, inner in value.items()}
    return [_map_texts(inner, change) for inner in value] if isinstance(value, list) else value
