"""From manifest files to frozen values, or one error that names everything wrong in all of them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gt_conformance import document
from gt_conformance.clients._manifest import Client, Manifest, Runtime
from gt_conformance.document import Document
from gt_conformance.errors import InputError, Problem
from gt_conformance.runbook import Runbook
from gt_conformance.vocabulary import Route, Verdict

MANIFEST = "client.yaml"


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


def _manifest(source: Document) -> Manifest:
    value = source.value
    return Manifest(
        document=source,
        runbook=value["runbook"],
        clients=tuple(_client(source, item) for item in value.get("clients", ())),
        items={entry["item"]: tuple(map(Route, entry["routes"])) for entry in value.get("items", ())},
        by_hand=tuple(map(Route, value.get("by_hand", ()))),
        unavailable=value.get("unavailable"),
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
        drives=tuple(map(Route, value["drives"])),
        sets=tuple(value["sets"]),
        deadline_s=value["deadline_s"],
        packages=dict(value.get("packages", {})),
        node=value.get("node"),
        scripts=value.get("scripts"),
        profile=value.get("profile"),
        environment=dict(value.get("environment", {})),
        acts=value.get("acts"),
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
    driven = {name for item in source.value.get("clients", ()) for name in item["drives"]}
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
    for path in (client.driver, client.lock):
        if path is not None and not path.is_file():
            yield f"{client.id} has no file {path.name}.", f"Write {path}."
    fields = {item.field for item in book.configuration}
    for unknown in sorted(set(client.sets) - fields):
        yield (
            f"{client.id} sets {unknown!r}, which is no configuration field of the runbook.",
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
            "Say what it could do on this machine when a tenant's model asks for it, and what holds it back.",
        )
    if client.profile is not None and client.profile not in profiles:
        yield (
            f"{client.id} names the wire profile {client.profile!r}, which the runbook has not.",
            f"Profiles: {'; '.join(sorted(profiles)) or 'none'}.",
        )
    if client.packages and next(iter(client.packages.values())) != client.version:
        yield f"the version of {client.id} is not that of its first package.", "Make them the same."
