"""The rows: whether what each runbook promises about each route is true on this tenant."""

from gt_conformance.judgement import Judgement

CASES = "row"


def test_route(judgement: Judgement) -> None:
    """A row conforms: native works as the client uses it, gt_extension in GT's way, not_supported fails closed."""
    judgement.demand_conformance()
