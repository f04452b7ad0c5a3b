"""A fleet: many tenants that one file names, judged night after night, each by a session of its own."""

from gt_conformance.fleet._fleet import Fleet, FleetTenant, Gateway, Rule
from gt_conformance.fleet._lint import Findings, lint
from gt_conformance.fleet._load import load_fleet
from gt_conformance.fleet._plan import FleetPlan, Share, plan_night
from gt_conformance.fleet._shard import AT_ONCE, Progress, Summary, judge_tenants

__all__ = [
    "AT_ONCE",
    "Findings",
    "Fleet",
    "FleetPlan",
    "FleetTenant",
    "Gateway",
    "Progress",
    "Rule",
    "Share",
    "Summary",
    "judge_tenants",
    "lint",
    "load_fleet",
    "plan_night",
]
