"""A tenant whose every word is hostile, and a run against it in which every outcome occurs."""

import json
from dataclasses import replace
from pathlib import Path

from gt_sandbox.middleware import (
    MiddlewareFactory,
    Request,
    Response,
    change_pieces,
    change_refusals,
    change_successes,
    is_at,
)
from tests.commands import Finished, run, small, tenant
from tests.records import HOSTILE

WORDS = " ".join(HOSTILE.values())
"""Markup, attributes, templates, controls, overrides and half characters, one after the other."""

RUNBOOKS = ("openai-sdk-curl", "dify", "anythingllm")
"""All routes with all verdicts, and an item that needs a person."""

_JSON = (("content-type", "application/json"), ("x-request-id", HOSTILE["attribute"]))
_DEEP = b'{"text": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"
_NOT_UTF8 = b'{"text": "\xff\xfe<script>alert(1)</script>\xc3("}'
_WAIVER = {
    "runbook": "dify",
    "row": "embeddings",
    "reason": "The embedding model is replaced.",
    "owner": "A. Example",
    "issue": "https://tracker.acme.example/412",
    "expires": "",
}


def hostile_middleware() -> tuple[MiddlewareFactory, ...]:
    """What stands between the embedded tenant and the run: each route responds with hostile text of its own."""
    return (
        change_successes(is_at("/embeddings"), lambda _: Response(500, _JSON, _error(f"[bold red]loud[/] {WORDS}"))),
        change_successes(is_at("/images/generations"), lambda _: Response(500, _JSON, _error("<b>" * 350_000))),
        change_successes(is_at("/audio/transcriptions"), lambda _: Response(200, _JSON, _DEEP)),
        change_successes(is_at("/audio/speech"), lambda _: Response(200, _JSON, _NOT_UTF8)),
        change_successes(lambda asked: "/files/" in asked.path, lambda _: Response(500, _JSON, _error(WORDS))),
        change_successes(is_at("/models"), _listing_more),
        change_pieces(
            is_at("/chat/completions"), lambda piece: piece.replace(b'"field-analyst"', json.dumps(WORDS).encode())
        ),
        change_refusals(_refusing_in_words),
    )


def judged(folder: Path, expires: str) -> Finished:
    """A run against it with every report. A row is waived until that day, a key is missing, and nobody has attested."""
    with tenant(folder, *hostile_middleware()) as (_, path):
        runbooks = small(path, *RUNBOOKS)
        document = json.loads(path.read_text(encoding="utf-8"))
        del document["keys"]["gone"]
        path.write_text(json.dumps(document), encoding="utf-8")
        waivers = folder / "waivers.yaml"
        waivers.write_text(json.dumps({"waivers": [_WAIVER | {"expires": expires}]}), encoding="utf-8")
        return run("--tenant", path, "--runbooks", runbooks, "--waivers", waivers, cwd=folder)


def _error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": message[:200], "param": None, "code": None}}).encode()


def _listing_more(answer: Response) -> Response:
    body = json.loads(answer.body)
    body["data"] += [{"id": word, "object": "model", "created": 1, "owned_by": word} for word in HOSTILE.values()]
    return answer.with_body(json.dumps(body).encode())


def _refusing_in_words(asked: Request, answer: Response) -> Response:
    return replace(answer, headers=_JSON, body=_error(f"{asked.method} is refused. {WORDS}"))
