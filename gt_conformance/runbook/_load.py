"""From runbook files to frozen values, or one error that names everything wrong in all of them.

A file that holds to its schema may still contradict itself: :func:`findings` says where.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from gt_conformance import document, resources
from gt_conformance.document import Document
from gt_conformance.errors import InputError, Problem
from gt_conformance.runbook._value import (
    ChecklistItem,
    ClientProfile,
    ConfigurationField,
    KnownIssue,
    Prerequisite,
    Row,
    Runbook,
    Step,
)
from gt_conformance.vocabulary import ATTESTATION, CONVERSATION_HEADER, Actor, Fact, Part, Route, Verdict


def load_directory(directory: Path) -> tuple[Runbook, ...]:
    """Every ``*.yaml`` of the directory, ordered as the wiki orders them: by category, then by file.

    Raises InputError naming every problem of every file: unreadable or malformed YAML, violations of the
    schema, an id that differs from the file's name, an id used twice, or a directory without runbooks. Those that come
    with the suite are read once in a process.
    """
    return _load_bundled(directory) if directory == resources.root() / "runbooks" else _load(directory)


def _load(directory: Path) -> tuple[Runbook, ...]:
    books, problems = read_directory(directory)
    if problems:
        raise InputError(problems)
    return books


_load_bundled = cache(_load)


def read_directory(directory: Path) -> tuple[tuple[Runbook, ...], list[Problem]]:
    """The runbooks that can be read, in that order, and every problem of all files.

    Raises InputError for a directory without runbooks.
    """
    if not directory.is_dir():
        hint = "Name one that exists with --runbooks DIR."
        if directory.is_file():
            hint = f"It is a file. To check a tenant file: gt-conformance plan --tenant {directory}"
        raise InputError.of(f"There is no folder of runbooks at {directory}.", hint=hint)
    found = {*directory.glob("*.yaml"), *directory.glob("*.yml")}
    paths = sorted(path for path in found if not path.name.startswith("."))  # as editors and macOS leave beside a file
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
            Prerequisite(item["text"], tuple(map(Fact, item.get("known_by", ())))) for item in value["prerequisites"]
        ),
        setup=tuple(value["setup"]),
        caveats=tuple(value["caveats"]),
        checklist=tuple(
            _item(runbook_id, number, item, value["source"]) for number, item in enumerate(value["checklist"], start=1)
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


_CHECKLIST = "Validation checklist"
"""The section of a runbook's page that has its items."""


