"""A full run against the embedded tenant: what it finds, what it costs, and what it writes."""

import base64
import hashlib
import html
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET  # reports of our own making

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gt_conformance import resources
from gt_conformance.checks import TENANT_CHECKS
from gt_conformance.runbook import Runbook, load_directory
from gt_conformance.vocabulary import CHECKLIST_LENGTH, Route
from gt_sandbox.middleware import MiddlewareFactory, Request, read_body, replay_body
from tests import counts, shared_runs
from tests.commands import Finished, ahead, command, repeated, run, tenant
from tests.scripted import BOOKS

SAMPLE = "dify-chat-native"
ROWS = len(BOOKS) * len(Route)
SPINE = [f"suites/test_{name}.py" for name in ("routes", "runbooks", "tenant")]
MOST_REQUESTS = 410
"""For rows and tenant checks: 250, and what two keys cost that belong to one runbook each, for its checklist."""
_FETCHED = re.compile(r"<(?:script|link|img|iframe|source|object)\b[^>]*\b(?:src|href|data)\s*=\s*[\"']?([^\"'> ]+)")
_BOUNDARY = re.compile(rb"boundary=([^;]+)")


@dataclass(frozen=True)
class Heard:
    """A request as the tenant got it, and the status that it gave."""

    asked: Request
    body: str
    status: int

    @property
    def same(self) -> tuple[str, ...]:
        """What two requests that ask for the same have in common; gateways decide by the name of a client as well."""
        named = ("authorization", "x-gt-conversation-id", "origin", "user-agent")
        return (self.asked.method, self.asked.path, self.body, *(self.asked.header(name) for name in named))


def listening(heard: list[Heard]) -> MiddlewareFactory:
    """Note every request with its body and status, and change nothing."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            body = await read_body(receive)
            kind = dict(scope["headers"]).get(b"content-type", b"")
            boundary = _BOUNDARY.search(kind)
            plain = body.replace(boundary.group(1), b"-") if boundary else body

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    digest = hashlib.sha256(plain).hexdigest()
                    heard.append(Heard(Request.of(scope), digest, message["status"]))
                await send(message)

            await app(scope, replay_body(body, receive), noted)

        return edged

    return lambda _: edge


@dataclass(frozen=True)
class Told:
    """A run by a tenant file, with what the tenant itself saw of it and the secrets that it had."""

    run: Finished
    heard: Sequence[Heard]
    secrets: Sequence[str]


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Told]]:
    """Two runs: ``embedded``, of everything, and ``told``, of rows and tenant checks, against a tenant made here."""

    def work(kind: str) -> Told:
        if kind == "embedded":
            return Told(shared_runs.conforming(tmp_path_factory), (), ())
        folder = tmp_path_factory.mktemp(kind)
        heard: list[Heard] = []
        with tenant(folder, listening(heard)) as (running, path):
            done = run("--tenant", path, "--", *SPINE, cwd=folder)
            return Told(done, heard, tuple(running.secrets.values()))

    with ahead(request, "kind", work) as result:
        yield result


@pytest.fixture
def embedded(runs: Callable[[str], Told], kind: str) -> Finished:
    """The run that started its own tenant."""
    return runs(kind).run


@pytest.fixture
def told(runs: Callable[[str], Told], kind: str) -> Told:
    """The run against the tenant of this process."""
    return runs(kind)


@pytest.fixture(scope="module")
def runbooks() -> Sequence[Runbook]:
    """The runbooks that come with the suite."""
    return load_directory(resources.runbooks_dir())


of_the_embedded = pytest.mark.parametrize("kind", ["embedded"])
of_the_told = pytest.mark.parametrize("kind", ["told"])
of_both = pytest.mark.parametrize("kind", ["embedded", "told"])


@of_both
def test_everything_conforms(told: Told) -> None:
    """All rows and tenant checks conform, and the exit code says so."""
    assert told.run.code == 0
    assert Counter(told.run.outcomes.values()) == {"conforms": ROWS + len(TENANT_CHECKS)}
    assert told.run.record["suite_errors"] == []


@of_both
def test_every_planned_row_stands_in_the_record_once(told: Told, runbooks: Sequence[Runbook]) -> None:
    """results.json is valid and holds each row of each runbook once, in the files' order, and each tenant check."""
    books = told.run.record["runbooks"]
    assert [book["id"] for book in books] == [book.id for book in runbooks]
    listed = [row["id"] for book in books for row in book["routes"]]
    assert listed == [row.id for book in runbooks for row in book.rows]
    assert not repeated(check["id"] for check in told.run.record["tenant_checks"])


