"""The terminal: what is under test, how far the run is, and the end in words."""

import json
import os
import sys
import threading
from collections.abc import Generator, Iterable, Sequence
from typing import TextIO, assert_never
from unittest import mock

import click
import pytest

from gt_conformance import __version__, report, streams
from gt_conformance.exchange import inert
from gt_conformance.launch import Format
from gt_conformance.planning import CaseKind, Plan
from gt_conformance.pytest_plugin._run import Run
from gt_conformance.session import Session
from gt_conformance.tenant import TenantKind


class Printer:
    """Prints lines to a stream; ``colour`` is what pytest's ``--color`` says: yes, no or auto."""

    def __init__(self, file: TextIO, colour: str) -> None:
        self.file = file
        self.is_terminal = file.isatty()
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") in {"dumb", "unknown"}
        self._is_coloured = colour == "yes" or (colour != "no" and self.is_terminal and not plain)

    @property
    def columns(self) -> int | None:
        """How wide the terminal is; None where it is none, or does not say."""
        if not self.is_terminal:
            return None
        try:
            return os.get_terminal_size(self.file.fileno()).columns or None
        except OSError:
            return None

    def print(self, text: str, style: str = "") -> None:
        """Print a line in that style, such as ``bold red`` or ``dim``. Nothing in it has a say on the terminal."""
        self.print_parts((text, style))

    def print_parts(self, *parts: tuple[str, str]) -> None:
        """Print a line of several parts, each with its style."""
        self.file.write("".join(self._styled(*part) for part in parts) + "\n")

    def _styled(self, text: str, style: str) -> str:
        shown = str(inert(text))
        if not shown or not style or not self._is_coloured:
            return shown
        words = style.split()
        colour = next((word for word in words if word not in {"bold", "dim"}), None)
        return click.style(shown, fg=colour, bold="bold" in words or None, dim="dim" in words or None)


_PLAIN_EVERY_S = 5.0
_LIVE_EVERY_S = 0.1
_REPORTS = ("compliance.html", "summary.md", "results.json")


