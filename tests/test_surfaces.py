"""The boundary as tables: every surface by every address in every state of the key, and one finding for each hole."""

from collections import Counter

import pytest

from gt_conformance.checks import CheckCall, CheckResult, _surfaces
from gt_conformance.checks._surfaces import SURFACES, Address, Asking, Surface, surfaces
from gt_conformance.exchange import Presentation, Request, Response
from gt_conformance.tenant import Secret
from gt_conformance.vocabulary import Outcome, Route
from tests.fake_tenant import BASE_URL, FakeSender, Rule, answer, judged, key, place, plan_of, refusal, run, tenant_of

TENANT = tenant_of(key("chat", retired_secret=Secret("gtak_" + "0" * 40)), key("gone", revoked=True))
STATES = ("key.required", "key.revocation", "key.rotation")
NEW = Surface("new", "GET /v1/new", Route.MODELS, lambda asking: Request("GET", f"{BASE_URL}/v1/new", asking.key))


@pytest.fixture
def _one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A surface more, by a line in the table."""
    monkeypatch.setattr(_surfaces, "SURFACES", (*SURFACES, NEW))


def shut(request: Request) -> Response | None:
    """Refuses every key but the live one, at every address."""
    live = request.key == "chat" and request.presentation is Presentation.BEARER
    return None if live else refusal(401, "Unknown key.")


def opened(*paths: str, to: tuple[str | None, ...] = (None, "gone", "chat.old")) -> Rule:
    """These paths are answered to anybody, or to these keys only."""
    return lambda request: answer({}) if place(request) in paths and request.key in to else None


@pytest.mark.usefixtures("_one_more")
def test_a_new_surface_is_asked_in_every_state() -> None:
    """Without a key, with an unknown, a revoked and a retired one, by both addresses: no check was changed for it."""
    sender = FakeSender(shut)
    run(plan_of(TENANT, *(CheckCall(check, "chat") for check in STATES)), sender)
    new = [request for request in sender.sent if request.url.endswith("/new")]
    states = {
        (None, Presentation.NONE),
        (None, Presentation.MADE_UP),
        ("gone", Presentation.BEARER),
        ("chat.old", Presentation.BEARER),
    }
    for path in ("/v1/new", "/new"):
        assert {(item.key, item.presentation) for item in new if place(item) == path} == states


@pytest.mark.usefixtures("_one_more")
@pytest.mark.parametrize("check", STATES)
def test_a_new_surface_that_is_open_is_found_in_every_state(check: str) -> None:
    """To the key of that state alone."""
    state = {"key.required": (None,), "key.revocation": ("gone",), "key.rotation": ("chat.old",)}[check]
    result = judged(check, opened("/v1/new", to=state), shut, tenant=TENANT)
    assert result.outcome is Outcome.VIOLATES
    assert {violation.expected.partition(" ")[2].partition(" ")[0] for violation in result.violations} == {"/v1/new"}


def test_every_surface_is_asked_with_the_request_of_its_own_title() -> None:
    """By method and path, in both forms of the address; no two surfaces are one."""
    asking = Asking(TENANT, "r1", "chat")
    for surface in SURFACES:
        method, path = surface.title.split()[:2]
        for address, shown in ((Address.VERSIONED, path), (Address.UNVERSIONED, path.removeprefix("/v1"))):
            request = surface.request(asking, address)
            before, _, after = shown.rstrip(",").partition("{id}")
            assert request.method == method
            assert place(request).startswith(before)
            assert place(request).endswith(after)
            assert surface.named(address).startswith(f"{method} {shown}")
    assert len({surface.id for surface in SURFACES}) == len(SURFACES)
    assert {surface.route for surface in SURFACES if surface.route is not None} == set(Route)


def test_the_surfaces_of_some_routes_are_theirs_alone() -> None:
    """Opening a conversation belongs to the routes that need one."""
    assert surfaces() == SURFACES
    assert {surface.route for surface in surfaces((Route.CHAT, Route.MODELS))} == {Route.CHAT, Route.MODELS}
    assert {surface.route for surface in surfaces((Route.CONVERSATION_FILES,))} == {Route.CONVERSATION_FILES, None}


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize("check", STATES)
def test_an_unversioned_address_need_not_be_served(check: str, status: int) -> None:
    """What is absent there is no hole, and nothing is left untested by it; nor is it by the alias of a file's state."""

    def absent(request: Request) -> Response | None:
        path = place(request)
        return None if path.startswith("/v1/") and "/uploads/" not in path else refusal(status, "No such route.")

    result = judged(check, absent, shut, tenant=TENANT, strict=True)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")


