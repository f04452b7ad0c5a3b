"""The runbook files themselves: each is sound."""

from collections.abc import Sequence

from gt_conformance.errors import Problem


def test_runbook(sound_runbook: Sequence[Problem]) -> None:
    """The parts of a runbook agree with one another, and each of its checks exists."""
    assert not sound_runbook, "\n".join(map(str, sound_runbook))
