"""Clients of a few lines, well and badly behaved, driven as the real ones are."""

import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gt_conformance import resources, tenant
from gt_conformance.clients import Client, Environments, Judged, Manifest, Runtime, Stage, judge
from gt_conformance.judgement import Judgement
from gt_conformance.proxy import exchange_numbers
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.tenant import Tenant, TenantKind, choose
from gt_conformance.vocabulary import Route
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import select_faults
from gt_sandbox.variants import select_variants

Change = Callable[[dict[str, Any]], dict[str, Any]]
BOOKS = {book.id: book for book in load_directory(resources.runbooks_dir())}
_START = 'PYTHONPATH="$GT_SHARED" exec "$SCRIPT_PYTHON" "$(dirname "$0")/client.py"\n'
_HEAD = """
import json, os, sys, time, urllib.error, urllib.request
from said import BASE_URL, KEY, MODEL, call

def send(path, body=None, *, key=KEY, **headers):
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {}), **headers}
    with urllib.request.urlopen(urllib.request.Request(BASE_URL + path, data, headers)) as answer:
        return json.load(answer)

def quietly(path, body=None):
    try:
        send(path, body)
    except urllib.error.URLError:
        pass

def chat(**more):
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], **more}
    return send("/chat/completions", body)["choices"][0]["message"]["content"]

def embed(**more):
    return [len(item["embedding"]) for item in send("/embeddings", {"model": MODEL, "input": "one", **more})["data"]]

def models():
    return [item["id"] for item in send("/models")["data"]]
"""
_NODE = """
import os, sys
from dataclasses import replace
from sending import Answer, serve
from steps import plainly as through
"""
GOOD = """
call("models", "models", {}, models)
call("chat", "chat", {}, chat)
call("embed", "embeddings", {}, embed)
"""


def scripted(
    folder: Path,
    script: str,
    *,
    runbook: str = "open-webui",
    drives: Sequence[Route] = (Route.MODELS, Route.CHAT, Route.EMBEDDINGS),
    profile: str | None = None,
    deadline_s: int = 20,
    environment: Mapping[str, str] | None = None,
    sender: str | None = None,
) -> Client:
    """A client that is this Python script; ``send``, ``chat``, ``embed`` and ``models`` are there for it.

    ``sender`` is the script of its HTTP node, with ``through`` that sends a request, ``Answer`` and ``serve``.

    Open WebUI's runbook has no explicit steps, which spares their time; Dify's has them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "drive.sh").write_text(_START, encoding="utf-8")
    (folder / "client.py").write_text(_HEAD + textwrap.dedent(script), encoding="utf-8")
    if sender is not None:
        (folder / "send.sh").write_text(_START.replace("client.py", "node.py"), encoding="utf-8")
        (folder / "node.py").write_text(_NODE + textwrap.dedent(sender), encoding="utf-8")
    return Client(
        runbook,
        "scripted",
        "Scripted",
        Runtime.NONE,
        "1.0",
        folder,
        0,
        0,
        tuple(drives),
        (),
        deadline_s,
        profile=profile,
        environment={"SCRIPT_PYTHON": sys.executable, **(environment or {})},
        sends="HTTP node" if sender is not None else None,
    )


def embedded(*faults: str, variants: Sequence[str] = ()) -> EmbeddedTenant:
    """The embedded tenant with these faults and variants, not yet started."""
    return EmbeddedTenant(middleware=(*select_variants(variants).middleware, *select_faults(faults).middleware))


def described(running: EmbeddedTenant, change: Change = lambda _: {}) -> Tenant:
    """The tenant file of the embedded tenant, with what ``change`` gives for it in place of its own."""
    document: dict[str, Any] = running.tenant_document()
    return tenant.from_mapping(
        document | change(document), running.secrets, kind=TenantKind.EMBEDDED, name="the embedded tenant"
    )


def stage(under_test: Tenant, folder: Path) -> Stage:
    """A place to drive clients."""
    sources = resources.clients_dir()
    return Stage(
        under_test,
        Environments(folder, sources, lambda _: None),
        sources / "_shared",
        "0123abcd",
        exchange_numbers(),
        lambda _: None,
    )


def driven(
    client: Client,
    folder: Path,
    *faults: str,
    variants: Sequence[str] = (),
    by_hand: Sequence[Route] = (),
    change: Change = lambda _: {},
    routes: Sequence[Route] = tuple(Route),
) -> Judged:
    """The client driven against the embedded tenant with these alterations, and judged; ``change`` is of its file.

    ``routes`` are selected.
    """
    book: Runbook = BOOKS[client.runbook]
    with embedded(*faults, variants=variants) as running:
        under_test = described(running, change)
        choice = choose(under_test, book.id, book.native_routes())
        manifest = Manifest(book.document, book.id, (client,), {1: (Route.CHAT,)}, tuple(by_hand))
        return judge(book, stage(under_test, folder).drive(manifest, (client,), book, choice, routes), under_test)


def row(judged: Judged, route: Route) -> Judgement:
    """The judgement of a route's row."""
    return next(found for found in judged.rows if found.case.route is route)
