"""Broken tenants: each finding is proved and says what to do, and nothing that a tenant says is taken at its word.

That each fault is found where it is, and nowhere else, is what ``make prove`` shows (docs/kill-matrix.md).
"""

from pathlib import Path

import pytest

from gt_sandbox.middleware import change_requests, is_at
from tests import shared_runs
from tests.commands import Finished, run, tenant

pytestmark = pytest.mark.runs

BASE64_IGNORED = change_requests(is_at("/embeddings"), lambda body: body.replace(b',"encoding_format":"base64"', b""))


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run against a tenant whose every word is hostile."""
    return shared_runs.judged_hostile(tmp_path_factory)


def test_a_finding_is_proved_and_has_a_remedy(judged: Finished) -> None:
    """Each violation names a recorded exchange with a curl line, and says what to do; the terminal says it too."""
    assert judged.code == 1
    assert not judged.record["suite_errors"]
    exchanges = judged.record["exchanges"]
    for check in judged.checks:
        if check["outcome"] != "violates":
            continue
        proof = [violation["exchange"] for violation in check["breaches"]]
        assert all(exchanges[ref]["curl"].startswith("curl ") for ref in proof)
        assert check["remedy"]
        belongs = {violation["finding"] for violation in check["breaches"]}
        assert belongs <= {finding["id"] for finding in judged.record["findings"]}
    violating = [finding for finding in judged.record["findings"] if finding["outcome"] == "violates"]
    assert len(violating) > 1
    for finding in violating[:2]:  # and how many more there are
        assert finding["check"] in judged.said
        assert finding["remedy"] in judged.said
    assert "Traceback" not in judged.said


def test_a_deviation_that_no_client_minds_is_an_advisory(tmp_path: Path) -> None:
    """Floats in place of base64 conform, with an advisory on that check alone; with --strict that row violates."""
    words = ["--runbook", "openai-sdk-curl", "--route", "embeddings"]
    with tenant(tmp_path, BASE64_IGNORED) as (_, path):
        found = run("--tenant", path, *words, cwd=tmp_path, lean=True)
        (tmp_path / "strict").mkdir()
        strict = run("--tenant", path, "--strict", *words, cwd=tmp_path / "strict", lean=True)
    assert (found.code, set(found.outcomes.values())) == (0, {"conforms"})
    assert {check["id"] for check in found.checks if check["advisories"]} == {"embeddings.base64"}
    assert "answered with plain floats" in found.said
    assert (strict.code, strict.having("violates")) == (1, {"openai-sdk-curl-embeddings-native"})


def test_the_words_of_a_tenant_are_inert(judged: Finished) -> None:
    """Markup, escapes and overrides of a tenant's answer neither act in a page nor in the terminal."""
    assert "alert(1)" in judged.stdout
    assert "[bold red]loud[/]" in judged.said
    assert "\x1b" not in judged.stdout
    assert "\u202e" not in judged.stdout
    for name in ("compliance.html", "pytest.html"):
        assert "<script>alert(1)" not in (judged.folder / name).read_text(encoding="utf-8")
