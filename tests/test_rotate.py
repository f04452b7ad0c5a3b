"""``gt-conformance rotate``, end to end: real rotations of the embedded tenant, and all that can fail."""

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from gt_sandbox import EmbeddedTenant
from tests.commands import DEADLINE_S, command, environment, finished, in_process, is_running, tenant, until
from tests.rotated_folders import ADMIN, CANARY, SECRET_FILE, Seen, edited, mode_of, shell, text_of, written
from tests.rotations import BAD_COMMANDS, PYTHON, REFUSED, ROTATE, ROTATIONS, STILL_WORKS, Case, carried_out


def shows_no_secret(seen: Seen) -> bool:
    """Whether no secret stands in anything that it printed or recorded, as it is or encoded."""
    report = seen.folder / "report.json"
    texts = [seen.done.stdout, seen.done.stderr, report.read_text(encoding="utf-8") if report.exists() else ""]
    forms = [form for secret in (*seen.secrets, CANARY) for form in encoded(secret)]
    return not [form for form in forms for text in texts if form in text]


def encoded(secret: str) -> list[str]:
    """A secret in the forms in which it could slip through."""
    raw = secret.encode()
    return [
        secret,
        quote(secret, safe=""),
        raw.hex(),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
    ]


def holds(case: Case, seen: Seen) -> None:
    """It ended with its exit code and said why; no secret shows, and the record agrees with the last line."""
    assert seen.done.code == case.code, seen.done.stdout + seen.done.stderr
    for sentence in case.says:
        assert sentence in seen.done.said
    assert shows_no_secret(seen)
    if case.code == 4:
        assert seen.done.stderr.count("\n") <= 4, "an error is a sentence"
        assert seen.report is None
    else:
        word = {0: "conforms", 1: "violates"}.get(case.code, "blocked")
        assert seen.last_line == f"rotation of {case.key}: {word}"
        assert (seen.report["outcome"], seen.report["exit_code"]) == (word, case.code)
    case.then(seen)


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.parametrize("case", ROTATIONS, ids=lambda case: case.id)
def test_a_rotation_says_what_came_of_it(tmp_path: Path, case: Case) -> None:
    """Whether the tenant keeps what a rotation promises, or in what it does not; and no secret is lost by it."""
    holds(case, carried_out(case, tmp_path))


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedTenant, Path]]:
    """One tenant for all that rotates nothing."""
    with tenant(tmp_path_factory.mktemp("standing")) as running:
        yield running


@pytest.mark.parametrize("case", BAD_COMMANDS, ids=lambda case: case.id)
def test_a_command_that_gives_no_secret_proves_nothing(
    tmp_path: Path, case: Case, standing: tuple[EmbeddedTenant, Path]
) -> None:
    """It says why, and whether the old secret still works; nothing that was printed shows."""
    holds(case, carried_out(case, tmp_path, standing))


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_is_refused_changes_nothing(tmp_path: Path, case: Case, standing: tuple[EmbeddedTenant, Path]) -> None:
    """The command is not run, and every secret of the tenant stays."""
    seen = carried_out(case, tmp_path, standing)
    holds(case, seen)
    assert not (tmp_path / "ran").exists()
    assert seen.after == seen.before


def test_the_record_holds_the_steps_and_tells_the_secrets_apart(tmp_path: Path) -> None:
    """Each step has its outcome and its exchange, and the secrets stand there by fingerprint."""
    seen = carried_out(Case("stored", ROTATE, 0, (), ("--write-secret", "new-secret")), tmp_path)
    report = seen.report
    phases = [step["phase"] for step in report["steps"]]
    assert sorted(set(phases), key=phases.index) == ["before", "command", "after"]
    assert {step["outcome"] for step in report["steps"]} == {"conforms"}
    assert [step["exchange"]["response"]["status"] for step in report["steps"] if step["probe"] == "old.dead"] == [401]
    assert report["old_secret"]["fingerprint"] != report["new_secret"]["fingerprint"]
    assert report["new_secret"]["stored"] == "new-secret"
    assert text_of(tmp_path / "new-secret") == seen.after["GT_EMBEDDED_CHAT"]
    assert f"put it where the tenant file looks for it: the file {SECRET_FILE} (secret_file)." in seen.done.said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_record_that_cannot_be_written_is_no_bad_command_line(tmp_path: Path) -> None:
    """Exit code 3: the key was rotated, which exit code 4 would deny."""
    done = carried_out(Case("full", ROTATE, 3, (), ("--report", "/dev/full")), tmp_path).done
    assert (done.code, done.stdout.splitlines()[-1]) == (3, "rotation of chat: conforms")
    assert "error: the report /dev/full was not written: No space left on device." in done.stderr