def test_a_versioned_address_that_is_absent_proves_nothing() -> None:
    """A route that everybody misses refuses no key."""
    missing: Rule = lambda request: refusal(404, "No such route.") if place(request) == "/v1/embeddings" else None  # noqa: E731 - a rule
    result = judged("key.required", missing, shut, tenant=TENANT)
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())


def found(result: CheckResult) -> set[str]:
    """The findings of its violations."""
    return {violation.finding for violation in result.violations}


EMBEDDINGS = ("/v1/embeddings", "/embeddings")
SPEECH = ("/v1/audio/speech", "/audio/speech")


@pytest.mark.parametrize(
    "paths", [EMBEDDINGS[:1], EMBEDDINGS[1:], EMBEDDINGS], ids=["versioned", "un-versioned", "both"]
)
def test_what_is_open_to_anybody_is_one_finding(paths: tuple[str, ...]) -> None:
    """Of the weakest state: to an unknown key it is the same hole, and a dead key's check is blocked because of it."""
    rules = (opened(*paths), shut)
    required = judged("key.required", *rules, tenant=TENANT)
    assert required.outcome is Outcome.VIOLATES
    assert len(found(required)) == 1
    for check in ("key.revocation", "key.rotation"):
        result = judged(check, *rules, tenant=TENANT)
        assert (result.outcome, {result.because}) == (Outcome.BLOCKED, found(required))


def test_a_hole_of_one_address_is_another_than_that_of_the_other() -> None:
    """What is open by the un-versioned address only is put right somewhere else."""
    holes = [judged("key.required", opened(path), shut, tenant=TENANT) for path in EMBEDDINGS]
    assert len(found(holes[0]) | found(holes[1])) == 2


def test_what_is_open_to_unknown_keys_is_not_open_without_one() -> None:
    """Another state is another hole."""
    any_key: Rule = lambda request: (  # noqa: E731 - a rule
        answer({}) if place(request) in SPEECH and request.presentation is Presentation.MADE_UP else None
    )
    unknown, none = (judged("key.required", rule, shut, tenant=TENANT) for rule in (any_key, opened(*SPEECH)))
    assert len(found(unknown)) == len(found(none)) == 1
    assert found(unknown) != found(none)
    assert all("to any key" in violation.expected for violation in unknown.violations)


# -- instances that do not decide alike


def wavering(at: int, then: Response) -> Rule:
    """Embeddings are open to whoever asks, but for one time: when a request for them is sent so often, this comes."""
    times: Counter[Request] = Counter()

    def rule(request: Request) -> Response | None:
        if place(request) != EMBEDDINGS[0]:
            return None
        times[request] += 1
        return then if times[request] == at else answer({})

    return rule


@pytest.mark.parametrize("at", [2, 7], ids=["at once", "at last"])
def test_what_is_let_in_and_refused_is_one_finding_about_instances(at: int) -> None:
    """Whatever the state of the key: sent again, the same request is refused, so that one instance does not refuse."""
    results = [judged(check, wavering(at, refusal(401, "No.")), shut, tenant=TENANT) for check in STATES]
    assert len(set.union(*map(found, results))) == 1
    for result in results:
        assert result.outcome is Outcome.VIOLATES
        assert all("HTTP 401" in one.found and "when it was sent again" in one.found for one in result.violations)
        assert all("decide alike" in (one.remedy or "") for one in result.violations)


@pytest.mark.parametrize(
    ("at", "then"), [(8, refusal(401, "No.")), (2, refusal(500, "Broke."))], ids=["too late", "no refusal"]
)
def test_what_is_let_in_at_each_time_is_a_hole(at: int, then: Response) -> None:
    """Six times more is often enough, and an error refuses nobody. Once something is a hole, nothing is sent again."""
    sender = FakeSender(wavering(at, then), opened("/v1/audio/speech"), shut)
    result = judged("key.required", tenant=TENANT, sender=sender)
    assert not [one for one in result.violations if "decide alike" in (one.remedy or "")]
    places = {violation.expected.split()[1] for violation in result.violations}
    assert places == {EMBEDDINGS[0], "/v1/audio/speech"}
    sent = Counter(request for request in sender.sent if place(request) in places)
    assert [times for times in sent.values() if times > 1] == [7]
