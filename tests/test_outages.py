"""What fails in the same words is one finding, whichever checks meet it; what a budget stops is the operator's."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import httpcore
import pytest

from gt_conformance import Record, plan, resources
from gt_conformance.causes._outage import explain_unsteady
from gt_conformance.exchange import Exchange, Failure
from gt_conformance.exchange import Request as Sent
from gt_conformance.planning import Selection
from gt_conformance.runbook import load_directory
from gt_conformance.tenant import TenantKind, from_mapping
from gt_sandbox import EmbeddedTenant
from gt_sandbox.faults import FAULTS
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_FILES,
    CONVERSATION_HEADER,
    CONVERSATIONS,
    EMBEDDINGS,
    MODELS,
    SPEECH,
    TRANSCRIPTIONS,
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_headers,
    change_responses,
    change_successes,
    combine,
    error_response,
    is_any,
    is_file_state,
    is_live,
    is_stream,
    is_upload,
    per_call,
    refuse,
    with_secrets,
)
from tests.direct import Silence, judge

pytestmark = pytest.mark.runs

FAILED = error_response(500, "storage is down")
BUSY = error_response(503, "overloaded")
TOO_LARGE = error_response(413, "The body is too large.")


BOOKS = load_directory(resources.runbooks_dir())
VARIED = ("generic-openai-http", "langchain", "dify", "n8n")
"""Between them they ask each route as nearly every other runbook does."""


def judged(middleware: MiddlewareFactory, *books: str, every: bool = False) -> Record:
    """A run of these runbooks. Where none is named, with the tenant's whole boundary: of ``every`` one, or varied ones.

    Every one where it depends on how often something is asked.
    """
    with EmbeddedTenant(middleware=(middleware,)) as running:
        tenant = from_mapping(running.tenant_document(), running.secrets, kind=TenantKind.EMBEDDED, name="the tenant")
        runbooks = [book for book in BOOKS if books or every or book.id in VARIED]
        return judge(plan(tenant, runbooks, selection=Selection(runbooks=books)), running)


def found(record: Record) -> list[str]:
    """What violates and what is blocked, a line each."""
    wanted = {"violates", "blocked"}
    return [f"{item['outcome']}: {item['remedy']}" for item in record["findings"] if item["outcome"] in wanted]


def at_first(change: Callable[[Response], Response], *paths: str) -> MiddlewareFactory:
    """The first success at each of these paths is changed, and no later one."""
    left = set(paths)

    def once(request: Request, response: Response) -> Response:
        found = {path for path in left if request.path.endswith(path)} if response.succeeded else set()
        left.difference_update(found)
        return change(response) if found else response

    return change_responses(is_any, once)


ROUTES: dict[str, tuple[Predicate, str]] = {
    "uploads into conversations": (CONVERSATION_FILES, "POST /api/tenant/v1/conversations/files fails inside"),
    "embeddings": (EMBEDDINGS, "POST /api/tenant/embeddings fails inside"),
    "conversations": (CONVERSATIONS, "POST /api/tenant/v1/conversations fails inside"),
    "the state of files": (is_file_state, "GET /api/tenant/v1/files/"),
    "both uploads, in the same words": (is_upload, "they fail with the same message: POST"),
}


@pytest.mark.parametrize(("wanted", "words"), ROUTES.values(), ids=ROUTES)
def test_a_route_that_fails_for_every_key_is_one_finding(wanted: Predicate, words: str) -> None:
    """It fails where it should answer, and where it should refuse: nobody is sent to two places for it."""
    [line] = found(judged(refuse(wanted, FAILED), "dify", "n8n"))
    assert line.startswith("violates")
    assert words in line


FILTERED = error_response(400, "The response was filtered.", code="content_filter")


@pytest.mark.parametrize("every", [2, 3, 5])
def test_a_filter_that_refuses_now_and_then_is_the_operators(every: int) -> None:
    """Whichever chats it meets: what it refuses shows nothing of the tenant, and an alias may have another filter."""
    number = count()
    record = judged(refuse(lambda request: CHAT(request) and next(number) % every == 0, FILTERED))
    [line] = found(record)
    assert line.startswith("blocked: Publish the alias with filter settings")


CLOSED = Silence(httpcore.RemoteProtocolError("Server disconnected without sending a response."))
SILENT: dict[str, tuple[Predicate, str]] = {
    "conversations": (CONVERSATIONS, "Find what closes the connection of POST /api/tenant/v1/conversations"),
    "model lists": (MODELS, "Find what closes the connection of GET /api/tenant/v1/models"),
    "streams": (is_stream, "Find what closes the connection of POST /api/tenant/v1/chat/completions"),
    "what has no key": (lambda request: not request.header("authorization"), "Have the tenant refuse with a 4xx"),
    "the un-versioned address": (lambda request: "/v1/" not in request.path, "Set this client's base URL to"),
}


def silent(wanted: Predicate) -> MiddlewareFactory:
    """Some requests are not answered: their connections are closed."""

    @per_call
    async def end(call: Call) -> None:
        if wanted(call.request):
            raise CLOSED
        await call.forward()

    return end


def gone(first: int, last: int | None = None) -> MiddlewareFactory:
    """From that request on nothing is answered, to that one, or to the end; nor what is under way just then."""
    number = count(1)
    seen = 0

    def is_gone() -> bool:
        return seen >= first and (last is None or seen <= last)

    @per_call
    async def end(call: Call) -> None:
        nonlocal seen
        seen = next(number)
        if is_gone():
            raise CLOSED
        response = await call.response()
        if is_gone():
            raise CLOSED
        await call.respond(response)

    return end


GONE: dict[str, tuple[int | None, str]] = {
    "to the end": (None, "nothing was answered any more to the end of the run"),
    "for a while": (100, "whatever was asked"),
}


@pytest.mark.parametrize(("last", "words"), GONE.values(), ids=GONE)
def test_a_tenant_that_is_gone_meanwhile_is_nobodys_violation(last: int | None, words: str) -> None:
    """Nothing tells the tenant from the way to it, as a VPN that drops: it is blocked, once, and says since when."""
    record = judged(gone(60, last), "dify", "n8n")
    [line] = found(record)
    assert line.startswith(
        "blocked: Find what stopped: the tenant, a gateway before it, or the network of this machine"
    )
    [missing] = [one for one in record["findings"] if one["outcome"] == "blocked"]
    assert words in missing["proofs"][0]["found"]


@pytest.mark.parametrize(("wanted", "words"), SILENT.values(), ids=SILENT)
def test_a_route_that_never_answers_is_one_finding(wanted: Predicate, words: str) -> None:
    """It hangs up where it should answer, and where it should refuse."""
    [line] = found(judged(silent(wanted), "dify", "openai-sdk-curl"))
    assert line.startswith("violates")
    assert words in line


def test_what_is_not_answered_now_and_then_is_one_finding() -> None:
    """One of several instances hangs up: no route is at fault."""
    requests = count(1)
    failing = silent(lambda _: next(requests) % 3 == 0)
    [line] = found(judged(failing, "dify"))
    assert (
        "got a connection that was closed without an answer, and the same request is answered when it is sent" in line
    )


@pytest.mark.parametrize("response", [FAILED, BUSY], ids=["500", "503"])
def test_what_fails_now_and_then_is_one_finding(response: Response) -> None:
    """The same request is answered when it is sent again, so that no route and no key is at fault."""
    failing = at_first(lambda _: response, "/v1/chat/completions", "/v1/embeddings", "/scratch-briefs/files")
    lines = found(judged(failing, "dify"))
    assert len(lines) == 1, lines
    assert f"got HTTP {response.status}, and the same request is answered when it is sent again" in lines[0]


OVERLOADED = Response(503, (("content-type", "text/html"),), b"<html><h1>503 Service Unavailable</h1></html>")


def at_most(many: int) -> MiddlewareFactory:
    """So many requests at a time; others get the page of a gateway that limits them."""
    under_way = 0

    @per_call
    async def limit(call: Call) -> None:
        nonlocal under_way
        if under_way == many:
            await call.respond(OVERLOADED)
            return
        under_way += 1
        try:
            await asyncio.sleep(0.002)
            await call.forward()
        finally:
            under_way -= 1

    return limit


def test_what_a_limit_of_a_gateway_refuses_is_the_operators() -> None:
    """No clause says how much may come at a time, nor how that is refused; every key and route meets it alike."""
    [line] = found(judged(at_most(3), "dify", "open-webui", "openai-sdk-curl"))
    assert line.startswith("blocked: Lower limits.concurrency or limits.requests_per_minute in the tenant file")


def while_it_is_quiet(pause_s: float, free: int) -> MiddlewareFactory:
    """After so many requests one is answered only where none came just before; others get the page of a gateway."""
    left, last = free, 0.0

    @per_call
    async def limit(call: Call) -> None:
        nonlocal left, last
        now, before, left = time.monotonic(), last, left - 1
        last = now
        if left < 0 and now - before < pause_s:
            await call.respond(OVERLOADED)
        else:
            await call.forward()

    return limit


def test_a_limit_of_how_much_comes_in_a_second_is_the_operators() -> None:
    """What is sent again at once meets it as before; after a while it is answered."""
    [line] = found(judged(while_it_is_quiet(0.02, free=40), "dify"))
    assert line.startswith("blocked: Lower limits.concurrency or limits.requests_per_minute in the tenant file")


@pytest.mark.parametrize(
    "fails",
    [lambda number: number % 3 == 0, lambda number: 30 <= number < 60],
    ids=["one instance of three", "a while"],
)
def test_what_is_no_limit_is_the_tenants(fails: Callable[[int], bool]) -> None:
    """An instance fails where requests come one by one as well; a tenant that is down for a while answers nobody."""
    requests = count(1)
    lines = found(judged(refuse(lambda _: fails(next(requests)), OVERLOADED), "dify"))
    assert len(lines) == 1, lines
    assert "got HTTP 503, and the same request is answered when it is sent again" in lines[0]


MEDIA = ("/v1/embeddings", "/v1/audio/transcriptions", "/v1/images/generations")


def test_a_key_that_is_not_taken_now_and_then_is_one_finding_of_the_tenant() -> None:
    """Whatever routes it hits: no secret and no scope is at fault."""
    refused = at_first(lambda _: error_response(401, "Unknown key."), *MEDIA)
    lines = found(judged(refused, "open-webui", "openai-sdk-curl"))
    [line] = [line for line in lines if line.startswith("violates")]
    assert "got HTTP 401, and the same request is answered when it is sent again" in line


def of_three(wanted: Predicate, instead: Response | None) -> MiddlewareFactory:
    """What one instance of three answers there: something else, or half of a stream."""
    numbers = count(1)

    def change(request: Request, response: Response) -> Response:
        if not wanted(request) or not response.succeeded or next(numbers) % 3:
            return response
        events = response.body.split(b"\n\n")
        return instead or response.with_body(b"\n\n".join(events[: len(events) // 2]) + b"\n\n")

    return change_responses(is_any, change)


@pytest.mark.parametrize(("failure", "is_named"), [(Failure.TIMEOUT, True), (Failure.CLOSED, False)])
def test_requests_that_wait_now_and_then_may_be_too_many_at_once(failure: Failure, *, is_named: bool) -> None:
    """A proxy that serves two connections keeps the others waiting: the remedy names the limit to lower."""
    failed = Exchange("x0001", Sent("POST", "https://acme.example/api/tenant/v1/embeddings", "rag"), None, 1.0, failure)
    said = explain_unsteady([failed], 61)
    assert "1 of 61 requests got " in said
    assert ("serves fewer connections at a time, lower limits.concurrency." in said) == is_named


def is_versioned_stream(request: Request) -> bool:
    """Whether it asks for a stream by the versioned address."""
    return is_stream(request) and "/v1/" in request.path


@pytest.mark.parametrize(
    ("wanted", "instead", "words"),
    [
        (is_versioned_stream, error_response(401, "Unknown key."), "HTTP 401"),
        (is_stream, None, "a body that is cut short"),
    ],
    ids=["a key is not taken", "streams break off"],
)
def test_what_one_instance_does_to_one_route_is_named(wanted: Predicate, instead: Response | None, words: str) -> None:
    """It is one finding, and no right or shape of that route is at fault: the same request is answered later."""
    lines = [line for line in found(judged(of_three(wanted, instead), every=True)) if line.startswith("violates")]
    assert len(lines) == 1, lines
    assert f"got {words}, and the same request is answered when it is sent again" in lines[0]


def cut(response: Response) -> Response:
    """Half of it."""
    return replace(response, body=response.body[: len(response.body) // 2])


def is_long_text(response: Response) -> bool:
    """Whether it is JSON or a stream of more than a few lines."""
    return len(response.body) >= 600 and response.body.lstrip()[:1] in {b"{", b"d"}


@pytest.mark.parametrize(
    ("middleware", "words"),
    [
        (change_successes(is_any, lambda one: cut(one) if is_long_text(one) else one), "send each answer whole"),
        (at_first(cut, *MEDIA), "got a body that is cut short, and the same request is answered"),
    ],
    ids=["those that are long", "now and then"],
)
def test_bodies_that_are_cut_short_are_one_finding(middleware: MiddlewareFactory, words: str) -> None:
    """Whatever routes they are of, whole answers and streams alike."""
    lines = [line for line in found(judged(middleware, "open-webui", "openai-sdk-curl")) if line.startswith("violates")]
    assert len(lines) == 1, lines
    assert words in lines[0]


NOT_HERE = error_response(405, "Method not allowed")


def test_what_refuses_several_routes_in_the_same_words_is_one_finding() -> None:
    """A gateway that lets no POST through: neither are names or rights of the keys taken for wrong."""
    refused = change_responses(lambda request: request.method == "POST", lambda _, __: NOT_HERE)
    [line] = found(judged(refused, "dify", "n8n"))
    assert "Find what refuses these with the same message" in line
    assert "POST /api/tenant/chat/completions" in line


def test_posts_that_no_key_gets_through_are_one_finding() -> None:
    """A gateway that takes the key off what is posted is told from a key that is dead at one route."""
    refused = change_responses(lambda request: request.method == "POST", lambda _, __: error_response(401, "Who?"))
    [line] = found(judged(refused, "dify", "n8n"))
    assert "Find out why these refuse keys that the tenant takes elsewhere" in line


def test_a_right_that_one_key_lacks_is_one_finding() -> None:
    """Both routes of uploads are refused to one key in words that say so."""
    refused = with_secrets(
        lambda secrets: refuse(
            lambda request: is_upload(request) and is_live(request, secrets, "APP"),
            error_response(403, "This key may not upload."),
        )
    )
    [line] = found(judged(refused))
    assert "Have the tenant let the key app use these" in line


def test_audio_that_is_not_served_is_one_finding() -> None:
    """Speech and transcriptions are one part of a tenant."""
    absent = refuse(lambda request: SPEECH(request) or TRANSCRIPTIONS(request), error_response(404, "Not Found"))
    [line] = found(judged(absent, "openai-sdk-curl"))
    assert "Have the tenant serve these routes" in line


def test_a_firewall_that_refuses_letters_beyond_ascii_is_one_finding() -> None:
    """What its web page keeps from being tested, in chats say, is blocked because of what it refuses elsewhere."""
    page = Response(403, (("content-type", "text/html"),), b"<html><body>Forbidden</body></html>")
    [line] = found(judged(refuse(has_letters, page)))
    assert "with every letter" in line


def test_posts_that_are_redirected_are_one_finding() -> None:
    """What should be answered and what should be refused go the same way."""
    moved = Response(308, (("location", "https://elsewhere.invalid/"),), b"")
    redirected = change_responses(lambda request: request.method == "POST", lambda _, __: moved)
    [line] = found(judged(redirected, "dify", "n8n"))
    assert "Have the tenant answer these itself" in line


def test_uploads_that_are_locked_are_one_finding() -> None:
    """A state of the tenant's, in its own words, is neither a right nor a route that is missing."""
    [line] = found(judged(refuse(is_upload, error_response(423, "The index is being rebuilt."))))
    assert "Find what refuses these with the same message" in line


