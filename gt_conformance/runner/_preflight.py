"""Which keys work, and whether anything answers as the API at all: found out once a run, before what rests on it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus

from gt_conformance.causes import is_failure
from gt_conformance.checks import (
    KEY_REFUSED,
    MINIMAL,
    MUST_BE_REFUSED,
    PREFLIGHT,
    CheckCall,
    Parameters,
    Probe,
    fails_in_json,
    first_key,
    is_answered_by_the_api,
    is_redirect,
    may_be_of_the_key,
    only_listing_fails,
    says_no_key,
    show_retired,
)
from gt_conformance.errors import Blocked, Blocker
from gt_conformance.exchange import Exchange, Response
from gt_conformance.planning import Plan
from gt_conformance.runner._once import Once
from gt_conformance.vocabulary import Actor

_OTHERS = 2
"""So many other keys show whether the first one alone fails."""


class Preflight:
    """The preflights of a run's keys, each when it is first asked for, and what they come to.

    ``probe`` makes the probe of one, whose requests wait for no preflight; ``exchanges`` gives those that it made;
    ``redact`` takes secrets out of a text. All of it happens in the event loop of the run.
    """

    def __init__(
        self,
        plan: Plan,
        probe: Callable[[CheckCall], Probe],
        exchanges: Callable[[Collection[str]], Sequence[Exchange]],
        redact: Callable[[str], str],
    ) -> None:
        self._probe = probe
        self._exchanges = exchanges
        self._redact = redact
        self._tenant = plan.tenant
        first = first_key(plan.tenant, [item.credential for item in plan.distinct if item.credential])
        self._first = None if first is None else first.name
        self._unset = plan.tenant.blockers
        self._once = Once()
        self._refused: dict[str, Blocker] = {}
        self._shown: set[str] = set()
        self._failing: dict[str, Blocker] = {}
        self._without_listing: set[str] = set()
        self._working: set[str] = set()
        self._not_taken: dict[str, Exchange] = {}
        self._unreachable: Blocker | None = None
        self._refusal: Blocker | None = None

    @property
    def working(self) -> Collection[str]:
        """The keys that passed it so far."""
        return self._working

    @property
    def not_taken(self) -> Mapping[str, Exchange]:
        """The findings about keys that did not work, each with its proof: a refusal, or a failure where others work."""
        return {name: one for name, one in self._not_taken.items() if self._working or not is_failure(one)}

    @property
    def refusal(self) -> Blocker | None:
        """Why nothing could be judged: the tenant is unreachable, or refused every credential; else None."""
        return self._refusal

    def require_set(self, key: str) -> None:
        """Raises Blocked where the key has no secret in this run."""
        if blocker := self._unset.get(key):
            raise Blocked.by(blocker)

    async def require_api(self) -> None:
        """Raises Blocked unless the tenant answers as the API: the preflight of one key, before any other request."""
        first = self._first
        if first is not None and first not in self._working:
            # The key's own trouble is reported where it is used; only the tenant's stops everything.
            with suppress(Blocked):
                await self.require(first)
            await self._tell_failing(first)
        if self._unreachable is not None:
            raise Blocked.by(self._unreachable)

    async def find_unreachable(self) -> Blocker | None:
        """Why the tenant does not answer as the API; None where it does."""
        try:
            await self.require_api()
        except Blocked as blocked:
            return blocked.blocker
        return None

    async def require_any(self) -> None:
        """Raises Blocked unless a key passed its preflight: where all is refused, no refusal proves anything."""
        blocks = []
        for key in self._tenant.live_credentials:
            if self._working:
                return
            try:
                await self.require(key.name)
            except Blocked as blocked:
                blocks.append(blocked)
        if blocks and not self._working:
            raise blocks[0]

    async def require(self, key: str, *, listing: bool = False) -> None:
        """Raises Blocked unless the key passed its preflight in this run; ``listing`` may fail by itself."""
        if key in self._working:
            return
        blocker = await self.attempt(key)
        if key in self._refused and not self._working:
            # Whether it is this key's trouble or everybody's is known once the others were tried.
            for other in self._tenant.live_credentials:
                if not self._working:
                    await self.attempt(other.name)
            if not self._working:
                blocker = self._unreachable = self._unreachable or self._explain_refused()
        if key in self._refused and self._working and key not in self._shown:
            self._shown.add(key)  # where no key works, a retired one shows nothing
            await show_retired(self._probe(CheckCall(PREFLIGHT.id, key, MINIMAL)))
        self._refusal = self._unreachable
        if blocker is not None and not (listing and key in self._without_listing):
            raise Blocked.by(blocker)

    async def attempt(self, key: str) -> Blocker | None:
        """Why the key does not work; None where it does."""
        return await self._once.get(key, lambda: self._run(key))

    async def _tell_failing(self, first: str) -> None:
        """Whether it is the first key's own record that the tenant fails at, or everybody's: another key shows it."""
        blocker = self._failing.get(first)
        if blocker is None or self._unreachable is not None:
            return
        others = [key.name for key in self._tenant.live_credentials if key.name != first]
        for other in others[:_OTHERS]:
            if await self.attempt(other) is None:
                if self._failing.pop(first, None) is not None:
                    self._once.forget(first)  # it is this key's trouble, and is described as that
                return
        if not self._working:
            self._unreachable = self._refusal = blocker

    def _explain_refused(self) -> Blocker:
        """What to say where no key works and the tenant refused some: one finding, whatever rests on a key."""
        first = next(iter(self._refused.values()))
        if len(self._refused) == 1:
            return first
        proofs = [self._not_taken[blocker.finding].response for blocker in self._refused.values()]
        remedy = (
            "Check base_url and the secrets in the tenant file: none is accepted, so they may belong to another tenant."
        )
        if all(proof is not None and says_no_key(proof) for proof in proofs):
            remedy = first.remedy
        elif all(proof is not None and proof.status == HTTPStatus.FORBIDDEN for proof in proofs):
            remedy = (
                "Look at the reason that the tenant gives for 403: it may refuse everybody (the API is switched off, "
                "or this machine's address is not allowed). Else check base_url and the secrets in the tenant file."
            )
        blocker = Blocker(
            f"the tenant refuses all {len(self._refused)} keys that were tried: {first.reason}",
            remedy,
            cause="all keys",
        )
        return replace(blocker, because=blocker.finding)

    async def _run(self, key: str) -> Blocker | None:
        if unset := self._unset.get(key):
            return unset
        is_first = not self._working and not self._failing
        probe = self._probe(CheckCall(PREFLIGHT.id, key, Parameters() if is_first else MINIMAL))
        try:
            await PREFLIGHT.run(probe)
        except Blocked as blocked:
            blocker = blocked.blocker
        else:
            if not probe.violations:
                self._working.add(key)
                return None
            violation = probe.violations[0]
            blocker = Blocker(
                f"preflight for key `{key}` failed: {violation.found}; expected {violation.expected}",
                violation.remedy or PREFLIGHT.remedy,
                violation.acts or Actor.SETUP,
                cause="every path" if violation.expected == MUST_BE_REFUSED else f"key {key}",
            )
        blocker = replace(blocker, reason=self._redact(blocker.reason))
        blocker = replace(blocker, because=blocker.finding)
        self._keep(key, blocker, self._exchanges(probe.exchanges))
        return blocker

    def _keep(self, key: str, blocker: Blocker, exchanges: Sequence[Exchange]) -> None:
        """Keep what a failed preflight says of the key, or of the whole tenant."""
        answers = [item.response for item in exchanges]
        if elsewhere := [item for item in exchanges if _is_from_elsewhere(item.response)]:
            self._not_taken[blocker.finding] = elsewhere[0]
        if not answers:
            # Nothing was sent: a limit of the run or this machine forbade it, which says nothing of the tenant.
            pass
        elif not self._working and (may_be_of_the_key(answers) or (not self._failing and fails_in_json(answers))):
            self._failing[key] = blocker
        elif not self._working and not is_answered_by_the_api(answers):
            self._unreachable = self._unreachable or blocker
        elif any(item is not None and item.status in KEY_REFUSED for item in answers[:1]) or (
            self._working and may_be_of_the_key(answers)
        ):
            self._refused[key] = blocker
            self._not_taken[blocker.finding] = exchanges[0]
        elif only_listing_fails(answers):
            self._without_listing.add(key)
        elif answers[0] is not None and answers[0].status == HTTPStatus.NOT_FOUND:  # and is there for other keys
            self._not_taken[blocker.finding] = exchanges[0]
        if (failed := next(filter(is_failure, exchanges), None)) is not None:
            self._not_taken.setdefault(blocker.finding, failed)


def _is_from_elsewhere(response: Response | None) -> bool:
    """Whether it is a redirect or a web page, which an instance that is not the API may give to a key that works."""
    return response is not None and (is_redirect(response) or (response.succeeded and response.looks_like_html))
