"""pytest's own reporters on the same items: pytest-html, JUnit, allure."""

import html
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import allure
import allure_commons
import pytest
from allure_commons.model2 import Label, TestResult
from pytest_metadata.plugin import metadata_key

from gt_conformance import report
from gt_conformance.errors import InputError
from gt_conformance.judgement import Judgement
from gt_conformance.pytest_plugin import _options
from gt_conformance.report import ALLURE, JUNIT, PYTEST_HTML
from gt_conformance.runbook import ChecklistItem, Row, Runbook
from gt_conformance.runner import Evidence
from gt_conformance.tenant import Tenant, TenantKind
from gt_conformance.vocabulary import Verdict

EMBEDDED = "EMBEDDED"
_COLUMNS = ("runbook", "route", "verdict", "outcome")
_SEVERITY = {
    Verdict.NATIVE: allure.severity_level.CRITICAL,
    Verdict.GT_EXTENSION: allure.severity_level.NORMAL,
    # A key that can do more than its runbook needs is a hole, not a blemish.
    Verdict.NOT_SUPPORTED: allure.severity_level.CRITICAL,
}
_MOST_ATTACHED = 20
_ID, _KIND = "gt_id", report.ALLURE_LABEL
_FOR_ALLURE = pytest.StashKey[Callable[[], None]]()


def point(config: pytest.Config, folder: Path) -> None:
    """Have each reporter write into the report directory, unless the command line says otherwise for it."""
    option = config.option
    if getattr(option, "collectonly", False):
        return
    try:
        report.claim(folder)
    except InputError as error:
        raise pytest.UsageError(_options.rendered(error)) from None
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


def describe_row(
    node: pytest.Item, tenant: Tenant | None, book: Runbook, row: Row, judgement: Judgement, evidence: Evidence
) -> None:
    """Give an item its properties (JUnit, pytest-html) and its labels, links and attachments (allure)."""
    properties = {"runbook": book.id, "route": row.route.value, "verdict": row.verdict.value}
    properties |= {"outcome": judgement.outcome.value, "tenant": named(tenant)}
    _describe(node, "row", row.id, properties, partial(_tell_of_row, named(tenant), book, row, judgement, evidence))


def describe_item(
    node: pytest.Item,
    tenant: Tenant | None,
    book: Runbook,
    item: ChecklistItem,
    judgement: Judgement,
    evidence: Evidence,
) -> None:
    """The same for a checklist item."""
    properties = {"runbook": book.id, "outcome": judgement.outcome.value, "tenant": named(tenant)}
    _describe(node, "item", item.id, properties, partial(_tell_of_item, named(tenant), book, item, judgement, evidence))


def describe_client(
    node: pytest.Item, tenant: Tenant | None, book: Runbook, row: Row, judgement: Judgement, evidence: Evidence
) -> None:
    """The same for a row that real clients were driven for."""
    properties = {"runbook": book.id, "route": row.route.value, "verdict": row.verdict.value}
    properties |= {"outcome": judgement.outcome.value, "tenant": named(tenant)}
    tell = partial(_tell_of_row, named(tenant), book, row, judgement, evidence)
    _describe(node, "client", judgement.id, properties, tell)


def describe_tenant_check(node: pytest.Item, tenant: Tenant | None, judgement: Judgement, evidence: Evidence) -> None:
    """The same for a tenant-wide check."""
    properties = {"outcome": judgement.outcome.value, "tenant": named(tenant)}
    _describe(
        node, "tenant", judgement.id, properties, partial(_tell_of_tenant_check, named(tenant), judgement, evidence)
    )


def describe_runbook(node: pytest.Item, book: Runbook) -> None:
    """The same for a runbook file. It is no part of the totals: it says nothing about a tenant."""
    _describe(node, "runbook", f"runbook-{book.id}", {"runbook": book.id}, partial(_tell_of_runbook, book))


def named(tenant: Tenant | None) -> str:
    """The tenant as every output names it. None is the embedded one, before it is started."""
    return tenant.base_url if tenant is not None and tenant.kind is not TenantKind.EMBEDDED else EMBEDDED


def tell_allure(item: pytest.Item) -> None:
    """Hand an item's labels, texts and attachments to allure.

    Once it has run: of what is said while fixtures are set up, allure hangs attachments on the fixture, and puts its
    own title and description over ours.
    """
    if (tell := item.stash.get(_FOR_ALLURE, None)) is not None:
        tell()


