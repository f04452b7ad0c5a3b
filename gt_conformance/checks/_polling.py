"""A file until its processing has ended: polled with growing pauses, once a run, and what it ended in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import Parameters
from gt_conformance.checks._notes import StopCheck
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._resources import FILES_OPEN, KEEP_FILES, is_open_to_strangers, is_unknown, state_in
from gt_conformance.checks._wording import describe
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, NotJson, Response
from gt_conformance.tenant import Credential
from gt_conformance.vocabulary import Route

STATUS = "GET /v1/files/{id} answers with a processing state"


READY, FAILED = "ready", "failed"


_FINAL = frozenset({READY, FAILED})


_GOOD_ENDS = ("complete", "completed", "done", "finished", "ok", "processed", "succeeded", "success", "successful")


_BAD_ENDS = ("aborted", "canceled", "cancelled", "error", "errored", "expired", "failure", "invalid", "rejected")


_SOUND_FINAL = frozenset((*_GOOD_ENDS, *_BAD_ENDS, "timeout"))
"""States in which nothing more seems to happen, although callers are to poll until ready or failed."""


_SETTLED_S = 5.0
"""A file that was so long in one of these does not leave it: no page says that a state before the end is called so."""


_SETTLED_POLLS = 4
"""And that was seen in it so often: a tenant that answers slowly shows little of what happens in that time."""


_APPEARS_S = 10.0
"""So long a new file may be unknown: what was accepted by one instance is seen by the next a moment later."""


_FEWEST_POLLS = 6
"""So often a file is asked for before the time is over: on a busy machine, each poll waits for its turn."""


_SOON_S, _LATER_PAUSE_S = 3.0, 1.0
"""Most that appears does so in this time, in which it is asked for often; later with this pause."""


_FIRST_PAUSE_S = 0.2


_LONGEST_PAUSE_S = 5.0


_LOOKED_AGAIN = 3
_KEEP_STATE = (
    "Have the tenant keep the state of each file, whatever it ended in, and no cache before it keep what others were "
    "refused: callers poll, and ask again later."
)
_END_IN_A_FINAL_STATE = "Have the tenant end the processing of each file in ready or failed: callers poll until then."


@dataclass(frozen=True)
class Polled:
    """The polls of one file, to its end or to the deadline: the states in order of first sight."""

    states: tuple[str, ...]
    exchanges: tuple[Exchange, ...]
    waited_s: float

    @property
    def last(self) -> Exchange:
        """The poll that ended it."""
        return self.exchanges[-1]

    @property
    def seen(self) -> str:
        """The states in their order, with the time that they took."""
        return f"{' → '.join(self.states)} after {self.waited_s:.1f} s"


async def end_of(probe: Probe, polled: Polled, expected: str, *, subject: str = "") -> str:
    """The state in which a file ended, ready or failed; that it has not ended is the violation, and the check ends.

    ``subject`` tells files apart that do not end for a reason of their own.
    """
    written = state_of(polled.last.response)
    if written is None:
        # Where the state of no file can be read, it is not this upload's fault.
        await probe.require_route(Route.FILE_STATUS)
        if polled.states and is_unknown_file(polled.last):
            await expect_kept(probe, polled)
        if polled.last.response is None:
            await probe.require("files.status", parameters=Parameters(), conforming=True)
        probe.json(polled.last, "file-status", STATUS)
        raise Blocked("whether the file became ready is unknown", "Look at the last poll of this file.")
    state = polled.states[-1]
    if state in _FINAL:
        probe.should(written == state, f"the final state is written {written}, not {state} as documented", polled.last)
        return state
    if state in _SOUND_FINAL:
        found = f"{written} sounds final, and is neither ready nor failed: {polled.seen}"
        cause = f"processing:{state}{subject}"
        probe.fail(expected, found, polled.last, remedy=_END_IN_A_FINAL_STATE, cause=cause)
    elif await is_open_to_strangers(
        probe, polled.last.request.url.removeprefix(probe.tenant.base_url), probe.credential
    ):
        # A cache that keeps states by their path alone tells whoever asks, and what it was told first.
        probe.fail(expected, f"still {state}: {polled.seen}", polled.last, remedy=KEEP_FILES, cause=FILES_OPEN)
    else:
        probe.fail(expected, f"still {state}: {polled.seen}", polled.last, cause=f"processing:not ready{subject}")
    raise StopCheck


async def expect_kept(probe: Probe, polled: Polled) -> None:
    """A file whose state was there once is still known; what one instance alone has lost is a finding of its own."""
    known = next(one for one in reversed(polled.exchanges) if not is_unknown_file(one))
    asked = range(len(polled.exchanges), len(polled.exchanges) + _LOOKED_AGAIN)
    again = [await probe.send(known.request, again=number, control=True) for number in asked]
    last = again[-1].response
    if last is None or not all(map(is_unknown_file, again)):
        return
    found = f"{describe(last)} (its state was {' → '.join(polled.states)} before)"
    probe.fail(STATUS, found, again[-1], remedy=_KEEP_STATE, cause="files:gone")
    raise StopCheck


async def poll(probe: Probe, key: Credential, file_id: str) -> Polled:
    """Ask for the state until it is final, with growing pauses; done once a run for each file."""

    async def make() -> tuple[Polled, Sequence[Exchange]]:
        states: list[str] = []
        exchanges: list[Exchange] = []
        started = anyio.current_time()
        deadline = started + probe.tenant.limits.poll_timeout_s
        pause = _FIRST_PAUSE_S
        settled = started
        seen = 0
        while True:
            request = requests.get(probe.tenant, requests.status_path(file_id), key.name)
            exchange = await probe.send(request, again=len(exchanges), control=True)
            exchanges.append(exchange)
            now = anyio.current_time()
            state = state_of(exchange.response)
            if state is not None and state.lower() not in states[-1:]:
                states.append(state.lower())
                settled, seen = now + _SETTLED_S, 0
            seen += 1
            stays = bool(states) and states[-1] in _SOUND_FINAL and now >= settled and seen >= _SETTLED_POLLS
            few = len(exchanges) < _FEWEST_POLLS
            appears = not states and is_unknown_file(exchange)
            if appears and (few or now < min(deadline, started + _APPEARS_S)):
                await anyio.sleep(pause if now < started + _SOON_S else _LATER_PAUSE_S)
                continue
            if state is None or states[-1] in _FINAL or stays or (now >= deadline and not few):
                return Polled(tuple(states), tuple(exchanges), now - started), exchanges
            await anyio.sleep(min(pause, deadline - now) if now < deadline else _FIRST_PAUSE_S)
            pause = min(pause * 1.6, _LONGEST_PAUSE_S)

    return await probe.shared(("polls", key.name, file_id), make)


def seconds_between(one: Exchange, other: Exchange) -> float:
    """From the answer to one until another was sent."""
    if one.started_ms is None or other.started_ms is None:
        return _LONGEST_PAUSE_S
    return max(0.0, other.started_ms - one.started_ms - one.elapsed_ms) / 1000


def is_unknown_file(exchange: Exchange) -> bool:
    """Whether the tenant does not know the file, or not yet."""
    return is_unknown(exchange.response)


def state_of(response: Response | None) -> str | None:
    return read_in(response, state_in)


def read_in(response: Response | None, find: Callable[[Any], str | None]) -> str | None:
    """What ``find`` reads in the body of a success."""
    if response is None or not response.succeeded:
        return None
    try:
        return find(response.json())
    except NotJson:
        return None
