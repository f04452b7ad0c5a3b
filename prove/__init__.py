"""Proof of the suite: faults are caught, variants cause no false alarm, hostile tenants are survived."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """``write`` renews the documents of a section; ``quick`` leaves out what a pull request need not wait for."""

    write: bool = False
    quick: bool = False


@dataclass(frozen=True)
class Proof:
    """What a section found: its summary in one line, and what is wrong, a sentence each."""

    summary: str
    problems: tuple[str, ...]


def iter_strings(value: object) -> Iterator[str]:
    """Every text in a value of JSON, the keys of its mappings included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from (str(key), *iter_strings(item))
    elif isinstance(value, list):
        for item in value:
            yield from iter_strings(item)