def test_two_routes_that_are_not_served_are_two_findings() -> None:
    """Each may have a cause of its own, although any unknown path is refused in these words."""
    absent = error_response(404, "There is no such route in the GT API.")
    lines = found(judged(refuse(lambda request: EMBEDDINGS(request) or CONVERSATIONS(request), absent), "dify"))
    assert sum(line.startswith("violates") for line in lines) == 2, lines


@pytest.mark.parametrize("wanted", [EMBEDDINGS, CONVERSATION_FILES, is_file_state], ids=["embed", "upload", "state"])
def test_a_route_that_is_not_served_to_anybody_is_one_finding(wanted: Predicate) -> None:
    """Dead keys get the same there: that it does not say that the key is refused is nothing to correct."""
    [line] = found(judged(refuse(wanted, error_response(404, "Not here"))))
    assert "Have the tenant serve" in line


def has_letters(request: Request) -> bool:
    """Whether a JSON body holds a letter beyond ASCII as it is."""
    return request.header("content-type") == "application/json" and any(byte > 0x7F for byte in request.body)


@pytest.mark.parametrize(
    ("wanted", "refusal", "words"),
    [
        (
            lambda request: bool(request.header(CONVERSATION_HEADER)),
            error_response(400, "Unknown header"),
            "Find what refuses these with the same message",
        ),
        (has_letters, error_response(400, "Malformed JSON"), "whatever their bodies hold"),
        (has_letters, error_response(403, "Blocked by rule 77"), "whatever their bodies hold"),
    ],
    ids=["a header", "letters beyond ASCII", "a firewall"],
)
def test_what_objects_to_requests_in_the_same_words_is_one_finding(
    wanted: Predicate, refusal: Response, words: str
) -> None:
    """Two routes are enough, where a gateway objects to how the request is made, in words of its own."""
    [line] = found(judged(refuse(wanted, refusal)))
    assert words in line


