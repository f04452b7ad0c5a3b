"""``report`` as a gate: the exit code is the decision of what was merged, with its past and with what was accepted."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from gt_conformance import results
from gt_conformance.results import Record
from gt_conformance.results.case_types import CheckRecord
from tests.commands import Finished, in_process
from tests.made_records import DIGEST, book, check, record, refused

CHAT, STREAM = "chat.completes~aaaaaa", "chat.streams~cccccc"
SOUND: Mapping[str, Sequence[CheckRecord]] = {}


def violating(*findings: str) -> CheckRecord:
    """A check with a violation of each of these findings."""
    found = [{"expected": "200", "found": f"5{n}", "exchange": "x0001", "finding": f} for n, f in enumerate(findings)]
    return check("violates", breaches=found)


BROKEN = {"chat": [violating(CHAT)]}
WORSE = {"chat": [violating(CHAT, STREAM)]}
MISSING = {
    "chat": [check("blocked", obstacles=[{"reason": "No key.", "remedy": "Add one.", "finding": "setup~bbbbbb"}])]
}


def night(run: str, day: int, parts: Mapping[str, Sequence[CheckRecord]], name: str = "dify") -> Record:
    """A run of one runbook in the morning of that day."""
    started = f"2026-11-{day:02}T03:00:00.000Z"
    return record(book(name, parts), run={"id": run, "started": started, "finished": started})


def report(folder: Path, found: Mapping[str, Record], *words: str) -> Finished:
    """``report`` of these records, by the names of their files, into the folder ``out``."""
    for name, value in found.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return in_process("report", *(f"{name}.json" for name in found), "--out", "out", *words, cwd=folder)


def written(folder: Path) -> Record:
    """The record that was rendered."""
    return results.read(folder / "out" / "results.json")


OTHER = {"base_url": "https://other.example/api/tenant"}
CODES: Mapping[str, tuple[Mapping[str, Record], int]] = {
    "sound": ({"a": night("a1", 20, SOUND)}, 0),
    "a part": ({"a": record(book(only=["chat"]), run={"id": "a1"})}, 0),
    "violating": ({"a": night("a1", 20, BROKEN)}, 1),
    "blocked": ({"a": night("a1", 20, MISSING)}, 7),
    "no answer": ({"a": refused(night("a1", 20, SOUND))}, 8),
    "a fault of the suite": ({"a": record(book(parts=BROKEN), suite_errors=["Traceback"])}, 3),
    "sound shards": ({"a": night("a1", 20, SOUND), "b": night("a2", 20, SOUND, "n8n")}, 0),
    "one shard of two violates": ({"a": night("a1", 20, SOUND), "b": night("a2", 20, BROKEN, "n8n")}, 1),
    "one shard of two is blocked": ({"a": night("a1", 20, MISSING), "b": night("a2", 20, SOUND, "n8n")}, 7),
    "a tenant blocked, one violating": (
        {"a": night("a1", 20, MISSING), "b": record(book(parts=BROKEN), run={"id": "b1"}, tenant=OTHER)},
        1,
    ),
}


@pytest.mark.parametrize("name", CODES)
def test_what_was_merged_decides_where_that_is_asked_for(tmp_path: Path, name: str) -> None:
    """The exit code is that of a run with that result."""
    found, code = CODES[name]
    decided = report(tmp_path, found, "--fail-on", "any")
    assert decided.code == code, decided.said
    assert "Traceback" not in decided.stderr


def test_the_decision_is_said_with_its_reason(tmp_path: Path) -> None:
    """The last line that is printed is the decision of the merged record."""
    shards = {"a": night("a1", 20, SOUND), "b": night("a2", 20, BROKEN, "n8n")}
    done = report(tmp_path, shards, "--fail-on", "any")
    assert done.stdout.splitlines()[-1].startswith("NO-GO: ")
    assert written(tmp_path)["decision"] == "NO-GO"


def test_without_an_option_that_decides_rendering_is_all(tmp_path: Path) -> None:
    """A report of what violates ends with 0, as scripts that only render rely on."""
    assert report(tmp_path, {"a": night("a1", 20, BROKEN)}).code == 0


def test_a_history_is_compared_with_and_kept(tmp_path: Path) -> None:
    """Each report is compared with the night before it, also where it is rendered again after a later one."""
    days = {
        "one": night("a1", 20, SOUND),
        "two": night("a2", 21, BROKEN),
        "three": night("a3", 22, BROKEN),
    }
    codes, before = [], []
    for name in ("one", "two", "three", "two", "one"):
        codes.append(report(tmp_path, {name: days[name]}, "--history", "nights").code)
        found = written(tmp_path)
        before.append(found["since"]["run"]["id"] if "since" in found else None)
        days_shown = [item["run"] for item in found["history"]]
        assert days_shown[-1] == days[name]["run"]["id"]
    assert codes == [0, 1, 1, 1, 0]
    assert before == [None, "a1", "a2", "a1", None]
    assert len(list((tmp_path / "nights").glob("*.json.gz"))) == 3


def test_shards_are_compared_with_the_night_before_and_not_with_themselves(tmp_path: Path) -> None:
    """Shards that their runs kept are parts of this night; the last whole night is what it is compared with."""
    whole = record(book("dify"), book("n8n", BROKEN), run={"id": "b1"})
    shards = {"a": night("a1", 25, SOUND), "b": night("a2", 25, SOUND, "n8n")}
    for name, found in {"whole": whole, **shards}.items():
        assert report(tmp_path, {name: found}, "--history", "nights").code in {0, 1}
    done = report(tmp_path, shards, "--history", "nights")
    assert done.code == 0
    assert written(tmp_path)["since"]["run"]["id"] == "b1"
    assert [change["place"] for change in written(tmp_path)["since"]["fixed"]] == ["n8n-chat-native"]


def accepting(folder: Path, name: str) -> None:
    """Accept what a record has, in the folder of the history."""
    words = ("--owner", "A. Example", "--reason", "Known.", "--to", "nights/accepted.yaml")
    assert in_process("accept", f"{name}.json", *words, cwd=folder).code == 0


def test_only_what_nobody_accepted_fails(tmp_path: Path) -> None:
    """What was accepted is an exception, in the exit code, in the record and on the page; what is new fails."""
    assert report(tmp_path, {"one": night("a1", 20, BROKEN)}, "--history", "nights", "--fail-on", "new").code == 1
    accepting(tmp_path, "one")
    second = night("a2", 21, BROKEN)
    second["run"]["runbooks_digest"] = results.runbooks_digest([("dify", DIGEST)])
    known = report(tmp_path, {"two": second}, "--history", "nights", "--fail-on", "new")
    assert (known.code, written(tmp_path)["decision"]) == (0, "GO WITH EXCEPTIONS")
    assert written(tmp_path)["run"]["options"]["accepted"] == "accepted.yaml"
    assert "GO WITH EXCEPTIONS" in (tmp_path / "out" / "compliance.html").read_text("utf-8")
    assert in_process("verify", "out", cwd=tmp_path).code == 0, "what was accepted is no forgery"
    every = report(tmp_path, {"two": night("a2", 21, BROKEN)}, "--history", "nights", "--fail-on", "any")
    assert every.code == 1
    new = report(tmp_path, {"three": night("a3", 22, WORSE)}, "--history", "nights", "--fail-on", "new")
    assert new.code == 1
    fixed = report(tmp_path, {"four": night("a4", 23, SOUND)}, "--history", "nights", "--fail-on", "new")
    assert fixed.code == 0
    assert f"{CHAT}, which was accepted, is no longer there" in fixed.stderr


def test_what_was_accepted_of_the_baseline_counts(tmp_path: Path) -> None:
    """With a baseline, accepted.yaml next to it is read, as a run does."""
    old, new = night("a1", 20, BROKEN), night("a2", 21, BROKEN)
    (tmp_path / "nights").mkdir()
    (tmp_path / "nights" / "old.json").write_text(json.dumps(old))
    words = ("--baseline", "nights/old.json", "--fail-on", "new")
    assert report(tmp_path, {"new": new}, *words).code == 1
    accepting(tmp_path, "nights/old")
    assert report(tmp_path, {"new": new}, *words).code == 0
    assert written(tmp_path)["since"]["run"]["id"] == "a1"


def test_the_project_file_names_what_no_option_does(tmp_path: Path) -> None:
    """gt-conformance.toml names the history and what is accepted, where the report decides; else nothing is kept."""
    (tmp_path / "gt-conformance.toml").write_text('history = "nights"\n')
    assert report(tmp_path, {"one": night("a1", 20, BROKEN)}).code == 0
    assert not (tmp_path / "nights").exists()
    assert report(tmp_path, {"one": night("a1", 20, BROKEN)}, "--fail-on", "new").code == 1
    assert len(list((tmp_path / "nights").glob("*.json.gz"))) == 1


def test_a_record_that_does_not_hold_is_never_accepted(tmp_path: Path) -> None:
    """What is rendered unverified stays NOT DECIDED, whatever is accepted, and no history keeps it."""
    assert report(tmp_path, {"one": night("a1", 20, BROKEN)}, "--history", "nights").code == 1
    accepting(tmp_path, "one")
    forged = night("a2", 21, BROKEN)
    forged["decision"] = "GO"
    words = ("--unverified", "--history", "nights", "--fail-on", "new")
    done = report(tmp_path, {"forged": forged}, *words)
    assert (done.code, written(tmp_path)["decision"]) == (7, "NOT DECIDED")
    assert not list((tmp_path / "nights").glob("*-a2.json.gz"))


MISTAKES = {
    "of nothing": (("--fail-on", "new"), "--fail-on new needs to know what was accepted."),
    "no such value": (("--fail-on", "old"), "there is no value of --fail-on 'old'."),
    "keeping nothing": (("--history", "nights", "--history-keep", "0"), "--history-keep is less than 1."),
    "keeping nowhere": (("--history-keep", "3"), "--history-keep is about --history, which is not named."),
    "another tenant": (("--baseline", "b.json", "--fail-on", "new"), "this is a record of https://other.example"),
    "several tenants": (("b.json", "--baseline", "b.json"), "--baseline is a record of one tenant, and these are"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_options_that_make_no_sense_write_nothing(tmp_path: Path, mistake: str) -> None:
    """A sentence and exit code 4, before a document is written."""
    words, sentence = MISTAKES[mistake]
    (tmp_path / "b.json").write_text(json.dumps(record(book(), run={"id": "b1"}, tenant=OTHER)))
    done = report(tmp_path, {"a": night("a1", 20, SOUND)}, *words)
    assert done.code == 4
    assert sentence in done.said
    assert not (tmp_path / "out").exists()
