"""README, docs/ and the other documents: commands work in bash and in zsh, examples load, links lead on.

A block of shell lines that is not run says why, in a comment above it, and the reason must be true of its commands.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import click
import pytest

from gt_conformance import resources, tenant, waiver
from gt_conformance.checks import BUILT_IN
from gt_conformance.cli._main import command as group
from gt_conformance.fleet import load_fleet
from gt_conformance.runbook import load_directory
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import FAULTS, FaultSet
from tests import fleets
from tests.commands import announced, command, serving

pytestmark = pytest.mark.slow

HERE = resources.suites_dir().parent
GENERATED = {"clauses.md", "clients.md", "kill-matrix.md", "mutation.md"}
DOCUMENTS = [
    *sorted(HERE.glob("*.md")),
    *sorted(path for path in (HERE / "docs").rglob("*.md") if path.name not in GENERATED),
    HERE / "clients/README.md",
]
SHELLS = [name for name in ("bash", "zsh") if shutil.which(name)]
PROGRAMS = (
    "cosign",
    "docker",
    "git",
    "gt-conformance",
    "id",
    "jq",
    "make",
    "npm",
    "pip",
    "pytest",
    "python3",
    "uv",
)
LEAN = "-p no:html -p no:allure_pytest"

VARIABLES = ("GT_BASE_URL", "GT_MODEL")
RECORDER = """#!/bin/sh
{
  printf '%s\\0' "${0##*/}" "$@"
  printf '%s\\0' "GT_BASE_URL=${GT_BASE_URL-}" "GT_MODEL=${GT_MODEL-}"
  printf '\\n'
} >> "$RECORD"
"""
"""Writes down its name, its arguments and the variables that name a tenant."""

_BLOCK = re.compile(r"(?:^<!-- ([^\n]+) -->\n)?^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of shell lines, with the comment above it."""

    document: Path
    number: int
    mark: str
    text: str

    @property
    def name(self) -> str:
        """Where it is."""
        return f"{self.document.relative_to(HERE)}-{self.number}"

    @property
    def reason(self) -> str:
        """Why it is not run; empty where it is."""
        return self.mark.removeprefix("not run: ") if self.mark.startswith("not run: ") else ""

    @cached_property
    def code(self) -> int:
        """The exit code that its last command may have beside 0."""
        return int(self.mark.removeprefix("exits with ")) if self.mark.startswith("exits with ") else 0


def blocks(path: Path) -> list[Block]:
    """The blocks of a document."""
    found = _BLOCK.findall(path.read_text(encoding="utf-8"))
    return [Block(path, number, mark, text) for number, (mark, text) in enumerate(found, 1)]


BLOCKS = [block for path in DOCUMENTS for block in blocks(path)]


@dataclass(frozen=True)
class Call:
    """A program that a block calls, with its arguments and the tenant that variables name."""

    words: tuple[str, ...]
    env: tuple[str, ...]


