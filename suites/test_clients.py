"""The real clients, driven: --clients names them. Whether each does what its runbook promises, seen from both ends."""

from gt_conformance.judgement import Judgement

CASES = "client"


def test_client(judgement: Judgement) -> None:
    """A row holds for the real client: native in its own eyes and on the wire; never called where it is not native."""
    judgement.demand_conformance()
