"""Judging: what a client reports of itself, compared with what passed the proxy; neither is believed alone."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from gt_conformance.checks import (
    UNROUTED,
    Advisory,
    CheckCall,
    CheckResult,
    Parameters,
    Violation,
    cause_of_answer,
    finding_of,
)
from gt_conformance.clients._manifest import Client
from gt_conformance.clients._profile import differences, discovery, is_foreign, line_of, route_of, title_of
from gt_conformance.clients._session import NOT_SENT, Attempt, Call, Driven, Session, by_hand, rights_of
from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange, Response, shortened
from gt_conformance.judgement import Judgement
from gt_conformance.planning import client_case
from gt_conformance.runbook import ClientProfile, Row, Runbook, Step
from gt_conformance.tenant import Credential, Tenant
from gt_conformance.vocabulary import CLIENT_CHECKS, Actor, Outcome, Route, Severity, Verdict

WORKS, NEVER_CALLS, STEPS = CLIENT_CHECKS

_DRIFTED = "The client does not send what the runbook says: gt-conformance clients measure {id} --update."
_DRIVE_AGAIN = "Drive it by hand to see why: gt-conformance clients run {id} --verbose."
_DRIVE_OTHERS = "Drive the others of this runbook too: gt-conformance clients run {id}."
_REFUSE_UNKNOWN = "Have the tenant answer unknown paths with a 404 at once, with and without a key."
_NO_CALL = "its driver has no call for it"
_AGAIN = "Run it again."
_FIRST_STEP = "Fix the step before it first: this one needs what that one gives."
_LONGEST = 300
_QUICK_MS = 2_000
_NOT_ALLOWED = frozenset({401, 403, 404})


@dataclass(frozen=True, slots=True)
class Claim:
    """What a check of real clients claims, how that is verified, who has to do what where it does not hold."""

    claim: str
    verifies: str
    remedy: str
    acts: Actor
    severity: Severity


CLAIMS = {
    WORKS: Claim(
        "The client's own call reports success, on this route, in the shape that its wire profile describes.",
        "The client is driven through the recording proxy with the documented base URL, and with /v1 behind it where "
        "that fails. It must return something and raise nothing; the proxy must have seen a 2xx on exactly this "
        "route; what was sent must be what the runbook's wire profile says; what it asks to find out what the server "
        "is must not be answered as by another server.",
        "Compare what the client reported with what the tenant answered, and fix the one that is at fault.",
        Actor.TENANT,
        Severity.HIGH,
    ),
    NEVER_CALLS: Claim(
        "Through the whole session the stock client never calls this route by itself.",
        "Nothing that passed the recording proxy while the client was driven is on this route. A session that did not "
        "end by itself proves nothing.",
        "Correct the runbook's verdict, or turn off the client setting that calls this route.",
        Actor.RUNBOOK,
        Severity.LOW,
    ),
    STEPS: Claim(
        "The runbook's explicit HTTP steps work as written, and so does what it tells people to request by hand.",
        "Each step is sent with method, path, headers and body as the runbook has them, through the recording proxy: "
        "by the product's own HTTP node where it has one that runs without its server. A poll ends in ready.",
        "Fix the step in the runbook, or the tenant's route.",
        Actor.TENANT,
        Severity.HIGH,
    ),
}


@dataclass(frozen=True)
class Judged:
    """The rows of a runbook whose clients were to be driven. ``driven`` is None where none was."""

    book: Runbook
    rows: tuple[Judgement, ...]
    driven: Driven | None = None

    def row(self, wanted: str) -> Judgement:
        """The judgement of the case of that id."""
        return next(judged for judged in self.rows if judged.id == wanted)

    def each(self, change: Callable[[Judgement], Judgement]) -> "Judged":
        """The same with each row's judgement changed: what of it is waived."""
        return replace(self, rows=tuple(map(change, self.rows)))

    def only(self, ids: Collection[str]) -> "Judged":
        """The same with the rows of these ids."""
        return replace(self, rows=tuple(judged for judged in self.rows if judged.id in ids))

    @property
    def held(self) -> bool:
        """Whether all native rows were driven, and held."""
        outcomes = {judged.case.route: judged.outcome for judged in self.rows}
        return all(outcomes.get(route) is Outcome.CONFORMS for route in self.book.native_routes())

    def further(self, item: int) -> tuple[CheckResult, ...]:
        """What the clients add to a checklist item that names them."""
        routes = self.driven.manifest.items.get(item, ()) if self.driven is not None else ()
        return tuple(check for judged in self.rows if judged.case.route in routes for check in judged.checks)


