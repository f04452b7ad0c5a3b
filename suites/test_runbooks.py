"""The runbook files themselves: each is sound."""

from collections.abc import Sequence

import pytest

from gt_conformance.errors import Problem


def test_runbook(sound_runbook: Sequence[Problem]) -> None:
    """The parts of a runbook agree with one another, and each of its checks exists."""
    if sound_runbook:  # no assert: Python leaves those out where PYTHONOPTIMIZE is set
        pytest.fail("\n".join(map(str, sound_runbook)), pytrace=False)
