"""The real clients, driven: --clients names them. Whether each does what its runbook promises, seen from both ends."""

from gt_conformance.judgement import Judgement


def test_client(judged_client: Judgement) -> None:
    """A row holds for the real client: native in its own eyes and on the wire; never called where it is not native."""
    judged_client.demand_conformance()
