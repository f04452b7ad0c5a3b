"""Files of dated entries that people write, by hand or by a command: what attestations and waivers have in common.

Each file is one list, under the name of its schema. :func:`read` gives the valid entries and the problems of the
others, so that one reading reports everything that is wrong with the file. Every entry knows its lines: a message can
say which ones to remove.
"""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gt_conformance import document, resources, schema
from gt_conformance.document import Document
from gt_conformance.errors import InputError, Location, Problem
from gt_conformance.runbook import Runbook
from gt_conformance.schema import join_values, masked, nearest, quote
from gt_conformance.tenant import Tenant, TenantKind

ENTRY = "#/$defs/entry"
"""Where the schema of such a file describes one entry."""

EMBEDDED = "embedded"
"""Stands for the embedded tenant, whose address differs from run to run."""

LINE_END = re.compile(r"\r\n|\n|\r")
"""As an editor counts lines; ``str.splitlines`` knows more ends than YAML does."""

_SURROGATE = re.compile("[\ud800-\udfff]")
"""Replaces a byte that could not be decoded."""


_DEFAULT_PORTS = {"https": 443, "http": 80}


def normalise(address: str) -> str:
    """A tenant's base URL in the one form in which two are compared; ``embedded`` stays as it is.

    Scheme and host in small letters, without the default port, a slash at the end, or the ``/v1`` that clients add.
    """
    if address == EMBEDDED:
        return address
    try:
        parts = urlsplit(address.strip())
        default, number = _DEFAULT_PORTS.get(parts.scheme), parts.port
    except ValueError:  # no URL: equal to itself only
        return address
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = "" if number in {None, default} else f":{number}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/').removesuffix('/v1').rstrip('/')}"


def address_of(tenant: Tenant) -> str:
    """The address to which entries about that tenant are bound."""
    return EMBEDDED if tenant.kind is TenantKind.EMBEDDED else normalise(tenant.base_url)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry that holds to the schema. ``last`` is its last line; comments before the next entry are not its own."""

    value: Mapping[str, Any]
    index: int
    first: int
    last: int
    _document: Document
    _name: str

    @property
    def where(self) -> Location:
        """The line on which it starts."""
        return Location(str(self._document.path), self.first)

    @property
    def lines(self) -> str:
        """``line 12``, ``lines 12-18``."""
        return f"line {self.first}" if self.first == self.last else f"lines {self.first}-{self.last}"

    def located(self, problem: Problem) -> Problem:
        """The problem at its place in the file; its path is that inside the entry."""
        steps = problem.path.split(".") if problem.path else []
        where = self._document.locate(self._name, self.index, *steps)
        return replace(problem, where=where, path=".".join([self._name, str(self.index), *steps]))


@dataclass(frozen=True, slots=True)
class DatedEntries:
    """The entries of a file that hold to its schema, and what is wrong with the rest of it.

    ``text`` is the whole file. ``indent`` is how far the list's dashes are indented; None where it has no dashes.
    """

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    indent: int | None
    text: str
    name: str

    def insert(self, lines: Sequence[str], index: int | None = None) -> str:
        """The file's text with an entry of these lines at the end, or in the place of the one of that index."""
        text = self.text
        newline = "\r\n" if "\r\n" in text else "\n"
        entry = _indented(lines, 2 if self.indent is None else self.indent).replace("\n", newline)
        if index is not None:
            starts = [0, *(end.end() for end in LINE_END.finditer(text)), len(text)]
            old = self.entries[index]
            return text[: starts[old.first - 1]] + entry + text[starts[old.last] :]
        if not self.entries:
            text = re.sub(rf"^({self.name}:)[ \t]*\[\s*\]", r"\1", text, flags=re.MULTILINE)
        return text + ("" if text.endswith(("\n", "\r")) else newline) + entry


def read(path: Path, name: str) -> DatedEntries:
    """The file's list of that name, held against the schema of that name.

    Raises InputError where there is no file, or nothing in it that could be read.
    """
    problems: list[Problem] = []
    try:
        source = document.read(path, schema=name)
    except InputError as error:
        problems += error.problems
        try:
            source = document.read(path, schema=None)
        except InputError:
            raise error from None
    found = source.value.get(name)
    values: Sequence[Any] = found if isinstance(found, list) else []
    indent, spans = _spans(source, name, len(values))
    wanted = schema.load(name)
    entries = tuple(
        Entry(value, index, *spans[index], source, name)
        for index, value in enumerate(values)
        if not wanted.errors(value, ENTRY)
    )
    problems += (entry.located(problem) for entry in entries for problem in unsaid(entry.value))
    return DatedEntries(entries, tuple(problems), indent, source.text, name)


