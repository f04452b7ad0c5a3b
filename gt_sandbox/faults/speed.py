"""Faults of the tenant's speed: no page of GT's documentation promises any, and the operator's tenant file may."""

import asyncio

from starlette.types import Message

from gt_sandbox.faults._fault import fault
from gt_sandbox.middleware import Call, MiddlewareFactory, Predicate, is_stream, per_call
from gt_sandbox.tenant_file import with_slo

_PROMISED_MS = 100
_LATE_S = 0.3


def delay_first_event(wanted: Predicate, seconds: float) -> MiddlewareFactory:
    """Send the head of an answer at once, and hold back what follows for so long."""

    @per_call
    async def delay(call: Call) -> None:
        begun = False

        async def send(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.body" and not begun:
                begun = True
                await asyncio.sleep(seconds)
            await call.send(message)

        await call.forward(send=send if wanted(call.request) else None)

    return delay


FAULTS = (
    fault(
        "slow-first-event",
        "Streams begin late: their first event comes after the time that the operator promises.",
        delay_first_event(is_stream, _LATE_S),
        caught_by="slo.chat.first_event_p95",
        breaks=(),
        tenant_file=with_slo(chat={"first_event_p95_ms": _PROMISED_MS}),
    ),
)
