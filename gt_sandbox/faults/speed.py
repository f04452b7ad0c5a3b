"""Faults of the tenant's speed: no page of GT's documentation promises any, and the operator's tenant file may."""

from gt_sandbox.faults._fault import fault
from gt_sandbox.latency import delay_answers
from gt_sandbox.middleware import is_stream
from gt_sandbox.tenant_file import with_slo

_PROMISED_MS = 100
_LATE_S = 0.3

FAULTS = (
    fault(
        "slow-first-event",
        "Streams begin late: their first event comes after the time that the operator promises.",
        delay_answers(is_stream, lambda: _LATE_S),
        caught_by="slo.chat.first_event_p95",
        breaks=(),
        tenant_file=with_slo(chat={"first_event_p95_ms": _PROMISED_MS}),
    ),
)
