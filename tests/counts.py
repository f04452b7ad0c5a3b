"""How many rows, items and tenant checks came to each outcome, as each file of a report directory tells it."""

import html
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET  # reports of our own making

from gt_conformance.results import Record
from gt_conformance.results.run_types import OUTCOME_NAMES, Totals

RUNBOOK_FILES = "suites.test_runbooks"
"""The module of the items that judge no tenant: one for each runbook file."""
_STATUS = {"conforms": "passed", "violates": "failed", "blocked": "broken", "unattested": "broken", "waived": "skipped"}
_JUNIT = {"violates": "failures", "blocked": "errors", "unattested": "errors", "waived": "skipped"}


def by_outcome(folder: Path) -> dict[str, dict[str, int]]:
    """File to outcome to number, for the files that distinguish all five outcomes."""
    record = json.loads((folder / "results.json").read_text("utf-8"))
    return {
        "results.json": record["totals"],
        "compliance.html": _of_page(folder),
        "summary.md": _of_summary(folder),
        "junit.xml": _whole(Counter(_properties(case)["outcome"] for case in _cases(folder))),
        "pytest.html": _whole(Counter(_cells(folder))),
        "junit-gitlab.xml": _whole(Counter(_properties(case)["outcome"] for case in _gitlab(folder).iter("testcase"))),
        "metrics.prom": _of_metrics(folder),
    }


def decisions(folder: Path) -> dict[str, str]:
    """File to the decision of the run, as the file words it."""
    record = json.loads((folder / "results.json").read_text("utf-8"))
    statement = json.loads((folder / "results.intoto.json").read_text("utf-8"))
    embedded = " (EMBEDDED)" if record["run"]["tenant"]["kind"] == "embedded" else ""
    metrics = (folder / "metrics.prom").read_text("utf-8")
    (measured,) = re.findall(r'^gt_conformance_decision\{.*decision="([^"]+)"\} 1$', metrics, re.MULTILINE)
    allure = (folder / "allure-results" / "environment.properties").read_text("utf-8")
    (environment,) = re.findall(r"^decision = (.*)$", allure, re.MULTILINE)
    return {
        "results.json": record["decision"] + embedded,
        "summary.md": (folder / "summary.md").read_text("utf-8").partition("**")[2].partition(":")[0],
        "notify.txt": (folder / "notify.txt").read_text("utf-8").partition(":")[0],
        "badge.json": json.loads((folder / "badge.json").read_text("utf-8"))["message"].partition(":")[0],
        "metrics.prom": measured + embedded,
        "allure": environment,
        "junit.xml": _properties_of(_suite(folder))["decision"],
        "junit-gitlab.xml": _properties_of(_gitlab(folder))["decision"],
        "results.intoto.json": statement["subject"][0]["annotations"]["decision"].partition(":")[0],
    }


def listed_by_pytest_html(folder: Path) -> int:
    """How many tests pytest.html counts, in its own words."""
    text = (folder / "pytest.html").read_text("utf-8")
    found = re.findall(r">(\d+) (?:Failed|Passed|Skipped|Expected failures|Unexpected passes|Errors)", text)
    return sum(map(int, found))


def in_words_of_pytest(folder: Path, totals: Totals) -> tuple[dict[str, int], dict[str, int]]:
    """What these totals are in junit.xml's and allure's own words, and what those files say."""
    wanted, found = Counter[str](), Counter[str]()
    for outcome in OUTCOME_NAMES:
        wanted[f"allure {_STATUS[outcome]}"] += totals[outcome]
        if outcome in _JUNIT:
            wanted[f"junit {_JUNIT[outcome]}"] += totals[outcome]
    suite = _suite(folder)
    wanted["junit tests"] = (
        sum(totals[outcome] for outcome in OUTCOME_NAMES) + sum(1 for _ in suite.iter("testcase")) - len(_cases(folder))
    )
    found.update({f"junit {name}": int(suite.get(name, "0")) for name in ("errors", "failures", "skipped", "tests")})
    for path in folder.glob("allure-results/*-result.json"):
        result = json.loads(path.read_text("utf-8"))
        if not result["fullName"].startswith(RUNBOOK_FILES):
            found[f"allure {result['status']}"] += 1
    return dict(+wanted), dict(+found)


def badges(folder: Path) -> tuple[dict[str, str], str]:
    """The message of each runbook's badge, and the beginning of that of the whole run's."""
    read = {path.stem: json.loads(path.read_text("utf-8")) for path in (folder / "badges").iterdir()}
    words = {name: badge["message"] for name, badge in read.items()}
    return words, json.loads((folder / "badge.json").read_text("utf-8"))["message"].split(":")[0]


def badges_wanted(record: Record) -> tuple[dict[str, str], str]:
    """The same, of a record."""
    kind = " (EMBEDDED)" if record["run"]["tenant"]["kind"] == "embedded" else ""
    return {book["id"]: book["decision"] + kind for book in record["runbooks"]}, record["decision"] + kind


def _whole(counted: Mapping[str, int]) -> dict[str, int]:
    return {name: counted.get(name, 0) for name in _STATUS}


def _of_page(folder: Path) -> dict[str, int]:
    text = (folder / "compliance.html").read_text("utf-8")
    return {match[1]: int(match[2]) for match in re.finditer(r'data-total="(\w+)">(\d+)<', text)}


def _of_summary(folder: Path) -> dict[str, int]:
    heading, _, numbers = re.findall(r"^\|.*\|$", (folder / "summary.md").read_text("utf-8"), re.MULTILINE)[:3]
    names = [cell.split()[-1] for cell in heading.strip("|").split("|")]
    return dict(zip(names, map(int, numbers.strip("|").split("|")), strict=True))


def _suite(folder: Path) -> ET.Element:
    suite = ET.parse(folder / "junit.xml").getroot().find("testsuite")  # noqa: S314 - made by a run of ours
    assert suite is not None
    return suite


def _gitlab(folder: Path) -> ET.Element:
    suite = ET.parse(folder / "junit-gitlab.xml").getroot().find("testsuite")  # noqa: S314 - made by a run of ours
    assert suite is not None
    return suite


def _properties_of(suite: ET.Element) -> dict[str, str]:
    return {str(item.get("name")): str(item.get("value")) for item in suite.findall("properties/property")}


def _of_metrics(folder: Path) -> dict[str, int]:
    counted = Counter[str]()
    for line in (folder / "metrics.prom").read_text("utf-8").splitlines():
        match = re.match(r'gt_conformance_cases\{.*case="(\w+)",outcome="(\w+)"\} (\d+)$', line)
        if match is not None and match[1] != "client":
            counted[match[2]] += int(match[3])
    return _whole(counted)


def _cases(folder: Path) -> list[ET.Element]:
    return [case for case in _suite(folder).iter("testcase") if case.get("classname") != RUNBOOK_FILES]


def _properties(case: ET.Element) -> dict[str, str]:
    return {str(item.get("name")): str(item.get("value")) for item in case.iter("property")}


def _cells(folder: Path) -> list[str]:
    blob = re.search(r'data-jsonblob="([^"]*)"', (folder / "pytest.html").read_text("utf-8"))
    assert blob is not None
    tests = json.loads(html.unescape(blob[1]))["tests"]
    rows = ["".join(test[-1]["resultsTableRow"]) for name, test in tests.items() if "test_runbooks" not in name]
    return [match[1] for row in rows if (match := re.search(r'col-outcome">(\w+)<', row))]