@of_both
def test_it_says_what_it_cost(told: Told) -> None:
    """A full run prints its time and its requests."""
    record = told.run.record
    assert sum(record["traffic"]["by_route"].values()) == told.run.requests
    assert f"{told.run.requests} requests" in told.run.said
    assert f"{record['run']['duration_s']:.1f} s" in told.run.said


@of_the_told
def test_it_is_frugal(told: Told) -> None:
    """All rows and tenant checks take few requests: many rows share what was asked once.

    Polls of a file are left out: a busy machine makes more of them.
    """
    assert len([heard for heard in told.heard if "/v1/files/" not in heard.asked.path]) <= MOST_REQUESTS


@of_the_told
def test_the_tenant_counts_as_many_requests(told: Told) -> None:
    """What the record says was sent is what arrived."""
    assert len(told.heard) == told.run.requests


@of_the_told
def test_nothing_is_asked_twice(told: Told) -> None:
    """No accepted request is sent again but polls of a file, and those that ask whether an answer is still the same."""
    accepted = [heard for heard in told.heard if 200 <= heard.status < 300 and "/v1/files/" not in heard.asked.path]
    again = {(same[0], same[1].removeprefix("/api/tenant"), n) for same, n in _counted(accepted) if n > 1}
    # The list is asked for again after a client's discovery, after a revocation and after the last refusal; one text is
    # embedded again; what is planted by other keys has a conversation of its own.
    lists = {("GET", "/v1/models", times) for times in (2, 3, 4)}
    assert again <= {*lists, ("POST", "/v1/embeddings", 2), ("POST", "/v1/conversations", 2)}


def _counted(heard: Sequence[Heard]) -> Sequence[tuple[tuple[str, ...], int]]:
    return list(Counter(item.same for item in heard).items())


@of_the_told
def test_two_images_are_drawn(told: Told) -> None:
    """Images cost most: a whole run draws one without any field, and one with the fields that SDKs send."""
    drawn = [h for h in told.heard if h.asked.path.endswith("/images/generations") and h.status == 200]
    assert len({image.body for image in drawn}) == len(drawn) == 2


@of_the_told
def test_no_secret_is_written_or_printed(told: Told) -> None:
    """No file of the report directory, nor the terminal, holds a secret: as it is, for a URL, or in base64."""
    files = [path for path in told.run.folder.rglob("*") if path.is_file()]
    assert len(files) > ROWS  # allure's results alone
    texts = {path.name: path.read_text(encoding="utf-8", errors="replace") for path in files}
    texts |= {"stdout": told.run.stdout, "stderr": told.run.stderr}
    forms = {form for secret in told.secrets for form in _forms(secret)}
    assert len(forms) > 4 * 8
    assert [name for name, text in texts.items() if any(form in text for form in forms)] == []


def _forms(secret: str) -> set[str]:
    raw, basic = secret.encode(), f"{secret}:".encode()
    encoded = {base64.b64encode(raw), base64.urlsafe_b64encode(raw), base64.b64encode(basic)}
    bare = {secret, secret.removeprefix("gtak_"), quote(secret, safe="")}
    return bare | {form.decode().rstrip("=") for form in encoded}


@of_the_embedded
def test_every_output_says_that_the_tenant_is_embedded(embedded: Finished) -> None:
    """Who sees any one output cannot take the run for evidence about a tenant."""
    assert "EMBEDDED" in embedded.stdout.splitlines()[0]
    assert "EMBEDDED" in embedded.stdout.splitlines()[-1]
    assert embedded.record["run"]["tenant"]["kind"] == "embedded"
    for name in ("compliance.html", "pytest.html", "junit.xml"):
        assert "EMBEDDED" in (embedded.folder / name).read_text(encoding="utf-8"), name
    assert {"name": "tag", "value": "EMBEDDED"} in _allure(embedded)[SAMPLE]["labels"]


