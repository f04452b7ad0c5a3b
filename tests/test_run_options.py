"""What a run prints, for whom; which files it takes by itself; and runs that go on until somebody has fixed it."""

import codecs
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from gt_conformance import plan
from gt_conformance import run as judge
from gt_conformance.cli.run import run_until_go
from gt_conformance.companions import PROJECT_FILE, Companions, read_project
from gt_conformance.errors import InputError
from gt_conformance.launch import hold
from gt_conformance.planning import Selection
from gt_conformance.results import exit_code
from gt_conformance.streams import PLAIN
from gt_conformance.tenant import from_file
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import select_faults
from tests.commands import command, finished, in_process, run, tenant
from tests.direct import direct
from tests.test_needs import without, written

BOOK = "openai-sdk-curl"


# -- formats


def test_the_record_is_printed_for_programs(tmp_path: Path) -> None:
    """--format json prints what results.json holds, and nothing else; several runbooks as one word."""
    found = run(f"{BOOK},aider", "--format", "json", "--concurrency", "2", "--timeout", "30", cwd=tmp_path, lean=True)
    assert found.code == 0, found.said
    assert json.loads(found.stdout) == found.record
    assert [book["id"] for book in found.record["runbooks"]] == [BOOK, "aider"]


def test_cases_findings_and_the_decision_are_lines(tmp_path: Path) -> None:
    """--format ndjson prints a line each, the decision last; the exit code is that of the decision."""
    found = run(BOOK, "--fault", "chat-500", "--format", "ndjson", cwd=tmp_path, lean=True)
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    kinds = [line["type"] for line in lines]
    assert kinds == sorted(kinds, key=["case", "finding", "decision"].index)
    assert [line["id"] for line in lines if line["type"] == "finding"] == [
        one["id"] for one in found.record["findings"]
    ]
    assert (lines[-1]["decision"], lines[-1]["exit_code"], found.code) == ("NO-GO", 1, 1)


def test_annotations_are_printed_anywhere(tmp_path: Path) -> None:
    """--format github prints the decision and the findings as a workflow reads them, outside a workflow too."""
    found = run(BOOK, "--fault", "chat-500", "--format", "github", cwd=tmp_path, lean=True)
    assert [line.partition(" ")[0] for line in found.stdout.splitlines()][:2] == ["::notice", "::error"]


def test_quiet_is_the_decision_alone(tmp_path: Path) -> None:
    """One line, in colour where that is asked for; the same where Python leaves out what is asserted."""
    found = run(BOOK, "--quiet", cwd=tmp_path, env={"PYTHONOPTIMIZE": "1"}, lean=True)
    [line] = found.stdout.splitlines()
    assert line.startswith("GO (EMBEDDED): ")
    coloured = run(BOOK, "-q", "--color", "always", cwd=tmp_path, env={"NO_COLOR": "", "TERM": "xterm"}, lean=True)
    assert coloured.stdout.startswith("\x1b[")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("difi",), "Did you mean dify?"),
        (("--format", "jsonl"), "Did you mean json?"),
        (("--timeout", "0"), "'0' is not a timeout"),
        (("--concurrency", "many"), "'many' is not"),
        (("--until-go", "--every", "soon"), "'soon' is not a time"),
    ],
)
def test_an_option_that_makes_no_sense_is_a_sentence(words: Sequence[str], message: str, tmp_path: Path) -> None:
    """Exit code 4, and nothing is sent."""
    found = command("run", *words, cwd=tmp_path)
    assert (found.code, message in found.said, "Traceback" in found.said) == (4, True, False), found.said


def test_a_command_that_gives_no_secret_is_asked_once(tmp_path: Path) -> None:
    """It may ask a person for a password, or lock somebody out who asks too often."""
    value = {
        "base_url": "http://127.0.0.1:9/api/tenant",
        "models": {"chat": "field-analyst"},
        "keys": {"chat": {"secret_command": ["sh", "-c", "echo asked >> asked; exit 3"], "preset": "openai-chat"}},
    }
    (tmp_path / "acme.yaml").write_text(yaml.safe_dump(value), encoding="utf-8")
    found = command("run", BOOK, "--tenant", "acme.yaml", cwd=tmp_path)
    assert (found.code, "failed with exit code 3" in found.said) == (4, True), found.said
    assert (tmp_path / "asked").read_text(encoding="utf-8") == "asked\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a folder cannot be locked there")
