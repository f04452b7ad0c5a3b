"""Rotations to carry out: tenants that keep their promises or break them, commands that work or do not."""

import json
import os
import signal
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gt_sandbox.middleware import Middleware, MiddlewareFactory, Request, Response, Secrets, change_responses, is_at
from tests.commands import Finished, in_process, is_running, tenant, until

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
    """A rotation, the code that it must end with, what it must say, and what must hold ``then``."""

    id: str
    words: tuple[str, ...]
    code: int
    says: tuple[str, ...]
    options: tuple[str, ...] = ()
    key: str = "chat"
    faults: tuple[MiddlewareFactory, ...] = ()
    prepare: Callable[[Path], None] = lambda _: None
    with_tenant: bool = True
    stored: bool = True
    """Whether the new secret is stored somewhere: by the command, where no option names a file."""
    then: Callable[[Seen], None] = lambda _: None


def carried_out(case: Case, folder: Path) -> Seen:
    """Run it in that folder, against a tenant of its own."""
    with tenant(folder, *case.faults) as (running, path):
        before = dict(running.secrets)
        case.prepare(folder)
        named = ("--tenant", path.name) if case.with_tenant else ()
        report = ("--report", "report.json")
        stored = () if "--write-secret" in case.options or not case.stored else ("--stored-by-command",)
        done = in_process("rotate", case.key, *named, *report, *case.options, *stored, "--", *case.words, cwd=folder)
        after = dict(running.secrets)
        return Seen(done, folder, frozenset({*before.values(), *after.values(), running.admin_token}), before, after)


# -- faults that show only once a key was rotated


def once_rotated(change: Callable[[Request, Response, Secrets], Response]) -> MiddlewareFactory:
    """Change answers of the API from the moment at which a key was rotated, knowing the secrets from before."""

    def made(secrets: Secrets) -> Middleware:
        before = dict(secrets)
        rotations: list[Request] = []

        def wanted(asked: Request) -> bool:
            if is_at("/rotate")(asked):
                rotations.append(asked)
                return False
            return bool(rotations)

        return change_responses(wanted, lambda asked, answer: change(asked, answer, before))(secrets)

    return made


def of_new_secret(change: Callable[[Response], Response], *ends: str) -> MiddlewareFactory:
    """Change what the new secret gets, and no other."""
    return once_rotated(
        lambda asked, answer, secrets: (
            change(answer) if is_at(*ends)(asked) and asked.secret not in set(secrets.values()) else answer
        )
    )


def saying(status: int, *headers: tuple[str, str]) -> Response:
    """An answer in JSON: no names, or a refusal."""
    body = b'{"data": []}' if status == 200 else b'{"error": {"message": "no"}}'
    return Response(status, (("content-type", "application/json"), *headers), body)


OTHER_NAMES = of_new_secret(lambda answer: answer.with_body(answer.body.replace(b"field-", b"marsh-")), "/models")
OTHER_VECTORS = of_new_secret(
    lambda answer: answer.with_body(b'{"data": [{"index": 0, "embedding": [0.6, 0.8]}]}'), "/embeddings"
)
NEW_REFUSED = of_new_secret(lambda _: saying(401), "/models")
BREAKS_FULL = once_rotated(
    lambda asked, answer, secrets: saying(401) if asked.secret == secrets["GT_EMBEDDED_FULL"] else answer
)
ALL_TOO_MANY = once_rotated(lambda *_: saying(429, ("retry-after", "0")))


def old_gets(*statuses: int) -> MiddlewareFactory:
    """What the old secret gets once the key was rotated: one status after the other, and the last from then on."""

    def made(secrets: Secrets) -> Middleware:
        looks = iter(statuses)

        def change(asked: Request, answer: Response, before: Secrets) -> Response:
            return saying(next(looks, statuses[-1])) if asked.secret == before["GT_EMBEDDED_CHAT"] else answer

        return once_rotated(change)(secrets)

    return made


# -- what must hold then


def measured(seen: Seen) -> None:
    """When the old secret was last taken and first refused."""
    old = seen.report["old_secret"]
    assert 0 < old["last_taken_s"] < old["first_refused_s"]


