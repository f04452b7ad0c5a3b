"""The folder of a rotation: how it is prepared, what the rotation leaves in it, and what must hold then."""

import json
import os
import signal
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gt_conformance import schema
from tests.commands import Finished, is_running, until

SECRET_FILE = "tenant.secrets/GT_EMBEDDED_CHAT"
ADMIN = "tenant.secrets/admin"
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