def test_two_runs_do_not_write_to_one_folder(tmp_path: Path) -> None:
    """The second says so and leaves what is there alone; a run after that has the folder."""
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "of-the-first").touch()
    with hold(tmp_path / "reports"):
        found = command("run", BOOK, cwd=tmp_path)
        assert (found.code, "another run is writing its reports" in found.said) == (4, True), found.said
        assert [path.name for path in (tmp_path / "reports").iterdir()] == ["of-the-first"]
    with hold(tmp_path / "reports"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="no folder goes there while somebody is in it")
def test_a_folder_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    """A terminal that was left open in it."""
    gone = tmp_path / "gone"
    gone.mkdir()
    words = ["sh", "-c", 'rmdir "$PWD" && exec "$0" -m gt_conformance run', sys.executable]
    found = subprocess.run(words, cwd=gone, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (4, "")
    assert found.stderr.startswith("error: the folder in which this runs cannot be used: ")


@pytest.mark.skipif(sys.platform == "win32", reason="no process has such a limit there")
def test_too_few_open_files_are_a_sentence(tmp_path: Path) -> None:
    """Of pytest as well; a limit that may be raised is raised."""
    suites = Path(__file__).parents[1]
    words = {
        "run": [sys.executable, "-m", "gt_conformance", "run", BOOK],
        "pytest": [sys.executable, "-m", "pytest", str(suites / "suites"), "--runbook", BOOK],
    }
    for name, command_line in words.items():
        limited = ["sh", "-c", 'ulimit -n 32 && exec "$0" "$@"', *command_line]
        found = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert found.returncode == 4, (name, found.stdout, found.stderr)
        assert "this process may have 32 files open (ulimit -n), and a run needs 48. Raise" in found.stderr
        assert "Traceback" not in found.stderr + found.stdout
    raised = ["sh", "-c", 'ulimit -Sn 32 && exec "$0" "$@"', sys.executable, "-m", "gt_conformance", "list", "routes"]
    assert subprocess.run(raised, cwd=tmp_path, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("run", "--tenant", "a.yaml", BOOK, "--tenant=b.yaml"), "--tenant"),
        (("report", "a", "--out", "o", "--baseline", "b", "--baseline", "c"), "--baseline"),
        (("doctor", "--tenant=a.yaml", "--tenant=a.yaml"), "--tenant"),
    ],
)
def test_an_option_that_names_one_file_is_given_once(words: tuple[str, ...], option: str, tmp_path: Path) -> None:
    """Of two tenants the last would be judged in silence; of a setting the last one counts."""
    found = command(*words, cwd=tmp_path)
    assert found.code == 4
    assert f"{option} is given more than once, and names one: leave out all but one." in found.said
    assert command("list", "routes", "--format", "json", "--format", "text", cwd=tmp_path).code == 0


_NO_TEMPORARY_FOLDER = """
import runpy, tempfile
def find():
    raise FileNotFoundError(2, "No usable temporary directory found")
tempfile._get_default_tempdir = find
runpy.run_module("gt_conformance", run_name="__main__")
"""


def test_a_run_needs_no_folder_for_temporary_files(tmp_path: Path) -> None:
    """A container with a read-only root may write to the volume of the reports alone."""
    words = [sys.executable, "-c", _NO_TEMPORARY_FOLDER, "run", BOOK, "--route", "models"]
    found = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, "Traceback" in found.stdout + found.stderr) == (0, False), found.stderr
    assert (tmp_path / "reports" / "results.json").exists()


def test_pytest_itself_takes_one_tenant(tmp_path: Path) -> None:
    """`pytest suites` with two tenants judges neither, as the command does."""
    suites = Path(__file__).parents[1] / "suites"
    words = [sys.executable, "-m", "pytest", str(suites), "--tenant", "a.yaml", "--tenant=b.yaml"]
    found = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 4
    assert "ERROR: --tenant is given more than once, and names one: leave out all but one." in found.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_link_that_leads_in_circles_is_a_sentence(tmp_path: Path) -> None:
    """As the report folder, the tenant file, and the file of a new tenant."""
    (tmp_path / "loop").symlink_to("loop")
    for words in (("run", "--report-dir", "loop"), ("run", "--tenant", "loop"), ("init", "loop/tenant.yaml")):
        found = command(*words, cwd=tmp_path)
        assert (found.code, "Traceback" in found.said) == (4, False), found.said
        assert re.search("(?:error|ERROR): .*loop", found.said)


