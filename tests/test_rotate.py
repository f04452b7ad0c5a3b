"""``gt-conformance rotate``, end to end: the real command, a real rotation of the embedded tenant, and all that can fail."""

import base64
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.types import ASGIApp

from tests.commands import Fault, Finished, Secrets, command, environment, tenant, until
from tests.faults import Answer, Asked, answering, is_at

SECRET_FILE = "tenant.secrets/GT_EMBEDDED_CHAT"
IN_PLACE = ("--write-secret", SECRET_FILE)
PYTHON = (sys.executable, "-m", "gt_conformance")
SANDBOX = (*PYTHON, "sandbox-rotate", "--admin", "tenant.secrets/admin")
ROTATE = (*SANDBOX, "chat")
LEFT_A_TRACE = ("touch", "ran")
CANARY = "gtak_canary_that_must_never_be_seen_0123456789"
"""What commands print instead of a secret. It must show as little as one."""


@dataclass(frozen=True)
class Seen:
    """A rotation that has ended, with what it left behind."""

    done: Finished
    folder: Path
    secrets: frozenset[str]
    before: Mapping[str, str]
    after: Mapping[str, str]

    @property
    def report(self) -> Any:
        """The JSON record; None where there is none."""
        path = self.folder / "report.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    @property
    def last_line(self) -> str:
        """The last line on standard output."""
        return self.done.stdout.splitlines()[-1]


@dataclass(frozen=True)
class Case:
    """A rotation, the code that it must end with, and what it must say."""

    id: str
    words: tuple[str, ...]
    code: int
    says: tuple[str, ...]
    options: tuple[str, ...] = ()
    key: str = "chat"
    faults: tuple[Fault, ...] = ()
    prepare: Callable[[Path], None] = lambda _: None
    with_tenant: bool = True


def carried_out(case: Case, folder: Path) -> Seen:
    """Run it in that folder, against a tenant of its own."""
    with tenant(folder, *case.faults) as (running, path):
        before = dict(running.secrets)
        case.prepare(folder)
        named = ("--tenant", path.name) if case.with_tenant else ()
        done = command(
            "rotate", case.key, *named, "--report", "report.json", *case.options, "--", *case.words, cwd=folder
        )
        after = dict(running.secrets)
        return Seen(done, folder, frozenset({*before.values(), *after.values(), running.admin_token}), before, after)


# -- faults that show only once a key was rotated


def once_rotated(change: Callable[[Asked, Answer, Secrets], Answer]) -> Fault:
    """Change answers of the API from the moment at which a key was rotated."""

    def fault(secrets: Secrets) -> Callable[[ASGIApp], ASGIApp]:
        rotations: list[Asked] = []

        def wanted(asked: Asked) -> bool:
            if is_at("/rotate")(asked):
                rotations.append(asked)
                return False
            return bool(rotations)

        return answering(wanted, lambda asked, answer: change(asked, answer, secrets))(secrets)

    return fault


def of_new_secret(change: Callable[[Answer], Answer], *ends: str) -> Fault:
    """Change what the new secret gets, and no other."""
    return once_rotated(
        lambda asked, answer, secrets: (
            change(answer) if is_at(*ends)(asked) and asked.secret not in set(secrets.values()) else answer
        )
    )


def refusal(status: int, *headers: tuple[str, str]) -> Answer:
    """A refusal in JSON."""
    return Answer(status, (("content-type", "application/json"), *headers), b'{"error": {"message": "no"}}')


OTHER_NAMES = of_new_secret(lambda answer: answer.saying(answer.body.replace(b"field-", b"marsh-")), "/models")
OTHER_VECTORS = of_new_secret(
    lambda answer: answer.saying(b'{"data": [{"index": 0, "embedding": [0.6, 0.8]}]}'), "/embeddings"
)
NEW_REFUSED = of_new_secret(lambda _: refusal(401), "/models")
BREAKS_FULL = once_rotated(
    lambda asked, answer, secrets: refusal(401) if asked.secret == secrets["GT_EMBEDDED_FULL"] else answer
)
OLD_FORBIDDEN = once_rotated(
    lambda asked, answer, secrets: refusal(403) if asked.secret == secrets["GT_EMBEDDED_CHAT"] else answer
)
ALL_TOO_MANY = once_rotated(lambda *_: refusal(429, ("retry-after", "0")))


