"""LiteLLM's proxy before the embedded tenant is a lawful tenant for chats, embeddings and models, but for one habit.

It takes its key in the headers of other APIs too (Azure's, Google's, one of its own), and GT's reference has every
route behind a bearer key.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from oracles.litellm_proxy import KEY, proxying
from oracles.served import ALIAS, ROOT, SUITE, Served

SCOPES = tuple(f"inference:{name}" for name in ("chat", "embed", "transcribe", "speech", "image"))
"""The gateway's one key may do everything."""
ROUTES = ("models", "chat", "embeddings")


@pytest.fixture(scope="module")
def record(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What our suite finds of it, with the one key and the one name that the gateway has."""
    folder = tmp_path_factory.mktemp("proxy")
    with proxying(served, folder) as base_url:
        key = {"secret_env": "GATEWAY_KEY", "purpose": "inference", "scopes": [*SCOPES], "models": [ALIAS]}
        document = {"base_url": base_url, "models": {"chat": ALIAS}, "keys": {"gateway": key}}
        (folder / "tenant.yaml").write_text(json.dumps(document), encoding="utf-8")
        line = [str(SUITE), "-m", "gt_conformance", "run", "--tenant", "tenant.yaml", "--report-dir", "reports"]
        line += [word for route in ROUTES for word in ("--route", route)]
        line += ["--", "-p", "no:html", "-p", "no:allure_pytest"]
        env = os.environ | {"GATEWAY_KEY": KEY, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, check=False)
        path = folder / "reports" / "results.json"
        assert path.is_file(), done.stdout + done.stderr
        yield json.loads(path.read_text(encoding="utf-8"))


def test_nothing_else_violates(record: dict[str, Any]) -> None:
    """Neither a row nor the boundary, but that a key is taken in other headers: one finding, which says so."""
    proofs = [(one["check"], one["proofs"][0]) for one in record["findings"] if one["outcome"] == "violates"]
    assert [(check, "x-api-key or a header like it" in proof["expected"]) for check, proof in proofs] == [
        ("key.required", True)
    ]
    assert record["suite_errors"] == []


def test_every_row_conforms(record: dict[str, Any]) -> None:
    """As each client uses it, streams, tools and vectors included."""
    rows = [row for book in record["runbooks"] for row in book["routes"] if row["verdict"] == "native"]
    assert {row["route"] for row in rows} == {*ROUTES}
    assert [(row["id"], row["checks"]) for row in rows if row["outcome"] != "conforms"] == []
