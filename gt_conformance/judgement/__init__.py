"""Judgements: what the checks of a row, an item or a runbook come to together."""

from gt_conformance.judgement._judge import HumanInput, Judge
from gt_conformance.judgement._judgement import (
    Judgement,
    NotConforming,
    Unattested,
    evidence_level,
    of_item,
    of_row,
    of_tenant_check,
)
from gt_conformance.judgement._prerequisite import Knowledge, Known, known

__all__ = [
    "HumanInput",
    "Judge",
    "Judgement",
    "Knowledge",
    "Known",
    "NotConforming",
    "Unattested",
    "evidence_level",
    "known",
    "of_item",
    "of_row",
    "of_tenant_check",
]
