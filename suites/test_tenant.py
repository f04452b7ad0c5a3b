"""The tenant's trust boundary, once a run: keys, scopes, names, errors, browsers."""

from gt_conformance.judgement import Judgement

CASES = "tenant"


def test_tenant(judgement: Judgement) -> None:
    """A tenant-wide claim holds."""
    judgement.demand_conformance()
