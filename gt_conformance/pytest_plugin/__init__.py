"""The suites' pytest plugin: options, cases, the session behind the items, and the reports.

``gt-conformance run`` loads it by name; ``pytest suites`` through the conftest.py at the top of the checkout.
"""

from collections.abc import Generator
from pathlib import Path
from types import TracebackType

import pytest

from gt_conformance.errors import Blocked, InputError
from gt_conformance.judgement import NotConforming
from gt_conformance.launch import Launch, Settings
from gt_conformance.open_files import require_open_files
from gt_conformance.pytest_plugin import _options, _reporters
from gt_conformance.pytest_plugin._run import Run, judgement, parametrize, sound_runbook
from gt_conformance.pytest_plugin._terminal import Terminal

__all__ = ["judgement", "sound_runbook"]

RUN = pytest.StashKey[Run]()
_NAME_WHAT_TO_RUN = (
    "name what to run: `pytest tests` runs this project's own tests (`make test` calls it), "
    "`pytest suites --tenant FILE` judges a tenant, as `gt-conformance run` does."
)
_WITHOUT_TERMINAL = (
    "-p no:terminal does not go with this suite: what a run finds is printed through pytest's terminal. Leave it out; "
    "`gt-conformance run --quiet` prints the decision alone."
)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the suite's options to pytest's, and the reporters where pytest loads no plugin of its own accord."""
    _options.add(parser)
    _reporters.load(pluginmanager)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Refuse to run without pytest's terminal before its options are missed, which the user did not give."""
    _require_terminal(early_config)


def _require_terminal(config: pytest.Config) -> None:
    if not config.pluginmanager.has_plugin("terminal"):
        raise pytest.UsageError(_WITHOUT_TERMINAL)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read what the run is about, and point pytest's reporters into the report directory."""
    _require_terminal(config)
    if config.args_source is not pytest.Config.ArgsSource.ARGS and not config.getoption("markers"):
        raise pytest.UsageError(_NAME_WHAT_TO_RUN)
    try:
        require_open_files()
        launch = _early_launch(config) or _launch(_options.read_settings(config))
    except InputError as error:
        raise pytest.UsageError("\n".join(map(str, error.problems))) from None
    run = config.stash[RUN] = Run(launch)
    run.interrupts.install()
    config.add_cleanup(run.interrupts.restore)
    _reporters.point(config, launch)
    config.pluginmanager.register(run, "gt-conformance-run")
    config.pluginmanager.register(Terminal(config, run), "gt-conformance-terminal")
    _reporters.register(config, run.describe_tenant, run.note_unwritable)


def _launch(settings: Settings) -> Launch:
    if not (settings.faults or settings.variants):
        return Launch(settings)
    from gt_conformance.pytest_plugin._embedded import foresee_embedded  # noqa: PLC0415 - loaded where one is asked for

    return Launch(settings, foresee_embedded(settings.faults, settings.variants))


def _early_launch(config: pytest.Config) -> Launch | None:
    """The launch that ``gt-conformance run`` hands over, where it began before pytest did.

    Raises InputError where it hands that over.
    """
    handed = next((one for one in config.pluginmanager.get_plugins() if isinstance(one, Launch | InputError)), None)
    if isinstance(handed, InputError):
        raise handed
    return handed


def pytest_sessionstart(session: pytest.Session) -> None:
    """Once all reporters are there."""
    _reporters.lighten_allure(session.config)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Once it is known how many items there are."""
    _reporters.leave_room(session.config, len(session.items))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item for each selected case and runbook."""
    parametrize(metafunc, metafunc.config.stash[RUN])


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without --clients there are no clients to drive, with --boundary no runbooks: no test was skipped there."""
    run = config.stash[RUN]
    unselected = {"test_clients.py"} if not run.clients else set()
    if run.settings.selection.boundary:
        unselected |= {"test_runbooks.py", "test_routes.py", "test_checklists.py"}
    return True if collection_path.name in unselected else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Describe the findings where allure keeps them with the item."""
    _reporters.describe_to_allure(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report each finding once and in full, without a traceback through the suite, and without secrets."""
    if call.excinfo is not None and isinstance(call.excinfo.value, NotConforming | Blocked):
        # The way there is not shown; pytest would still take longer over filtering it than over the item.
        call.excinfo = pytest.ExceptionInfo.from_exception(call.excinfo.value.with_traceback(_last(call.excinfo.tb)))
    report = yield
    return item.config.stash[RUN].finish_report(call, report)


def _last(traceback: TracebackType) -> TracebackType:
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback
