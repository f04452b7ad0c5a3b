"""Runbooks: one file, one client product, as frozen values."""

from gt_conformance.runbook._load import load_directory, read_directory
from gt_conformance.runbook._soundness import findings
from gt_conformance.runbook._value import (
    ChecklistItem,
    ConfigurationField,
    KnownIssue,
    Prerequisite,
    Row,
    Runbook,
    Step,
)
from gt_conformance.runbook._wire import ChatProfile, ClientProfile, EmbeddingsProfile

__all__ = [
    "ChatProfile",
    "ChecklistItem",
    "ClientProfile",
    "ConfigurationField",
    "EmbeddingsProfile",
    "KnownIssue",
    "Prerequisite",
    "Row",
    "Runbook",
    "Step",
    "findings",
    "load_directory",
    "read_directory",
]
