"""One round: a plan of a few of a run's own checks, rehearsed for what it costs, and carried out by a session."""

import threading
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from gt_conformance import session
from gt_conformance.checks import BUILT_IN, MINIMAL, CheckCall, CheckResult, Parameters, narrowest_key, reaches
from gt_conformance.exchange import Exchange
from gt_conformance.planning import Plan, tenant_case
from gt_conformance.results.run_types import TenantAddress
from gt_conformance.runner import OUT_OF_REQUESTS, OUT_OF_TOKENS, HttpSender
from gt_conformance.spending import worst_case
from gt_conformance.tenant import Credential, Tenant, TenantKind
from gt_conformance.vocabulary import Actor, Outcome, Route

MOST_REQUESTS = 12
"""In a round, whatever happens in it."""

_SLICE_S = 0.05
_UNBOUNDED = 10**12
"""A budget that no round passes: the tokens of one that has none are counted as well."""
_REFUSED = "route.refused"
_OUT = frozenset({OUT_OF_REQUESTS, OUT_OF_TOKENS})
_CLOSED = (Route.EMBEDDINGS, Route.CHAT, Route.SPEECH, Route.TRANSCRIPTIONS, Route.IMAGES)
"""The routes by which a key's refusal is tried, the cheapest first: they create nothing, should one be open."""


@dataclass(frozen=True)
class Observation:
    """What one check of a round found. ``seconds`` is how long the answer to its last request took.

    ``cut_short`` where the round had no request or token left for it.
    """

    call: CheckCall
    outcome: Outcome
    acts: Actor
    reason: str
    seconds: float | None
    first_event_s: float | None = None
    cut_short: bool = False
    exchanges: int = 0

    @property
    def is_refusal(self) -> bool:
        """Whether it is that of a key by a route that its scopes leave out."""
        return self.call.check == _REFUSED

    @property
    def name(self) -> tuple[str, str]:
        """The check and the key: the same in each round."""
        return self.call.check, self.call.credential or ""

    @property
    def says_nothing(self) -> bool:
        """Whether this machine, or the round itself, kept it from being tested: that says nothing of the tenant."""
        return self.cut_short or (self.outcome is Outcome.BLOCKED and self.acts is Actor.HERE)


@dataclass(frozen=True)
class Round:
    """A round that was carried out. ``refusal`` is why nothing could be judged in it."""

    tenant: TenantAddress
    started: datetime
    seconds: float
    observations: tuple[Observation, ...]
    requests: int
    tokens: int
    refusal: str | None
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Prepared:
    """A round before it is sent: its plan, and the most that its requests may be and use."""

    plan: Plan
    requests: int
    tokens: int

    def carry_out(self, over: threading.Event, tokens_left: int | None) -> Round | None:
        """Send it. ``over`` ends it early: then it is no round. It uses no more than the tokens that are left."""
        started = datetime.now(UTC)
        plan = _within(self.plan, tokens_left)
        sender = HttpSender(plan.tenant)
        running = session.Session(plan, sender=lambda: sender)
        with running:
            while running.progress.judged < running.progress.planned:
                if over.wait(_SLICE_S):
                    return None
        results = [running.result(call) for call in self.plan.distinct]
        exchanges = {one.ref: one for one in running.exchanges}
        refusal = running.refusal
        kind = TenantKind.EMBEDDED if running.is_embedded else self.plan.tenant.kind
        return Round(
            {"base_url": self.plan.tenant.base_url, "kind": kind.value},
            started,
            (datetime.now(UTC) - started).total_seconds(),
            tuple(_observe(result, exchanges) for result in results),
            sender.sent,
            sender.tokens_used,
            None if refusal is None else running.redactor.text(refusal.reason),
            running.suite_errors,
        )


def prepare(tenant: Tenant, turn: int = 0, without: Collection[CheckCall] = ()) -> Prepared:
    """A round: list, chat, streamed chat, embeddings, and one refusal of each key.

    As many keys as MOST_REQUESTS leaves room for, ``turn`` of them later on. Left out is what is looked at apart, and
    what rests on it.
    """
    apart = {(call.check, call.credential) for call in without}
    needed, refusals = (
        [call for call in calls if call not in without and not _rests_on(call, apart)]
        for calls in (_serving(tenant), _refused(tenant))
    )
    turn = turn % len(refusals) if refusals else 0
    refusals = [*refusals[turn:], *refusals[:turn]][:MOST_REQUESTS]

    @cache
    def rehearsed(count: int) -> Prepared:
        return _rehearsed(tenant, [*needed, *refusals[:count]])

    fitting = bisect_right(range(1, len(refusals) + 1), MOST_REQUESTS, key=lambda count: rehearsed(count).requests)
    return rehearsed(fitting)