def of_key(name: str, response: Response) -> MiddlewareFactory:
    """Whatever this key asks gets that response."""
    return with_secrets(lambda secrets: refuse(lambda request: is_live(request, secrets, name), response))


def test_a_key_at_whose_record_the_tenant_fails_is_no_outage() -> None:
    """The run begins with that key; the others work, so that they are judged, and nobody is sent to base_url."""
    record = judged(of_key("APP", error_response(500, "corrupt record")))
    [line] = found(record)
    assert "The tenant fails at whatever the key app asks" in line
    assert record["decision"] == "NOT DECIDED"
    assert any(check["outcome"] == "conforms" for book in record["runbooks"] for check in book["routes"])


def test_a_tenant_that_fails_for_two_keys_fails_for_all() -> None:
    """Where the next key fails as well, the run ends as one that was answered by nothing."""
    record = judged(refuse(is_any, error_response(500, "auth backend unavailable")))
    assert record["decision"] == "UNREACHABLE"
    [line] = found(record)
    assert "look for these requests in the tenant's log" in line


def test_keys_that_are_not_taken_now_and_then_are_not_dead() -> None:
    """A key that the preflight met at such a moment is no secret to check: the same finding."""
    refusal = error_response(401, "Unknown key.")

    def make(secrets: Secrets) -> MiddlewareFactory:
        left = [secrets["GT_EMBEDDED_RAG"]]

        def listed(request: Request, served: Response) -> Response:
            return (
                refusal
                if request.path.endswith("/models") and left and left.count(request.secret) and left.pop()
                else served
            )

        return change_responses(is_any, listed)

    lines = found(judged(combine(with_secrets(make), at_first(lambda _: refusal, *MEDIA))))
    assert not [line for line in lines if "Check the secret" in line]
    [line] = [line for line in lines if line.startswith("violates")]
    assert "got HTTP 401, and the same request is answered when it is sent again" in line


