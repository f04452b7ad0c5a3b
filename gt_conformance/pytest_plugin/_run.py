"""The run behind the items: what it is about, its session, its record; and the items, one for each case."""

import errno
import gc
import signal
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gt_conformance import report, results
from gt_conformance.checks import Evidence
from gt_conformance.errors import Blocked, Problem
from gt_conformance.judgement import Judgement, NotConforming
from gt_conformance.launch import STOP, Launch
from gt_conformance.planning import Case, CaseKind
from gt_conformance.pytest_plugin import _reporters
from gt_conformance.results import Record
from gt_conformance.runbook import Runbook, findings
from gt_conformance.session import Session
from gt_conformance.vocabulary import Outcome

if TYPE_CHECKING:
    from gt_sandbox import EmbeddedTenant


JUDGEMENT = "judgement"
"""The fixture whose parameter is the id of a case."""


class Run:
    """One run of the suites. Made when pytest is configured; judges while items ask; records at the end."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.settings, self.registry, self.baseline = launch.settings, launch.registry, launch.baseline
        self.runbooks, self.selected_runbooks = launch.runbooks, launch.selected_runbooks
        self.cases, self.clients, self.interrupts = launch.cases, launch.clients, launch.interrupts
        self.session: Session | None = None
        self.record: Record | None = None
        self.nothing_selected = False
        self.trouble: list[str] = []
        """What could not be written, and secrets that were found in what was."""
        self._embedded: EmbeddedTenant | None = None

    def describe_tenant(self) -> str:
        """The tenant as every output names it."""
        return self.launch.describe_tenant()

    # -- for the fixtures

    def judge(self, case: str) -> Judgement:
        """The judgement of the case with that id; waits for it."""
        session = self._running()
        return session.judgement(session.plan.case(case))

    def evidence(self, judgement: Judgement) -> Evidence:
        """The recorded exchanges that a judgement refers to."""
        return self._running().evidence(judgement)

    def book_of(self, case: Case) -> Runbook | None:
        """The runbook of a case; a tenant-wide check has none."""
        return None if case.runbook is None else self.book(case.runbook)

    def book(self, name: str) -> Runbook:
        """The runbook with that id."""
        return next(book for book in self.runbooks if book.id == name)

    def _running(self) -> Session:
        if self.session is None:
            raise Blocked("The suite is not running.", "Run it through gt-conformance run, or pytest suites.")
        return self.session

    # -- hooks

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Freeze the plan from the items that are left, start the session, run the items, stop the session."""
        params = [getattr(getattr(item, "callspec", None), "params", {}) for item in session.items]
        left = {given[JUDGEMENT] for given in params if JUDGEMENT in given}
        if self.settings.collect_only or session.testsfailed or not left:
            return (yield)
        try:
            with self.interrupts.ending(session, self._interrupt):
                with self.interrupts.deferred():  # what is half started could not be ended
                    self._start([case for case in self.cases if case.id in left])
                result = yield
                self.interrupts.finish()  # all is judged: what comes now interrupts nothing
                return result
        except KeyboardInterrupt:
            self._interrupt(signal.SIGINT.name)
            raise
        finally:
            if self.session is not None:
                self.session.stop()
            if self._embedded is not None:
                self._embedded.stop()

    def _interrupt(self, cause: str) -> None:
        if self.session is not None:
            self.session.interrupt(cause)

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Leave out of the traceback what pytest cannot show: a signal may come at an instruction that has no line."""
        excinfo.traceback = excinfo.traceback.filter(_has_line)

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """An exception in a hook is a fault of the suite; a file that cannot be written is not."""
        self._note(excinfo.value)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, object, object]:
        """Once every reporter has written: the record, its renderings, the scan for secrets, the exit code."""
        self.interrupts.finish()
        self.nothing_selected = exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED
        if self.session is None:
            return (yield)
        if exitstatus == pytest.ExitCode.INTERRUPTED:  # wherever the KeyboardInterrupt went
            self._interrupt(signal.SIGINT.name)
        result: object = None
        record = self.session.record()
        _reporters.describe_run(session.config, record)
        try:
            result = yield
        except Exception as error:  # noqa: BLE001 - a reporter that fails must not cost the record
            self._note(error)
        if list(self.session.suite_errors) != record["suite_errors"]:  # a reporter's own fault
            record = self.session.record()
        self.record = self.baseline.join(record)
        if (lost := self.session.journal_problem) is not None:
            self.note_unwritable(lost)
        self._write(self.record, self.session)
        if not self.trouble:
            self.session.discard_journal()
        if session.shouldstop == STOP:
            # Wherever the KeyboardInterrupt went, the run was interrupted.
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        elif self.failed:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        elif exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            session.exitstatus = results.exit_code(self.record)
            self.baseline.keep(self.record)
        return result

    def pytest_unconfigure(self) -> None:
        """Nothing is logged any more, and pytest need not look five times through all that lives to the end anyway."""
        self.launch.end_logs()
        gc.freeze()

    @property
    def failed(self) -> bool:
        """Whether the suite itself failed, or could not write what it found: no decision rests on such a run."""
        return bool(self.trouble or (self.record is not None and self.record["suite_errors"]))

    def finish_report(self, call: pytest.CallInfo[None], outcome: pytest.TestReport) -> pytest.TestReport:
        """The report of an item with our text in place of a traceback, redacted.

        Whatever else fails is a fault of the suite: the record knows of findings only, so that nothing can be decided
        beside a test that failed for another reason (a runbook that contradicts itself, a test that somebody added).
        """
        error = call.excinfo.value if call.excinfo else None
        if isinstance(error, NotConforming | Blocked):
            outcome.longrepr = str(error)
        elif isinstance(error, AssertionError) and call.when == "call" and self.session is not None:
            reason = " ".join(str(error).partition("\nassert ")[0].split())
            self.session.add_fault(f"{outcome.nodeid} failed{f': {reason}' if reason else '.'}")
        elif error is not None and outcome.failed:
            self._note(error)
        if self.session is not None:
            redactor = self.session.redactor
            if outcome.failed:
                outcome.longrepr = redactor.text(str(outcome.longrepr))
            outcome.sections = [(name, redactor.text(text)) for name, text in outcome.sections]
        return outcome

    def note_unwritable(self, error: OSError) -> None:
        """A file that cannot be written, with the reason: named once, and of a folder of many not each of them."""
        folder = self.settings.report_dir.absolute()
        path = Path(error.filename or folder).absolute()
        name = f"A file in {path.parent}" if folder in path.parents and path.parent != folder else str(path)
        text = f"{name} cannot be written"
        if not any(known.startswith(f"{text}:") for known in self.trouble):
            self.trouble.append(f"{text}: {error.strerror or error}.")

    def _note(self, error: BaseException) -> None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            self.note_unwritable(error)
        elif self.session is not None:
            self.session.add_fault(error)

    # -- inside

    def _start(self, cases: list[Case]) -> None:
        """Take over the session that was started early, or start one in which these cases are judged."""
        if self.launch.session is not None:
            self.session = self.launch.session
            return
        under_test = self.launch.tenant
        if under_test is None:
            from gt_conformance.pytest_plugin._embedded import start_embedded  # noqa: PLC0415 - as it says

            try:
                self._embedded, under_test = start_embedded(self.settings.faults, self.settings.variants)
            except OSError as error:
                raise pytest.UsageError(
                    f"The embedded tenant could not be started: {error.strerror or error}."
                ) from None
            under_test = self.settings.limit(under_test)
        self.session = self.launch.start(under_test, cases)

    def _write(self, record: Record, session: Session) -> None:
        """Write the reports, then search them; results.json is written first."""
        folder = self.settings.report_dir
        try:
            report.write_all(record, folder, self.note_unwritable)
        except Exception as error:  # noqa: BLE001 - a page that cannot be drawn must not cost the record or the exit code
            self.trouble.append(f"A report could not be rendered ({type(error).__name__}); results.json is whole.")
        self.trouble += [
            f"{path} contained a secret, which was redacted: a fault of this suite. Rotate that key, and report this."
            for path in report.scan(folder, session.redactor)
        ]


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO})
"""What the operating system says where a file cannot be written: no fault of the suite, and none of the tenant."""


def _has_line(entry: Any) -> bool:
    return entry._rawentry.tb_lineno is not None  # noqa: SLF001 - its own lineno computes with it


# -- the items of the suites


_RUNBOOK = "sound_runbook"
_MARKS = {CaseKind.ITEM: "checklist", CaseKind.TENANT: "tenant", CaseKind.CLIENT: "client"}


def parametrize(metafunc: pytest.Metafunc, run: Run) -> None:
    """Give a suite's function one item for each selected case of the kind that its module names (``CASES``).

    Its parameter is the id: reporters write down the parameters of each item, and a whole case is a long text.
    """
    if JUDGEMENT in metafunc.fixturenames:
        kind = CaseKind(metafunc.module.CASES)
        parameters = [pytest.param(case.id, id=case.id, marks=_marks(case)) for case in run.cases if case.kind is kind]
        metafunc.parametrize(JUDGEMENT, parameters, indirect=True)
    if _RUNBOOK in metafunc.fixturenames:
        books = [pytest.param(book.id, id=book.id, marks=pytest.mark.runbook) for book in run.selected_runbooks]
        metafunc.parametrize(_RUNBOOK, books, indirect=True)


def _marks(case: Case) -> list[pytest.MarkDecorator]:
    names = [_MARKS.get(case.kind), case.verdict.value if case.verdict is not None else None]
    return [getattr(pytest.mark, name) for name in names if name is not None]


@pytest.fixture
def judgement(request: pytest.FixtureRequest) -> Judgement:
    """The judgement of a case. Raises Blocked, an error and no failure, where it could not be tested."""
    run = _run(request)
    found = run.judge(request.param)
    _reporters.describe(request.node, run.describe_tenant(), run.book_of(found.case), found, run.evidence(found))
    found.demand_tested()
    if found.outcome is Outcome.WAIVED:
        # pytest's own word for a failure that is known and owned; it is never counted as a pass.
        pytest.xfail(found.explain())
    return found


@pytest.fixture
def sound_runbook(request: pytest.FixtureRequest) -> Sequence[Problem]:
    """What contradicts itself in a runbook file."""
    run = _run(request)
    book = run.book(request.param)
    _reporters.describe_runbook(request.node, book)
    return [*findings(book, run.registry.acts), *run.registry.unverified(book)]


def _run(request: pytest.FixtureRequest) -> Run:
    run = request.config.pluginmanager.get_plugin("gt-conformance-run")
    assert isinstance(run, Run), "the plugin registers its run when it is configured"  # noqa: S101 - a fault of ours
    return run
