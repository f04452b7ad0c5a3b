"""Tenants that cannot be tested at all: found at once, said in one sentence, and never green."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gt_conformance import results, session
from gt_conformance.planning import CaseKind, Selection
from gt_conformance.tenant import from_file
from gt_conformance.vocabulary import Outcome
from gt_sandbox import EmbeddedTenant
from gt_sandbox.middleware import Call, MiddlewareFactory, Response, change_responses, per_call, with_request_header
from tests.commands import run, tenant
from tests.scripted import BOOKS

pytestmark = pytest.mark.runs

PAGE = b"<!doctype html><html><body><h1>Welcome</h1></body></html>"
REFUSED = b'{"error": {"message": "This key is not known.", "type": "x", "param": null, "code": "invalid_api_key"}}'
KEYS = 8
"""The live keys of the embedded tenant's file: each is put to its controls, which are two requests."""
UPLOAD_KEYS = 1
"""Those of them for uploads: where the model list is refused to such a key, its two own routes are asked as well."""


def every(status: int, body: bytes, kind: str, *headers: tuple[str, str]) -> MiddlewareFactory:
    """The same answer to every request."""
    return change_responses(lambda _: True, lambda *_: Response(status, (("content-type", kind), *headers), body))


@per_call
async def without_keys(call: Call) -> None:
    """As a proxy does that keeps the header to itself."""
    await call.forward(with_request_header(call.scope, "authorization", None))


@dataclass(frozen=True)
class Bad:
    """A tenant, what is said of it, and how many requests that may take. ``written`` changes its tenant file.

    The controls of a key are two requests, each of which is tried three times where nothing can be connected to. A list
    that is not found is asked for eight times: most instances of a tenant may lack it.
    """

    says: str
    remedy: str
    faults: tuple[MiddlewareFactory, ...] = ()
    most: int = 3
    written: Callable[[dict[str, Any]], object] = lambda _: None
    runbooks: tuple[str, ...] = ("dify", "aider")


