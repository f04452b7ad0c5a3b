"""The journal of a run: what is appended, and the record that it becomes."""

import json
import threading
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner

from gt_conformance import journal, results
from gt_conformance.cli._main import command
from gt_conformance.errors import InputError
from gt_conformance.journal import JOURNAL, Findings, JournalWriter
from gt_conformance.planning import CaseKind
from gt_conformance.results import Record
from tests.made_records import PARTS, book, check, record

BLANK = record(
    book(parts={name: [check("blocked", exchanges=[])] for name in PARTS}),
    tenant_checks=[check("blocked", "key.required", exchanges=[])],
)
JUDGED = record(book(parts={"chat": [check("violates")], "models": [check("blocked")]}))
ROWS = {row["id"]: row for row in JUDGED["runbooks"][0]["routes"]}


def written(path: Path, *findings: Findings) -> Path:
    """A journal with these findings, as a run that ended without results.json leaves it."""
    left, over = list(findings), threading.Event()

    def find() -> Findings:
        if left:
            return left.pop(0)
        over.set()
        return Findings()

    with mock.patch.object(journal, "_EVERY_S", 0.001):
        writer = JournalWriter(path / JOURNAL, lambda: BLANK, find)
        writer.start()
        assert over.wait(60)
        writer.close()
    return path / JOURNAL


def judged(name: str) -> Findings:
    """A row with the exchanges that it refers to."""
    return Findings(JUDGED["exchanges"], [(CaseKind.ROW, ROWS[name])], JUDGED["traffic"])


def outcomes(value: Record) -> dict[str, str]:
    """The rows of a record with their outcomes."""
    return {row["id"]: row["outcome"] for one in value["runbooks"] for row in one["routes"]}


def test_what_was_judged_stands_in_the_place_of_what_was_not(tmp_path: Path) -> None:
    """Outcome, totals, exchanges and traffic are those of what the journal holds; the rest stays blocked."""
    found = journal.rebuild(written(tmp_path, judged("dify-chat-native")))
    assert outcomes(found)["dify-chat-native"] == "violates"
    assert outcomes(found)["dify-models-native"] == "blocked"
    assert found["exchanges"] == JUDGED["exchanges"]
    assert found["totals"] == results.totals(found)
    assert found["run"]["interrupted"] == "killed"


def test_nothing_was_judged_yet(tmp_path: Path) -> None:
    """A journal of one line is the record of a run that judged nothing."""
    assert set(outcomes(journal.rebuild(written(tmp_path))).values()) == {"blocked"}


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_line_that_was_being_written_is_left_out(tmp_path: Path, cut: int) -> None:
    """A kill in the middle of a line costs that line, and no other."""
    path = written(tmp_path, judged("dify-chat-native"), judged("dify-models-native"))
    path.write_bytes(path.read_bytes()[:-cut])
    assert outcomes(journal.rebuild(path))["dify-chat-native"] == "violates"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda text: text.replace("\n", "\nnonsense\n", 1), f"{JOURNAL}:2: this line", id="a-line"),
        pytest.param(lambda _: "", "this is not the journal", id="empty"),
        pytest.param(lambda _: "{}\n", "this is not the journal", id="another-file"),
        pytest.param(
            lambda text: text.replace('"journal": 1', '"journal": 2', 1), "this is not the journal", id="version"
        ),
        pytest.param(
            lambda text: text.replace('"tenant_checks": [', '"checks": [', 1), "the journal is damaged", id="a-key"
        ),
        pytest.param(
            lambda text: text.replace('"outcome": "blocked"', '"outcome": "fine"', 1), "is damaged", id="a-word"
        ),
    ],
)
def test_what_is_no_journal_is_a_sentence(tmp_path: Path, change: "object", said: str) -> None:
    """A journal that was changed, or another file, is named with the line; never a traceback."""
    path = written(tmp_path, judged("dify-chat-native"))
    assert callable(change)
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError) as raised:
        journal.rebuild(path)
    assert said in str(raised.value)


def test_there_is_no_journal(tmp_path: Path) -> None:
    """The message says where results are instead."""
    with pytest.raises(InputError, match=r"journal\.ndjson.*No such file.*results\.json"):
        journal.rebuild(tmp_path)


def test_report_renders_it(tmp_path: Path) -> None:
    """gt-conformance report --from-journal writes the record and its documents, and names the folder."""
    written(tmp_path, judged("dify-chat-native"))
    out = tmp_path / "out"
    found = CliRunner().invoke(command, ["report", "--from-journal", str(tmp_path), "--out", str(out)])
    assert found.exit_code == 0, found.output
    assert outcomes(results.read(out / "results.json"))["dify-chat-native"] == "violates"
    assert "Killed before it ended." in (out / "summary.md").read_text().splitlines()[0]


def test_a_disk_that_is_full_stops_the_journal_only(tmp_path: Path) -> None:
    """What could not be written is kept as the reason; nothing is raised in the journal's thread."""
    path = tmp_path / JOURNAL
    path.symlink_to("/dev/full")
    writer = JournalWriter(path, lambda: BLANK, Findings)
    writer.start()
    writer.close()
    assert "No space left" in str(writer.problem)


def test_an_earlier_run_is_marked_when_another_begins(tmp_path: Path) -> None:
    """Its record is moved aside, and none of its documents says any more that something conforms."""
    from gt_conformance import report  # noqa: PLC0415 - loads the templates

    report.claim(tmp_path)
    report.write_all(record(book(parts={"chat": [check("conforms")]})), tmp_path)
    before = (tmp_path / "results.json").read_bytes()
    report.mark_under_way(tmp_path, "https://acme.example/api/tenant")
    assert not (tmp_path / "results.json").exists()
    assert (tmp_path / "previous" / "results.json").read_bytes() == before
    for name in ("compliance.html", "summary.md", "badge.json", "badges/dify.json"):
        text = (tmp_path / name).read_text()
        assert "no result" in text or "no report" in text.lower()
        assert "conforms" not in text
        assert "green" not in text
    assert json.loads((tmp_path / "badges" / "dify.json").read_text())["label"].startswith("GT API")
    report.claim(tmp_path)  # a further run finds all of this its own
