"""Proves that no file that a user hands over ends in a traceback or without end, and that each error has its line.

Sound files of every kind are changed at random, as bytes, as lines and as values, from one seed, and read as the
commands read them. What is refused is an InputError whose problems name the file and, where it has lines, the line.
"""

import gzip
import json
import random
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from gt_conformance import attestation, companions, journal, resources, results, session, waiver
from gt_conformance.checks import BUILT_IN
from gt_conformance.errors import InputError, Problem
from gt_conformance.history import History
from gt_conformance.planning import Selection
from gt_conformance.results import Record
from gt_conformance.runbook import Runbook, findings, load_directory, read_directory
from gt_conformance.session import Notes, Session
from gt_conformance.tenant import TenantKind, from_file, from_mapping
from gt_conformance.vocabulary import CLIENT_CHECKS
from gt_sandbox import EmbeddedTenant
from prove import Options, Proof

SEED = 20261127
COUNT = 2_000
DEADLINE_S = 20
"""For one file. The largest take a second."""

Read = Callable[[Path], object]
Change = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Kind:
    """One kind of file: its name in a folder, a sound text, and what reads it. ``packed``: it has no lines."""

    name: str
    file: str
    sound: bytes
    read: Read
    packed: bool = False


class Hang(BaseException):
    """Reading took too long. No Exception, so that nothing catches it."""


# -- how files are changed


