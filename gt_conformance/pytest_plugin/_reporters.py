"""pytest's own reporters on the same items: pytest-html, JUnit, allure."""

import html
import importlib
import json
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import allure
import allure_commons
import attr
import pytest
from _pytest.junitxml import xml_key
from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import Attachment, Label, Link, TestResult
from allure_commons.types import LabelType, LinkType
from pytest_metadata.plugin import metadata_key

from gt_conformance import files, report
from gt_conformance.checks import Evidence
from gt_conformance.errors import InputError
from gt_conformance.exchange import ExchangeRecord
from gt_conformance.judgement import Judgement
from gt_conformance.launch import Launch
from gt_conformance.report import ALLURE, JUNIT, PYTEST_HTML
from gt_conformance.results import Record
from gt_conformance.runbook import Runbook
from gt_conformance.vocabulary import Verdict

_PLUGINS = {"metadata": "pytest_metadata.plugin", "html": "pytest_html.plugin", "allure_pytest": "allure_pytest.plugin"}
_COLUMNS = ("runbook", "route", "verdict", "outcome")
_SEVERITY = {
    Verdict.NATIVE: allure.severity_level.CRITICAL,
    Verdict.GT_EXTENSION: allure.severity_level.NORMAL,
    # A key that can do more than its runbook needs is a hole, not a blemish.
    Verdict.NOT_SUPPORTED: allure.severity_level.CRITICAL,
}
_MOST_ATTACHED = 20
_MOST_FILES, _FEWEST_ATTACHED = 400, 20
"""Files in allure's folder, where the results themselves are fewer; and the attachments that there may always be."""
_ID, _KIND = "gt_id", report.ALLURE_LABEL
_LISTENER = "allure_listener"
_RUNBOOK_FILE = "runbook"
"""The kind of the items that judge no tenant."""
_FOR_ALLURE = pytest.StashKey[str]()


def load(plugins: pytest.PytestPluginManager) -> None:
    """Load the reporters under the names of their entry points, by which pytest finds and blocks them."""
    for name, module in _PLUGINS.items():
        if not plugins.has_plugin(name) and not plugins.is_blocked(name):
            plugins.register(importlib.import_module(module), name)


def point(config: pytest.Config, launch: Launch) -> None:
    """Have each reporter write into the report directory, unless the command line names another place for it."""
    option, folder = config.option, launch.settings.report_dir
    if getattr(option, "collectonly", False):
        return
    try:
        launch.claim()
    except InputError as error:
        raise pytest.UsageError("\n".join(map(str, error.problems))) from None
    except OSError as error:
        raise pytest.UsageError(
            f"The report directory {folder} cannot be written: {error.strerror}. Name another with --report-dir."
        ) from None
    if hasattr(option, "htmlpath") and option.htmlpath is None:
        option.htmlpath = str(folder / PYTEST_HTML)
        option.self_contained_html = True
    if hasattr(option, "xmlpath") and option.xmlpath is None:
        option.xmlpath = str(folder / JUNIT)
    if hasattr(option, "allure_report_dir") and option.allure_report_dir is None:
        option.allure_report_dir = str(folder / ALLURE)


def register(config: pytest.Config, tenant: Callable[[], str], unwritable: Callable[[OSError], None]) -> None:
    """Add our ids and columns to the reporters; ``unwritable`` is called for each file of allure that cannot be."""
    results = config.stash[_RESULTS] = AllureResults(unwritable)
    allure_commons.plugin_manager.register(results)
    config.add_cleanup(lambda: allure_commons.plugin_manager.unregister(results))
    if config.pluginmanager.hasplugin("html"):
        config.pluginmanager.register(HtmlColumns(tenant), "gt-conformance-html")


