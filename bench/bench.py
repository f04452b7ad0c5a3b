"""How long what users wait for takes: ``make bench``. Each line is the best and the median of a few runs.

``make bench ARGS=--cpu`` measures only what a run costs this machine: seconds of CPU, user and system together, and
memory, of ``gt-conformance run --tenant`` on a tenant that another process serves, to its first request and to its
end, and of the library: a program for one tenant, and one more tenant in it; and, as a yardstick for this machine, of
httpx for as many requests and of pytest for as many tests. ``--latency`` adds how long a run takes
where each answer comes late, beside what is least possible: the requests by the connections, or the longest chain.
``--page`` measures compliance.html: its size, its pages on paper, and how fast it is, each beside its limit.
``--fleet`` measures the outcomes of a fleet and ``fleet report`` over them, for 10,000 and 100,000 generated tenants.
"""

import copy
import io
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from pypdf import PdfReader

from gt_conformance import resources, results, session
from gt_conformance import tenant as tenants
from gt_conformance.report import render_html
from gt_conformance.runbook import load_directory
from gt_conformance.tenant import Tenant, TenantKind
from gt_conformance.vocabulary import Modality, Route
from gt_sandbox import EmbeddedTenant
from gt_sandbox.middleware import delay, is_any

TIMES = 5


def command(*words: str) -> Callable[[], None]:
    """A function that runs the command to its end."""

    def run() -> None:
        subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "gt_conformance", *words], check=True, stdout=subprocess.DEVNULL
        )

    return run


def start_tenant() -> None:
    """Start the embedded tenant, and stop it."""
    with EmbeddedTenant():
        pass


def measure(name: str, work: Callable[[], object]) -> str:
    """Measure, and describe it in one line."""

    def once() -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return describe(name, once)


def describe(name: str, cost: Callable[[], float]) -> str:
    """One line about something that says itself how many seconds it took."""
    seconds = [cost() for _ in range(TIMES)]
    return f"{name:<44} {min(seconds):7.3f} s best {statistics.median(seconds):7.3f} s median"