def look_closer(tenant: Tenant, call: CheckCall) -> Prepared:
    """A round of one check, which has all its requests for itself: to look again at what seems broken takes some."""
    return _rehearsed(tenant, [call])


def _rests_on(call: CheckCall, apart: Collection[tuple[str, str | None]]) -> bool:
    return any((name, call.credential) in apart for name in BUILT_IN[call.check].rests_on)


def _serving(tenant: Tenant) -> Iterator[CheckCall]:
    """What serves users: each route by the narrowest key that reaches it, embeddings by that of the chat if it may."""
    chat = _key_for(tenant, Route.CHAT)
    for route in (Route.MODELS, Route.CHAT, Route.EMBEDDINGS):
        key = _key_for(tenant, route, chat)
        if key is not None:
            yield CheckCall(BUILT_IN.opening(route).id, key.name, MINIMAL)
        if key is not None and route is Route.CHAT:
            bounded = Parameters(fields=(("max_tokens", tenant.limits.completion_tokens),))
            yield CheckCall("chat.streams", key.name, bounded)


def _key_for(tenant: Tenant, route: Route, preferred: Credential | None = None) -> Credential | None:
    if preferred is not None and (route is Route.MODELS or reaches(tenant, preferred, route)):
        return preferred
    usable = [key for key in tenant.live_credentials if key.secret is not None]

    def is_declared(key: Credential) -> bool:
        return key in usable and reaches(tenant, key, route)

    def may_be(key: Credential) -> bool:
        named = route.modality is None or tenant.may_use(key, route.modality) is not False
        return key in usable and key.may(route) is not False and named

    return narrowest_key(tenant, is_declared) or narrowest_key(tenant, may_be)


def _refused(tenant: Tenant) -> Iterator[CheckCall]:
    """One route that each live key is declared to be kept from; a key that may do everything has none."""
    for key in tenant.live_credentials:
        closed = next((route for route in _CLOSED if key.may(route) is False), None)
        if key.secret is not None and closed is not None:
            yield CheckCall(_REFUSED, key.name, Parameters(route=closed))


def _rehearsed(tenant: Tenant, calls: Sequence[CheckCall]) -> Prepared:
    # With the keys of the round alone: a check that looks again at a breach would ask with all of them.
    keys = {call.credential for call in calls}
    tenant = replace(tenant, credentials={name: key for name, key in tenant.credentials.items() if name in keys})
    case = replace(tenant_case(BUILT_IN.opening(Route.MODELS).id), checks=tuple(calls))
    plan = Plan(tenant, (), (case,), {})
    cost = session.rehearse(plan)
    return Prepared(plan, cost.requests, sum(worst_case(one.request).tokens for one in cost.exchanges))


def _within(plan: Plan, tokens_left: int | None) -> Plan:
    """The plan with the limits of a round."""
    limits = plan.tenant.limits
    bounds = [most for most in (tokens_left, limits.max_tokens) if most is not None]
    bounded = replace(
        limits,
        max_requests=min(MOST_REQUESTS, limits.max_requests),
        max_tokens=min(bounds, default=_UNBOUNDED),
    )
    return replace(plan, tenant=replace(plan.tenant, limits=bounded))


def _observe(result: CheckResult, exchanges: "dict[str, Exchange]") -> Observation:
    seen = [exchanges[ref] for ref in result.exchanges if ref in exchanges]
    last = seen[-1] if seen else None
    arrivals = last.response.arrivals if last is not None and last.response is not None else ()
    acts = result.blockers[0].acts if result.blockers else result.acts
    return Observation(
        result.call,
        result.outcome,
        acts,
        result.reason,
        None if last is None else last.elapsed_ms / 1000,
        arrivals[0].at_ms / 1000 if arrivals and result.call.check == "chat.streams" else None,
        cut_short=result.outcome is Outcome.BLOCKED and any(one.finding in _OUT for one in result.blockers),
        exchanges=len(seen),
    )
