"""Answers to other requests: another key's or another run's code word in an answer is a violation."""

import json

import pytest

from gt_conformance.checks import CheckCall
from gt_conformance.checks._words import say_word, word_of, words_in
from gt_conformance.exchange import Request, Response
from gt_conformance.runner import CheckResult
from gt_conformance.vocabulary import Outcome
from tests.fake_tenant import (
    COMPLETION,
    DONE,
    FINISH,
    ROLE,
    FakeSender,
    answer,
    changed,
    chunk,
    findings,
    key,
    plan_of,
    refusal,
    run,
    sent_json,
    stream,
    tenant_of,
)

TWO = tenant_of(key("chat"), key("other"))


def own(*, says: str, streamed: bool = False) -> CheckResult:
    """What the check comes to where each chat of either key is answered with this text."""

    def rule(request: Request) -> Response | None:
        body = sent_json(request)
        if not request.path.endswith("chat/completions"):
            return None
        if body.get("stream") and streamed:
            half = len(says) // 2
            return stream(ROLE, chunk({"content": says[:half]}), chunk({"content": says[half:]}), FINISH, DONE)
        if body.get("stream") or streamed:
            return None
        return answer(changed(COMPLETION, {"choices.0.message.content": says}))

    calls = [CheckCall(check, name) for name in ("chat", "other") for check in ("chat.completes", "chat.streams")]
    session = run(plan_of(TWO, *calls, CheckCall("answers.own")), FakeSender(rule))
    return session.result(CheckCall("answers.own"))


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
def test_an_answer_to_another_key_is_a_violation(streamed: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The finding names the key whose word it is, whole or in pieces of a stream."""
    found = own(says=word_of("r1", "other"), streamed=streamed)
    assert found.outcome is Outcome.VIOLATES
    assert "which was asked for with the key other" in findings(found)


def test_an_answer_to_another_run_is_a_violation() -> None:
    """As a cache gives it that was filled before this run."""
    assert "it is of another run" in findings(own(says=word_of("r0", "chat")))


def test_what_a_model_says_besides_is_none() -> None:
    """It need not obey, and may say the word in whatever case."""
    assert own(says="ok").outcome is Outcome.CONFORMS


def test_without_a_chat_that_is_answered_nothing_is_known() -> None:
    """A tenant that refuses every chat mixes nothing up, and shows nothing either."""
    session = run(
        plan_of(TWO, CheckCall("chat.completes", "chat"), CheckCall("answers.own")),
        FakeSender(lambda request: refusal(500, "Broke.") if request.method == "POST" else None),
    )
    assert session.result(CheckCall("answers.own")).outcome is Outcome.BLOCKED


def test_words_are_of_one_run_and_one_key() -> None:
    """Equal where both are, so that equal requests stay equal; found in whatever case."""
    assert word_of("r1", "chat") == word_of("r1", "chat")
    assert len({word_of("r1", "chat"), word_of("r1", "other"), word_of("r2", "chat")}) == 3
    assert words_in(json.dumps(say_word("r1", "chat")).upper()) == {word_of("r1", "chat")}
