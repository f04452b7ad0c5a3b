"""What is missing is foretold from the file alone: a run's own findings, with where in the console to get it."""

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from gt_conformance import Record, plan
from gt_conformance.needs import NeededFor, find_in_console, find_needs
from gt_conformance.planning import Selection
from gt_conformance.session import foretell
from gt_conformance.tenant import from_file
from gt_sandbox import EmbeddedTenant
from gt_sandbox.middleware import Request, record_requests
from tests.commands import in_process
from tests.direct import judge

Document = dict[str, Any]
Secrets = dict[str, str]
Slip = Callable[[Document, Secrets], object]


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedTenant]:
    """One faultless tenant for all of them."""
    with EmbeddedTenant() as found:
        yield found


def without(*names: str) -> Slip:
    """Lines of the tenant file that are not there."""
    return lambda document, _: [document.pop(name, None) for name in names]


def without_purpose(purpose: str) -> Slip:
    """No key of that purpose, and none that is linked to one."""

    def slip(document: Document, _: Secrets) -> None:
        keys = {name: key for name, key in document["keys"].items() if key.get("purpose") != purpose}
        document["keys"] = {name: {k: v for k, v in key.items() if k != "inherits"} for name, key in keys.items()}
        document.pop("runbooks", None)

    return slip


def only(*names: str) -> Slip:
    """These keys and no others."""

    def slip(document: Document, _: Secrets) -> None:
        document["keys"] = {name: key for name, key in document["keys"].items() if name in names}
        document.pop("runbooks", None)

    return slip


SETUPS: Mapping[str, Slip] = {
    "complete": without(),
    "read-only": lambda document, _: document.update(read_only=True),
    "no dataset": without("dataset", "dataset_attached"),
    "a mistyped name": lambda document, _: document["models"].update(chat="field-analist"),
    "no conversation key": without_purpose("conversation"),
    "no upload key": without_purpose("upload"),
    "no revoked key": lambda document, _: document["keys"].pop("gone"),
    "one key": only("chat"),
    "one key of each purpose": only("rag", "upload", "app"),
    "a secret that is not set": lambda _, secrets: secrets.pop("GT_EMBEDDED_RAG"),
    "a retired secret that is not set": lambda _, secrets: secrets.pop("GT_EMBEDDED_RAG_OLD"),
}


def written(folder: Path, running: EmbeddedTenant, slip: Slip) -> tuple[Path, Secrets]:
    """A tenant file of that tenant with the change, and its secrets."""
    document, secrets = copy.deepcopy(dict(running.tenant_document())), dict(running.secrets)
    slip(document, secrets)
    path = folder / "acme.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path, secrets


def missing(record: Record) -> dict[str, str]:
    """What is blocked or unattested in it: the remedy by the id of the finding."""
    return {one["id"]: one["remedy"] for one in record["findings"] if one["outcome"] in {"blocked", "unattested"}}


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", SETUPS)
def test_each_block_of_a_run_is_foretold(name: str, running: EmbeddedTenant, tmp_path: Path) -> None:
    """The plan of a set-up lists what its run finds missing, by the same ids, in the same words."""
    path, secrets = written(tmp_path, running, SETUPS[name])
    selection = Selection(("dify",))
    tenant = from_file(path, secrets)
    found = missing(judge(plan(tenant, selection=selection), running))
    _, record = foretell(plan(from_file(path, secrets, commands=False), selection=selection))
    assert missing(record) == found
    assert {need.finding: need.remedy for need in find_needs(record)} == found
    assert len(found) > 1 or name == "complete"