def calls(block: Block, shell: str, folder: Path) -> list[Call]:
    """What the block calls in that shell, where nothing but recorders can be called."""
    recorders = folder / "recorders"
    recorders.mkdir(exist_ok=True)
    for place in [
        *(recorders / name for name in PROGRAMS),
        *(folder / path for path in (".venv/bin/gt-conformance", ".venv/bin/pre-commit", ".venv/bin/python")),
    ]:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(RECORDER)
        place.chmod(0o755)
    for name in ("a", "b"):  # zsh refuses a pattern that matches nothing
        (folder / f"shard-{name}").mkdir(exist_ok=True)
        (folder / f"shard-{name}" / "results.json").touch()
    (folder / "dist").mkdir(exist_ok=True)
    (folder / "dist" / "gt_conformance.whl").touch()
    (folder / "script").write_text(block.text)
    record = folder / f"record-{shell}"
    record.write_text("")
    quiet = {"bash": ("--noprofile", "--norc"), "zsh": ("-f",)}[shell]
    done = subprocess.run(
        [str(shutil.which(shell)), *quiet, "-e", "script"],
        cwd=folder,
        env={"PATH": str(recorders), "RECORD": str(record), "HOME": str(folder)},
        input="gtak_typed-at-the-prompt\n" * 9,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{shell}: {done.stderr}"
    found = [line.split("\0")[:-1] for line in record.read_text().replace("\0\n", "\0\x01").split("\x01") if line]
    count = len(VARIABLES)
    return [Call(tuple(words[:-count]), tuple(words[-count:])) for words in found]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_the_shells_read_a_block_alike(block: Block, tmp_path: Path) -> None:
    """It ends well in each shell, calls the same programs with the same arguments, and has no comment.

    A comment is an argument in a zsh that somebody types into.
    """
    # Programs of a pipe start together.
    found = [sorted(calls(block, shell, tmp_path), key=lambda call: call.words) for shell in SHELLS]
    assert found[0] or "export " in block.text
    assert found.count(found[0]) == len(found)
    assert not re.search(r"(^|\s)#", block.text)
    assert "read " not in block.text.rstrip("\n").rpartition("\n")[0], "what is pasted after it would be read"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_each_command_of_a_block_exists(block: Block, tmp_path: Path) -> None:
    """Targets of make are in the Makefile; commands and options are those of the command."""
    for call in calls(block, "bash", tmp_path):
        match call.words:
            case ["make", *words]:
                done = subprocess.run(
                    [str(shutil.which("make")), "--dry-run", *words],
                    cwd=HERE,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, done.stderr
            case ["gt-conformance", name, *words]:
                parse(group, [name, *words])


def parse(known: click.Command, words: list[str]) -> None:
    """Parse the words as the command would. Raises click's error where it would refuse them."""
    while isinstance(known, click.Group):
        context = click.Context(known)
        found = known.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]}"
        known, words = found, words[1:]
    known.make_context("gt-conformance", list(words))


REASONS: dict[str, Callable[[tuple[str, ...]], bool]] = {
    "needs a container engine": lambda words: words[0] in {"docker", "id"},
    "needs cosign": lambda words: words[0] in {"cosign", "jq"},
    "installs software": lambda words: "--clients" in words or words[:2] == ("gt-conformance", "clients"),
    "serves until it is stopped": lambda words: words[0] == "gt-conformance" and words[1] in {"serve", "watch"},
    "needs a script of your own": lambda words: any(word.startswith("./") for word in words),
    "needs a run that was killed": lambda words: "--from-journal" in words,
}
"""Why a block is not run, each with what must be true of its commands."""


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.mark], ids=lambda block: block.name)
def test_a_mark_is_true(block: Block, tmp_path: Path) -> None:
    """The reason is one that is known, and each command is of that kind."""
    if block.reason:
        assert all(REASONS[block.reason](call.words) for call in calls(block, "bash", tmp_path))
    else:
        assert block.code in {1, 7}, block.mark