@dataclass
class _Findings:
    """What is found in one check; ``conclude`` makes the result of it. Blockers count where nothing violates."""

    call: CheckCall
    violations: list[Violation] = field(default_factory=list)
    blockers: list[Blocker] = field(default_factory=list)
    advisories: list[Advisory] = field(default_factory=list)
    exchanges: list[str] = field(default_factory=list)
    elapsed_ms: float = 0.0

    def violation(
        self,
        expected: str,
        found: str,
        exchange: str | None = None,
        remedy: str | None = None,
        *,
        acts: Actor | None = None,
        cause: str = "",
    ) -> None:
        """As ``Probe.fail``: ``cause`` tells it from the other findings of its check; with a colon it is shared."""
        check = self.call.check
        finding = finding_of(check, cause or remedy or CLAIMS[check].remedy, shared=":" in cause)
        self.violations.append(Violation(expected, found, exchange, remedy, finding, acts=acts))

    def block(self, reason: str, remedy: str) -> None:
        self.blockers.append(Blocker(reason, remedy))

    def conclude(self) -> CheckResult:
        claim = CLAIMS[self.call.check]
        outcome, reason, remedy = Outcome.CONFORMS, "", ""
        if self.violations:
            outcome, first = Outcome.VIOLATES, self.violations[0]
            more = f" (and {len(self.violations) - 1} more)" if len(self.violations) > 1 else ""
            reason = f"expected {first.expected}; found {first.found}{more}"
            remedy = next((item.remedy for item in self.violations if item.remedy), claim.remedy)
        elif self.blockers:
            outcome, reason, remedy = Outcome.BLOCKED, self.blockers[0].reason, self.blockers[0].remedy
        return CheckResult(
            self.call,
            claim.claim,
            outcome,
            reason,
            remedy,
            tuple(self.violations),
            tuple(self.blockers),
            tuple(self.advisories),
            exchanges=tuple(dict.fromkeys(self.exchanges)),
            elapsed_ms=self.elapsed_ms,
            acts=claim.acts,
            severity=claim.severity,
        )


def _blocked(check: str, reason: str, remedy: str) -> CheckResult:
    """The result of a check that no client and no step had a part in."""
    found = _Findings(CheckCall(check))
    found.block(reason, remedy)
    return found.conclude()


def _call_of(check: str, session: Session) -> CheckCall:
    return CheckCall(check, session.credential, Parameters(client=session.client.id))


def judge(book: Runbook, driven: Driven, tenant: Tenant) -> Judged:
    """Each row judged by every client of the runbook that has a part in it."""
    rows = tuple(Judgement(client_case(row), tuple(_check_row(book, row, driven, tenant))) for row in book.rows)
    return Judged(book, rows, driven)


def not_driven(book: Runbook, reason: str, remedy: str) -> Judged:
    """The rows of a runbook whose clients were not driven, and why."""
    checks = ((row, WORKS if row.verdict is Verdict.NATIVE else NEVER_CALLS) for row in book.rows)
    rows = (Judgement(client_case(row), (_blocked(check, reason, remedy),)) for row, check in checks)
    return Judged(book, tuple(rows))


def _check_row(book: Runbook, row: Row, driven: Driven, tenant: Tenant) -> Iterator[CheckResult]:
    if row.verdict is Verdict.NATIVE:
        driving = [session for session in driven.sessions if row.route in session.client.drives]
        if row.route in driven.manifest.by_hand:
            yield _judge_asked(row.route, driven, tenant)
        elif not driving:
            yield _blocked(
                WORKS,
                f"no client that was driven is asked for {row.route.title}",
                _DRIVE_OTHERS.format(id=book.id),
            )
        for session in driving:
            yield _judge_works(session, row.route, _profile(book, session), tenant)
        return
    could_call = [session for session in driven.sessions if session.client.drives]
    for session in could_call:
        yield _judge_never_calls(session, row.route, tenant)
    if row.verdict is Verdict.GT_EXTENSION:
        yield _judge_steps(row, driven, tenant)
    elif not could_call:
        yield _blocked(NEVER_CALLS, "no client was driven that could call it", _DRIVE_OTHERS.format(id=book.id))


