"""The documents beside compliance.html: the message, the metrics, the traceability, GitLab's JUnit, the statement."""

import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from xmlschema import XMLSchema

from gt_conformance import resources, results
from gt_conformance.attestation import command
from gt_conformance.checks import BUILT_IN, clauses
from gt_conformance.dated_entries import normalise
from gt_conformance.report import render_markdown
from gt_conformance.report._clause_table import render_traceability
from gt_conformance.report._files import write_all
from gt_conformance.report._junit import render_junit
from gt_conformance.report._metrics import render_metrics
from gt_conformance.report._notify import LONGEST, render_notify
from gt_conformance.results import Record
from gt_conformance.runbook import load_directory
from gt_sandbox.faults import FAULTS
from tests.made_records import LIVE, book, check, record
from tests.records import HOSTILE, all_exchanges, of_every_outcome

SCHEMA = XMLSchema(Path(__file__).parent / "junit.xsd")
PROMTOOL = shutil.which("promtool")


@pytest.fixture(scope="module")
def mixed() -> Record:
    """A record in which each outcome occurs."""
    return of_every_outcome(record(book("dify"), book("n8n"), tenant_checks=[check(name="key.required")]))


# -- notify.txt


def test_the_message_says_who_has_to_act_and_where_the_report_is(mixed: Record) -> None:
    """Decision, findings by severity with who acts, what is untested, waivers with owner and end."""
    text = render_notify(mixed, "compliance.html")
    assert text.startswith("NOT DECIDED: ")
    for title in ("To fix: ", "Not tested: ", "Waived: "):
        assert title in text
    assert "has to act" in text
    assert "waived by A. Example until 2027-01-31" in text
    assert text.endswith("Report: compliance.html in the report directory\n")


@pytest.mark.parametrize("address", [LIVE, "HTTPS://WWW.acme.example:8443/api/tenant/"], ids=["usual", "odd"])
def test_the_command_that_attests_an_item_can_be_copied_from_the_message(address: str) -> None:
    """Wherever the message says the command it is whole, with the tenant's address; another address is no link."""
    dify = next(one for one in load_directory(resources.runbooks_dir()) if one.id == "dify")
    line = command(dify, 3, normalise(address))
    remedy = f"Look at it, then attest it: {line}"
    asked = check("unattested", "attestation", remedy=remedy, obstacles=[{"reason": "Nobody has.", "remedy": remedy}])
    page = render_notify(record(book("dify", {"item-3": [asked]}), tenant={"base_url": address}), "compliance.html")
    assert page.count(line) == 2  # in the decision, and where the item is listed
    remedy = f"gt-conformance run --tenant {normalise(address)}.hostile.example"
    asked |= {"remedy": remedy, "obstacles": [{"reason": "Nobody has.", "remedy": remedy}]}
    page = render_notify(record(book("dify", {"item-3": [asked]}), tenant={"base_url": address}), "compliance.html")
    assert "hostile.example" in page
    assert remedy not in page


@pytest.mark.parametrize("books", [1, 30])
def test_the_message_is_short(books: int) -> None:
    """However many findings there are, it holds 3 kB at most, and says how many lines are left out."""
    parts = {
        route: [check("violates", f"{route}.{n}", remedy=f"Fix {n} {'é' * 90}.") for n in range(20)]
        for route in ("chat", "models")
    }
    found = record(*(book(f"book-{number}", parts) for number in range(books)))
    text = render_notify(found, "compliance.html")
    assert len(text.encode()) <= LONGEST
    assert re.search(r"and \d+ more lines in the report", text)


@pytest.mark.parametrize("poison", [*HOSTILE, "mention"])
def test_the_message_holds_no_link_or_mention_of_others(mixed: Record, poison: str) -> None:
    """What a tenant or a file says becomes no link, mention or markup of Slack, Teams or a mail program."""
    text = {**HOSTILE, "mention": "<!channel> @here [x](https://hostile.example) <https://hostile.example|x>"}[poison]
    said = render_notify(all_exchanges(mixed, text), "compliance.html").replace("https://acme.example", "")
    assert not re.search(r"[<>@\[\]]|https?://|javascript:", said)
    assert len(said.encode()) <= LONGEST


# -- metrics.prom


_LABELS = r'\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*\}'
_SAMPLE = re.compile(rf"(?P<name>[a-z_]+){_LABELS} (?P<value>-?\d+(?:\.\d+)?(?:e[+-]\d+)?)")


def samples(text: str) -> Iterator[tuple[str, str]]:
    """The samples of a text in Prometheus's format, each after the help and the type of its metric."""
    described: set[str] = set()
    name = ""
    for line in text.splitlines():
        if match := re.fullmatch(r"# HELP ([a-z_]+) .+", line):
            name = match[1]
            assert name not in described, "the samples of a metric are together"
        elif line.startswith("# TYPE"):
            assert line == f"# TYPE {name} gauge"
            described.add(name)
        else:
            sample = _SAMPLE.fullmatch(line)
            assert sample is not None, line
            assert sample["name"] in described
            yield line.rpartition(" ")[0], sample["value"]