@pytest.mark.skipif(sys.platform == "win32", reason="no shell gives a pipe as a file there")
@pytest.mark.parametrize("name", ["run", "doctor"])
def test_a_tenant_file_may_be_a_pipe(name: str, tmp_path: Path) -> None:
    """As `--tenant <(command)` gives one, which can be read once: then nobody answers at its address."""
    file = "{base_url: 'http://127.0.0.1:9/api/tenant', models: {chat: a}, keys: {k: {secret_env: GT_K}}}"
    words = ["bash", "-c", f'exec "$0" -m gt_conformance {name} --tenant <(echo "{file}")', sys.executable]
    env = {**os.environ, "GT_K": "gtak_made-up"}
    found = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert found.returncode == 8, found.stdout + found.stderr


def test_marks_that_a_terminal_lacks_are_ascii(tmp_path: Path) -> None:
    """What conforms, fails and is blocked stay three marks."""
    assert "✓ ✗ ? → · é".encode("latin-1", PLAIN) == "+ x ? -> · é".encode("latin-1")
    assert codecs.encode("✓✗→", "ascii", PLAIN) == b"+x->"
    env = {"PYTHONIOENCODING": "ascii"}
    found = run(BOOK, "--fault", "chat-500", cwd=tmp_path, env=env, lean=True, measured=True)
    assert "    x POST /v1/chat/completions" in found.stdout
    assert "    + GET /v1/models" in found.stdout


# -- until it is GO