def _profile(book: Runbook, session: Session) -> ClientProfile | None:
    name = session.client.profile
    return next((profile for profile in book.measured_clients if profile.package == name), None)


def _judge_works(session: Session, route: Route, profile: ClientProfile | None, tenant: Tenant) -> CheckResult:
    found = _Findings(_call_of(WORKS, session))
    prevented = _prevented(session)
    if prevented is not None:
        found.blockers.append(prevented)
        return found.conclude()
    base_path = urlsplit(tenant.base_url).path
    attempt = session.documented
    calls = [call for call in attempt.calls if call.route is route]
    seen = [
        passage.exchange
        for passage in attempt.passages
        if route_of(passage.exchange, base_path) is route and not passage.answered_here
    ]
    found.exchanges += [exchange.ref for exchange in seen]
    found.elapsed_ms = sum(exchange.elapsed_ms for exchange in seen)
    if not calls:
        found.block(
            f"{session.client.title} was not asked for {route.value}: {attempt.ended.trouble or _NO_CALL}",
            _DRIVE_AGAIN.format(id=session.client.id),
        )
    elif attempt.ended.trouble is not None:
        found.block(f"the session is not whole: {attempt.ended.trouble}", _DRIVE_AGAIN.format(id=session.client.id))
    key = tenant.credentials[session.credential] if session.credential else None
    for call in calls:
        if not call.succeeded and key is not None and (why := _lacking_right(key, route, seen, session, tenant)):
            found.blockers.append(why)
        elif not call.succeeded:
            _explain_failure(found, call, route, session, tenant)
    if calls and not found.violations and not found.blockers:
        _compare_with_wire(found, calls, route, seen, attempt, base_path)
        if profile is not None:
            _compare_with_profile(found, route, session, profile, base_path)
    if route is (Route.MODELS if Route.MODELS in session.client.drives else session.client.drives[0]):
        _judge_discovery(found, attempt, profile, base_path)
    return found.conclude()


def _prevented(session: Session) -> Blocker | None:
    """Why the session says nothing about the client or the tenant: it could not be driven, or its way was not open."""
    if session.trouble is not None:
        return Blocker(session.trouble, session.remedy)
    exchanges = (passage.exchange for passage in session.documented.passages)
    local = next((exchange for exchange in exchanges if exchange.failure and exchange.failure.is_local), None)
    return Blocker(f"no answer: {local.detail}", local.remedy) if local is not None else None


def _explain_failure(found: _Findings, call: Call, route: Route, session: Session, tenant: Tenant) -> None:
    """A call that failed in the client's eyes: in its words, with what happened on the wire, and what /v1 changes."""
    attempt, base_path = session.documented, urlsplit(tenant.base_url).path
    said = _quote(call)
    refused = [passage.exchange for passage in attempt.passages if _about(passage.exchange, route, base_path)]
    proof = next((exchange for exchange in refused if not _is_success(exchange)), refused[-1] if refused else None)
    on_wire = _describe(proof) if proof is not None else "it sent nothing that could be this call"
    again = session.versioned
    other, remedy, cause = "", None, _cause(proof) if proof is not None else ""
    if again is not None and _works_versioned(session, route):
        other = f" With {again.base_url} it works."
        remedy = f"Set this client's base URL to {again.base_url}."
        cause = UNROUTED
    elif again is not None:
        other = f" With {again.base_url} it fails as well."
    found.violation(
        f"{call.name} succeeds with the documented base URL {attempt.base_url}",
        f"the client says: {said}; on the wire: {on_wire}.{other}",
        proof.ref if proof is not None else None,
        remedy,
        cause=cause,
    )
    if proof is not None and proof.ref not in found.exchanges:
        found.exchanges.append(proof.ref)


def _lacking_right(
    key: Credential, route: Route, seen: Sequence[Exchange], session: Session, tenant: Tenant
) -> Blocker | None:
    """Why a refusal says nothing of the client: its one key has not, or is not known to have, what the route takes."""
    rights = rights_of(key, route, tenant)
    refused = any(one.response is not None and one.response.status in _NOT_ALLOWED for one in seen)
    if False not in rights and (None not in rights or not refused or _works_versioned(session, route)):
        return None
    scope = f"scope {route.scope.value}" if route.scope is not None else "access to the tenant's models"
    lacks = "is not declared to have" if False in rights else "may not have, since the tenant file does not say,"
    return Blocker(
        f"the client has one key, and {key.name} {lacks} what {route.title} takes: {scope} and its published name",
        f"Map {session.client.runbook} to a key that covers all its native routes (runbooks in the tenant file).",
    )


