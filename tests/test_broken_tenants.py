"""Broken tenants: each is accused where it is broken, and nowhere else."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gt_conformance.sandbox.edges import (
    Answer,
    Asked,
    Edge,
    EdgeMaker,
    Secrets,
    answering,
    asking,
    is_at,
    live,
    pieces,
    refusals,
    successes,
    with_key,
)
from tests.commands import Finished, ahead, run, small, tenant

THREE = ("openai-sdk-curl", "dify", "aider")
"""These runbooks hold every route with every verdict that any runbook gives it."""
BOTH = ("openai-sdk-curl", "dify")
"""Those of them that embed and use GT's own routes; aider does neither."""

CHAT = is_at("/chat/completions")
EMBEDDINGS = is_at("/embeddings")
MODELS = is_at("/models")
JSON = "application/json"
PAGE = b"<!doctype html><html><body><h1>Welcome</h1></body></html>"
MARK = "]1;<script>alert(1)</script>\x1b[31m [bold red]loud[/] \u202egnp.exe"
"""What no report may take at its word."""


def error(status: int, message: str) -> Answer:
    """OpenAI's error object."""
    body = {"error": {"message": message, "type": "server_error", "param": None, "code": None}}
    return Answer(status, (("content-type", JSON),), json.dumps(body).encode())


def said(value: object) -> Callable[[Answer], Answer]:
    """The answer with this JSON body in place of its own."""
    return lambda answer: answer.saying(json.dumps(value).encode())


def unlisted(answer: Answer) -> Answer:
    """A model list without the alias."""
    body = json.loads(answer.body)
    body["data"] = [model for model in body["data"] if model["id"] != "field-analyst"]
    return answer.saying(json.dumps(body).encode())


def echoed(asked: Asked, answer: Answer) -> Answer:
    """A refusal that repeats the key."""
    return error(403, f"The key {asked.secret} has no such scope.") if answer.status == 403 else answer


def reflected(asked: Asked, answer: Answer) -> Answer:
    """An answer that lets any web page in."""
    allowed = (
        ("access-control-allow-origin", asked.header("origin")),
        ("access-control-allow-credentials", "true"),
    )
    return replace(answer, headers=(*answer.headers, *allowed))


def owned_by_all() -> EdgeMaker:
    """The state of a file is shown to every live key."""

    def made(secrets: Secrets) -> Edge:
        owners: dict[str, bytes] = {}

        def edge(app: ASGIApp) -> ASGIApp:
            async def edged(scope: Scope, receive: Receive, send: Send) -> None:
                key = dict(scope["headers"]).get(b"authorization", b"")

                async def noted(message: Message) -> None:
                    if message["type"] == "http.response.body" and b'"object":"file"' in message["body"]:
                        owners.setdefault(json.loads(message["body"])["id"], key)
                    await send(message)

                owner = owners.get(scope["path"].rpartition("/")[2])
                if owner and live(Asked.of(scope), secrets):
                    headers = [item for item in scope["headers"] if item[0] != b"authorization"]
                    scope = {**scope, "headers": [*headers, (b"authorization", owner)]}
                await app(scope, receive, noted)

            return edged

        return edge

    return made


