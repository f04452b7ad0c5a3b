"""Secrets of a tenant file: where they are read, which are refused, and that none ever prints."""

import copy
import json
import os
import pickle
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from gt_conformance.errors import InputError
from gt_conformance.tenant import Credential, Secret
from tests.input_files import problems_of
from tests.tenant_files import ENVIRONMENT, OTHER, SECRET, SMALLEST, issued, load

pytestmark = pytest.mark.usefixtures("own_folder")


def python(code: str) -> str:
    """A YAML list that runs the code in this Python."""
    return json.dumps([sys.executable, "-I", "-c", code])


GIVEN = {
    "by environment": "secret_env: GT_KEY_CHAT",
    "by file": "secret_file: secrets/chat",
    "by command": f"secret_command: {python(f'print({SECRET!r})')}",
}


@pytest.mark.parametrize("reference", GIVEN.values(), ids=GIVEN)
def test_a_secret_is_read_where_the_file_says(reference: str) -> None:
    """The environment, a file beside the tenant file, and a command each give the secret, less its line break."""
    Path("secrets").mkdir()
    Path("secrets/chat").write_text(f"{SECRET}\n", encoding="utf-8")
    assert load(SMALLEST.replace("secret_env: GT_KEY_CHAT", reference)).secrets()["chat"].reveal() == SECRET
    retired = f"secret_env: GT_KEY_APP, retired_{reference}"
    assert load(SMALLEST.replace("secret_env: GT_KEY_CHAT", retired)).credentials["chat"].retired_secret == Secret(
        SECRET
    )


def test_the_mark_of_an_editor_before_a_secret_is_no_part_of_it() -> None:
    """Some editors save UTF-8 with a mark before the text, and lines that end in two characters."""
    Path("marked").write_bytes(f"\ufeff{SECRET}\r\n".encode())
    assert load(SMALLEST.replace("secret_env: GT_KEY_CHAT", "secret_file: marked")).secrets()["chat"].reveal() == SECRET


def test_a_command_runs_without_a_shell() -> None:
    """What a shell would act on reaches the command as it is written."""
    code = "import sys; print('gtak_' + sys.argv[1].replace('$(echo x)', '12345678'))"
    reference = f"secret_command: {python(code)[:-1]}, '$(echo x)']"
    assert load(SMALLEST.replace("secret_env: GT_KEY_CHAT", reference)).credentials["chat"].secret == Secret(
        "gtak_12345678"
    )


