"""Rotations to carry out: tenants that keep their promises or break them, commands that work or do not."""

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gt_sandbox import EmbeddedTenant
from gt_sandbox.middleware import (
    MODELS,
    MiddlewareFactory,
    change_responses,
    is_at,
    is_dataset_upload,
    is_stream,
)
from tests.commands import in_process, tenant
from tests.rotated_folders import (
    ADMIN,
    CANARY,
    SECRET_FILE,
    Seen,
    edited,
    holds_the_old_one,
    keeps_the_old_one,
    keeps_what_was_printed,
    leave_out_keys,
    leaves_no_old_one,
    leaves_nothing_running,
    loses_neither,
    measured,
    measured_at_one_place,
    names_what_it_created,
    not_held_up,
    retiring,
    shell,
    takes_the_old_ones_place,
    written,
)
from tests.rotated_tenants import (
    ALL_TOO_MANY,
    ANYBODY_LISTS,
    BREAKS_FULL,
    CONVERSATION_FORGOTTEN,
    CONVERSATION_LOST,
    DATASET_LOST,
    FILE_IS_LOOKED_FOR_FIRST,
    NEW_EMBEDS,
    NEW_ONLY_LISTS,
    NEW_REFUSED,
    NO_LIST_FOR_UPLOADS,
    OTHER_MODEL,
    OTHER_NAMES,
    OTHER_VECTORS,
    is_unversioned,
    not_served,
    old_gets,
)

IN_PLACE = ("--write-secret", SECRET_FILE)
PYTHON = (sys.executable, "-m", "gt_conformance")


def rotating(key: str, *old_alive_s: str) -> tuple[str, ...]:
    """The same for tests, which rotate by the dozen: it starts in a moment."""
    return (sys.executable, "-I", "-S", str(Path(__file__).parent / "rotating.py"), ADMIN, key, *old_alive_s)


ROTATE = rotating("chat")
LEFT_A_TRACE = ("touch", "ran")


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
