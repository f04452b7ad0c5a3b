"""Files that people write, as texts to load, and what is refused about them."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pytest

from gt_conformance.errors import InputError

_T = TypeVar("_T")


def problems_of(load: Callable[[_T], object], given: _T, *, file: str = "") -> list[str]:
    """What is refused about what is given, a line a problem, each less the name of the ``file`` at its beginning."""
    with pytest.raises(InputError) as caught:
        load(given)
    return [str(problem).removeprefix(f"{file}:") for problem in caught.value.problems]


def list_entries(section: str, *entries: Mapping[str, Any]) -> str:
    """A file of one section, each key of each entry in a line of its own."""
    lines = [f"{section}:"]
    for one in entries:
        lines += [f"  {' ' if at else '-'} {key}: {json.dumps(value)}" for at, (key, value) in enumerate(one.items())]
    return "\n".join([*lines, ""])


def change(entry: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    """The entry with these changes; what is None is left out."""
    return {key: value for key, value in {**entry, **changes}.items() if value is not None}