def not_held_up(seen: Seen) -> None:
    """A process in the background that holds standard output open goes on, and is not waited for."""
    pid = int(text_of(seen.folder / "pid"))
    assert is_running(pid)
    os.kill(pid, signal.SIGKILL)


def takes_the_old_ones_place(seen: Seen) -> None:
    """The secret_file holds the new secret, for its owner only; the old one is nowhere."""
    path = seen.folder / "tenant.secrets" / "GT_EMBEDDED_RAG"
    assert (text_of(path), mode_of(path)) == (seen.after["GT_EMBEDDED_RAG"], 0o600)
    assert not [
        file for file in seen.folder.rglob("*") if file.is_file() and seen.before["GT_EMBEDDED_RAG"] in text_of(file)
    ]
    assert f"{path.relative_to(seen.folder)}, which the tenant file names, holds it." in seen.done.said


def keeps_the_old_one(seen: Seen) -> None:
    """The old secret stands in the file that was named for it, for its owner only, and the record says where."""
    path = seen.folder / "old-secret"
    assert (text_of(path), mode_of(path)) == (seen.before["GT_EMBEDDED_CHAT"], 0o600)
    assert text_of(seen.folder / SECRET_FILE) == seen.after["GT_EMBEDDED_CHAT"]
    assert seen.report["old_secret"]["stored"] == "old-secret"
    assert not list(seen.folder.rglob("*.new"))


def holds_the_old_one(seen: Seen) -> None:
    """It may be alive: it is not where a retired secret is looked for, but beside it."""
    assert not (seen.folder / "old-secret").exists()
    assert text_of(seen.folder / "old-secret.new") == seen.before["GT_EMBEDDED_CHAT"]


def leaves_no_old_one(seen: Seen) -> None:
    """Nothing was rotated, so there is no old secret."""
    assert not list(seen.folder.rglob("old-secret*"))


def loses_neither(seen: Seen) -> None:
    """The old secret stays where it was, the new one stands beside it."""
    assert text_of(seen.folder / SECRET_FILE) == seen.before["GT_EMBEDDED_CHAT"]
    keeps_what_was_printed(seen)


def keeps_what_was_printed(seen: Seen) -> None:
    """The new secret stands in a file of its own, for its owner only."""
    held = seen.folder / f"{SECRET_FILE}.new"
    assert (text_of(held), mode_of(held)) == (seen.after["GT_EMBEDDED_CHAT"], 0o600)


def leaves_nothing_running(seen: Seen) -> None:
    """What the command started in the background has ended as well."""
    child = int(text_of(seen.folder / "pid"))
    until(lambda: not is_running(child))


def text_of(path: Path) -> str:
    """What stands in a file, less the line break at its end."""
    return path.read_text(encoding="utf-8").rstrip("\n")


