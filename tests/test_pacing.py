"""Requests by the minute and at once: never more than the limits allow, and none of those later than it must be."""

import asyncio
import bisect
import math
from dataclasses import replace
from functools import partial

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gt_conformance.errors import Blocked
from gt_conformance.runner import HttpSender, SharedBudget
from gt_conformance.runner._pacing import Pace
from gt_conformance.tenant import Limits
from tests.clocks import FakeClock
from tests.loopback_http import (
    Server,
    a_request,
    a_sender,
    a_tenant,
    http,
    sends,
    serving,
)
from tests.one_exchange import BUSY_ALWAYS


def test_the_number_of_requests_is_bounded() -> None:
    """Past max_requests nothing is sent, and the check is blocked with what to raise."""

    async def main() -> tuple[Blocked, int]:
        async with serving(sends(http())) as server:
            sender = a_sender(a_tenant(server.url, Limits(max_requests=2)))
            for ref in ("x1", "x2"):
                await sender.send(a_request(server.url), ref)
            with pytest.raises(Blocked) as caught:
                await sender.send(a_request(server.url), "x3")
            await sender.close()
            return caught.value, len(server.received)

    blocked, received = asyncio.run(main())
    assert received == 2
    assert blocked.reason == "the run's limit of 2 requests was reached"
    assert blocked.remedy == "Raise limits.max_requests in the tenant file, or select fewer runbooks."


def test_the_number_of_refused_requests_is_bounded() -> None:
    """Past max_refusals nothing is sent that is to be refused, whatever else was refused; the rest goes on."""

    async def main() -> tuple[Blocked, int]:
        async with serving(sends(http(status="403 Forbidden"))) as server:
            sender = a_sender(a_tenant(server.url, Limits(max_refusals=2)))
            request = a_request(server.url)
            await sender.send(request, "x1")
            await sender.send(replace(request, refused=True), "x2")
            with pytest.raises(Blocked) as caught:
                await sender.send(replace(request, refused=True), "x3")
            await sender.send(request, "x4")
            await sender.close()
            return caught.value, len(server.received)

    blocked, received = asyncio.run(main())
    assert received == 3
    assert blocked.reason == "the run's limit of 2 refused requests was reached (limits.max_refusals)"
    assert "Raise limits.max_refusals" in blocked.remedy


def test_what_is_sent_to_be_refused_is_paced_alone() -> None:
    """Refusals start evenly at their own rate; other requests do not wait for them."""

    async def main(*, refused: bool) -> float:
        async with serving(sends(http(status="403 Forbidden"))) as server:
            clock = FakeClock()
            sender = a_sender(a_tenant(server.url, Limits(refusals_per_minute=6)), clock)
            started = clock.time
            for number in range(4):
                await sender.send(replace(a_request(server.url), refused=refused), f"x{number}")
            await sender.close()
            return clock.time - started

    assert asyncio.run(main(refused=True)) >= 30
    assert asyncio.run(main(refused=False)) < 1


def test_what_is_sent_to_be_refused_gives_way() -> None:
    """Where all slots are taken, requests that others wait for go before those that are sent to be refused."""

    async def main() -> list[str]:
        ended: list[str] = []
        async with serving(sends(http())) as server:
            sender = a_sender(a_tenant(server.url, Limits(concurrency=1)))

            async def send(ref: str, *, refused: bool) -> None:
                await sender.send(replace(a_request(server.url), refused=refused), ref)
                ended.append(ref)

            async with anyio.create_task_group() as group:
                for ref, refused in (("first", False), ("refused", True), ("second", False), ("third", False)):
                    group.start_soon(partial(send, ref, refused=refused))
            await sender.close()
        return ended

    assert asyncio.run(main()) == ["first", "second", "third", "refused"]


def test_what_is_sent_to_be_refused_has_some_of_the_slots() -> None:
    """Of several slots a part is for refusals, so that what is asked after them does not come when all is over."""

    async def main() -> list[str]:
        ended: list[str] = []
        async with serving(sends(http())) as server:
            sender = a_sender(a_tenant(server.url, Limits(concurrency=3)))

            async def send(ref: str) -> None:
                await sender.send(replace(a_request(server.url), refused=ref.startswith("refused")), ref)
                ended.append(ref)

            async with anyio.create_task_group() as group:
                for ref in [
                    *(f"early {n}" for n in range(3)),
                    "refused 1",
                    *(f"late {n}" for n in range(9)),
                    "refused 2",
                ]:
                    group.start_soon(send, ref)
            await sender.close()
        return ended

    ended = asyncio.run(main())
    assert ended.index("refused 1") < ended.index("late 3")


def test_the_answers_of_a_run_are_bounded_together() -> None:
    """Past max_run_bytes nothing is kept nor sent, however small each answer is; the check is blocked."""

    async def main() -> tuple[list[Blocked], int]:
        async with serving(sends(http(b"x" * 600))) as server:
            sender = a_sender(a_tenant(server.url, Limits(max_run_bytes=1_024)))
            await sender.send(a_request(server.url), "x1")
            blocks = []
            for ref in ("x2", "x3"):
                with pytest.raises(Blocked) as caught:
                    await sender.send(a_request(server.url), ref)
                blocks.append(caught.value)
            await sender.close()
            return blocks, len(server.received)

    blocks, received = asyncio.run(main())
    assert received == 2
    assert {block.reason for block in blocks} == {
        "the answers of this run exceed 1024 bytes in all (limits.max_run_bytes)"
    }
    assert all("raise limits.max_run_bytes" in block.remedy for block in blocks)


