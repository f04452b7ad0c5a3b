"""Controls: what they take for the API, at its right place or a wrong one, and what each remedy says."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest

from gt_conformance.checks import CheckCall, CheckResult
from gt_conformance.checks._preflight import is_answered_by_the_api, is_api_answer, only_listing_fails
from gt_conformance.exchange import Failure, Request, Response
from gt_conformance.vocabulary import Actor, Outcome
from tests.fake_tenant import (
    BASE_URL,
    COMPLETION,
    HTML_PAGE,
    TENANT,
    FakeSender,
    Reply,
    answer,
    key,
    plan_of,
    refusal,
    run,
    tenant_of,
)

MODELS, NOWHERE = f"{BASE_URL}/v1/models", f"{BASE_URL}/v1/gt-conformance-no-such-route"
LISTED = answer({"object": "list", "data": []})
NOT_JSON = answer("fine", kind="text/plain")

AS_AN_API: dict[str, tuple[Response | None, bool]] = {
    "no answer": (None, False),
    "JSON": (LISTED, True),
    "a refusal in JSON": (refusal(404), True),
    "the last refusal that is the caller's": (refusal(499), True),
    "a server error in JSON": (refusal(500), False),
    "the last answer before a redirect": (answer({}, 299), True),
    "a redirect": (answer({}, 300), False),
    "the last redirect": (answer({}, 399), False),
    "the first refusal": (refusal(400), True),
    "a page": (HTML_PAGE, False),
    "a text": (NOT_JSON, False),
}


@pytest.mark.parametrize(("response", "taken"), AS_AN_API.values(), ids=AS_AN_API)
def test_an_api_answers_in_json_and_neither_breaks_nor_points_elsewhere(
    response: Response | None, taken: object
) -> None:
    """Only then may what answers be held to the API's promises."""
    assert is_api_answer(response) is taken


ANSWERS: dict[str, tuple[Sequence[Response | None], bool, bool]] = {
    "a list, and a refusal where nothing is": ([LISTED, refusal(404)], True, True),
    "a list that breaks, and a refusal where nothing is": ([refusal(500), refusal(404)], True, True),
    "a list that is missing, as all else is": ([refusal(404), refusal(404)], False, False),
    "a list that breaks, as all else does": ([refusal(500), refusal(500)], False, False),
    "a page for the list, and a refusal in JSON": ([HTML_PAGE, refusal(404)], True, True),
    "a page for both": ([HTML_PAGE, HTML_PAGE], False, False),
    "a page for the list, and a text where nothing is": ([HTML_PAGE, answer("no", 404, "text/plain")], False, False),
    "a success where nothing is": ([refusal(404), LISTED], False, False),
    "a server error where nothing is": ([LISTED, refusal(500)], True, False),
    "a refused key": ([refusal(401), refusal(401)], True, False),
    "a key that may not list": ([refusal(403), refusal(404)], True, False),
    "a key refused in plain text": ([answer("no", 401, "text/plain"), answer("no", 401, "text/plain")], True, False),
    "a key refused with nothing": ([answer("", 403), answer("", 404)], True, False),
    "a key refused with a page": ([replace(HTML_PAGE, status=403), replace(HTML_PAGE, status=403)], False, False),
    "a refused key and a page": ([refusal(403), HTML_PAGE], True, False),
    "a list, and the key refused where nothing is": ([refusal(500), refusal(401)], True, False),
    "a list, and the key forbidden where nothing is": ([refusal(500), refusal(403)], True, False),
    "a list alone": ([LISTED], True, False),
    "a page alone": ([HTML_PAGE], False, False),
    "a list, and no answer": ([LISTED, None], True, False),
    "no answer, and a refusal": ([None, refusal(404)], True, True),
    "no answer": ([None], False, False),
}


@pytest.mark.parametrize(("answers", "api", "listing_alone"), ANSWERS.values(), ids=ANSWERS)
def test_what_two_answers_say_of_a_base_url(
    answers: Sequence[Response | None], api: object, listing_alone: object
) -> None:
    """Whether it leads to the API, and whether the model list alone is what fails."""
    assert is_answered_by_the_api(answers) is api
    assert only_listing_fails(answers) is listing_alone


def test_nothing_asked_leads_nowhere() -> None:
    """Where no request could be sent, nothing is known of the base URL."""
    assert not is_answered_by_the_api([])


def controlled(listing: Response | Reply, nowhere: Response | Reply) -> CheckResult:
    """What a check of the key comes to where the model list and a route that cannot exist are answered so."""
    answers = {MODELS: listing, NOWHERE: nowhere}
    call = CheckCall("chat.completes", "chat")
    return run(plan_of(TENANT, call), FakeSender(lambda asked: answers.get(asked.url))).result(call)


WORDS: dict[str, tuple[Response | Reply, str, str]] = {
    **{
        # What to do about each is what the sender says: tests of the sender have its words.
        f"no answer ({failure})": (Reply(failure=failure, detail="x", remedy=f"Fix {failure}."), "no answer: x", remedy)
        for failure in (Failure.DNS, Failure.TLS, Failure.CONNECT, Failure.TIMEOUT, Failure.PROTOCOL)
        for remedy in (f"Fix {failure}.",)
    },
    "another key": (refusal(401, "Unknown key."), "HTTP 401: Unknown key.", "Check the secret of the key chat"),
    "a key without rights": (refusal(403, "No."), "HTTP 403: No.", "Check the secret of the key chat"),
    **{
        f"a proxy that says {status}": (refusal(status), f"HTTP {status}", "A proxy answers, but not the tenant")
        for status in (502, 503, 504)
    },
    **{
        f"an error of {status}": (refusal(status), f"HTTP {status}", "the feature flag gtApiEnabled")
        for status in (400, 404, 499)
    },
    "an objection": (refusal(406), "HTTP 406", "accept what SDKs send: it answers HTTP 406"),
    **{
        f"an error of {status}": (refusal(status), f"HTTP {status}", "The tenant fails at whatever the key")
        for status in (500, 501, 505)
    },
    **{
        f"a redirect by {status}": (answer("", status), f"HTTP {status}", "Set base_url to the address")
        for status in (300, 302, 399)
    },
    "a page": (HTML_PAGE, "HTTP 200, but it is an HTML page", "not its web address"),
}


