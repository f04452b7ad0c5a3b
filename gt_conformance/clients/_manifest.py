"""Manifests: which clients of a runbook can be driven and with what, as frozen values read from ``client.yaml``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from gt_conformance import document
from gt_conformance.document import Document
from gt_conformance.errors import InputError, Problem
from gt_conformance.runbook import Runbook
from gt_conformance.vocabulary import Route, Verdict

MANIFEST = "client.yaml"


class Runtime(StrEnum):
    """What a client runs on; ``none`` is what the system has, such as curl."""

    PYTHON = "python"
    NODE = "node"
    NONE = "none"


DRIVERS = {Runtime.PYTHON: "drive.py", Runtime.NODE: "drive.mjs", Runtime.NONE: "drive.sh"}
SENDERS = {Runtime.PYTHON: "send.py", Runtime.NODE: "send.mjs", Runtime.NONE: "send.sh"}
LOCKS = {Runtime.PYTHON: "requirements.txt", Runtime.NODE: "package-lock.json"}


@dataclass(frozen=True)
class Client:
    """One client of a runbook. ``folder`` holds its driver and its lock; sizes in MB, times in seconds.

    ``acts`` says of an agent what it could do on this machine for a tenant's model, and what holds it back. ``sends``
    names the part of it that sends the explicit HTTP steps of the runbook, where it has one, and ``no_forms`` why that
    part can upload nothing.
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
    sends: str | None = None
    no_forms: str | None = None

    @property
    def id(self) -> str:
        """``langchain/python``: what the commands and reports call it."""
        return f"{self.runbook}/{self.name}"

    @property
    def driver(self) -> Path:
        """The script that uses the client."""
        return self.folder / DRIVERS[self.runtime]

    @property
    def sender(self) -> Path:
        """The script that has the client send the runbook's steps."""
        return self.folder / SENDERS[self.runtime]

    @property
    def scripts_of_it(self) -> tuple[Path, ...]:
        """Those of the two that it has."""
        return (*([self.driver] if self.drives else []), *([self.sender] if self.sends else []))

    @property
    def lock(self) -> Path | None:
        """The file with every package and its hash; None where nothing is installed."""
        name = LOCKS.get(self.runtime)
        return self.folder / name if name else None


@dataclass(frozen=True)
class Undriven:
    """A product of a runbook that has other clients which are driven, and why it is not."""

    title: str
    why: str


@dataclass(frozen=True)
class Manifest:
    """The clients of one runbook, or why there is none. ``items`` are the checklist items that name the client.

    ``by_hand`` are native routes that the runbook has people ask by hand, since the client has no call for them;
    ``undriven`` are products that have to be tried by hand.
    """

    document: Document
    runbook: str
    clients: tuple[Client, ...] = ()
    items: Mapping[int, tuple[Route, ...]] = field(default_factory=dict)
    by_hand: tuple[Route, ...] = ()
    unavailable: str | None = None
    undriven: tuple[Undriven, ...] = ()

    @property
    def tried_by_hand(self) -> tuple[Undriven, ...]:
        """Those, and the uploads of a client that sends steps and can send no form."""
        uploads = (Undriven(f"{one.title}, uploads", one.no_forms) for one in self.clients if one.no_forms)
        return (*self.undriven, *uploads)


def load_manifests(folder: Path, runbooks: Sequence[Runbook]) -> tuple[Manifest, ...]:
    """The manifest of each folder whose name begins with no underscore, in the order of the runbooks.

    Raises InputError naming every problem of every file: what is missing, what breaks the schema, and what does not
    agree with the runbook.
    """
    if not folder.is_dir():
        raise InputError.of(f"There is no folder of clients at {folder}.", hint="Run from a whole checkout.")
    places = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(("_", ".")))
    documents = document.read_all([place / MANIFEST for place in places], schema="client")
    books = {book.id: book for book in runbooks}
    problems = [problem for item in documents for problem in _problems(item, books)]
    if problems:
        raise InputError(problems)
    manifests = {item.value["runbook"]: _manifest(item) for item in documents}
    return tuple(manifests[book.id] for book in runbooks if book.id in manifests)


def select(manifests: Sequence[Manifest], ids: Sequence[str]) -> list[tuple[Manifest, tuple[Client, ...]]]:
    """The manifests of these ids with the clients that they name, in the order of the runbooks.

    Raises InputError for an id that names none, and for a runbook none of whose clients can be driven.
    """
    every = [client for manifest in manifests for client in manifest.clients]
    known = {"all": every}
    known |= {manifest.runbook: list(manifest.clients) for manifest in manifests if manifest.clients}
    known |= {client.id: [client] for client in every}
    reasons = {manifest.runbook: manifest.unavailable for manifest in manifests if manifest.unavailable}
    if not ids:
        raise InputError.of("no client is named.", hint=f"Name some, or all. Known: {', '.join(known)}.")
    for name in ids:
        if name in reasons:
            raise InputError.of(f"no client of {name} can be driven: {reasons[name]}")
        if name not in known:
            raise InputError.of(f"there is no client {name!r}.", hint=f"Known: {', '.join(known)}.")
    wanted = {client.id for name in ids for client in known[name]}
    chosen = [(manifest, tuple(one for one in manifest.clients if one.id in wanted)) for manifest in manifests]
    return [(manifest, clients) for manifest, clients in chosen if clients]