class Terminal:
    """Takes the place of pytest's dots and tracebacks, unless -v asks for pytest's own lines."""

    def __init__(self, config: pytest.Config, run: Run) -> None:
        self._run = run
        self._brief = config.option.verbose < 0
        self._quiet = config.option.verbose <= 0 and not run.settings.collect_only
        output = run.settings.output
        self._format = output if self._quiet else Format.TEXT
        if self._quiet:
            # pytest's own summary would say everything a second time, and "failed" of what was only blocked.
            config.option.verbose = -2
            config.option.tbstyle = "no"
            config.option.reportchars = ""
            config.option.no_header = True
            config.option.no_summary = True
        # pytest captures what items print, by file descriptor; this thread writes to the terminal all the same.
        self._console = Printer(streams.duplicate(sys.stdout), config.option.color)
        self._live = Printer(streams.duplicate(sys.stderr), config.option.color)
        self._config = config
        self._workflow = report.Workflow(self._console.print)
        if self._format is Format.TEXT:
            self._workflow.begin()
        self._printed_news = 0
        self._over = threading.Event()
        self._watcher: threading.Thread | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """What pytest says by itself belongs to no format: a program reads standard output."""
        if self._quiet and (self._brief or self._format is not Format.TEXT):
            self._config.get_terminal_writer()._file = sys.stderr  # noqa: SLF001 - there is no other way to tell it

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """No dot an item in the quiet mode; a setup that raised Blocked is an error, as everywhere."""
        if not self._quiet:
            return None
        category = report.outcome if report.when == "call" else "error" if report.failed else ""
        return category, "", ""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Watch the session while the items run. It starts inside this wrapper."""
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        try:
            return (yield)
        finally:
            self._over.set()
            self._watcher.join(1)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
        """In the quiet mode other reporters stay silent about their files: the end names the folder once."""
        if not self._quiet:
            return (yield)
        with mock.patch.object(terminalreporter, "write_sep"):
            return (yield)

    def pytest_unconfigure(self) -> None:
        """The end of the run, in words, when everything has been written."""
        if self._format is Format.TEXT:
            self._end()
            self._workflow.end(self._run.record)
        else:
            self._end_in_format()
        if (lost := streams.problem(self._console.file)) is not None:
            self._live.print(f"error: standard output could not be written: {lost}.")
            for one in self._config.pluginmanager.get_plugins():
                if isinstance(one, streams.Delivery):  # the command's, whose exit code is not yet made
                    one.lost = lost

    def _end(self) -> None:
        record = self._run.record
        if record is None:
            if self._quiet and self._run.nothing_selected:
                self._console.print("Nothing is selected, so nothing was tested.", style="bold red")
            return
        if not self._brief:
            for line in report.summary_lines(record, self._console.columns):
                self._console.print(line.text, line.style)
            folder = self._run.settings.report_dir
            if written := [name for name in _REPORTS if (folder / name).is_file()]:
                self._console.print(f"Reports in {folder}{os.sep}: {', '.join(written)}", style="dim")
        for notice in self._run.baseline.notices:
            self._console.print(str(notice), style="yellow")
        for trouble in self._run.trouble:
            self._console.print(trouble, style="bold red")
        if record["run"]["tenant"]["kind"] == TenantKind.EMBEDDED and not self._brief:
            settings = self._run.settings
            chosen = {"faults": settings.faults, "variants": settings.variants}
            changes = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in chosen.items() if names)
            what = f"EMBEDDED tenant with {changes}. This" if changes else "EMBEDDED tenant: this"
            self._console.print(f"{what} {_EVIDENCE}", style="bold yellow")
        if self._run.failed:
            self._console.print(report.NOT_DECIDED, style="bold red")
        else:
            verdict = report.last_line(record)
            self._console.print(verdict.text, style=verdict.style)

    def _end_in_format(self) -> None:
        """What a program reads, alone on standard output; what went wrong here, on standard error."""
        record = self._run.record
        for text in (*map(str, self._run.baseline.notices), *self._run.trouble):
            self._live.print(text)
        if record is None:
            if self._run.nothing_selected:
                self._live.print("Nothing is selected, so nothing was tested.")
            return
        match self._format:
            case Format.JSON:
                lines: Iterable[str] = [json.dumps(record, indent=2)]
            case Format.NDJSON:
                lines = report.json_lines(record)
            case Format.GITHUB | Format.TEXT:
                lines = report.annotations(record)
            case _:
                assert_never(self._format)
        for line in lines:
            self._console.file.write(f"{line}\n")
        self._console.file.flush()

    def _watch(self) -> None:
        while (session := self._run.session) is None:
            if self._over.wait(0.01):
                return
        if self._brief or self._format is not Format.TEXT:
            return
        self._print_opening(session.plan)
        if not self._quiet:
            return
        if self._live.is_terminal:
            self._watch_live(session)
        else:
            self._watch_plain(session)

    def _print_opening(self, plan: Plan) -> None:
        tenant, rows = plan.tenant, plan.of(CaseKind.ROW)
        books = {case.runbook for case in rows}
        kind = " (EMBEDDED)" if tenant.kind is TenantKind.EMBEDDED else ""
        self._console.print_parts(
            (f"gt-conformance {__version__}", "bold"), (f" · {tenant.base_url}", ""), (kind, "bold")
        )
        self._console.print(
            f"{_count(len(books), 'runbook')}, {_count(len(rows), 'row')}, "
            f"{_count(len(plan.of(CaseKind.ITEM)), 'item')}, "
            f"{_count(len(plan.of(CaseKind.TENANT)), 'tenant check')}: "
            f"{_count(len(plan.distinct), 'different check')}",
            style="dim",
        )

    def _watch_live(self, session: Session) -> None:
        from rich.console import Console  # noqa: PLC0415 - what takes long to load is for who watches
        from rich.markup import escape  # noqa: PLC0415 - as above
        from rich.progress import (  # noqa: PLC0415 - as above
            BarColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        columns = (
            SpinnerColumn(),
            BarColumn(30),
            TextColumn("{task.completed}/{task.total} checks · {task.fields[requests]} requests"),
            TimeElapsedColumn(),
        )
        console = Console(file=self._live.file, highlight=False, no_color=self._config.option.color == "no")
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=None, requests=0)
            while not self._over.wait(_LIVE_EVERY_S):
                now = session.progress
                for line in self._read_news(session):
                    bar.console.print(escape(line), style="dim")
                bar.update(task, completed=now.judged, total=now.planned, requests=now.requests)

    def _read_news(self, session: Session) -> Sequence[str]:
        """What went on with the clients since it was last read."""
        news = session.news[self._printed_news :]
        self._printed_news += len(news)
        return news

    def _watch_plain(self, session: Session) -> None:
        while not self._over.wait(_PLAIN_EVERY_S):
            for line in self._read_news(session):
                self._live.print(line)
            now = session.progress
            self._live.print(f"{now.judged}/{now.planned} checks, {now.requests} requests")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_EVIDENCE = "run is evidence about the suite, never about a tenant."
