"""Runbooks: one file, one client product, as frozen values."""

from gt_conformance.runbook._load import findings, load_directory, read_directory
from gt_conformance.runbook._value import (
    ChatProfile,
    ChecklistItem,
    ClientProfile,
    ConfigurationField,
    EmbeddingsProfile,
    KnownIssue,
    Prerequisite,
    Row,
    Runbook,
    Step,
)

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
