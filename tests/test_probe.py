"""A probe: what it notes of an answer, in which words, and where a check ends."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from gt_conformance.checks import Check, CheckCall, Probe, StopCheck, Violation, checks
from gt_conformance.checks._wording import (
    describe,
    describe_failure,
    extract_reason,
    format_status,
)
from gt_conformance.errors import Blocker
from gt_conformance.exchange import Exchange, Failure, Request, Response
from gt_conformance.runner import Runner
from gt_conformance.tenant import Limits, Tenant
from gt_conformance.vocabulary import Modality
from tests.fake_tenant import ALIAS, BASE_URL, HTML_PAGE, TENANT, FakeSender, answer, key, plan_of, refusal, tenant_of

LONG = "x" * 200

WORDS: dict[str, tuple[Response, str]] = {
    "a status alone": (answer("", 204), "HTTP 204"),
    "a reason": (refusal(404, "No such name."), "HTTP 404: No such name."),
    "a reason at the top": (answer({"message": "Nothing here."}, 404), "HTTP 404: Nothing here."),
    "a page": (HTML_PAGE, 'HTTP 200 with an HTML page ("Acme")'),
    "a page without a title": (answer("<html>", kind="text/html"), "HTTP 200 with an HTML page"),
    "a redirect with a page": (
        answer("<html><title>Moved</title>", 302, "text/html", location="/a"),
        "HTTP 302 redirect to /a, not followed",
    ),
    "a reason that is too long": (refusal(400, LONG), f"HTTP 400: {'x' * 160}… [200 characters in all]"),
    "a reason that just fits": (refusal(400, "x" * 160), f"HTTP 400: {'x' * 160}"),
    "a redirect": (
        answer("", 302, location="https://acme.example/login"),
        "HTTP 302 redirect to https://acme.example/login, not followed",
    ),
    "the first redirect": (answer("", 300, location="/a"), "HTTP 300 redirect to /a, not followed"),
    "the last redirect": (answer("", 399, location="/a"), "HTTP 399 redirect to /a, not followed"),
    "a redirect that leads nowhere": (answer("", 302), "HTTP 302"),
    "a place that is no redirect": (answer("", 201, location="/files/1"), "HTTP 201"),
    "a place before redirects": (answer("", 299, location="/files/1"), "HTTP 299"),
    "a place after redirects": (answer("", 400, location="/files/1"), "HTTP 400"),
    "a redirect to a long place": (
        answer("", 302, location=f"/{LONG}"),
        f"HTTP 302 redirect to /{'x' * 159}… [201 characters in all], not followed",
    ),
}


@pytest.mark.parametrize(("response", "words"), WORDS.values(), ids=WORDS)
def test_what_a_tenant_answered_is_told_in_a_line(response: Response, words: str) -> None:
    """The status, where a redirect leads, and the reason that is given."""
    assert describe(response) == words
    assert words.startswith(format_status(response))


REASONS: dict[str, tuple[object, str]] = {
    "OpenAI's error object": ({"error": {"message": " No. ", "type": "x"}}, "No."),
    "an error that is a text": ({"error": "No."}, "No."),
    "a message": ({"message": "No."}, "No."),
    "a detail": ({"detail": "No."}, "No."),
    "a title": ({"title": "No."}, "No."),
    "a code": ({"error": {"code": "no_such_name"}}, "no_such_name"),
    "a text": ("No.", "No."),
    "the message before a bare error": ({"message": ["No."], "error": "Bad Request"}, "No."),
    "a validator's list": (
        {"detail": [{"loc": ["body", "max_tokens"], "msg": "Too much."}, {"loc": ["body", "n"], "msg": "No."}]},
        "body.max_tokens: Too much.; body.n: No.",
    ),
    "errors": ({"title": "Invalid.", "errors": [{"message": "No."}, "Nor that."]}, "No.; Nor that."),
    "errors by field": ({"title": "Invalid.", "errors": {"max_tokens": ["Too much."]}}, "max_tokens: Too much."),
    "texts by field": ({"max_tokens": ["Too much."]}, "max_tokens: Too much."),
    "an empty message, and a detail": ({"message": "", "detail": "No."}, "No."),
    "two objects deep": ({"error": {"detail": {"message": "No."}}}, "No."),
    "nothing": ({}, ""),
    "a list": ([{"message": "No."}], "No."),
    "a number": ({"error": {"message": 5}}, ""),
}


@pytest.mark.parametrize(("body", "reason"), REASONS.values(), ids=REASONS)
def test_a_reason_is_found_wherever_it_stands(body: object, reason: str) -> None:
    """In the forms that servers use, and empty where there is none."""
    assert extract_reason(answer(body if not isinstance(body, str) else f'"{body}"', 400)) == reason


def test_what_is_no_json_has_no_reason() -> None:
    """A text may be anything."""
    assert not extract_reason(answer("No.", 400, "text/plain"))


def exchanged(response: Response | None, detail: str = "") -> Exchange:
    """An exchange of a check's own."""
    request = Request("GET", f"{BASE_URL}/v1/models", "chat")
    return Exchange("x0001", request, response, 5.0, None if response else Failure.TIMEOUT, detail)


