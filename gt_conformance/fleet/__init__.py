"""A fleet: many tenants that one file names, judged night after night, each by a session of its own."""

from gt_conformance.fleet._fleet import Fleet, FleetTenant, Gateway, Rule
from gt_conformance.fleet._judging import Progress, Summary, judge_tenants
from gt_conformance.fleet._load import load_fleet

__all__ = ["Fleet", "FleetTenant", "Gateway", "Progress", "Rule", "Summary", "judge_tenants", "load_fleet"]
