"""junit.xml and allure-results as other programs read them, of a run in which every outcome occurs."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from junitparser import Error, Failure, JUnitXml, Properties, Skipped, TestCase, TestSuite
from xmlschema import XMLSchema

from gt_conformance.exchange import ExchangeRecord
from gt_conformance.judgement import Judgement
from gt_conformance.pytest_plugin._reporters import AllureResults
from tests import hostile, shared_runs
from tests.commands import DEADLINE_S, Finished, environment
from tests.records import OUTCOMES

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ALLURE = HERE / "tools" / "node_modules" / ".bin" / "allure"
SCHEMA = XMLSchema(HERE / "junit.xsd")

IN_JUNIT = {"conforms": "passed", "violates": Failure, "blocked": Error, "unattested": Error, "waived": Skipped}
IN_ALLURE = {
    "conforms": "passed",
    "violates": "failed",
    "blocked": "broken",
    "unattested": "broken",
    "waived": "skipped",
}
"""A violation is an assertion, a block is not; a waived one is an expected failure, which neither counts as a pass."""

OF_ALL = {"kind", "id"}
WAIVER = {f"waiver.{name}" for name in ("reason", "owner", "issue", "expires")}
"""What of a case is waived; of one that is waived as a whole always."""
PROPERTIES = {
    "row": OF_ALL | {"runbook", "route", "verdict", "outcome", "tenant"},
    "item": OF_ALL | {"runbook", "outcome", "tenant"},
    "tenant": OF_ALL | {"outcome", "tenant"},
    "runbook": OF_ALL | {"runbook"},
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The run."""
    found = shared_runs.judged_hostile(tmp_path_factory)
    assert found.code == 1, found.said
    assert all(found.record["totals"][name] for name in OUTCOMES), "every outcome occurs in it"
    return found


@pytest.fixture(scope="module")
def outcomes(judged: Finished) -> Mapping[str, str]:
    """What results.json says of each row, item and tenant check, by id."""
    items = {item["id"]: item["outcome"] for book in judged.record["runbooks"] for item in book["checklist"]}
    found = judged.outcomes | items
    assert Counter(found.values()) == judged.record["totals"]
    return found


# -- JUnit


@dataclass(frozen=True)
class Case:
    """A case of junit.xml, as junitparser reads it."""

    properties: Mapping[str, str]
    results: tuple[object, ...]

    @property
    def verdict(self) -> object:
        """The class of its one verdict; ``passed`` where it has none."""
        assert len(self.results) <= 1
        return type(self.results[0]) if self.results else "passed"


@pytest.fixture(scope="module")
def suite(judged: Finished) -> TestSuite:
    """The one suite of junit.xml."""
    (suite,) = JUnitXml.fromfile(str(judged.folder / "junit.xml"))
    assert isinstance(suite, TestSuite)
    return suite


@pytest.fixture(scope="module")
def cases(suite: TestSuite) -> Mapping[str, Case]:
    """Its cases by id."""
    read = [_case(case) for case in suite]
    named = {case.properties["id"]: case for case in read}
    assert len(named) == len(read)
    return named


def _case(case: TestCase) -> Case:
    properties = {item.name: item.value for group in case.iterchildren(Properties) for item in group}
    return Case(properties, tuple(case.result))


def test_junit_holds_to_its_schema(judged: Finished) -> None:
    """Every element and attribute is one that the format names, whatever words a tenant sent."""
    assert [error.reason for error in SCHEMA.iter_errors(judged.folder / "junit.xml")] == []


@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        (r"(</?)failure\b", r"\1failed"),
        ("</failure>", "</failure><skipped message='' />"),
        ('<property name="kind"', '<property name="sort"'),
        (' errors="', ' blocked="'),
    ],
    ids=["an-unknown-element", "a-second-verdict", "an-unknown-property", "no-count-of-errors"],
)
def test_the_schema_can_be_broken(judged: Finished, pattern: str, instead: str) -> None:
    """The schema refuses what the format has not."""
    broken, changes = re.subn(pattern, instead, (judged.folder / "junit.xml").read_text(encoding="utf-8"))
    assert changes
    assert list(SCHEMA.iter_errors(broken))


def test_junit_gives_each_its_outcome(cases: Mapping[str, Case], outcomes: Mapping[str, str]) -> None:
    """Each row, item and tenant check is there: violated a failure, blocked an error, waived skipped."""
    told = {name: case for name, case in cases.items() if case.properties["kind"] != "runbook"}
    assert {name: case.properties["outcome"] for name, case in told.items()} == outcomes
    assert {name: case.verdict for name, case in told.items()} == {
        name: IN_JUNIT[outcome] for name, outcome in outcomes.items()
    }


def test_junit_counts_what_the_record_counts(judged: Finished, suite: TestSuite) -> None:
    """The suite's own counts are results.json's totals, and a passed case for each runbook file."""
    totals = judged.record["totals"]
    assert suite.failures == totals["violates"]
    assert suite.errors == totals["blocked"] + totals["unattested"]
    assert suite.skipped == totals["waived"]
    assert suite.tests == sum(totals[name] for name in OUTCOMES) + len(hostile.RUNBOOKS)


