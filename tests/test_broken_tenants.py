"""Broken tenants: each finding is proved and says what to do, and nothing that a tenant says is taken at its word.

That each fault is found where it is, and nowhere else, is what ``make prove`` shows (docs/kill-matrix.md).
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gt_sandbox.faults import FAULTS
from gt_sandbox.middleware import MiddlewareFactory, Response, change_requests, change_successes, is_at
from tests.commands import Finished, ahead, run, small, tenant

THREE = ("openai-sdk-curl", "dify", "aider")
"""These runbooks hold every route with every verdict that any runbook gives it."""

EMBEDDINGS = is_at("/embeddings")
MARK = "]1;<script>alert(1)</script>\x1b[31m [bold red]loud[/] \u202egnp.exe"
"""What no report may take at its word."""


def hostile(_: Response) -> Response:
    """An error whose message would act in a page and in a terminal."""
    body = {"error": {"message": MARK, "type": "server_error", "param": None, "code": None}}
    return Response(500, (("content-type", "application/json"),), json.dumps(body).encode())


def middleware(fault: str) -> MiddlewareFactory:
    """The middleware of a fault that has some."""
    made = FAULTS[fault].middleware
    assert made is not None
    return made


BROKEN: dict[str, MiddlewareFactory] = {
    "base64-ignored": change_requests(EMBEDDINGS, lambda body: body.replace(b',"encoding_format":"base64"', b"")),
    "hostile-words": change_successes(EMBEDDINGS, hostile),
    **{name: middleware(name) for name in ("chat-500", "file-state-open-to-all", "refusals-are-500", "key-echoed")},
}
REPORTED = ("hostile-words", "key-echoed")
"""Of these every report is written, which takes longer."""


@pytest.fixture(scope="module")
def judged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Finished]]:
    """The run against each broken tenant."""

    def judge(name: str) -> Finished:
        folder = tmp_path_factory.mktemp(name)
        with tenant(folder, BROKEN[name]) as (_, path):
            small(path, *THREE)
            return run("--tenant", path, "--runbooks", "runbooks", cwd=folder, lean=name not in REPORTED)

    with ahead(request, "broken", judge) as result:
        yield result


@pytest.mark.parametrize("broken", [name for name in BROKEN if name != "base64-ignored"])
def test_a_finding_is_proved_and_has_a_remedy(broken: str, judged: Callable[[str], Finished]) -> None:
    """Each violation names a recorded exchange with a curl line, and says what to do; the terminal says it too."""
    found = judged(broken)
    assert found.code == 1
    assert not found.record["suite_errors"]
    exchanges = found.record["exchanges"]
    for check in found.checks:
        if check["outcome"] != "violates":
            continue
        proof = [violation["exchange"] for violation in check["breaches"]]
        assert all(exchanges[ref]["curl"].startswith("curl ") for ref in proof)
        assert check["remedy"]
        belongs = {violation["finding"] for violation in check["breaches"]}
        assert belongs <= {finding["id"] for finding in found.record["findings"]}
    for finding in found.record["findings"]:
        if finding["outcome"] == "violates":
            assert finding["check"] in found.said
            assert finding["proofs"][0]["expected"] in found.said
            assert finding["remedy"] in found.said
    assert "Traceback" not in found.said


@pytest.mark.parametrize("broken", ["base64-ignored"])
def test_a_deviation_that_no_client_minds_is_an_advisory(broken: str, judged: Callable[[str], Finished]) -> None:
    """Floats in place of base64 conform, with an advisory on that check alone; one item waits for a person, no more."""
    found = judged(broken)
    assert set(found.outcomes.values()) == {"conforms"}
    assert {finding["outcome"] for finding in found.record["findings"]} == {"unattested"}
    assert found.code == 7
    embedding = [check for check in found.checks if "-embeddings-" in check["place"]]
    assert {check["id"] for check in embedding if check["advisories"]} == {"embeddings.base64"}
    assert "answered with plain floats" in found.said


def test_strict_turns_an_advisory_into_a_violation(tmp_path: Path) -> None:
    """With --strict the same tenant violates the row that had the advisory, and no other."""
    with tenant(tmp_path, BROKEN["base64-ignored"]) as (_, path):
        words = ["--strict", "--runbook", "openai-sdk-curl", "--route", "embeddings"]
        found = run("--tenant", path, *words, cwd=tmp_path, lean=True)
    assert found.having("violates") == {"openai-sdk-curl-embeddings-native"}
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