REASONS = {
    "switched off": (refuse(is_any, error_response(403, "GT API is not enabled")), "the API is switched off"),
    "labelled as compressed": (
        change_headers(lambda headers: {**headers, "content-encoding": "gzip"}),
        "compress only as the request accepts",
    ),
    "an error in a success": (
        change_responses(is_any, lambda _, served: replace(served, status=200)),
        "answer an error with its own status",
    ),
}


@pytest.mark.parametrize(("middleware", "words"), REASONS.values(), ids=REASONS)
def test_what_keeps_a_run_from_beginning_is_named(middleware: MiddlewareFactory, words: str) -> None:
    """Neither base_url nor a secret is blamed where the answer says what it is."""
    [line] = found(judged(middleware, "dify"))
    assert words in line


def test_an_answer_to_what_is_no_chat_is_no_fault_of_the_suite() -> None:
    """A cache by the path alone answers a body that is no JSON, too; its tokens are compared with nothing."""
    kept: list[Response] = []

    def answered(request: Request, response: Response) -> Response:
        kept.extend([response] if response.succeeded and not request.fields.get("stream") else [])
        return kept[0] if kept and not response.succeeded and not request.fields else response

    record = judged(change_responses(CHAT, answered))
    assert not record["suite_errors"]


def test_an_address_that_fails_throughout_is_one_finding() -> None:
    """That it fails where it should refuse, too, sends nobody to how the tenant refuses."""
    failing = refuse(lambda request: "/v1/" not in request.path, error_response(500, "bad route"))
    [line] = found(judged(failing))
    assert "Set this client's base URL to" in line


