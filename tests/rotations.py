"""Rotations to carry out: tenants that keep their promises or break them, commands that work or do not."""

import contextlib
import json
import os
import shutil
import signal
import stat
import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gt_conformance import schema
from gt_sandbox import EmbeddedTenant
from gt_sandbox.middleware import (
    CONVERSATION_HEADER,
    MODELS,
    Middleware,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_responses,
    is_any,
    is_at,
    is_dataset_upload,
    is_live,
    is_stream,
    is_whole_chat,
    json_response,
    with_secrets,
)
from tests.commands import Finished, in_process, is_running, tenant, until

SECRET_FILE = "tenant.secrets/GT_EMBEDDED_CHAT"
IN_PLACE = ("--write-secret", SECRET_FILE)
PYTHON = (sys.executable, "-m", "gt_conformance")


def rotating(key: str, *old_alive_s: str) -> tuple[str, ...]:
    """The same for tests, which rotate by the dozen: it starts in a moment."""
    return (sys.executable, "-I", "-S", str(Path(__file__).parent / "rotating.py"), ADMIN, key, *old_alive_s)


ADMIN = "tenant.secrets/admin"
ROTATE = rotating("chat")
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
        """The JSON record, which must hold to its schema; None where there is none."""
        path = self.folder / "report.json"
        if not path.exists():
            return None
        report = json.loads(path.read_text(encoding="utf-8"))
        assert schema.load("rotation").errors(report) == ()
        return report

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


@contextlib.contextmanager
def copied(standing: tuple[EmbeddedTenant, Path], folder: Path) -> Iterator[tuple[EmbeddedTenant, Path]]:
    """A tenant that runs already, with a tenant file of its own in that folder: for what rotates nothing."""
    running, path = standing
    shutil.copytree(path.parent, folder, dirs_exist_ok=True)
    yield running, folder / path.name


def carried_out(case: Case, folder: Path, standing: tuple[EmbeddedTenant, Path] | None = None) -> Seen:
    """Run it in that folder, against a tenant of its own, or the one that runs already."""
    with copied(standing, folder) if standing else tenant(folder, *case.faults) as (running, path):
        before = dict(running.secrets)
        edited(leave_out_keys)(folder)
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


def of_new_secret(change: Callable[[Response], Response], wanted: Predicate) -> MiddlewareFactory:
    """Change what the new secret gets, and no other."""
    return once_rotated(
        lambda asked, answer, secrets: (
            change(answer) if wanted(asked) and asked.secret not in set(secrets.values()) else answer
        )
    )


def saying(status: int, *headers: tuple[str, str]) -> Response:
    """An answer in JSON: no names, or a refusal."""
    body = b'{"data": []}' if 200 <= status < 300 else b'{"error": {"message": "no"}}'
    return Response(status, (("content-type", "application/json"), *headers), body)


def old_gets(*statuses: int, wanted: Predicate = is_any, key: str = "CHAT") -> MiddlewareFactory:
    """What the old secret gets at each such place once the key was rotated: one status after the other.

    The last from then on; where none is given, the tenant's own answer.
    """

    def made(secrets: Secrets) -> Middleware:
        looks: dict[tuple[str, bool], Iterator[int]] = {}

        def change(asked: Request, answer: Response, before: Secrets) -> Response:
            if asked.secret != before[f"GT_EMBEDDED_{key}"] or not wanted(asked):
                return answer
            left = looks.setdefault((asked.path, is_stream(asked)), iter(statuses))
            return saying(next(left, statuses[-1]))

        return once_rotated(change)(secrets)

    return made


def is_unversioned(asked: Request) -> bool:
    """By the address that clients build."""
    return "/v1/" not in asked.path


def not_served(_: Request, __: Response) -> Response:
    """What a path gets that nothing is at."""
    return saying(404)


def is_in_conversation(asked: Request) -> bool:
    """A request that names a conversation."""
    return bool(asked.header(CONVERSATION_HEADER))


def without_file(asked: Request) -> bool:
    """A dataset upload that holds no file."""
    return is_dataset_upload(asked) and b"filename=" not in asked.body


def embedded_by_another_model(answer: Response) -> Response:
    """Vectors of the same length that mean something else."""
    body = json.loads(answer.body)
    for item in body["data"]:
        vector = item["embedding"]
        if isinstance(vector, list):
            vector.reverse()
        else:
            numbers = array("f", b64decode(vector))
            numbers.reverse()
            item["embedding"] = b64encode(numbers.tobytes()).decode("ascii")
    return answer.with_json(body)