@of_the_told
def test_no_output_about_a_tenant_says_embedded(told: Told) -> None:
    """A run by a tenant file is evidence about that tenant, and names it."""
    assert "EMBEDDED" not in told.run.said
    assert told.run.record["run"]["tenant"]["kind"] == "live"
    address = told.run.record["run"]["tenant"]["base_url"]
    for name in ("compliance.html", "pytest.html", "junit.xml"):
        text = (told.run.folder / name).read_text(encoding="utf-8")
        shown = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
        assert "EMBEDDED" not in shown, name
        assert address in text, name


@of_the_embedded
def test_junit_holds_every_case(embedded: Finished) -> None:
    """junit.xml has a case a row, a tenant check and a runbook file, and none has failed."""
    suite = _junit(embedded)
    modules = Counter(case.get("classname") for case in suite.iter("testcase"))
    assert modules["suites.test_routes"] == ROWS
    assert modules["suites.test_tenant"] == len(TENANT_CHECKS)
    assert modules["suites.test_runbooks"] == len(BOOKS)
    assert [suite.get(name) for name in ("errors", "failures", "skipped")] == ["0", "0", "0"]
    assert suite.get("tests") == str(sum(modules.values()))


@of_the_embedded
def test_junit_tells_rows_by_properties(embedded: Finished) -> None:
    """Each row's case carries runbook, route, verdict and outcome, and together they are its name."""
    for case in _junit(embedded).iter("testcase"):
        given_properties = {item.get("name"): item.get("value") for item in case.iter("property")}
        if case.get("classname") == "suites.test_routes":
            row = "-".join(str(given_properties[name]) for name in ("runbook", "route", "verdict"))
            assert case.get("name") == f"test_route[{row}]"
            assert given_properties["outcome"] == "conforms"


def _junit(found: Finished) -> ET.Element:
    suite = ET.parse(found.folder / "junit.xml").getroot().find("testsuite")  # noqa: S314 - made by this very run
    assert suite is not None
    return suite


@of_the_embedded
def test_allure_tells_rows_by_labels(embedded: Finished, runbooks: Sequence[Runbook]) -> None:
    """Each row's result has a title, category, client, route and severity, and links to the client's docs."""
    found = _allure(embedded)
    for book in runbooks:
        for row in book.rows:
            result = found[row.id]
            labels = {(label["name"], label["value"]) for label in result["labels"]}
            severity = "normal" if row.verdict.value == "gt_extension" else "critical"
            wanted = {"epic": book.category, "feature": book.title, "story": row.route.title, "severity": severity}
            assert set(wanted.items()) <= labels
            assert [link["url"] for link in result["links"]] == list(book.docs)
            assert result["status"] == "passed"
            assert result["name"] == f"{book.title}: {row.route.title} is {row.verdict.value}"


@of_the_embedded
def test_allure_holds_one_file_a_result(embedded: Finished) -> None:
    """What conforms has one file in allure's folder: its exchanges are in results.json, and no fixture has a file."""
    files = {path.name for path in (embedded.folder / "allure-results").iterdir()}
    about = {"environment.properties", "executor.json", "categories.json"}
    assert about < files
    files -= about
    assert all(name.endswith("-result.json") for name in files)
    assert len(_allure(embedded)) <= len(files)


def _allure(found: Finished) -> dict[str, Any]:
    results = [json.loads(path.read_text("utf-8")) for path in found.folder.glob("allure-results/*-result.json")]
    rows = [result for result in results if {"name": "gt_kind", "value": "row"} in result["labels"]]
    named = {label["value"]: result for result in rows for label in result["labels"] if label["name"] == "gt_id"}
    assert len(named) == len(rows) == ROWS
    return named


