"""The run behind the items: what it is about, its plan, its lab, its record."""

import os
import secrets
import tempfile
from collections.abc import Collection, Generator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gt_conformance import plan, report, resources, results, tenant
from gt_conformance.checks import checks
from gt_conformance.clients import Driving, Environments, Judged, Stage, row_id
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Redactor, as_record
from gt_conformance.judgement import Judge, Judgement, NotConforming
from gt_conformance.proxy import exchange_numbers
from gt_conformance.pytest_plugin import _human_input, _interrupt, _logs
from gt_conformance.pytest_plugin._options import Settings
from gt_conformance.pytest_plugin._past import Past
from gt_conformance.pytest_plugin._selection import Selection
from gt_conformance.results import Record, RunFacts
from gt_conformance.runbook import ChecklistItem, Row, Runbook, load_directory
from gt_conformance.runner import CheckResult, Evidence, HttpSender, Runner
from gt_conformance.tenant import Tenant, TenantKind
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import FAULTS


class Run:
    """One run of the suites. Made when pytest is configured; judges while items ask; records at the end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.runbooks = _loaded(settings)
        self.selection = Selection.of(settings, self.runbooks)
        self.id = secrets.token_hex(4)
        self.runner: Runner | None = None
        self.record: Record | None = None
        self.nothing_selected = False
        self.trouble: list[str] = []
        self.judge: Judge | None = None
        self.driving: Driving | None = None
        self.client_news: list[str] = []
        """What goes on with the clients, line by line."""
        self._client_rows: frozenset[str] = frozenset()
        self._tenant = self._named_tenant()
        self.human_input = _human_input.read(settings, self.runbooks, embedded=self._tenant is None)
        self.past = Past(settings, self._tenant)
        self._embedded: EmbeddedTenant | None = None
        self._started = datetime.now(UTC)
        self._other_failures = 0
        self._at_the_end = ExitStack()

    def _named_tenant(self) -> Tenant | None:
        if self.settings.tenant_file is not None:
            found: Tenant | None = tenant.from_file(self.settings.tenant_file, os.environ)
        else:
            found = tenant.from_environment(os.environ)
        if found is not None:
            plan.check_mapping(found, self.runbooks)
        return found

    @property
    def tenant(self) -> Tenant | None:
        """The tenant under test; None before the embedded one is started."""
        return self._tenant

    # -- for the fixtures

    def runbook(self, runbook_id: str) -> Runbook:
        """The runbook of that id."""
        return next(book for book in self.runbooks if book.id == runbook_id)

    def item(self, item_id: str) -> tuple[Runbook, ChecklistItem]:
        """The checklist item of that id, with its runbook."""
        return next((book, item) for book in self.runbooks for item in book.checklist if item.id == item_id)

    def row(self, row_id: str) -> tuple[Runbook, Row]:
        """The row of that id, with its runbook."""
        return next((book, row) for book in self.runbooks for row in book.rows if row.id == row_id)

    def client_row(self, wanted: str) -> tuple[Runbook, Row]:
        """The row of a runbook that the test of that id is about, with its runbook."""
        return next((book, row) for book in self.runbooks for row in book.rows if row_id(row) == wanted)

    def judge_client(self, wanted: str) -> Judgement:
        """The judgement of a row by the runbook's clients; waits until they have been driven."""
        book, row = self.client_row(wanted)
        _, judge = self._running()
        if self.driving is None:
            raise Blocked("No client is driven.", "Run the suites through gt-conformance run, or pytest suites.")
        return judge.client_row(row, self.driving.result(book.id).row(wanted))

    def client_evidence(self, judgement: Judgement) -> Evidence:
        """The recorded exchanges of clients that a judgement refers to."""
        runner, _ = self._running()
        refs = {ref for check in judgement.checks for ref in check.exchanges}
        passed = results.client_exchanges(self._driven())
        return {exchange.ref: as_record(exchange, runner.redactor) for exchange in passed if exchange.ref in refs}

    def _driven(self) -> tuple[Judged, ...]:
        """What came of the clients, as far as their rows were selected; waits for it."""
        found = self.driving.results() if self.driving is not None else ()
        return tuple(judged.only(self._client_rows) for judged in found)

    def _further(self, item: ChecklistItem) -> tuple[CheckResult, ...]:
        if self.driving is None or not self.driving.drives(item.runbook):
            return ()
        return self.driving.result(item.runbook).only(self._client_rows).further(item.number)

    def evidence(self, judgement: Judgement) -> Evidence:
        """The recorded exchanges that a judgement refers to."""
        refs = {ref for check in judgement.checks for ref in check.exchanges}
        runner, _ = self._running()
        return runner.evidence(refs)

    def judge_row(self, row_id: str) -> Judgement:
        """The judgement of a row; waits for its checks."""
        runner, judge = self._running()
        return judge.row(runner.plan.planned_row(row_id))

    def judge_item(self, item_id: str) -> Judgement:
        """The judgement of a checklist item; waits for its checks."""
        runner, judge = self._running()
        return judge.item(runner.plan.planned_item(item_id))

    def judge_tenant_check(self, check: str) -> Judgement:
        """The judgement of a tenant-wide check; waits for it."""
        runner, judge = self._running()
        return judge.tenant_check(next(item for item in runner.plan.tenant_checks if item.check == check))

    def _running(self) -> tuple[Runner, Judge]:
        if self.runner is None or self.judge is None:
            raise Blocked("The lab is not running.", "Run the suites through gt-conformance run, or pytest suites.")
        return self.runner, self.judge

    # -- hooks

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Freeze the plan from the items that are left, start the lab, run the items, stop the lab."""
        wanted = {name: _parameters_of(session, f"judged_{name}") for name in ("row", "item", "tenant_check", "client")}
        if self.settings.collect_only or session.testsfailed or not any(wanted.values()):
            return (yield)
        try:
            self._start(wanted["row"], wanted["item"], wanted["tenant_check"], wanted["client"])
        except OSError as error:
            raise pytest.UsageError(f"The embedded tenant could not be started: {error}") from None
        try:
            with _interrupt.heard(session, self._interrupted):
                return (yield)
        except KeyboardInterrupt:
            self._interrupted()
            raise
        finally:
            self._stop("the run ended before this was judged")

    def _interrupted(self) -> None:
        if self.driving is not None:
            self.driving.stop()
        if self.runner is not None:
            self.runner.stop("the run was interrupted before this was judged")

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, object, object]:
        """Once every reporter has written: the record, its renderings, the scan for secrets, the exit code."""
        result = yield
        self.nothing_selected = exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED
        if self.runner is not None:
            options = {
                "runbooks": list(self.settings.runbooks),
                "routes": [route.value for route in self.settings.routes],
                "verdicts": [verdict.value for verdict in self.settings.verdicts],
                "strict": self.settings.strict,
                "versioned_only": "versioned-only" in self.settings.faults.names,
                "faults": list(self.settings.faults.names),
                "variants": list(self.settings.variants.names),
                "read_only": self.runner.tenant.read_only,
                "fail_on": self.settings.fail_on.value,
                "clients": list(self.settings.clients),
                **_human_input.described(self.human_input, self.settings),
            }
            facts = RunFacts(self.id, self._started, datetime.now(UTC), options, unproven_checks=_unproven())
            if self.driving is not None:
                self.runner.suite_errors.extend(self.driving.faults)
            self.record = self.past.joined(results.record(self.runner, facts, self.human_input, self._driven()))
            self.trouble = self._report(self.record, self.runner.redactor)
            if session.shouldstop == _interrupt.STOP:
                # Wherever the KeyboardInterrupt went, the run was interrupted.
                session.exitstatus = pytest.ExitCode.INTERRUPTED
            elif self.trouble:
                session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            elif exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
                code = self.past.exit_code(self.record)
                session.exitstatus = 1 if code == 0 and self._other_failures else code
                self.past.keep(self.record)
        return result

    def pytest_unconfigure(self) -> None:
        """Nothing is logged any more."""
        self._at_the_end.close()

    def _report(self, record: Record, redactor: Redactor) -> list[str]:
        """Write the reports, then search them. Gives what went wrong; results.json is written first."""
        folder = self.settings.report_dir
        trouble = []
        try:
            report.write_all(record, folder)
        except OSError as error:
            trouble.append(f"{error.filename or folder} cannot be written: {error.strerror}.")
        except Exception as error:  # noqa: BLE001 - a page that cannot be drawn must not cost the record or the exit code
            trouble.append(f"A report could not be rendered ({type(error).__name__}); results.json is whole.")
        trouble += [
            f"{path} held a secret, which was taken out of it: a fault of this suite. Rotate that key, and report this."
            for path in report.scan(folder, redactor)
        ]
        return trouble

    def reported(self, call: pytest.CallInfo[None], outcome: pytest.TestReport) -> pytest.TestReport:
        """The report of an item with our text in place of a traceback, redacted, and its properties."""
        error = call.excinfo.value if call.excinfo else None
        if isinstance(error, NotConforming | Blocked):
            outcome.longrepr = str(error)
        elif error is not None and outcome.failed:
            self._other_failures += 1
        if self.runner is not None:
            if outcome.failed:
                outcome.longrepr = self.runner.redactor.text(str(outcome.longrepr))
            outcome.sections = [(name, self.runner.redactor.text(text)) for name, text in outcome.sections]
        return outcome

    # -- inside

    def _start(self, rows: set[str], items: set[str], wide: set[str], clients: set[str]) -> None:
        self._started = datetime.now(UTC)
        if self._tenant is None:
            faults, variants = self.settings.faults, self.settings.variants
            self._embedded = EmbeddedTenant(edges=(*variants.edges, *faults.edges))
            self._embedded.start()
            document = faults.tenant_file(variants.tenant_file(self._embedded.tenant_document()))
            self._tenant = tenant.from_mapping(
                document, self._embedded.secrets, kind=TenantKind.EMBEDDED, name="the embedded tenant"
            )
        under_test = self._tenant
        planned = plan.make_plan(under_test, self.runbooks, rows=rows, items=items, tenant_checks=wide)
        self.runner = Runner(planned, lambda: HttpSender(under_test), run_id=self.id, strict=self.settings.strict)
        self.judge = Judge(planned, self.runner.result, self.human_input, self._further)
        # To the very end: what an interruption leaves is taken down, and logged about, when the session finishes.
        self._at_the_end.enter_context(_logs.redacted(self.runner.redactor))
        self.runner.start()
        if clients:
            self._client_rows = frozenset(clients)
            self.driving = _driving(self, self.runner, clients)
            self.driving.start()

    def _stop(self, reason: str) -> None:
        if self.driving is not None:
            self.driving.stop()
        if self.runner is not None:
            self.runner.stop(reason)
        if self._embedded is not None:
            self._embedded.stop()
            self._embedded = None


def _driving(run: Run, runner: Runner, rows: Collection[str]) -> Driving:
    """Drives the clients of these rows' runbooks once the lab is through: its requests go first."""
    books = {book.id: book for book in run.runbooks}
    wanted = [
        (books[manifest.runbook], manifest, clients)
        for manifest, clients in run.selection.clients
        if any(row_id(row) in rows for row in books[manifest.runbook].rows)
    ]
    sources = resources.clients_dir()
    environments = Environments(resources.environments_dir(), sources, run.client_news.append)
    stage = Stage(runner.tenant, environments, sources / "_shared", run.id, exchange_numbers(), run.client_news.append)

    def ready() -> tuple[str, str] | None:
        for check in runner.plan.distinct:
            runner.result(check)
        return None if runner.refusal is None else (runner.refusal.reason, runner.refusal.remedy)

    return Driving(stage, wanted, runner.plan.choices, ready)


def _loaded(settings: Settings) -> tuple[Runbook, ...]:
    folder = settings.runbooks_dir or resources.runbooks_dir()
    if not settings.faults.rewrites:
        return load_directory(folder)
    with tempfile.TemporaryDirectory() as rewritten:
        settings.faults.rewrite(folder, Path(rewritten))
        return load_directory(Path(rewritten))


def _unproven() -> tuple[str, ...]:
    """The checks that no fault of the embedded tenant makes fail."""
    killed = frozenset().union(*(fault.checks for fault in FAULTS.values()))
    return tuple(check for check in checks() if check not in killed)


def _parameters_of(session: pytest.Session, fixture: str) -> set[str]:
    """What the items that are left ask of a fixture, by id."""
    given = (getattr(getattr(item, "callspec", None), "params", {}).get(fixture) for item in session.items)
    return {parameter for parameter in given if isinstance(parameter, str)}
