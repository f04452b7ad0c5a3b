"""results.json as a file: written whole or not at all, read with every doubt."""

import gzip
import json
from pathlib import Path

import pytest

from gt_conformance import results
from gt_conformance.errors import InputError
from gt_conformance.report import write_all
from tests.damaged import DAMAGED, SOUND
from tests.made_records import book, check, record


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_a_sentence(tmp_path: Path, damage: str) -> None:
    """The file is named, with what is wrong with it."""
    content, words = DAMAGED[damage]
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        results.read(path)
    assert {problem.where.file for problem in raised.value.problems if problem.where} == {str(path)}
    assert any(words in str(problem) for problem in raised.value.problems), str(raised.value)


def test_no_file_is_a_sentence(tmp_path: Path) -> None:
    """What is not there cannot be read."""
    with pytest.raises(InputError, match=r"results\.json: the results cannot be read: .+\."):
        results.read(tmp_path / "results.json")


def test_a_folder_without_a_record_is_a_sentence(tmp_path: Path) -> None:
    """A folder stands for the record in it, and may hold none."""
    with pytest.raises(InputError, match=r"this folder holds no results\.json\."):
        results.read(tmp_path)


@pytest.mark.parametrize("form", ["plain", "gzip", "byte-order-mark"])
def test_a_sound_file_is_read(tmp_path: Path, form: str) -> None:
    """As it was written, compressed, and saved by an editor that marks its byte order."""
    path = tmp_path / "results.json"
    path.write_bytes({"plain": SOUND, "gzip": gzip.compress(SOUND), "byte-order-mark": b"\xef\xbb\xbf" + SOUND}[form])
    assert results.read(path) == json.loads(SOUND)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """Even where a string holds what UTF-8 cannot: that comes back as an escape."""
    value = record(book(parts={"chat": [check("violates", reason="Ω \ud800")]}))
    results.write(value, tmp_path / "new" / "results.json")
    found = results.read(tmp_path / "new" / "results.json")
    assert found["runbooks"][0]["routes"][1]["checks"][0]["reason"].startswith("Ω ")
    assert found["totals"] == value["totals"]


@pytest.mark.parametrize("step", ["pathlib.Path.replace", "os.open"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "ctrl-c"])
def test_a_crash_leaves_the_old_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    """Whenever writing breaks off, the reports of the last run are whole, and nothing half-written is left behind."""
    write_all(record(book()), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def crash(*_: object) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(step, crash)
        with pytest.raises(type(error)):
            write_all(record(book(parts={"chat": [check("violates")]})), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert {path.name for path in before} == {
        "results.json",
        "results.intoto.json",
        "notify.txt",
        "metrics.prom",
        "traceability.csv",
        "junit-gitlab.xml",
        "compliance.html",
        "summary.md",
        "badge.json",
        "dify.json",
    }


def test_everyone_may_read_a_report(tmp_path: Path) -> None:
    """A web server that is another user can show them, although a temporary file was its writer's own."""
    write_all(record(book()), tmp_path)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()} == {0o644}
