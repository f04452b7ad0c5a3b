"""``list`` and ``show``: every name that a run prints can be looked up."""

import json
import re
from pathlib import Path

import pytest

from gt_conformance.cli._main import COMMANDS
from gt_conformance.cli._options import runbook_ids
from gt_conformance.cli.show import names_to_show
from gt_conformance.report import summary_lines
from gt_conformance.vocabulary import Route
from gt_sandbox.faults import FAULTS
from gt_sandbox.variants import VARIANTS
from tests.commands import Finished, command, in_process, run
from tests.scripted import BOOKS


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run of Dify on a tenant whose chat fails, which leaves its record in ``reports``."""
    folder = tmp_path_factory.mktemp("broken")
    return run("dify", "--fault", "chat-500", cwd=folder, lean=True)


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("runbooks", set(BOOKS)),
        ("routes", {route.value for route in Route}),
        ("faults", set(FAULTS)),
        ("variants", set(VARIANTS)),
    ],
)
def test_each_name_is_listed(kind: str, wanted: set[str], tmp_path: Path) -> None:
    """A line each, and as JSON."""
    plain = in_process("list", kind, cwd=tmp_path)
    listed = in_process("list", kind, "--format", "json", cwd=tmp_path)
    assert {line.split()[0] for line in plain.stdout.splitlines()} == wanted
    assert {one["id"] for one in json.loads(listed.stdout)[kind]} == wanted


def test_each_finding_names_the_command_that_shows_it(broken: Finished) -> None:
    """What the terminal prints after a finding can be typed, and shows its proof; so can each exchange of it."""
    cwd = broken.folder.parent
    steps = re.findall(r"^ +show +gt-conformance show (\S+)$", broken.stdout, re.MULTILINE)
    listed = in_process("list", "findings", cwd=cwd)
    assert set(steps) == {line.split()[0] for line in listed.stdout.splitlines()} != set()
    for name in steps:
        found = in_process("show", name, cwd=cwd)
        assert found.code == 0
        assert f"finding   {name}" in found.stdout
        [finding] = [one for one in broken.record["findings"] if one["id"] == name]
        for proof in finding["proofs"]:
            assert f"gt-conformance show {proof['exchange']}" in found.stdout
    assert in_process("show", "V1", cwd=cwd).stdout == in_process("show", steps[0], cwd=cwd).stdout


def test_an_exchange_is_shown(broken: Finished) -> None:
    """Request, answer, who asked for it and the line that repeats it; no secret."""
    [proof, *_] = broken.record["findings"][0]["proofs"]
    found = in_process("show", str(proof["exchange"]), cwd=broken.folder.parent)
    assert found.code == 0
    for words in ("POST http://127.0.0.1", "status    500", "asked by", "dify-chat-native", "curl -sS -i"):
        assert words in found.said or words in found.stdout
    assert "gtak_" not in found.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dify", ("Dify", "dify-chat-native", "dify-item-3", "last run", "NO-GO")),
        ("dify-chat-native", ("POST /v1/chat/completions is native", "violates", "chat.completes")),
        ("dify-item-2", ("asks", "key.rotation", "last run")),
        ("tenant-key.required", ("conforms", "key.required")),
        ("chat.streams", ("claims", "remedy")),
        ("A9", ("says", "carried by")),
        ("chat-500", ("fault", "caught by")),
        ("gzip", ("permitted variation",)),
    ],
)
def test_a_thing_is_shown_by_its_name(name: str, words: tuple[str, ...], broken: Finished) -> None:
    """A runbook, a row, an item, a tenant check, a check, a clause, a fault, a variant."""
    found = in_process("show", name, cwd=broken.folder.parent)
    assert found.code == 0
    for word in words:
        assert word in found.said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "difi"), "Did you mean dify?"),
        (("show", "x9999"), "has no finding and no exchange 'x9999'"),
        (("list", "runbok"), "Did you mean runbooks?"),
    ],
)
def test_a_mistyped_name_is_a_sentence(words: tuple[str, ...], message: str, broken: Finished) -> None:
    """With the nearest right one."""
    found = in_process(*words, cwd=broken.folder.parent)
    assert (found.code, message in found.said) == (4, True), found.said


def test_without_a_record_a_finding_is_looked_for_nowhere(tmp_path: Path) -> None:
    """It is said how to get one."""
    found = in_process("show", "x0001", cwd=tmp_path)
    assert (found.code, "Run `gt-conformance run` first" in found.said) == (4, True)


def test_the_terminal_and_the_command_show_the_same(broken: Finished) -> None:
    """Each finding of the record has its step in the summary."""
    steps = {line.text.split()[-1] for line in summary_lines(broken.record) if line.text.startswith("     show ")}
    assert steps == {one["id"] for one in broken.record["findings"]}


# -- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_its_script(shell: str, tmp_path: Path) -> None:
    """One for each of the three."""
    found = in_process("completion", shell, cwd=tmp_path)
    assert found.code == 0
    assert "_GT_CONFORMANCE_COMPLETE" in found.stdout


def test_a_shell_is_offered_ids(tmp_path: Path) -> None:
    """Commands, options, runbooks with commas, rows, faults: asked as bash asks."""
    asked = {
        "gt-conformance sh": ({"show"}, set()),
        "gt-conformance run dify,n": ({"dify,n8n"}, {"dify,dify"}),
        "gt-conformance run --fault chat-50": ({"chat-500"}, {"gzip"}),
        "gt-conformance show dify-ch": ({"dify-chat-native"}, {"dify"}),
    }
    for line, (wanted, unwanted) in asked.items():
        env = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_GT_CONFORMANCE_COMPLETE": "bash_complete"}
        found = command(cwd=tmp_path, env=env)
        offered = {text.partition(",")[2] for text in found.stdout.splitlines()}
        assert wanted <= offered, (line, offered)
        assert not unwanted & offered


def test_what_can_be_shown_is_offered() -> None:
    """Checks, items, clauses, rows and runbooks."""
    assert {"dify", "dify-chat-native", "dify-item-1", "chat.streams", "A9"} <= set(names_to_show())
    assert sorted(runbook_ids()) == sorted(BOOKS)
    assert {"list", "show", "completion"} <= COMMANDS.keys()