def lighten_allure(config: pytest.Config) -> None:
    """Have allure write no file about the fixture of each item, whose result has it all, and results in one go."""
    listener = config.pluginmanager.unregister(name=_LISTENER) if config.pluginmanager.has_plugin(_LISTENER) else None
    if listener is not None:
        # pluggy takes for a hook what is a function.
        listener.pytest_fixture_setup = listener.pytest_fixture_post_finalizer = None
        config.pluginmanager.register(listener, _LISTENER)
    known = allure_commons.plugin_manager
    for logger in [plugin for plugin in known.get_plugins() if isinstance(plugin, AllureFileLogger)]:
        ours = _ResultFiles(config.option.allure_report_dir)
        known.unregister(logger)
        known.register(ours)
        config.add_cleanup(partial(known.unregister, ours))
        config.add_cleanup(partial(known.register, logger))  # which allure looks for when it ends, after this


def leave_room(config: pytest.Config, items: int) -> None:
    """Tell allure's results how many items there are, so that attachments stay within the files that there may be."""
    if (results := config.stash.get(_RESULTS, None)) is not None:
        results.leave_room(items)


def describe(node: pytest.Item, tenant: str, book: Runbook | None, judgement: Judgement, evidence: Evidence) -> None:
    """Give an item its properties (JUnit, pytest-html) and its labels, links and attachments (allure)."""
    case = judgement.case
    properties = {"runbook": case.runbook} if case.runbook is not None else {}
    if case.row is not None:
        properties |= {"route": case.row.route.value, "verdict": case.row.verdict.value}
    properties |= {"outcome": judgement.outcome.value, "tenant": tenant}
    if (waiver := next(iter(judgement.waivers.values()), None)) is not None:
        about = {"reason": waiver.reason, "owner": waiver.owner, "issue": waiver.issue}
        properties |= {f"waiver.{name}": text for name, text in about.items()}
        properties["waiver.expires"] = waiver.expires.isoformat()
    _describe(node, case.kind, case.id, properties, _show(tenant, book, judgement))
    node.config.stash[_RESULTS].attach(judgement, evidence)


def describe_run(config: pytest.Config, record: Record) -> None:
    """Give the decisions to JUnit, as properties of the suite, and to allure, as its environment."""
    known = report.decisions(record)
    if (junit := config.stash.get(xml_key, None)) is not None:
        for name, value in known.items():
            junit.add_global_property(name, value)
    folder = getattr(config.option, "allure_report_dir", None)
    if folder is not None:
        config.stash[_RESULTS].write_about(Path(folder), known, record)


def describe_runbook(node: pytest.Item, book: Runbook) -> None:
    """The same for a runbook file. It is no part of the totals: it says nothing about a tenant."""
    title = f"{book.title}: the runbook file is sound"
    shown = _Shown(title, _stories(book.category, book.title, "Runbook file", allure.severity_level.NORMAL))
    _describe(node, _RUNBOOK_FILE, f"runbook-{book.id}", {"runbook": book.id}, shown)


def describe_to_allure(item: pytest.Item) -> None:
    """Name the item to allure, by its id: the rest is put into its result when that is written.

    Once it has run: what is handed over while fixtures are set up, allure attaches to the fixture.
    """
    if (stable_id := item.stash.get(_FOR_ALLURE, None)) is not None:
        allure.dynamic.label(_ID, stable_id)


class _Shown(NamedTuple):
    """What allure shows of an item, put into the result at once: each call of ``allure.dynamic`` takes ten others."""

    title: str
    labels: Sequence[Label]
    description: str | None = None
    links: Sequence[Link] = ()


def _describe(node: pytest.Item, kind: str, stable_id: str, properties: Mapping[str, str], shown: _Shown) -> None:
    node.user_properties.extend({"kind": str(kind), "id": stable_id, **properties}.items())
    node.stash[_FOR_ALLURE] = stable_id
    shown = shown._replace(labels=[Label(name=_KIND, value=str(kind)), *shown.labels])
    node.config.stash[_RESULTS].show(stable_id, shown)


