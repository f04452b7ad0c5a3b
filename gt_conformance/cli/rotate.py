"""``gt-conformance rotate``: a real rotation, proved."""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click

from gt_conformance import files, rotation
from gt_conformance.cli._options import require_own_file
from gt_conformance.errors import InputError
from gt_conformance.rotation import Phase, Rotation, SecretFile, Step, Target

_HEADINGS = {Phase.BEFORE: "Before", Phase.COMMAND: "The command", Phase.AFTER: "After"}
_WIDTH = 10
_NOT_WRITTEN = 3


def _finite(_: click.Context, __: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter("a number of seconds is needed.")
    return value


@click.command
@click.argument("key")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@click.option(
    "--tenant",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Tenant file. Else GT_BASE_URL, GT_API_KEY and GT_MODEL.",
)
@click.option(
    "--write-secret",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Store the new secret in FILE (mode 0600): a new file, or the secret_file of the key, which is replaced.",
)
@click.option(
    "--write-retired",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Store the old secret in FILE (mode 0600): a new file, or the retired_secret_file of the key.",
)
@click.option(
    "--stored-by-command", is_flag=True, help="COMMAND itself stores the new secret where the tenant file names it."
)
@click.option("--report", metavar="FILE", type=click.Path(path_type=Path), help="Write a JSON record, without secrets.")
@click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    callback=_finite,
    default=60.0,
    show_default=True,
    help="How long the command may take.",
)
@click.option(
    "--grace",
    "grace_s",
    metavar="SECONDS",
    type=click.FloatRange(0),
    callback=_finite,
    default=30.0,
    show_default=True,
    help="How long the old secret may still work after it.",
)
def rotate(  # noqa: PLR0913, PLR0917 - one argument an option
    key: str,
    command: tuple[str, ...],
    tenant: Path | None,
    write_secret: Path | None,
    write_retired: Path | None,
    report: Path | None,
    timeout_s: float,
    grace_s: float,
    *,
    stored_by_command: bool,
) -> int:
    """Rotate KEY of the tenant file by running COMMAND, and prove that the old secret is dead and the new one works.

    COMMAND is yours. It is run without a shell, rotates the key at the tenant, and prints the new secret alone on
    standard output. Nothing that it prints is displayed: name a file for the new secret with --write-secret, or say
    with --stored-by-command that COMMAND stores it. Before and after, every live key of the tenant file lists its
    names; a key with inference:embed embeds a sentence.

    \b
    Exit codes:
      0  the old secret is dead, the new one works the same, and the other keys did not change
      1  one of these is not so
      7  it is unknown: the command failed, hung, or printed no usable secret
      8  the key did not work to begin with: the command was not run
      2  interrupted: the last lines say what was done by then
      3  as 0, but the file of --report could not be written
      4  bad command line or file: the command was not run

    \b
    Examples:
      gt-conformance rotate chat --tenant acme.yaml --stored-by-command -- ./rotate-chat.sh
      gt-conformance rotate chat --tenant acme.yaml --write-secret secrets/chat --write-retired secrets/chat.old \\
          -- ./rotate-chat.sh
    """
    target = rotation.find(key, tenant, os.environ)
    runnable = rotation.command_of(command, timeout_s)
    if write_secret is None and not stored_by_command:
        raise _kept_nowhere(target)
    _check_files({"--report": report, "--write-secret": write_secret, "--write-retired": write_retired})
    new_file = _secret_file(write_secret, target.reference.path)
    retired_file = _secret_file(write_retired, target.retired_path)
    output = _Output()
    output.lines(_opening(target, runnable.program, new_file))
    started = datetime.now(UTC)
    done = rotation.rotate(target, runnable, output.step, grace_s=grace_s, new_file=new_file, retired_file=retired_file)
    written = report is None or _write(report, rotation.as_record(done, target, started, datetime.now(UTC)), done)
    in_place = new_file is not None and new_file.replaces and done.stored == str(new_file.path)
    unnamed = str(retired_file.path) if retired_file is not None and not retired_file.replaces else None
    new_retired = unnamed is not None and done.retired_stored == unnamed
    advice = _what_to_do(done, target, in_place=in_place, new_retired=new_retired)
    output.lines(["", *advice, f"rotation of {key}: {done.outcome.value}"])
    return done.exit_code if written else done.exit_code or _NOT_WRITTEN


class _Output:
    """The steps as lines. A terminal that is gone, or cannot display a name, does not stop a rotation half-way."""

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


def _opening(target: Target, program: str, new_file: SecretFile | None) -> Iterator[str]:
    yield f"Rotation of the key {target.credential.name} of {target.tenant.base_url} by {program}."
    if new_file is None:
        yield "The new secret is not stored here: the command stores it (--stored-by-command)."
        if target.reference.path is not None:
            where = f"{target.reference.path}, the secret_file of the key,"
            yield f"{where} holds the old secret until the command replaces it."
    elif new_file.replaces:
        yield f"The new secret will replace the old one in {new_file.path}, the secret_file of the key."
    else:
        yield f"The new secret will be stored in {new_file.path}."


def _what_to_do(done: Rotation, target: Target, *, in_place: bool, new_retired: bool) -> Iterator[str]:
    if done.refused:
        yield "What to do: nothing was rotated. Make the key work, then rotate it."
    elif done.new is None:
        yield "What to do: see above whether the old secret still works; a new one is not known here."
    elif done.lifetimes.new_first_taken_s is None:
        place = f" It is in {done.stored}." if done.stored else ""
        yield f"What to do: give the new secret to no client yet: it was not seen to work.{place}"
        yield "Find out in GT's console which secret of the key is valid before you rotate it again."
    elif in_place:
        yield f"What to do: give the new secret to every client that uses the key {done.key}."
        yield f"{done.stored}, which the tenant file names, holds it."
    else:
        place = f"from {done.stored}" if done.stored else "as your command stored it"
        yield f"What to do: give the new secret, {place}, to every client that uses the key {done.key},"
        yield f"and put it where the tenant file looks for it: {target.reference}."
    if new_retired:
        yield f"The old secret is in {done.retired_stored}. Name it as retired_secret_file of the key {done.key},"
        yield "and every run proves that it stays dead."


def _secret_file(path: Path | None, replaceable: Path | None) -> SecretFile | None:
    return None if path is None else rotation.secret_file_at(path, replaceable)


def _kept_nowhere(target: Target) -> InputError:
    place = f", such as {target.reference.path}, the secret_file of the key" if target.reference.path else ""
    return InputError.of(
        "the new secret would be stored nowhere: what the command prints is not displayed. Nothing was rotated.",
        hint=f"Name a file with --write-secret FILE{place}; or add --stored-by-command if the command stores it.",
    )


def _check_files(named: Mapping[str, Path | None]) -> None:
    first: dict[Path, str] = {}
    for option, path in named.items():
        other = option if path is None else first.setdefault(Path(os.path.realpath(path)), option)
        if other != option:
            raise InputError.of(f"{other} and {option} name the same file, {path}.", hint="Name two files.")
    if (report := named["--report"]) is not None:
        require_own_file(report, "--report", b'"old_secret"')


def _write(path: Path, record: dict[str, object], done: Rotation) -> bool:
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    name = done.redactor.holds(text)
    if name is not None:  # cannot be: it was redacted
        click.echo(f"error: the report was not written, because it would contain the secret of {name}.", err=True)
        return False
    try:
        files.replace_text(path, text)
    except OSError as error:
        click.echo(f"error: the report {path} was not written: {error.strerror}.", err=True)
        return False
    return True