def starts_of(per_minute: int, waits: list[float], stall: float = 0.0) -> list[float]:
    """When requests start that ask one after the other, each so long after the last; ``stall``: how late each wakes."""
    pace, now, starts = Pace(per_minute), 50.0, []
    for wait in waits:
        now += wait
        while (pause := pace.wait(now)) > 0:
            now += pause + stall
        pace.start(now)
        starts.append(now)
    return starts


def fullest(starts: list[float], seconds: float) -> int:
    """The most starts in any window of so many seconds."""
    return max(bisect.bisect_left(starts, start + seconds) - index for index, start in enumerate(starts))


@given(
    per_minute=st.integers(1, 400),
    waits=st.lists(st.sampled_from([0.0, 0.0, 0.01, 0.4, 7.0, 59.0, 61.0, 300.0]), min_size=1, max_size=900),
    stall=st.sampled_from([0.0, 0.0, 0.003, 2.5, 30.0]),
)
def test_no_minute_holds_more_requests_than_the_limit(per_minute: int, waits: list[float], stall: float) -> None:
    """However requests arrive, and however late this machine wakes, no 60 seconds hold more than the limit."""
    starts = starts_of(per_minute, waits, stall)
    assert fullest(starts, 60) <= per_minute
    for seconds in (1, 5, 10, 30):
        # What a gateway sees that counts shorter windows: their share of the minute, and the one on the edge.
        assert fullest(starts, seconds) <= math.ceil(per_minute * seconds / 60)


@pytest.mark.parametrize(
    ("per_minute", "requests", "seconds"), [(300, 1, 0), (300, 40, 7.9), (300, 250, 50.6), (600, 300, 30.4)]
)
def test_pacing_takes_no_longer_than_it_must(per_minute: int, requests: int, seconds: float) -> None:
    """A run takes what even spacing needs."""
    starts = starts_of(per_minute, [0.0] * requests)
    assert starts[-1] - starts[0] == pytest.approx(seconds, abs=0.2)


def test_requests_and_retries_wait_for_their_turn() -> None:
    """Requests start by the pace, and each retry counts as one."""
    clock = FakeClock()
    sent: list[float] = []

    async def answers(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent.append(clock.time)
        writer.write(http(b"", "429 Busy", Retry_After="0") if len(sent) % 2 else http())

    async def main() -> None:
        async with serving(answers) as server:
            sender = a_sender(a_tenant(server.url, Limits(requests_per_minute=10, concurrency=1)), clock)
            for number in range(12):
                await sender.send(a_request(server.url), f"x{number}")
            await sender.close()

    asyncio.run(main())
    assert len(sent) == 24
    assert fullest(sent, 60) == 10


@pytest.mark.parametrize(("per_minute", "concurrency"), [(10, 1), (12_000, 2)])
def test_senders_behind_one_gateway_share_its_budget(per_minute: int, concurrency: int) -> None:
    """Two tenants together start no more requests a minute, and have no more under way, than their gateway allows."""
    clock = FakeClock()
    starts: list[float] = []
    under_way: list[int] = [0]

    async def answers(_: Server, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        starts.append(clock.time)
        under_way.append(under_way[-1] + 1)
        await asyncio.sleep(0.001)
        under_way.append(under_way[-1] - 1)
        writer.write(http())

    async def main() -> None:
        async with serving(answers) as one, serving(answers) as other:
            shared = SharedBudget(per_minute, concurrency)

            async def send(server: Server) -> None:
                sender = HttpSender(a_tenant(server.url, Limits()), environment={}, clock=clock.clock, shared=shared)
                async with anyio.create_task_group() as group:
                    for number in range(12):
                        group.start_soon(sender.send, a_request(server.url), f"x{number}")
                await sender.close()

            async with anyio.create_task_group() as group:
                group.start_soon(send, one)
                group.start_soon(send, other)

    asyncio.run(main())
    assert len(starts) == 24
    assert fullest(starts, 60) <= per_minute
    assert max(under_way) == concurrency


def test_tries_count_as_requests() -> None:
    """A request that is tried again counts as often as it was sent."""

    async def main() -> int:
        async with serving(sends(BUSY_ALWAYS)) as server:
            sender = a_sender(a_tenant(server.url, Limits(max_requests=2)))
            with pytest.raises(Blocked):
                await sender.send(a_request(server.url), "x1")
            await sender.close()
            return len(server.received)

    assert asyncio.run(main()) == 2


def test_requests_under_way_are_bounded() -> None:
    """No more requests are under way at once than limits.concurrency."""
    full = asyncio.Event()

    async def together(server: Server, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Answered only once as many are under way as may be: fewer would leave the test to its timeout.
        if server.busiest == 3:
            full.set()
        await full.wait()
        writer.write(http())

    async def main() -> int:
        async with serving(together) as server:
            sender = a_sender(a_tenant(server.url, Limits(concurrency=3, timeout_s=5)))
            await asyncio.gather(*(sender.send(a_request(server.url), f"x{number}") for number in range(9)))
            await sender.close()
            assert len(server.received) == 9
            return server.busiest

    assert asyncio.run(main()) == 3
