"""What an unquoted word of YAML means, by the core schema of YAML 1.2.

PyYAML's own reading is that of YAML 1.1, where ``on`` and ``no`` are booleans, ``1:30`` is ninety and ``2026-11-22`` a
date: each a surprise to whoever writes a runbook.
"""

import re

MAX_DIGITS = 300
"""A longer number converts to no float, and Python refuses to read one of more than 4,300 digits."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def resolved(word: str) -> str | int | float | bool | None:
    """The value of an unquoted word. Raises ValueError for a number too long to be one."""
    if word in _NULL:
        return None
    if word in _BOOLEAN:
        return _BOOLEAN[word]
    return _number(word) if word[0] in "+-.0123456789" else word


def _number(word: str) -> str | int | float:
    if _INTEGER.fullmatch(word):
        if len(word) > MAX_DIGITS:
            raise ValueError
        return int(word, 0 if word[1:2] in {"o", "x"} else 10)
    if _FLOAT.fullmatch(word):
        return float(word)
    return float(word.replace(".", "")) if _NO_NUMBER.fullmatch(word) else word