def test_a_run_is_repeated_until_it_is_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO-GO, NOT DECIDED and UNREACHABLE are tried again after the pause; what somebody cannot be fixing ends it."""
    codes = [1, 7, 8, 0]
    lines: list[list[str]] = []
    pauses: list[float] = []

    def pretend(line: Sequence[str]) -> int:
        lines.append([*line[3:]])
        return codes[len(lines) - 1]

    monkeypatch.setattr("gt_conformance.processes.run_in_foreground", pretend)
    words = ["run", "dify", "--until-go", "--every", "2m", "--", "-k", "--every"]
    assert run_until_go(words, "2m", wait=pauses.append) == 0
    assert lines == [["run", "dify", "--", "-k", "--every"]] * 4
    assert pauses == [120.0] * 3
    codes[:] = [1, 4]
    lines.clear()
    assert run_until_go(["run", "--until-go", "--every=1s"], "1s", wait=pauses.append) == 4


def test_each_repeated_run_is_a_process_of_its_own(tmp_path: Path) -> None:
    """One run is enough where it is GO; it writes where the command does."""
    found = run(BOOK, "--until-go", "--every", "1s", "--quiet", cwd=tmp_path, lean=True)
    assert (found.code, found.record["decision"]) == (0, "GO")


# -- files that go with a tenant's runs


def test_what_cannot_be_tried_is_accepted_and_said(tmp_path: Path) -> None:
    """A read-only tenant is GO WITH EXCEPTIONS once it is accepted what creates something, and each output says so."""
    with tenant(tmp_path) as (_, path):
        value = json.loads(path.read_text())
        path.write_text(json.dumps(value | {"read_only": True}))
        first = run(BOOK, "--tenant", path, cwd=tmp_path, lean=True)
        assert first.code == 7
        given = ("--owner", "A. Example", "--reason", "Production: nothing is created.", "--until", "2027-01-31")
        accepted = in_process("accept", "reports/results.json", *given, "--today", "2026-11-27", cwd=tmp_path)
        assert accepted.code == 0
        (tmp_path / PROJECT_FILE).write_text('accepted = "accepted.yaml"\n', encoding="utf-8")
        second = run(BOOK, "--tenant", path, cwd=tmp_path, lean=True)
        planned = in_process("plan", BOOK, "--tenant", path, cwd=tmp_path)
    assert (second.code, second.record["decision"]) == (0, "GO WITH EXCEPTIONS")
    sentence = "W1 not tested: the run is read-only, and this creates something in the tenant (owner A. Example, until"
    assert sentence in " ".join(second.stdout.splitlines()[-1].split())
    assert sentence in (second.folder / "summary.md").read_text(encoding="utf-8")
    assert sentence in (second.folder / "compliance.html").read_text(encoding="utf-8")
    assert second.record["run"]["options"]["accepted"] == "accepted.yaml"
    assert "read-only" not in planned.stdout


def test_an_option_comes_before_the_tenant_file_and_that_before_the_folder(tmp_path: Path) -> None:
    """Each of the four files is looked for in that order."""
    here = Companions(waivers=Path("option.yaml"))
    file = Companions(attestations=Path("file.yaml"), waivers=Path("other.yaml"))
    (tmp_path / PROJECT_FILE).write_text('attestations = "a.yaml"\nhistory = "nights"\n', encoding="utf-8")
    found = here.or_else(file).or_else(read_project(tmp_path))
    assert found == Companions(Path("file.yaml"), Path("option.yaml"), None, tmp_path / "nights")
    assert read_project(tmp_path / "elsewhere") == Companions()


def test_a_tenant_file_names_its_files_from_its_own_folder(tmp_path: Path) -> None:
    """And what people call the tenant."""
    with EmbeddedTenant() as running:
        path, secrets = written(
            tmp_path, running, lambda document, _: document.update(name="Acme staging", history="nights")
        )
        found = from_file(path, secrets)
    assert (found.name, found.companions) == ("Acme staging", Companions(history=tmp_path / "nights"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('waiver = "x"', "gt-conformance.toml:1: there is no setting 'waiver'. Did you mean waivers?"),
        ('tenant = "x"', "gt-conformance.toml:1: there is no setting 'tenant'. Name it with --tenant FILE. Known: "),
        ("\nwaivers = 1", "gt-conformance.toml:2: waivers: it must be the path of a file."),
        ("waivers = ", "gt-conformance.toml:1:11: not valid TOML"),
        ('a = "1"\na = "2"', "gt-conformance.toml:2:"),
        ("waivers = '\x07'", "gt-conformance.toml:1:12: the character U+0007 is not allowed in a text file."),
    ],
)
def test_a_project_file_that_cannot_be_used_is_located(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File, line, and the nearest right word."""
    monkeypatch.chdir(tmp_path)
    Path(PROJECT_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        read_project(Path())
    assert str(refused.value).startswith(message)


def test_a_tenant_that_the_project_file_names_is_not_taken_for_the_embedded_one(tmp_path: Path) -> None:
    """Who names it there would read the GO of the embedded one as theirs; the message says how to name it."""
    (tmp_path / PROJECT_FILE).write_text('tenant = "acme.yaml"\n', encoding="utf-8")
    found = run(BOOK, cwd=tmp_path, lean=True)
    assert found.code == 4
    assert "there is no setting 'tenant'. Name it with --tenant FILE." in found.said


# -- a base URL of one's own


def test_a_base_url_of_ones_own_is_judged_as_it_is_entered(tmp_path: Path) -> None:
    """On a tenant without un-versioned paths the remedy leads to what it says, and the deviation is recorded."""
    faults = select_faults(["versioned-only"])
    with EmbeddedTenant(middleware=faults.middleware) as running:
        path, secrets = written(tmp_path, running, without())
        before = from_file(path, secrets)
        first = judge(plan(before, selection=Selection(("aider",))), sender=direct(running, before))
        [finding] = [one for one in first["findings"] if one["outcome"] == "violates"]
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
        entered = f"{running.base_url}/v1"
        assert entered in finding["remedy"]
        assert "base_url" in finding["remedy"]
        value.setdefault("runbooks", {})["aider"] = {"base_url": entered}
        path.write_text(yaml.safe_dump(value), encoding="utf-8")
        after = from_file(path, secrets)
        second = judge(plan(after, selection=Selection(("aider",))), sender=direct(running, after))
    assert exit_code(first) == 1
    assert [one["outcome"] for one in second["findings"] if one["outcome"] == "violates"] == []
    [book] = second["runbooks"]
    assert book.get("entered_base_url") == entered
    assert book["base_url"] == "https://<tenant-host>/api/tenant"


def test_a_base_url_at_another_host_is_refused(tmp_path: Path) -> None:
    """The keys belong to this tenant alone."""
    with EmbeddedTenant() as running:
        path, secrets = written(
            tmp_path,
            running,
            lambda document, _: document["runbooks"].update(dify={"base_url": "https://x.example/v1"}),
        )
    with pytest.raises(InputError, match=r"it leads to https://x\.example, and the tenant is at"):
        from_file(path, secrets)


# -- plain pytest


def test_plain_pytest_runs_the_suites_where_they_are(tmp_path: Path) -> None:
    """By one line from any folder: selected by name, and only listed."""
    where = in_process("suites", cwd=tmp_path).stdout.strip()
    assert (Path(where) / "test_routes.py").is_file()
    line = [sys.executable, "-m", "pytest", "-p", "gt_conformance.pytest_plugin", where, "--runbook", "dify", "--co"]
    found = finished([*line, "-q", "-k", "chat and native", "-p", "no:cacheprovider"], cwd=tmp_path)
    assert "test_route[dify-chat-native]" in found.stdout, found.said
