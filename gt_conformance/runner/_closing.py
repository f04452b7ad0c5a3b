"""Refusals count between two good controls only: a gateway that bans who is refused too often refuses everything.

At the end of a run the live keys that worked at its beginning are tried again. Where one does not work any more, what
was found through refusals alone shows nothing of the tenant: it is blocked, all of it because of that one finding.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from gt_conformance.causes import is_failure
from gt_conformance.checks import (
    KEY_REFUSED,
    KNOWN_ROUTE,
    LET_REFUSED,
    CheckResult,
    describe,
    find_limit,
    normalized_reason,
)
from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange, Presentation, Response
from gt_conformance.schema import count_noun
from gt_conformance.vocabulary import Outcome


@dataclass(frozen=True)
class Control:
    """What a live key was answered at the beginning of the run, and at its end."""

    before: Exchange
    after: Exchange

    @property
    def key(self) -> str:
        """The name of the key."""
        return self.before.request.key or ""

    @property
    def is_good(self) -> bool:
        """Whether the key still gets the answer that it got."""
        before, after = self.before.response, self.after.response
        if before is None or after is None:
            return False
        if is_failure(self.before):  # which is no answer to compare with: what keeps a key out is a refusal
            return not is_failure(self.after) and after.status not in KEY_REFUSED
        return after.succeeded if before.succeeded else after.status == before.status

    @property
    def is_refused(self) -> bool:
        """Whether it is refused now, and not merely left without an answer."""
        return not self.is_good and self.after.response is not None and self.after.response.refused

    def __str__(self) -> str:
        """In words."""
        answer = self.after.response
        found = describe(answer) if answer is not None else "no answer"
        return f"the key {self.key} gets {found} from {self.after.request.method} {self.after.request.path}"


@dataclass(frozen=True)
class Closing:
    """What the controls at the end of the run say of its results."""

    controls: Sequence[Control]
    exchanges: Mapping[str, Exchange]

    @property
    def blocker(self) -> Blocker | None:
        """The one finding, where a live key does not work any more."""
        failed = [control for control in self.controls if not control.is_good]
        if not failed:
            return None
        keys = "live keys" if len(failed) > 1 else "a live key"
        found = "; ".join(map(str, failed[:3]))
        limits = [find_limit(control.after) for control in failed]
        if (limit := limits[0]) is not None and all(limits):
            return replace(limit, reason=f"{keys} stopped working: {limit.reason}: {found}")
        if not any(control.is_refused for control in failed):
            return Blocker(
                f"{keys} got no answer at the end of the run: {found}: what was refused before may have failed as well",
                "Look in the tenant's log for why it stopped answering, then run again.",
                cause="no answer at the end",
                exchange=failed[0].after.ref,
            )
        if self._may_be_rotated(failed):
            named = ", ".join(control.key for control in failed)
            return Blocker(
                f"{keys} stopped working during the run: {found}, where "
                f"{count_noun(len(self.controls) - len(failed), 'other key')} still work: what was refused "
                "before may have been refused for that",
                f"Look whether {named} expired, or was rotated or revoked, during the run: then set its current "
                f"secret, and run again. Else {LET_REFUSED[0].lower()}{LET_REFUSED[1:]}",
                cause="live keys stopped working",
                exchange=failed[0].after.ref,
            )
        refused = sum(_is_refusal(one.response) for one in self.exchanges.values())
        return Blocker(
            f"{keys} stopped working after {count_noun(refused, 'refused request')}: "
            f"{found}: no refusal of this run can be distinguished from a ban",
            LET_REFUSED,
            cause="live keys stopped working",
            exchange=failed[0].after.ref,
        )

    def _may_be_rotated(self, failed: Sequence[Control]) -> bool:
        """Whether that is what a key gets whose secret was replaced, or has expired: 401, where others still work."""
        if len(failed) == len(self.controls):
            return False
        answers = [control.after.response for control in failed]
        return all(one is not None and one.status == HTTPStatus.UNAUTHORIZED for one in answers)

    def find_reason(self, results: Iterable[CheckResult]) -> str:
        """The finding that tells why the keys stopped working: its proof is the refusal of one, as at the end."""
        failed = {(one.key, _words(one.after)) for one in self.controls if not one.is_good}
        for item in (item for result in results for item in result.violations):
            proof = self.exchanges.get(item.exchange or "")
            is_due = proof is not None and proof.request.is_due and not self._is_doubtful(item.exchange)
            if proof is not None and is_due and _is_refusal(proof.response):
                failed.discard((proof.request.key or "", _words(proof)))
                if not failed:
                    return item.finding
        return ""

    def amend(self, result: CheckResult, vanished: Collection[str], blocker: Blocker) -> CheckResult:
        """The result without what refusals alone show. What rests on a finding that ``vanished`` is blocked as well."""
        kept = tuple(item for item in result.violations if not self._is_doubtful(item.exchange))
        obstacles = tuple(
            item for item in result.blockers if item.because not in vanished and not self._is_doubtful(item.exchange)
        )
        if kept:
            return replace(result, violations=kept, blockers=(*obstacles, blocker))
        touched = (
            result.violations
            or len(obstacles) < len(result.blockers)
            or (result.outcome is not Outcome.VIOLATES and self.rests_on_refusals(result))
        )
        if not touched:
            return result
        return replace(
            result,
            outcome=Outcome.BLOCKED,
            reason=blocker.reason,
            remedy=blocker.remedy,
            violations=(),
            blockers=(blocker,),
            usable=False,
        )

    def vanish(self, result: CheckResult) -> set[str]:
        """The findings of a result that a ban alone may have made."""
        found = {item.finding for item in result.violations if self._is_doubtful(item.exchange)}
        own = (item for item in result.blockers if not item.because)
        return found | {item.finding for item in own if self._is_doubtful(item.exchange)}

    def rests_on_refusals(self, result: CheckResult) -> bool:
        """Whether one of its exchanges was refused: of a key that fails now, where others work; else of any."""
        failed = {control.key for control in self.controls if not control.is_good}
        found = [self.exchanges[ref] for ref in result.exchanges if ref in self.exchanges]
        if len(failed) < len(self.controls):
            found = [exchange for exchange in found if exchange.request.key in failed]
        return any(_is_refusal(exchange.response) for exchange in found)

    def _is_doubtful(self, ref: str | None) -> bool:
        """Whether a violation's proof is a refusal that the ban may have made.

        That one key alone is refused its list, where the others work, is what the tenant does to that key, unless it
        is what a key gets that nobody has. Where several are, it is a ban of keys that were refused too often.
        """
        exchange = self.exchanges.get(ref or "")
        refused = {control.key for control in self.controls if control.is_refused}
        if exchange is None or not refused or not _is_refusal(exchange.response):
            return False
        if len(refused) == len(self.controls):
            return True
        is_list = exchange.request.path.endswith(KNOWN_ROUTE)
        if exchange.request.key not in refused:
            return False
        return len(refused) > 1 or not is_list or self._is_as_unknown(exchange)

    def _is_as_unknown(self, proof: Exchange) -> bool:
        """Whether a key gets now what a key gets that nobody has: its secret expired, or was replaced, meanwhile.

        A run revokes nothing, so that is no doing of the tenant's. What locks a key because of what was asked says so.
        """
        unknown = (one for one in self.exchanges.values() if one.request.presentation is Presentation.MADE_UP)
        return any(_is_refusal(one.response) and _words(one) == _words(proof) for one in unknown)


def may_rest_on_refusals(result: CheckResult, exchanges: Mapping[str, Exchange]) -> bool:
    """Whether the end of the run may change it: one of its exchanges was refused, or it rests on another finding."""
    found = (exchanges[ref].response for ref in result.exchanges if ref in exchanges)
    return any(_is_refusal(response) for response in found) or any(item.because for item in result.blockers)


def is_certain(result: CheckResult, exchanges: Mapping[str, Exchange]) -> bool:
    """Whether it violates by what was answered, and by no refusal: then the end of the run cannot change it."""
    proofs = [exchanges.get(item.exchange or "") for item in result.violations]
    return bool(proofs) and all(one is not None and not _is_refusal(one.response) for one in proofs)


def _words(exchange: Exchange) -> tuple[int, str]:
    response = exchange.response
    return (0, "") if response is None else (response.status, normalized_reason(response))


def _is_refusal(response: Response | None) -> bool:
    return response is not None and response.refused
