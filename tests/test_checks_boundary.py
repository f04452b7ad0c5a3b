"""The tenant's outer manners: which browsers it lets in, and how it refuses what makes no sense."""

import pytest

from gt_conformance.exchange import Failure, Request, Response
from gt_conformance.vocabulary import Outcome, Scope
from tests.fake_tenant import (
    ALIAS,
    BASE_URL,
    HTML_PAGE,
    FakeSender,
    Reply,
    Which,
    answer,
    given,
    judged,
    key,
    refusal,
    sent_json,
    tenant_of,
)

GONE = Reply(failure=Failure.CLOSED, detail="closed")


# -- browsers

ORIGIN_REFUSED = "tenant.browser_origin_refused"
FOREIGN = "https://gt-conformance.invalid"
NOT_REFLECTED = "a foreign Origin is not reflected together with Access-Control-Allow-Credentials: true"


def foreign(method: str, presenting: str | None) -> Which:
    """A request of a foreign page, by that method, with that key."""

    def which(request: Request) -> bool:
        return request.method == method and request.key == presenting and dict(request.headers).get("Origin") == FOREIGN

    return which


ASKED = {
    "a preflight": foreign("OPTIONS", None),
    "a request with the key": foreign("GET", "chat"),
    "a request without the key": foreign("GET", None),
}
INVITED = {
    "its origin": (FOREIGN, "true"),
    "its origin, in other letters and spaces": (f" {FOREIGN} ", " TRUE "),
}


