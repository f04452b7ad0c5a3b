"""Mutation testing (``make mutants``): which modules it changes, and by which tests each is examined."""

from pathlib import Path

import pytest

from prove.mutants import _examination, modules


def test_each_module_has_tests_that_would_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every module that is mutated has unit tests about it, in files that exist, and no entry is left over."""
    monkeypatch.chdir(Path(__file__).parents[1])
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