def test_the_operator_is_told_before_where_the_new_secret_goes(tmp_path: Path) -> None:
    """Without --write-secret it says, before anything is sent, that only the command replaces the old one."""
    lines = carried_out(Case("kept", ROTATE, 0, ()), tmp_path).done.stdout.splitlines()
    told = [line for line in lines[: lines.index("Before")] if "holds the old secret" in line]
    assert told == [f"{SECRET_FILE}, the secret_file of the key, holds the old secret until the command replaces it."]


def test_a_tenant_of_the_environment_can_be_rotated(tmp_path: Path) -> None:
    """With GT_BASE_URL, GT_API_KEY and GT_MODEL there is one key, and the variable is named to be set."""
    with tenant(tmp_path) as (embedded, _):
        secret = embedded.secrets["GT_EMBEDDED_CHAT"]
        named = {"GT_BASE_URL": embedded.base_url, "GT_API_KEY": secret, "GT_MODEL": "field-analyst"}
        done = in_process("rotate", "default", "--stored-by-command", "--", *ROTATE, cwd=tmp_path, env=named)
    assert done.code == 0, done.said
    assert done.stdout.splitlines()[-1] == "rotation of default: conforms"
    assert "looks for it: the environment variable GT_API_KEY (secret_env)." in done.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_rotation_says_where_it_stands(tmp_path: Path, number: signal.Signals) -> None:
    """The command is killed, the old secret is looked at, and the exit code is 2."""
    with tenant(tmp_path):
        words = [
            "rotate",
            "chat",
            "--tenant",
            "tenant.yaml",
            "--stored-by-command",
            "--",
            *shell("echo $$ > pid; sleep 60"),
        ]
        with subprocess.Popen(
            [*PYTHON, *words],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            until((tmp_path / "pid").exists)
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, stderr) == (2, "")
    assert "was interrupted, and killed: it is unknown whether the key was rotated" in stdout
    assert STILL_WORKS in stdout
    assert stdout.splitlines()[-1] == "rotation of chat: blocked"
    until(lambda: not is_running(int(text_of(tmp_path / "pid"))))


def test_the_line_that_serve_prints_rotates_a_key(tmp_path: Path) -> None:
    """Serve in one terminal, and in another the very line that it prints."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    log = tmp_path / "serve.log"
    with (
        log.open("w", encoding="utf-8") as out,
        subprocess.Popen(
            [*PYTHON, "serve", "--tenant-file", "local.yaml"], cwd=tmp_path, env=environment(), stdout=out
        ) as server,
    ):
        try:
            until(lambda: "Ctrl-C ends it" in log.read_text(encoding="utf-8"))
            line = next(line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("rotate "))
            words = line.split()[2:]
            done = command(*words, cwd=tmp_path, env={"PATH": path})
        finally:
            server.terminate()
    assert (done.code, done.stdout.splitlines()[-1]) == (0, "rotation of chat: conforms"), done.said
    assert mode_of(tmp_path / "local.secrets" / "admin") == 0o600


@pytest.mark.parametrize(
    ("admin", "key", "code", "says"),
    [
        pytest.param("tenant.secrets/admin", "nope", 4, "There is no such key. There are: chat,", id="unknown-key"),
        pytest.param("nowhere", "chat", 4, "nowhere cannot be read: No such file", id="no-file"),
        pytest.param("tenant.yaml", "chat", 4, "does not hold an address and a token", id="another-file"),
        pytest.param("gone", "chat", 8, "no embedded tenant answers at http://127.0.0.1:9/sandbox", id="nobody-there"),
    ],
)
def test_the_embedded_tenants_own_command_says_what_is_wrong(
    tmp_path: Path, admin: str, key: str, code: int, says: str
) -> None:
    """It prints nothing on standard output, and a sentence on standard error."""
    with tenant(tmp_path):
        written("gone", "http://127.0.0.1:9/sandbox\ntoken\n")(tmp_path)
        done = in_process("sandbox-rotate", "--admin", admin, key, cwd=tmp_path)
    assert (done.code, done.stdout) == (code, "")
    assert says in done.said


def test_the_embedded_tenants_own_command_is_light(tmp_path: Path) -> None:
    """It prints the new secret alone, and loads no HTTP client."""
    with tenant(tmp_path) as (embedded, _):
        words = [sys.executable, "-X", "importtime", *PYTHON[1:], "sandbox-rotate", "--admin", ADMIN, "chat"]
        done = finished(words, cwd=tmp_path)
        assert done.stdout == embedded.secrets["GT_EMBEDDED_CHAT"] + "\n"
    assert "http.client" in done.stderr
    assert "httpx" not in done.stderr


def test_a_secret_that_a_command_reads_is_to_be_put_where_it_reads(tmp_path: Path) -> None:
    """With secret_command it is named by its program, since its arguments may be private."""
    reading = {"secret_command": ["cat", f"{tmp_path}/{SECRET_FILE}"]}
    case = Case(
        "command",
        ROTATE,
        0,
        ("looks for it: what the command cat reads (secret_command).",),
        prepare=edited(lambda document: document["keys"].update(chat=reading)),
    )
    holds(case, carried_out(case, tmp_path))