def test_a_budget_that_is_used_up_is_the_operators() -> None:
    """No page says what the API answers then: a 402 breaks no promise."""
    result = controlled(refusal(402), refusal(402))
    assert (result.outcome, result.blockers[0].acts) == (Outcome.BLOCKED, Actor.SETUP)
    assert "a budget stops the tenant: HTTP 402" in result.reason
    assert "Raise the budget" in result.remedy


def test_a_license_that_ended_is_no_budget() -> None:
    """A 402 that names a license is fixed by renewing it, and not by a larger budget."""
    result = controlled(refusal(402, "The license of this tenant has expired."), refusal(402))
    assert "a license or a plan stops the tenant: HTTP 402: The license" in result.reason
    assert result.remedy == "Renew what the tenant names, then run again."


@pytest.mark.parametrize("path", ["", "/api", "/api/tenants"])
def test_a_path_that_is_not_the_apis_is_named(path: str) -> None:
    """Where base_url has another path than usual, that is looked at first, and not the host or the feature flag."""
    tenant = replace(TENANT, base_url=BASE_URL.replace("/api/tenant", path))
    call = CheckCall("chat.completes", "chat")
    found = run(plan_of(tenant, call), FakeSender(lambda _: refusal(404))).result(call)
    assert f"Check the path in base_url, {path or '/'}: the tenant's API is usually at {BASE_URL}." in found.remedy


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_the_list_alone_works(status: int) -> None:
    """It is let into chats, so that the refusal is the finding of the list and says nothing of the secret."""
    assert controlled(refusal(status), refusal(404)).outcome is Outcome.CONFORMS


def test_a_key_that_is_let_into_one_of_two_chats_is_not_shown_to_work() -> None:
    """Where instances refuse by turns, one that takes the key does not show that the list alone refuses it."""
    turns, call = count(), CheckCall("chat.completes", "chat")

    def let_in_once(asked: Request) -> Response:
        if asked.url == NOWHERE:
            return refusal(404)
        return refusal(401) if asked.url == MODELS or next(turns) else answer(COMPLETION)

    assert run(plan_of(TENANT, call), FakeSender(let_in_once)).result(call).outcome is Outcome.BLOCKED


@pytest.mark.parametrize(("found", "said", "remedy"), WORDS.values(), ids=WORDS)
def test_what_is_wrong_is_told_with_what_to_do(found: Response | Reply, said: str, remedy: str) -> None:
    """The same answer everywhere: the run cannot begin, and its reason names request, answer and remedy."""
    result = controlled(found, found)
    assert result.outcome is Outcome.BLOCKED
    assert f"GET {MODELS} gave {said}" in result.reason
    assert remedy in result.remedy


ABSENT: dict[str, tuple[Response | Reply, str, str]] = {
    "a success": (LISTED, "HTTP 200", "answers for every path"),
    "a server error": (refusal(500, "Oh."), "HTTP 500: Oh.", "fails inside the tenant"),
    "no answer": (
        Reply(failure=Failure.CONNECT, detail="gone", remedy="Look there."),
        "no answer: gone",
        "Look there.",
    ),
}


@pytest.mark.parametrize(("found", "said", "remedy"), ABSENT.values(), ids=ABSENT)
def test_a_route_that_cannot_exist_must_be_refused(found: Response | Reply, said: str, remedy: str) -> None:
    """Else a refusal proves nothing, and no check is carried out with the key."""
    result = controlled(LISTED, found)
    assert result.outcome is Outcome.BLOCKED
    assert "since this route cannot exist" in result.reason
    assert f"GET {NOWHERE} gave {said}" in result.reason
    assert remedy in result.remedy


def test_what_answers_for_every_path_is_one_finding_for_all_keys() -> None:
    """It stands before the tenant, whichever key is tried."""
    tenant = tenant_of(key("one"), key("two"))
    calls = [CheckCall("chat.completes", name) for name in tenant.credentials]
    answers = {MODELS: LISTED, NOWHERE: answer("", 302, location="https://login.acme.example/")}
    session = run(plan_of(tenant, *calls), FakeSender(lambda asked: answers.get(asked.url)))
    assert len({blocker.finding for call in calls for blocker in session.result(call).blockers}) == 1


@pytest.mark.parametrize("failing", [1, 2, 3], ids=["once", "twice", "three times"])
def test_a_route_that_cannot_exist_is_asked_for_again_where_it_fails(failing: int) -> None:
    """Two answers of a tenant that fails now and then say nothing of a key; three of them do."""
    replies = [*[refusal(500, "storage is down")] * failing, refusal(404)]

    def rule(asked: Request) -> Response | None:
        return replies.pop(0) if asked.url == NOWHERE and replies else None

    call = CheckCall("chat.completes", "chat")
    found = run(plan_of(TENANT, call), FakeSender(rule)).result(call)
    assert found.outcome is (Outcome.CONFORMS if failing < 3 else Outcome.BLOCKED)
