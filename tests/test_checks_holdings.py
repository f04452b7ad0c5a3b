"""What checks have made for them: by a key that has nothing to do with theirs, and found wherever a tenant names it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance.checks import CheckCall, CheckResult, Parameters
from gt_conformance.exchange import Failure, Request, Response
from gt_conformance.tenant import Credential, Tenant
from gt_conformance.vocabulary import CONVERSATION_HEADER, Outcome, Purpose, Route, Scope
from tests.fake_tenant import (
    ALIAS,
    HTML_PAGE,
    FakeSender,
    Reply,
    Rule,
    answer,
    by,
    extensions,
    findings,
    judged,
    key,
    place,
    plan_of,
    refusal,
    run,
    sent_json,
    tenant_of,
)

CONVERSATIONS, FILES = "/v1/conversations", "/v1/conversations/files"
DATASET = "/v1/datasets/scratch/files"
GONE = Reply(failure=Failure.CLOSED, detail="closed")
BUSY = refusal(429)
TALKS = key("talks", scopes=frozenset({Scope.CHAT}))
KEPT_OUT = by("talks", refusal(403))


def app(name: str = "app", **facts: Any) -> Credential:
    """A key that opens conversations and uploads into them."""
    return key(name, **{"purpose": Purpose.CONVERSATION, "scopes": frozenset({Scope.CHAT})} | facts)


def writer(name: str = "writes", **facts: Any) -> Credential:
    """A key that uploads into the dataset."""
    return key(name, **{"purpose": Purpose.UPLOAD, "scopes": frozenset({Scope.DATASETS_WRITE})} | facts)


class Refused:
    """What was sent, and what came of it, where the first key is to be refused what another one made.

    A key that may use the route is asked whether it opens more than its runbook needs, one that may not whether it does
    at all.
    """

    def __init__(self, route: Route, tenant: Tenant, *rules: Rule) -> None:
        self._sender = FakeSender(*rules, KEPT_OUT, extensions)
        closed = next(iter(tenant.credentials.values())).may(route) is False
        check = "route.refused" if closed else "key.least_privilege"
        parameters = Parameters(route=route) if closed else Parameters(routes=(route,))
        self.result: CheckResult = judged(check, tenant=tenant, parameters=parameters, sender=self._sender)

    @property
    def makers(self) -> list[tuple[str | None, str]]:
        """Which key made what, in order."""
        makings = {CONVERSATIONS, FILES, DATASET}
        return [
            (request.key, place(request))
            for request in self._sender.sent
            if request.key != "talks" and place(request) in makings
        ]

    @property
    def asked(self) -> Request | None:
        """What the first key was refused; None where it was not asked."""
        asked = [item for item in self._sender.sent if item.key == "talks" and "/files" in place(item)]
        return asked[0] if asked else None


def a_file(*keys: Credential, rules: tuple[Rule, ...] = (), **facts: Any) -> Refused:
    """The state of a file, which another key uploaded, asked for by the first."""
    return Refused(Route.FILE_STATUS, tenant_of(TALKS, *keys, **{"dataset": "scratch"} | facts), *rules)


def a_conversation(*keys: Credential, rules: tuple[Rule, ...] = (), **facts: Any) -> Refused:
    """An upload, by the first key, into a conversation that another one opened."""
    return Refused(Route.CONVERSATION_FILES, tenant_of(TALKS, *keys, **facts), *rules)


# -- whose it is

NO_FILE = "a refusal looks like an absence without a real file, and no other key could upload one"
NO_CONVERSATION = "a refusal looks like an absence without a real conversation, and no other key could open one"
STRANGERS: dict[str, tuple[Credential, tuple[Credential, ...], Outcome]] = {
    "another key": (TALKS, (app(),), Outcome.CONFORMS),
    "the second other key, the first being linked": (
        TALKS,
        (app(inherits=("talks",)), app("second")),
        Outcome.CONFORMS,
    ),
    "a key that inherits from another": (TALKS, (app(inherits=("rag",)),), Outcome.CONFORMS),
    "the key itself": (app("talks"), (), Outcome.BLOCKED),
    "the same secret under another name": (TALKS, (app(secret=TALKS.secret),), Outcome.BLOCKED),
    "a key that inherits from this one": (TALKS, (app(inherits=("talks",)),), Outcome.CONFORMS),
    "a key that this one inherits from": (app("talks", inherits=("app",)), (app(),), Outcome.BLOCKED),
    "a key that inherits from the same": (
        app("talks", inherits=("rag",)),
        (app(inherits=("rag", "up")),),
        Outcome.BLOCKED,
    ),
    "a revoked key": (TALKS, (app(revoked=True),), Outcome.BLOCKED),
}


@pytest.mark.parametrize(("own", "keys", "outcome"), STRANGERS.values(), ids=STRANGERS)
def test_what_is_refused_was_made_by_a_key_that_has_nothing_to_do_with_this_one(
    own: Credential, keys: tuple[Credential, ...], outcome: Outcome
) -> None:
    """A key from which this one inherits, or of the same secret, makes nothing for it to be refused.

    What a key makes that inherits from this one is refused to it for want of the right alone.
    """
    found = Refused(Route.CONVERSATION_FILES, tenant_of(own, *keys))
    assert found.result.outcome is outcome
    assert found.result.reason.endswith("" if outcome is Outcome.CONFORMS else NO_CONVERSATION)


UPLOADERS: dict[str, tuple[tuple[Credential, ...], dict[str, Any], list[tuple[str, str]]]] = {
    "into the dataset by a key that may write it": (
        (app("inference", purpose=Purpose.INFERENCE), writer()),
        {},
        [("writes", DATASET)],
    ),
    "by a key with the dataset on its allowlist": (
        (writer("other", datasets=frozenset({"private"})), writer(datasets=frozenset({"scratch"}))),
        {},
        [("writes", DATASET)],
    ),
    "into a conversation where it may not write the dataset": (
        (app(),),
        {},
        [("app", CONVERSATIONS), ("app", FILES)],
    ),
    "into a conversation where the tenant file names no dataset": (
        (writer(), app(scopes=frozenset(Scope))),
        {"dataset": None},
        [("app", CONVERSATIONS), ("app", FILES)],
    ),
    "by a declared key rather than by one of unknown rights": (
        (writer("unknown", scopes=None), writer("open", scopes=None, purpose=None), writer()),
        {},
        [("writes", DATASET)],
    ),
    "by the next key where the first is in trouble, which is tried thrice at the end": (
        (writer("first"), writer()),
        {"rules": (by("first", refusal(500), at=[DATASET]),)},
        [("first", DATASET), ("writes", DATASET), *[("first", DATASET)] * 3],
    ),
    "by the next key where the first is busy": (
        (writer("first"), writer()),
        {"rules": (by("first", BUSY, at=[DATASET]),)},
        [("first", DATASET), ("writes", DATASET)],
    ),
    "into a conversation of the same key where the dataset is busy": (
        (app(scopes=frozenset(Scope)),),
        {"rules": (by("app", BUSY, at=[DATASET]),)},
        [("app", DATASET), ("app", CONVERSATIONS), ("app", FILES)],
    ),
}


@pytest.mark.parametrize(("keys", "facts", "makers"), UPLOADERS.values(), ids=UPLOADERS)
def test_a_file_is_uploaded(keys: tuple[Credential, ...], facts: dict[str, Any], makers: list[tuple[str, str]]) -> None:
    """The first key that is declared to upload, and does, uploads it: into the dataset, or into a conversation."""
    found = a_file(*keys, **facts)
    assert found.makers == makers
    assert found.asked is not None
    assert place(found.asked) == f"/v1/files/file-{list(dict.fromkeys(makers))[-1][0]}"
    assert found.result.outcome is Outcome.CONFORMS


OPENERS: dict[str, tuple[tuple[Credential, ...], tuple[Rule, ...], list[str]]] = {
    "a key that holds conversations": ((writer(), key("open", purpose=None), app()), (), ["app"]),
    "the next where the first fails, which is tried thrice at the end": (
        (app("first"), app()),
        (by("first", refusal(500), at=[CONVERSATIONS]),),
        ["first", "app", *["first"] * 3],
    ),
    "the next where the first is busy": (
        (app("first"), app()),
        (by("first", BUSY, at=[CONVERSATIONS]),),
        ["first", "app"],
    ),
}


@pytest.mark.parametrize(("keys", "rules", "openers"), OPENERS.values(), ids=OPENERS)
def test_a_conversation_is_opened_by(keys: tuple[Credential, ...], rules: tuple[Rule, ...], openers: list[str]) -> None:
    """The first key that is declared to hold conversations, and does open one."""
    found = a_conversation(*keys, rules=rules)
    assert found.makers == [(name, CONVERSATIONS) for name in openers]
    assert found.result.outcome is Outcome.CONFORMS


ANOTHERS = "the secret of the key writes, which is declared to upload, may be another key's"
NO_UPLOAD = "upload.dataset_ready does not hold"
UNOPENED = "conversation.create does not hold"
BUSY_TENANT = "the tenant answered 429 (too many requests) 1 time"
TROUBLES: dict[str, tuple[Callable[..., Refused], tuple[Credential, ...], tuple[Rule, ...], str]] = {
    "no key may upload": (a_file, (), (), NO_FILE),
    "the upload is refused": (a_file, (writer(),), (by("writes", refusal(403), at=[DATASET]),), ANOTHERS),
    "the upload gets no answer": (a_file, (writer(),), (by("writes", GONE, at=[DATASET]),), NO_UPLOAD),
    "the conversation for it is refused": (a_file, (app(),), (by("app", refusal(403), at=[CONVERSATIONS]),), UNOPENED),
    "the tenant is busy with uploads": (a_file, (writer(),), (by("writes", BUSY, at=[DATASET]),), BUSY_TENANT),
    "the tenant is busy with conversations": (
        a_conversation,
        (app(),),
        (by("app", BUSY, at=[CONVERSATIONS]),),
        BUSY_TENANT,
    ),
    "the conversation gets no answer": (
        a_conversation,
        (app(),),
        (by("app", GONE, at=[CONVERSATIONS]),),
        UNOPENED,
    ),
}


@pytest.mark.parametrize(("wanted", "keys", "rules", "reason"), TROUBLES.values(), ids=TROUBLES)
def test_where_nothing_could_be_made_the_check_is_blocked(
    wanted: Callable[..., Refused], keys: tuple[Credential, ...], rules: tuple[Rule, ...], reason: str
) -> None:
    """The key is not asked for what does not exist, and the reason is what kept it from being made."""
    found = wanted(*keys, rules=rules)
    assert found.result.outcome is Outcome.BLOCKED
    assert found.result.reason.startswith(reason)
    assert found.asked is None
    assert found.result.remedy or found.result.because


@pytest.mark.parametrize("wanted", [a_file, a_conversation], ids=["a file", "a conversation"])
def test_a_read_only_run_makes_nothing(wanted: Callable[..., Refused]) -> None:
    """Where nothing may be created the check is blocked, and says which line of the tenant file forbids it."""
    found = wanted(app(scopes=frozenset(Scope)), read_only=True)
    assert found.makers == []
    assert found.result.reason == "the run is read-only, and this creates something in the tenant"
    assert found.result.remedy.startswith("Set read_only: false in the tenant file")


def test_what_made_it_is_evidence_for_all_who_need_it() -> None:
    """A file is made once; whoever needs it shows how: the conversation, the upload, and its own request."""
    parameters = (Parameters(route=Route.FILE_STATUS), Parameters(routes=(Route.FILE_STATUS,)))
    calls = [
        CheckCall(check, "talks", each)
        for check, each in zip(("route.refused", "key.least_privilege"), parameters, strict=True)
    ]
    runner = run(plan_of(tenant_of(TALKS, app()), *calls), FakeSender(KEPT_OUT, extensions))
    first, second = (runner.result(call) for call in calls)
    assert first.outcome is Outcome.CONFORMS
    assert len(first.exchanges) == 3
    assert set(first.exchanges) == set(second.exchanges)


MODELS: dict[str, tuple[frozenset[str] | None, str]] = {
    "the chat name where any is allowed": (None, ALIAS),
    "the chat name where it is among those allowed": (frozenset({"a", ALIAS}), ALIAS),
    "the chat name where none is": (frozenset(), ALIAS),
    "the first of its own where the chat name is not": (frozenset({"b", "a"}), "a"),
}


@pytest.mark.parametrize(("models", "model"), MODELS.values(), ids=MODELS)
def test_a_conversation_is_opened_with(models: frozenset[str] | None, model: str) -> None:
    """A name that its key may use."""
    sender = FakeSender(KEPT_OUT, extensions)
    tenant = tenant_of(TALKS, app(models=models))
    judged("route.refused", tenant=tenant, parameters=Parameters(route=Route.CONVERSATION_FILES), sender=sender)
    [opening] = [request for request in sender.sent if place(request) == CONVERSATIONS]
    assert sent_json(opening)["model"] == model


# -- where its id stands


def headed(value: str, body: object = None) -> Response:
    """An answer that names the conversation in its header."""
    return answer(body or {}, 201, x_gt_conversation_id=value)


CONVERSATION_IDS: dict[str, tuple[Response, str | None]] = {
    "the header": (headed(" c-1 "), "c-1"),
    "the header before the body": (headed("c-1", {"id": "c-2"}), "c-1"),
    "the header of an answer that is no JSON": (replace(headed("c-1"), body=b"ok"), "c-1"),
    "the body where the header is blank": (headed(" ", {"id": "c-2"}), "c-2"),
    "the body where the header is no text of a header": (headed("c\u00e9", {"id": "c-2"}), "c-2"),
    "the body where the header holds a control character": (headed("c\x07c", {"id": "c-2"}), "c-2"),
    "its own key": (answer({"id": "m-1", "conversation_id": "c-1"}), "c-1"),
    "an object": (answer({"conversation": {"id": "c-1"}}), "c-1"),
    "an object with its own key": (answer({"conversation": {"id": "x", "conversation_id": "c-1"}}), "c-1"),
    "an envelope": (answer({"id": "r-1", "data": {"id": "c-1"}}), "c-1"),
    "an envelope that is a list": (answer({"id": "c-1", "data": [{"id": "x"}]}), "c-1"),
    "id alone": (answer({"id": "c-1"}), "c-1"),
    "a number": (answer({"id": 17}), "17"),
    "a blank one before another": (answer({"conversation_id": " ", "id": "c-1"}), "c-1"),
    "as long as an id may be": (answer({"id": "c" * 2_048}), "c" * 2_048),
    "longer than that": (answer({"id": "c" * 2_049}), None),
    "no text of a header": (answer({"id": "caf\u00e9"}), None),
    "a line break": (answer({"id": "c\r\nX-Evil: 1"}), None),
    "true": (answer({"id": True}), None),
    "nothing": (answer({}), None),
    "a list of one": (answer([{"id": "c-1"}]), "c-1"),
    "a list of two": (answer([{"id": "c-1"}, {"id": "c-2"}]), None),
    "a web page": (HTML_PAGE, None),
    "an error": (answer({"id": "c-1"}, 409), None),
}


@pytest.mark.parametrize(("given", "found"), CONVERSATION_IDS.values(), ids=CONVERSATION_IDS)
def test_the_id_of_a_conversation_is_found_in(given: Response, found: str | None) -> None:
    """GT documents no shape: the header and every usual place of a 2xx are read, and what can be no id is none."""
    asked = a_conversation(app(), rules=(by("app", given, at=[CONVERSATIONS]),)).asked
    assert (dict(asked.headers)[CONVERSATION_HEADER] if asked is not None else None) == found


FILE_IDS: dict[str, tuple[Response, str | None]] = {
    "its own key": (answer({"id": "r-1", "file_id": "f-1"}), "f-1"),
    "an object": (answer({"file": {"id": "f-1"}, "id": "r-1"}), "f-1"),
    "an envelope": (answer({"data": {"upload_id": "f-1"}}), "f-1"),
    "the upload's": (answer({"upload_id": "f-1", "id": "r-1"}), "f-1"),
    "a list of one": (answer([{"id": "f-1"}]), "f-1"),
    "a list of two": (answer([{"id": "f-1"}, {"id": "f-2"}]), None),
    "a list of one in an object": (answer({"id": "r-1", "files": [{"id": "f-1"}]}), "f-1"),
    "an envelope with a list of one": (answer({"data": [{"id": 17}]}), "17"),
    "with a slash in it": (answer({"id": "a/b"}), "a%2Fb"),
    "with a letter beyond ASCII": (answer({"id": "datei-\u00fc"}), "datei-%C3%BC"),
    "half a letter": (Response(202, (("content-type", "application/json"),), b'{"id": "f-\\ud83d"}'), None),
    "a web page": (HTML_PAGE, None),
    "an error": (answer({"id": "f-1"}, 500), None),
}


@pytest.mark.parametrize(("given", "found"), FILE_IDS.values(), ids=FILE_IDS)
def test_the_id_of_a_file_is_found_in(given: Response, found: str | None) -> None:
    """The same of a file; an id stays one part of a path."""
    asked = a_file(writer(), rules=(by("writes", given, at=[DATASET]),)).asked
    assert (place(asked) if asked is not None else None) == (f"/v1/files/{found}" if found else None)


READY: dict[str, dict[str, Any]] = {
    "status": {"status": "ready"},
    "state, in capitals and blanks": {"state": " READY "},
    "the file's before the envelope's": {"status": "success", "file": {"processing_status": "ready"}},
    "the data's before the envelope's": {"status": "success", "data": {"processing_state": "ready"}},
}


@pytest.mark.parametrize("body", READY.values(), ids=READY)
def test_the_state_of_a_file_is_found_in(body: dict[str, Any]) -> None:
    """The inner one counts: an envelope may say of itself that it is well."""
    state = by("writes", answer({"id": "file-writes", **body}), at=["/v1/files/file-writes"])
    tenant = tenant_of(writer(), dataset="scratch")
    assert judged("upload.dataset_ready", state, extensions, tenant=tenant).reason == ""


def test_what_failed_is_not_ready_for_its_envelopes_sake() -> None:
    """The file's own word is not overruled: what failed has failed."""
    body = {"id": "file-writes", "status": "ready", "file": {"status": "failed"}}
    state = by("writes", answer(body), at=["/v1/files/file-writes"])
    tenant = tenant_of(writer(), dataset="scratch")
    assert judged("upload.dataset_ready", state, extensions, tenant=tenant).outcome is Outcome.VIOLATES


# -- where there is none

WITHOUT: dict[str, tuple[Response | Reply, str]] = {
    "a refusal": (refusal(500, "Down."), "HTTP 500: Down."),
    "no answer": (GONE, "no answer: closed"),
    "a 2xx without an id": (answer({"ok": True}, 201), "HTTP 201 without an id"),
    "a 2xx without JSON": (answer("created", 201), "HTTP 201, but the body is not JSON"),
}


@pytest.mark.parametrize(("given", "found"), WITHOUT.values(), ids=WITHOUT)
def test_a_conversation_without_an_id_is_a_violation_where_it_was_promised(given: Response | Reply, found: str) -> None:
    """Where the key is to open one, what came in place of an id is said, once, and proved."""
    result = judged("conversation.create", by("app", given, at=[CONVERSATIONS]), tenant=tenant_of(app()))
    assert result.outcome is Outcome.VIOLATES
    assert findings(result).startswith(f"POST /v1/conversations gives 2xx and a conversation id; found {found}")
    assert [violation.exchange for violation in result.violations] == list(result.exchanges)
