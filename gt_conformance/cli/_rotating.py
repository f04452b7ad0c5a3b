"""A rotation carried out and told in the terminal."""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import click

from gt_conformance import rotation
from gt_conformance.errors import InputError
from gt_conformance.rotation import Keeping, Phase, Rotation, Step, Target

_HEADINGS = {Phase.BEFORE: "Before", Phase.COMMAND: "The command", Phase.AFTER: "After"}
_WIDTH = 10
_NOT_WRITTEN = 4


def rotated(
    key: str,
    argv: Sequence[str],
    tenant_file: Path | None,
    write_secret: Path | None,
    report: Path | None,
    *,
    timeout_s: float,
    grace_s: float,
) -> int:
    """Rotate, tell, write the record; the exit code. Raises InputError where nothing was run."""
    target = rotation.find(key, tenant_file, os.environ)
    command = rotation.command_of(argv, timeout_s)
    keeping = rotation.keeping_in(write_secret, target.reference) if write_secret is not None else None
    _check_report(report, write_secret)
    telling = _Telling()
    telling.lines(_opening(target, command.program, keeping))
    started = datetime.now(UTC)
    with _told_to_end():
        done = rotation.rotate(target, command, keeping, telling.step, grace_s=grace_s)
    written = report is None or _write(report, rotation.as_record(done, target, started, datetime.now(UTC)), done)
    in_place = keeping is not None and keeping.replaces and done.stored == str(keeping.path)
    telling.lines(["", *_what_to_do(done, target, in_place=in_place), f"rotation of {key}: {done.outcome.value}"])
    return done.exit_code if written else done.exit_code or _NOT_WRITTEN


class _Telling:
    """The account in lines. A terminal that is gone, or cannot show a name, does not stop a rotation half-way."""

    def __init__(self) -> None:
        self._phase: Phase | None = None

    def lines(self, lines: Sequence[str] | Iterator[str]) -> None:
        for line in lines:
            with suppress(OSError, UnicodeError):
                click.echo(line)

    def step(self, step: Step) -> None:
        if step.phase is not self._phase:
            self._phase = step.phase
            self.lines([_HEADINGS[step.phase]])
        self.lines([f"  {step.outcome.value:<{_WIDTH}}{step.text}"])
        if step.remedy:
            self.lines([f"  {'':<{_WIDTH}}→ {step.remedy}"])


def _opening(target: Target, program: str, keeping: Keeping | None) -> Iterator[str]:
    yield f"Rotation of the key {target.credential.name} of {target.tenant.base_url} by {program}."
    if keeping is None:
        yield "The new secret is not kept here: the command has to store it, or name a file with --write-secret FILE."
        if target.reference.path is not None:
            yield f"{target.reference.path}, the secret_file of the key, will go on holding the old secret."
    elif keeping.replaces:
        yield f"The new secret will replace the old one in {keeping.path}, the secret_file of the key."
    else:
        yield f"The new secret will be stored in {keeping.path}."


def _what_to_do(done: Rotation, target: Target, *, in_place: bool) -> Iterator[str]:
    if done.refused:
        yield "What to do: nothing was rotated. Make the key work, then rotate it."
    elif done.new is None:
        yield "What to do: see above whether the old secret still works; a new one is not known here."
    elif in_place:
        yield f"What to do: give the new secret to every client that uses the key {done.key}."
        yield f"{done.stored}, which the tenant file names, holds it."
    else:
        place = f"from {done.stored}" if done.stored else "as your command stored it"
        yield f"What to do: give the new secret, {place}, to every client that uses the key {done.key},"
        yield f"and put it where the tenant file looks for it: {target.reference}."


def _check_report(report: Path | None, write_secret: Path | None) -> None:
    if report is None:
        return
    if write_secret is not None and report.resolve() == write_secret.resolve():
        raise InputError.of(f"--report and --write-secret name the same file, {report}.", hint="Name two files.")
    if report.is_dir() or not os.access(report.parent, os.W_OK | os.X_OK):
        raise InputError.of(f"{report} cannot be written.", hint="Name a file in a folder that exists, and is yours.")


def _write(path: Path, record: dict[str, object], done: Rotation) -> bool:
    from gt_conformance import results  # noqa: PLC0415 - a tenth of a second that only a record needs

    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    name = done.redactor.holds(text)
    if name is not None:  # cannot be: it was redacted
        click.echo(f"error: the report was not written, for it would hold the secret of {name}.", err=True)
        return False
    try:
        results.replace_text(path, text)
    except OSError as error:
        click.echo(f"error: the report {path} was not written: {error.strerror}.", err=True)
        return False
    return True


@contextmanager
def _told_to_end() -> Iterator[None]:
    """SIGTERM is as Ctrl-C: what the command started must not go on alone, and what it printed must not be lost."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