@pytest.mark.parametrize(("detail", "words"), [("", "no answer"), ("timed out", "no answer: timed out")])
def test_no_answer_is_told_with_its_cause(detail: str, words: str) -> None:
    """As far as one is known."""
    assert describe_failure(exchanged(None, detail)) == words


def probe(tenant: Tenant = TENANT, check: str = "chat.completes") -> Probe:
    """A probe for the first key of a tenant."""
    call = CheckCall(check, next(iter(tenant.credentials)))
    found: Check = checks()[check]
    return Probe(Runner(plan_of(tenant, call), FakeSender, run_id="r1"), found, call)


def test_what_must_hold_is_a_violation_where_it_does_not() -> None:
    """With what was expected, what came, which exchange proves it, and a remedy of its own."""
    one = probe()
    assert one.must([1], "a", "b")
    assert one.violations == []
    assert one.must([], "a", "b", exchanged(None), remedy="c") is False
    one.fail("d", "e")
    found, other = one.violations
    assert replace(found, finding="") == Violation("a", "b", "x0001", "c")
    assert replace(other, finding="") == Violation("d", "e", None, None)


def test_one_cause_is_one_finding() -> None:
    """By its remedy within a check, by its name where the cause has one, and beyond the check where it is shared."""
    one, other = probe(check="chat.roles"), probe(check="chat.tools")
    for asked in (one, other):
        asked.fail("a", "b")
        asked.fail("c", "d")
        asked.fail("a", "b", cause="its own")
        asked.fail("a", "b", cause="shape:chat-completion:choices")
    (plain, again, own, shared), (else_plain, _, else_own, else_shared) = (
        [violation.finding for violation in asked.violations] for asked in (one, other)
    )
    assert plain == again
    assert len({plain, own, shared, else_plain, else_own}) == 5
    assert shared == else_shared


def test_what_should_hold_is_a_remark_said_once() -> None:
    """With the exchange where it was seen first."""
    one = probe()
    one.should(1, "a")
    one.should(0, "b", exchanged(None))
    one.should(0, "b")
    one.advise("c")
    assert [(item.text, item.exchange) for item in one.advisories] == [("b", "x0001"), ("c", None)]


def test_what_could_not_be_tested_is_an_obstacle_noted_once() -> None:
    """The same reason twice is one; another remedy is another."""
    one = probe()
    for remedy in ("b", "b", "c"):
        one.block("a", remedy)
    assert one.blockers == [Blocker("a", "b"), Blocker("a", "c")]


def test_an_exchange_is_evidence_once() -> None:
    """However often it is looked at."""
    one = probe()
    for _ in range(2):
        one.note(exchanged(answer({})))
    assert one.exchanges == ["x0001"]


@pytest.mark.parametrize("found", ["failure", "blocker"])
def test_a_check_ends_where_what_follows_hangs_on_it(found: str) -> None:
    """At a violation, or at a blocker; with neither it goes on."""
    one = probe()
    one.stop_if_failed()
    notes: dict[str, Callable[[str, str], None]] = {"failure": one.fail, "blocker": one.block}
    notes[found]("a", "b")
    with pytest.raises(StopCheck):
        one.stop_if_failed()


def test_the_same_check_may_be_looked_at_aside() -> None:
    """With nothing noted, and nothing of it noted for the first."""
    one = probe()
    one.fail("a", "b")
    dry_run = one.dry_run()
    assert dry_run.violations == []
    assert (dry_run.check, dry_run.call, dry_run.tenant) == (one.check, one.call, one.tenant)


def test_an_answer_that_never_came_or_broke_off_ends_the_check() -> None:
    """Either is the violation."""
    for exchange, words in (
        (exchanged(None, "late"), "no answer: late"),
        (exchanged(Response(200, (), b"{", complete=False, end="it broke off")), "HTTP 200, but it broke off"),
    ):
        one = probe()
        with pytest.raises(StopCheck):
            one.answer(exchange, "an answer")
        assert [(item.expected, item.found, item.exchange) for item in one.violations] == [
            ("an answer", words, "x0001")
        ]
        assert not one.usable


@pytest.mark.parametrize(("most", "blocks"), [(2_048, True), (Limits().max_response_bytes, False)])
def test_an_answer_that_the_operators_own_limit_cuts_off_is_for_the_operator(most: int, blocks: bool) -> None:  # noqa: FBT001
    """Below the default it is the limit that is small; what outgrows the default is the tenant's."""
    one = probe(replace(TENANT, limits=Limits(max_response_bytes=most)))
    cut = Response(200, (), b"{", complete=False, end=f"the body exceeds {most} bytes (limits.max_response_bytes)")
    with pytest.raises(StopCheck):
        one.answer(exchanged(cut), "an answer")
    assert (bool(one.blockers), bool(one.violations), one.usable) == (blocks, not blocks, False)