def _works_versioned(session: Session, route: Route) -> bool:
    return session.versioned is not None and session.versioned.succeeded(route)


def _compare_with_wire(
    found: _Findings, calls: Sequence[Call], route: Route, seen: Sequence[Exchange], attempt: Attempt, base_path: str
) -> None:
    """What the client calls a success, compared with the wire."""
    succeeded = [exchange for exchange in seen if _is_success(exchange)]
    if not succeeded:
        elsewhere = [passage.exchange for passage in attempt.passages if is_foreign(passage.exchange, base_path)]
        proof = next(iter([*seen, *elsewhere]), None)
        found.violation(
            f"{calls[0].name} reaches {route.title} and gets a 2xx",
            f"the client says: {_quote(calls[0])}; on the wire: "
            + (_describe(proof) if proof is not None else "nothing on that route"),
            proof.ref if proof is not None else None,
        )
        return
    for exchange in seen:
        if exchange in succeeded:
            continue
        text = f"the client got {_describe(exchange)} and did not report it"
        if len(succeeded) < len(calls):
            found.violation("the client reports every failure on the wire", text, exchange.ref)
        else:
            found.advisories.append(Advisory(f"{text}: it tried again, and that worked", exchange.ref))


def _compare_with_profile(
    found: _Findings, route: Route, session: Session, profile: ClientProfile, base_path: str
) -> None:
    """What it sent is what the runbook's wire profile says. By what name it went is for `clients measure` to tell."""
    for item in differences(profile, session.documented, base_path):
        if item.seen.route is route and item.seen.path[0] != "headers":
            expected = f"the shape that its wire profile says ({profile.package})"
            found.violation(
                expected, str(item), item.seen.exchange, _DRIFTED.format(id=session.client.id), acts=Actor.RUNBOOK
            )


def _judge_discovery(found: _Findings, attempt: Attempt, profile: ClientProfile | None, base_path: str) -> None:
    """Where the profile names a discovery request, success is no answer: the client would take the tenant for another.

    No page says how else a path is answered that does not exist: what fails or comes late there is advised.
    """
    named = profile.discovery if profile is not None else ()
    for exchange in discovery(attempt, base_path):
        found.exchanges.append(exchange.ref)
        status = exchange.response.status if exchange.response is not None else None
        text = f"{_describe(exchange)} after {exchange.elapsed_ms / 1000:.1f} s"
        if status is not None and status < 400 and line_of(exchange, base_path) in named:
            found.violation("its discovery requests are refused", text, exchange.ref, _REFUSE_UNKNOWN)
        elif status is None or status >= 500 or exchange.elapsed_ms > _QUICK_MS:
            found.advisories.append(Advisory(f"its discovery requests should be refused at once: {text}", exchange.ref))


def _judge_never_calls(session: Session, route: Route, tenant: Tenant) -> CheckResult:
    found = _Findings(_call_of(NEVER_CALLS, session))
    mapping = tenant.runbooks.get(session.client.runbook)
    if mapping is not None and route in mapping.uses:
        return found.conclude()  # here it may call it
    if session.trouble is not None:
        found.block(session.trouble, session.remedy)
        return found.conclude()
    base_path = urlsplit(tenant.base_url).path
    for attempt in session.attempts:
        for passage in attempt.passages:
            if route_of(passage.exchange, base_path) is route:
                found.exchanges.append(passage.exchange.ref)
                found.violation(
                    f"{session.client.title} never calls {route.title}",
                    _describe(passage.exchange),
                    passage.exchange.ref,
                )
        if attempt.ended.trouble is not None and not found.violations:
            found.block(f"the session is not whole: {attempt.ended.trouble}", _DRIVE_AGAIN.format(id=session.client.id))
    return found.conclude()


