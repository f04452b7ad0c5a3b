"""Proves that hostile tenants are survived: each is judged by the real command, in a process of its own, and measured.

A run survives where it ends in time and in little memory, with one of its own exit codes, and leaves reports that are
whole, valid and inert, and hold no secret. That the same run conforms before a front which does no harm is the control.
"""

import json
import os
import re
import signal
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from gt_conformance import processes, results
from gt_conformance.cli.serve import write_tenant_file
from gt_conformance.errors import InputError
from gt_conformance.results import Record
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import FaultSet
from gt_sandbox.variants import VariantSet
from prove import Options, Proof, iter_strings
from prove.hostile_tenants import HOSTILE, Elsewhere, Front, Hostile

AT_ONCE = 6
"""Most of these runs wait for their tenant."""
LIMITS = {"timeout_s": 2, "poll_timeout_s": 2, "max_requests": 400, "run_timeout_s": 12}
DEADLINE_S = LIMITS["run_timeout_s"] + 18.0
"""The longest that a run may take: its own limit, and what it needs to start and to write reports on a busy machine."""
MOST_MEMORY = 300 * 1024 * 1024
ENDS = frozenset({1, 7, 8})
RUNBOOK = "openai-sdk-curl"
"""It takes every route, six of them as OpenAI's and three as GT's own."""
HARMLESS = Hostile(
    "harmless", "passes everything on", lambda request, connection: connection.pass_on(request), lambda _: True
)

# The most memory of a child counts that of the process which it was forked from: so that one must be small.
_MEASURE = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
with open("measured", "w") as target:
    print(os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024, file=target)
"""
_PIECE = 16
_UNSAFE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ESCAPE = re.compile(r"\\+u([0-9A-Fa-f]{4})")
_PAGES = ("compliance.html", "pytest.html")


@dataclass(frozen=True)
class Survival:
    """One run against one hostile tenant: what it took, and what went wrong with it; nothing where all is well."""

    name: str
    seconds: float
    memory: int
    code: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class CommandResult:
    """How a command ended, by itself or killed, and what it took."""

    code: int
    output: str
    seconds: float
    memory: int


def prove(_: Options) -> Proof:
    """Every hostile tenant is survived."""
    control, *found = run_against_all()
    survived = sum(not one.problems for one in found)
    longest = max((one.seconds for one in found), default=0.0)
    largest = max((one.memory for one in found), default=0)
    summary = f"hostile survived {survived}/{len(HOSTILE)} (at most {longest:.0f} s and {largest / 2**20:.0f} MiB each)"
    return Proof(summary, tuple(f"{one.name}: {text}" for one in (control, *found) for text in one.problems))


def run_against_all(chosen: Sequence[Hostile] = HOSTILE) -> Iterator[Survival]:
    """Run the command against each of these tenants, several at once; first against one that does no harm."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        control = run_against(HARMLESS, Path(folder), None)
        yield control
        if not control.problems:
            whole = list_cases(results.read(Path(folder) / HARMLESS.name / "reports" / "results.json"))
            found = list(pool.map(lambda hostile: run_against(hostile, Path(folder), whole), chosen))
            (alone := Path(folder) / "alone").mkdir()
            for hostile, survival in zip(chosen, found, strict=True):
                # What takes long beside five others may have waited for a processor: by itself it has to end in time.
                yield run_against(hostile, alone, whole) if survival.seconds >= DEADLINE_S else survival


def run_against(hostile: Hostile, folder: Path, whole: Sequence[str] | None) -> Survival:
    """One run. ``whole`` is what its record must hold; None where it is the control, whose run must conform."""
    place = folder / hostile.name
    place.mkdir()
    with EmbeddedTenant() as tenant, Elsewhere() as elsewhere:
        port = int(tenant.base_url.rpartition(":")[2].partition("/")[0])
        with Front(hostile, port, elsewhere.address) as front:
            write_tenant_file(tenant, place / "tenant.yaml", FaultSet(), VariantSet())
            document = json.loads((place / "tenant.yaml").read_text())
            document["base_url"] = document["base_url"].replace(f":{port}", f":{front.port}")
            document["limits"] |= LIMITS
            (place / "tenant.yaml").write_text(json.dumps(document))
            result = _run(place)
        found = list(find_problems(result, place / "reports", list(tenant.secrets.values()), whole))
    if elsewhere.callers:
        found.append(f"another host was called {elsewhere.callers} times")
    if not front.attacks:
        found.append("the tenant was asked nothing that it could do harm with")
    return Survival(hostile.name, result.seconds, result.memory, result.code, tuple(found))


