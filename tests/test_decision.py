"""The decision in words: the same sentence in every document, and never a GO that the exit code denies."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET  # reports of our own making

import pytest

from gt_conformance import results
from gt_conformance.report import decision_line, last_line, render_html, render_markdown, summary_lines
from gt_conformance.results import EXIT_CODES, Record
from gt_conformance.vocabulary import Decision
from gt_sandbox import MARK, EmbeddedTenant
from tests.commands import run
from tests.made_records import PARTS, book, check, record, refused

AT = "https://acme.example/api/tenant"
EMBEDDED = {"kind": "embedded", "base_url": "http://127.0.0.1:40001/api/tenant"}
BAD = {"chat": [check("violates", severity="high")]}
RECORDS: dict[str, tuple[Record, str]] = {
    "everything conforms": (record(book()), f"GO: Dify works with {AT} as its runbook says."),
    "of several runbooks": (record(book(), book("n8n")), "GO: all 2 runbooks work with"),
    "of the embedded tenant": (record(book(), tenant=EMBEDDED), "GO (EMBEDDED): Dify works with the embedded tenant"),
    "something is waived": (
        record(book(parts={"chat": [check("waived")]})),
        (
            f"GO WITH EXCEPTIONS: Dify works with {AT} as its runbook says, apart from "
            "W1 chat.completes (owner A. Example, until 2027-01-31)."
        ),
    ),
    "something violates": (
        record(book(parts=BAD)),
        (
            f"NO-GO: Dify with {AT}: V1 chat.completes fails (medium): A chat is completed. "
            "The platform (tenant) has to act."
        ),
    ),
    "one of three violates": (record(book(parts=BAD), book("n8n"), book("aider")), "NO-GO: 1 of 3 runbooks with"),
    "a waiver has to go": (
        record(book(), waiver_problems=["w.yaml:3: it expired."]),
        f"NO-GO: Dify with {AT}: a waiver must be removed: w.yaml:3",
    ),
    "something is blocked": (
        record(book(parts={"chat": [check("blocked", remedy="Add a key.")]})),
        f"NOT DECIDED: Dify with {AT}: nothing violates, but 1 row could not be tested. First B1: Fix it.",
    ),
    "nobody attested": (
        record(book(parts={"item-1": [check("unattested")]})),
        f"NOT DECIDED: Dify with {AT}: nothing violates, but 1 item needs an attestation.",
    ),
    "a part was selected": (
        record(book(only=PARTS[:1])),
        f"PARTIAL: Dify with {AT}: what was selected conforms: 1 row, 0 items",
    ),
    "no runbook was selected": (
        record(tenant_checks=[check(name="key.required")]),
        f"PARTIAL: the tenant's boundary with {AT}: what was selected conforms",
    ),
    "it was interrupted": (
        record(book(), run={"interrupted": "SIGTERM"}),
        f"NOT DECIDED: Dify with {AT}: nothing violates, but the run was interrupted by SIGTERM.",
    ),
    "nobody answers": (refused(record(book())), "UNREACHABLE: nobody answers at the tenant. Check the address."),
    "the suite failed": (
        record(book(parts=BAD), suite_errors=["Traceback\nValueError: odd"]),
        f"NOT DECIDED: Dify with {AT}: the suite itself failed.",
    ),
}


@pytest.mark.parametrize("name", RECORDS)
def test_one_sentence_is_in_every_document(name: str) -> None:
    """The line says what was decided, of what, and why; page and summary begin with it."""
    value, wanted = RECORDS[name]
    line = decision_line(value)
    assert line.startswith(wanted)
    word = line.partition(":")[0]
    assert f'{word}</span> <span class="answer">' in render_html(value)
    assert f"{word}: GT API conformance" in render_markdown(value).splitlines()[0]
    assert value["suite_errors"] or last_line(value).text == line


@pytest.mark.parametrize("name", RECORDS)
def test_go_is_said_if_and_only_if_the_exit_code_is_0(name: str) -> None:
    """And a part is never called GO."""
    value, _ = RECORDS[name]
    line, found = last_line(value).text, Decision(value["decision"])
    assert line.startswith(found.value)
    assert (found in {Decision.GO, Decision.GO_WITH_EXCEPTIONS, Decision.PARTIAL}) == (results.exit_code(value) == 0)
    assert EXIT_CODES[Decision.PARTIAL] == 0
    assert (found is Decision.PARTIAL) == (" part" in name or "no runbook" in name)


def test_an_interrupted_run_says_so_first() -> None:
    """In its first line, whatever else was found."""
    value = record(book(parts=BAD), run={"interrupted": "SIGTERM"})
    assert summary_lines(value)[0].text.startswith("Interrupted by SIGTERM.")
    assert render_markdown(value).startswith("# Interrupted by SIGTERM. NO-GO: ")
    page = render_html(value)
    assert page.index("Interrupted by SIGTERM.") < page.index("<h1")


# -- a served sandbox


@pytest.mark.parametrize("marked", [True, False])
def test_a_served_sandbox_is_embedded_wherever_it_is_met(marked: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    """Its answers carry a mark by which the record, the last line and every reporter know it; a tenant has none."""
    with EmbeddedTenant(marked=marked) as running:
        given = {"GT_BASE_URL": running.base_url, "GT_API_KEY": running.secrets["GT_EMBEDDED_CHAT"]}
        env = {**given, "GT_MODEL": "field-analyst"}
        done = run("--runbook", "dify", "--route", "models", cwd=tmp_path, env=env)
    kind = "embedded" if marked else "live"
    assert done.record["run"]["tenant"]["kind"] == kind
    headers = [item["response"]["headers"] for item in done.record["exchanges"].values() if item["response"]]
    assert all(any(name == MARK.lower() for name, _ in some) is marked for some in headers)
    suite = ET.parse(done.folder / "junit.xml").getroot()  # noqa: S314 - of our own making
    properties = {item.get("name"): item.get("value") for item in suite.iter("property")}
    environment = (done.folder / "allure-results" / "environment.properties").read_text("utf-8")
    badge = json.loads((done.folder / "badge.json").read_text("utf-8"))
    last = done.stdout.splitlines()[-1]
    word = last.partition(":")[0]
    assert ("(EMBEDDED)" in word) is marked
    assert properties["decision"] == word
    assert f"decision = {word}" in environment
    assert badge["message"].startswith(word)
    assert "green" not in badge["color"]