def cut_short(wanted: Callable[[Asked], bool]) -> EdgeMaker:
    """The connection ends in the middle of a 2xx body."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            async def halved(message: Message) -> None:
                if message["type"] == "http.response.body" and b"embedding" in message["body"]:
                    message = {**message, "body": message["body"][:40], "more_body": True}
                await send(message)

            await app(scope, receive, halved if wanted(Asked.of(scope)) else send)

        return edged

    return lambda _: edge


def rows(routes: str, verdict: str, *runbooks: str) -> frozenset[str]:
    """The rows of these routes in these runbooks; in all three where none is named."""
    books = runbooks or THREE
    return frozenset(f"{book}-{route}-{verdict}" for book in books for route in routes.split())


@dataclass(frozen=True)
class Broken:
    """A fault, and what must come of it: what violates, by which checks, and what cannot be told any more.

    ``every_client`` asks for the chat rows of all runbooks, instead of everything of three. ``reports`` has every
    report written, which takes longer.
    """

    fault: EdgeMaker
    violates: frozenset[str] = frozenset()
    checks: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()
    every_client: bool = False
    reports: bool = False

    @property
    def words(self) -> list[str]:
        """What the command is called with."""
        chosen = ["--route", "chat", "--verdict", "native"] if self.every_client else ["--runbooks", "runbooks"]
        return [*chosen, *(["--", "-m", "native"] if self.every_client else [])]

    @property
    def code(self) -> int:
        """The exit code."""
        return 1 if self.violates else 7 if self.blocked else 0


EVERY_CHAT_CHECK = frozenset(
    {
        "base_url.joins",
        "chat.completes",
        "chat.model_is_published",
        "chat.roles",
        "chat.sampling_fields",
        "chat.streams",
        "chat.token_limits",
        "chat.tools",
    }
)
EVERY_EMBEDDING_CHECK = frozenset({"embeddings.base64", "embeddings.batch", "embeddings.model_is_published"})
ASK_FOR_USAGE = (
    "cline-roo",
    "continue",
    "crewai",
    "dify",
    "flowise",
    "hermes",
    "langchain",
    "langflow",
    "librechat",
    "litellm",
    "n8n",
    "openclaw",
    "semantic-kernel",
    "vercel-ai-sdk",
)
"""The clients that send stream_options.include_usage, always or where they are told to."""

BROKEN: dict[str, Broken] = {
    "no-authentication": Broken(
        with_key(lambda asked, secrets: not live(asked, secrets), "FULL"),
        frozenset({"tenant-key.required", "tenant-key.revocation"}),
        frozenset({"key.required", "key.revocation"}),
    ),
    "alias-not-listed": Broken(
        successes(MODELS, unlisted),
        rows("models", "native"),
        frozenset({"models.contains_alias", "models.exact_allowlist"}),
    ),
    "models-500": Broken(
        successes(MODELS, lambda _: error(500, "upstream failed")),
        rows("models", "native"),
        frozenset({"base_url.joins", "models.contains_alias", "models.exact_allowlist"}),
    ),
    # Whether a chat takes a conversation's id cannot be told where no chat works: nobody is accused of that.
    "chat-500": Broken(
        successes(CHAT, lambda _: error(500, "upstream failed")),
        rows("chat", "native"),
        EVERY_CHAT_CHECK,
        rows("conversation_files", "gt_extension", *BOTH),
    ),
    "chat-redirects": Broken(
        successes(CHAT, lambda _: Answer(307, (("location", "http://127.0.0.1:9/"),), b"")),
        rows("chat", "native"),
        EVERY_CHAT_CHECK,
        rows("conversation_files", "gt_extension", *BOTH),
    ),
    "foreign-model-in-chat": Broken(
        pieces(CHAT, lambda piece: piece.replace(b'"model":"field-analyst"', b'"model":"provider-model-9"')),
        rows("chat", "native"),
        frozenset({"chat.model_is_published"}),
    ),
    "internal-model-in-chat": Broken(
        pieces(CHAT, lambda piece: piece.replace(b'"model":"field-analyst"', b'"model":"agent-7f3a"')),
        rows("chat", "native") | {"tenant-tenant.no_raw_model_ids"},
        frozenset({"chat.model_is_published", "tenant.no_raw_model_ids"}),
    ),
    "stream-without-done": Broken(
        pieces(CHAT, lambda piece: b"" if b"[DONE]" in piece else piece),
        rows("chat", "native"),
        frozenset({"chat.streams"}),
    ),
    "stream-of-crlf": Broken(
        pieces(CHAT, lambda piece: piece.replace(b"\n", b"\r\n")),
        rows("chat", "native", "dify"),
        frozenset({"chat.streams"}),
        every_client=True,
    ),
    "stream-without-usage": Broken(
        pieces(CHAT, lambda piece: b"" if b'"choices":[]' in piece else piece),
        rows("chat", "native", *ASK_FOR_USAGE),
        frozenset({"chat.streams"}),
        every_client=True,
    ),
    "embeddings-html": Broken(
        successes(EMBEDDINGS, lambda answer: answer.saying(PAGE, "text/html")),
        rows("embeddings", "native", *BOTH),
        EVERY_EMBEDDING_CHECK,
    ),
    "embeddings-half-json": Broken(
        successes(EMBEDDINGS, lambda answer: answer.saying(answer.body[: len(answer.body) // 2])),
        rows("embeddings", "native", *BOTH),
        EVERY_EMBEDDING_CHECK,
    ),
    "embeddings-cut-short": Broken(
        cut_short(EMBEDDINGS),
        rows("embeddings", "native", *BOTH),
        EVERY_EMBEDDING_CHECK | {"base_url.joins"},
    ),
    "base64-ignored": Broken(asking(EMBEDDINGS, lambda body: body.replace(b',"encoding_format":"base64"', b""))),
    "transcription-without-text": Broken(
        successes(is_at("/audio/transcriptions"), said({"duration": 1.0})),
        rows("transcriptions", "native", "openai-sdk-curl"),
        frozenset({"audio.transcribes"}),
    ),
    "image-no-image": Broken(
        successes(
            is_at("/images/generations"),
            said({"created": 1, "data": [{"b64_json": base64.b64encode(b"nothing to see").decode()}]}),
        ),
        rows("images", "native", "openai-sdk-curl"),
        frozenset({"images.generates"}),
    ),
    "speech-open-to-chat-keys": Broken(
        with_key(
            lambda asked, keys: asked.path.endswith("/audio/speech") and live(asked, keys, "CHAT", "RAG", "APP"),
            "FULL",
        ),
        rows("speech", "not_supported", "dify", "aider") | {"tenant-key.scope_enforced"},
        frozenset({"route.refused", "key.scope_enforced"}),
    ),
    "dataset-open-to-all-keys": Broken(
        with_key(
            lambda asked, keys: asked.path.endswith("/datasets/scratch-briefs/files") and live(asked, keys), "UPLOAD"
        ),
        rows("dataset_files", "not_supported", "aider") | {"tenant-key.scope_enforced"},
        frozenset({"route.refused", "key.scope_enforced"}),
    ),
    "every-dataset-open-to-upload-keys": Broken(
        with_key(
            lambda asked, keys: (
                asked.path.endswith("/datasets/partner-briefs/files") and live(asked, keys, "UPLOAD", "APP")
            ),
            "PARTNER",
        ),
        rows("dataset_files", "gt_extension", *BOTH) | {"tenant-dataset.not_allowlisted_refused"},
        frozenset({"dataset.not_allowlisted_refused"}),
    ),
    "file-state-open-to-all": Broken(
        owned_by_all(),
        rows("file_status", "gt_extension", *BOTH)
        | rows("file_status", "not_supported", "aider")
        | {"tenant-files.isolated", "tenant-key.scope_enforced"},
        frozenset({"files.isolated", "route.refused", "key.scope_enforced"}),
    ),
    "file-state-500": Broken(
        successes(lambda asked: "/files/" in asked.path, lambda _: error(500, "no state")),
        rows("file_status", "gt_extension", *BOTH),
        frozenset({"files.status"}),
        rows("conversation_files dataset_files", "gt_extension", *BOTH),
    ),
    "uploads-500": Broken(
        successes(is_at("/files"), lambda _: error(500, "disk full")),
        rows("conversation_files dataset_files", "gt_extension", *BOTH),
        frozenset({"upload.conversation_ready", "upload.dataset_ready"}),
        rows("file_status", "gt_extension", *BOTH)
        | rows("file_status", "not_supported", "aider")
        | {"tenant-files.isolated", "tenant-key.scope_enforced"},
    ),
    "conversation-upload-without-header": Broken(
        answering(
            lambda asked: asked.path.endswith("/conversations/files") and not asked.header("x-gt-conversation-id"),
            lambda _, answer: (
                replace(answer, status=202, body=b'{"id": "file_stray", "status": "uploaded"}')
                if answer.status == 400
                else answer
            ),
        ),
        rows("conversation_files", "gt_extension", *BOTH),
        frozenset({"upload.needs_conversation"}),
    ),
    "refusals-are-500": Broken(
        refusals(lambda _, answer: replace(answer, status=500) if answer.status == 403 else answer),
        rows("transcriptions speech images", "not_supported", "dify", "aider")
        | rows("embeddings conversation_files dataset_files", "not_supported", "aider")
        | {"tenant-key.scope_enforced"},
        frozenset({"route.refused", "key.scope_enforced"}),
    ),
    "key-echoed": Broken(
        refusals(echoed),
        frozenset({"tenant-key.never_echoed"}),
        frozenset({"key.never_echoed"}),
        reports=True,
    ),
    "any-web-page-let-in": Broken(
        answering(lambda asked: bool(asked.header("origin")), reflected),
        frozenset({"tenant-tenant.browser_origin_refused"}),
        frozenset({"tenant.browser_origin_refused"}),
    ),
    "internal-model-works": Broken(
        asking(lambda asked: asked.method == "POST", lambda body: body.replace(b"agent-7f3a", b"field-analyst")),
        frozenset({"tenant-names.unpublished_refused"}),
        frozenset({"names.unpublished_refused"}),
    ),
    "hostile-words": Broken(
        successes(EMBEDDINGS, lambda _: error(500, MARK)),
        rows("embeddings", "native", *BOTH),
        EVERY_EMBEDDING_CHECK | {"base_url.joins"},
        reports=True,
    ),
}


@pytest.fixture(scope="module")
def judged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Finished]]:
    """The run against each broken tenant."""

    def judge(name: str) -> Finished:
        folder = tmp_path_factory.mktemp(name)
        with tenant(folder, BROKEN[name].fault) as (_, path):
            if not BROKEN[name].every_client:
                small(path, *THREE)
            return run("--tenant", path, *BROKEN[name].words, cwd=folder, lean=not BROKEN[name].reports)

    with ahead(request, "broken", judge) as result:
        yield result


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_tenant_is_accused_where_it_is_broken(broken: str, judged: Callable[[str], Finished]) -> None:
    """What is broken violates, what can no longer be told is blocked, and everything else conforms."""
    expected, found = BROKEN[broken], judged(broken)
    assert found.having("violates") == expected.violates
    assert found.check_ids("violates") == expected.checks
    assert found.having("blocked") == expected.blocked
    assert found.code == expected.code
    assert not found.record["suite_errors"]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_finding_is_proved_and_has_a_remedy(broken: str, judged: Callable[[str], Finished]) -> None:
    """Each violation names a recorded exchange with a curl line, and says what to do; the terminal says it too."""
    found = judged(broken)
    exchanges = found.record["exchanges"]
    for check in found.checks:
        if check["outcome"] != "violates":
            continue
        proof = [breach["exchange"] for breach in check["breaches"]]
        assert all(exchanges[ref]["curl"].startswith("curl ") for ref in proof)
        assert check["remedy"]
        assert check["id"] in found.said
        assert check["breaches"][0]["expected"] in found.said
    assert "Traceback" not in found.said


@pytest.mark.parametrize("broken", ["base64-ignored"])
def test_a_deviation_that_no_client_minds_is_an_advisory(broken: str, judged: Callable[[str], Finished]) -> None:
    """Floats in place of base64 conform, with an advisory on that check alone."""
    found = judged(broken)
    assert {check["id"] for check in found.checks if check["advisories"]} == {"embeddings.base64"}
    assert "answered with plain floats" in found.said


def test_strict_turns_an_advisory_into_a_violation(tmp_path: Path) -> None:
    """With --strict the same tenant violates the row that had the advisory, and no other."""
    with tenant(tmp_path, BROKEN["base64-ignored"].fault) as (_, path):
        found = run("--tenant", path, "--strict", "--runbook", "openai-sdk-curl", "--route", "embeddings", cwd=tmp_path)
    assert found.having("violates") == rows("embeddings", "native", "openai-sdk-curl")
    assert found.code == 1


@pytest.mark.parametrize("broken", ["hostile-words"])
def test_the_words_of_a_tenant_are_inert(broken: str, judged: Callable[[str], Finished]) -> None:
    """Markup, escapes and overrides of a tenant's answer neither act in a page nor in the terminal."""
    found = judged(broken)
    assert "alert(1)" in found.stdout
    assert "[bold red]loud[/]" in found.said
    assert "\x1b" not in found.stdout
    assert "\u202e" not in found.stdout
    for name in ("compliance.html", "pytest.html"):
        assert "<script>alert(1)" not in (found.folder / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("broken", ["key-echoed"])
def test_a_key_that_a_tenant_gives_away_is_not_given_on(broken: str, judged: Callable[[str], Finished]) -> None:
    """The finding names the key, and neither a report nor the terminal holds any secret."""
    found = judged(broken)
    secrets = [path.read_text().strip() for path in (found.folder.parent / "tenant.secrets").iterdir()]
    assert len(secrets) > 6
    texts = [path.read_text(errors="replace") for path in found.folder.rglob("*") if path.is_file()]
    assert len(texts) > 60
    assert not [secret for secret in secrets for text in (*texts, found.stdout, found.stderr) if secret in text]
    assert "the body holds the secret of" in found.said