@pytest.mark.parametrize("which", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize(("origin", "credentials"), INVITED.values(), ids=INVITED)
def test_a_foreign_page_that_may_send_a_users_key_is_a_violation(origin: str, credentials: str, which: Which) -> None:
    """Its origin reflected with credentials violates in the answer to any of the three, which proves it."""
    headers = {"access_control_allow_origin": origin, "access_control_allow_credentials": credentials}
    sender = FakeSender(given(answer("", 204, **headers), which))
    result = judged(ORIGIN_REFUSED, sender=sender)
    [violation] = result.violations
    assert violation.expected == NOT_REFLECTED
    request = sender.request(violation.exchange)
    assert which(request)
    assert violation.found == f"{request.method} answers Access-Control-Allow-Origin: {origin} with credentials"


ALLOWED: dict[str, tuple[dict[str, str], str]] = {
    "its origin without credentials": ({"access_control_allow_origin": FOREIGN}, FOREIGN),
    "its origin, credentials denied": (
        {"access_control_allow_origin": FOREIGN, "access_control_allow_credentials": "false"},
        FOREIGN,
    ),
    "any origin": ({"access_control_allow_origin": "*"}, "*"),
    "any origin with credentials, which no browser takes": (
        {"access_control_allow_origin": "*", "access_control_allow_credentials": "true"},
        "*",
    ),
}


@pytest.mark.parametrize("which", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize(("headers", "allowed"), ALLOWED.values(), ids=ALLOWED)
def test_a_foreign_page_that_may_read_is_remarked(headers: dict[str, str], allowed: str, which: Which) -> None:
    """Without the user's key a foreign page does no harm: that it is let in is a remark."""
    result = judged(ORIGIN_REFUSED, given(answer("", 204, **headers), which))
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    assert [remark.text for remark in result.advisories] == [
        f"a foreign Origin is allowed: Access-Control-Allow-Origin: {allowed}"
    ]


KEPT_OUT: dict[str, dict[str, str]] = {
    "no header": {},
    "credentials for nobody": {"access_control_allow_credentials": "true"},
    "an origin of its own": {
        "access_control_allow_origin": "https://acme.example",
        "access_control_allow_credentials": "true",
    },
}


@pytest.mark.parametrize("headers", KEPT_OUT.values(), ids=KEPT_OUT)
def test_a_foreign_page_that_is_kept_out_gives_nothing_to_say(headers: dict[str, str]) -> None:
    """Another origin's permission is none of a foreign page's."""
    result = judged(ORIGIN_REFUSED, given(answer("", 204, **headers), lambda request: request.headers), strict=True)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")


def test_a_browser_is_imitated_as_the_standard_says() -> None:
    """The preflight asks for a chat with the key's header, and presents no key itself."""
    sender = FakeSender()
    judged(ORIGIN_REFUSED, sender=sender)
    [preflight] = [request for request in sender.sent if request.method == "OPTIONS"]
    assert preflight.url == f"{BASE_URL}/v1/chat/completions"
    assert dict(preflight.headers) == {
        "Origin": FOREIGN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }


@pytest.mark.parametrize("which", ASKED.values(), ids=ASKED)
def test_a_foreign_page_that_gets_no_answer_is_a_violation(which: Which) -> None:
    """No answer says nothing about the header, and is told."""
    [violation] = judged(ORIGIN_REFUSED, given(GONE, which)).violations
    assert (violation.expected, violation.found) == (NOT_REFLECTED, "no answer: closed")


# -- errors

SHAPED = "tenant.errors_shaped"


def of_body(**fields: object) -> Which:
    """A request whose JSON body has these values."""
    return lambda request: request.body and fields.items() <= sent_json(request).items()


BAD: dict[str, Which] = {
    "malformed JSON": lambda request: request.body == b'{"model": ',
    "an unknown model": of_body(model="gt-conformance-no-such-id"),
    "a wrong method (DELETE /v1/models)": lambda request: request.method == "DELETE",
    "an unknown route": lambda request: request.url.endswith("/v1/gt-conformance-no-such-route"),
    "a multipart form without its file": lambda request: request.parts,
}
ACCEPTED: dict[str, tuple[Response | Reply, str]] = {
    "accepted": (answer({"id": "1"}), "HTTP 200"),
    "a 5xx": (refusal(500, "Broken."), "HTTP 500: Broken."),
    "a redirect": (answer("", 302, location="/login"), "HTTP 302 redirect to /login, not followed"),
    "no answer": (GONE, "no answer: closed"),
}
UNREASONED: dict[str, tuple[Response | Reply, str]] = {
    "a web page": (answer("<html>", 404, "text/html"), "HTTP 404, but it is an HTML page"),
    "plain text": (answer("No.", 400, "text/plain"), "HTTP 400, but the body is not JSON (at character 0 of 3)"),
    "nothing": (answer("", 404), "HTTP 404, but the body is empty"),
    "no reason": (answer({"ok": False}, 400), "HTTP 400, but the body names no reason: "),
}
# The control asks for the route that cannot exist as well: a tenant that accepts it never comes to this check.
SENT = [case for case in BAD if case != "an unknown route"]
VIOLATIONS: dict[str, tuple[str, Response | Reply, str]] = {
    f"{case}: {name}": (case, reply, found)
    for case in BAD
    for name, (reply, found) in ((ACCEPTED if case in SENT else {}) | UNREASONED).items()
}


@pytest.mark.parametrize(("case", "reply", "found"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_bad_request_that_is_not_refused_with_a_reason_is_a_violation(
    case: str, reply: Response | Reply, found: str
) -> None:
    """A 4xx in JSON that names the reason: anything else violates, whatever was wrong with the request."""
    [violation] = judged(SHAPED, given(reply, BAD[case])).violations
    assert violation.expected == f"{case} is refused with a 4xx in JSON"
    assert violation.found.startswith(found)


def test_every_bad_request_is_tried() -> None:
    """A tenant that refuses nothing hears of each, not of the first only."""
    accepts = given(answer({"id": "1"}), lambda request: any(BAD[case](request) for case in SENT))
    found = judged(SHAPED, accepts).violations
    assert [violation.expected for violation in found] == [f"{case} is refused with a 4xx in JSON" for case in SENT]


def test_a_reason_in_another_shape_than_openais_is_remarked() -> None:
    """Clients show whatever text they find; only OpenAI's object they read."""
    result = judged(SHAPED, given(answer({"detail": "No."}, 400), BAD["malformed JSON"]))
    assert result.outcome is Outcome.CONFORMS
    assert [remark.text for remark in result.advisories] == [
        "refusals do not carry OpenAI's error object (message, type, param, code)"
    ]


CHAT, EMBEDDINGS = f"{BASE_URL}/v1/chat/completions", f"{BASE_URL}/v1/embeddings"
ODD: dict[str, tuple[str, dict[str, object]]] = {
    "messages missing": (CHAT, {"model": ALIAS}),
    "messages empty": (CHAT, {"model": ALIAS, "messages": []}),
    "messages a string": (CHAT, {"model": ALIAS, "messages": "hello"}),
    "messages [{}]": (CHAT, {"model": ALIAS, "messages": [{}]}),
    "input []": (EMBEDDINGS, {"model": ALIAS, "input": []}),
}


def odd(case: str) -> Which:
    """The request of that case."""
    url, body = ODD[case]
    return lambda request: request.url == url and sent_json(request) == body


BREAKS: dict[str, tuple[Response | Reply, str]] = {
    "a 5xx": (refusal(500, "Broken."), "HTTP 500: Broken."),
    "a web page": (HTML_PAGE, "HTTP 200 with an HTML page"),
    "a refusal as a web page": (answer("<html>", 400, "text/html"), "HTTP 400 with an HTML page"),
    "no answer": (GONE, "no answer: closed"),
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize(("reply", "found"), BREAKS.values(), ids=BREAKS)
def test_an_odd_request_that_breaks_the_tenant_is_a_violation(reply: Response | Reply, found: str, case: str) -> None:
    """Whatever else it makes of them, the tenant neither breaks nor shows a web page."""
    [violation] = judged(SHAPED, given(reply, odd(case))).violations
    assert (violation.expected, violation.found) == (f"{case} gives no 5xx and no web page", found)


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("status", [200, 302, 499])
def test_an_odd_request_that_is_not_refused_is_remarked(status: int, case: str) -> None:
    """A caller learns of the slip by a 4xx only; nothing is asked of its body."""
    result = judged(SHAPED, given(answer({}, status), odd(case)))
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    told = [f"{case} is answered {status}; a 4xx would tell the caller"] if status < 400 else []
    assert [remark.text for remark in result.advisories] == told


def test_a_tenant_that_refuses_them_all_gives_nothing_to_say() -> None:
    """Refusals with OpenAI's error object conform, with --strict as well."""
    result = judged(SHAPED, strict=True)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")


def test_each_is_sent_with_the_narrowest_key_that_may() -> None:
    """A refusal for want of a right would hide how the route refuses."""
    wide = key("wide")
    chat, hears, embeds = (
        key(name, scopes=frozenset({scope}))
        for name, scope in (("chat", Scope.CHAT), ("hears", Scope.TRANSCRIBE), ("embeds", Scope.EMBED))
    )
    sender = FakeSender()
    judged(SHAPED, tenant=tenant_of(chat, wide, hears, embeds), sender=sender)
    by_url: dict[str, set[str | None]] = {}
    for request in sender.sent:
        by_url.setdefault(request.url, set()).add(request.key)
    assert by_url[CHAT] == {"chat"}
    assert by_url[EMBEDDINGS] == {"embeds"}
    assert by_url[f"{BASE_URL}/v1/audio/transcriptions"] == {"hears"}


def test_where_no_key_may_the_checks_own_is_sent() -> None:
    """A refusal for want of a right is one in JSON too."""
    sender = FakeSender()
    judged(SHAPED, tenant=tenant_of(key("chat", scopes=frozenset({Scope.CHAT}))), sender=sender)
    assert {request.key for request in sender.sent if request.parts or request.url == EMBEDDINGS} == {"chat"}
