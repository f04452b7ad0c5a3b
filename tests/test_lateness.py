"""How late this machine is: what a stream is not blamed for."""

import asyncio
import time

from gt_conformance.runner._lateness import Lateness


def test_what_keeps_the_loop_busy_counts_while_it_is_watched() -> None:
    """Also where nothing ran since, and only for whoever watches."""

    async def watch() -> tuple[float, float, float]:
        lateness = Lateness()
        with lateness.watched() as first:
            await asyncio.sleep(0)
            time.sleep(0.03)  # noqa: ASYNC251 - this is what keeps the loop busy
            at_once = first.late_ms
            await asyncio.sleep(0.01)
        with lateness.watched() as second:
            return at_once, first.worst_ms, second.worst_ms

    at_once, afterwards, of_another = asyncio.run(watch())
    assert at_once > 20
    assert afterwards >= at_once
    assert of_another == 0


def test_many_watch_at_once_and_each_sees_what_came_while_it_did() -> None:
    """What was late before a watch began, or after it ended, is another's, however they overlap."""

    async def watch() -> dict[str, float]:
        lateness = Lateness()
        with lateness.watched() as whole:
            await _be_late(0.05)
            with lateness.watched() as inner:
                await _be_late(0.02)
                with lateness.watched() as quiet:
                    pass
            await _be_late(0.1)
            return {"inner": inner.late_ms, "quiet": quiet.late_ms, "whole": whole.late_ms}

    found = asyncio.run(watch())
    assert found["whole"] > 90
    assert found["inner"] > 15
    assert found["quiet"] <= found["inner"] <= found["whole"]


async def _be_late(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251 - this is what keeps the loop busy
    await asyncio.sleep(0.005)
