"""The checks of what must fail closed: what counts as a refusal, what does not, and of what it is asked."""

import re
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance.checks import CheckCall, Parameters
from gt_conformance.exchange import Failure, Request, Response
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import CONVERSATION_HEADER, Outcome, Purpose, RemarkKind, Route, Scope
from tests.fake_tenant import (
    ALIAS,
    DROPPED,
    HTML_PAGE,
    FakeSender,
    Reply,
    answer,
    by,
    changed,
    escaped,
    extensions,
    findings,
    is_control,
    judged,
    key,
    place,
    plan_of,
    refusal,
    run,
    sent_json,
    tenant_of,
    to,
)

OF_EMBEDDINGS = Parameters(route=Route.EMBEDDINGS)
GONE = Reply(failure=Failure.CLOSED, detail="closed")
SHAPE = "refusals do not carry OpenAI's error object (message, type, param, code)"


def asked(sender: FakeSender, *, by: str) -> list[Request]:
    """What a key sent, but for the controls."""
    return [request for request in sender.sent if request.key == by and not is_control(request)]


# -- what is a refusal

WITHOUT_EMBEDDINGS = tenant_of(key("chat", scopes=frozenset({Scope.CHAT})))

CLOSED = (401, 403, 404, 405)
REFUSED: dict[str, tuple[Response, str]] = {
    **{f"a {status}": (refusal(status), "") for status in CLOSED},
    **{
        f"a {status} that says {word}": (refusal(status, f"Not so: {word}."), "")
        for status in (400, 422)
        for word in ("scope", "unknown MODEL", "permission", "not allowed", "forbidden", "not granted", "no access")
    },
    **{
        f"a {status}, by which few refuse, that says it": (refusal(status, "This key lacks the scope."), "")
        for status in (407, 412, 418, 423, 424, 426, 428, 451, 498)
    },
    "a 400 that says it in escapes": (answer(f'{{"error": {{"message": {escaped("No scope.")}}}}}', 400), SHAPE),
    "words alone": (answer({"error": "forbidden"}, 403), SHAPE),
    "OpenAI's error object in a stream": (
        answer(f"data: {refusal(403, 'No scope.').text}\n\n", 403, "text/event-stream"),
        "",
    ),
    "another error in a stream": (answer('data: {"error": {"message": "No."}}\n\n', 403, "text/event-stream"), SHAPE),
    "a detail": (answer({"detail": "Not Found"}, 404), SHAPE),
    "an error object without a code": (answer({"error": {"message": "No.", "type": "no", "param": None}}, 403), SHAPE),
}