def _item(runbook_id: str, number: int, value: Mapping[str, Any], page: str) -> ChecklistItem:
    return ChecklistItem(
        runbook=runbook_id,
        number=number,
        text=value["text"],
        checks=tuple(value.get("checks", ())),
        optional=value.get("optional", False),
        asks=tuple(map(Part, value["asks"])),
        rests_on=tuple(map(Route, value.get("rests_on", ()))),
        source=f"{page}, section {_CHECKLIST}, item {number}",
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


# -- soundness: the parts of a file must agree with one another


def findings(book: Runbook, acts: Mapping[str, Actor]) -> tuple[Problem, ...]:
    """Everything in a runbook that contradicts itself, with the place and what to do; empty when it is sound.

    ``acts`` are the checks that a checklist item may name besides ``attestation``, with who acts on each.
    """
    return (
        *_unknown_checks(book, acts),
        *_unsuited_items(book, acts),
        *_unmeasured(book),
        *_unexplained(book),
        *_undocumented(book),
    )


def _unknown_checks(book: Runbook, acts: Mapping[str, Actor]) -> Iterator[Problem]:
    known_checks = {*acts, ATTESTATION}
    for index, item in enumerate(book.checklist):
        for position, check in enumerate(item.checks):
            if check not in known_checks:
                near = difflib.get_close_matches(check, known_checks, n=1)
                yield Problem(
                    f"there is no check {check!r}.",
                    where=book.document.locate("checklist", index, "checks", position),
                    path=f"checklist.{index}.checks.{position}",
                    hint=(f"Did you mean {near[0]}? " if near else "") + "`gt-conformance explain` lists them.",
                )


def _unsuited_items(book: Runbook, acts: Mapping[str, Actor]) -> Iterator[Problem]:
    """Items that ask a part which nothing they name can show, or name what shows a part that they do not ask.

    ``tenant`` needs a row, or a check on which somebody else than the operator acts; ``client`` a row, for which the
    product can be driven; ``setup`` a check on which the operator acts; ``person`` the attestation, and nothing but a
    person's part takes one. Rows and checks of the tenant need an item that asks the tenant or the client. A row that
    is not_supported shows nothing: the client does not use it.
    """
    for index, item in enumerate(book.checklist):
        for what, hint, key in _unsuited(book, item, acts):
            place = ("checklist", index, key)
            yield Problem(what, where=book.document.locate(*place), path=".".join(map(str, place)), hint=hint)


def _unsuited(book: Runbook, item: ChecklistItem, acts: Mapping[str, Actor]) -> Iterator[tuple[str, str, str]]:
    checks = [check for check in item.checks if check != ATTESTATION]
    of_setup = [check for check in checks if acts.get(check) is Actor.SETUP]
    attested = ATTESTATION in item.checks
    shown = bool(item.rests_on or len(checks) > len(of_setup))
    if Part.TENANT in item.asks and not shown:
        yield "the item asks the tenant, but names no row and no check of it.", "Add rests_on or a check.", "asks"
    if Part.CLIENT in item.asks and not item.rests_on:
        yield "the item asks the client, but rests on no row that it is driven for.", "Add rests_on.", "asks"
    if Part.PERSON in item.asks and not attested:
        yield "the item asks a person, but takes no attestation.", "Add attestation to its checks.", "asks"
    if Part.SETUP in item.asks and not of_setup:
        named = ", ".join(sorted(check for check, actor in acts.items() if actor is Actor.SETUP))
        yield "the item asks the setup, but names no check on which the operator acts.", f"Add one of {named}.", "asks"
    if attested and Part.PERSON not in item.asks:
        yield "the item takes an attestation, but asks no person.", "Add person to asks, or remove it.", "checks"
    if shown and not {Part.TENANT, Part.CLIENT} & set(item.asks):
        hint = "Add tenant or client to asks, or remove them."
        yield "the item names rows or checks of the tenant, but asks neither the tenant nor the client.", hint, "asks"
    for route in item.rests_on:
        if book.row(route).verdict is Verdict.NOT_SUPPORTED:
            hint = "Name rows that the client uses."
            yield f"the item rests on {route.value}, which is not supported here.", hint, "rests_on"


def _unmeasured(book: Runbook) -> Iterator[Problem]:
    # The row is still probed, in a plain shape; only a runbook that measured some clients and forgot this one is
    # likely to be a slip, unless a known issue says why.
    silent = book.measured_clients and not any(client.embeddings for client in book.measured_clients)
    explained = any(Route.EMBEDDINGS in issue.routes for issue in book.known_issues)
    if book.row(Route.EMBEDDINGS).verdict is Verdict.NATIVE and silent and not explained:
        yield Problem(
            "embeddings are native, but no measured client says how it embeds and no known issue says why not.",
            where=book.document.locate("wire", "clients"),
            path="wire.clients",
            hint="Add an embeddings profile to a client, or a known_issues entry for the row.",
        )
    for index, client in enumerate(book.measured_clients):
        if client.chat.token_limit_value is not None and client.chat.token_limit == "none":
            yield Problem(
                "token_limit_value is given, but token_limit is none.",
                where=book.document.locate("wire", "clients", index, "chat"),
                path=f"wire.clients.{index}.chat",
                hint="Name the field that carries the value.",
            )


def _unexplained(book: Runbook) -> Iterator[Problem]:
    ids = {issue.id for issue in book.known_issues}
    versioned = book.base_url.rstrip("/").endswith("/v1")
    verbatim = any(client.joins == "verbatim" for client in book.measured_clients)
    if verbatim and not versioned and "base-url-without-v1" not in ids:
        yield Problem(
            "a measured client joins its routes to the base URL as given, and the base URL has no /v1.",
            where=book.document.locate("base_url"),
            path="base_url",
            hint="Say so in a known_issues entry with the id base-url-without-v1.",
        )
    responses = any(client.default_surface == "/responses" for client in book.measured_clients)
    if responses and "responses-by-default" not in ids:
        yield Problem(
            "a measured client calls /responses by default, which GT does not serve.",
            where=book.document.locate("wire", "clients"),
            path="wire.clients",
            hint="Say so in a known_issues entry with the id responses-by-default.",
        )
    if len(ids) != len(book.known_issues):
        yield Problem("two known issues share an id.", where=book.document.locate("known_issues"), path="known_issues")
    for index, issue in enumerate(book.document.value["known_issues"]):
        for position, title in enumerate(issue.get("routes", ())):
            if title not in {route.title for route in Route}:
                yield Problem(
                    f"{title!r} is not one of the mapped routes.",
                    where=book.document.locate("known_issues", index, "routes", position),
                    path=f"known_issues.{index}.routes.{position}",
                    hint="Allowed: " + ", ".join(route.title for route in Route) + ".",
                )


def _undocumented(book: Runbook) -> Iterator[Problem]:
    """What the steps of a gt_extension row do not tell an operator: what a person attests rests on their being there.

    That a not_supported row says what to do instead is the schema's.
    """
    for row in book.rows:
        if row.verdict is not Verdict.GT_EXTENSION:
            continue
        place: tuple[str | int, ...] = ("routes", row.route.title, "steps")
        missing = [(what, hint, place) for what, hint in _missing_in_row(row)]
        for number, step in enumerate(row.steps):
            missing += [(what, hint, (*place, number)) for what, hint in _missing_in_step(step)]
        for what, hint, at in missing:
            yield Problem(what, where=book.document.locate(*at), path=".".join(map(str, at)), hint=hint)


def _missing_in_row(row: Row) -> Iterator[tuple[str, str]]:
    if row.route.title not in {step.send for step in row.steps}:
        yield f"no step of this row sends {row.route.title}.", "Add the request that the row is about."
    if not any(step.poll for step in row.steps):
        hint = "Add poll to the step that asks for the file's state."
        yield "no step of this row says what to poll and until when.", hint


def _missing_in_step(step: Step) -> Iterator[tuple[str, str]]:
    headers = {name.lower(): value for name, value in step.headers}
    if "{api_key}" not in headers.get("authorization", ""):
        yield "this step does not show the key in the Authorization header.", 'Add Authorization: "Bearer {api_key}".'
    if step.send == Route.CONVERSATION_FILES.title and CONVERSATION_HEADER.lower() not in headers:
        yield f"this step does not set {CONVERSATION_HEADER}.", f'Add {CONVERSATION_HEADER}: "{{conversation_id}}".'
    if step.send.startswith("POST ") and not step.body:
        yield "this step does not say what to send.", "Add body."