def mode_of(path: Path) -> int:
    """Who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


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


def retiring(older: str) -> Callable[[Path], None]:
    """The tenant file names a file for the secret from before, which has one."""

    def prepare(folder: Path) -> None:
        edited(lambda document: document["keys"]["chat"].update(retired_secret_file="old-secret"))(folder)
        written("old-secret", older)(folder)

    return prepare


def shell(script: str, *words: str) -> tuple[str, ...]:
    """A small command."""
    return ("sh", "-c", script, *words)


STILL_WORKS = "the old secret still works: the key does not seem to be rotated"

ROTATIONS = (
    Case(
        "in-place",
        (*SANDBOX, "rag"),
        0,
        ("rag embeds with 64 dimensions, as before",),
        ("--write-secret", "tenant.secrets/GT_EMBEDDED_RAG"),
        key="rag",
        then=takes_the_old_ones_place,
    ),
    Case("old-lives-for-a-while", ROTATE, 0, ("it was still taken",), faults=(old_gets(200, 200, 401),), then=measured),
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
        "breaks-another-key",
        ROTATE,
        1,
        ("violates full worked before, and now gives HTTP 401", "→ Have the tenant keep keys apart"),
        faults=(BREAKS_FULL,),
    ),
    Case(
        "background-holds-stdout",
        shell('sleep 600 & echo $! >pid; exec "$0" "$@"', *ROTATE),
        0,
        ("printed one new secret",),
        then=not_held_up,
    ),
    Case(
        "new-does-not-work",
        ROTATE,
        1,
        (
            "violates the new secret does not work 0.1 s after the command ended (--grace): HTTP 401",
            f"{SECRET_FILE} still holds the old secret, for the new one did not prove to work",
            f"it is kept in {SECRET_FILE}.new",
        ),
        (*IN_PLACE, "--grace", "0.1"),
        faults=(NEW_REFUSED,),
        then=loses_neither,
    ),
    Case(
        "keeps-the-old",
        ROTATE,
        0,
        (
            "conforms the old secret is stored in old-secret",
            "The old secret is in old-secret. Name it as retired_secret_file of the key chat,",
        ),
        (*IN_PLACE, "--write-retired", "old-secret"),
        then=keeps_the_old_one,
    ),
    Case(
        "replaces-an-older-one",
        ROTATE,
        0,
        ("conforms the old secret is stored in old-secret",),
        (*IN_PLACE, "--write-retired", "old-secret"),
        prepare=retiring(f"{CANARY}_older"),
        then=keeps_the_old_one,
    ),
    Case(
        "old-may-still-be-needed",
        ROTATE,
        1,
        ("the old secret is kept in old-secret.new, and not in old-secret: no new one has proved to work",),
        (*IN_PLACE, "--grace", "0.1", "--write-retired", "old-secret"),
        faults=(NEW_REFUSED,),
        then=holds_the_old_one,
    ),
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
        then=keeps_what_was_printed,
    ),
    Case(
        "hangs",
        shell("sleep 60 & echo $! > pid; wait"),
        7,
        ("did not end within 0.", "(--timeout), and was killed: it is unknown", STILL_WORKS),
        ("--timeout", "0.4"),
        then=leaves_nothing_running,
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
        "old-refused-with-403",
        ROTATE,
        1,
        ("violates the old secret is refused, but not with 401: HTTP 403",),
        faults=(old_gets(403),),
    ),
    Case(
        "old-comes-back",
        ROTATE,
        1,
        ("conforms the old secret is refused with 401", "violates the old secret was refused, and is taken again"),
        faults=(old_gets(401, 200),),
    ),
    Case(
        "tenant-says-not-now",
        ROTATE,
        7,
        ("blocked it is unknown whether the old secret is dead: HTTP 429", "blocked full worked before, and now"),
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
    Case("prints-bytes", ("printf", "gtak_\\377\\376\\375\\374"), 7, ("that is not allowed in a header", STILL_WORKS)),
    Case("prints-too-little", ("echo", "short"), 7, ("fewer than 8 characters, too short for a GT key", STILL_WORKS)),
    Case("prints-too-much", shell(f"yes {CANARY} | head -c 300000"), 7, ("far more than a secret", STILL_WORKS)),
    Case(
        "fails",
        shell(f"echo {CANARY}; echo {CANARY} >&2; exit 3"),
        7,
        ("failed with exit code 3: it is unknown whether the key was rotated", STILL_WORKS),
    ),
    Case("is-killed", shell("kill -9 $$"), 7, ("was ended by signal 9: it is unknown", STILL_WORKS)),
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
        ("the keys 'chat' and 'twin' have the same secret", "tenant.yaml:"),
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
    Case(
        "kept-nowhere",
        LEFT_A_TRACE,
        4,
        (
            "the new secret would be stored nowhere",
            f"--write-secret FILE, such as {SECRET_FILE}, the secret_file of the key; or add --stored-by-command",
        ),
        stored=False,
    ),
    Case(
        "one-file-for-both-secrets",
        LEFT_A_TRACE,
        4,
        ("--write-secret and --write-retired name the same file",),
        ("--write-secret", "a", "--write-retired", "./a"),
    ),
    Case(
        "old-secret-over-the-live-one",
        LEFT_A_TRACE,
        4,
        (f"{SECRET_FILE} exists already: a secret is not written over it",),
        ("--write-retired", SECRET_FILE),
    ),
    Case(
        "cannot-be-started-with-the-old-held",
        ("./broken",),
        4,
        ("'./broken' cannot be started",),
        ("--write-retired", "old-secret"),
        prepare=written("broken", "no program", 0o700),
        then=leaves_no_old_one,
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
