"""The doctor: it finds out what the keys can do, creates nothing, names what is wrong, and writes what it found."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gt_conformance import doctor, plan
from gt_conformance.cli._setup import Setup
from gt_conformance.errors import InputError
from gt_conformance.planning import Selection
from gt_conformance.tenant import from_file
from gt_sandbox import EmbeddedTenant, middleware
from gt_sandbox.middleware import Request, Response, record_requests
from tests.commands import in_process, run
from tests.direct import judge
from tests.test_needs import only, without, written
from tests.test_newcomers import ONE_FINDING, RAG, REFUSED, UPLOAD, exchanged

KEYS = {"CHAT": "chat", "RAG": "rag", "UPLOAD": "upload", "APP": "app", "GONE": "gone"}
UNSEEN = {"a secret with blanks around it"}
"""What is no mistake at all."""


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedTenant]:
    """One faultless tenant for all of them."""
    with EmbeddedTenant() as found:
        yield found


def variables(running: EmbeddedTenant, *names: str, **more: str) -> dict[str, str]:
    """The environment of somebody who has these keys."""
    keys = {f"GT_KEY_{name}": running.secrets[f"GT_EMBEDDED_{name}"] for name in names or KEYS}
    return {"GT_BASE_URL": running.base_url, "GT_MODEL": "field-analyst", "GT_DATASET": "scratch-briefs"} | keys | more


def examined(path: Path, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What the doctor says of a tenant file, part by part: its lines, mistakes, needs; or why it is none."""
    for name, secret in secrets.items():
        monkeypatch.setenv(name, secret)
    for name in ("GT_EMBEDDED_RAG", "GT_EMBEDDED_RAG_OLD"):
        if name not in secrets:
            monkeypatch.delenv(name, raising=False)
    try:
        tenant = from_file(path, secrets)
    except InputError as error:
        yield str(error)
        return
    found = doctor.ask(tenant)
    if found.refusal is not None:
        yield f"{found.refusal.reason} {found.refusal.remedy}"
        return
    yield from doctor.describe(found)
    yield from (f"{one.found} {one.remedy}" for one in doctor.find_mistakes(found))
    setup = Setup(path, Selection(("dify", "n8n", "cursor")))
    yield from setup.foretell(found.complete(tenant)).list_needs()


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", [name for name in ONE_FINDING if name not in UNSEEN])
def test_a_mistake_ends_where_the_doctor_says(
    name: str, running: EmbeddedTenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each mistake that a run names by its cause is named by the doctor before the run, in the same words."""
    slip, _, words = ONE_FINDING[name]
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    path, secrets = written(tmp_path, running, slip)
    said = ""
    for part in examined(path, secrets, monkeypatch):  # a set-up is rehearsed only where nothing before names it
        said = f"{said} {' '.join(part.split())}"
        if all(word in said for word in words):
            return
    pytest.fail(f"{words} are not in {said}")


@pytest.mark.parametrize("name", REFUSED)
def test_a_contradiction_is_refused_as_a_run_refuses_it(name: str, running: EmbeddedTenant, tmp_path: Path) -> None:
    """The file is read as a run reads it, and nothing is asked."""
    slip, words = REFUSED[name]
    path, secrets = written(tmp_path, running, slip)
    found = in_process("doctor", "--tenant", path, cwd=tmp_path, env=secrets)
    assert (found.code, "Traceback" in found.said) == (4, False)
    for word in words:
        assert word in found.said


def test_secrets_that_are_swapped_are_named(
    running: EmbeddedTenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both keys, each with what the tenant takes it for."""
    path, secrets = written(tmp_path, running, exchanged(RAG, UPLOAD))
    said = "\n".join(examined(path, secrets, monkeypatch))
    assert "the key rag is declared for inference, and the tenant treats it as one for upload" in said
    assert "the key upload is declared for upload, and the tenant treats it as one for inference" in said


def test_a_complete_tenant_file_is_confirmed(running: EmbeddedTenant, tmp_path: Path) -> None:
    """The tenant shows what the file declares: nothing is otherwise, nothing is missing but a person."""
    path, secrets = written(tmp_path, running, without())
    found = in_process("doctor", "openai-sdk-curl", "--tenant", path, cwd=tmp_path, env=secrets)
    assert found.code == 0, found.said
    assert "otherwise" not in found.stdout
    assert found.stdout.count("nothing is missing") == 2
    assert not [secret for secret in secrets.values() if secret in found.said]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["acme.yaml"]


def test_nothing_is_created(tmp_path: Path) -> None:
    """No request but the model list is answered with a 2xx, and each POST is malformed."""
    asked: list[Request] = []
    answered: list[tuple[str, int]] = []

    def note(request: Request, response: Response) -> Response:
        answered.append((request.path, response.status))
        return response

    changed = middleware.change_responses(middleware.is_any, note)
    with EmbeddedTenant(middleware=[record_requests(asked), changed]) as running:
        path, secrets = written(tmp_path, running, without())
        in_process("doctor", "--tenant", path, cwd=tmp_path, env=secrets)
    assert len(answered) > 50
    assert {name for name, status in answered if 200 <= status < 300} == {"/api/tenant/v1/models"}


@pytest.fixture(scope="module")
def from_nothing(running: EmbeddedTenant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the doctor was called with keys in the environment and nothing else."""
    folder = tmp_path_factory.mktemp("nothing")
    found = in_process("doctor", "--runbook", "dify", cwd=folder, env=variables(running, GT_MODEL="field-analist"))
    assert found.code == 7, found.said
    (folder / "said").write_text(found.said, encoding="utf-8")
    return folder


def test_the_environment_becomes_a_tenant_file(from_nothing: Path) -> None:
    """With the editor's modeline, the name that was meant, each key's rights, and no secret."""
    text = (from_nothing / "tenant.yaml").read_text(encoding="utf-8")
    value = yaml.safe_load(text)
    assert text.startswith("# yaml-language-server: $schema=")
    assert value["models"] == {"chat": "field-analyst"}
    assert value["keys"]["rag"]["scopes"] == ["inference:chat", "inference:embed"]
    assert value["keys"]["upload"] == {
        "secret_env": "GT_KEY_UPLOAD",
        "purpose": "upload",
        "scopes": ["datasets:write"],
        "datasets": ["scratch-briefs"],
    }
    assert value["keys"]["app"]["inherits"] == ["rag", "upload"]
    assert value["keys"]["gone"] == {"secret_env": "GT_KEY_GONE", "revoked": True}
    said = (from_nothing / "said").read_text(encoding="utf-8")
    assert "Did you mean field-analyst?" in said
    assert "gtak_" not in text + said


def test_what_is_missing_is_listed_for_the_file_that_was_written(from_nothing: Path, running: EmbeddedTenant) -> None:
    """The doctor's list is that of plan, from the file alone; and it is that of the run."""
    said = (from_nothing / "said").read_text(encoding="utf-8")
    secrets = variables(running)
    planned = in_process("plan", "dify", "--tenant", "tenant.yaml", "--format", "json", cwd=from_nothing, env=secrets)
    needs = {need["finding"]: need["remedy"] for need in json.loads(planned.stdout)["needs"]}
    assert needs
    assert all(f"→ {remedy}" in said for remedy in needs.values())
    judged = run("dify", "--tenant", "tenant.yaml", cwd=from_nothing, env=secrets, lean=True)
    blocked = {one["id"] for one in judged.record["findings"] if one["outcome"] in {"blocked", "unattested"}}
    assert blocked == needs.keys()
    assert judged.code == 7


def test_a_file_that_exists_is_left_as_it_is(from_nothing: Path, running: EmbeddedTenant) -> None:
    """By doctor, which says so, and by init --from-env, which has nothing else to do."""
    before = (from_nothing / "tenant.yaml").read_text(encoding="utf-8")
    again = in_process("doctor", "dify", cwd=from_nothing, env=variables(running))
    assert "tenant.yaml exists, and is left as it is" in again.said
    refused = in_process("init", "--from-env", cwd=from_nothing, env=variables(running))
    assert (refused.code, "there is a file of that name already" in refused.said) == (4, True)
    assert (from_nothing / "tenant.yaml").read_text(encoding="utf-8") == before
    other = in_process("init", "--from-env", "other.yaml", cwd=from_nothing, env=variables(running, "CHAT"))
    assert other.code == 0
    assert yaml.safe_load((from_nothing / "other.yaml").read_text(encoding="utf-8"))["keys"].keys() == {"chat"}


@pytest.mark.parametrize(
    ("drop", "message"), [("GT_BASE_URL", "GT_BASE_URL is not set"), ("GT_KEY_CHAT", "no key is set")]
)
def test_an_environment_without_it_is_a_sentence(
    drop: str, message: str, running: EmbeddedTenant, tmp_path: Path
) -> None:
    """What is not set is named, and nothing is asked."""
    env = {name: value for name, value in variables(running, "CHAT").items() if name != drop}
    found = in_process("doctor", cwd=tmp_path, env=env)
    assert (found.code, message in found.said) == (4, True)


def test_a_tenant_that_was_not_asked_does_not_answer(tmp_path: Path) -> None:
    """Where this machine sends nothing, the doctor says why, and not that the API answers."""
    path = tmp_path / "acme.yaml"
    value = {"base_url": "https://tenant.test/api/tenant", "keys": {"chat": {"secret_env": "CHAT"}}}
    path.write_text(yaml.safe_dump({**value, "models": {"chat": "field-analyst"}}), encoding="utf-8")
    environment = {"CHAT": "gtak_000000000000000000000000", "HTTPS_PROXY": "socks5://proxy.test:1080"}
    found = in_process("doctor", "--tenant", path, cwd=tmp_path, env=environment)
    assert found.code == 8, found.said
    assert "could not be examined" in found.stdout
    assert "does not hold the URL of an HTTP proxy" in found.stdout


def test_a_tenant_that_looks_at_bodies_first_tells_no_scopes(tmp_path: Path) -> None:
    """Where each malformed request is answered alike, nothing is concluded, and the file leaves it open."""

    def alike(request: Request) -> bool:
        return request.method == "POST"

    def malformed(_: Request, __: Response) -> Response:
        return middleware.error_response(400, "malformed", "invalid_request_error")

    with EmbeddedTenant(middleware=[middleware.change_responses(alike, malformed)]) as running:
        found = in_process("doctor", cwd=tmp_path, env=variables(running, "CHAT"))
    assert "its scopes are unknown" in found.said
    assert yaml.safe_load((tmp_path / "tenant.yaml").read_text(encoding="utf-8"))["keys"]["chat"].keys() == {
        "secret_env",
        "models",
    }


def test_a_program_reads_what_was_found(running: EmbeddedTenant, tmp_path: Path) -> None:
    """As JSON: keys, names, mistakes, needs."""
    path, secrets = written(tmp_path, running, _dead_rag)
    found = in_process("doctor", "dify", "--tenant", path, "--format", "json", cwd=tmp_path, env=secrets)
    value = json.loads(found.stdout)
    works = {key["name"]: key["works"] for key in value["keys"]}
    assert works == {"rag": False, "upload": True, "app": True}
    assert any("Check the secret of the key rag" in need["reason"] + need["remedy"] for need in value["needs"])
    assert found.code == 7


def _dead_rag(document: dict[str, object], secrets: dict[str, str]) -> None:
    only("rag", "upload", "app")(document, secrets)
    secrets["GT_EMBEDDED_RAG"] = "gtak_unknown_unknown_unknown"


def test_the_example_of_the_documents_leads_to_go(running: EmbeddedTenant, tmp_path: Path) -> None:
    """With the right secrets the tenant file of docs/tenant-file.md, and that of init, miss nothing but a person."""
    text = (Path(__file__).parent.parent / "docs" / "tenant-file.md").read_text(encoding="utf-8")
    documented = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    assert in_process("init", "begun.yaml", cwd=tmp_path).code == 0
    begun = (tmp_path / "begun.yaml").read_text(encoding="utf-8")
    assert begun.startswith("# yaml-language-server: $schema=")
    for name, value in {"documented": documented, "begun": yaml.safe_load(begun)}.items():
        value["base_url"] = running.base_url
        for key, entry in value["keys"].items():
            variable = f"GT_EMBEDDED_{'partner' if key == 'other' else key}".upper()
            kept = {word: item for word, item in entry.items() if "secret" not in word}
            retired = {"retired_secret_env": f"{variable}_OLD"} if any("retired" in word for word in entry) else {}
            value["keys"][key] = {"secret_env": variable, **retired, **kept}
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(value), encoding="utf-8")
        tenant = from_file(path, dict(running.secrets))
        record = judge(plan(tenant, selection=Selection(("dify",))), running)
        assert [one["outcome"] for one in record["findings"]] == ["unattested"], record["findings"]
