"""gt-conformance.pyz: what it holds, how it unpacks itself, what it replaces. .ci/run builds it, and runs it."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rpds
from hypothesis import given
from hypothesis import strategies as st

from gt_conformance import resources, schema
from gt_conformance.schema import _acceptance
from single_file import build, jsonschema_rs, start
from single_file import rpds as ours

STARTED = b"""def main():
    import sys, gt_conformance
    print(gt_conformance.__file__, sys.argv, [path for path in sys.path if path.rstrip('/').endswith('-packages')])
"""


@pytest.fixture
def single(tmp_path: Path) -> Path:
    """A single file whose command only says from where it was started."""
    target = tmp_path / "gt-conformance.pyz"
    target.write_bytes(build.archive({"gt_conformance/__init__.py": b"", "gt_conformance/cli.py": STARTED}))
    return target


def started(single: Path, cache: Path) -> "subprocess.CompletedProcess[str]":
    """The single file, run with that cache."""
    env = {"GT_CONFORMANCE_CACHE": str(cache), "TMPDIR": str(single.parent)}
    return subprocess.run(
        [sys.executable, single, "plan"], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_it_is_unpacked_once(single: Path, tmp_path: Path) -> None:
    """The second start uses what the first one unpacked, and leaves the packages of this Python out."""
    outputs = [started(single, tmp_path / "cache") for _ in range(2)]
    assert [done.returncode for done in outputs] == [0, 0], outputs[0].stderr
    assert outputs[0].stdout == outputs[1].stdout
    (unpacked,) = (tmp_path / "cache").iterdir()
    assert outputs[0].stdout.split() == [
        f"{unpacked}/site/gt_conformance/__init__.py",
        "['gt-conformance',",
        "'plan']",
        "[]",
    ]


def test_other_content_is_unpacked_elsewhere(single: Path, tmp_path: Path) -> None:
    """A newer build never runs what an older one unpacked."""
    started(single, tmp_path / "cache")
    single.write_bytes(build.archive({"gt_conformance/__init__.py": b"", "gt_conformance/cli.py": STARTED + b"\n"}))
    started(single, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_folder_that_others_can_change_is_not_used(single: Path, tmp_path: Path) -> None:
    """Code is started from the cache: one that others can write to is named, and a temporary folder is used."""
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    done = started(single, cache)
    assert (done.returncode, list(cache.iterdir())) == (0, [])
    assert f"{cache} can be changed by others" in done.stderr
    assert not list(tmp_path.glob("gt-conformance-*"))


def test_a_cache_that_cannot_be_made_is_done_without(single: Path, tmp_path: Path) -> None:
    """A temporary folder is used, and removed at the end."""
    (tmp_path / "file").write_text("")
    done = started(single, tmp_path / "file" / "cache")
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(tmp_path.glob("gt-conformance-*"))


def test_an_older_python_is_told_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with both versions."""
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer, and this is 3\.10\.13\."):
        start.main("none")


def test_it_holds_every_locked_package_and_nothing_compiled() -> None:
    """What is locked for Windows alone is left out; the files are those that were installed."""
    lock = build.LOCK.read_text(encoding="utf-8")
    files = dict(build.packages(lock))
    assert not [path for path in files if path.endswith((".so", ".pyd", ".pyc"))]
    for name in ("pytest", "httpx", "jsonschema", "yaml", "rpds", "markupsafe"):
        assert f"{name}/__init__.py" in files
    assert files["rpds/__init__.py"] == (build.HERE / "rpds.py").read_bytes()
    few = dict(list(files.items())[:20])
    assert build.archive(few) == build.archive(dict(reversed(few.items())))


