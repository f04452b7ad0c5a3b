"""The answers of the embedded tenant and its variants, as another process recorded them."""

import base64
import json
import subprocess
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from oracles.served import ROOT, SUITE

_DEADLINE_S = 300


@dataclass(frozen=True)
class Answer:
    """An answer, and what it answers. ``path`` is that below the base URL, without /v1.

    ``variant`` is the permitted variation of the tenant; empty where it did not.
    """

    variant: str
    ref: str
    method: str
    path: str
    asked: dict[str, Any]
    status: int
    media_type: str
    body: bytes
    judged: bool
    """Whether a check saw it: the rest are controls."""
    conforms: bool
    """Whether every check that saw it conforms, at least one did, and none had anything to remark on it."""

    @cached_property
    def succeeded(self) -> bool:
        """A 2xx."""
        return 200 <= self.status < 300

    @property
    def route(self) -> str:
        """Method and path, as in ``POST /embeddings``."""
        return f"{self.method} {self.path}"


def record() -> list[Answer]:
    """Have the suite judge the embedded tenant and each of its variants, in its own environment."""
    line = [SUITE, ROOT / "oracles" / "record.py"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=_DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    return [_answer(json.loads(text)) for text in done.stdout.splitlines()]


def _answer(line: dict[str, Any]) -> Answer:
    body = base64.b64decode(line["asked"])
    return Answer(
        variant=line["variant"],
        ref=line["ref"],
        method=line["method"],
        path=line["path"].removeprefix("/api/tenant").removeprefix("/v1"),
        asked=line["fields"] or _object(body),
        status=line["status"] or 0,
        media_type=line["media_type"],
        body=base64.b64decode(line["body"]),
        judged=bool(line["outcomes"]),
        conforms=set(line["outcomes"]) == {"conforms"} and not line["remarks"],
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