def old_comes_back() -> Fault:
    """The old secret is refused once, and then taken again."""
    refused: list[Asked] = []

    def change(asked: Asked, answer: Answer, secrets: Secrets) -> Answer:
        if asked.secret != secrets["GT_EMBEDDED_CHAT"]:
            return answer
        refused.append(asked)
        return answer if len(refused) == 1 else Answer(200, (("content-type", "application/json"),), b'{"data": []}')

    return once_rotated(change)


# -- what stands in the folder


def edited(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """Change the tenant file."""

    def prepare(folder: Path) -> None:
        path = folder / "tenant.yaml"
        document = json.loads(path.read_text(encoding="utf-8"))
        change(document)
        path.write_text(json.dumps(document, indent=2), encoding="utf-8")

    return prepare


def written(name: str, text: str, mode: int = 0o600) -> Callable[[Path], None]:
    """Put a file there."""

    def prepare(folder: Path) -> None:
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(mode)

    return prepare


def shell(script: str, *words: str) -> tuple[str, ...]:
    """A small command."""
    return ("sh", "-c", script, *words)


STILL_WORKS = "the old secret still works: the key does not seem to be rotated"

ROTATIONS = (
    Case("old-lives-for-a-while", (*ROTATE, "--old-alive", "0.4"), 0, ("it was still taken",)),
    Case("background-holds-stdout", shell('sleep 9 & exec "$0" "$@"', *ROTATE), 0, ("printed one new secret",)),
    Case(
        "old-never-dies",
        (*ROTATE, "--old-alive", "600"),
        1,
        ("violates the old secret still works 0.3 s after the command ended", "→ Have the tenant drop the old secret"),
        ("--grace", "0.3"),
    ),
    Case(
        "names-changed",
        ROTATE,
        1,
        ("violates chat does not list any more: field-analyst; lists now, and did not before: marsh-analyst",),
        faults=(OTHER_NAMES,),
    ),
    Case(
        "vectors-changed",
        (*SANDBOX, "rag"),
        1,
        ("violates rag embeds with 2 dimensions; before, with 64 dimensions",),
        key="rag",
        faults=(OTHER_VECTORS,),
    ),
    Case(
        "breaks-another-key",
        ROTATE,
        1,
        ("violates full worked before, and now gives HTTP 401", "→ Have the tenant keep keys apart"),
        faults=(BREAKS_FULL,),
    ),
    Case(
        "old-refused-with-403",
        ROTATE,
        1,
        ("violates the old secret is refused, but not with 401: HTTP 403",),
        faults=(OLD_FORBIDDEN,),
    ),
    Case(
        "old-comes-back",
        ROTATE,
        1,
        ("conforms the old secret is refused with 401", "violates the old secret was refused, and is taken again"),
        faults=(old_comes_back(),),
    ),
    Case(
        "new-does-not-work",
        ROTATE,
        1,
        (
            "violates the new secret does not work 0.1 s after the command ended (--grace): HTTP 401",
            f"{SECRET_FILE} still holds the old secret, for the new one did not prove to work; "
            f"it is kept in {SECRET_FILE}.new",
        ),
        (*IN_PLACE, "--grace", "0.1"),
        faults=(NEW_REFUSED,),
    ),
    Case(
        "tenant-says-not-now",
        ROTATE,
        7,
        ("blocked it cannot be told whether the old secret is dead: HTTP 429", "blocked full worked before, and now"),
        ("--grace", "0"),
        faults=(ALL_TOO_MANY,),
    ),
    Case(
        "another-key-did-not-work-before",
        ROTATE,
        7,
        ("blocked full does not work: HTTP 401", "full has nothing to be compared with: before, it gave HTTP 401"),
        prepare=written("tenant.secrets/GT_EMBEDDED_FULL", CANARY),
    ),
)

BAD_COMMANDS = (
    Case("prints-nothing", ("true",), 7, ("printed nothing on standard output", STILL_WORKS)),
    Case("prints-the-old", ("cat", SECRET_FILE), 7, ("printed the old secret", STILL_WORKS)),
    Case("prints-lines", shell(f"echo {CANARY}; echo {CANARY}2"), 7, ("printed 2 lines", STILL_WORKS)),
    Case("prints-spaces", ("echo", f"secret: {CANARY}"), 7, ("printed text with a space", STILL_WORKS)),
    Case("prints-bytes", ("printf", "gtak_\\377\\376\\375\\374"), 7, ("that cannot stand in a header", STILL_WORKS)),
    Case("prints-too-little", ("echo", "short"), 7, ("fewer than 8 characters, too short for a GT key", STILL_WORKS)),
    Case("prints-too-much", shell(f"yes {CANARY} | head -c 300000"), 7, ("far more than a secret", STILL_WORKS)),
    Case(
        "fails",
        shell(f"echo {CANARY}; echo {CANARY} >&2; exit 3"),
        7,
        ("failed with exit code 3: it is unknown whether the key was rotated", STILL_WORKS),
    ),
    Case("is-killed", shell("kill -9 $$"), 7, ("was ended by signal 9: it is unknown", STILL_WORKS)),
    Case(
        "fails-after-rotating",
        shell('"$0" "$@"; exit 1', *ROTATE),
        7,
        (
            "failed with exit code 1: it is unknown",
            "the old secret does not work any more (HTTP 401): the key was rotated or revoked",
            f"what the command printed is kept in {SECRET_FILE}.new",
        ),
        IN_PLACE,
    ),
    Case(
        "hangs",
        shell("sleep 60 & echo $! > pid; wait"),
        7,
        ("did not end within 0.", "(--timeout), and was killed: it is unknown", STILL_WORKS),
        ("--timeout", "0.4"),
    ),
)

REFUSED = (
    Case(
        "no-such-program", ("no-such-program",), 4, ("'no-such-program' cannot be started: there is no such program",)
    ),
    Case("not-executable", ("./tenant.yaml",), 4, ("cannot be started: it is not executable. Nothing was rotated.",)),
    Case(
        "not-a-program",
        ("./broken",),
        4,
        ("'./broken' cannot be started: Exec format error. Nothing was rotated.",),
        prepare=written("broken", "no program", 0o700),
    ),
    Case("no-such-key", LEFT_A_TRACE, 4, ("there is no key 'chta'. Did you mean chat? There are: chat,",), key="chta"),
    Case("secret-for-key", LEFT_A_TRACE, 4, ("there is no key 'gtak_***'.",), key=CANARY),
    Case("revoked-key", LEFT_A_TRACE, 4, ("the key 'gone' is marked revoked", "tenant.yaml:"), key="gone"),
    Case("no-tenant", LEFT_A_TRACE, 4, ("no tenant is named", "--tenant FILE, or set GT_BASE_URL"), with_tenant=False),
    Case(
        "read-only",
        LEFT_A_TRACE,
        4,
        ("the tenant is marked read_only", "tenant.yaml:"),
        prepare=edited(lambda document: document.update(read_only=True)),
    ),
    Case(
        "twins",
        LEFT_A_TRACE,
        4,
        ("the same secret stands under chat, twin: to rotate one would break the other", "tenant.yaml:"),
        prepare=edited(lambda document: document["keys"].update(twin={"secret_file": SECRET_FILE})),
    ),
    Case(
        "file-of-another-key",
        LEFT_A_TRACE,
        4,
        ("GT_EMBEDDED_RAG exists already: a secret is not written over it",),
        ("--write-secret", "tenant.secrets/GT_EMBEDDED_RAG"),
    ),
    Case(
        "left-by-an-earlier-one",
        LEFT_A_TRACE,
        4,
        (f"{SECRET_FILE}.new exists: an earlier rotation left it, and it may hold the only copy",),
        IN_PLACE,
        prepare=written(f"{SECRET_FILE}.new", CANARY),
    ),
    Case(
        "no-folder-for-the-secret",
        LEFT_A_TRACE,
        4,
        ("nowhere/secret.new cannot be written: No such file or directory",),
        ("--write-secret", "nowhere/secret"),
    ),
    Case(
        "no-folder-for-the-report",
        LEFT_A_TRACE,
        4,
        ("nowhere/r.json cannot be written",),
        ("--report", "nowhere/r.json"),
    ),
    Case(
        "one-file-for-both",
        LEFT_A_TRACE,
        4,
        ("--report and --write-secret name the same file",),
        ("--report", "a", "--write-secret", "a"),
    ),
    Case("no-time", LEFT_A_TRACE, 4, ("a number of seconds is needed",), ("--timeout", "nan")),
    Case("no-command", (), 4, ("Missing argument '-- COMMAND...'",)),
    Case(
        "key-does-not-work",
        LEFT_A_TRACE,
        8,
        ("blocked chat does not work: HTTP 401", "The command was not run", "rotation of chat: blocked"),
        prepare=written(SECRET_FILE, CANARY),
    ),
    Case(
        "nobody-there",
        LEFT_A_TRACE,
        8,
        ("chat does not work: no answer: no connection (Connection refused)",),
        prepare=edited(lambda document: document.update(base_url="http://127.0.0.1:9/api/tenant")),
    ),
)

CASES = {case.id: case for case in (*ROTATIONS, *BAD_COMMANDS, *REFUSED)}


@pytest.fixture(scope="module")
def all_seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[Seen]]]:
    """Every case, a few at a time: each waits for others far longer than it works."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        yield {name: pool.submit(carried_out, case, tmp_path_factory.mktemp(name)) for name, case in CASES.items()}


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


def mode_of(path: Path) -> int:
    """Who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("name", CASES)
