"""pytest's own reporters on the same items: pytest-html, JUnit, allure."""

import html
import json
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import allure
import pytest

from gt_conformance.judgement import Judgement
from gt_conformance.lab import Evidence
from gt_conformance.report import ALLURE, JUNIT, PYTEST_HTML
from gt_conformance.runbook import Row, Runbook
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import Verdict

_COLUMNS = ("runbook", "route", "verdict", "outcome")
_SEVERITY = {
    Verdict.NATIVE: allure.severity_level.CRITICAL,
    Verdict.GT_EXTENSION: allure.severity_level.NORMAL,
    # A key that can do more than its runbook needs is a hole, not a blemish.
    Verdict.NOT_SUPPORTED: allure.severity_level.CRITICAL,
}
_MOST_ATTACHED = 20


def point(config: pytest.Config, folder: Path) -> None:
    """Have each reporter write into the report directory, unless the command line says otherwise for it."""
    option = config.option
    if getattr(option, "collectonly", False):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise pytest.UsageError(
            f"The report directory {folder} cannot be made: {error.strerror}. Name another with --report-dir."
        ) from None
    if hasattr(option, "htmlpath") and option.htmlpath is None:
        option.htmlpath = str(folder / PYTEST_HTML)
        option.self_contained_html = True
    if hasattr(option, "xmlpath") and option.xmlpath is None:
        option.xmlpath = str(folder / JUNIT)
    if hasattr(option, "allure_report_dir") and option.allure_report_dir is None:
        option.allure_report_dir = str(folder / ALLURE)
        option.clean_alluredir = True


def describe_row(node: pytest.Item, book: Runbook, row: Row, judgement: Judgement, evidence: Evidence) -> None:
    """Give an item its properties (JUnit, pytest-html) and its labels, links and attachments (allure)."""
    properties = {"runbook": book.id, "route": row.route.value, "verdict": row.verdict.value}
    _describe(node, {**properties, "outcome": judgement.outcome.value})
    allure.dynamic.epic(book.category)
    allure.dynamic.feature(book.title)
    allure.dynamic.story(row.route.title)
    allure.dynamic.severity(_SEVERITY[row.verdict])
    allure.dynamic.title(f"{book.title}: {row.route.title} is {row.verdict.value}")
    for number, url in enumerate(book.docs, start=1):
        allure.dynamic.link(url, name=f"{book.title} documentation {number}")
    _attach(judgement, evidence)


def describe_tenant_check(node: pytest.Item, judgement: Judgement, evidence: Evidence) -> None:
    """The same for a tenant-wide check."""
    _describe(node, {"runbook": "", "route": "", "verdict": "", "outcome": judgement.outcome.value})
    allure.dynamic.epic("Tenant")
    allure.dynamic.feature("Trust boundary")
    allure.dynamic.story(judgement.promise)
    allure.dynamic.severity(allure.severity_level.BLOCKER)
    _attach(judgement, evidence)


def _describe(node: pytest.Item, properties: Mapping[str, str]) -> None:
    node.user_properties.extend((name, value) for name, value in properties.items() if value)


def _attach(judgement: Judgement, evidence: Evidence) -> None:
    allure.dynamic.description(judgement.explain())
    failing = judgement.failing or judgement.checks
    refs = list(dict.fromkeys(ref for check in failing for ref in check.exchanges if ref in evidence))
    for ref in refs[:_MOST_ATTACHED]:
        text = json.dumps(evidence[ref], indent=1, ensure_ascii=False)
        allure.attach(text, name=f"exchange {ref}", attachment_type=allure.attachment_type.JSON)


class HtmlColumns:
    """The columns of pytest.html: runbook, route, verdict and outcome, in place of its links."""

    def __init__(self, tenant: Any) -> None:
        self._tenant = tenant

    def pytest_html_report_title(self, report: Any) -> None:
        """The title of the page."""
        report.title = "gt-conformance: log of the run"

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Result, test and duration stay; our four come between."""
        cells[2:2] = [f'<th class="sortable" data-column-type="{name}">{name.capitalize()}</th>' for name in _COLUMNS]
        del cells[-1]

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """The same for a row; what an item is not about stays empty."""
        given = dict(report.user_properties)
        cells[2:2] = [f'<td class="col-{name}">{html.escape(str(given.get(name, "")))}</td>' for name in _COLUMNS]
        del cells[-1]

    @pytest.hookimpl(optionalhook=True)
    def pytest_metadata(self, metadata: MutableMapping[str, Any]) -> None:
        """What was tested, in place of the machine that tested it."""
        metadata.clear()
        named: Tenant | None = self._tenant()
        metadata["Tenant"] = named.base_url if named is not None else "EMBEDDED"