SECRET_HINT = "A GT key looks like gtak_... with nothing before or after it."
UNUSABLE = {
    "no variable": (
        "secret_env: GT_KEY_NONE",
        (
            "the key 'chat' takes its secret from the environment variable GT_KEY_NONE, which is not set. "
            "Set it: export GT_KEY_NONE=..."
        ),
    ),
    "a short one": (
        "secret_env: GT_SHORT",
        (
            "the secret of the key 'chat' is unusable: the environment variable GT_SHORT gives fewer than 8 "
            "characters, "
            f"too short for a GT key. {SECRET_HINT}"
        ),
    ),
    "two in one": (
        "secret_env: GT_TWO",
        (
            "the secret of the key 'chat' is unusable: the environment variable GT_TWO gives text that "
            f"is not allowed in a header: a space, a line break or a character beyond ASCII. {SECRET_HINT}"
        ),
    ),
    "no file": (
        "secret_file: secrets/none",
        (
            "the key 'chat' takes its secret from the file secrets/none, which cannot be read: No such file or "
            "directory. "
            "Check the path; it is taken from the folder of the tenant file."
        ),
    ),
    "an empty file": (
        "secret_file: empty",
        f"the secret of the key 'chat' is unusable: the file empty gives nothing. {SECRET_HINT}",
    ),
    "bytes in a file": (
        "secret_file: bytes",
        (
            "the key 'chat' takes its secret from the file bytes, which cannot be read: it is not UTF-8 text. "
            "Save it as UTF-8, without anything but the key."
        ),
    ),
    "letters beyond ASCII in a file": (
        "secret_file: accents",
        (
            "the secret of the key 'chat' is unusable: the file accents gives text that is not allowed in a header: "
            f"a space, a line break or a character beyond ASCII. {SECRET_HINT}"
        ),
    ),
    "a line of a shell": (
        "secret_file: assigned",
        (
            "the secret of the key 'chat' is unusable: the file assigned gives more than a key: something is "
            f"before gtak_, such as the name of a variable. {SECRET_HINT}"
        ),
    ),
    "no command": (
        "secret_command: [gt-no-such-command, read]",
        (
            "the key 'chat' takes its secret from the command 'gt-no-such-command', which cannot be started: "
            "No such file or directory. "
            "It is run without a shell: give the program and each argument as an entry of its own."
        ),
    ),
    "a command that fails": (
        f"secret_command: {python(f'import sys; print({SECRET!r}, file=sys.stderr); sys.exit({SECRET!r}[:0] or 3)')}",
        (
            f"the secret command {sys.executable!r} of the key 'chat' failed with exit code 3. "
            "Run it by hand to see why; its output is not displayed here, since it may contain a secret."
        ),
    ),
    "a command with a pipe": (
        f"secret_command: {python('raise SystemExit(1)')[:-1]}, '|', cut]",
        (
            f"the secret command {sys.executable!r} of the key 'chat' failed with exit code 1. "
            'It is run without a shell, to which | belongs: use [sh, -c, "..."], or do without it.'
        ),
    ),
    "a command in the home folder": (
        "secret_command: [~/bin/key, chat]",
        (
            "the key 'chat' takes its secret from the command '~/bin/key', which cannot be started: "
            "No such file or directory. "
            'It is run without a shell, to which ~/bin/key belongs: use [sh, -c, "..."], or do without it.'
        ),
    ),
    "a command that says nothing": (
        f"secret_command: {python('pass')}",
        f"the secret of the key 'chat' is unusable: the command {sys.executable!r} gives nothing. {SECRET_HINT}",
    ),
    "a command that says too much": (
        f"secret_command: {python(f'print({SECRET!r}); print(1)')}",
        (
            f"the secret of the key 'chat' is unusable: the command {sys.executable!r} gives text that "
            f"is not allowed in a header: a space, a line break or a character beyond ASCII. {SECRET_HINT}"
        ),
    ),
}