# -- each command really runs


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, EmbeddedTenant]]:
    """A folder with the files that documents speak of, and the tenant of its tenant files."""
    folder = tmp_path_factory.mktemp("prepared")
    with (
        EmbeddedTenant(marked=False) as running,
        EmbeddedTenant(middleware=FaultSet((FAULTS["chat-500"],)).middleware, marked=False) as broken,
    ):
        for name, one in (("acme", running), ("staging", running), ("broken", broken)):
            (folder / f"{name}.yaml").write_text(json.dumps(one.tenant_document()))
        tenants = {name: {"file": f"{name}.yaml", "labels": {"tier": "gold"}} for name in ("acme", "staging")}
        rule = {"every": "1d", "runbooks": ["aider"]}
        fleet = {"labels": {"tier": ["gold"]}, "tenants": tenants, "schedule": [rule]}
        (folder / "fleet.yaml").write_text(json.dumps(fleet))
        secrets = {**broken.secrets}
        for name, file, runbook, env in (
            ("reports", "broken.yaml", "dify", secrets),
            ("last-night", "acme.yaml", "dify", dict(running.secrets)),
            ("shard-a", "acme.yaml", "aider", dict(running.secrets)),
        ):
            words = ["run", "--tenant", file, "--runbook", runbook, "--report-dir", name, "--", *LEAN.split()]
            done = command(*words, cwd=folder, env=env, folder=folder / name)
            assert done.code in {0, 1, 7}, done.said
        fleets.write_night(folder / "nights", fleets.TONIGHT, {"acme": fleets.conforming()})
        home = folder / "nights" / "records" / fleets.TONIGHT.isoformat()
        home.mkdir(parents=True)
        shutil.copy(folder / "last-night" / "results.json", home / "acme.json.gz")  # packed or not, it is read
        for target, source in (("shard-b", "last-night"), ("eu", "last-night"), ("us", "reports")):
            shutil.copytree(folder / source, folder / target)
        yield folder, running


README = HERE / "README.md"
RUN = [path for path in DOCUMENTS if path != README and any(not block.reason for block in blocks(path))]


@pytest.mark.parametrize("path", RUN, ids=lambda path: str(path.relative_to(HERE)))
def test_the_commands_of_a_document_run(path: Path, prepared: tuple[Path, EmbeddedTenant], tmp_path: Path) -> None:
    """In the order of the document, in a folder of its own; each exits with 0, or with the code that its mark names."""
    source, running = prepared
    folder = tmp_path / "folder"
    shutil.copytree(source, folder)
    write_examples(path, folder)
    needs_server = "local.yaml" in path.read_text(encoding="utf-8")
    with serving("--tenant-file", "local.yaml", cwd=folder) if needs_server else nullcontext() as server:
        if server is not None:
            announced(server)
        for block in blocks(path):
            shutil.rmtree(folder / "reports")  # else of the run before: each block begins with the same files
            shutil.copytree(source / "reports", folder / "reports")
            codes = [run(call, folder, running) for call in calls(block, "bash", tmp_path) if not block.reason]
            assert set(codes) <= {0, block.code}, (block.name, codes)
            assert block.code in codes or not block.code, (block.name, codes)