def _show(tenant: str, book: Runbook | None, judgement: Judgement) -> _Shown:
    case = judgement.case
    links: list[Link] = []
    if case.row is not None and book is not None:
        title = f"{book.title}: {case.row.route.title} is {case.row.verdict.value}"
        labels = _stories(book.category, book.title, case.row.route.title, _SEVERITY[case.row.verdict])
        links = [
            Link(type=LinkType.LINK, url=url, name=f"{book.title} documentation {number}")
            for number, url in enumerate(dict.fromkeys(book.docs), start=1)
        ]
    elif case.item is not None and book is not None:
        severity = allure.severity_level.MINOR if case.item.optional else allure.severity_level.NORMAL
        title = f"{book.title}: {case.item.text}"
        labels = _stories(book.category, book.title, "Validation checklist", severity)
    else:
        title = judgement.promise
        labels = _stories("Tenant", "Trust boundary", title, allure.severity_level.BLOCKER)
    labels.append(Label(name=LabelType.TAG, value=tenant))
    # As HTML, since a description is Markdown: a tenant's words would be links and pictures from elsewhere in it.
    return _Shown(title, labels, f"<pre>{html.escape(judgement.explain())}</pre>", links)


def _stories(epic: str, feature: str, story: str, severity: allure.severity_level) -> list[Label]:
    return [
        Label(name=LabelType.EPIC, value=epic),
        Label(name=LabelType.FEATURE, value=feature),
        Label(name=LabelType.STORY, value=story),
        Label(name=LabelType.SEVERITY, value=severity.value),
    ]


