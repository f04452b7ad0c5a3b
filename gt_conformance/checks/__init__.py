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
    rotation,
    steps,
    uploads,
)
from gt_conformance.checks._composition import (
    ATTESTATION,
    OF_MANY_KEYS,
    TENANT_CHECKS,
    item_subjects,
    known_ids,
    missing_for,
    row_subjects,
    tenant_subject,
)
from gt_conformance.checks._controls import CONTROL, KEY_REFUSED, KNOWN_ROUTE, leads_to_the_api, listing_alone_fails
from gt_conformance.checks._holdings import READ_ONLY
from gt_conformance.checks._probe import Advisory, Breach, Halted, Lab, Obstacle, Probe
from gt_conformance.checks._registry import Check, checks
from gt_conformance.checks._subject import Parameters, Subject

__all__ = [
    "ATTESTATION",
    "CONTROL",
    "KEY_REFUSED",
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
    "checks",
    "item_subjects",
    "known_ids",
    "leads_to_the_api",
    "listing_alone_fails",
    "missing_for",
    "row_subjects",
    "tenant_subject",
]
