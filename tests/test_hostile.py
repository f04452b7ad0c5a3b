"""Hostile tenants: a few of those that ``make prove`` runs against the real command, and what is held against a run."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from gt_conformance import results
from prove import hostile
from prove.hostile_tenants import HOSTILE

pytestmark = pytest.mark.slow

NAMED = {one.name: one for one in HOSTILE}


def test_there_are_many_and_each_is_described() -> None:
    """At least 20 hostile tenants; most let a key's controls pass, so that all the rest is tried."""
    assert len(NAMED) == len(HOSTILE) >= 20
    control = hostile.HARMLESS
    assert all(one.description and one.act is not control.act for one in HOSTILE)


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reports of a run against a front that does no harm."""
    folder = tmp_path_factory.mktemp("harmless")
    found = hostile.run_against(hostile.HARMLESS, folder, None)
    assert found.problems == ()
    assert found.code == 0
    return folder / "harmless" / "reports"


@pytest.fixture(scope="module")
def whole(harmless: Path) -> list[str]:
    """What its record holds."""
    return hostile.list_cases(results.read(harmless / "results.json"))


def test_a_hostile_tenant_is_survived(whole: list[str], tmp_path: Path) -> None:
    """In time, in little memory, with a complete and inert report, and nobody else is called."""
    found = hostile.run_against(NAMED["odd-texts"], tmp_path, whole)
    assert found.problems == ()
    assert found.code == 1


def _ended(**facts: object) -> hostile.CommandResult:
    return hostile.CommandResult(**({"code": 1, "output": "", "seconds": 1.0, "memory": 1} | facts))  # type: ignore[arg-type]


HARMS: dict[str, tuple[Callable[[Path], object], dict[str, object], str]] = {
    "too long": (lambda _: None, {"seconds": hostile.DEADLINE_S}, "it had not ended"),
    "too much": (lambda _: None, {"memory": hostile.MOST_MEMORY + 1}, "of memory"),
    "killed": (lambda _: None, {"code": -signal.SIGKILL}, "exit code -9"),
    "a traceback": (lambda _: None, {"output": "Traceback (most recent call last)"}, "a traceback"),
    "an escape": (lambda _: None, {"output": "\x1b[2J"}, "the terminal holds the control character"),
    "a secret": (lambda _: None, {"output": "and 123456789abcdefgh"}, "the terminal holds a secret"),
    "an escaped secret": (
        lambda folder: (folder / "x.json").write_text(json.dumps("\\u0031" + "23456789abcdefgh")),
        {},
        "x.json holds a secret",
    ),
    "no record": (lambda folder: (folder / "results.json").unlink(), {}, "results.json: "),
    "not whole": (
        lambda folder: _rewrite(folder, _without_a_check),
        {},
        "does not hold every planned row",
    ),
    "a fault of the suite": (
        lambda folder: _rewrite(folder, lambda record: record["suite_errors"].append("ValueError: oh")),
        {},
        "a fault of the suite: ValueError: oh",
    ),
    "a script": (
        lambda folder: _add(folder / "compliance.html", "<script>gtHostile()</script></html>"),
        {},
        "compliance.html took a text of the tenant for markup",
    ),
    "a handler": (
        lambda folder: _add(folder / "pytest.html", '<img src=x onerror="x()"></html>'),
        {},
        "pytest.html took a text of the tenant for markup",
    ),
    "a blob": (
        lambda folder: _add(folder / "pytest.html", "<div data-jsonblob='[\"<img onerror=x>\"]'></div></html>"),
        {},
        "pytest.html took a text of the tenant for markup",
    ),
    "a page cut short": (lambda folder: (folder / "compliance.html").write_text("<html>"), {}, "is cut short"),
    "no page": (lambda folder: (folder / "pytest.html").unlink(), {}, "there is no pytest.html"),
    "no XML": (lambda folder: (folder / "junit.xml").write_text("<a>"), {}, "junit.xml: "),
}


def _without_a_check(record: results.Record) -> None:
    record["tenant_checks"].pop()
    record["totals"] = results.totals(record)


def _rewrite(folder: Path, change: Callable[[results.Record], object]) -> None:
    record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    change(record)
    record["decision"] = results.decide(record)
    (folder / "results.json").write_text(json.dumps(record), encoding="utf-8")


def _add(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


SECRETS = ["gtak_123456789abcdefgh"]


def test_nothing_is_told_where_no_harm_was_done(harmless: Path, whole: list[str]) -> None:
    """Reports as they should be, and a command that ended as it should."""
    assert list(hostile.find_problems(_ended(), harmless, SECRETS, whole)) == []


@pytest.mark.parametrize("harm", HARMS)
def test_whatever_harm_was_done_is_told(harm: str, harmless: Path, whole: list[str], tmp_path: Path) -> None:
    """Each thing that a run must not do, or leave behind, is found."""
    for name in ("results.json", "compliance.html", "pytest.html", "junit.xml"):
        (tmp_path / name).write_bytes((harmless / name).read_bytes())
    change, facts, told = HARMS[harm]
    change(tmp_path)
    found = list(hostile.find_problems(_ended(**facts), tmp_path, SECRETS, whole))
    assert any(told in text for text in found)
