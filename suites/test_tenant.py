"""The tenant's trust boundary, once a run: keys, scopes, names, errors, browsers."""

from gt_conformance.judgement import Judgement


def test_tenant(judged_tenant_check: Judgement) -> None:
    """A tenant-wide claim holds."""
    judged_tenant_check.demand_conformance()
