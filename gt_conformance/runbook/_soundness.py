"""What a runbook file must say beyond its schema: its parts must agree with one another."""

import difflib
from collections.abc import Collection, Iterator

from gt_conformance.errors import Problem
from gt_conformance.runbook._value import Runbook
from gt_conformance.vocabulary import Route, Verdict


def findings(book: Runbook, known_checks: Collection[str]) -> tuple[Problem, ...]:
    """Everything in the file that contradicts itself, with the place and what to do; empty when it is sound.

    ``known_checks`` are the ids that a checklist item may name.
    """
    return (*_checks(book, known_checks), *_wire(book), *_issues(book), *_steps(book))


def _checks(book: Runbook, known_checks: Collection[str]) -> Iterator[Problem]:
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


def _wire(book: Runbook) -> Iterator[Problem]:
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


def _issues(book: Runbook) -> Iterator[Problem]:
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
                    f"{title!r} is not one of the nine routes.",
                    where=book.document.locate("known_issues", index, "routes", position),
                    path=f"known_issues.{index}.routes.{position}",
                    hint="Allowed: " + ", ".join(route.title for route in Route) + ".",
                )


def _steps(book: Runbook) -> Iterator[Problem]:
    for row in book.rows:
        if row.verdict is not Verdict.GT_EXTENSION:
            continue
        sent = [step.send for step in row.steps]
        if row.route.title not in sent:
            yield Problem(
                f"no step of this row sends {row.route.title}.",
                where=book.document.locate("routes", row.route.title, "steps"),
                path=f"routes.{row.route.title}.steps",
                hint="Add the request that the row is about.",
            )
        if not any(step.poll for step in row.steps):
            yield Problem(
                "no step of this row says what to poll and until when.",
                where=book.document.locate("routes", row.route.title, "steps"),
                path=f"routes.{row.route.title}.steps",
                hint="Add poll to the step that asks for the file's state.",
            )