class _ResultFiles(AllureFileLogger):
    """Allure's own, but that a result is encoded in one go: ``json.dump`` puts it together bit by bit, in Python."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)  # type: ignore[no-untyped-call]
        self._folder = Path(folder)

    @allure_commons.hookimpl
    def report_result(self, result: TestResult) -> None:
        """Write a result, as allure does."""
        text = json.dumps(attr.asdict(result, filter=lambda _, value: value or value is False), ensure_ascii=False)
        files.replace_text(self._folder / result.file_pattern.format(prefix=uuid.uuid4()), text)


class AllureResults:
    """allure's results under our own ids for ever, rather than by the file and function that they came from.

    A file of allure's that cannot be written is reported, and ends nothing else.
    """

    def __init__(self, unwritable: Callable[[OSError], None]) -> None:
        self._unwritable = unwritable
        self._files: dict[str, Attachment] = {}
        self._attachments: dict[str, list[Attachment]] = {}
        self._shown: dict[str, _Shown] = {}
        self._most_files = _MOST_FILES

    def show(self, stable_id: str, shown: _Shown) -> None:
        """What is put into the result of the item with that id, over what allure says of it."""
        self._shown[stable_id] = shown

    def attach(self, judgement: Judgement, evidence: Evidence) -> None:
        """Attach the exchanges of what does not conform to the result; each exchange is one file."""
        refs = list(dict.fromkeys(ref for check in judgement.failing for ref in check.exchanges if ref in evidence))
        room = self._most_files - len(self._files)
        known, new = ([ref for ref in refs if (ref in self._files) is known] for known in (True, False))
        attached = [*known, *new[: max(0, room)]][:_MOST_ATTACHED]
        self._attachments[judgement.id] = [self._write(ref, evidence[ref]) for ref in attached]

    def leave_room(self, items: int) -> None:
        """Attach so few exchanges that with a result for each item there are no more files than ``_MOST_FILES``."""
        self._most_files = max(_FEWEST_ATTACHED, _MOST_FILES - items - len(_ABOUT_THE_RUN))

    def _write(self, ref: str, exchange: ExchangeRecord) -> Attachment:
        if ref not in self._files:
            kind = allure.attachment_type.JSON
            name = f"{uuid.uuid4()}-attachment.{kind.extension}"
            self._files[ref] = Attachment(name=f"exchange {ref}", source=name, type=kind.mime_type)
            body = json.dumps(exchange, ensure_ascii=False)
            allure_commons.plugin_manager.hook.report_attached_data(body=body, file_name=name)
        return self._files[ref]

    @allure_commons.hookimpl(wrapper=True)
    def report_result(self, result: TestResult) -> Generator[None, None, None]:
        """Before a result is written: allure 2 goes by its historyId, allure 3 by its testCaseId and parameters.

        What has no id of ours, because the suite itself failed on it, keeps allure's.
        """
        stable_id = next((label.value for label in result.labels if label.name == _ID), None)
        if stable_id is None:
            result.labels.append(Label(name=_KIND, value="suite"))  # by which the next run knows it for its own
        else:
            result.testCaseId = result.historyId = stable_id
            result.parameters = []  # the one parameter is that id, under the name of a fixture
            result.attachments += self._attachments.pop(stable_id, [])
            shown = self._shown.pop(stable_id)
            result.name, result.labels = shown.title, [*shown.labels, *result.labels]
            result.links = [*shown.links, *result.links]
            if shown.description is not None:
                result.description, result.descriptionHtml = "", shown.description
        return (yield from self._report())

    @allure_commons.hookimpl(wrapper=True)
    def report_container(self) -> Generator[None, None, None]:
        """As for a result."""
        return (yield from self._report())

    @allure_commons.hookimpl(wrapper=True)
    def report_attached_data(self) -> Generator[None, None, None]:
        """As for a result."""
        return (yield from self._report())

    def write_about(self, folder: Path, values: Mapping[str, str], record: Record) -> None:
        """Write allure's files about the run as a whole, unless they are somebody else's."""
        texts = {
            _ENVIRONMENT: "\n".join([_OURS, *(f"{name} = {_one_line(value)}" for name, value in values.items()), ""]),
            _EXECUTOR: json.dumps(_executor(record), indent=1),
            _CATEGORIES: json.dumps(_CATEGORIES_OF_OURS, indent=1),
        }
        for name, text in texts.items():
            path = folder / name
            try:
                if not path.exists() or _MARK in path.read_text(encoding="utf-8", errors="replace"):
                    files.replace_text(path, text)
            except OSError as error:
                self._unwritable(error)

    def _report(self) -> Generator[None, None, None]:
        try:
            yield
        except OSError as error:
            self._unwritable(error)


_RESULTS = pytest.StashKey[AllureResults]()
_ENVIRONMENT, _EXECUTOR, _CATEGORIES = _ABOUT_THE_RUN = ("environment.properties", "executor.json", "categories.json")
_MARK = "by gt-conformance"
"""By which the next run knows such a file for its own."""
_OURS = f"# Written {_MARK}."
_CATEGORIES_OF_OURS = [
    {"name": name, "description": f"{text} (written {_MARK})", "matchedStatuses": [status]}
    for name, text, status in (
        ("Violations", "A promise that does not hold", "failed"),
        ("Blocked or unattested", "Not tested, or not attested: no verdict about the tenant", "broken"),
        ("Waived", "Known, owned by somebody, until a date", "skipped"),
    )
]


def _executor(record: Record) -> Mapping[str, str]:
    """Who or which job ran it, as allure shows it."""
    run = record["run"]
    made_by = run.get("provenance")
    by, job = (made_by["by"], made_by["job"]) if made_by is not None else ("", None)
    kind = next((word for word in ("github", "gitlab", "jenkins") if by.lower().startswith(word)), "gt-conformance")
    about = {"name": by, "type": kind, "buildName": f"run {run['id']}", "reportName": f"Written {_MARK}"}
    return {**about, "buildUrl": job} if job else about


def _one_line(value: str) -> str:
    """The value as a Java properties file holds it."""
    return " ".join(value.replace("\\", "\\\\").split())


class HtmlColumns:
    """The columns of pytest.html: runbook, route, verdict and outcome, in place of its links."""

    def __init__(self, tenant: Callable[[], str]) -> None:
        self._tenant = tenant

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Before the page is begun: what was tested, in place of the machine that tested it."""
        metadata: dict[str, Any] = session.config.stash.get(metadata_key, {})
        metadata.clear()
        metadata["Tenant"] = self._tenant()

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
        """The same for a row; what an item is not about stays empty.

        A runbook file that is sound is no row: then the counts are those of every other document.
        """
        given = dict(report.user_properties)
        if given.get("kind") == _RUNBOOK_FILE and report.passed:
            cells.clear()
            return
        cells[2:2] = [f'<td class="col-{name}">{html.escape(str(given.get(name, "")))}</td>' for name in _COLUMNS]
        del cells[-1]
