"""Raw models in chats: one that is published works as an alias does, in a stream and by both addresses."""

import pytest

from gt_conformance.exchange import Response
from gt_conformance.vocabulary import Outcome
from tests.fake_tenant import (
    ALIAS,
    COMPLETION,
    DONE,
    FINISH,
    ROLE,
    FakeSender,
    Rule,
    answer,
    changed,
    chunk,
    judged,
    key,
    refusal,
    sent_json,
    stream,
    tenant_of,
    to,
)

CHAT = "chat/completions"

RAW_MODEL, RAW = "chat.raw_model", "gt-large-raw"
CATALOG = tenant_of(key("chat", models=frozenset({ALIAS, RAW})), raw_models=(RAW, "another-raw"))


def listing(*names: str) -> Rule:
    """A model list of these names."""
    body = {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}
    return to("models", answer(body), when=lambda _: True)


def raw_chats(reply: Response) -> Rule:
    """What a chat with the raw model gets."""
    return to(CHAT, reply, when=lambda body: body.get("model") == RAW)


WORKS = raw_chats(answer(changed(COMPLETION, {"model": RAW})))
RAW_STREAMS = to(
    CHAT,
    stream(*({**one, "model": RAW} for one in (ROLE, chunk({"content": "ok"}), FINISH)), DONE),
    when=lambda body: body.get("model") == RAW and body.get("stream"),
)


def test_a_raw_model_that_works_as_model_conforms() -> None:
    """Each that the tenant file names and allows the key is asked for, the first in a stream too; others are not."""
    sender = FakeSender(listing(ALIAS, RAW), RAW_STREAMS, WORKS)
    result = judged(RAW_MODEL, tenant=CATALOG, sender=sender, strict=True)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")
    bodies = [sent_json(one) for one in sender.sent if one.body and one.url.endswith(f"/v1/{CHAT}")]
    assert [(body["model"], body.get("stream", False)) for body in bodies] == [(RAW, False), (RAW, True)]


def test_a_raw_model_that_is_answered_by_the_name_of_another_is_advised() -> None:
    """Both are published: which of them answers is for no page to say, and who counts or compares them is misled."""
    result = judged(RAW_MODEL, listing(ALIAS, RAW), raw_chats(answer(COMPLETION)), tenant=CATALOG)
    assert f"a chat with {RAW} should say that name as model: {ALIAS!r}" in [one.text for one in result.advisories]


def test_an_error_in_the_stream_of_a_raw_model_is_no_name_that_is_not_resolved() -> None:
    """What fails behind the tenant is described as it is there."""
    broken = to(
        CHAT,
        stream({"error": {"message": "upstream closed"}}),
        when=lambda body: body.get("model") == RAW and body.get("stream"),
    )
    [violation] = judged(RAW_MODEL, listing(ALIAS, RAW), broken, WORKS, tenant=CATALOG).violations
    assert violation.found == "HTTP 200 with an error inside: upstream closed"
    assert "the raw model fails where others answer" in str(violation.remedy)


RAW_REFUSED = refusal(404, "No such model.")
RAW_CASES: dict[str, tuple[tuple[Rule, ...], Outcome, str]] = {
    "refused though listed": (
        (listing(ALIAS, RAW), raw_chats(RAW_REFUSED)),
        Outcome.VIOLATES,
        "HTTP 404: No such model.",
    ),
    "not listed either": (
        (listing(ALIAS), raw_chats(RAW_REFUSED)),
        Outcome.BLOCKED,
        f"the raw model {RAW} is not among the names that the tenant lists to the key chat",
    ),
    "failing": ((listing(ALIAS, RAW), raw_chats(refusal(500, "Broken."))), Outcome.VIOLATES, "HTTP 500: Broken."),
    "answered by a provider's name": (
        (listing(ALIAS, RAW), raw_chats(answer(changed(COMPLETION, {"model": "vendor/large"})))),
        Outcome.VIOLATES,
        "model is 'vendor/large'",
    ),
}


@pytest.mark.parametrize(("rules", "outcome", "said"), RAW_CASES.values(), ids=RAW_CASES)
def test_a_raw_model_that_does_not_work(rules: tuple[Rule, ...], outcome: Outcome, said: str) -> None:
    """A violation where the tenant lists the name; one that it does not list is the operator's to correct."""
    result = judged(RAW_MODEL, *rules, tenant=CATALOG)
    assert result.outcome is outcome
    assert said in ([violation.found for violation in result.violations] or [result.reason])[0]