@pytest.mark.parametrize(("given", "remark"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_that_says_so_in_json_conforms(given: Response, remark: str) -> None:
    """401, 403, 404 and 405 refuse, and others where they name the right; another shape is remarked."""
    result = judged("route.refused", to("embeddings", given), parameters=OF_EMBEDDINGS, tenant=WITHOUT_EMBEDDINGS)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    assert [item.text for item in result.advisories] == ([remark] if remark else [])
    assert {item.exchange for item in result.advisories} <= set(result.exchanges)


OPEN: dict[str, tuple[Response | Reply, str]] = {
    "a 2xx": (answer({}), "HTTP 200"),
    "a redirect": (answer("", 302, location="/login"), "HTTP 302 redirect to /login, not followed"),
    "a 399": (refusal(399, "No scope."), "HTTP 399: No scope."),
    "a 5xx": (refusal(500, "No scope."), "HTTP 500: No scope."),
    "no answer": (GONE, "no answer: closed"),
}
NOT_THE_KEY: dict[str, Response] = {
    **{f"a {status} for another reason": refusal(status, "Input is missing.") for status in (400, 406, 422, 423)},
    **{f"a {status}, whatever it says": refusal(status, "No scope.") for status in (406, 409, 421, 499)},
    "a firewall's page": replace(HTML_PAGE, status=403),
    "a gateway's 503": refusal(503, "No upstream."),
    "a gateway's 502": answer("Bad Gateway", 502, "text/plain"),
    **{f"Cloudflare's {status}": answer("error code", status, "text/plain") for status in (520, 522, 526, 530)},
    "a 451 without words": answer("", 451),
}
UNREASONED = "refusals do not name their reason in JSON"
WITHOUT_REASON: dict[str, Response] = {
    "nothing": answer("", 404),
    "plain text": answer("Not Found", 404, "text/plain"),
    "a reason that is empty": refusal(403, " "),
    "JSON without a reason": answer({"ok": False}, 403),
    "a list": answer(["no"], 403),
}


@pytest.mark.parametrize("given", NOT_THE_KEY.values(), ids=NOT_THE_KEY)
def test_a_refusal_that_is_not_the_keys_blocks(given: Response) -> None:
    """What stands before the tenant, and an objection to something else, say nothing of the key: not green, not red."""
    result = judged("route.refused", to("embeddings", given), parameters=OF_EMBEDDINGS, tenant=WITHOUT_EMBEDDINGS)
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    assert "POST /v1/embeddings by the key chat" in result.reason
    assert "secret" not in result.remedy


@pytest.mark.parametrize("given", WITHOUT_REASON.values(), ids=WITHOUT_REASON)
def test_a_refusal_without_a_reason_in_json_is_remarked(given: Response) -> None:
    """No page says how a refusal is written."""
    result = judged("route.refused", to("embeddings", given), parameters=OF_EMBEDDINGS, tenant=WITHOUT_EMBEDDINGS)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    assert {item.text for item in result.advisories} <= {UNREASONED, SHAPE}
    assert len(result.advisories) == 1


@pytest.mark.parametrize(("given", "found"), OPEN.values(), ids=OPEN)
def test_anything_else_is_no_refusal(given: Response | Reply, found: str) -> None:
    """A 2xx, a redirect, a 5xx and silence violate, each said once."""
    result = judged("route.refused", to("embeddings", given), parameters=OF_EMBEDDINGS, tenant=WITHOUT_EMBEDDINGS)
    assert result.outcome is Outcome.VIOLATES
    how = ": its declared scopes leave it out" if found == "HTTP 200" else " with a 4xx"
    expected = f"POST /v1/embeddings by the key chat is refused{how}"
    assert findings(result).startswith(f"{expected}; found {found}")
    assert len(result.violations) == 1
    assert result.violations[0].exchange in result.exchanges
    assert result.advisories == ()


WHY = {
    501: "it says that nobody has built the route",
    511: "it says that the network asks for a login",
    599: "it says that the tenant could not decide",
    999: "HTTP has no such status, and clients do not know what it says",
}


@pytest.mark.parametrize(("status", "why"), WHY.items())
def test_a_refusal_by_another_status_is_described_by_what_that_says(status: int, why: str) -> None:
    """To whoever has to change it."""
    given = refusal(status, "No scope.")
    result = judged("route.refused", to("embeddings", given), parameters=OF_EMBEDDINGS, tenant=WITHOUT_EMBEDDINGS)
    assert [item.remedy for item in result.violations] == [
        f"Have the tenant refuse with a 4xx, not with HTTP {status}: {why}."
    ]


# -- a route that its key may use

GRANTED = {
    "the operator gave the scope": (tenant_of(key("chat")), "it is declared to have the right"),
    "nobody declared the scopes": (tenant_of(key("chat", scopes=None)), "its scopes are not declared"),
}


@pytest.mark.parametrize(("tenant", "why"), GRANTED.values(), ids=GRANTED)
def test_an_open_route_that_was_granted_is_a_remark(tenant: Tenant, why: str) -> None:
    """not_supported speaks of the client: a route that its key may use all the same is said, and breaks nothing."""
    result = judged("route.refused", parameters=OF_EMBEDDINGS, tenant=tenant, strict=True)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    [remark] = result.remarks
    assert (remark.kind, remark.text) == (RemarkKind.GRANTED, f"POST /v1/embeddings is open to the key chat: {why}")
    assert remark.exchange in result.exchanges


@pytest.mark.parametrize("status", [401, 403, 404, 422])
@pytest.mark.parametrize("tenant", [tenant for tenant, _ in GRANTED.values()], ids=GRANTED)
def test_a_granted_route_may_be_refused_as_well(tenant: Tenant, status: int) -> None:
    """The runbook says that the client does not use it: whether the tenant serves it is not its promise."""
    rule = to("embeddings", refusal(status, "Not so."))
    result = judged("route.refused", rule, parameters=OF_EMBEDDINGS, tenant=tenant, strict=True)
    assert (result.outcome, result.reason, result.remarks) == (Outcome.CONFORMS, "", ())


@pytest.mark.parametrize(
    "given",
    [refusal(500, "Oops."), answer("", 302, location="/login"), replace(HTML_PAGE, status=403)],
    ids=["a 5xx", "a redirect", "a web page"],
)
def test_a_granted_route_that_breaks_down_is_an_advisory(given: Response) -> None:
    """No clause says what a route that nobody uses answers, so it is no violation: but it is said."""
    tenant = tenant_of(key("chat", scopes=None))
    result = judged("route.refused", to("embeddings", given), parameters=OF_EMBEDDINGS, tenant=tenant)
    assert result.outcome is Outcome.CONFORMS
    assert [item.text[:58] for item in result.advisories] == [
        "POST /v1/embeddings, which this runbook does not use, give"
    ]


UPLOADING = Parameters(route=Route.DATASET_FILES)


@pytest.mark.parametrize(("enforced", "wanted"), [(True, Outcome.BLOCKED), (False, Outcome.VIOLATES)])
def test_a_key_that_may_be_of_another_purpose_proves_no_hole(enforced: bool, wanted: Outcome) -> None:  # noqa: FBT001
    """Its purpose alone says that it may not upload: where another such key is kept out, the purpose may be wrong."""
    tenant = tenant_of(key("odd", scopes=None), key("chat"), dataset="scratch")

    def rule(request: Request) -> Response | None:
        if "/datasets/" not in request.url:
            return None
        return refusal(403) if enforced and request.key == "chat" else answer({"id": "file_1"}, 202)

    session = run(plan_of(tenant, CheckCall("route.refused", "odd", UPLOADING)), FakeSender(rule))
    result = session.result(CheckCall("route.refused", "odd", UPLOADING))
    assert result.outcome is wanted
    assert ("Correct the purpose of the key odd" in result.remedy) == enforced


NO_ROUTE = refusal(404, "There is no such route.")


def test_a_route_that_is_absent_is_told_from_one_that_is_refused() -> None:
    """A tenant without the route answers as for any unknown one: fine for a client that does not use it."""
    rules = (to("embeddings", NO_ROUTE), to("gt-conformance-no-such-route", NO_ROUTE))
    result = judged("route.refused", *rules, parameters=OF_EMBEDDINGS, tenant=WITHOUT_EMBEDDINGS)
    assert result.outcome is Outcome.CONFORMS
    assert [(item.kind, item.text) for item in result.remarks] == [
        (RemarkKind.ABSENT, "the tenant has no POST /v1/embeddings")
    ]
    refused = judged(
        "route.refused",
        to("embeddings", refusal(404, "Not yours.")),
        *rules[1:],
        parameters=OF_EMBEDDINGS,
        tenant=WITHOUT_EMBEDDINGS,
    )
    assert (refused.outcome, refused.remarks) == (Outcome.CONFORMS, ())


# -- of what it is asked

TALKS = key("talks", scopes=frozenset({Scope.CHAT}))
APP = key("app", purpose=Purpose.CONVERSATION, scopes=frozenset(Scope))
KEPT_OUT = by("talks", refusal(403))
WITH_APP = tenant_of(TALKS, APP, dataset="scratch")


@pytest.mark.parametrize(
    ("route", "path"),
    [
        (Route.CHAT, "/v1/chat/completions"),
        (Route.CONVERSATION_FILES, "/v1/conversations/files"),
        (Route.DATASET_FILES, "/v1/datasets/scratch/files"),
        (Route.FILE_STATUS, "/v1/files/file-app"),
    ],
    ids=lambda value: value.value if isinstance(value, Route) else None,
)
def test_a_route_is_refused_to_a_valid_request_with_what_another_key_made(route: Route, path: str) -> None:
    """The request names the conversation, the file, the dataset that there are: nothing but the key is wrong."""
    sender = FakeSender(KEPT_OUT, extensions)
    result = judged("route.refused", tenant=WITH_APP, parameters=Parameters(route=route), sender=sender)
    assert result.outcome is Outcome.CONFORMS
    [request] = asked(sender, by="talks")
    assert place(request) == path
    of_another = "conversation-app" if route is Route.CONVERSATION_FILES else None
    assert dict(request.headers).get(CONVERSATION_HEADER) == of_another


NOT_TOLD = "a refusal looks like an absence without a real"
READ_ONLY = "the run is read-only, and this creates something in the tenant"
UNTRIED: dict[str, tuple[Route, Tenant, str]] = {
    "no other key opens a conversation": (
        Route.CONVERSATION_FILES,
        tenant_of(TALKS),
        f"{NOT_TOLD} conversation, and no other key could open one",
    ),
    "no other key uploads a file": (
        Route.FILE_STATUS,
        tenant_of(TALKS),
        f"{NOT_TOLD} file, and no other key could upload one",
    ),
    "no dataset is named": (
        Route.DATASET_FILES,
        tenant_of(TALKS),
        f"{NOT_TOLD} dataset, and none is named",
    ),
    **{
        f"{route.value} of a read-only run": (route, replace(WITH_APP, read_only=True), READ_ONLY)
        for route in (Route.CONVERSATION_FILES, Route.DATASET_FILES, Route.FILE_STATUS)
    },
}


@pytest.mark.parametrize(("route", "tenant", "reason"), UNTRIED.values(), ids=UNTRIED)
def test_a_refusal_that_would_prove_nothing_is_not_asked_for(route: Route, tenant: Tenant, reason: str) -> None:
    """Without something real that the key could have reached the row is blocked, and says what is missing."""
    sender = FakeSender(KEPT_OUT, extensions)
    result = judged("route.refused", tenant=tenant, parameters=Parameters(route=route), sender=sender)
    assert (result.outcome, result.reason) == (Outcome.BLOCKED, reason)
    assert asked(sender, by="talks") == []
    assert result.remedy


# -- OpenAI's own surfaces

FILES, ASSISTANTS, RESPONSES = "vendor.files_refused", "vendor.assistants_refused", "vendor.responses_refused"
FOREIGN = "dataset.not_allowlisted_refused"
SCRATCH = tenant_of(
    key("chat", scopes=frozenset(Scope), purpose=Purpose.UPLOAD, datasets=frozenset({"scratch"})),
    dataset="scratch",
    other_datasets=("private",),
)
SURFACES: dict[str, tuple[str, str]] = {
    "files": (FILES, "/v1/files"),
    "assistants": (ASSISTANTS, "/v1/assistants"),
    "threads": (ASSISTANTS, "/v1/threads"),
    "responses": (RESPONSES, "/v1/responses"),
}
FOREIGN_PATH = "/v1/datasets/private/files"


@pytest.mark.parametrize(
    ("check", "path"), [*SURFACES.values(), (FOREIGN, FOREIGN_PATH)], ids=[*SURFACES, "a foreign dataset"]
)
@pytest.mark.parametrize("status", [400, 404, 409, 499])
def test_any_4xx_refuses_what_is_no_surface_of_gt(check: str, path: str, status: int) -> None:
    """Where no right is asked for any 4xx will do, and no reason need be named."""
    result = judged(check, by("chat", answer("", status), at=[path]), tenant=SCRATCH, strict=True)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")


ANSWERED = {
    "a 2xx": answer({"id": "x"}),
    "a redirect": answer("", 307),
    "a 399": answer("", 399),
    "a 5xx": refusal(500, "Oops."),
    "no answer": GONE,
}


@pytest.mark.parametrize("given", ANSWERED.values(), ids=ANSWERED)
def test_an_upload_to_a_foreign_dataset_that_is_not_refused_violates(given: Response | Reply) -> None:
    """A 2xx, a redirect, a 5xx and silence are no refusal."""
    own = by("chat", answer({"id": "own"}, 202), at=["/v1/datasets/scratch/files"])
    result = judged(FOREIGN, by("chat", given, at=[FOREIGN_PATH]), own, tenant=SCRATCH)
    assert result.outcome is Outcome.VIOLATES
    assert "an upload to the dataset private" in findings(result)


@pytest.mark.parametrize(("check", "path"), SURFACES.values(), ids=SURFACES)
@pytest.mark.parametrize("given", ANSWERED.values(), ids=ANSWERED)
def test_a_surface_of_the_tenants_own_is_remarked(check: str, path: str, given: Response | Reply) -> None:
    """No page forbids a tenant to have OpenAI's routes for ends of its own."""
    result = judged(check, by("chat", given, at=[path]), tenant=SCRATCH)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    assert result.advisories


MAPPED: dict[str, tuple[str, str, Response, str]] = {
    "a file in a dataset": (FILES, "/v1/files", answer({"id": "x", "dataset_id": "d"}), "HTTP 200 with dataset_id"),
    "a file in a conversation": (
        FILES,
        "/v1/files",
        answer({"id": "x"}, X_GT_Conversation_Id="c"),
        f"HTTP 200 with {CONVERSATION_HEADER}",
    ),
    "a thread": (ASSISTANTS, "/v1/threads", answer({"conversation_id": "c"}), "HTTP 200 with conversation_id"),
    "an assistant": (ASSISTANTS, "/v1/assistants", answer({"conversation": "c"}), "HTTP 200 with conversation"),
    "an internal model": (RESPONSES, "/v1/responses", answer({"model": "agent-x"}), "model is 'agent-x'"),
}


@pytest.mark.parametrize(("check", "path", "given", "found"), MAPPED.values(), ids=MAPPED)
def test_a_surface_that_maps_to_gt_violates(check: str, path: str, given: Response, found: str) -> None:
    """What is sent to OpenAI's surfaces lands in no dataset and no conversation, and names no internal model."""
    result = judged(check, by("chat", given, at=[path]), tenant=SCRATCH)
    assert result.outcome is Outcome.VIOLATES
    assert findings(result).endswith(f"found {found}")


def test_openais_surfaces_are_asked_as_openais_clients_ask() -> None:
    """A file with a purpose, an assistant with a model, an empty thread: what a tenant that had them would take."""
    sender = FakeSender()
    judged(FILES, sender=sender)
    [request] = asked(sender, by="chat")
    file, purpose = request.parts
    assert (file.name, purpose.name, purpose.filename) == ("file", "purpose", None)
    assert re.fullmatch(r"gt-conformance-r1-[0-9a-f]{4}\.txt", file.filename or "")
    assert request.parts[1].content == b"assistants"
    sender = FakeSender()
    judged(ASSISTANTS, sender=sender)
    assert [(place(request), sent_json(request)) for request in asked(sender, by="chat")] == [
        ("/v1/assistants", {"model": ALIAS, "name": "gt-conformance-r1"}),
        ("/v1/threads", {"metadata": {"name": "gt-conformance-r1"}}),
    ]
    sender = FakeSender()
    judged(RESPONSES, sender=sender)
    [request] = asked(sender, by="chat")
    body = sent_json(request)
    assert (body["model"], body["store"]) == (ALIAS, False)
    assert body["max_output_tokens"] == 16, "OpenAI takes no less"


@pytest.mark.parametrize("check", [FILES, ASSISTANTS, FOREIGN])
def test_what_would_create_something_is_sent_once_and_never_in_a_read_only_run(check: str) -> None:
    """A request whose success leaves something behind says so, and a read-only run does not send it."""
    sender = FakeSender()
    judged(check, sender=sender, tenant=SCRATCH)
    assert {request.creates for request in asked(sender, by="chat")} == {True}
    result = judged(check, tenant=replace(SCRATCH, read_only=True))
    assert (result.outcome, result.reason) == (Outcome.BLOCKED, READ_ONLY)


RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": ALIAS,
    "output": [{"type": "message"}],
}


def test_responses_of_openais_shape_are_welcome() -> None:
    """A tenant that has such a route keeps to OpenAI's shape; what clients do not mind is remarked."""
    assert judged(RESPONSES, to("responses", answer(RESPONSE)), strict=True).outcome is Outcome.CONFORMS
    bare = judged(RESPONSES, to("responses", answer(changed(RESPONSE, {"id": DROPPED}))))
    assert bare.outcome is Outcome.CONFORMS
    assert [item.text for item in bare.advisories] == [
        "OpenAI's published shape of a response: the key 'id' is missing."
    ]


STRANGE: dict[str, tuple[Response, str]] = {
    "another object": (answer(changed(RESPONSE, {"object": "chat.completion"})), "object: "),
    "nothing came out": (answer(changed(RESPONSE, {"output": []})), "output: "),
    "a web page": (HTML_PAGE, "it is an HTML page"),
}


@pytest.mark.parametrize(("given", "found"), STRANGE.values(), ids=STRANGE)
def test_responses_of_another_shape_are_remarked(given: Response, found: str) -> None:
    """/responses is no GT surface: what stands there is the tenant's own, and the client would misread it."""
    result = judged(RESPONSES, to("responses", given))
    assert result.outcome is Outcome.CONFORMS
    assert any(found in item.text for item in result.advisories)


# -- datasets of others

WRITES: dict[str, Any] = {"purpose": Purpose.UPLOAD, "scopes": frozenset({Scope.DATASETS_WRITE})}
OF_ITS_OWN = frozenset({"own"})
FOREIGN_ONES: dict[str, tuple[Tenant, str]] = {
    "one that the file names besides": (
        tenant_of(key("chat", **WRITES, datasets=OF_ITS_OWN), other_datasets=("private", "own")),
        "private",
    ),
    "the first of several": (
        tenant_of(key("chat", **WRITES, datasets=OF_ITS_OWN), dataset="zoo", other_datasets=("private", "attic")),
        "attic",
    ),
    "the tenant file's own": (tenant_of(key("chat", **WRITES, datasets=OF_ITS_OWN), dataset="scratch"), "scratch"),
    "another key's": (
        tenant_of(
            key("chat", **WRITES, datasets=OF_ITS_OWN),
            key("open", **WRITES),
            key("other", **WRITES, datasets=frozenset({"own", "theirs"})),
        ),
        "theirs",
    ),
    "none of its own that it may not name": (
        tenant_of(key("chat", **WRITES), dataset="scratch", other_datasets=("private",)),
        "private",
    ),
}


@pytest.mark.parametrize(("tenant", "dataset"), FOREIGN_ONES.values(), ids=FOREIGN_ONES)
def test_an_upload_goes_to_a_dataset_that_the_key_may_not_reach(tenant: Tenant, dataset: str) -> None:
    """The dataset is a real one outside the key's allowlist; where the key declares none, one that is named foreign."""
    sender = FakeSender()
    result = judged(FOREIGN, tenant=tenant, sender=sender)
    path = f"/datasets/{dataset}/files"
    assert [place(request) for request in asked(sender, by="chat")] == [f"/v1{path}", path]
    assert result.outcome is Outcome.CONFORMS
    taken = judged(FOREIGN, extensions, tenant=tenant)
    assert taken.outcome is Outcome.VIOLATES
    assert f"an upload to the dataset {dataset} is refused" in findings(taken)


UNKNOWN: dict[str, Tenant] = {
    "the key reaches all that are known": tenant_of(key("chat", **WRITES, datasets=OF_ITS_OWN), dataset="own"),
    "the key declares none, and none is named foreign": tenant_of(key("chat", **WRITES), dataset="scratch"),
}


@pytest.mark.parametrize("tenant", UNKNOWN.values(), ids=UNKNOWN)
def test_a_made_up_dataset_proves_its_absence_only(tenant: Tenant) -> None:
    """Without a real dataset to refuse a made-up one is tried: its refusal is blocked, its success a violation."""
    result = judged(FOREIGN, tenant=tenant)
    assert result.outcome is Outcome.BLOCKED
    assert result.reason.startswith("a made-up dataset was refused, which may be its absence")
    assert "other_datasets" in result.remedy
    taken = judged(FOREIGN, extensions, tenant=tenant)
    assert (taken.outcome, taken.blockers) == (Outcome.VIOLATES, ())
    assert "gt-conformance-no-such-id" in findings(taken)
