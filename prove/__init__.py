"""Proof of the suite: faults are caught, variants cause no false alarm, hostile tenants are survived."""

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