def test_a_request_that_is_refused_to_a_key_that_is_let_in_blames_no_right() -> None:
    """A firewall that answers in JSON refuses what chats with tools hold, not the key."""
    refused = refuse(lambda request: b'"tools"' in request.body, error_response(403, "Request blocked"))
    [line] = found(judged(refused, "n8n", "langchain"))
    assert "the same key is let in there with other requests" in line


def test_refusals_by_a_false_status_are_one_finding() -> None:
    """No key is taken to have what it is refused in words, and none for linked to another one."""
    middleware = FAULTS["refusals-are-200"].middleware
    assert middleware is not None
    [line] = found(judged(middleware))
    assert "refuse with a 4xx, not with HTTP 200: clients take it for a success" in line


LABELLED = {"content-type": "text/html"}


def test_json_under_the_label_of_a_page_is_no_page() -> None:
    """No firewall is blamed for what the tenant answers: only the label is wrong."""
    lines = found(judged(change_headers(lambda headers: {**headers, **LABELLED}, lambda one: not is_stream(one))))
    assert not [line for line in lines if "HTML page" in line]


def test_a_page_of_406_is_a_firewalls() -> None:
    """It refuses what this client sends; nobody is told that base_url leads to a web address."""
    page = Response(406, (("content-type", "text/html"),), b"<html><body>Not acceptable</body></html>")
    refused = refuse(lambda request: "openai" in request.header("user-agent").lower(), page)
    [line] = found(judged(refused, "openai-sdk-curl", "langchain"))
    assert "have it let this machine's requests through" in line


