"""The 207 rows: whether what each runbook promises about each route is true on this tenant."""

from gt_conformance.judgement import Judgement


def test_route(judged_row: Judgement) -> None:
    """A row conforms: native works as the client uses it, gt_extension in GT's way, not_supported fails closed."""
    judged_row.demand_conformance()
