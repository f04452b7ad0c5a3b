"""From runbook files to frozen values, or one error that names everything wrong in all of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gt_conformance import document
from gt_conformance.document import Document
from gt_conformance.errors import InputError, Problem
from gt_conformance.runbook._value import (
    ChecklistItem,
    ConfigurationField,
    KnownIssue,
    Prerequisite,
    Row,
    Runbook,
    Step,
)
from gt_conformance.runbook._wire import ClientProfile
from gt_conformance.vocabulary import Route, Verdict


def load_directory(directory: Path) -> tuple[Runbook, ...]:
    """Every ``*.yaml`` of the directory, ordered as the wiki orders them: by category, then by file.

    Raises InputError naming every problem of every file: unreadable or malformed YAML, breaches of the
    schema, an id that differs from the file's name, an id used twice, or a directory without runbooks.
    """
    books, problems = read_directory(directory)
    if problems:
        raise InputError(problems)
    return books


def read_directory(directory: Path) -> tuple[tuple[Runbook, ...], list[Problem]]:
    """The runbooks that can be read, in that order, and every problem of all files.

    Raises InputError for a directory without runbooks.
    """
    if not directory.is_dir():
        raise InputError.of(
            f"There is no folder of runbooks at {directory}.", hint="Name one that exists with --runbooks DIR."
        )
    paths = sorted({*directory.glob("*.yaml"), *directory.glob("*.yml")})
    if not paths:
        raise InputError.of(
            f"The folder {directory} holds no runbook (*.yaml).", hint="Name another with --runbooks DIR."
        )
    documents: list[Document] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            documents.append(document.read(path, schema="runbook"))
        except InputError as error:
            problems += error.problems
    problems += [*_misnamed(documents), *_repeated(documents)]
    books = [_runbook(item) for item in documents]
    return tuple(sorted(books, key=lambda book: (_CATEGORY_ORDER.index(book.category), book.id))), problems


_CATEGORY_ORDER = (
    "SDK and HTTP",
    "Framework and orchestration",
    "Workflow and builders",
    "Developer tooling",
)


def _misnamed(documents: Sequence[Document]) -> list[Problem]:
    return [
        Problem(
            f"the id is {item.value['id']!r} but the file is {item.path.name}.",
            where=item.locate("id"),
            path="id",
            hint=f"Rename the file to {item.value['id']}.yaml, or set id: {item.path.stem}.",
        )
        for item in documents
        if item.value["id"] != item.path.stem
    ]


def _repeated(documents: Sequence[Document]) -> list[Problem]:
    first: dict[str, Document] = {}
    problems = []
    for item in documents:
        earlier = first.setdefault(item.value["id"], item)
        if earlier is not item:
            problems.append(
                Problem(
                    f"the id {item.value['id']!r} is used already by {earlier.path.name}.",
                    where=item.locate("id"),
                    path="id",
                    hint="Give each runbook an id of its own.",
                )
            )
    return problems


def _runbook(source: Document) -> Runbook:
    value = source.value
    runbook_id = value["id"]
    wire = value["wire"]
    return Runbook(
        document=source,
        id=runbook_id,
        title=value["title"],
        category=value["category"],
        compatibility=value["compatibility"],
        key_preset=value["key_preset"],
        evidence=value["evidence"],
        source=value["source"],
        summary=value["summary"],
        docs=tuple(value["docs"]),
        base_url=value["base_url"],
        configuration=tuple(ConfigurationField(**item) for item in value["configuration"]),
        rows=tuple(_row(runbook_id, route, value["routes"][route.title]) for route in Route),
        not_supported=tuple(value["not_supported"]),
        prerequisites=tuple(
            Prerequisite(item["text"], tuple(item.get("known_by", ()))) for item in value["prerequisites"]
        ),
        setup=tuple(value["setup"]),
        caveats=tuple(value["caveats"]),
        checklist=tuple(
            ChecklistItem(runbook_id, number, item["text"], tuple(item["checks"]), item.get("optional", False))
            for number, item in enumerate(value["checklist"], start=1)
        ),
        known_issues=tuple(_known_issue(item) for item in value["known_issues"]),
        unmeasured=wire.get("unmeasured"),
        measured_clients=tuple(ClientProfile.of(item) for item in wire["clients"]),
    )


def _row(runbook_id: str, route: Route, value: Mapping[str, Any]) -> Row:
    return Row(
        runbook=runbook_id,
        route=route,
        verdict=Verdict(value["verdict"]),
        integration=value["integration"],
        instead=value.get("instead"),
        steps=tuple(_step(step) for step in value.get("steps", ())),
    )


def _step(value: Mapping[str, Any]) -> Step:
    return Step(
        send=value["send"],
        credential=value["credential"],
        headers=tuple(value["headers"].items()),
        result=value["result"],
        body=value.get("body"),
        poll=value.get("poll"),
    )


def _known_issue(value: Mapping[str, Any]) -> KnownIssue:
    routes = tuple(route for route in Route if route.title in value.get("routes", ()))
    return KnownIssue(value["id"], value["documented"], value["measured"], value["remedy"], routes)
