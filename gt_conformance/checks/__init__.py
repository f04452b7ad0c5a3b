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
from gt_conformance.checks._call import CheckCall, Parameters
from gt_conformance.checks._composition import (
    ATTESTATION,
    OF_MANY_KEYS,
    TENANT_CHECKS,
    item_calls,
    known_ids,
    missing_for,
    row_calls,
    tenant_call,
)
from gt_conformance.checks._controls import CONTROL, KEY_REFUSED, KNOWN_ROUTE, leads_to_the_api, listing_alone_fails
from gt_conformance.checks._holdings import READ_ONLY
from gt_conformance.checks._probe import Advisory, Probe, Runner, StopCheck, Violation
from gt_conformance.checks._registry import Check, checks

__all__ = [
    "ATTESTATION",
    "CONTROL",
    "KEY_REFUSED",
    "KNOWN_ROUTE",
    "OF_MANY_KEYS",
    "READ_ONLY",
    "TENANT_CHECKS",
    "Advisory",
    "Check",
    "CheckCall",
    "Parameters",
    "Probe",
    "Runner",
    "StopCheck",
    "Violation",
    "checks",
    "item_calls",
    "known_ids",
    "leads_to_the_api",
    "listing_alone_fails",
    "missing_for",
    "row_calls",
    "tenant_call",
]