def list_cases(record: Record) -> list[str]:
    """Every row, item and tenant check of a record, by its id, in order."""
    rows = [row["id"] for book in record["runbooks"] for row in book["routes"]]
    items = [item["id"] for book in record["runbooks"] for item in book["checklist"]]
    return sorted([*rows, *items, *(check["id"] for check in record["tenant_checks"])])


def _run(place: Path) -> CommandResult:
    words = [sys.executable, "-m", "gt_conformance", "run", "--tenant", "tenant.yaml", "--runbook", RUNBOOK]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GT_", "PYTEST_"))}
    done = processes.run(
        [sys.executable, "-I", "-S", "-c", _MEASURE, *words],
        cwd=place,
        env=kept | {"NO_COLOR": "1"},
        timeout_s=DEADLINE_S,
    )
    measured = place / "measured"
    code, memory = map(int, measured.read_text().split()) if measured.is_file() else (-signal.SIGKILL, 0)
    output = (done.stdout + done.stderr).decode("utf-8", errors="replace")
    return CommandResult(code, output, done.elapsed_s, memory)


def find_problems(
    result: CommandResult, folder: Path, secrets: Sequence[str], whole: Sequence[str] | None
) -> Iterator[str]:
    """What is wrong with how a run ended, and with its reports: a sentence each. ``whole`` as for a survival."""
    if result.seconds >= DEADLINE_S:
        yield f"it had not ended after {DEADLINE_S:g} s"
    if result.memory > MOST_MEMORY:
        yield f"it took {result.memory / 2**20:.0f} MiB of memory"
    if result.code not in (ENDS if whole is not None else {0}):
        yield f"exit code {result.code}: {result.output[-500:]}"
    if "Traceback" in result.output:
        yield f"a traceback: {result.output[result.output.index('Traceback') :][:500]}"
    yield from _record_problems(folder, whole)
    for page in _PAGES:
        yield from _page_problems(folder / page)
    yield from _junit_problems(folder / "junit.xml")
    texts = {path.name: path.read_text(encoding="utf-8", errors="replace") for path in _files(folder)}
    for name, text in {**texts, "the terminal": result.output}.items():
        if found := _UNSAFE.search(text):
            yield f"{name} holds the control character {found.group()!r}"
        plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
        if any(secret[at : at + _PIECE] in plain for secret in secrets for at in range(5, len(secret) - _PIECE + 1)):
            yield f"{name} holds a secret, or a piece of one"


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and ".pytest_cache" not in path.parts)


def _record_problems(folder: Path, whole: Sequence[str] | None) -> Iterator[str]:
    try:
        record = results.read(folder / "results.json")
    except InputError as error:
        yield f"results.json: {error}"
        return
    if whole is not None and list_cases(record) != list(whole):
        yield "results.json does not hold every planned row, item and check once"
    if record["suite_errors"]:
        yield f"a fault of the suite: {record['suite_errors'][0][-500:]}"
    for text in iter_strings(record):
        if found := _UNSAFE.search(text):
            yield f"results.json holds the control character {found.group()!r} as an escape"
            return


def _page_problems(path: Path) -> Iterator[str]:
    if not path.is_file():
        yield f"there is no {path.name}"
        return
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    if not page.ended:
        yield f"{path.name} is cut short"
    if page.taken:
        yield f"{path.name} took a text of the tenant for markup: {page.taken[0]}"


def _junit_problems(path: Path) -> Iterator[str]:
    try:
        ET.parse(path)  # noqa: S314 - written by our own command
    except (OSError, ET.ParseError) as error:
        yield f"junit.xml: {error}"


@dataclass
class _Page(HTMLParser):
    """Reads a report as a browser would, and notes what of the tenant's words became markup or script."""

    ended: bool = False
    taken: list[str] = field(default_factory=list)
    _open: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        for name, value in attrs:
            if name == "onerror" or (name in {"href", "src"} and (value or "").startswith("javascript:")):
                self.taken.append(f"<{tag} {name}={value!r}>")
            if name == "data-jsonblob":
                # pytest-html's own script puts these texts into its page as markup.
                inner = _Page()
                for text in iter_strings(json.loads(value or "{}")):
                    inner.feed(text)
                    inner.close()
                self.taken += inner.taken

    def handle_endtag(self, tag: str) -> None:
        self._open = ""
        self.ended |= tag == "html"

    def handle_data(self, data: str) -> None:
        if self._open == "script" and "gtHostile" in data:
            self.taken.append(f"<script>{data[:80]}")
