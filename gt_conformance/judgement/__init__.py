"""Judgements: the outcome of a case from its checks, attestations and waivers."""

from gt_conformance.judgement._judgement import (
    HumanInput,
    Judge,
    Judgement,
    NotConforming,
    PartEvidence,
    Unattested,
    evidence_level,
)
from gt_conformance.judgement._prerequisite import Knowledge, Known, known

__all__ = [
    "HumanInput",
    "Judge",
    "Judgement",
    "Knowledge",
    "Known",
    "NotConforming",
    "PartEvidence",
    "Unattested",
    "evidence_level",
    "known",
]