@pytest.mark.parametrize(("texts", "blocks"), [(["one", "two"], True), (["one"], False), ("one", False)])
def test_vectors_of_many_texts_may_be_longer_than_a_run_reads(texts: list[str] | str, blocks: bool) -> None:  # noqa: FBT001
    """How many numbers a vector has is the model's; that of one text is never so long."""
    one, most = probe(), Limits().max_response_bytes
    cut = Response(200, (), b"{", complete=False, end=f"the body exceeds {most} bytes (limits.max_response_bytes)")
    request = Request.of_json("POST", f"{BASE_URL}/v1/embeddings", "chat", {"input": texts})
    with pytest.raises(StopCheck):
        one.answer(Exchange("x0001", request, cut, 5.0), "an embedding list")
    assert (bool(one.blockers), bool(one.violations), one.usable) == (blocks, not blocks, False)


@pytest.mark.parametrize(("texts", "blocks"), [(["one", "two"], True), (["one"], False)])
def test_vectors_of_many_texts_may_hold_more_numbers_than_the_suite_reads(texts: list[str], blocks: bool) -> None:  # noqa: FBT001
    """The limit is the suite's own: nobody can say that such an answer is no JSON."""
    one = probe()
    long = Response(200, (("content-type", "application/json"),), b"[" + b"0," * 2_000_000 + b"0]")
    request = Request.of_json("POST", f"{BASE_URL}/v1/embeddings", "chat", {"input": texts})
    with pytest.raises(StopCheck):
        one.parsed(Exchange("x0001", request, long, 5.0), long, "an embedding list")
    assert (bool(one.blockers), bool(one.violations), one.usable) == (blocks, not blocks, False)


UNDECLARED = tenant_of(key("chat", scopes=None))
NOTHING_DECLARED = tenant_of(key("chat", scopes=None, purpose=None, models=None))
NO_NAMES = tenant_of(key("chat", models=None), models={})
MAY_LACK: dict[str, tuple[Tenant, Response, str | None]] = {
    "scopes are left out": (UNDECLARED, refusal(403), "scopes"),
    "everything is left out": (NOTHING_DECLARED, refusal(404), "purpose, scopes and models"),
    "names are left out": (NO_NAMES, refusal(401), "models"),
    "nothing is left out": (TENANT, refusal(403), None),
    "scopes are left out, and it is another refusal": (UNDECLARED, refusal(400), None),
    "scopes are left out, and it is a payment": (UNDECLARED, refusal(402), None),
    "scopes are left out, and it is a method": (UNDECLARED, refusal(405), None),
    "scopes are left out, and it breaks": (UNDECLARED, refusal(500), None),
    "scopes are left out, and it is a page": (UNDECLARED, answer("<html>", 404, "text/html"), None),
}


@pytest.mark.parametrize(("tenant", "response", "lacking"), MAY_LACK.values(), ids=MAY_LACK)
def test_a_refusal_may_be_for_want_of_a_right(tenant: Tenant, response: Response, lacking: str | None) -> None:
    """Where the tenant file leaves it open whether the key has it, no promise is known to be broken."""
    one = probe(tenant)
    with pytest.raises(StopCheck):
        one.success(exchanged(response), "2xx", modality=Modality.CHAT)
    if lacking is None:
        [violation] = one.violations
        assert (violation.expected, violation.found, violation.exchange) == ("2xx", describe(response), "x0001")
        assert ("a web page answers there" in (violation.remedy or "")) is response.looks_like_html
        assert one.blockers == []
    else:
        assert one.violations == []
        assert f"does not declare its {lacking}" in one.blockers[0].reason
        assert one.blockers[0].remedy.startswith(f"Declare {lacking} of the key chat")


def test_names_that_nobody_asked_for_are_not_missed() -> None:
    """A route without a name is not refused for want of one."""
    one = probe(NO_NAMES)
    with pytest.raises(StopCheck):
        one.success(exchanged(refusal(403)), "2xx")
    assert one.violations


def test_a_shape_is_told_place_by_place() -> None:
    """At most five, each with its place, and the check ends."""
    one = probe()
    body = {"object": "list", "data": [{"id": number} for number in range(7)]}
    with pytest.raises(StopCheck):
        one.json(exchanged(answer(body)), "model-list", "a model list")
    assert len(one.violations) == 5
    assert one.violations[0].found.startswith("data.0.id: ")
    assert {violation.expected for violation in one.violations} == {"a model list"}


def test_what_is_no_json_is_told_with_its_type() -> None:
    """And where there is no type, with that."""
    for response, words in (
        (answer("fine", 200, "text/plain"), "HTTP 200 (text/plain), but "),
        (Response(200, (), b"fine"), "HTTP 200 (no content type), but "),
    ):
        one = probe()
        with pytest.raises(StopCheck):
            one.parsed(exchanged(response), response, "JSON")
        assert one.violations[0].found.startswith(words)


def test_a_probe_knows_its_tenant() -> None:
    """The published name, the address of a path, and the key."""
    one = probe()
    assert (one.model(Modality.CHAT), one.url("/v1/x"), one.credential.name) == (ALIAS, f"{BASE_URL}/v1/x", "chat")
    assert one.run_id == "r1"