def test_what_the_boundary_needs_is_told_apart(running: EmbeddedTenant, tmp_path: Path) -> None:
    """A revoked key is needed for the tenant's boundary; a conversation key for rows of the runbook."""
    path, secrets = written(tmp_path, running, only("chat"))
    _, record = foretell(plan(from_file(path, secrets), selection=Selection(("dify",))))
    needs = find_needs(record)
    parts = [need.needed_for for need in needs]
    assert parts == sorted(parts, key=[NeededFor.RUNBOOK, NeededFor.BOUNDARY].index)
    boundary = [need.remedy for need in needs if need.needed_for is NeededFor.BOUNDARY]
    assert any("revoked: true" in remedy for remedy in boundary)
    assert any("purpose conversation" in need.remedy for need in needs if need.needed_for is NeededFor.RUNBOOK)


CONSOLE = {
    "Add a live key to the tenant file with purpose conversation, allowed x.": "Conversation app with uploads",
    "Add a live key with purpose upload, scope datasets:write and its datasets.": "Dataset upload automation",
    "Add a live key to the tenant file with scope inference:speech, allowed x.": "Voice and audio",
    "Add a live key to the tenant file with scope inference:embed, allowed x.": "Chat plus embeddings",
    "Add models: [...] to the key rag in the tenant file.": "Published Endpoints",
    "Revoke a spare key and add it to the tenant file with revoked: true.": "revoke it",
    "Add the retired secret (retired_secret_env) of the key rag to the tenant file.": "Rotate",
    "Add dataset: NAME to the tenant file.": "Datasets",
    "Add unpublished_models: [...] to the tenant file.": "Agent Configuration",
    "the key 'rag' takes its secret from the environment variable X, which is not set.": "displayed once",
}


@pytest.mark.parametrize("remedy", CONSOLE)
def test_what_is_missing_has_its_place_in_the_console(remedy: str) -> None:
    """Each kind of key, name and secret is told with the page of GT's console that gives it."""
    assert CONSOLE[remedy] in find_in_console(remedy)


def test_what_the_file_alone_changes_has_no_place_in_the_console() -> None:
    """Nobody is sent to the console for a line of the tenant file."""
    for remedy in ("Set read_only: false in the tenant file.", "Declare purpose and scopes for the keys."):
        assert find_in_console(remedy) == ""


def test_a_plan_lists_what_is_missing_once(tmp_path: Path) -> None:
    """In two parts; a secret that is not set anywhere keeps a run from starting, and costs the plan nothing."""
    heard: list[Request] = []
    with EmbeddedTenant(middleware=[record_requests(heard)]) as running:
        path, secrets = written(tmp_path, running, only("chat"))
        bare = in_process("plan", "dify", "--tenant", path, cwd=tmp_path)
        full = in_process("plan", "dify", "--tenant", path, cwd=tmp_path, env=secrets)
        listed = in_process("plan", "dify", "--tenant", path, "--format", "json", cwd=tmp_path, env=secrets)
    assert heard == []
    assert (bare.code, full.code, listed.code) == (0, 0, 0)
    assert "Needed before anything can be sent (1)" in bare.stdout
    assert "GT_EMBEDDED_CHAT, which is not set" in bare.said
    for found in (bare, full):
        assert "Needed for Dify (" in found.stdout
        assert "Needed for the tenant's boundary (" in found.stdout
        assert found.stdout.count("console GT API (/gt-api) > API Keys") > 1
    value = json.loads(listed.stdout)
    assert value["problems"] == []
    assert {need["needed_for"] for need in value["needs"]} == {"runbook", "boundary"}
    remedies = [need["remedy"] for need in value["needs"]]
    assert len(set(remedies)) == len(remedies)
    assert f"Requests: at least {value['requests']} " in full.stdout
    assert not [text for secret in secrets.values() for text in (bare.said, full.said, listed.said) if secret in text]


def test_a_complete_set_up_lacks_nothing_for_its_boundary(tmp_path: Path) -> None:
    """The plan of the embedded tenant has nothing to add."""
    found = in_process("plan", "dify", cwd=tmp_path)
    assert "Needed for Dify: nothing is missing" in found.stdout
    assert "Needed for the tenant's boundary: nothing is missing" in found.stdout