def _manifest(source: Document) -> Manifest:
    value = source.value
    return Manifest(
        document=source,
        runbook=value["runbook"],
        clients=tuple(_client(source, item) for item in value.get("clients", ())),
        items={entry["item"]: tuple(map(Route, entry["routes"])) for entry in value.get("items", ())},
        by_hand=tuple(map(Route, value.get("by_hand", ()))),
        unavailable=value.get("unavailable"),
        undriven=tuple(Undriven(entry["title"], entry["why"]) for entry in value.get("undriven", ())),
    )


def _client(source: Document, value: Mapping[str, Any]) -> Client:
    return Client(
        runbook=source.value["runbook"],
        name=value["name"],
        title=value["title"],
        runtime=Runtime(value["runtime"]),
        version=value["version"],
        folder=source.path.parent / value["name"],
        install_mb=value["install"]["mb"],
        install_s=value["install"]["seconds"],
        drives=tuple(map(Route, value.get("drives", ()))),
        sets=tuple(value.get("sets", ())),
        deadline_s=value["deadline_s"],
        packages=dict(value.get("packages", {})),
        node=value.get("node"),
        scripts=value.get("scripts"),
        profile=value.get("profile"),
        environment=dict(value.get("environment", {})),
        acts=value.get("acts"),
        sends=value.get("sends"),
        no_forms=value.get("no_forms"),
    )


def _problems(source: Document, books: Mapping[str, Runbook]) -> Iterator[Problem]:
    name = source.path.parent.name
    runbook = source.value["runbook"]
    if runbook != name:
        yield Problem(
            f"the runbook is {runbook!r} but the folder is {name}.",
            where=source.locate("runbook"),
            hint="Give the folder the runbook's id.",
        )
    book = books.get(runbook)
    if book is None:
        yield Problem(
            f"there is no runbook {runbook!r}.", where=source.locate("runbook"), hint=f"Known: {', '.join(books)}."
        )
        return
    driven = {name for item in source.value.get("clients", ()) for name in item.get("drives", ())}
    for name in driven.intersection(source.value.get("by_hand", ())):
        yield Problem(
            f"{name} is asked by hand, and a client drives it.",
            where=source.locate("by_hand"),
            hint="Take it out of by_hand: what a client does itself proves more.",
        )
    names: set[str] = set()
    for number, item in enumerate(source.value.get("clients", ())):
        for message, hint in _disagreements(_client(source, item), book, names):
            yield Problem(message, where=source.locate("clients", number), hint=hint)


def _disagreements(client: Client, book: Runbook, names: set[str]) -> Iterator[tuple[str, str]]:
    if client.name in names:
        yield f"there are two clients {client.name!r}.", "Give each a name of its own."
    names.add(client.name)
    for path in (*client.scripts_of_it, client.lock):
        if path is not None and not path.is_file():
            yield f"{client.id} has no file {path.name}.", f"Write {path}."
    fields = {item.field for item in book.configuration}
    for unknown in sorted(set(client.sets) - fields):
        yield (
            f"{client.id} sets {unknown!r}, which is not a configuration field of the runbook.",
            f"Fields: {'; '.join(sorted(fields))}.",
        )
    for route in client.drives:
        if book.row(route).verdict is not Verdict.NATIVE:
            yield (
                f"{client.id} drives {route.value}, which is {book.row(route).verdict.value} in the runbook.",
                "A client is asked for native routes only; the runbook's own steps prove gt_extension.",
            )
    profiles = {profile.package: profile for profile in book.measured_clients}
    if client.acts is None and client.profile in profiles and "tools" in dict(profiles[client.profile].chat.load):
        yield (
            f"{client.id} offers tools to the model, as its wire profile says, and the manifest says no acts.",
            "Describe what it could do on this machine when a tenant's model asks for it, and what prevents that.",
        )
    if client.profile is not None and client.profile not in profiles:
        yield (
            f"{client.id} names the wire profile {client.profile!r}, which the runbook does not have.",
            f"Profiles: {'; '.join(sorted(profiles)) or 'none'}.",
        )
    yield from _slips(client, book)


def _slips(client: Client, book: Runbook) -> Iterator[tuple[str, str]]:
    if client.sends is not None and Verdict.GT_EXTENSION not in {row.verdict for row in book.rows}:
        yield f"{client.id} sends the steps of a runbook that has none.", "Take sends out."
    if client.packages and next(iter(client.packages.values())) != client.version:
        yield f"the version of {client.id} is not that of its first package.", "Make them the same."
