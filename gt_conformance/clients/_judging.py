"""Judging: what a client said of itself, held beside what passed the proxy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gt_conformance.checks import Advisory, CheckCall, Parameters, Violation
from gt_conformance.clients._claims import NEVER_CALLS, STEPS, WORKS, result
from gt_conformance.clients._judged import Judged
from gt_conformance.clients._profile import differences, discovery, is_foreign, line_of, route_of, title_of
from gt_conformance.clients._session import Attempt, Call, Driven, Session, by_hand
from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange, Response, shortened
from gt_conformance.judgement import Judgement
from gt_conformance.planning import client_case
from gt_conformance.runbook import ClientProfile, Row, Runbook, Step
from gt_conformance.runner import CheckResult
from gt_conformance.tenant import Credential, Tenant
from gt_conformance.vocabulary import Route, Verdict

_DRIFTED = "The client sends something else than the runbook says: gt-conformance clients measure {id} --update."
_DRIVE_AGAIN = "Drive it by hand to see why: gt-conformance clients run {id} --verbose."
_NO_CALL = "its driver has no call for it"
_LONGEST = 300
_QUICK_MS = 2_000
_NOT_ALLOWED = frozenset({401, 403, 404})


@dataclass
class _Findings:
    """What is found while one client is judged on one route."""

    check: str
    session: Session
    violations: list[Violation] = field(default_factory=list)
    blockers: list[Blocker] = field(default_factory=list)
    advisories: list[Advisory] = field(default_factory=list)
    exchanges: list[str] = field(default_factory=list)
    elapsed_ms: float = 0.0

    def violation(self, expected: str, found: str, exchange: str | None = None, remedy: str | None = None) -> None:
        self.violations.append(Violation(expected, found, exchange, remedy))

    def together(self) -> CheckResult:
        return result(
            CheckCall(self.check, self.session.credential, Parameters(client=self.session.client.id)),
            self.violations,
            self.blockers,
            self.advisories,
            self.exchanges,
            self.elapsed_ms,
        )


def judge(book: Runbook, driven: Driven, tenant: Tenant) -> Judged:
    """Each row judged by every client of the runbook that has a part in it."""
    rows = tuple(Judgement(client_case(row), tuple(_checks(book, row, driven, tenant))) for row in book.rows)
    return Judged(book, rows, driven)


def not_driven(book: Runbook, reason: str, remedy: str) -> Judged:
    """The rows of a runbook whose clients were not driven, and why."""
    blocker = Blocker(reason, remedy)
    rows = (
        (row, result(CheckCall(WORKS if row.verdict is Verdict.NATIVE else NEVER_CALLS), [], [blocker]))
        for row in book.rows
    )
    return Judged(book, tuple(Judgement(client_case(row), (check,)) for row, check in rows))


def _checks(book: Runbook, row: Row, driven: Driven, tenant: Tenant) -> Iterator[CheckResult]:
    if row.verdict is Verdict.NATIVE:
        driving = [session for session in driven.sessions if row.route in session.client.drives]
        if row.route in driven.manifest.by_hand:
            yield _steps(row.route, [by_hand(row.route)], driven, urlsplit(tenant.base_url).path)
        elif not driving:
            why = Blocker(
                f"no client that was driven is asked for {row.route.title}",
                f"Drive the others of this runbook too: gt-conformance clients run {book.id}.",
            )
            yield result(CheckCall(WORKS), [], [why])
        for session in driving:
            yield _works(session, row.route, _profile(book, session), tenant)
        return
    for session in driven.sessions:
        yield _never_calls(session, row.route, tenant)
    if row.verdict is Verdict.GT_EXTENSION:
        yield _steps(row.route, row.steps, driven, urlsplit(tenant.base_url).path)


def _profile(book: Runbook, session: Session) -> ClientProfile | None:
    name = session.client.profile
    return next((profile for profile in book.measured_clients if profile.package == name), None)


def _works(session: Session, route: Route, profile: ClientProfile | None, tenant: Tenant) -> CheckResult:
    found = _Findings(WORKS, session)
    if session.trouble is not None:
        found.blockers.append(Blocker(session.trouble, session.remedy))
        return found.together()
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
        found.blockers.append(
            Blocker(
                f"{session.client.title} was not asked for {route.value}: {attempt.ended.trouble or _NO_CALL}",
                _DRIVE_AGAIN.format(id=session.client.id),
            )
        )
    elif attempt.ended.trouble is not None:
        found.blockers.append(
            Blocker(f"the session is not whole: {attempt.ended.trouble}", _DRIVE_AGAIN.format(id=session.client.id))
        )
    key = tenant.credentials[session.credential] if session.credential else None
    for call in calls:
        if not call.succeeded and key is not None and (why := _not_entitled(key, route, seen, session, tenant)):
            found.blockers.append(why)
        elif not call.succeeded:
            _failed(found, call, route, session, tenant)
    if calls and not found.violations and not found.blockers:
        _held_beside(found, calls, route, seen, attempt, base_path)
        if profile is not None:
            _shaped(found, route, session, profile, base_path)
    if route is (Route.MODELS if Route.MODELS in session.client.drives else session.client.drives[0]):
        _discovered(found, attempt, profile, base_path)
    return found.together()


def _failed(found: _Findings, call: Call, route: Route, session: Session, tenant: Tenant) -> None:
    """A call that failed in the client's eyes: in its words, with what happened on the wire, and what /v1 changes."""
    attempt, base_path = session.documented, urlsplit(tenant.base_url).path
    said = _words(call)
    refused = [passage.exchange for passage in attempt.passages if _about(passage.exchange, route, base_path)]
    proof = next((exchange for exchange in refused if not _fine(exchange)), refused[-1] if refused else None)
    on_wire = _on_wire(proof) if proof is not None else "it sent nothing that could be this call"
    again = session.versioned
    remedy = None
    if again is None:
        other = ""
    elif _works_versioned(session, route):
        other = f" With {again.base_url} it works."
        remedy = f"Set this client's base URL to {again.base_url}."
    else:
        other = f" With {again.base_url} it fails as well."
    found.violation(
        f"{call.name} succeeds with the documented base URL {attempt.base_url}",
        f"the client says: {said}; on the wire: {on_wire}.{other}",
        proof.ref if proof is not None else None,
        remedy,
    )
    if proof is not None and proof.ref not in found.exchanges:
        found.exchanges.append(proof.ref)