def _judge_asked(route: Route, driven: Driven, tenant: Tenant) -> CheckResult:
    """What the runbook has people request by hand."""
    found = _Findings(CheckCall(STEPS))
    if driven.asked is None:
        found.block("the steps could not be sent: the run ended before they were", _AGAIN)
    else:
        _compare_steps(found, route, [by_hand(route)], driven.asked, tenant)
    return found.conclude()


def _judge_steps(row: Row, driven: Driven, tenant: Tenant) -> CheckResult:
    """The explicit steps of a row, by the client that had to send them."""
    sender = driven.sender
    found = _Findings(CheckCall(STEPS, None, Parameters(client=sender.id if sender is not None else None)))
    if driven.no_steps is not None:
        found.block(f"the steps could not be sent: {driven.no_steps.reason}", driven.no_steps.remedy)
    elif driven.steps is None:
        found.block("the steps could not be sent: the run ended before they were", _AGAIN)
    else:
        _compare_steps(found, row.route, row.steps, driven.steps, tenant, sender)
    return found.conclude()


def _compare_steps(
    found: _Findings,
    route: Route,
    steps: Sequence[Step],
    attempt: Attempt,
    tenant: Tenant,
    sender: Client | None = None,
) -> None:
    """Each call of these steps beside the wire: who sends them may say that one worked which never left."""
    base_path = urlsplit(tenant.base_url).path
    passed = [passage.exchange for passage in attempt.passages if not passage.answered_here]
    calls = [call for call in attempt.calls if call.route is route]
    for call in calls:
        by = _by(sender, [step for step in steps if step.send == call.name])
        of_call = [exchange for exchange in passed if title_of(exchange, base_path) == call.name]
        worked = any(map(_is_success, of_call))
        if call.error == NOT_SENT:
            found.block(f"the step {call.name} could not be sent: {call.message}", _FIRST_STEP)
        elif not call.succeeded:
            proof = next((exchange for exchange in reversed(of_call) if not _is_success(exchange)), None)
            found.violation(
                f"the step {call.name} of {route.title} works as written{by}",
                _quote(call),
                proof.ref if proof is not None else None,
                cause=_cause(proof) if proof is not None else "",
            )
        elif not worked:
            found.violation(
                f"the step {call.name} of {route.title} reaches the tenant as written{by}",
                f"it says: {_quote(call)}; on the wire: nothing of that got a 2xx",
            )
    if len(calls) < len(steps):
        trouble = attempt.ended.trouble or "not all of them were sent"
        found.block(f"the steps are not whole: {trouble}", _AGAIN)
    sends = {step.send for step in steps}
    found.exchanges += [exchange.ref for exchange in passed if title_of(exchange, base_path) in sends]


def _by(sender: Client | None, steps: Sequence[Step]) -> str:
    """Who sent a step, where that was a product: what it says of a failure are its words."""
    forms = any((step.body or "").startswith("multipart") for step in steps)
    if sender is None or (forms and sender.no_forms):
        return ""
    return f", sent by {sender.title}, its {sender.sends}"


def _quote(call: Call) -> str:
    """What the client said, on one line: some of them write paragraphs, with a link at the end."""
    return shortened(" ".join(call.outcome.split()), _LONGEST)


def _about(exchange: Exchange, route: Route, base_path: str) -> bool:
    """Whether a request may be this call: on its route, or, where that is none, with the same method and ending."""
    found = route_of(exchange, base_path)
    ending = route.path.removeprefix("/v1").partition("{")[0]
    return found is route or (
        found is None and exchange.request.method == route.method and ending in exchange.request.path
    )


def _cause(exchange: Exchange) -> str:
    """The cause of a failure: with the probes that got the same answer, where one came and is no success."""
    response = exchange.response
    return cause_of_answer(exchange) if response is not None and not response.succeeded else ""


def _is_success(exchange: Exchange) -> bool:
    response = exchange.response
    return response is not None and response.succeeded and not _holds_an_error(response)


def _holds_an_error(response: Response) -> bool:
    if response.media_type != "application/json" or b'"error"' not in response.body:
        return False
    try:
        body: Any = response.json()
    except ValueError:
        return False
    return isinstance(body, dict) and bool(body.get("error"))


def _describe(exchange: Exchange) -> str:
    line = f"{exchange.request.method} {exchange.request.path}"
    if exchange.response is None:
        return f"{line}: no answer ({exchange.detail})"
    return f"{line}: HTTP {exchange.response.status}"