@contextmanager
def served_tenant(folder: Path) -> Iterator[Path]:
    """The tenant file of an embedded tenant that another process serves while inside."""
    file = folder / "tenant.yaml"
    words = [sys.executable, "-m", "gt_conformance", "serve", "--tenant-file", str(file)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as serving:  # noqa: S603 - our own command
        try:
            # Its address is printed once it listens and the tenant file is written.
            if not any(line.startswith(b"tenant ") for line in serving.stdout or ()):
                raise RuntimeError("the embedded tenant did not start")
            yield file
        finally:
            serving.terminate()


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds of CPU, user and system together, and the most memory that it had."""

    cpu_s: float
    peak_mb: float


LAUNCHER = """
import json, os, sys
null = os.open(os.devnull, os.O_WRONLY)
quiet = [(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
pid = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ, file_actions=quiet)
print(pid, flush=True)
used = os.wait4(pid, 0)[2]
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
"""Starts Python from a small process: the memory of a process counts as that of what it starts, too."""


def cost_of(words: Sequence[str], until: Callable[[], object] | None = None) -> Cost:
    """What Python takes to run these words: to its end, or until that function returns."""
    line = [sys.executable, "-c", LAUNCHER, *words]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as launcher:  # noqa: S603 - our own command
        lines = iter(launcher.stdout or ())
        pid = int(next(lines))
        if until is not None:
            try:
                until()
            finally:
                os.kill(pid, signal.SIGKILL)
        return Cost(*json.loads(next(lines)))


def cost_of_run(file: Path, reports: Path, until: Callable[[], object] | None = None) -> Cost:
    """What a run of all runbooks takes: to its end, or until that function returns."""
    cost = cost_of(["-m", "gt_conformance", "run", "--tenant", str(file), "--report-dir", str(reports)], until)
    if until is None and not (reports / "results.json").is_file():
        raise RuntimeError("the run left no record")
    return cost


LIBRARY = """
import json, os, sys, time
from pathlib import Path
from gt_conformance import plan, run
from gt_conformance.tenant import from_file
tenant = from_file(Path(sys.argv[1]), os.environ)
judging = []
for _ in range(int(sys.argv[3])):
    begun = time.process_time()
    record = run(plan(tenant))
    judging.append(time.process_time() - begun)
Path(sys.argv[2]).write_text(json.dumps([record["decision"], *judging]))
"""
"""The same without pytest, and without documents, for as many tenants; and what judging each of them took."""


def cost_of_library(file: Path, folder: Path, tenants: int = 1) -> tuple[Cost, Sequence[float]]:
    """What a program takes that does nothing but judge tenants; and the seconds of CPU of each ``plan`` and ``run``."""
    told = folder / "told.json"
    told.unlink(missing_ok=True)
    cost = cost_of(["-c", LIBRARY, str(file), str(told), str(tenants)])
    if not told.is_file():
        raise RuntimeError("the library came to no decision")
    _, *judging = json.loads(told.read_text())
    return cost, judging


def cost_of_one_more(file: Path, folder: Path) -> Cost:
    """What a program that has judged a tenant takes for one more."""
    cost, judging = cost_of_library(file, folder, 2)
    return Cost(judging[-1], cost.peak_mb)


def cost_to_first_request(file: Path, folder: Path) -> Cost:
    """The same from its start to its first request: it finds a listener in the tenant's place, and is killed there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        document = json.loads(file.read_text())
        document["base_url"] = f"http://127.0.0.1:{listener.getsockname()[1]}/api/tenant"
        copy = file.with_name("listener.yaml")
        copy.write_text(json.dumps(document))
        return cost_of_run(copy, folder / "first", until=listener.accept)


YARDSTICK = """
import asyncio, httpx, sys
url, key, model, count = *sys.argv[1:4], int(sys.argv[4])
chat = {"model": model, "messages": [{"role": "user", "content": "Hello."}]}
async def send(client):
    (await client.post(url + "/v1/chat/completions", json=chat)).raise_for_status()
async def main():
    async with httpx.AsyncClient(headers={"Authorization": "Bearer " + key}, trust_env=False) as client:
        for _ in range(0, count, 8):
            await asyncio.gather(*(send(client) for _ in range(8)))
asyncio.run(main())
"""
"""Chats by httpx alone, eight at a time, of which nothing is judged: how fast this machine is."""


def cost_of_httpx(file: Path, count: int) -> Cost:
    """What a program takes that does nothing but send so many chats."""
    tenant = tenants.from_file(file, os.environ)
    key = next(one for one in tenant.live_credentials if one.may(Route.CHAT))
    secret, model = tenant.secrets()[key.name].reveal(), min(key.models or {tenant.model(Modality.CHAT)})
    return cost_of(["-c", YARDSTICK, tenant.base_url, secret, model, str(count)])


def cost_of_pytest(folder: Path, count: int) -> Cost:
    """What pytest takes for so many tests that do nothing, with the reporters of a run."""
    tests = folder / "test_nothing.py"
    tests.write_text(f"import pytest\n@pytest.mark.parametrize('one', range({count}))\ndef test(one): pass\n")
    (folder / "nothing.ini").write_text("[pytest]\n")
    reports = [f"--alluredir={folder / 'allure'}", f"--html={folder / 'nothing.html'}", "--self-contained-html"]
    plain = ["-c", str(folder / "nothing.ini"), "--assert=plain", "-p", "no:hypothesispytest", "-p", "no:xdist"]
    return cost_of(["-m", "pytest", *plain, *reports, str(tests)])


def measure_cpu(folder: Path) -> Iterator[str]:
    """What a run of all runbooks on a tenant elsewhere costs this machine, and what its libraries do by themselves."""
    with served_tenant(folder) as file:
        yield describe_cost("run --tenant, to its first request", lambda: cost_to_first_request(file, folder))
        yield describe_cost("run --tenant (everything)", lambda: cost_of_run(file, folder / "whole"))
        yield describe_cost("the library: a program for one tenant", lambda: cost_of_library(file, folder)[0])
        yield describe_cost("the library: one more tenant in it", lambda: cost_of_one_more(file, folder))
        record = json.loads((folder / "whole" / "results.json").read_text())
        requests, cases = len(record["exchanges"]), sum(record["totals"].values())
        yield describe_cost(f"httpx alone: {requests} chats", lambda: cost_of_httpx(file, requests))
        yield describe_cost(f"pytest alone: {cases} empty tests, reports", lambda: cost_of_pytest(folder, cases))


def describe_cost(name: str, cost: Callable[[], Cost]) -> str:
    """One line about what a process takes of this machine."""
    costs = [cost() for _ in range(TIMES)]
    seconds = [one.cpu_s for one in costs]
    peak = min(one.peak_mb for one in costs)
    middle = statistics.median(seconds)
    return f"CPU of {name:<40} {min(seconds):7.3f} s best {middle:7.3f} s median {peak:4.0f} MB"


LATENCIES_S = (0.05, 0.2, 1.0)
CONNECTIONS = (8, 32)
MOST_OF_BOUND, OVERHEAD_S = 1.3, 2.0
"""How long a run may take: so many times what is least possible, and so many seconds more."""


def measure_latency() -> Iterator[str]:
    """A run of everything where each answer comes late, beside its bound and the same requests one by one."""
    header = ("latency", "connections", "requests", "chain", "bound", "allowed", "run", "run/bound", "one by one")
    yield "  ".join(f"{word:>11}" for word in header)
    for latency_s in LATENCIES_S:
        with EmbeddedTenant(middleware=(delay(latency_s, is_any),)) as running:
            for connections in CONNECTIONS:
                document = running.tenant_document()
                document = {**document, "limits": {"concurrency": connections, "requests_per_minute": 60_000}}
                tenant = tenants.from_mapping(document, running.secrets, kind=TenantKind.EMBEDDED, name="the bench")
                yield _describe_run(tenant, latency_s)


def _describe_run(tenant: Tenant, latency_s: float) -> str:
    """One row of the table."""
    plan = session.plan(tenant, load_directory(resources.runbooks_dir()))
    cost = session.rehearse(plan)
    with session.Session(plan) as judging:
        started = time.perf_counter()
        for call in plan.distinct:
            judging.result(call)
        took_s = time.perf_counter() - started
        sent = len(judging.exchanges)
    bound_s = max(sent * latency_s / tenant.limits.concurrency, cost.longest_chain * latency_s)
    cells = (
        f"{latency_s * 1000:.0f} ms",
        tenant.limits.concurrency,
        sent,
        cost.longest_chain,
        f"{bound_s:.1f} s",
        f"{MOST_OF_BOUND * bound_s + OVERHEAD_S:.1f} s",
        f"{took_s:.1f} s",
        f"{took_s / bound_s:.2f}",
        f"{sent * latency_s:.0f} s",
    )
    return "  ".join(f"{cell:>11}" for cell in cells)


# -- compliance.html

TEN_FAULTS = (
    "embeddings-of-two-lengths",
    "speech-not-audio",
    "images-no-image",
    "transcription-without-text",
    "stream-usage-refused",
    "file-alias-is-stale",
    "datasets-open-to-all-keys",
    "unpublished-alias-works",
    "retired-secrets-embed",
    "key-echoed",
)
MANY = 1_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Limits:
    """What a document may weigh and take: bytes, printed pages, stops of the Tab key, milliseconds."""

    size: int
    pages: int | None = 60
    summary: int | None = 2
    stops: int | None = 120
    load_ms: int | None = 1_000
    key_ms: int | None = 100


WHOLE = Limits(1_200_000)
LARGE = Limits(5_000_000, None, None, None, None, None)
_STOPS = """() => {
  const first = document.querySelector("section.runbook");
  return [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")].filter(one =>
    one.tabIndex >= 0 && one.checkVisibility() && (one.compareDocumentPosition(first) & 4)).length;
}"""
_KEY = """() => {
  const field = document.querySelector("[data-filter=text]"), times = [];
  for (const value of ["d", "di", "dif", "dify", ""]) {
    field.value = value;
    const begun = performance.now();
    field.dispatchEvent(new Event("input"));
    document.body.offsetHeight;
    times.push(performance.now() - begun);
  }
  return Math.max(...times);
}"""


def multiply(record: results.Record, number: int) -> results.Record:
    """The record with so many runbooks, each a copy of one of its own."""
    books = []
    for count in range(number):
        book = copy.deepcopy(record["runbooks"][count % len(record["runbooks"])])
        name, book["id"] = book["id"], f"{book['id']}-{count}"
        for part in (*book["routes"], *book["checklist"]):
            part["id"] = part["id"].replace(name, book["id"], 1)
        books.append(book)
    return {**record, "runbooks": books}


def measure_page(folder: Path) -> Iterator[str]:
    """The sizes, pages and times of compliance.html, beside what they may be."""
    command("run", "--report-dir", str(folder / "whole"))()
    with_faults = [word for name in TEN_FAULTS for word in ("--fault", name)]
    words = [sys.executable, "-m", "gt_conformance", "run", "--report-dir", str(folder / "ten"), *with_faults]
    subprocess.run(words, check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command; it ends with 1
    whole, ten = (results.read(folder / name / "results.json") for name in ("whole", "ten"))
    documents = {
        "a whole run": (whole, WHOLE),
        f"a whole run with {len(ten['findings'])} findings": (ten, WHOLE),
        f"{MANY} runbooks": (multiply(whole, MANY), LARGE),
    }
    header = ("bytes", "pages", "summary", "stops", "load ms", "key ms")
    yield f"{'compliance.html of':<32}" + "".join(f"{word:>20}" for word in header)
    path = next((found for found in map(shutil.which, BROWSERS) if found), None)
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to run its sandbox as root
        browser = playwright.chromium.launch(executable_path=path, args=sandbox)
        for name, (record, limits) in documents.items():
            file = folder / "page.html"
            file.write_text(render_html(record), encoding="utf-8")
            yield f"{name:<32}" + "".join(f"{cell:>20}" for cell in _page_cells(browser, file, limits))
        browser.close()


def _page_cells(browser: Browser, file: Path, limits: Limits) -> Iterator[str]:
    def cell(found: float, most: int | None) -> str:
        if most is None:
            return "-"
        return f"{found:,.0f} of {most:,}{'' if found <= most else ' (!)'}"

    yield cell(file.stat().st_size, limits.size)
    if limits.pages is None:
        return
    page = browser.new_page()
    page.goto(file.as_uri())
    loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    stops, key_ms = page.evaluate(_STOPS), page.evaluate(_KEY)
    pages = len(PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True))).pages)
    page.goto(f"{file.as_uri()}#summary")
    summary = len(PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True))).pages)
    page.close()
    yield cell(pages, limits.pages)
    yield cell(summary, limits.summary)
    yield cell(stops, limits.stops)
    yield cell(loaded, limits.load_ms)
    yield cell(key_ms, limits.key_ms)


# -- the report of a fleet


@dataclass(frozen=True)
class Fleet:
    """A fleet that is generated, and what its table and its report may take."""

    tenants: int
    nights: int
    page: int
    seconds: float
    memory_mb: int | None
    bytes_a_tenant: int = 2_000
    usable_ms: int = 2_000


FLEETS = (Fleet(10_000, 14, 3_000_000, 20, 500), Fleet(100_000, 3, 5_000_000, 180, None))
_FILTER = """() => {
  const begun = performance.now();
  for (const value of ["t", "te", "tenant-0001", ""]) {
    document.querySelector("[data-filter=text]").value = value;
    document.querySelector("[data-filter=text]").dispatchEvent(new Event("input"));
    document.body.offsetHeight;
  }
  return performance.now() - begun;
}"""


def measure_fleet(folder: Path) -> Iterator[str]:
    """What the outcomes of a fleet weigh, and what its report takes, each beside its limit."""
    generator = str(Path(__file__).with_name("outcomes.py"))
    header = ("bytes a tenant", "seconds", "memory MB", "page bytes", "usable after ms")
    yield f"{'fleet report --history of':<32}" + "".join(f"{word:>24}" for word in header)
    for fleet in FLEETS:
        home, out = folder / f"fleet-{fleet.tenants}", folder / f"report-{fleet.tenants}"
        words = [sys.executable, generator, str(home), str(fleet.tenants), str(fleet.nights)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own script
        size = sum(path.stat().st_size for path in home.rglob("*.parquet"))
        begun = time.perf_counter()
        cost = cost_of(["-m", "gt_conformance", "fleet", "report", str(home), "--history", "--out", str(out)])
        took_s = time.perf_counter() - begun
        cells = (
            _beside(size / fleet.tenants / fleet.nights, fleet.bytes_a_tenant),
            _beside(took_s, fleet.seconds),
            _beside(cost.peak_mb, fleet.memory_mb),
            _beside((out / "fleet.html").stat().st_size, fleet.page),
            _beside(_usable_after_ms(out / "fleet.html"), fleet.usable_ms),
        )
        name = f"{fleet.tenants:,} tenants, {fleet.nights} nights"
        yield f"{name:<32}" + "".join(f"{cell:>24}" for cell in cells)
        shutil.rmtree(home)


def _beside(found: float, most: float | None) -> str:
    if most is None:
        return f"{found:,.0f}"
    return f"{found:,.0f} of {most:,.0f}{'' if found <= most else ' (!)'}"


def _usable_after_ms(page: Path) -> float:
    """Until the page is loaded and its list was filtered some times."""
    path = next((found for found in map(shutil.which, BROWSERS) if found), None)
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to run its sandbox as root
        browser = playwright.chromium.launch(executable_path=path, args=sandbox)
        opened = browser.new_page()
        opened.goto(page.as_uri())
        loaded: float = opened.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        filtered: float = opened.evaluate(_FILTER)
        browser.close()
    return loaded + filtered


def measure_everything(folder: Path) -> Iterator[str]:
    """All of it, one after the other."""
    yield from measure_cpu(folder)
    yield from measure_latency()
    reports = str(folder / "reports")
    lines: dict[str, Callable[[], object]] = {
        "gt-conformance --version": command("--version"),
        "gt-conformance explain": command("explain"),
        "load the bundled runbooks": lambda: load_directory(resources.runbooks_dir()),
        "start and stop the embedded tenant": start_tenant,
        "gt-conformance run --runbook dify": command("run", "--runbook", "dify", "--report-dir", reports),
        "gt-conformance run (everything, embedded)": command("run", "--report-dir", reports),
    }
    for name, work in lines.items():
        yield measure(name, work)
    record = results.read(Path(reports) / "results.json")
    yield measure("render compliance.html of that run", lambda: render_html(record))
    yield from measure_page(folder)
    yield from measure_fleet(folder)
    traffic = record["traffic"]
    yield f"requests of that run: {traffic['requests']}, tokens: {traffic['tokens']}"


def _measure_latency_too(folder: Path) -> Iterator[str]:
    yield from measure_cpu(folder)
    yield from measure_latency()


PARTS: dict[str, Callable[[Path], Iterator[str]]] = {
    "--cpu": measure_cpu,
    "--latency": _measure_latency_too,
    "--page": measure_page,
    "--fleet": measure_fleet,
}
"""What is measured alone, by the option that asks for it."""


def main() -> None:
    """Measure and print."""
    work = PARTS.get(" ".join(sys.argv[1:]), measure_everything)
    with tempfile.TemporaryDirectory() as folder:
        for line in work(Path(folder)):
            print(line, flush=True)  # noqa: T201 - what a benchmark is for


if __name__ == "__main__":
    main()