def _not_entitled(
    key: Credential, route: Route, seen: Sequence[Exchange], session: Session, tenant: Tenant
) -> Blocker | None:
    """Why a refusal says nothing of the client: its one key has not, or is not known to have, what the route takes."""
    named = None if route.modality is None else key.may_use(tenant.model(route.modality))
    rights = {key.may(route), True if route.modality is None else named}
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


def _held_beside(
    found: _Findings, calls: Sequence[Call], route: Route, seen: Sequence[Exchange], attempt: Attempt, base_path: str
) -> None:
    """What the client calls a success, held beside the wire."""
    fine = [exchange for exchange in seen if _fine(exchange)]
    if not fine:
        elsewhere = [passage.exchange for passage in attempt.passages if is_foreign(passage.exchange, base_path)]
        proof = next(iter([*seen, *elsewhere]), None)
        found.violation(
            f"{calls[0].name} reaches {route.title} and gets a 2xx",
            f"the client says: {_words(calls[0])}; on the wire: "
            + (_on_wire(proof) if proof is not None else "nothing on that route"),
            proof.ref if proof is not None else None,
        )
        return
    for exchange in seen:
        if exchange in fine:
            continue
        text = f"the client got {_on_wire(exchange)} and told nobody"
        if len(fine) < len(calls):
            found.violation("every failure on the wire is told by the client", text, exchange.ref)
        else:
            found.advisories.append(Advisory(f"{text}: it tried again, and that worked", exchange.ref))


def _shaped(found: _Findings, route: Route, session: Session, profile: ClientProfile, base_path: str) -> None:
    """What it sent is what the runbook's wire profile says."""
    for item in differences(profile, session.documented, base_path):
        if item.seen.route is route:
            expected = f"the shape that its wire profile says ({profile.package})"
            found.violation(expected, str(item), item.seen.exchange, _DRIFTED.format(id=session.client.id))


