"""Files: what an operator names is read within a bound, and nothing is written over what this suite did not write."""

import gzip
import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gt_conformance import files, ownership, report, results
from gt_conformance.errors import InputError
from tests.commands import in_process
from tests.made_records import book, record

MOST = 1000


@pytest.fixture
def umask() -> Iterator[None]:
    """A umask that keeps others out of what is written."""
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    """Who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


# -- reading


def missing(_: Path) -> None:
    """Nothing."""


def a_folder(path: Path) -> None:
    """A folder."""
    path.mkdir()


def endless(path: Path) -> None:
    """A device that never ends."""
    path.symlink_to("/dev/zero")


def too_large(path: Path) -> None:
    """One byte more than the bound."""
    path.write_bytes(b"a" * (MOST + 1))


def silent(path: Path) -> None:
    """A named pipe that nobody writes to."""
    os.mkfifo(path)


UNREADABLE: dict[Callable[[Path], None], str] = {
    missing: "No such file or directory",
    a_folder: "Is a directory",
    endless: "it is a device, not a file",
    too_large: "it is larger than 1000 bytes",
    silent: "it is a pipe that gave no data for 0.05 s",
}


@pytest.mark.parametrize("made", UNREADABLE)
def test_what_cannot_be_read_is_a_reason(
    made: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever an operator names, reading it ends, and the error says why in words."""
    monkeypatch.setattr(files, "_LONGEST_WAIT_S", 0.05)
    made(tmp_path / "named")
    with pytest.raises(OSError, match=UNREADABLE[made]) as caught:
        files.read_bounded(tmp_path / "named", MOST)
    assert caught.value.strerror == UNREADABLE[made]


def test_as_many_bytes_as_the_bound_are_read(tmp_path: Path) -> None:
    """The bound is what a file may hold."""
    (tmp_path / "named").write_bytes(b"a" * MOST)
    assert files.read_bounded(tmp_path / "named", MOST) == b"a" * MOST


def test_a_pipe_that_somebody_writes_to_is_read_to_its_end(tmp_path: Path) -> None:
    """``gt-conformance report <(gunzip -c night.json.gz)``: such a pipe is a file like any other."""
    os.mkfifo(tmp_path / "named")
    writer = threading.Thread(target=(tmp_path / "named").write_bytes, args=(b"a" * MOST,))
    writer.start()
    assert files.read_bounded(tmp_path / "named", MOST) == b"a" * MOST
    writer.join()


def test_a_packed_bomb_is_not_unpacked() -> None:
    """What is packed counts by what comes out, of all parts together."""
    bomb = gzip.compress(b"0" * MOST) + gzip.compress(b"0")
    assert files.unpack(bomb, MOST + 1) == b"0" * (MOST + 1)
    with pytest.raises(files.TooLarge, match="it is larger than 1000 bytes"):
        files.unpack(bomb, MOST)