def test_the_readme_leads_from_an_empty_folder_to_go(prepared: tuple[Path, EmbeddedTenant], tmp_path: Path) -> None:
    """One edit, as it is shown, and one run: the last command decides GO."""
    _, running = prepared
    folder = tmp_path / "empty"
    folder.mkdir()
    text = README.read_text(encoding="utf-8")
    (asked,) = re.findall(r"^for name in ([A-Z_ ]+);", text, re.MULTILINE)
    env = {f"GT_KEY_{name}": running.secrets[f"GT_EMBEDDED_{name}"] for name in asked.split()}
    env |= dict(re.findall(r"(GT_MODEL|GT_DATASET)=([\w-]+)", text)) | {"GT_BASE_URL": running.base_url}
    (edit,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    file = folder / "acme.yaml"
    done = None
    for block in blocks(README):
        for call in calls(block, "bash", tmp_path):
            if call.words[0] == "gt-conformance" and call.words[1] != "fleet":  # docs/fleet.md has these too
                done = command(*call.words[1:], cwd=folder, env={**env, "PYTEST_ADDOPTS": LEAN})
                assert done.code == block.code, done.said
        if file.exists() and not any(line in file.read_text().splitlines() for line in edit.splitlines()):
            written = file.read_text()
            for line in edit.splitlines():
                written, count = re.subn(rf"^# {line.partition(':')[0]}: .*$", line, written, flags=re.MULTILINE)
                assert count == 1, line
            file.write_text(written)
    assert done is not None
    assert done.record["decision"] == "GO"


def test_the_readme_is_short() -> None:
    """Who has ten minutes does not read more."""
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def run(call: Call, folder: Path, running: EmbeddedTenant) -> int:
    """The exit code of a call; 0 of one that is not ours."""
    if call.words[0] != "gt-conformance":
        return 0
    env = dict(running.secrets)
    named = dict(one.split("=", 1) for one in call.env)
    if named["GT_BASE_URL"]:
        env = {
            "GT_BASE_URL": running.base_url,
            "GT_MODEL": named["GT_MODEL"],
            "GT_API_KEY": running.secrets["GT_EMBEDDED_FULL"],
        }
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = command(*call.words[1:], cwd=folder, env={**env, "PATH": path, "PYTEST_ADDOPTS": LEAN})
    assert done.code in {0, 1, 7}, (call.words, done.said)
    return done.code


def write_examples(path: Path, folder: Path) -> None:
    """The Python file that a document tells people to write, and a folder of runbooks."""
    for text in re.findall(r'^```python\n(""".*?)^```$', path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        (folder / "acme_checks.py").write_text(text)
    (folder / "my-runbooks").mkdir()
    shutil.copy(resources.runbooks_dir() / "dify.yaml", folder / "my-runbooks")


# -- examples and links


def examples(beginning: str) -> Iterator[tuple[str, str]]:
    """The YAML blocks that begin so, with their documents."""
    for path in DOCUMENTS:
        for text in re.findall(r"^```yaml\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            if re.search(beginning, text, re.MULTILINE):
                yield path.name, text


def test_each_tenant_file_loads(tmp_path: Path) -> None:
    """The examples that are whole tenant files are valid, without their secrets."""
    found = list(examples("^base_url:"))
    assert found
    for name, text in found:
        if "{id}" in text:  # a template, which is tried with its fleet
            continue
        (tmp_path / name).write_text(text)
        tenant.from_file(tmp_path / name, {}, rehearsed=True)


def test_the_fleet_of_the_documents_loads(tmp_path: Path) -> None:
    """The fleet file, its template and its list are valid together, and each tenant of them is."""
    text = (HERE / "docs/fleet.md").read_text(encoding="utf-8")
    for name, block in re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(block)
    (listed,) = re.findall(r"^```csv\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "tenants.csv").write_text(listed)
    fleet = load_fleet(tmp_path / "fleet.yaml")
    assert len(fleet.tenants) == len(listed.splitlines())  # one of them is in the fleet file
    for one in fleet.tenants:
        one.load({}, rehearsed=True)


def test_each_file_of_waivers_loads(tmp_path: Path) -> None:
    """The examples of waivers name runbooks, rows and checks that exist."""
    found = list(examples("^waivers:"))
    assert found
    books = load_directory(resources.runbooks_dir())
    for name, text in found:
        (tmp_path / name).write_text(text)
        assert waiver.load(
            tmp_path / name, books, set(), date(2026, 11, 22), tenant_checks=BUILT_IN.tenant_wide
        ).entries


_LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]*)(#[^)\s]*)?\)")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(HERE)))
def test_each_link_leads_to_a_file_and_a_heading(path: Path) -> None:
    """A link to a file of the checkout, and to a heading in it."""
    for target, anchor in _LINK.findall(path.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file = (path.parent / target) if target else path
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor[1:] in slugs, anchor


def test_each_document_is_found_from_the_readme() -> None:
    """In two openings at most: the README links to every document, or to one that does."""

    def linked(path: Path) -> set[Path]:
        text = path.read_text(encoding="utf-8")
        return {(path.parent / target).resolve() for target, _ in _LINK.findall(text) if target and "://" not in target}

    first = linked(HERE / "README.md")
    second = first.union(*(linked(path) for path in first if path.suffix == ".md"))
    wanted = {path.resolve() for path in (HERE / "docs").rglob("*.md")} | {path.resolve() for path in DOCUMENTS}
    assert wanted - second - {HERE / "README.md"} == set()