def _discovered(found: _Findings, attempt: Attempt, profile: ClientProfile | None, base_path: str) -> None:
    """What it asks to find out what the server is must be answered at once, with no failure of the server.

    Where the profile names the request, success is no answer either: the client would take the tenant for another.
    """
    named = profile.discovery if profile is not None else ()
    for exchange in discovery(attempt, base_path):
        found.exchanges.append(exchange.ref)
        status = exchange.response.status if exchange.response is not None else None
        mistaken = status is not None and status < 400 and line_of(exchange, base_path) in named
        if status is None or status >= 500 or exchange.elapsed_ms > _QUICK_MS or mistaken:
            found.violation(
                "its discovery requests are refused at once",
                f"{_on_wire(exchange)} after {exchange.elapsed_ms / 1000:.1f} s",
                exchange.ref,
                "Have the tenant answer unknown paths with a 404 at once, with and without a key.",
            )


def _never_calls(session: Session, route: Route, tenant: Tenant) -> CheckResult:
    found = _Findings(NEVER_CALLS, session)
    if session.trouble is not None:
        found.blockers.append(Blocker(session.trouble, session.remedy))
        return found.together()
    base_path = urlsplit(tenant.base_url).path
    for attempt in session.attempts:
        for passage in attempt.passages:
            if route_of(passage.exchange, base_path) is route:
                found.exchanges.append(passage.exchange.ref)
                found.violation(
                    f"{session.client.title} never calls {route.title}",
                    _on_wire(passage.exchange),
                    passage.exchange.ref,
                )
        if attempt.ended.trouble is not None and not found.violations:
            found.blockers.append(
                Blocker(f"the session is not whole: {attempt.ended.trouble}", _DRIVE_AGAIN.format(id=session.client.id))
            )
    return found.together()


def _steps(route: Route, steps: Sequence[Step], driven: Driven, base_path: str) -> CheckResult:
    call = CheckCall(STEPS)
    if driven.steps is None or (driven.no_steps is not None and route not in driven.manifest.by_hand):
        why = driven.no_steps or "the run ended before they were"
        return result(call, [], [Blocker(f"the steps could not be sent: {why}", driven.no_steps or "Run it again.")])
    calls = [call for call in driven.steps.calls if call.route is route]
    violations = [
        Violation(f"the step {call.name} of {route.title} works as written", _words(call), None)
        for call in calls
        if not call.succeeded
    ]
    blockers = []
    if len(calls) < len(steps):
        trouble = driven.steps.ended.trouble or "not all of them were sent"
        blockers.append(Blocker(f"the steps are not whole: {trouble}", "Run it again."))
    sends = {step.send for step in steps}
    refs = [passage.exchange.ref for passage in driven.steps.passages if title_of(passage.exchange, base_path) in sends]
    return result(call, violations, blockers, (), refs)


def _words(call: Call) -> str:
    """What the client said, on one line: some of them write paragraphs, with a link at the end."""
    return shortened(" ".join(call.outcome.split()), _LONGEST)


def _about(exchange: Exchange, route: Route, base_path: str) -> bool:
    """Whether a request may be this call: on its route, or, where that is none, with the same method and ending."""
    found = route_of(exchange, base_path)
    ending = route.path.removeprefix("/v1").partition("{")[0]
    return found is route or (
        found is None and exchange.request.method == route.method and ending in exchange.request.path
    )


def _fine(exchange: Exchange) -> bool:
    response = exchange.response
    return response is not None and response.succeeded and not _carries_an_error(response)


def _carries_an_error(response: Response) -> bool:
    if response.media_type != "application/json" or b'"error"' not in response.body:
        return False
    try:
        body: Any = response.json()
    except ValueError:
        return False
    return isinstance(body, dict) and bool(body.get("error"))


def _on_wire(exchange: Exchange) -> str:
    line = f"{exchange.request.method} {exchange.request.path}"
    if exchange.response is None:
        return f"{line}: no answer ({exchange.detail})"
    return f"{line}: HTTP {exchange.response.status}"