@pytest.mark.parametrize(("reference", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_secret_that_cannot_be_used_is_named_at_its_key(reference: str, message: str) -> None:
    """A missing or unusable secret is an error at the line of its key, and is never shown."""
    Path("empty").write_text(" \n", encoding="utf-8")
    Path("bytes").write_bytes(b"\xff\xfe")
    Path("assigned").write_text(f"GT_API_KEY={SECRET}\n", encoding="utf-8")
    Path("accents").write_text("gtak_ääääääää", encoding="utf-8")
    text = SMALLEST.replace("secret_env: GT_KEY_CHAT", reference)
    with pytest.raises(InputError) as caught:
        load(text)
    assert [str(problem) for problem in caught.value.problems] == [f"tenant.yaml:4:9: {message}"]
    told = "".join(traceback.format_exception(caught.value))
    assert not [secret for secret in ENVIRONMENT.values() if secret in told]


@pytest.fixture
def endless(own_folder: Path) -> None:
    """A pipe that nobody writes into, a device that never ends, a link to it, and a file that is far too large."""
    os.mkfifo(own_folder / "pipe")
    (own_folder / "device").symlink_to("/dev/zero")
    with (own_folder / "large").open("wb") as file:
        file.truncate(1 << 40)


ENDLESS = {"pipe": "it is not a regular file", "device": "it is not a regular file", ".": "Is a directory"}
REFERENCES = {
    "secret_file": (
        SMALLEST.replace("secret_env: GT_KEY_CHAT", "secret_file: {}"),
        "the key 'chat' takes its secret from",
    ),
    "ca_file": (SMALLEST + "ca_file: {}\n", "ca_file: "),
    "client_cert": (SMALLEST + "client_cert: {}\n", "client_cert: "),
    "client_key": (SMALLEST + "client_cert: client.pem\nclient_key: {}\n", "client_key: "),
}


@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize(
    ("name", "reason"), [*ENDLESS.items(), ("large", "it is larger than"), ("none", "No such file or directory")]
)
@pytest.mark.parametrize(("text", "begin"), REFERENCES.values(), ids=REFERENCES)
def test_a_file_is_read_within_bounds(text: str, begin: str, name: str, reason: str) -> None:
    """Every file that a tenant file names is a regular one of a bounded size; any other is refused, at its line."""
    Path("client.pem").write_bytes(issued().cert_chain_pems[0].bytes())
    [problem] = problems_of(load, text.replace("{}", name))
    place, _, message = problem.partition(": ")
    assert place.startswith("tenant.yaml:")
    assert message.startswith(begin)
    assert f"the file {name}" in message
    assert f"cannot be read: {reason}" in message


def test_a_command_that_prints_without_end_is_ended() -> None:
    """A command is read up to a bound, and ended there."""
    reference = f"secret_command: {python('while True: print(1)')}"
    [problem] = problems_of(load, SMALLEST.replace("secret_env: GT_KEY_CHAT", reference))
    assert problem == (
        f"tenant.yaml:4:9: the secret command {sys.executable!r} of the key 'chat' printed too much: over 65536 bytes. "
        "It must print the secret, and nothing else."
    )


def test_a_process_that_a_command_leaves_behind_is_not_waited_for() -> None:
    """An agent that a command starts, and that holds its output open, does not keep the secret from being read."""
    agent = f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep({HANGS_S})'])"
    code = f"import subprocess, sys; {agent}; print({SECRET!r})"
    tenant = load(SMALLEST.replace("secret_env: GT_KEY_CHAT", f"secret_command: {python(code)}"))
    assert tenant.credentials["chat"].secret == Secret(SECRET)


HANGS_S = 35
"""Longer than a command may take."""


def test_a_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that asks for a password and waits is given up, with that as the likely reason."""
    monkeypatch.setattr("gt_conformance.tenant._references._COMMAND_TIMEOUT_S", 0.1)
    reference = f"secret_command: {python('import time; time.sleep(60)')}"
    [problem] = problems_of(load, SMALLEST.replace("secret_env: GT_KEY_CHAT", reference))
    assert problem == (
        f"tenant.yaml:4:9: the secret command {sys.executable!r} of the key 'chat' took over 0.1 seconds. "
        "Run it by hand: it may be waiting for a password."
    )


# -- a type that never prints

PRINTED: dict[str, Callable[[Secret], str]] = {
    "str": str,
    "repr": repr,
    "an f-string": lambda secret: f"{secret} {secret!r} {secret:>40}",
    "percent formatting": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - the old way must not print it either
    "format": lambda secret: "{} {0!s}".replace("{}", "{0}").format(secret),
    "inside a list": lambda secret: str([secret]),
    "its credential": lambda secret: repr(Credential("chat", secret, retired_secret=secret)),
    "its fingerprint": lambda secret: secret.fingerprint,
    "its attributes": lambda secret: str([getattr(secret, name) for name in dir(secret) if name != "reveal"][:0]),
}


@pytest.mark.parametrize("show", PRINTED.values(), ids=PRINTED)
def test_a_secret_never_prints(show: Callable[[Secret], str]) -> None:
    """However a secret is turned into text, its plaintext is not in it."""
    shown = show(Secret(SECRET))
    assert SECRET[5:13] not in shown


TAKEN_APART: dict[str, Callable[[Credential], object]] = {
    "pickled": pickle.dumps,
    "pickled alone": lambda credential: pickle.dumps(credential.secret),
    "copied": lambda credential: copy.copy(credential.secret),
    "copied with its credential": copy.deepcopy,
    "made a dict": asdict,
    "written as JSON": lambda credential: json.dumps(credential.secret),
}


@pytest.mark.parametrize("take", TAKEN_APART.values(), ids=TAKEN_APART)
def test_a_secret_is_not_written_elsewhere(take: Callable[[Credential], object]) -> None:
    """A secret is neither pickled nor turned into JSON."""
    with pytest.raises(TypeError) as caught:
        take(Credential("chat", Secret(SECRET)))
    assert SECRET not in str(caught.value)


def test_a_tenant_prints_without_its_secrets() -> None:
    """The repr of a whole tenant holds no plaintext."""
    assert SECRET[5:13] not in repr(load(SMALLEST))


def test_secrets_compare_by_their_plaintext() -> None:
    """Equal plaintexts are one secret; a secret is no text, and its fingerprint tells others apart."""
    assert Secret(SECRET) == Secret(SECRET)
    assert len({Secret(SECRET), Secret(SECRET), Secret(OTHER)}) == 2
    assert Secret(SECRET) != SECRET
    assert re.fullmatch("[0-9a-f]{12}", Secret(SECRET).fingerprint)
    assert Secret(SECRET).fingerprint != Secret(OTHER).fingerprint