def test_junit_tells_by_properties_what_a_case_is(cases: Mapping[str, Case]) -> None:
    """Each kind of case carries the properties of its kind, all of them and no other."""
    assert {case.properties["kind"] for case in cases.values()} == PROPERTIES.keys()
    for case in cases.values():
        waiver = WAIVER if case.properties.get("outcome") == "waived" else set()
        found = {name for name in case.properties if name not in WAIVER or waiver}
        assert found == PROPERTIES[case.properties["kind"]] | waiver
    files = {case.properties["runbook"] for case in cases.values() if case.properties["kind"] == "runbook"}
    assert files == set(hostile.RUNBOOKS)


# -- allure


@dataclass(frozen=True)
class AllureReport:
    """What allure's own generator made of the results: its counts, and each result by our id."""

    counts: Mapping[str, int]
    results: Mapping[str, Mapping[str, Any]]

    def label(self, name: str, label: str) -> str:
        """The one label of that name that a result has."""
        (value,) = (item["value"] for item in self.results[name]["labels"] if item["name"] == label)
        return str(value)


@pytest.fixture(scope="module")
def report(judged: Finished, tmp_path_factory: pytest.TempPathFactory) -> AllureReport:
    """The report that the command generates, which it does from the files alone."""
    return generated(judged.folder / "allure-results", tmp_path_factory.mktemp("allure"))


def generated(results: Path, folder: Path) -> AllureReport:
    """The report that allure makes of a folder of results, read back."""
    assert ALLURE.exists(), "allure is not installed: call make test-slow, which sees to it."
    done = subprocess.run(
        [ALLURE, "generate", results, "--output", folder / "report", "--cwd", folder],
        env=environment({"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}),  # our own node
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads((folder / "report" / "summary.json").read_text(encoding="utf-8"))["stats"]
    read = list(_results(folder / "report" / "data" / "test-results"))
    named = {result["testCase"]["externalId"]: result for result in read}
    assert len(named) == len(read) == counts.pop("total")
    return AllureReport(counts, named)


def _results(folder: Path) -> Iterator[Mapping[str, Any]]:
    for path in folder.iterdir():
        result: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        yield result


def test_allure_gives_each_its_outcome(report: AllureReport, outcomes: Mapping[str, str]) -> None:
    """Each row, item and tenant check is there by our own id: violated failed, blocked broken, waived skipped."""
    told = {
        name: found["status"] for name, found in report.results.items() if report.label(name, "gt_kind") != "runbook"
    }
    assert told == {name: IN_ALLURE[outcome] for name, outcome in outcomes.items()}


def test_allure_counts_what_the_record_counts(judged: Finished, report: AllureReport) -> None:
    """The counts of allure are results.json's totals, and a passed result for each runbook file."""
    wanted = Counter({"passed": len(hostile.RUNBOOKS)})
    for outcome in OUTCOMES:
        wanted[IN_ALLURE[outcome]] += judged.record["totals"][outcome]
    assert report.counts == wanted


def test_allure_tells_runbook_files_from_the_rest(report: AllureReport) -> None:
    """The files that were found sound are results of their own kind, since the totals do not count them."""
    files = {name for name in report.results if report.label(name, "gt_kind") == "runbook"}
    assert files == {f"runbook-{name}" for name in hostile.RUNBOOKS}


def test_allure_goes_by_our_ids(judged: Finished, report: AllureReport, tmp_path: Path) -> None:
    """With every file and function renamed, allure finds the histories that it had: they hang on our ids alone."""
    moved = tmp_path / "allure-results"
    moved.mkdir()
    for path in (judged.folder / "allure-results").iterdir():
        text = path.read_bytes()
        if path.name.endswith("-result.json"):
            text = text.replace(b"suites.test_", b"elsewhere.test_").replace(b"#test_", b"#check_")
        (moved / path.name).write_bytes(text)
    after = generated(moved, tmp_path)
    assert {result["fullName"] for result in after.results.values()}.isdisjoint(
        result["fullName"] for result in report.results.values()
    )
    histories = {name: result["historyId"] for name, result in report.results.items()}
    assert {name: result["historyId"] for name, result in after.results.items()} == histories
    assert len(set(histories.values())) == len(histories)


def test_allure_attaches_what_it_has_room_for(judged: Finished) -> None:
    """The more results there are, the fewer exchanges are files beside them; some always are."""
    written: list[str] = []
    for items, most in ((300, 97), (5_000, 20)):
        made = AllureResults(written.append)  # type: ignore[arg-type]  # nothing is unwritable
        made.leave_room(items)
        for number in range(200):
            refs = tuple(f"x{number}-{one}" for one in range(5))
            failing = SimpleNamespace(id=f"case-{number}", failing=[SimpleNamespace(exchanges=refs)])
            made.attach(cast("Judgement", failing), dict.fromkeys(refs, cast("ExchangeRecord", {})))
        assert len(made._files) == most  # noqa: SLF001 - what a run of thousands of items would write
    folder = judged.folder / "allure-results"
    assert len(list(folder.iterdir())) <= 400


def test_allure_takes_no_words_for_markup(report: AllureReport) -> None:
    """A tenant's words are text in a description: no element, link or picture of theirs is in it."""
    described = [str(found.get("descriptionHtml") or "") for found in report.results.values()]
    hostile_ones = [text for text in described if "hostile.example" in text]
    assert hostile_ones
    for text in hostile_ones:
        assert text.startswith("<pre>")
        assert text.count("<") == len(("<pre>", "</pre>"))