def _tell_of_row(tenant: str, book: Runbook, row: Row, judgement: Judgement, evidence: Evidence) -> None:
    allure.dynamic.epic(book.category)
    allure.dynamic.feature(book.title)
    allure.dynamic.story(row.route.title)
    allure.dynamic.severity(_SEVERITY[row.verdict])
    allure.dynamic.title(f"{book.title}: {row.route.title} is {row.verdict.value}")
    for number, url in enumerate(book.docs, start=1):
        allure.dynamic.link(url, name=f"{book.title} documentation {number}")
    _attach(tenant, judgement, evidence)


def _tell_of_item(tenant: str, book: Runbook, item: ChecklistItem, judgement: Judgement, evidence: Evidence) -> None:
    allure.dynamic.epic(book.category)
    allure.dynamic.feature(book.title)
    allure.dynamic.story("Validation checklist")
    allure.dynamic.severity(allure.severity_level.MINOR if item.optional else allure.severity_level.NORMAL)
    allure.dynamic.title(f"{book.title}: {item.text}")
    _attach(tenant, judgement, evidence)


def _tell_of_tenant_check(tenant: str, judgement: Judgement, evidence: Evidence) -> None:
    allure.dynamic.epic("Tenant")
    allure.dynamic.feature("Trust boundary")
    allure.dynamic.story(judgement.promise)
    allure.dynamic.severity(allure.severity_level.BLOCKER)
    allure.dynamic.title(judgement.promise)
    _attach(tenant, judgement, evidence)


def _tell_of_runbook(book: Runbook) -> None:
    allure.dynamic.epic(book.category)
    allure.dynamic.feature(book.title)
    allure.dynamic.story("Runbook file")
    allure.dynamic.severity(allure.severity_level.NORMAL)
    allure.dynamic.title(f"{book.title}: the runbook file is sound")


def _describe(
    node: pytest.Item, kind: str, stable_id: str, properties: Mapping[str, str], tell: Callable[[], None]
) -> None:
    node.user_properties.extend({"kind": kind, "id": stable_id, **properties}.items())

    def tell_with_id() -> None:
        allure.dynamic.label(_KIND, kind)
        allure.dynamic.label(_ID, stable_id)
        tell()

    node.stash[_FOR_ALLURE] = tell_with_id


def _attach(tenant: str, judgement: Judgement, evidence: Evidence) -> None:
    allure.dynamic.tag(tenant)
    # As HTML, since a description is Markdown: a tenant's words would be links and pictures from elsewhere in it.
    allure.dynamic.description("")
    allure.dynamic.description_html(f"<pre>{html.escape(judgement.explain())}</pre>")
    failing = judgement.failing or judgement.checks
    refs = list(dict.fromkeys(ref for check in failing for ref in check.exchanges if ref in evidence))
    for ref in refs[:_MOST_ATTACHED]:
        text = json.dumps(evidence[ref], indent=1, ensure_ascii=False)
        allure.attach(text, name=f"exchange {ref}", attachment_type=allure.attachment_type.JSON)


class AllureIds:
    """Lets allure know a result by our own id for ever, rather than by the file and function that it came from."""

    @allure_commons.hookimpl(tryfirst=True)
    def report_result(self, result: TestResult) -> None:
        """Before a result is written: allure 2 goes by its historyId, allure 3 by its testCaseId and parameters.

        What never said its id, because the suite itself failed on it, keeps allure's.
        """
        stable_id = next((label.value for label in result.labels if label.name == _ID), None)
        if stable_id is None:
            result.labels.append(Label(name=_KIND, value="suite"))  # by which the next run knows it for its own
        else:
            result.testCaseId = result.historyId = stable_id
            result.parameters = []  # the one parameter is that id, under the name of a fixture


class HtmlColumns:
    """The columns of pytest.html: runbook, route, verdict and outcome, in place of its links."""

    def __init__(self, tenant: Callable[[], Tenant | None]) -> None:
        self._tenant = tenant

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Before the page is begun: what was tested, in place of the machine that tested it."""
        metadata: dict[str, Any] = session.config.stash.get(metadata_key, {})
        metadata.clear()
        metadata["Tenant"] = named(self._tenant())

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