@of_the_embedded
def test_pytest_html_has_the_four_columns(embedded: Finished) -> None:
    """pytest.html shows runbook, route, verdict and outcome of each item, under headings of their own."""
    page = (embedded.folder / "pytest.html").read_text(encoding="utf-8")
    blob = re.search(r'data-jsonblob="([^"]*)"', page)
    assert blob is not None
    results = json.loads(html.unescape(blob.group(1)))["tests"][f"suites/test_routes.py::test_route[{SAMPLE}]"]
    cells = [re.sub("<[^>]+>", "", cell) for cell in results[0]["resultsTableRow"]]
    headings = re.findall(r'<th class="sortable"[^>]*>([^<]*)</th>', page)
    assert headings == ["Result", "Test", "Runbook", "Route", "Verdict", "Outcome", "Duration"]
    assert cells[2:6] == ["dify", "chat", "native", "conforms"]
    assert len(cells) == len(headings)


@of_the_embedded
@pytest.mark.parametrize("name", ["pytest.html", "compliance.html"])
def test_a_page_stands_alone(embedded: Finished, name: str) -> None:
    """Nothing is fetched when the page is opened: no script, style, picture or font from elsewhere."""
    page = (embedded.folder / name).read_text(encoding="utf-8")
    fetched = _FETCHED.findall(page)
    assert [address for address in fetched if not address.startswith("data:")] == []
    assert "@import" not in page


@of_the_embedded
def test_every_file_counts_alike(embedded: Finished) -> None:
    """The pages, the summary, JUnit, allure, metrics and badges tell the totals and the decision of results.json."""
    totals = embedded.record["totals"]
    assert totals["conforms"] == ROWS + len(BOOKS) * CHECKLIST_LENGTH + len(TENANT_CHECKS)
    told = counts.by_outcome(embedded.folder)
    assert told == dict.fromkeys(told, totals)
    wanted, found = counts.in_words_of_pytest(embedded.folder, totals)
    assert found == wanted
    assert counts.badges(embedded.folder) == counts.badges_wanted(embedded.record)
    assert counts.listed_by_pytest_html(embedded.folder) == totals["conforms"]
    decisions = counts.decisions(embedded.folder)
    assert decisions == dict.fromkeys(decisions, "GO (EMBEDDED)")


@of_the_embedded
def test_the_folder_holds_what_the_design_names(embedded: Finished) -> None:
    """Each report is there, and no half-written file beside it."""
    names = {path.name for path in embedded.folder.iterdir()}
    wanted = "results.json compliance.html summary.md badge.json badges pytest.html junit.xml allure-results "
    wanted += "results.intoto.json notify.txt metrics.prom traceability.csv junit-gitlab.xml"
    assert set(wanted.split()) <= names
    assert not {name for name in names if name.startswith(".")} - {".gt-conformance", ".pytest_cache"}


@of_the_embedded
def test_the_terminal_names_each_runbook_with_its_decision(embedded: Finished, runbooks: Sequence[Runbook]) -> None:
    """Each runbook is listed once below its decision, then come the totals and where the reports are."""
    heading, _, rest = embedded.stdout.partition("  GO: ")[2].partition("\n")
    items = CHECKLIST_LENGTH * len(runbooks)
    assert heading == f"{len(runbooks)} runbooks; {ROWS} of {ROWS} rows, {items} of {items} items conform"
    assert rest.partition("Tenant checks")[0].replace(",", " ").split() == [
        found["id"] for found in embedded.record["runbooks"]
    ]
    assert f"{ROWS} rows" in embedded.said
    assert str(embedded.folder) in embedded.said
    assert all(re.fullmatch(r"\d+/\d+ checks, \d+ requests", line) for line in embedded.stderr.splitlines())


def test_reports_go_where_they_are_wanted(tmp_path: Path) -> None:
    """Without --report-dir they go to reports/ below the folder where the command is called.

    This run is started as a user starts it, by a new interpreter; and it is the one that is measured.
    """
    done = command("run", "--runbook", "dify", cwd=tmp_path, measured=True)
    assert done.code == 0
    assert (tmp_path / "reports" / "results.json").is_file()