@pytest.mark.parametrize("poison", ["none", *HOSTILE])
def test_metrics_are_well_formed(mixed: Record, poison: str) -> None:
    """Whatever a label holds, each line is a sample of a metric that is described, and none is there twice."""
    found = mixed if poison == "none" else all_exchanges(mixed, HOSTILE[poison])
    read = list(samples(render_metrics(found)))
    assert len(dict(read)) == len(read)
    values = dict(read)
    assert sum(int(value) for name, value in values.items() if name.startswith("gt_conformance_cases{")) == sum(
        found["totals"][outcome] for outcome in results.run_types.OUTCOME_NAMES
    )


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_takes_the_metrics(mixed: Record) -> None:
    """Prometheus's own program finds nothing wrong with them."""
    done = subprocess.run(
        [str(PROMTOOL), "check", "metrics"], input=render_metrics(mixed).encode(), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


# -- traceability.csv


def rows(text: str) -> list[Mapping[str, str]]:
    """The lines of a CSV by their columns."""
    return list(csv.DictReader(io.StringIO(text)))


def test_each_clause_is_traced_to_checks_faults_and_an_exchange() -> None:
    """Clause, check, the faults that prove it, tonight's exchange; excluded clauses with the reason; coverage last."""
    found = rows(render_traceability(record(book(parts={"chat": [check("violates")]}))))
    named = [row for row in found if row["clause"] != "coverage"]
    assert {row["clause"] for row in named} == clauses().keys()
    for row in named:
        if row["check"]:
            assert row["claim"] == BUILT_IN[row["check"]].claim
            proving = row["faults that prove it"].split()
            assert all(FAULTS[fault].caught_by == row["check"] for fault in proving)
        else:
            assert row["reason"]
    tonight = {row["exchange"] for row in named if row["check"] == "chat.completes"}
    assert tonight == {"x0001"}
    shares = [int(row["says"].split()[0]) for row in found if row["clause"] == "coverage"]
    assert sum(shares) == len(clauses())


# -- junit-gitlab.xml


def test_gitlab_sees_a_violation_as_failed_and_a_block_as_skipped(mixed: Record) -> None:
    """GitLab takes an error for a failure: what was not tested is none, and its text says so first."""
    text = render_junit(mixed)
    assert [error.reason for error in SCHEMA.iter_errors(ET.fromstring(text))] == []  # noqa: S314 - it is ours
    seen = set()
    for case in ET.fromstring(text).iter("testcase"):  # noqa: S314 - it is ours
        properties = {item.get("name"): item.get("value") for item in case.iter("property")}
        outcome = str(properties["outcome"])
        seen.add(outcome)
        tags = [element.tag for element in case if element.tag != "properties"]
        assert tags == {"conforms": [], "violates": ["failure"]}.get(outcome, ["skipped"])
        if tags:
            assert str(case.findtext(tags[0])).startswith(f"{outcome}: ")
        if outcome == "waived":
            assert (properties["waiver.owner"], properties["waiver.expires"]) == ("A. Example", "2027-01-31")
    assert seen == set(results.run_types.OUTCOME_NAMES)


# -- results.intoto.json


RESULTS = {"GO": (record(book()), "PASSED"), "NO-GO": (record(book(parts={"chat": [check("violates")]})), "FAILED")}
RESULTS["WITH-EXCEPTIONS"] = (record(book(parts={"chat": [check("waived")]})), "WARNED")
RESULTS["BLOCKED"] = (record(book(parts={"chat": [check("blocked")]})), "FAILED")
RESULTS["EMBEDDED"] = (record(book(), tenant={"kind": "embedded"}), "WARNED")


@pytest.mark.parametrize("name", RESULTS)
def test_the_statement_is_about_the_file_beside_it(tmp_path: Path, name: str) -> None:
    """An in-toto statement: its subject is the digest of results.json, and passed is what a live tenant conforms in."""
    made, wanted = RESULTS[name]
    write_all(made, tmp_path)
    statement = json.loads((tmp_path / "results.intoto.json").read_text("utf-8"))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    digest = hashlib.sha256((tmp_path / "results.json").read_bytes()).hexdigest()
    assert [(one["name"], one["digest"]) for one in statement["subject"]] == [("results.json", {"sha256": digest})]
    predicate = statement["predicate"]
    assert predicate["result"] == wanted
    tests = [*predicate["passedTests"], *predicate["warnedTests"], *predicate["failedTests"]]
    assert sorted(tests) == sorted(case.id for case in results.cases(made))
    assert all(re.fullmatch(r"[0-9a-f]{64}", one["digest"]["sha256"]) for one in predicate["configuration"])


# -- several tenants


def test_the_summary_of_several_tenants_begins_with_an_overview() -> None:
    """A line for each, with its decision, its totals and who has to act first; then each in full."""
    other = record(
        book(parts={"chat": [check("violates")]}),
        run={"id": "b2"},
        tenant={"base_url": "https://other.example/api/tenant"},
    )
    text = render_markdown(record(book()), other)
    overview = text.partition("\n# ")[0]
    assert overview.startswith("# Overview of the tenants")
    assert overview.count("https://") == 2
    assert re.search(r"other\.example.*\*\*NO-GO\*\*.*chat\.completes.*the platform", overview)