def _flip(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _cut(content: bytes, chance: random.Random) -> bytes:
    at, end = sorted(chance.sample(range(len(content) + 1), 2))
    return content[:at] if chance.random() < 0.3 else content[:at] + content[end:]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    at, end = sorted(chance.sample(range(len(content) + 1), 2))
    end = min(end, at + 400)
    return content[:end] + content[at:end] * chance.randint(1, 40) + content[end:]


_PIECES = (
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\t",
    b"\r",
    b"\r\n",
    b"\x1b[31m",
    b"[" * 3000,
    b"{" * 3000,
    b"- " * 500,
    b"&a [*a, *a]",
    b"*unknown",
    b"!!python/object:os.system",
    b"<<: *a",
    b"9" * 5000,
    b"1e999999",
    b"NaN",
    b"-Infinity",
    b"'",
    b'"',
    b"\\ud800",
    b"\xed\xa0\x80",
    b"---\n",
    b"...\n",
    b"%YAML 9.9\n",
    b"? ",
    b": ",
    b"#",
    b"|\n",
    b">-\n",
    b"\xe2\x80\xae",
    b"a" * 70_000,
    b"yes",
    b"null",
    b"2026-13-45",
    b"0o7",
    b"1_000",
    b"gtak_" + b"x" * 40,
)


def _insert(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + chance.choice(_PIECES) + content[at:]


def _shuffle_lines(content: bytes, chance: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    for _ in range(chance.randint(1, 3)):
        one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                lines[one], lines[other] = lines[other], lines[one]
            case 1:
                lines.insert(other, lines[one])
            case 2:
                lines[one] = b" " * chance.randint(1, 5) + lines[one]
            case _:
                lines[one] = lines[one].lstrip()
    return b"".join(lines)


_VALUES: Sequence[Any] = (None, True, 0, -1, 10**30, 1.5, "", " ", "\0", "\ud800", "x" * 5000, [], {}, [[]], {"": None})


def _change_value(content: bytes, chance: random.Random) -> bytes:
    """Another value, another name or one member less, where the file is JSON; else what is inserted."""
    lines = content.split(b"\n") if content.count(b'\n{"') else [content]
    at = chance.randrange(len(lines))
    try:
        value = json.loads(lines[at])
    except ValueError:
        return _insert(content, chance)
    for _ in range(chance.randint(1, 3)):
        _change_inside(value, chance)
    lines[at] = json.dumps(value).encode()
    return b"\n".join(lines)


def _change_inside(value: Any, chance: random.Random) -> None:
    while isinstance(value, dict | list) and value:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = chance.choice(keys)
        inner = value[key]
        if isinstance(inner, dict | list) and inner and chance.random() < 0.85:
            value = inner
            continue
        match chance.randrange(3):
            case 0:
                value[key] = chance.choice(_VALUES)
            case 1:
                del value[key]
            case _ if isinstance(value, dict):
                value[str(chance.choice(_VALUES))] = value.pop(key)
            case _:
                value.append(inner)
        return


CHANGES: Sequence[Change] = (_flip, _cut, _repeat, _insert, _shuffle_lines, _change_value)


# -- what is read, and how


def list_kinds(folder: Path) -> tuple[Kind, ...]:
    """Every kind of file with a sound one; ``folder`` is where a record and its journal are made."""
    books, today = load_directory(resources.runbooks_dir()), datetime.now(UTC).date()
    record, journaled = _make_record(folder)
    sound = json.dumps(record, indent=1).encode()
    read_waivers = partial(_read_waivers, books=books, today=today)
    dify = (resources.runbooks_dir() / "dify.yaml").read_bytes()
    with EmbeddedTenant() as running:
        document = json.dumps(running.tenant_document(), indent=2).encode()
    sample = resources.sample_tenant().read_bytes()
    secrets = {name: f"gtak_{name.lower()}_0123456789" for name in _names(document, sample)}
    read_tenant = partial(_read_tenant, secrets=secrets)
    attestations = resources.sample_attestations().read_bytes()
    packed = gzip.compress(sound, mtime=0)
    return (
        Kind("tenant file", "tenant.yaml", sample, read_tenant),
        Kind("tenant file as JSON", "tenant.yaml", document, read_tenant),
        Kind("runbook", "dify.yaml", dify, _read_runbook),
        Kind("attestations", "attestations.yaml", attestations, partial(attestation.load, runbooks=books, today=today)),
        Kind("waivers", "waivers.yaml", _WAIVERS.replace(b"DAY", str(today).encode()), read_waivers),
        Kind("accepted", "accepted.yaml", _ACCEPTED.replace(b"DAY", str(today).encode()), read_waivers),
        Kind("results", "results.json", sound, results.read),
        Kind("baseline", "baseline.json", json.dumps(record).encode(), results.read),
        Kind("history", _night_of(record, folder), packed, partial(_read_history, record=record), packed=True),
        Kind("project file", companions.PROJECT_FILE, _PROJECT, _read_project),
        Kind("journal", journal.JOURNAL, journaled, journal.rebuild),
    )


_PROJECT = b"""# what this folder's runs take
attestations = "attestations.yaml"
waivers = "waivers.yaml"
accepted = "accepted.yaml"
history = "nights"
"""
_WAIVERS = b"""waivers:
  - runbook: dify
    row: embeddings
    reason: the embedding model is replaced
    owner: A. Example
    issue: https://tracker.acme.example/412
    expires: DAY
  - runbook: tenant
    check: key.required
    reason: known
    owner: A. Example
    issue: https://tracker.acme.example/413
    expires: DAY
"""
_ACCEPTED = b"""waivers:
  - finding: "chat.completes~fb8420"
    check: "chat.completes"
    outcome: violates
    places: [dify-chat-native, dify-item-1]
    reason: known
    owner: A. Example
    accepted_on: DAY
    expires: DAY
    run: "f3a7b005"
    tenant: "https://acme.example/api/tenant"
"""


def _names(*texts: bytes) -> Iterator[str]:
    """The environment variables that these files name."""
    for text in texts:
        words = text.decode().replace('"', " ").replace(",", " ").split()
        yield from (word for word in words if word.startswith("GT_"))


def _read_project(path: Path) -> None:
    companions.read_project(path.parent)


def _read_tenant(path: Path, secrets: Mapping[str, str]) -> None:
    from_file(path, secrets, commands=False)


def _read_runbook(path: Path) -> None:
    books, problems = read_directory(path.parent)
    problems += [problem for book in books for problem in findings(book, BUILT_IN.acts)]
    if problems:
        raise InputError(problems)


def _read_waivers(path: Path, books: Sequence[Runbook], today: date) -> None:
    known = {*BUILT_IN.item_ids, *CLIENT_CHECKS}
    waiver.load(path, books, known, today, tenant_checks=BUILT_IN.tenant_wide)


def _read_history(path: Path, record: Record) -> None:
    """A damaged night is a notice, and costs its own night alone."""
    history = History(path.parent)
    _, problems = history.latest(record["run"]["tenant"])
    _, more = history.nights(record)
    if problems or more:
        raise InputError([*problems, *more])


def _make_record(folder: Path) -> tuple[Record, bytes]:
    """A record of a small run in memory, and its journal."""
    with EmbeddedTenant() as running:
        tenant = from_mapping(
            running.tenant_document(), running.secrets, kind=TenantKind.EMBEDDED, name="the embedded tenant"
        )
        planned = session.plan(tenant, selection=Selection(("openai-sdk-curl",), ()))
        with Session(planned, notes=Notes({}, (), folder / journal.JOURNAL)) as made:
            for case in planned.cases:
                made.judgement(case)
        return made.record(), (folder / journal.JOURNAL).read_bytes()


def _night_of(record: Record, folder: Path) -> str:
    """The name of the file under which a history keeps the record."""
    return History(folder / "nights").keep(record).name


# -- the proof


def prove(_: Options) -> Proof:
    """Every changed file is read or refused with its place, in time."""
    problems: list[str] = []
    refused = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = list_kinds(folder)
        problems += [
            f"a sound {kind.name} is refused: {error}" for kind in kinds if (error := attempt(kind, kind.sound, folder))
        ]
        for number in range(COUNT):
            outcome = attempt_number(number, kinds, folder)
            refused += outcome is not None
            problems += outcome if isinstance(outcome, list) else []
    summary = f"inputs {COUNT - len(problems)}/{COUNT} read or refused with their place ({refused} refused)"
    return Proof(summary, tuple(problems))


def attempt_number(number: int, kinds: Sequence[Kind], folder: Path) -> list[str] | InputError | None:
    """What the changed file of that number gives: nothing, a proper refusal, or what is wrong, a sentence each."""
    chance = random.Random(f"{SEED} {number}")  # noqa: S311 - a choice, not a secret
    kind = kinds[number % len(kinds)]
    content = kind.sound
    for _ in range(chance.randint(1, 2)):
        content = chance.choice(CHANGES)(content, chance) if content else content
    outcome = attempt(kind, content, folder)
    if not isinstance(outcome, InputError):
        return [f"input {number} ({kind.name}): {text}" for text in outcome] if outcome else None
    wrong = [text for problem in outcome.problems for text in _faults(problem, kind)]
    return [f"input {number} ({kind.name}): {text}" for text in dict.fromkeys(wrong)] or outcome


def attempt(kind: Kind, content: bytes, folder: Path) -> list[str] | InputError | None:
    """Read a file with that content: nothing where it is read, the refusal, or a traceback or hang as sentences."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        path = Path(name) / kind.file
        path.write_bytes(content)
        try:
            with _deadline():
                kind.read(path)
        except InputError as error:
            return error
        except Hang:
            return [f"took over {DEADLINE_S} s"]
        except Exception as error:  # noqa: BLE001 - what it looks for
            last = traceback.extract_tb(error.__traceback__)[-1]
            return [f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"]
    return None


def _faults(problem: Problem, kind: Kind) -> Iterator[str]:
    """What a refusal lacks: its file, its line where the file has lines; or what it should not hold."""
    text = str(problem)
    if problem.where is None or not problem.where.file.endswith(kind.file):
        yield f"no file is named: {text[:200]}"
    elif problem.where.line is None and not kind.packed and "more problems in this file" not in text:
        yield f"no line is named: {text[:200]}"
    if any(not char.isprintable() and char != "\n" for char in text):
        yield f"a control character is printed: {text[:200]!r}"
    if len(text) > _LONGEST:
        yield f"a message of {len(text)} characters: {text[:100]}"


_LONGEST = 4_000


@contextmanager
def _deadline() -> Iterator[None]:
    def end(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        raise Hang

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, DEADLINE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
