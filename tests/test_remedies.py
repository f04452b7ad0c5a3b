"""What to do about an answer: decided from its status and from what it says, the same for all checks."""

import pytest

from gt_conformance.checks._capability import is_masked
from gt_conformance.checks._vectors import NEAR, least_cosine
from gt_conformance.checks._wording import (
    LET_THROUGH,
    explain_answer,
    extract_reason,
    names_model_as_cause,
    normalized_reason,
)
from gt_conformance.exchange import Exchange, Request, Response
from tests.fake_tenant import BASE_URL, HTML_PAGE, answer, refusal

CHAT = f"{BASE_URL}/v1/chat/completions"


def _asked(response: Response, *headers: tuple[str, str]) -> Exchange:
    return Exchange("x0001", Request("POST", CHAT, "chat", headers=headers), response, 5.0)


def _page(status: int) -> Response:
    return answer(HTML_PAGE.text, status, "text/html")


REMEDIES: dict[str, tuple[Response, str]] = {
    "a failure": (refusal(500, "Oops."), "fails inside the tenant or behind it"),
    "a redirect": (answer("", 300), "a redirect is not followed"),
    "the last redirect": (answer("", 399), "a redirect is not followed"),
    "a key that is not taken here": (refusal(401, "Invalid key."), "refuses a key that the tenant takes elsewhere"),
    "a key that did not come": (refusal(401, "Missing API key."), "It is missing in POST"),
    "a right": (refusal(403, "This key may not chat."), "let this key use POST"),
    "a refusal of another's": (refusal(403, "Your country is unsupported, sorry."), "may come from a provider"),
    "a part that is off": (refusal(403, "Chat is disabled."), "Enable in the tenant what its message says"),
    "a name": (refusal(404, "No such model."), "correct the name or the id"),
    "a method": (refusal(405, "No."), "correct the name or the id"),
    "a wrong request": (
        refusal(400, "No 'user'."),
        "Have the tenant accept POST /api/tenant/v1/chat",
    ),
    "a wrong request, with its reason": (refusal(422, "No 'user'."), "it says \"No 'user'.\""),
    "a wrong request, without a reason": (answer("", 400), "it does not say what it objects to"),
    "a body too large": (refusal(413, "Too large."), "on the size of a request"),
    "more than it takes": (refusal(413, "At most 8 inputs."), "raise the limit that it names, 'At most 8 inputs.'"),
    "a page of what does not answer": (_page(502), "check whether the tenant behind it is up"),
    "a page that lets nobody through": (_page(403), LET_THROUGH),
    "a page for a method": (_page(405), "have it let each method of the API through"),
    "a page for a large request": (_page(413), "have it let larger requests through"),
    "a page where the API should be": (_page(200), "Check base_url"),
}


@pytest.mark.parametrize(("response", "words"), REMEDIES.values(), ids=REMEDIES)
def test_each_kind_of_refusal_has_its_remedy(response: Response, words: str) -> None:
    """By the status first, then by what the tenant says itself."""
    assert words in explain_answer(_asked(response), response)


@pytest.mark.parametrize(
    ("status", "words"), [(404, "keep each conversation that it opens"), (405, "correct the name or the id")]
)
def test_an_unknown_conversation_is_not_an_unknown_route(status: int, words: str) -> None:
    """A 404 to a chat in a conversation is about the conversation; a 405 cannot be."""
    response = refusal(status, "Not found.")
    assert words in explain_answer(_asked(response, ("X-GT-Conversation-Id", "c1")), response)


@pytest.mark.parametrize(("status", "is_of_model"), [(400, True), (404, True), (422, True), (501, True), (403, False)])
def test_what_the_model_does_not_take_is_not_the_tenants(status: int, is_of_model: bool) -> None:  # noqa: FBT001
    """Model servers say so with these statuses; a 403 is about the key, whatever else it says."""
    assert names_model_as_cause(refusal(status, "Tools are not supported by this model.")) is is_of_model


def test_a_long_list_of_reasons_is_quoted_in_part() -> None:
    """The first five of a validator's hundred."""
    errors = [{"msg": f"Reason {number}."} for number in range(100)]
    assert extract_reason(answer({"detail": errors}, 422)) == "Reason 0.; Reason 1.; Reason 2.; Reason 3.; Reason 4."


def test_a_reason_is_looked_for_four_levels_deep() -> None:
    """A hostile tenant may nest without an end; no server needs more."""
    nested: object = "Deep."
    for _ in range(4):
        nested = {"error": nested}
    assert extract_reason(answer(nested, 400)) == "Deep."
    assert not extract_reason(answer({"error": nested}, 400))


def test_refusals_that_differ_in_an_id_have_one_reason() -> None:
    """Ids and numbers differ from one request to the next."""
    one, other = (refusal(404, f"No file 3f2a91bc0d{number}, request {number}.") for number in (17, 4))
    assert normalized_reason(one) == normalized_reason(other) == "no file #, request #."


@pytest.mark.parametrize(
    ("said", "is_mask"),
    [
        ("It is ***ck-4711.", True),
        ("It is br####4711.", True),
        ("It is b#r#i#c#k#-#4#7#1#1.", False),
        ("It is brick-4711.", False),
        ("It is ####.", False),
        ("It is [REDACTED]-4711.", True),
        ("It is b###1.", False),
    ],
)
def test_a_mask_keeps_a_part_of_what_it_hides(said: str, is_mask: bool) -> None:  # noqa: FBT001
    """At least a third of it, in its order, with something left out."""
    assert is_masked(said, "brick-4711") is is_mask


def test_vectors_of_one_text_may_be_as_far_apart_as_they_were_before() -> None:
    """Ten times as far as two of one text, down to a limit; vectors of other lengths say nothing of it."""
    usual = 0.999
    assert least_cosine([1.0, 0.0], [1.0, 0.0], usual) == usual
    assert NEAR < least_cosine([1.0, 0.0], [1.0, 0.1], usual) < usual
    assert least_cosine([1.0, 0.0], [0.0, 1.0], usual) == NEAR
    assert least_cosine([1.0, 0.0], [1.0, 0.0, 0.0], usual) == usual
