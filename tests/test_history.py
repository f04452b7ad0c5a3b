"""The results of past nights: what is kept, what is read again, and what a damaged or missing part costs."""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from gt_conformance import results
from gt_conformance.errors import InputError, Location
from gt_conformance.history import History
from gt_conformance.results import Record
from gt_conformance.results.run_types import ScopeRecord, ShareRecord, TenantAddress
from tests.made_records import LIVE, PARTS, book, check, record, refused

TENANT: TenantAddress = {"kind": "live", "base_url": LIVE}
OTHER: TenantAddress = {"kind": "live", "base_url": "https://other.example/api/tenant"}
EMBEDDED: TenantAddress = {"kind": "embedded", "base_url": "http://127.0.0.1:40001/api/tenant"}


def night(day: str, run: str = "a1", hour: int = 3, outcome: str = "conforms", **more: Any) -> Record:
    """A run of that day (``22``: of November 2026; or a whole date)."""
    moment = f"{day if '-' in day else f'2026-11-{day}'}T{hour:02}:00:00.000Z"
    return record(book(parts={"chat": [check(outcome)]}), run={"id": run, "started": moment}, **more)


def names(folder: Path) -> list[str]:
    """The files, by name."""
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_named_by_moment_tenant_and_run(tmp_path: Path) -> None:
    """The names sort by time, and hold no address of a tenant. The files are the records, compressed."""
    kept = night("22", "abc123")
    path = History(tmp_path).keep(kept)
    embedded = History(tmp_path).keep(night("22", "d4", tenant=EMBEDDED))
    assert path.name.startswith("20261122T030000Z-")
    assert path.name.endswith("-abc123.json.gz")
    assert "acme" not in path.name
    assert embedded.name == "20261122T030000Z-embedded-d4.json.gz"
    assert results.read(path) == kept
    assert path.stat().st_size < len(json.dumps(kept)) / 3


def test_the_oldest_of_a_tenant_go(tmp_path: Path) -> None:
    """Each tenant keeps as many as are wanted; what is another tenant's, or no record of ours, stays."""
    foreign = ["notes.txt", "20200101T000000Z-backup.json.gz", "results.json"]
    for name in foreign:
        (tmp_path / name).write_text("mine")
    history = History(tmp_path, kept=2)
    others = [history.keep(night("01", "e1", tenant=other)).name for other in (OTHER, EMBEDDED)]
    kept = [history.keep(night(day, "a1")).name for day in ("20", "21", "22", "23")]
    assert names(tmp_path) == sorted([*foreign, *others, *kept[-2:]])


def test_what_was_just_added_stays(tmp_path: Path) -> None:
    """A night whose clock was wrong, years ahead, does not push out tonight's."""
    history = History(tmp_path, kept=1)
    history.keep(night("2031-01-01", "a1"))
    tonight = history.keep(night("22", "a2"))
    assert names(tmp_path) == [tonight.name]


def test_the_newest_are_kept_by_their_own_dates(tmp_path: Path) -> None:
    """Not by their names, nor by when the files were made: one that was renamed is as old as its record."""
    history = History(tmp_path, kept=3)
    paths = [history.keep(night(day, f"a{day}")) for day in ("20", "21")]
    renamed = paths[0].rename(paths[0].with_name(paths[0].name.replace("20261120", "20991231")))
    os.utime(renamed)
    history.keep(night("22", "b1"))
    assert [item["run"] for item in history.nights(night("25", "b4"))[0]] == ["a20", "a21", "b1", "b4"]
    history.keep(night("23", "b2"))
    assert not renamed.exists()
    assert paths[1].exists()


def test_a_run_at_another_offset_is_as_old_as_its_moment(tmp_path: Path) -> None:
    """A record that names its time zone is filed by the same moment in UTC."""
    run = night("22", "a1")
    run["run"]["started"] = "2026-11-22T01:30:00.000+02:00"
    assert History(tmp_path).keep(run).name.startswith("20261121T233000Z-")


