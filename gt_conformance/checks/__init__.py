"""The checks: one module a family, each check an async function that states what must hold."""

from gt_conformance.checks import (  # noqa: F401 - importing a family registers its checks
    addressing,
    boundary,
    chat,
    chat_fields,
    chat_stream,
    chat_tools,
    client,
    conversations,
    discovery,
    embeddings,
    keys,
    media,
    names,
    refusals,
    uploads,
)
from gt_conformance.checks._composition import (
    OF_MANY_KEYS,
    TENANT_CHECKS,
    known_ids,
    missing_for,
    row_subjects,
    tenant_subject,
)
from gt_conformance.checks._controls import CONTROL, KNOWN_ROUTE, answers_as_an_api
from gt_conformance.checks._holdings import READ_ONLY
from gt_conformance.checks._probe import Advisory, Breach, Halted, Lab, Obstacle, Probe
from gt_conformance.checks._registry import Check, checks
from gt_conformance.checks._subject import Parameters, Subject

__all__ = [
    "CONTROL",
    "KNOWN_ROUTE",
    "OF_MANY_KEYS",
    "READ_ONLY",
    "TENANT_CHECKS",
    "Advisory",
    "Breach",
    "Check",
    "Halted",
    "Lab",
    "Obstacle",
    "Parameters",
    "Probe",
    "Subject",
    "answers_as_an_api",
    "checks",
    "known_ids",
    "missing_for",
    "row_subjects",
    "tenant_subject",
]