def forgetful(answer: Response) -> Response:
    """A chat whose model was told nothing."""
    body = json.loads(answer.body)
    body["choices"][0]["message"]["content"] = "I do not know any."
    return answer.with_json(body)


OTHER_NAMES = of_new_secret(lambda answer: answer.with_body(answer.body.replace(b"field-", b"marsh-")), MODELS)
OTHER_VECTORS = of_new_secret(
    lambda answer: answer.with_body(b'{"data": [{"index": 0, "embedding": [0.6, 0.8]}]}'), is_at("/embeddings")
)
OTHER_MODEL = of_new_secret(embedded_by_another_model, is_at("/embeddings"))
NEW_REFUSED = of_new_secret(lambda _: saying(401), MODELS)
NEW_ONLY_LISTS = of_new_secret(lambda _: saying(401), lambda asked: not MODELS(asked))
NEW_EMBEDS = of_new_secret(lambda _: saying(200), is_at("/v1/embeddings"))
CONVERSATION_LOST = of_new_secret(lambda _: saying(404), is_in_conversation)
CONVERSATION_FORGOTTEN = of_new_secret(forgetful, lambda asked: is_whole_chat(asked) and is_in_conversation(asked))
DATASET_LOST = of_new_secret(lambda _: saying(404), is_dataset_upload)
BREAKS_FULL = once_rotated(
    lambda asked, answer, secrets: saying(401) if asked.secret == secrets["GT_EMBEDDED_FULL"] else answer
)
ALL_TOO_MANY = once_rotated(lambda *_: saying(429, ("retry-after", "0")))
NO_LIST_FOR_UPLOADS = with_secrets(
    lambda secrets: change_responses(
        lambda asked: MODELS(asked) and is_live(asked, secrets, "UPLOAD"), lambda *_: saying(403)
    )
)
FILE_IS_LOOKED_FOR_FIRST = change_responses(without_file, lambda *_: saying(422))
ANYBODY_LISTS = change_responses(MODELS, lambda *_: json_response(200, {"data": [{"id": "field-analyst"}]}))


# -- what must hold then


def measured(seen: Seen) -> None:
    """When the old secret was last taken and first refused."""
    old = seen.report["old_secret"]
    assert 0 < old["last_taken_s"] < old["first_refused_s"]


def measured_at_one_place(seen: Seen) -> None:
    """The old secret was refused at once everywhere but there."""
    late = {place["title"] for place in seen.report["places"] if place["old_last_taken_s"]}
    assert late == {"POST /v1/chat/completions, streamed"}
    measured(seen)


def names_what_it_created(seen: Seen) -> None:
    """The record has the name of whatever was created."""
    assert seen.report["id"] in json.dumps(seen.report["steps"])


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


