"""A wire profile written anew into its runbook file, line by line: the rest of the file stays as it is."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_AT = 6
"""The indentation of a client's own keys in a runbook; those of ``chat`` stand two further in."""
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./ +@-]*")
_FLOW = re.compile(r"(?P<head>\s*[a-z_]+: )\{(?P<inner>[^{}]*)\}(?P<rest>.*)")
_AFTER = "token_limit"

Change = tuple[Sequence[str], Any]
"""A place in the profile (``("chat", "stream_usage")``) and its new value; None takes it out."""


def rewritten(text: str, line: int, changes: Sequence[Change]) -> str:
    """The text of a runbook with the profile that begins at that line (counted from 1) changed.

    Raises ValueError where the profile is not laid out as runbooks are: then it has to be written by hand.
    """
    lines = text.splitlines(keepends=True)
    first = line - 1
    last = next((at for at in range(first + 1, len(lines)) if _ends(lines[at])), len(lines))
    entry = lines[first:last]
    for path, value in changes:
        entry = _changed(entry, tuple(path), value)
    return "".join([*lines[:first], *entry, *lines[last:]])


def _ends(line: str) -> bool:
    return bool(line.strip()) and len(line) - len(line.lstrip()) < _AT


def _changed(entry: list[str], path: tuple[str, ...], value: Any) -> list[str]:
    *outer, name = path
    if outer == ["embeddings"] or len(outer) == 2:
        return _in_flow(entry, outer[-1], _AT + 2 * (len(outer) - 1), {name: value})
    indent = _AT + 2 * len(outer)
    at = _find(entry, name, indent)
    if at is None:
        return _inserted(entry, f"{name}: {_scalar(value)}", indent)
    end = "\n" if entry[at].endswith("\n") else ""
    return [*entry[:at], f"{' ' * indent}{name}: {_scalar(value)}{end}", *entry[at + 1 :]]


def _in_flow(entry: list[str], name: str, indent: int, new: Mapping[str, Any]) -> list[str]:
    at = _find(entry, name, indent)
    known: dict[str, str] = {}
    head, rest = f"{' ' * indent}{name}: ", ""
    if at is not None:
        found = _FLOW.fullmatch(entry[at].rstrip("\n"))
        if found is None:
            raise ValueError(f"{name} does not stand on one line, in braces")
        head, rest = found["head"], found["rest"]
        known = dict(part.strip().split(": ", 1) for part in found["inner"].split(",") if part.strip())
    for key, value in new.items():
        known.pop(key, None) if value is None else known.update({key: _scalar(value)})
    told = f"{head}{{{', '.join(f'{key}: {value}' for key, value in known.items())}}}{rest}\n"
    if at is None:
        return _inserted(entry, told.strip(), indent)
    return [*entry[:at], *([told] if known else []), *entry[at + 1 :]]


def _inserted(entry: list[str], text: str, indent: int) -> list[str]:
    at = _find(entry, _AFTER, _AT + 2)
    if at is None or indent != _AT + 2:
        raise ValueError(f"there is no room for {text!r}")
    return [*entry[: at + 1], f"{' ' * indent}{text}\n", *entry[at + 1 :]]


def _find(entry: Sequence[str], name: str, indent: int) -> int | None:
    start = f"{' ' * indent}{name}:"
    return next((at for at, line in enumerate(entry) if line.startswith(start)), None)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and (_PLAIN.fullmatch(value) or re.fullmatch(r"\d+\.\d+\.\d\S*|\d{4}-\d\d-\d\d", value)):
        return value
    return json.dumps(value)