def after(count: int, response: Response) -> MiddlewareFactory:
    """After so many requests each gets that response."""
    left = iter(range(count))
    return change_responses(is_any, lambda _, served: served if next(left, None) is not None else response)


ENDS: dict[str, tuple[Response, str]] = {
    "a quota, by 429": (
        error_response(429, "You exceeded your current quota (insufficient_quota)."),
        "blocked: Raise the budget of the key or of the tenant, then run again.",
    ),
    "a quota, by 403": (
        error_response(403, "The quota of this key is exhausted."),
        "blocked: Raise the budget of the key or of the tenant, then run again.",
    ),
    "a budget, by 400": (
        error_response(400, "Budget has been exceeded! Current cost: 10.0, Max budget: 10.0"),
        "blocked: Raise the budget of the key or of the tenant, then run again.",
    ),
    "too small a quota, by 403": (
        error_response(403, "insufficient user quota, remaining quota: -1"),
        "blocked: Raise the budget of the key or of the tenant, then run again.",
    ),
    "a ban": (error_response(403, "Forbidden."), "blocked: Have the gateway before the tenant let this machine's"),
}


@pytest.mark.parametrize(("response", "words"), ENDS.values(), ids=ENDS)
def test_what_ends_a_run_is_one_finding_in_its_own_words(response: Response, words: str) -> None:
    """A quota that is used up is no ban, whatever status says so."""
    [line] = found(judged(after(60, response), "openai-sdk-curl"))
    assert line.startswith(words)