@pytest.mark.parametrize(
    "content",
    [b"mine", gzip.compress(b"mine"), gzip.compress(b'{"schema_version": 1}')],
    ids=["text", "packed-text", "packed-mapping"],  # gzip writes the time into what it packs
)
def test_what_is_no_record_is_never_deleted(tmp_path: Path, content: bytes) -> None:
    """Even where it has the name of one, and is the oldest."""
    history = History(tmp_path, kept=1)
    kept = history.keep(night("20"))
    mine = kept.with_name(kept.name.replace("2026", "2019"))
    mine.write_bytes(content)
    history.keep(night("21"))
    history.keep(night("22"))
    assert mine.read_bytes() == content
    assert len(names(tmp_path)) == 2


def test_the_latest_is_the_last_in_which_something_was_tested(tmp_path: Path) -> None:
    """A night without a tenant is no measure for the next one; nor is another tenant's."""
    history = History(tmp_path)
    history.keep(night("20", "a1"))
    tested = history.keep(night("21", "a2"))
    history.keep(refused(night("22", "a3", outcome="blocked")))
    history.keep(night("23", "a4", tenant=OTHER))
    source, problems = history.latest(TENANT)
    assert (source and source.path, problems) == (tested, [])
    assert history.latest(EMBEDDED) == (None, [])


def test_a_whole_run_is_measured_by_a_whole_one(tmp_path: Path) -> None:
    """A run of one runbook in between is passed over: beside it all that violates elsewhere would be new."""
    history = History(tmp_path)
    some, every = (ShareRecord(selected=part, known=9) for part in (1, 9))
    runs = [night(day, "a1") for day in ("21", "22")]
    for run, share in zip(runs, (every, some), strict=True):
        run["run"]["scope"] = ScopeRecord(runbooks=share, rows=share, items=share, tenant_checks=share)
    whole, partial = (history.keep(results.conclude(run)) for run in runs)
    found = [history.latest(TENANT, whole=only)[0] for only in (True, False)]
    assert [source and source.path for source in found] == [whole, partial]


def test_the_embedded_tenant_is_one_at_any_port(tmp_path: Path) -> None:
    """It listens on another port each time, and its nights are those of one tenant."""
    history = History(tmp_path)
    history.keep(night("21", "a1", tenant=EMBEDDED))
    moved = EMBEDDED | {"base_url": "http://127.0.0.1:50002/api/tenant"}
    found, _ = history.nights(night("22", "a2", tenant=moved))
    assert [item["run"] for item in found] == ["a1", "a2"]
    assert history.latest(moved)[0] is not None


def test_a_day_has_one_bar(tmp_path: Path) -> None:
    """Of several runs of a day the last counts, and this run is the last of its own day."""
    history = History(tmp_path)
    for hour, run, outcome in ((3, "a1", "violates"), (9, "a2", "blocked")):
        history.keep(night("21", run, hour, outcome))
    history.keep(night("22", "a3", outcome="violates"))
    found, problems = history.nights(night("22", "a4", hour=9))
    assert [(item["day"], item["run"], item["runbooks"]["dify"]) for item in found] == [
        ("2026-11-21", "a2", "incomplete"),
        ("2026-11-22", "a4", "conformant"),
    ]
    assert found[-1]["totals"]["conforms"] == len(PARTS)
    assert problems == []


def test_thirty_days_are_told(tmp_path: Path) -> None:
    """A record carries thirty days at most, itself included: the last ones, oldest first. Its file holds them."""
    history = History(tmp_path)
    days = [(date(2026, 10, 1) + timedelta(days=number)).isoformat() for number in range(33)]
    for day in days[:-1]:
        history.keep(night(day))
    today = night(days[-1])
    found, _ = history.nights(today)
    assert [item["day"] for item in found] == days[-30:]
    results.parsed(json.dumps(today | {"history": found}).encode(), Location("results.json"))


