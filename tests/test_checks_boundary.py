"""The tenant's outer manners: which browsers it lets in, and how it refuses what makes no sense."""

import pytest

from gt_conformance.exchange import Failure, Request, Response
from gt_conformance.vocabulary import Outcome, Scope
from tests.fake_tenant import (
    ALIAS,
    BASE_URL,
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
def test_a_foreign_page_that_may_send_a_users_key_is_remarked(origin: str, credentials: str, which: Which) -> None:
    """Its origin reflected with credentials is remarked in the answer to any of the three: no page forbids it."""
    headers = {"access_control_allow_origin": origin, "access_control_allow_credentials": credentials}
    sender = FakeSender(given(answer("", 204, **headers), which))
    result = judged(ORIGIN_REFUSED, sender=sender)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    [remark] = result.advisories
    assert which(sender.request(remark.exchange))
    assert remark.text == f"a foreign Origin is allowed: Access-Control-Allow-Origin: {origin} with credentials"


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
    [remark] = result.advisories
    assert remark.text.removesuffix(" with credentials") == (
        f"a foreign Origin is allowed: Access-Control-Allow-Origin: {allowed}"
    )


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
def test_a_foreign_page_that_gets_no_answer_is_remarked(which: Which) -> None:
    """No answer says nothing about the header, and is listed."""
    result = judged(ORIGIN_REFUSED, given(GONE, which))
    assert result.outcome is Outcome.CONFORMS
    assert [item.text.partition(" gets ")[2] for item in result.advisories] == ["no answer: closed"]


# -- errors

SHAPED = "tenant.errors_shaped"


def of_body(**fields: object) -> Which:
    """A request whose JSON body has these values."""
    return lambda request: request.body and fields.items() <= sent_json(request).items()


BAD: dict[str, Which] = {
    "malformed JSON": lambda request: request.body == b'{"model": ',
    "an unknown model": of_body(model=f"{ALIAS}:gt-conformance"),
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
UNREASONED: dict[str, Response] = {
    "a web page": answer("<html>", 404, "text/html"),
    "plain text": answer("No.", 400, "text/plain"),
    "nothing": answer("", 404),
    "no reason": answer({"ok": False}, 400),
}
# The control asks for the route that cannot exist as well: a tenant that accepts it never comes to this check.
SENT = [case for case in BAD if case != "an unknown route"]
UNREAD = ("a wrong method (DELETE /v1/models)", "an unknown route")


def remarks(reply: Response | Reply, which: Which) -> list[str]:
    """What is remarked where this is the answer; nothing violates or is blocked."""
    result = judged(SHAPED, given(reply, which))
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    return [remark.text for remark in result.advisories]


@pytest.mark.parametrize("case", SENT)
@pytest.mark.parametrize(("reply", "found"), ACCEPTED.values(), ids=ACCEPTED)
def test_a_bad_request_that_is_not_refused_is_remarked(case: str, reply: Response | Reply, found: str) -> None:
    """No page says what a bad request gets: anything but a 4xx is remarked."""
    [text] = remarks(reply, BAD[case])
    assert text.startswith(case)
    assert text.endswith(found)


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("reply", UNREASONED.values(), ids=UNREASONED)
def test_a_refusal_without_a_reason_is_remarked_where_the_request_was_read(case: str, reply: Response) -> None:
    """An unknown route and a wrong method may be refused in plain text; what was read should get a reason in JSON."""
    expected = [] if case in UNREAD else ["refusals do not name their reason in JSON"]
    assert remarks(reply, BAD[case]) == expected


def test_a_reason_in_another_shape_than_openais_is_remarked() -> None:
    """Clients show whatever text they find; only OpenAI's object they read."""
    result = judged(SHAPED, given(answer({"detail": "No."}, 400), BAD["malformed JSON"]))
    assert result.outcome is Outcome.CONFORMS
    assert [remark.text for remark in result.advisories] == [
        "refusals do not carry OpenAI's error object (message, type, param, code)"
    ]


CHAT, EMBEDDINGS = f"{BASE_URL}/v1/chat/completions", f"{BASE_URL}/v1/embeddings"
ODD: dict[str, tuple[str, dict[str, object]]] = {
    "messages empty": (CHAT, {"model": ALIAS, "messages": []}),
    "messages [{}]": (CHAT, {"model": ALIAS, "messages": [{}]}),
    "input []": (EMBEDDINGS, {"model": ALIAS, "input": []}),
}


def odd(case: str) -> Which:
    """The request of that case."""
    url, body = ODD[case]
    return lambda request: request.url == url and sent_json(request) == body


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize(("reply", "found"), ACCEPTED.values(), ids=ACCEPTED)
def test_an_odd_request_that_is_not_refused_is_remarked(reply: Response | Reply, found: str, case: str) -> None:
    """A caller learns of the slip by a 4xx only; nothing is asked of its body."""
    [text] = remarks(reply, odd(case))
    assert text.startswith(case)
    assert text.endswith(found)
    assert remarks(answer({}, 499), odd(case)) == []


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