def leave_out_keys(document: dict[str, Any]) -> None:
    """Leave out the keys of single runbooks, and the second conversation key: each is asked before and after."""
    del document["runbooks"]
    for name in ("partner", "cursor", "manus"):
        del document["keys"][name]


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
        rotating("rag"),
        0,
        ("rag embeds with 64 dimensions, as before",),
        ("--write-secret", "tenant.secrets/GT_EMBEDDED_RAG"),
        key="rag",
        then=takes_the_old_ones_place,
    ),
    Case("old-lives-for-a-while", ROTATE, 0, ("it was still taken",), faults=(old_gets(200, 200, 401),), then=measured),
    Case(
        "old-never-dies",
        rotating("chat", "600"),
        1,
        (
            "violates the old secret still works 0.3 s after the command ended (--grace), everywhere",
            "→ Have the tenant drop the old secret",
        ),
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
            f"{SECRET_FILE} still holds the old secret, because the new one was not shown to work",
            f"give the new secret to no client yet: it was not seen to work. It is in {SECRET_FILE}.new.",
            "Find out in GT's console which secret of the key is valid before you rotate it again.",
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
        rotating("rag"),
        1,
        ("violates rag embeds with 2 dimensions; before, with 64 dimensions",),
        key="rag",
        faults=(OTHER_VECTORS,),
    ),
    Case(
        "vectors-of-another-model",
        rotating("rag"),
        1,
        ("violates rag embeds the same text to another vector than before",),
        key="rag",
        faults=(OTHER_MODEL,),
    ),
    Case(
        "old-refused-with-403",
        ROTATE,
        0,
        ("conforms the old secret is refused with 403 everywhere",),
        faults=(old_gets(403),),
    ),
    Case(
        "old-refused-otherwise",
        ROTATE,
        7,
        ("blocked it is unknown whether the old secret is dead: HTTP 400 at GET /v1/models",),
        faults=(old_gets(400, wanted=MODELS),),
    ),
    Case(
        "old-alive-in-streamed-chats",
        ROTATE,
        1,
        (
            "violates the old secret still works 0.3 s after the command ended (--grace)",
            "at POST /v1/chat/completions, streamed; it is refused at 7 of 8 places",
        ),
        ("--grace", "0.3"),
        faults=(old_gets(200, wanted=lambda asked: is_stream(asked) and not is_unversioned(asked)),),
    ),
    Case(
        "old-alive-by-the-other-address",
        ROTATE,
        1,
        ("at GET /models, POST /chat/completions, POST /chat/completions, streamed; it is refused at 5 of 8 places",),
        ("--grace", "0.3"),
        faults=(old_gets(200, wanted=is_unversioned),),
    ),
    Case(
        "old-alive-for-a-moment-at-one-place",
        ROTATE,
        0,
        ("it was still taken at POST /v1/chat/completions, streamed",),
        faults=(old_gets(200, 200, 401, wanted=lambda asked: is_stream(asked) and not is_unversioned(asked)),),
        then=measured_at_one_place,
    ),
    Case(
        "old-still-uploads",
        rotating("upload"),
        1,
        (
            "conforms the old secret is refused with 401 everywhere",
            "violates the old secret is still let in where it could store something, 0.2 s after",
            "at POST /v1/datasets/{id}/files; it is refused at 1 of 2 places",
        ),
        ("--grace", "0.2"),
        key="upload",
        faults=(old_gets(202, wanted=is_dataset_upload, key="UPLOAD"),),
    ),
    Case(
        "old-is-anybody",
        ROTATE,
        7,
        ("blocked whether the old secret is dead does not show where unknown keys are let in: GET /v1/models",),
        ("--grace", "0.2"),
        faults=(ANYBODY_LISTS,),
    ),
    Case(
        "served-by-one-address",
        ROTATE,
        0,
        ("conforms the old secret is refused with 401 everywhere, at 5 places",),
        faults=(change_responses(lambda asked: is_unversioned(asked) and not is_at("/rotate")(asked), not_served),),
    ),
    Case(
        "new-only-lists",
        ROTATE,
        1,
        (
            "violates chat was let in before, and is not now: POST /v1/chat/completions (HTTP 401)",
            "POST /chat/completions, streamed (HTTP 401)",
        ),
        ("--grace", "0.3"),
        faults=(NEW_ONLY_LISTS,),
    ),
    Case(
        "new-may-more",
        ROTATE,
        1,
        ("violates chat is let in now, and was not before: POST /v1/embeddings", "keep the key's scopes"),
        faults=(NEW_EMBEDS,),
    ),
    Case(
        "conversation-goes-on",
        rotating("app"),
        0,
        (
            "conforms app opened a conversation, which goes on",
            "conforms the conversation of app goes on, as before",
            "conforms the old secret is refused with 401 where it could store something, at 3 places",
        ),
        key="app",
        then=names_what_it_created,
    ),
    Case(
        "conversation-lost",
        rotating("app"),
        1,
        ("violates app was answered in its conversation before, and now gets HTTP 404",),
        key="app",
        faults=(CONVERSATION_LOST,),
    ),
    Case(
        "conversation-forgotten",
        rotating("app"),
        1,
        ("violates the conversation of app knew its code word before, and not now, in 3 answers",),
        key="app",
        faults=(CONVERSATION_FORGOTTEN,),
    ),
    Case(
        "dataset-lost",
        rotating("upload"),
        1,
        ("violates upload was let into the dataset scratch-briefs before, and now gets HTTP 404",),
        key="upload",
        faults=(DATASET_LOST,),
    ),
    Case(
        "upload-key-is-refused-the-list",
        rotating("upload"),
        0,
        ("conforms upload works, and lists no names", "conforms upload may write the dataset scratch-briefs"),
        key="upload",
        faults=(NO_LIST_FOR_UPLOADS,),
    ),
    Case(
        "file-is-looked-for-before-the-dataset",
        rotating("upload"),
        0,
        ("conforms upload may write the dataset scratch-briefs",),
        key="upload",
        faults=(FILE_IS_LOOKED_FOR_FIRST,),
        then=names_what_it_created,
    ),
    Case(
        "old-comes-back",
        ROTATE,
        1,
        ("conforms the old secret is refused with 401", "violates the old secret was refused, and is accepted again"),
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
        ("the key 'chat' and the key 'twin' have the same secret", "tenant.yaml:"),
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
        "report-over-the-tenant-file",
        LEFT_A_TRACE,
        4,
        ("tenant.yaml: this file was not written by gt-conformance, so it is not overwritten.", "with --report"),
        ("--report", "tenant.yaml"),
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