def test_a_rotation_says_what_came_of_it(all_seen: Mapping[str, Future[Seen]], name: str) -> None:
    """It ends with its exit code and says why; no secret shows, and the record agrees with the last line."""
    case, seen = CASES[name], all_seen[name].result()
    assert seen.done.code == case.code, seen.done.stdout + seen.done.stderr
    for sentence in case.says:
        assert " ".join(sentence.split()) in seen.done.said
    assert shows_no_secret(seen)
    if case.code == 4:
        assert seen.done.stderr.count("\n") <= 4, "an error is a sentence"
        assert seen.report is None
    else:
        word = {0: "conforms", 1: "violates"}.get(case.code, "blocked")
        assert seen.last_line == f"rotation of {case.key}: {word}"
        assert (seen.report["outcome"], seen.report["exit_code"]) == (word, case.code)


@pytest.mark.parametrize("name", [case.id for case in REFUSED])
def test_what_is_refused_changes_nothing(all_seen: Mapping[str, Future[Seen]], name: str) -> None:
    """The command is not run, and every secret of the tenant stays."""
    seen = all_seen[name].result()
    assert not (seen.folder / "ran").exists()
    assert seen.after == seen.before


def test_the_old_secrets_last_moments_are_measured(all_seen: Mapping[str, Future[Seen]]) -> None:
    """An old secret that lives on for 0.4 s is seen alive before, and refused after."""
    old = all_seen["old-lives-for-a-while"].result().report["old_secret"]
    assert 0 <= old["last_taken_s"] < 0.4
    assert 0.1 < old["first_refused_s"] < 2


