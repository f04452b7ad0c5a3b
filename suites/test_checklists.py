"""The 69 checklist items: proved where a probe can, vouched for by a person where none can."""

from gt_conformance.judgement import Judgement


def test_item(judged_item: Judgement) -> None:
    """A checklist item holds: every check of it conforms, and a person's word stands where one is needed."""
    judged_item.demand_conformance()