@pytest.mark.parametrize("form", [bytes, gzip.compress], ids=["plain", "packed"])
def test_a_record_that_is_too_large_is_a_sentence(
    form: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A baseline, and whatever else is read as a record."""
    monkeypatch.setattr("gt_conformance.results._file.MOST_BYTES", MOST)
    (tmp_path / "big").write_bytes(form(b" " * (MOST + 1)))
    with pytest.raises(InputError, match=r"big: the results cannot be read: .*it is larger than 1000 bytes\."):
        results.read(tmp_path / "big")


NAMING: dict[str, str] = {
    "diff named named": "named: the results cannot be read",
    "report named --out out": "named: the results cannot be read",
    "plan --tenant named": "named: the file cannot be read",
    "attest --list --attestations named": "named: the file cannot be read",
    "sandbox-rotate --admin named chat": "named cannot be read",
}
"""Commands that read a file, and what each says of one that it cannot read."""


@pytest.mark.parametrize("made", [endless, silent])
@pytest.mark.parametrize("line", NAMING)
def test_a_device_or_a_silent_pipe_is_a_sentence(
    line: str, made: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file of the operator's it stands for, the command ends."""
    monkeypatch.setattr(files, "_LONGEST_WAIT_S", 0.05)
    made(tmp_path / "named")
    done = in_process(*line.split(), cwd=tmp_path)
    assert done.code == 4
    assert f"{NAMING[line]}: {UNREADABLE[made]}." in done.said


# -- writing


@pytest.mark.usefixtures("umask")
def test_what_is_written_heeds_the_umask(tmp_path: Path) -> None:
    """Reports are for whom the operator's umask lets read them; a secret is for its owner alone, from the start."""
    files.replace_text(tmp_path / "report", "text")
    (tmp_path / "secret").write_text("old")
    (tmp_path / "secret").chmod(0o644)
    files.replace_secret(tmp_path / "secret", "new")
    assert [mode_of(tmp_path / name) for name in ("report", "secret")] == [0o640, 0o600]
    assert (tmp_path / "secret").read_text() == "new"


def test_a_link_is_followed_and_a_device_stays_one(tmp_path: Path) -> None:
    """Where a link leads is written; ``--write /dev/null`` puts no file in the place of a device."""
    (tmp_path / "link").symlink_to("target")
    files.replace_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "text"
    (tmp_path / "null").symlink_to("/dev/null")
    files.replace_text(tmp_path / "null", "text")
    assert Path("/dev/null").is_char_device()


# -- whose files they are


def test_a_file_of_somebody_else_is_foreign(tmp_path: Path) -> None:
    """One that is not in the manifest, and one that was changed where the manifest has a digest."""
    for name in ("whatever", "exact", "changed", "unknown"):
        (tmp_path / name).write_text(name)
    digest = ownership.digest(b"exact")
    ownership.claim(tmp_path, {"whatever": None})
    ownership.claim(tmp_path, {"exact": digest, "changed": digest, "gone": None})
    found = ownership.foreign(tmp_path, ["whatever", "exact", "changed", "unknown", "gone", "nowhere"])
    assert [path.name for path in found] == ["changed", "unknown"]


@pytest.mark.parametrize("manifest", [b"", b"[]", b'{"files": 1}', b"\xff", b"[" * 100_000])
def test_a_damaged_manifest_owns_nothing(manifest: bytes, tmp_path: Path) -> None:
    """Without one that can be read, every file is somebody else's."""
    (tmp_path / ownership.MANIFEST).write_bytes(manifest)
    (tmp_path / "file").write_text("mine")
    assert ownership.foreign(tmp_path, ["file"]) == [tmp_path / "file"]


@pytest.mark.parametrize("name", ["results.json", "summary.md", "junit.xml", "pytest.html", "compliance.html"])
def test_a_report_is_not_written_over_a_file_of_somebody_else(name: str, tmp_path: Path) -> None:
    """The run ends before anything is sent, and the file stays as it is."""
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"{name}: this file was not written by gt-conformance"):
        report.claim(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {name}
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_of_this_suite_is_written_again(tmp_path: Path) -> None:
    """Whether it has a manifest, or an earlier version left its record there without one."""
    report.claim(tmp_path / "new")
    (tmp_path / "new" / "junit.xml").write_text("ours")
    report.claim(tmp_path / "new")
    report.write_all(record(book()), tmp_path)
    report.claim(tmp_path)


def test_the_documents_are_not_rendered_over_a_file_of_somebody_else(tmp_path: Path) -> None:
    """The same for ``gt-conformance report --out``; into the folder of a run it renders anew."""
    report.write_all(record(book()), tmp_path / "reports")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "summary.md").write_text("mine")
    words = ("report", "reports/results.json", "--out")
    refused = in_process(*words, "site", cwd=tmp_path)
    assert (refused.code, "site/summary.md: this file was not written by gt-conformance" in refused.said) == (4, True)
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["summary.md"]
    assert in_process(*words, "reports", cwd=tmp_path).code == 0


def allure_files(folder: Path, name: str, labels: list[str]) -> set[Path]:
    """A result, its container and an attachment of a step, as allure's reporters write them; and where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    result = {
        "uuid": name,
        "labels": [{"name": label, "value": "row"} for label in labels],
        "steps": [{"attachments": [{"source": f"{name}-attachment.json"}]}],
    }
    container = {"children": [name], "befores": [{"attachments": [{"source": f"{name}-log.txt"}]}]}
    texts = {
        f"{name}-result.json": json.dumps(result),
        f"{name}-container.json": json.dumps(container),
        f"{name}-attachment.json": "{}",
        f"{name}-log.txt": "",
    }
    for file, text in texts.items():
        (folder / file).write_text(text)
    return {folder / file for file in texts}


def test_allure_results_of_another_suite_stay(tmp_path: Path) -> None:
    """Of the folder that both write to, only what an earlier run of this suite wrote is removed."""
    folder = tmp_path / "allure-results"
    allure_files(folder, "ours", ["suite", report.ALLURE_LABEL])
    theirs = allure_files(folder, "theirs", ["suite"])
    damaged = {folder / name for name in ("cut-result.json", "list-result.json", "environment.properties")}
    for path, text in zip(sorted(damaged), ("{", "x", "[]"), strict=True):
        path.write_text(text)
    report.claim(tmp_path)
    assert set(folder.iterdir()) == theirs | damaged


def test_an_attachment_leads_nowhere_else(tmp_path: Path) -> None:
    """A result that names a file elsewhere as its attachment has none removed."""
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "allure-results").mkdir()
    result = {"uuid": "a", "labels": [{"name": report.ALLURE_LABEL}], "attachments": [{"source": "../mine.txt"}]}
    (tmp_path / "allure-results" / "a-result.json").write_text(json.dumps(result))
    report.claim(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not (tmp_path / "allure-results" / "a-result.json").exists()