def test_what_the_command_leaves_running_is_not_waited_for(all_seen: Mapping[str, Future[Seen]]) -> None:
    """A process in the background that holds standard output open does not hold the rotation up."""
    assert all_seen["background-holds-stdout"].result().report["elapsed_s"] < 7


def test_a_command_that_hangs_is_killed_with_all_that_it_started(all_seen: Mapping[str, Future[Seen]]) -> None:
    """The whole process group ends, not only the command itself."""
    child = int((all_seen["hangs"].result().folder / "pid").read_text(encoding="utf-8"))
    until(lambda: not running(child), seconds=5)


def running(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked after does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")


def test_a_new_secret_that_does_not_work_loses_neither(all_seen: Mapping[str, Future[Seen]]) -> None:
    """The old one stays where it was, the new one stands beside it, for its owner only."""
    seen = all_seen["new-does-not-work"].result()
    held = seen.folder / f"{SECRET_FILE}.new"
    assert (seen.folder / SECRET_FILE).read_text(encoding="utf-8").strip() == seen.before["GT_EMBEDDED_CHAT"]
    assert held.read_text(encoding="utf-8").strip() == seen.after["GT_EMBEDDED_CHAT"]
    assert mode_of(held) == 0o600


def test_what_a_failing_command_printed_is_not_lost(all_seen: Mapping[str, Future[Seen]]) -> None:
    """A command that rotates, prints the new secret and then fails leaves it in a file, if one was named."""
    seen = all_seen["fails-after-rotating"].result()
    held = seen.folder / f"{SECRET_FILE}.new"
    assert held.read_text(encoding="utf-8").strip() == seen.after["GT_EMBEDDED_CHAT"]
    assert mode_of(held) == 0o600


def test_the_new_secret_takes_the_old_ones_place(tmp_path: Path) -> None:
    """The secret_file of the key is replaced, the old secret is nowhere, and the next rotation starts from the new one."""
    seen = carried_out(Case("in-place", (*SANDBOX, "rag"), 0, (), in_place("RAG"), key="rag"), tmp_path)
    assert (seen.done.code, seen.last_line) == (0, "rotation of rag: conforms"), seen.done.stdout
    path = tmp_path / "tenant.secrets" / "GT_EMBEDDED_RAG"
    assert path.read_text(encoding="utf-8").strip() == seen.after["GT_EMBEDDED_RAG"]
    assert mode_of(path) == 0o600
    old = seen.before["GT_EMBEDDED_RAG"]
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and old in file.read_text(encoding="utf-8")]
    assert f"{path.relative_to(tmp_path)}, which the tenant file names, holds it." in seen.done.said
    assert "rag embeds with 64 dimensions, as before" in seen.done.said
    assert shows_no_secret(seen)