def test_a_package_that_is_not_as_installed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was changed in .venv, and one that is compiled for one platform, are named."""
    (tmp_path / "odd.py").write_text("changed")
    (tmp_path / "odd.abi3.so").write_text("compiled")
    (tmp_path / "odd-1.dist-info").mkdir()
    (tmp_path / "odd-1.dist-info" / "METADATA").write_text("Name: odd\nVersion: 1\n")
    record = tmp_path / "odd-1.dist-info" / "RECORD"
    monkeypatch.syspath_prepend(str(tmp_path))
    for line, message in (
        ("odd.py,sha256=AAAA,7", "odd.py is not what was installed"),
        ("odd.abi3.so,,", "odd needs odd.abi3.so, which is compiled"),
    ):
        record.write_text(f"{line}\n")
        with pytest.raises(build.UnusableError, match=message):
            list(build.packages("odd==1 \\\n"))


# -- the replacements


def test_without_a_compiled_validator_everything_is_judged_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the suite imports of jsonschema_rs is there; what fits has no errors, and what does not has its own."""
    fitting = {"base_url": "https://acme.example", "models": {"chat": "a"}, "keys": {"k": {"secret_env": "A"}}}
    values: list[object] = [fitting, {}, fitting | {"keys": {}}]
    compiled = [schema.load("tenant").errors(value) for value in values]
    assert [bool(found) for found in compiled] == [False, True, True]
    monkeypatch.setattr(_acceptance, "jsonschema_rs", jsonschema_rs)
    shutil.copytree(resources.schemas_dir(), tmp_path / "schemas")  # else validators that were compiled already
    assert [schema.load("tenant", tmp_path / "schemas").errors(value) for value in values] == compiled


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(0, 5), st.integers(0, 3)),
        st.tuples(st.sampled_from(["remove", "discard"]), st.integers(0, 5), st.none()),
        st.tuples(st.just("update"), st.dictionaries(st.integers(0, 5), st.integers(0, 3)), st.none()),
    )
)


def _changed(value: Any, changes: list[tuple[str, Any, Any]], *, keys: bool) -> list[Any]:
    """What the value holds after each change, or the error that the change raises; the first value must not change."""
    seen: list[Any] = []
    first = value
    for name, argument, more in changes:
        try:
            value = getattr(value, name)(*([argument] if more is None or keys else [argument, more]))
        except KeyError:
            seen.append("KeyError")
        seen.append(sorted(value if keys else value.items()))
        seen.append((len(value), 3 in value))
    return [*seen, len(first)]


@given(CHANGES)
def test_a_map_behaves_as_rpds(changes: list[tuple[str, Any, Any]]) -> None:
    """Every change of a map gives the same entries or the same error, and leaves the map as it was."""
    start_with = {1: 1, 3: 0}
    found = _changed(ours.HashTrieMap(start_with), changes, keys=False)
    assert found == _changed(rpds.HashTrieMap(start_with), changes, keys=False)
    made: ours.HashTrieMap[int, int] = ours.HashTrieMap(start_with)
    assert ours.HashTrieMap.convert(made) is made
    assert (hash(made), made == start_with) == (hash(ours.HashTrieMap([(3, 0), (1, 1)])), True)
    assert repr(ours.HashTrieMap({"a": 1})) == repr(rpds.HashTrieMap({"a": 1})).replace('"', "'")


@given(CHANGES)
def test_a_set_behaves_as_rpds(changes: list[tuple[str, Any, Any]]) -> None:
    """Every change of a set gives the same values or the same error."""
    found = _changed(ours.HashTrieSet([1, 3]), changes, keys=True)
    assert found == _changed(rpds.HashTrieSet([1, 3]), changes, keys=True)


@given(st.lists(st.integers()))
def test_a_list_behaves_as_rpds(values: list[int]) -> None:
    """Values are added at the front; equal lists are equal and have equal hashes."""
    made = ours.List[int]()
    other: rpds.List[int] = rpds.List()
    for value in values:
        made, other = made.push_front(value), other.push_front(value)
    assert list(made) == list(other)
    assert (len(made), made == ours.List(list(made)), hash(made)) == (len(values), True, hash(ours.List(list(made))))
