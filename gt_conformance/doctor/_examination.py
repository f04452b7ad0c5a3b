"""The questions: the model list, and a malformed request for each other surface, which can create nothing.

Most gateways refuse a key that lacks a right before they look at the body; one that has it learns that the body is
malformed. Where no key was ever refused, the tenant may look at bodies first, and nothing is concluded.
The run's own preflight comes before, so that a dead key or a wrong address is described in the words of a run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from gt_conformance.checks import Check, CheckCall, Probe, Registry, requests
from gt_conformance.errors import Blocked, Blocker, Problem
from gt_conformance.exchange import Exchange, FilePart, NotJson, Request
from gt_conformance.planning import Case, CaseKind, Plan
from gt_conformance.session import Session
from gt_conformance.tenant import Credential, Tenant
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Purpose, Route, Scope

_REACHED = frozenset({400, 409, 411, 413, 415, 422})
"""The body was refused: the key got that far."""
_REFUSED = frozenset({401, 403})
_MALFORMED: Mapping[str, object] = {"model": [], "input": {}, "messages": "malformed", "prompt": [], "title": []}
_CONVERSATIONS = "/v1/conversations"
_NO_FILE = (FilePart("gt-conformance", b"no file"),)
SCOPED = tuple(route for route in Route if route.scope is not None and route.modality is not None)
"""The routes that an inference scope opens."""
_SCOPED_PATHS = frozenset(route.path for route in SCOPED)


def _questions(tenant: Tenant, key: str) -> dict[str, Request]:
    """What is asked of one key, by the path that it is about."""

    def post(path: str) -> Request:
        return Request.of_json("POST", tenant.base_url + path, key, _MALFORMED)

    def form(path: str, headers: tuple[tuple[str, str], ...] = ()) -> Request:
        return Request("POST", tenant.base_url + path, key, headers=headers, parts=_NO_FILE)

    asked = {route.path: form(route.path) if route is Route.TRANSCRIPTIONS else post(route.path) for route in SCOPED}
    asked |= {
        Route.MODELS.path: requests.get(tenant, Route.MODELS.path, key),
        _CONVERSATIONS: post(_CONVERSATIONS),
        Route.CONVERSATION_FILES.path: form(
            Route.CONVERSATION_FILES.path, ((CONVERSATION_HEADER, requests.MADE_UP_ID),)
        ),
        Route.FILE_STATUS.path: requests.get(tenant, requests.status_path(requests.MADE_UP_ID), key),
    }
    if tenant.dataset is not None:
        asked[Route.DATASET_FILES.path] = form(requests.dataset_path(tenant.dataset))
    return asked


async def _ask_all(probe: Probe) -> None:
    """Each of them once. Raises Blocked where the key failed its preflight: then none of them is sent."""
    asked = _questions(probe.tenant, probe.credential.name)
    answers = await probe.send_each([*asked.values()])
    unsent = [
        one for path, one in zip(asked, answers, strict=True) if path in _SCOPED_PATHS and isinstance(one, Blocked)
    ]
    if len(unsent) == len(_SCOPED_PATHS):
        raise unsent[0]


_ABILITIES = Check(
    id="doctor.abilities",
    claim="What the key can do is known.",
    remedy="Ask again.",
    source="GT API keys and access",
    run=_ask_all,
)


@dataclass(frozen=True)
class Found:
    """What one key can do. What is None could not be found out.

    ``blocker`` is why nothing could be asked with it. ``opens``: it may open conversations. ``accepted`` are surfaces
    that took a malformed request.
    """

    key: Credential
    blocker: Blocker | None = None
    names: tuple[str, ...] | None = None
    scopes: frozenset[Scope] | None = None
    purpose: Purpose | None = None
    writes: bool | None = None
    opens: bool | None = None
    accepted: tuple[str, ...] = ()

    @property
    def works(self) -> bool:
        """Whether it could be asked."""
        return self.blocker is None


@dataclass(frozen=True)
class Examination:
    """What was found of a tenant; ``refusal`` is why nothing could be asked of it at all."""

    tenant: Tenant
    found: tuple[Found, ...]
    requests: int
    refusal: Blocker | None = None

    @cached_property
    def listed(self) -> Mapping[str, tuple[str, ...]]:
        """The published names, with the keys to which each is listed."""
        names = sorted({name for one in self.found for name in one.names or ()})
        return {name: tuple(one.key.name for one in self.found if name in (one.names or ())) for name in names}

    def complete(self, tenant: Tenant) -> Tenant:
        """The tenant with what was found where its file leaves it out; a key that is refused has no secret."""
        credentials = dict(tenant.credentials)
        for one in self.found:
            if one.key.name in credentials:
                credentials[one.key.name] = _with_found(credentials[one.key.name], one)
        return replace(tenant, credentials=credentials)


def _with_found(key: Credential, one: Found) -> Credential:
    if one.blocker is not None:
        if key.unset is not None:
            return key
        return replace(key, secret=None, unset=Problem(f"{one.blocker.reason}.", hint=one.blocker.remedy))
    return replace(
        key,
        models=frozenset(one.names) if key.models is None and one.names is not None else key.models,
        scopes=one.scopes if key.scopes is None else key.scopes,
        purpose=one.purpose if key.purpose is None else key.purpose,
    )


def ask(tenant: Tenant) -> Examination:
    """Ask each live key of the tenant what it can do. Nothing is created."""
    keys = tenant.live_credentials
    calls = {key.name: CheckCall(_ABILITIES.id, key.name) for key in keys}
    case = Case(CaseKind.TENANT, _ABILITIES.id, _ABILITIES.claim, tuple(calls.values()))
    plan = Plan(tenant, (), (case,), {}, registry=Registry((_ABILITIES,)))
    with Session(plan) as session:
        results = {name: session.result(call) for name, call in calls.items()}
        exchanges, refusal = session.exchanges, session.refusal
    answers = {(one.request.key, one.request.method, one.request.url): one for one in exchanges}
    by_key = {
        key.name: {
            path: answers.get((key.name, request.method, request.url))
            for path, request in _questions(tenant, key.name).items()
        }
        for key in keys
    }
    tells = any(
        _status(by_key[key.name].get(route.path)) in _REFUSED
        for key in keys
        if not results[key.name].blockers
        for route in SCOPED
    )
    found = tuple(
        Found(key, blockers[0])
        if (blockers := results[key.name].blockers)
        else _read(key, by_key[key.name], tells=tells)
        for key in keys
    )
    if refusal is None and not any(one.response for one in exchanges):
        # What keeps every request on this machine says nothing of the keys.
        refusal = next((one.blocker for one in found if one.blocker and one.blocker.acts is Actor.HERE), None)
    return Examination(tenant, found, len(exchanges), refusal)


def _read(key: Credential, answers: Mapping[str, Exchange | None], *, tells: bool) -> Found:
    """What the answers to one key show. ``tells``: the tenant looks at rights before it looks at bodies."""
    reached = {path for path, one in answers.items() if _status(one) in _REACHED}
    accepted = tuple(
        path
        for path, one in answers.items()
        if 200 <= _status(one) < 300 and path not in {Route.MODELS.path, Route.FILE_STATUS.path}
    )
    if not tells:
        return Found(key, names=_names_in(answers.get(Route.MODELS.path)), accepted=accepted)
    scopes = {route.scope for route in SCOPED if route.scope is not None and route.path in reached}
    dataset = answers.get(Route.DATASET_FILES.path)
    writes = None if dataset is None else Route.DATASET_FILES.path in reached
    # A file that is not there is 404 to a key that may upload into conversations, whatever else that may mean.
    opens = _CONVERSATIONS in reached if _status(answers.get(_CONVERSATIONS)) in {*_REACHED, *_REFUSED} else None
    converses = opens and _status(answers.get(Route.CONVERSATION_FILES.path)) not in _REFUSED
    purpose = None
    if scopes:
        purpose = Purpose.CONVERSATION if converses else Purpose.INFERENCE
    elif writes or _status(answers.get(Route.CONVERSATION_FILES.path)) not in {*_REFUSED, 0}:
        purpose = Purpose.UPLOAD
    if writes:
        scopes.add(Scope.DATASETS_WRITE)
    # Whether it may write at all is known only where a dataset was asked for that it may write.
    sure = purpose is Purpose.INFERENCE or writes is not None
    names = None if purpose is Purpose.UPLOAD else _names_in(answers.get(Route.MODELS.path))
    return Found(key, None, names, frozenset(scopes) if sure and scopes else None, purpose, writes, opens, accepted)


def _status(exchange: Exchange | None) -> int:
    """The status; 0 where no answer came."""
    return exchange.response.status if exchange is not None and exchange.response is not None else 0


def _names_in(exchange: Exchange | None) -> tuple[str, ...] | None:
    """The names of a model list, sorted, as far as they are texts; None where it is none."""
    if exchange is None or exchange.response is None or not exchange.response.succeeded:
        return None
    try:
        body = exchange.response.json()
    except NotJson:
        return None
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, list):
        return None
    named = {one["id"] for one in data[:_MOST_NAMES] if isinstance(one, dict) and isinstance(one.get("id"), str)}
    return tuple(sorted(name for name in named if name.strip() and len(name) <= _LONGEST_NAME and name.isprintable()))


_MOST_NAMES, _LONGEST_NAME = 500, 200
