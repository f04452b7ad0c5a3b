"""Files that users hand over, changed at random: a small sample of what ``make prove`` reads."""

from pathlib import Path

import pytest

from gt_conformance.document import locate_in_json
from gt_conformance.errors import InputError
from prove.inputs import Kind, attempt, attempt_number, list_kinds

SAMPLE = 110


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Kind, ...]:
    """A sound file of each kind."""
    return list_kinds(tmp_path_factory.mktemp("made"))


def test_a_changed_file_is_read_or_refused_with_its_place(kinds: tuple[Kind, ...], tmp_path: Path) -> None:
    """No traceback, no hang, and each refusal names the file and the line."""
    assert [attempt(kind, kind.sound, tmp_path) for kind in kinds] == [None] * len(kinds)
    outcomes = [attempt_number(number, kinds, tmp_path) for number in range(SAMPLE)]
    assert [text for one in outcomes if isinstance(one, list) for text in one] == []
    assert sum(isinstance(one, InputError) for one in outcomes) > SAMPLE / 2


def test_a_traceback_would_be_noticed(tmp_path: Path) -> None:
    """What is no InputError is a sentence with its type; a refusal without a line is one as well."""

    def fail(_: Path) -> None:
        raise KeyError("name")

    def refuse(_: Path) -> None:
        raise InputError.of("something is wrong.")

    made = Kind("file", "file.yaml", b"a: 1\n", fail)
    failed = attempt(made, made.sound, tmp_path)
    assert isinstance(failed, list)
    [text] = failed
    assert text.startswith("KeyError: 'name'")
    found = attempt_number(0, (Kind("file", "file.yaml", b"a: 1\n", refuse),), tmp_path)
    assert found == ["input 0 (file): no file is named: something is wrong."]


@pytest.mark.parametrize(
    ("path", "place"),
    [((), (1, 1)), (("a",), (1, 7)), (("b", 1, "c"), (4, 11)), (("b", 9), (2, 8)), (("none",), (1, 1))],
)
def test_a_value_of_json_has_its_line(path: tuple[str | int, ...], place: tuple[int, int]) -> None:
    """Line and column of the value; where there is none, of the nearest that holds it."""
    assert locate_in_json(b'{"a": "x{[",\n  "b": [\n    1,\n    {"c": 2}]}', path) == place