def in_place(key: str) -> tuple[str, str]:
    """The option that has the file of a key replaced."""
    return ("--write-secret", f"tenant.secrets/GT_EMBEDDED_{key}")


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
    assert (tmp_path / "new-secret").read_text(encoding="utf-8").strip() == seen.after["GT_EMBEDDED_CHAT"]
    assert f"put it where the tenant file looks for it: the file {SECRET_FILE} (secret_file)." in seen.done.said


def test_the_operator_is_told_before_where_the_new_secret_goes(all_seen: Mapping[str, Future[Seen]]) -> None:
    """Without --write-secret it says, before anything is sent, that the file will go on holding the old one."""
    lines = all_seen["old-lives-for-a-while"].result().done.stdout.splitlines()
    told = [line for line in lines[: lines.index("Before")] if "will go on holding the old secret" in line]
    assert told == [f"{SECRET_FILE}, the secret_file of the key, will go on holding the old secret."]


def test_a_tenant_of_the_environment_can_be_rotated(tmp_path: Path) -> None:
    """With GT_BASE_URL, GT_API_KEY and GT_MODEL the key is called key, and the variable is named to be set."""
    with tenant(tmp_path) as (running_tenant, _):
        secret = running_tenant.secrets["GT_EMBEDDED_CHAT"]
        named = {"GT_BASE_URL": running_tenant.base_url, "GT_API_KEY": secret, "GT_MODEL": "field-analyst"}
        done = command("rotate", "key", "--", *ROTATE, cwd=tmp_path, env=named)
    assert (done.code, done.stdout.splitlines()[-1]) == (0, "rotation of key: conforms"), done.said
    assert "looks for it: the environment variable GT_API_KEY (secret_env)." in done.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_rotation_says_where_it_stands(tmp_path: Path, number: signal.Signals) -> None:
    """The command is killed, the old secret is looked at, and the exit code is 2."""
    with tenant(tmp_path):
        words = ["rotate", "chat", "--tenant", "tenant.yaml", "--", *shell("echo $$ > pid; sleep 60")]
        with subprocess.Popen(
            [*PYTHON, *words],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            until(lambda: (tmp_path / "pid").exists())
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (2, "")
    assert "was interrupted, and killed: it is unknown whether the key was rotated" in stdout
    assert STILL_WORKS in stdout
    assert stdout.splitlines()[-1] == "rotation of chat: blocked"
    until(lambda: not running(int((tmp_path / "pid").read_text(encoding="utf-8"))), seconds=5)


def test_the_line_that_serve_prints_rotates_a_key(tmp_path: Path) -> None:
    """Serve in one terminal, and in another the very line that it prints."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    log = tmp_path / "serve.log"
    with (
        log.open("w", encoding="utf-8") as out,
        subprocess.Popen(
            [*PYTHON, "serve", "--tenant-file", "lab.yaml"], cwd=tmp_path, env=environment(), stdout=out
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
    assert mode_of(tmp_path / "lab.secrets" / "admin") == 0o600


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
        done = command("sandbox-rotate", "--admin", admin, key, cwd=tmp_path)
    assert (done.code, done.stdout) == (code, "")
    assert says in done.said