def begin(path: Path, name: str, lines: Sequence[str]) -> str:
    """The text of a file of that name with one entry, which tells an editor where the schema is."""
    return f"{modeline(path, name)}\n{name}:\n{_indented(lines, 2)}"


def modeline(path: Path, name: str) -> str:
    """The first line of a file there, which tells an editor where its schema is."""
    found, folder = resources.schemas_dir() / f"{name}.schema.json", Path(os.path.realpath(path)).parent
    # From the file's own folder within the checkout, else where it is installed.
    where = os.path.relpath(found, folder) if folder.is_relative_to(resources.root()) else str(found)
    return f"# yaml-language-server: $schema={where}"


def _indented(lines: Sequence[str], indent: int) -> str:
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def quoted(text: str) -> str:
    """A text as a JSON string: that is YAML, whatever it holds.

    Letters of every script stay readable; what cannot be seen is escaped: YAML takes some of it for line breaks.
    """
    return "".join(char if char.isprintable() else _escape(char) for char in json.dumps(text, ensure_ascii=False))


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def write(text: str, path: Path, holds: Callable[[Path], bool]) -> None:
    """Put the text into the file as a whole, once it has been read back and ``holds`` says that it is as it should.

    Raises InputError where it is not, or cannot be written; the file is then as it was.
    """
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.write_bytes(text.encode())
        if target.exists():
            shutil.copymode(target, draft)
        if not holds(draft):
            raise InputError.of(
                "this file is written in a form to which no entry can be added; it was left as it is.",
                where=Location(str(path)),
                hint="Write its list with one '- ' for each entry and each key on a line of its own.",
            )
        draft.replace(target)
    except OSError as error:
        raise InputError.of(
            f"the file cannot be written: {error.strerror}.", where=Location(str(path)), hint="Nothing was changed."
        ) from None
    finally:
        with contextlib.suppress(OSError):  # it was moved, or never came to be
            draft.unlink()


def unsaid(value: Mapping[str, Any]) -> Iterator[Problem]:
    """The texts of an entry that say nothing (``...``, left over from an example), say a secret, or are no text."""
    for key, text in value.items():
        if isinstance(text, Mapping):
            for inner in unsaid(text):
                yield replace(inner, path=f"{key}.{inner.path}")
        elif isinstance(text, str) and masked(text) != text:
            hint = "Delete it, and rotate the key: whoever can read it has it."
            yield Problem("this text contains a GT key.", path=key, hint=hint)
        elif isinstance(text, str) and _SURROGATE.search(text):
            yield Problem("this text is not UTF-8.", path=key, hint="Save or type it as UTF-8.")
        elif isinstance(text, str) and not any(char.isalnum() for char in text):
            yield Problem(f"{quote(text)} says nothing.", path=key, hint="Put it in words.")


def unknown(kind: str, name: str, known: Iterable[str], *, path: str, hint: str | None = None) -> Problem:
    """That there is nothing of that name, with the nearest right one, and all of them unless the hint says where."""
    names = sorted(known)
    near = nearest(name, names)
    message = f"there is no {kind} {quote(name)}{f': did you mean {near}?' if near else '.'}"
    return Problem(message, path=path, hint=hint or f"Known: {join_values(names)}.")


def by_id(runbooks: Iterable[Runbook]) -> dict[str, Runbook]:
    """The runbooks by their ids."""
    return {book.id: book for book in runbooks}


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """The problems from the top of the file to its end; those that are about no line come last."""

    def position(problem: Problem) -> tuple[bool, int, int]:
        line, column = (problem.where.line, problem.where.column) if problem.where else (None, None)
        return line is None, line or 0, column or 0

    return sorted(problems, key=position)


def _spans(source: Document, name: str, count: int) -> tuple[int | None, list[tuple[int, int]]]:
    """How far the list's dashes are indented, and the first and last line of each entry.

    A list without dashes (``[...]``) tells only where its entries start.
    """
    lines = LINE_END.split(source.text)
    starts = [source.locate(name, index).line or 1 for index in range(count)]
    place = source.locate(name)
    indent = (place.column or 1) - 1
    if not count or not _is_dash(lines[(place.line or 1) - 1], indent):
        return None, [(start, start) for start in starts]
    spans: list[tuple[int, int]] = []
    for index, start in enumerate(starts):
        first = next(line for line in range(start, 0, -1) if _is_dash(lines[line - 1], indent))
        rest = lines[first : starts[index + 1] - 1] if index + 1 < count else lines[first:]
        inside = [number for number, line in enumerate(rest, first + 1) if _indent(line) > indent and line.strip()]
        spans.append((first, inside[-1] if inside else first))
    return indent, spans


def _is_dash(line: str, indent: int) -> bool:
    return _indent(line) == indent and line[indent : indent + 1] == "-"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
