"""The checklist items: proved where a probe can, attested by a person where none can."""

from gt_conformance.judgement import Judgement

CASES = "item"


def test_item(judgement: Judgement) -> None:
    """A checklist item holds: every check of it conforms, and it is attested where only a person can tell."""
    judgement.demand_conformance()
