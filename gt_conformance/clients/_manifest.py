"""A manifest as frozen values: which clients of a runbook are driven, and with what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from gt_conformance.document import Document
from gt_conformance.vocabulary import Route


class Runtime(StrEnum):
    """What a client runs on; ``none`` is what the system has, such as curl."""

    PYTHON = "python"
    NODE = "node"
    NONE = "none"


DRIVERS = {Runtime.PYTHON: "drive.py", Runtime.NODE: "drive.mjs", Runtime.NONE: "drive.sh"}
LOCKS = {Runtime.PYTHON: "requirements.txt", Runtime.NODE: "package-lock.json"}


@dataclass(frozen=True)
class Client:
    """One client of a runbook. ``folder`` holds its driver and its lock; sizes in MB, times in seconds.

    ``acts`` says of an agent what it could do on this machine for a tenant's model, and what holds it back.
    """

    runbook: str
    name: str
    title: str
    runtime: Runtime
    version: str
    folder: Path
    install_mb: int
    install_s: int
    drives: tuple[Route, ...]
    sets: tuple[str, ...]
    deadline_s: int
    packages: Mapping[str, str] = field(default_factory=dict)
    node: str | None = None
    scripts: str | None = None
    profile: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    acts: str | None = None

    @property
    def id(self) -> str:
        """``langchain/python``: what the commands and reports call it."""
        return f"{self.runbook}/{self.name}"

    @property
    def driver(self) -> Path:
        """The script that uses the client."""
        return self.folder / DRIVERS[self.runtime]

    @property
    def lock(self) -> Path | None:
        """The file with every package and its hash; None where nothing is installed."""
        name = LOCKS.get(self.runtime)
        return self.folder / name if name else None


@dataclass(frozen=True)
class Manifest:
    """The clients of one runbook, or why there is none. ``items`` are the checklist items that name the client.

    ``by_hand`` are native routes that the runbook has people ask by hand, since the client has no call for them.
    """

    document: Document
    runbook: str
    clients: tuple[Client, ...] = ()
    items: Mapping[int, tuple[Route, ...]] = field(default_factory=dict)
    by_hand: tuple[Route, ...] = ()
    unavailable: str | None = None
