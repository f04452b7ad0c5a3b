"""``gt-conformance run``: pytest on the suites."""

import difflib
import gc
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gt_conformance import processes, resources, signals
from gt_conformance.cli._options import (
    choosing_runbooks,
    fault_names,
    further_checks,
    gating,
    list_faults,
    list_variants,
    offering,
    read_time,
    route_ids,
    runbook_ids,
    variant_names,
    verdicts,
)
from gt_conformance.errors import InputError
from gt_conformance.streams import Delivery

if TYPE_CHECKING:
    from gt_conformance.launch import Launch


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True})
@click.option(
    "--tenant", metavar="FILE", help="Tenant file. Else GT_BASE_URL, GT_API_KEY and GT_MODEL; else the embedded tenant."
)
@choosing_runbooks()
@click.option(
    "--route",
    "routes",
    metavar="ROUTE",
    multiple=True,
    shell_complete=offering(route_ids),
    help="Only this route, such as chat (may be repeated).",
)
@click.option(
    "--verdict",
    "verdicts",
    metavar="VERDICT",
    multiple=True,
    shell_complete=offering(verdicts),
    help="Only rows of this verdict (may be repeated).",
)
@click.option("--boundary", is_flag=True, help="Only the tenant's boundary, over all keys, and no runbook.")
@click.option("--report-dir", metavar="DIR", default="reports", show_default=True, help="Where the reports go.")
@click.option("--runbooks", metavar="DIR", help="A folder of your own runbooks.")
@click.option("--attestations", metavar="FILE", help="What people have attested (gt-conformance attest).")
@click.option("--waivers", metavar="FILE", help="Known failures, each with an owner and an end date.")
@gating("any")
@click.option("--clients", metavar="ID,...", default="", help="Drive these real clients too, or `all` of them.")
@further_checks
@click.option("--strict", is_flag=True, help="Advisories count as violations.")
@click.option(
    "--fault",
    "faults",
    metavar="NAME",
    multiple=True,
    shell_complete=offering(fault_names),
    help="Embedded tenant: apply this fault (may be repeated).",
)
@list_faults
@click.option(
    "--variant",
    "variants",
    metavar="NAME",
    multiple=True,
    shell_complete=offering(variant_names),
    help="Embedded tenant: apply this permitted variation (may be repeated).",
)
@list_variants
@click.option(
    "--format",
    "output",
    metavar="FORMAT",
    default="text",
    show_default=True,
    help="What to write to standard output: text, json (the record), ndjson, or github (annotations).",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only the decision.")
@click.option("--color", "colour", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.option("--timeout", metavar="SECONDS", help="How long an answer may take, instead of limits.timeout_s.")
@click.option("--concurrency", metavar="COUNT", help="Requests in flight at once, instead of limits.concurrency.")
@click.option("--max-tokens", metavar="COUNT", help="Token limit for the whole run, instead of limits.max_tokens.")
@click.option(
    "--until-go", is_flag=True, help="Run again and again, while somebody fixes the tenant, until the exit code is 0."
)
@click.option(
    "--every", metavar="TIME", default="30s", show_default=True, help="With --until-go: how long to wait between runs."
)
@click.option("--versioned-only", is_flag=True, help="The same as --fault versioned-only.")
@click.argument(
    "words",
    metavar="[RUNBOOK]... [PYTEST_ARGUMENTS]...",
    nargs=-1,
    type=click.UNPROCESSED,
    shell_complete=offering(runbook_ids),
)
def run(  # noqa: PLR0913, PLR0917 - one argument an option
    tenant: str | None,
    chosen: tuple[str, ...],
    routes: tuple[str, ...],
    verdicts: tuple[str, ...],
    report_dir: str,
    runbooks: str | None,
    attestations: str | None,
    waivers: str | None,
    accepted: str | None,
    baseline: str | None,
    fail_on: str,
    history: str | None,
    history_keep: int | None,
    clients: str,
    modules: tuple[str, ...],
    faults: tuple[str, ...],
    variants: tuple[str, ...],
    *,
    boundary: bool,
    strict: bool,
    versioned_only: bool,
    output: str,
    quiet: bool,
    colour: str,
    timeout: str | None,
    concurrency: str | None,
    max_tokens: str | None,
    until_go: bool,
    every: str,
    words: tuple[str, ...],
) -> int:
    """Judge the runbooks against a tenant.

    If no tenant is named, it starts the embedded one on loopback, and says so. Runbooks may be named before the
    options; an option that may be repeated also takes several names separated by commas. Arguments after -- go to
    pytest.

    \b
    Exit codes:
      0  everything conforms
      1  something violates
      7  nothing violates, something is blocked or unattested
      8  the tenant cannot be reached, or refuses the credential that everything needs
      2, 3, 4, 5  pytest's own: interrupted, internal error, bad command line or file, nothing selected

    \b
    Examples:
      gt-conformance run --tenant acme.yaml
      gt-conformance run dify n8n --tenant acme.yaml
      gt-conformance run dify --tenant acme.yaml --until-go --every 30s
      gt-conformance run --tenant acme.yaml --format json --report-dir reports
      gt-conformance run --tenant acme.yaml --route embeddings --verdict native
      gt-conformance run --tenant acme.yaml --boundary
      gt-conformance run --tenant acme.yaml --history nights --fail-on new
      gt-conformance run --tenant acme.yaml --runbook langchain --clients langchain
      gt-conformance run --fault stream-of-crlf
      gt-conformance run --tenant acme.yaml -- -k "langchain and native" -v
    """
    if until_go:
        return run_until_go(sys.argv[1:], every)
    named_first, pytest_arguments = _split_words(words)
    # Most of what a run makes lives to its end: the default, a look at it for every 700 new objects, is a tenth of it.
    gc.set_threshold(50_000)
    suites = resources.suites_dir()
    given = _ids_resolved(pytest_arguments, suites.parent)
    # What is read is not resolved: behind its link, a pipe of a shell (<(command)) has no name that can be opened.
    files = {"--tenant": tenant, "--runbooks": runbooks, "--attestations": attestations, "--waivers": waivers}
    files |= {"--accepted": accepted, "--baseline": baseline, "--history": history, "--report-dir": report_dir}
    named: dict[str, str] = {name: str(Path(path).absolute()) for name, path in files.items() if path is not None}
    named["--report-dir"] = os.path.realpath(report_dir)
    named["--fail-on"] = fail_on
    named |= {"--clients": clients} if clients else {}
    counts = {} if history_keep is None else {"--history-keep": history_keep}
    named |= {} if timeout is None else {"--gt-timeout": timeout}
    named |= {} if concurrency is None else {"--gt-concurrency": concurrency}
    named |= {} if max_tokens is None else {"--gt-max-tokens": max_tokens}
    named["--gt-format"] = output
    repeated = {
        "--runbook": (*named_first, *chosen),
        "--route": routes,
        "--verdict": verdicts,
        "--checks": modules,
    }
    of_embedded = {"--fault": faults, "--variant": variants}
    launch, delivery = None, Delivery()
    if not any((given, faults, variants, versioned_only, os.environ.get("PYTEST_ADDOPTS"))):
        launch = _launch_early({**_ABSENT, **named, **counts, **repeated, "--boundary": boundary, "gt_strict": strict})
    try:
        import pytest  # noqa: PLC0415 - takes long, and neither --help nor the first request has to wait for it

        arguments = ["-c", str(suites.parent / "pytest.ini"), "--rootdir", str(suites.parent)]
        # Our plugin loads the reporters. Others that are installed are for who gives pytest arguments of its own.
        arguments += [] if given or os.environ.get("PYTEST_ADDOPTS") else ["--disable-plugin-autoload"]
        arguments += ["-p", "gt_conformance.pytest_plugin"]
        arguments += ["-o", f"cache_dir={Path(named['--report-dir'], '.pytest_cache')}"]
        arguments += [f"{name}={value}" for name, value in {**named, **counts}.items()]
        arguments += [f"{name}={value}" for name, values in {**repeated, **of_embedded}.items() for value in values]
        flags = {"--boundary": boundary, "--strict-advisories": strict, "--versioned-only": versioned_only}
        arguments += [name for name, is_set in flags.items() if is_set]
        arguments += [f"--color={_COLOURS[colour]}", *(["-q"] if quiet else [])]
        arguments += [] if _has_temporary_folder() else ["--capture=sys"]  # by default it captures into files
        # Beside the whole folder, a node id would select nothing less.
        arguments += [] if any(item.startswith(str(suites)) for item in given) else [str(suites)]
        plugins = [delivery, _usage_errors(), *([launch] if launch is not None else [])]
        code = int(pytest.main([*arguments, *given], plugins=plugins))
    finally:
        if launch is not None and not isinstance(launch, InputError):
            launch.close()
    gc.unfreeze()  # see Run.pytest_unconfigure
    signals.ignore()  # the reports are written: what comes now must not give them another exit code
    if code == pytest.ExitCode.USAGE_ERROR:
        for word, near in _misspelt(pytest_arguments, click.get_current_context().command):
            click.echo(f"{word}: did you mean {near}?", err=True)
    # A decision that fails stays what it is; one that is good did not reach who reads it here.
    return _UNWRITTEN if code == pytest.ExitCode.OK and delivery.lost is not None else code


def _has_temporary_folder() -> bool:
    """Whether files for a moment can be written anywhere: not so in containers that can write to one volume alone."""
    try:
        tempfile.gettempdir()
    except OSError:
        return False
    return True


_UNWRITTEN = 3
"""The exit code where a report could not be written: standard output is one."""
_COLOURS = {"auto": "auto", "always": "yes", "never": "no"}
"""What pytest calls them."""


def _split_words(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The runbooks that are named before any option, and what goes to pytest."""
    first = next((at for at, word in enumerate(words) if not _RUNBOOKS.fullmatch(word)), len(words))
    return words[:first], words[first:]


_RUNBOOKS = re.compile(r"(?!suites$)[a-z0-9][a-z0-9-]*(,[a-z0-9-]+)*,?")
_ABSENT: Mapping[str, Any] = {
    "--tenant": None,
    "--runbooks": None,
    "--attestations": None,
    "--waivers": None,
    "--accepted": None,
    "--baseline": None,
    "--history": None,
    "--history-keep": None,
    "--clients": "",
    "--gt-timeout": None,
    "--gt-concurrency": None,
    "--gt-max-tokens": None,
    "collectonly": False,
}
"""The options that may be left out, as pytest has them then."""


def _launch_early(options: Mapping[str, Any]) -> "Launch | InputError | None":
    """The run, judging already, where nothing given to pytest could select less of it; or what of it cannot be used.

    pytest's plugin says what that is, and asks no command for a secret a second time. It launches the run itself where
    there is none: its tenant is yet to be started, or the report folder cannot be written to.
    """
    from gt_conformance.launch import Launch, settings_of  # noqa: PLC0415 - --help need not wait for all that judges

    try:
        launch = Launch(settings_of(options.__getitem__))
        launch.start_early()
    except InputError as error:
        return error
    except OSError:
        return None
    return launch if launch.session is not None else None


def _usage_errors() -> object:
    """A plugin that shortens a usage error of pytest to the option that it refuses."""
    import pytest  # noqa: PLC0415 - see above

    class UsageErrors:
        @pytest.hookimpl(wrapper=True)
        def pytest_cmdline_parse(self) -> Generator[None, object, object]:
            try:
                return (yield)
            except pytest.UsageError as error:
                said = re.sub(r"\n  (inifile|rootdir): .*", "", str(error)).rpartition(": error: ")[2]
                more = f"{said}. gt-conformance run --help lists the options." if said != str(error) else said
                raise pytest.UsageError(more) from None

    return UsageErrors()


def _misspelt(arguments: tuple[str, ...], known: click.Command) -> list[tuple[str, str]]:
    # An option that is none of ours goes to pytest, which refuses it without knowing what was meant.
    ours = [name for option in known.params for name in option.opts if name.startswith("--")]
    words = [word.partition("=")[0] for word in arguments if word.startswith("--")]
    near = [(word, difflib.get_close_matches(word, ours, n=1, cutoff=0.75)) for word in words if word not in ours]
    return [(word, found[0]) for word, found in near if found] + _runbooks_meant(arguments)


def _runbooks_meant(arguments: tuple[str, ...]) -> list[tuple[str, str]]:
    # A word that is no id as they are written goes to pytest as well, which looks for a file of that name.
    ids = set(runbook_ids())
    meant = [
        (word, [Path(part.strip()).name.lower().removesuffix(".yaml") for part in word.split(",") if part.strip()])
        for word in arguments
        if not word.startswith("-")
    ]
    near = [(word, ",".join(names)) for word, names in meant if names and ids.issuperset(names)]
    known = {word for word, _ in near}
    files = [(word, f"--tenant {word}") for word, _ in meant if word not in known and _is_tenant_file(word)]
    return [(word, name) for word, name in near if word != name] + files


def _is_tenant_file(word: str) -> bool:
    return Path(word).suffix in {".yaml", ".yml", ".json"} and Path(word).is_file()


def _ids_resolved(arguments: tuple[str, ...], root: Path) -> list[str]:
    # A node id as reports print it (suites/test_routes.py::...) is taken from the suites, wherever the command runs.
    return [
        str(root / item) if item.startswith("suites") and (root / item.partition("::")[0]).exists() else item
        for item in arguments
    ]


# -- until it is GO


_AGAIN = frozenset({1, 7, 8})
"""NO-GO, NOT DECIDED, UNREACHABLE: what somebody may be fixing. All other exit codes end it."""
_INTERRUPTED = 2


def run_until_go(words: Sequence[str], every: str, *, wait: Callable[[float], None] = time.sleep) -> int:
    """Run the command of these words, without ``--until-go``, until its exit code is none that somebody may be fixing.

    Each run is a process of its own, as if it were typed again. The exit code is that of the last one.
    """
    pause_s = read_time(every, "'--every'")
    line = [sys.executable, "-m", "gt_conformance", *_without(words)]
    number = 0
    while True:
        number += 1
        code = processes.run_in_foreground(line)
        if code not in _AGAIN:
            return code if code >= 0 else _INTERRUPTED
        click.echo(f"Run {number} is not GO; the next starts in {every}. Ctrl-C ends this.", err=True)
        wait(pause_s)


def _without(words: Sequence[str]) -> list[str]:
    """The words without --until-go and --every; what follows -- goes to pytest as it is."""
    own = list(words[: words.index("--")] if "--" in words else words)
    kept = [word for word in own if word != "--until-go" and not word.startswith("--every=")]
    if "--every" in kept:
        at = kept.index("--every")
        del kept[at : at + 2]
    return [*kept, *words[len(own) :]]
