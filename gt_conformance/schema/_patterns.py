r"""Regular expressions as JSON Schema reads them.

In Python ``$`` also matches before a line break at the end, and ``\d`` and ``\w`` take the digits and letters of every
script. In JSON Schema they do not, so an id cannot end in a line break and a year is not written in Arabic digits.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

_TOKEN = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\$")
_MEANING = {"$": r"\Z", r"\d": "[0-9]", r"\w": "[A-Za-z0-9_]"}


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern matches anywhere in the text."""
    return _compiled(pattern).search(text) is not None


def unknown_keys(instance: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """The keys that neither ``properties`` nor ``patternProperties`` of the schema name."""
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    return [name for name in instance if name not in named and not any(matches(each, name) for each in patterns)]


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_TOKEN.sub(_python, pattern))


def _python(match: re.Match[str]) -> str:
    token = match[0]
    if token.startswith("["):
        return token.replace(r"\d", "0-9").replace(r"\w", "A-Za-z0-9_")
    return _MEANING.get(token, token)
