"""Mutation testing (``make mutants``): which modules it changes, and by which tests each is examined."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from prove.mutants import _examination, modules

CHECKOUT = Path(__file__).parents[1]


def test_each_module_has_tests_that_would_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every module that is mutated has unit tests about it, in files that exist, and no entry is left over."""
    monkeypatch.chdir(CHECKOUT)
    paths = modules()
    assert len(paths) > 1
    for module in paths:
        assert all(path.is_file() for path in _examination.tests(module))
    left = [pattern for pattern in _examination.TESTS if not [*Path("gt_conformance").glob(pattern)]]
    assert left == []


def test_a_module_without_tests_is_an_error_that_names_it() -> None:
    """Rather than a module whose every mutant survives."""
    with pytest.raises(ValueError, match=r"names no test of gt_conformance/report/_files\.py: add an entry\."):
        _examination.tests(Path("gt_conformance/report/_files.py"))


def test_each_explanation_is_of_a_line_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry of explained.yaml whose line was changed explains nothing any more."""
    monkeypatch.chdir(CHECKOUT)
    lines = {path: path.read_text(encoding="utf-8").splitlines() for path in modules()}
    explained = yaml.safe_load(Path("prove/mutants/explained.yaml").read_text(encoding="utf-8"))
    idle = [
        entry
        for entry in explained
        if not any(
            re.fullmatch(entry["before"], line.strip())
            for path, found in lines.items()
            if fnmatch(path.as_posix(), f"gt_conformance/{entry['module']}")
            for line in found
        )
    ]
    assert explained
    assert idle == []