def _at(url: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document.update(base_url=url)


def _unused_port(document: dict[str, Any]) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        document["base_url"] = f"http://127.0.0.1:{bound.getsockname()[1]}/api/tenant"


BAD: dict[str, Bad] = {
    "nobody-listens": Bad(
        "no connection (Connection refused)", "Check the host and port", most=6, written=_unused_port
    ),
    "no-such-host": Bad(
        "the host's name has no address;", "Check the host in base_url", written=_at("https://x.invalid/api/tenant")
    ),
    "no-tls-there": Bad(
        "what answers does not speak TLS",
        "Check the host and port in base_url",
        written=lambda document: document.update(base_url=document["base_url"].replace("http:", "https:")),
    ),
    "web-page": Bad("HTTP 200, but it is an HTML page", "not its web address", (every(200, PAGE, "text/html"),)),
    "web-page-404": Bad("HTTP 404 with an HTML page", "Check base_url", (every(404, PAGE, "text/html"),), most=10),
    "path-of-something-else": Bad(
        "HTTP 404",
        "Check the path in base_url",
        most=20,
        written=lambda document: document.update(base_url=document["base_url"] + "/more"),
    ),
    "proxy-502": Bad(
        "HTTP 502 with an HTML page", "check whether the tenant behind it is up", (every(502, PAGE, "text/html"),)
    ),
    "proxy-503-in-json": Bad(
        "HTTP 503: down", "A proxy answers", (every(503, b'{"error": "down"}', "application/json"),)
    ),
    "elsewhere": Bad(
        "HTTP 308 redirect to https://elsewhere.invalid/, not followed",
        "Set base_url to the address that is redirected to",
        (every(308, b"{}", "application/json", ("location", "https://elsewhere.invalid/")),),
    ),
    "login-redirect": Bad(
        "HTTP 302 redirect to https://login.invalid/authorize, not followed;",
        "The redirect leads to another page than was asked for",
        (every(302, PAGE, "text/html", ("location", "https://login.invalid/authorize")),),
    ),
    "moved-host": Bad(
        "HTTP 302 redirect to https://new.invalid/api/tenant/v1/models, not followed;",
        "Set base_url to the address that is redirected to",
        (every(302, b"", "text/plain", ("location", "https://new.invalid/api/tenant/v1/models")),),
    ),
    "titled-page": Bad(
        'HTTP 200, but it is an HTML page ("Sign in - Acme");',
        "have it let this machine's requests through",
        (every(200, b"<html><head><title>\n Sign in -  Acme</title>", "text/html"),),
    ),
    "titled-page-403": Bad(
        'HTTP 403 with an HTML page ("Just a moment...");',
        "The HTML page comes from something in front of the API",
        (every(403, b"<!doctype html><title>Just a moment...</title>", "text/html"),),
    ),
    "http-at-the-port-for-tls": Bad(
        'an HTML page ("400 The plain HTTP request was sent to HTTPS port");',
        "Write https:// in base_url",
        (every(400, b"<html><title>400 The plain HTTP request was sent to HTTPS port</title>", "text/html"),),
    ),
    "http-at-the-port-for-tls-of-go": Bad(
        "HTTP 400;",
        "Write https:// in base_url",
        (every(400, b"Client sent an HTTP request to an HTTPS server.\n", "text/plain"),),
    ),
    "every-key-refused-in-plain-text": Bad(
        "the tenant refuses all 8 keys that were tried",
        "Check base_url and the secrets",
        (every(401, b"Unauthorized", "text/plain"),),
        most=2 * (KEYS + UPLOAD_KEYS),
        runbooks=(),
    ),
    "every-key-refused": Bad(
        "HTTP 401: This key is not known.",
        "Check base_url and the secrets",
        (every(401, REFUSED, "application/json"),),
        most=2 * (KEYS + UPLOAD_KEYS),
        runbooks=(),
    ),
    "no-key-comes": Bad(
        "HTTP 401: No API key: send it as",
        "have each proxy and gateway before the tenant pass on the header Authorization",
        (without_keys,),
        most=2 * (KEYS + UPLOAD_KEYS),
        runbooks=(),
    ),
    "catch-all": Bad(
        "gt-conformance-no-such-route gave HTTP 200",
        "Something before the tenant answers for every path",
        (every(200, b'{"object": "list", "data": []}', "application/json"),),
    ),
    "catch-all-behind-the-key": Bad(
        "gt-conformance-no-such-route gave HTTP 200",
        "Something before the tenant answers for every path",
        (
            change_responses(
                lambda _: True,
                lambda _, answer: Response(200, answer.headers, b"{}") if answer.status == 404 else answer,
            ),
        ),
    ),
}


@contextmanager
def written(folder: Path, bad: Bad) -> Iterator[tuple[EmbeddedTenant, Path]]:
    """That tenant, and its tenant file."""
    with tenant(folder, *bad.faults) as (running, path):
        document = json.loads(path.read_text())
        bad.written(document)
        path.write_text(json.dumps(document))
        yield running, path


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_tenant_is_told_with_the_remedy_and_leaves_a_whole_record(tmp_path: Path, bad: Bad) -> None:
    """Every row and tenant check is blocked: nothing is green or accused. The controls find it, before all else."""
    with written(tmp_path, bad) as (running, path):
        selection = Selection(runbooks=bad.runbooks)
        planned = session.plan(from_file(path, running.secrets), tuple(BOOKS.values()), selection=selection)
        record = session.run(planned)
    assert results.exit_code(record) == 8
    refusal = record["run"]["refusal"]
    assert refusal is not None
    assert bad.says in refusal["reason"]
    assert bad.remedy in refusal["remedy"]
    cases = [case for case in results.cases(record) if case.kind is not CaseKind.ITEM]
    assert len(cases) == len(planned.of(CaseKind.ROW)) + len(planned.of(CaseKind.TENANT))
    assert {case.outcome for case in cases} == {Outcome.BLOCKED}
    assert all(check["reason"] and check["remedy"] for case in cases for check in case.checks)
    assert not record["suite_errors"]
    assert 1 <= record["traffic"]["requests"] <= bad.most


@pytest.mark.parametrize("name", ["web-page", "elsewhere"])
def test_a_bad_tenant_is_said_in_a_sentence_with_the_remedy(tmp_path: Path, name: str) -> None:
    """The terminal says what is wrong and what to do, once and as its last line; the exit code tells it apart."""
    bad = BAD[name]
    with written(tmp_path, bad) as (_, path):
        found = run("--tenant", path, "--runbook", "dify", cwd=tmp_path, lean=True)
    assert found.code == 8
    *before, last = found.stdout.splitlines()
    assert last.startswith("UNREACHABLE")
    for text in (" ".join(" ".join(before).split()), last):
        assert text.count(bad.says) == 1
        assert text.count(bad.remedy) == 1
    assert "Traceback" not in found.said
    assert "Nothing could be tested" in found.said


@pytest.mark.parametrize(
    ("name", "of_tenant"),
    [("RAG", "key.scope_enforced"), ("APP", "conversation.isolated")],
)
def test_one_bad_key_blocks_its_own_rows(name: str, of_tenant: str, tmp_path: Path) -> None:
    """Where one key of several is refused, the rows that take it are blocked, all others conform, and the exit is 7."""
    key = name.lower()
    with tenant(tmp_path) as (_, path):
        (tmp_path / "tenant.secrets" / f"GT_EMBEDDED_{name}").write_text("gtak_of_another_tenant_altogether_0000")
        found = run("--tenant", path, "--runbook", "dify", "--runbook", "aider", cwd=tmp_path, lean=True)
    # The dataset is asked about with a key that chats, which is not that of its row; what a conversation key inherits
    # is compared with what the keys have that it is linked to.
    asking = {"app": "upload.dataset_known", "rag": "conversation.inherits"}[key]
    of_rows = [check for check in found.checks if check["place"] != "tenant"]
    takes = {check["place"] for check in of_rows if check["credential"] == key or check["id"] == asking}
    blocked = found.having("blocked")
    assert takes
    assert {row for row in blocked if not row.startswith("tenant-")} == takes
    assert found.having("violates") == set()
    assert f"tenant-{of_tenant}" in blocked
    assert f"Check the secret of the key {key}: the tenant does not take it." in found.said
    assert found.code == 7