def test_a_quota_of_so_many_a_minute_is_waited_for() -> None:
    """Some gateways call a rate a quota: what is asked again later is answered."""
    busy = error_response(429, "Quota exceeded for requests per minute.")
    assert found(judged(at_first(lambda _: busy, "/v1/chat/completions", "/v1/embeddings"), "openai-sdk-curl")) == []


@pytest.mark.parametrize(("status", "plain"), [(503, False), (500, True)], ids=["put off", "failed"])
def test_what_is_put_off_as_often_as_it_is_asked_is_not_asked_in_another_way(status: int, *, plain: bool) -> None:
    """Speech by the un-versioned address: without what clients send besides only where that may be why it fails."""
    sent: list[Request] = []

    @per_call
    async def answer(call: Call) -> None:
        if SPEECH(call.request) and "/v1/" not in call.request.path:
            sent.append(call.request)
            await call.respond(error_response(status, "Not now.").with_header("retry-after", "0"))
        else:
            await call.forward()

    judged(answer, every=True)
    assert sent
    assert any(request.fields.keys() <= {"model", "voice", "input"} for request in sent) is plain


def test_a_tenant_that_goes_down_within_a_run_bans_nobody() -> None:
    """What fails from then on is one finding; what was refused before is in doubt because of that."""
    for several in (["openai-sdk-curl", "dify"], []):
        record = judged(after(60 if several else 150, FAILED), *several, every=not several)
        [line] = found(record)
        assert line.startswith(
            "violates: Look in the tenant's log for what these have in common; they fail with the same"
        )
        assert any(row["outcome"] == "blocked" for book in record["runbooks"] for row in book["routes"])


def test_a_limit_on_the_size_of_requests_is_one_finding() -> None:
    """Whatever is sent that is too large for it."""

    @per_call
    async def limit(call: Call) -> None:
        if len(call.request.body) > 4_000:
            await call.respond(TOO_LARGE)
        else:
            await call.forward()

    [line] = found(judged(limit, "openai-sdk-curl", "open-webui"))
    assert "raise its limits, and its proxies', on the size of a request" in line


def test_a_budget_that_is_used_up_blocks() -> None:
    """No page says what the API answers then: a 402 breaks no promise, wherever it comes."""
    [line] = found(judged(refuse(is_any, error_response(402, "The budget is used up.")), "dify"))
    assert line == "blocked: Raise the budget of the key or of the tenant, then run again."


def test_answers_of_other_requests_are_one_finding() -> None:
    """A tenant that swaps the answers of requests under way together breaks many checks: each of them says that."""
    swapped = FAULTS["embeddings-swapped-under-load"].middleware
    assert swapped is not None
    record = judged(swapped, every=True)
    [finding] = [item for item in record["findings"] if item["outcome"] == "violates"]
    assert finding["check"] == "answers.own"
    assert finding["proofs"][0]["expected"] == "each text gets a vector of its own, whoever asks"
    assert {place.partition("-embeddings-")[2] for place in finding["places"]} > {"native"}
    assert {item["id"] for item in record["findings"] if item["outcome"] == "blocked"} == set()


@pytest.mark.parametrize("route", [CHAT, EMBEDDINGS], ids=["chat", "embeddings"])
def test_what_does_not_reach_its_backend_is_one_finding(route: Predicate) -> None:
    """Who would be refused there gets the same words: whether they are refused is unknown because of that finding."""
    [line] = found(judged(refuse(route, error_response(503, "no healthy upstream"))))
    assert line.startswith("violates: ")
