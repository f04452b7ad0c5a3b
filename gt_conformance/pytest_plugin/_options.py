"""The suite's command line options, as pytest's and as the command's."""

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from gt_conformance.comparison import FailOn
from gt_conformance.errors import InputError, Problem
from gt_conformance.history import DEFAULT_KEPT
from gt_conformance.launch import Format, Settings, settings_of, split_names
from gt_conformance.vocabulary import GIVEN_TWICE, NAME_WHAT_IS_JUDGED


def add(parser: pytest.Parser) -> None:
    """Register them with pytest."""
    group = parser.getgroup("gt-conformance", "GT API conformance")
    group.addoption(
        "--tenant", metavar="FILE", help="tenant file; else GT_BASE_URL, GT_API_KEY and GT_MODEL; else embedded"
    )
    group.addoption("--runbook", metavar="ID", action="append", default=[], help="only this runbook (may be repeated)")
    group.addoption(
        "--route", metavar="ROUTE", action="append", default=[], help="only this route, such as chat (may be repeated)"
    )
    group.addoption(
        "--verdict", metavar="VERDICT", action="append", default=[], help="only rows of this verdict (may be repeated)"
    )
    group.addoption("--boundary", action="store_true", help="only the tenant's boundary, over all keys, and no runbook")
    group.addoption("--report-dir", metavar="DIR", default="reports", help="where the reports go (default: reports)")
    group.addoption("--runbooks", metavar="DIR", help="a folder of runbooks instead of the 23 that come with the suite")
    group.addoption("--attestations", metavar="FILE", help="what people have attested")
    group.addoption("--waivers", metavar="FILE", help="what is broken or untested, owned until a date")
    group.addoption("--accepted", metavar="FILE", help="the same, as gt-conformance accept writes it")
    group.addoption("--baseline", metavar="FILE", help="results.json of an earlier run: say what changed since")
    group.addoption(
        "--fail-on",
        metavar="WHAT",
        default=FailOn.ANY.value,
        help="any: everything that is wrong fails the run (default); new: only what nobody accepted",
    )
    group.addoption("--history", metavar="DIR", help="keep the results there, and compare with the last ones")
    group.addoption(
        "--history-keep",
        metavar="COUNT",
        type=int,
        default=DEFAULT_KEPT,
        help=f"how many results of a tenant the history keeps (default: {DEFAULT_KEPT})",
    )
    group.addoption(
        "--clients",
        metavar="ID,...",
        default="",
        help="drive these real clients too: runbooks (langchain), single clients (langchain/python), or all",
    )
    group.addoption(
        "--checks",
        metavar="MODULE",
        action="append",
        default=[],
        help="add the checks of this module or .py file (may be repeated)",
    )
    group.addoption("--strict-advisories", action="store_true", dest="gt_strict", help="advisories count as violations")
    group.addoption(
        "--fault",
        metavar="NAME",
        action="append",
        default=[],
        help="embedded tenant: apply this fault (may be repeated)",
    )
    group.addoption(
        "--variant",
        metavar="NAME",
        action="append",
        default=[],
        help="embedded tenant: apply this permitted variation (may be repeated)",
    )
    group.addoption("--versioned-only", action="store_true", help="the same as --fault versioned-only")
    # Other plugins have --timeout and --format: those of the command are these.
    group.addoption(
        "--gt-format",
        metavar="FORMAT",
        default=Format.TEXT.value,
        help=f"what standard output gets: {', '.join(Format)} (default: text)",
    )
    group.addoption("--gt-timeout", metavar="SECONDS", help="how long an answer may take, instead of limits.timeout_s")
    group.addoption(
        "--gt-concurrency", metavar="COUNT", help="requests under way at once, instead of limits.concurrency"
    )
    group.addoption("--gt-max-tokens", metavar="COUNT", help="tokens of the whole run, instead of limits.max_tokens")


def read_settings(config: pytest.Config) -> Settings:
    """The settings of this run. Raises InputError naming every option that makes no sense."""
    option = config.getoption
    if option("numprocesses", None) or option("dist", "no") not in {"no", None} or hasattr(config, "workerinput"):
        raise InputError.of(
            "-n does not go with this suite: each worker would send every request again.",
            hint="Leave it out; the suite already sends requests concurrently (limits.concurrency).",
        )
    problems = [Problem(GIVEN_TWICE.format(option=name)) for name in _given_twice(config.invocation_params.args)]
    faults = _faults(
        [*split_names(option("--fault")), *(["versioned-only"] if option("--versioned-only") else [])], problems
    )
    variants = _variants(split_names(option("--variant")), problems)
    return settings_of(option, faults, variants, problems)


def _given_twice(arguments: Sequence[object]) -> Iterator[str]:
    """Options that name one file and are given more than once: argparse would take the last and say nothing."""
    given = Counter(str(one).partition("=")[0] for one in arguments)
    return (name for name, times in given.items() if times > 1 and name in NAME_WHAT_IS_JUDGED)


def _faults(names: Sequence[str], problems: list[Problem]) -> tuple[str, ...]:
    if not names:
        return ()
    from gt_conformance.pytest_plugin._embedded import name_faults  # noqa: PLC0415 - as it says

    try:
        return name_faults(names)
    except InputError as error:
        problems += error.problems
        return ()


def _variants(names: Sequence[str], problems: list[Problem]) -> tuple[str, ...]:
    if not names:
        return ()
    from gt_conformance.pytest_plugin._embedded import name_variants  # noqa: PLC0415 - as it says

    try:
        return name_variants(names)
    except InputError as error:
        problems += error.problems
        return ()