@pytest.mark.parametrize(
    ("left_out", "outcome", "drawn"),
    [
        ("chat", "conforms", "partial"),
        ("item-2", "conforms", "partial"),
        ("chat", "blocked", "incomplete"),
        ("chat", "violates", "non_conformant"),
        (None, "conforms", "conformant"),
    ],
    ids=["a-row", "an-item", "blocked", "violating", "nothing"],
)
def test_a_part_that_conforms_is_no_conformant_night(
    tmp_path: Path, left_out: str | None, outcome: str, drawn: str
) -> None:
    """A night that judged some of a runbook counts as that; what it found wrong counts all the same."""
    judged = book(parts={"models": [check(outcome)]}, only=[part for part in PARTS if part != left_out])
    found, _ = History(tmp_path).nights(record(judged))
    assert found[0]["runbooks"] == {"dify": drawn}


def cut(path: Path) -> None:
    """Cut the file short."""
    path.write_bytes(path.read_bytes()[:-40])


def as_pipe(path: Path) -> None:
    """Put a named pipe in its place, to which nobody writes."""
    path.unlink()
    os.mkfifo(path)


def spelt(**changes: object) -> Callable[[Path], None]:
    """Change keys of the record by hand."""

    def change(path: Path) -> None:
        value = json.loads(gzip.decompress(path.read_bytes()))
        path.write_bytes(gzip.compress(json.dumps(value | changes).encode()))

    return change


def holding(content: bytes) -> Callable[[Path], None]:
    """Put that in the place of what it holds."""

    def change(path: Path) -> None:
        path.write_bytes(content)

    return change


def as_folder(path: Path) -> None:
    """Put a folder in its place."""
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], None]] = {
    "cut-short": cut,
    "empty": holding(b""),
    "a-folder": as_folder,
    "a-pipe": as_pipe,
    "a-bomb": holding(gzip.compress(b" " * 50_000)),
    "not-compressed": holding(b"{}"),
    "a-list": holding(gzip.compress(b"[]")),
    "without-a-run": spelt(run=None),
    "odd-totals": spelt(totals={"conforms": "many"}),
    "odd-outcome": spelt(runbooks=[{"id": "dify", "outcome": "splendid", "routes": [], "checklist": []}]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_costs_its_own_night(tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other nights are read, the file is named with what to do, and the latest is the one before it."""
    monkeypatch.setattr("gt_conformance.files._LONGEST_WAIT_S", 0.05)
    monkeypatch.setattr(results, "MOST_BYTES", 40_000)
    history = History(tmp_path)
    paths = [history.keep(night(day, f"a{day}")) for day in ("20", "21")]
    DAMAGE[damage](paths[-1])
    found, problems = history.nights(night("22", "b1"))
    assert [item["day"] for item in found] == ["2026-11-20", "2026-11-22"]
    assert [str(problem) for problem in problems] == [
        f"{paths[-1]}: this record of a past night is damaged. Remove the file."
    ]
    source, problems = history.latest(TENANT)
    assert source is not None
    assert source.path == paths[0]
    assert {problem.where.file for problem in problems if problem.where is not None} == {str(paths[-1])}


def test_a_damaged_run_gives_its_day_to_an_earlier_one(tmp_path: Path) -> None:
    """Where the last run of a day cannot be read, the one before it stands for the day."""
    history = History(tmp_path)
    history.keep(night("21", "a1", 3))
    cut(history.keep(night("21", "a2", 9)))
    found, problems = history.nights(night("22", "b1"))
    assert [item["run"] for item in found] == ["a1", "b1"]
    assert len(problems) == 1


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """A history that cannot be a folder ends the run before anything is sent."""
    path = tmp_path / "history"
    path.write_text("mine")
    with pytest.raises(InputError, match=r"history: the history cannot be kept there: .*Name a folder with --history"):
        History(path)


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that may not be listed is a sentence, at once."""

    def forbidden(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", forbidden)
    with pytest.raises(InputError, match="the history cannot be kept there: Permission denied"):
        History(tmp_path)


def test_a_folder_that_has_gone_is_an_oserror(tmp_path: Path) -> None:
    """Whoever asks can tell a folder that is gone from one that is empty."""
    history = History(tmp_path / "history")
    shutil.rmtree(tmp_path / "history")
    with pytest.raises(OSError, match="No such file"):
        history.nights(night("22"))
    with pytest.raises(OSError, match="No such file"):
        history.keep(night("22"))
