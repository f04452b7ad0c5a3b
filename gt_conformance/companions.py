"""The files that go with a tenant's runs where no option names them: attestations, waivers, what is accepted, history.

A tenant file may name them, and ``gt-conformance.toml`` in the working directory. An option comes first, then the
tenant file, then ``gt-conformance.toml``. The embedded tenant takes none of them.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from gt_conformance import document
from gt_conformance.document import Source
from gt_conformance.errors import InputError, Locate, Location, Problem

PROJECT_FILE = "gt-conformance.toml"
"""The name of the file in the working directory."""
_AT = re.compile(r" \(at line (\d+), column (\d+)\)$")


@dataclass(frozen=True, slots=True)
class Companions:
    """The four files; None is one that nobody named."""

    attestations: Path | None = None
    waivers: Path | None = None
    accepted: Path | None = None
    history: Path | None = None
    named_in: Mapping[Path, Location] = field(default_factory=dict, compare=False)
    """Where a file names each of them; what an option names has no place."""

    def or_else(self, other: "Companions") -> "Companions":
        """These, and the other's where there is none."""
        found = {name: getattr(self, name) or getattr(other, name) for name in NAMES}
        return replace(self, named_in={**other.named_in, **self.named_in}, **found)

    @classmethod
    def of(cls, value: Mapping[str, Any], folder: Path, locate: Locate) -> "Companions":
        """Those that a mapping names, from that folder on."""
        found = {name: folder / value[name] for name in NAMES if name in value}
        places = {path: place for name, path in found.items() if (place := locate(name)) is not None}
        return cls(**found, named_in=places)


NAMES = ("attestations", "waivers", "accepted", "history")


def read_project(folder: Path) -> Companions:
    """Those that ``gt-conformance.toml`` in that folder names; none where there is no such file.

    Raises InputError with everything that is wrong with it.
    """
    path = folder / PROJECT_FILE
    if not path.exists():
        return Companions()
    source = document.read_text(path)
    import tomllib  # noqa: PLC0415 - few runs have such a file

    try:
        value = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        raise InputError([_explain(str(error), source)]) from None
    except RecursionError:
        raise InputError.of("the file is nested too deeply.", where=source.location(0)) from None
    if problems := [problem for name, given in value.items() if (problem := _check(name, given, source)) is not None]:
        raise InputError(problems)
    return Companions.of(value, folder, partial(_locate, source))


def _explain(message: str, source: Source) -> Problem:
    found = _AT.search(message)
    where = source.location(len(source.text))
    if found:
        where = Location(source.file, int(found[1]), int(found[2]))
    what = _AT.sub("", message).removesuffix(" (at end of document)")
    return Problem(f"not valid TOML: {what[:1].lower()}{what[1:]}.", where=where)


def _locate(source: Source, name: str) -> Location:
    written = re.search(rf"^\s*\[*\s*[\"']?{re.escape(name)}\b", source.text, re.MULTILINE)
    return Location(source.file, source.location(written.end() if written else 0).line)


def _check(name: str, given: Any, source: Source) -> Problem | None:
    where = _locate(source, name)
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        meant = f"Did you mean {near[0]}? " if near else "Name it with --tenant FILE. " if name == "tenant" else ""
        hint = f"{meant}Known: {', '.join(NAMES)}."
        return Problem(f"there is no setting {name!r}.", where=where, hint=hint)
    if not isinstance(given, str) or not given.strip() or "\0" in given:
        return Problem("it must be the path of a file.", where=where, path=name, hint=f'Write {name} = "PATH".')
    return None
