"""Meters: usage that is impossible for what was sent is advised on; usage that is possible is not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance.checks import CheckCall, Parameters
from gt_conformance.exchange import Attempt, Exchange, Request, Response
from gt_conformance.vocabulary import Outcome
from tests.fake_tenant import (
    CHUNKS,
    COMPLETION,
    DONE,
    FakeSender,
    answer,
    changed,
    chunk,
    key,
    plan_of,
    run,
    sent_json,
    stream,
    tenant_of,
)

Count = Callable[[str, object], tuple[int, int]]
"""The prompt's tokens and the completion's, for the text that was sent, streamed or not."""


def advised(count: Count, says: str = "ok") -> set[str]:
    """What the check advises where each chat is metered so: plain, streamed, and with a long prompt."""

    def rule(request: Request) -> Response | None:
        body = sent_json(request)
        if not request.path.endswith("chat/completions"):
            return None
        prompt, completion = count("".join(each["content"] for each in body["messages"]), "stream" in body)
        usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion}
        usage["total_tokens"] = prompt + completion
        if body.get("stream"):
            return stream(*CHUNKS, chunk(None, usage=usage), DONE)
        return answer(changed(COMPLETION, {"usage": usage, "choices.0.message.content": says}))

    calls = [
        CheckCall("chat.completes", "chat", Parameters(token_limit="max_tokens", token_limit_value=256)),
        CheckCall("chat.streams", "chat", Parameters(stream=True, stream_usage=True)),
        CheckCall("chat.client_load", "chat", Parameters(load=(("system_prompt_chars", 16_000),))),
        CheckCall("usage.plausible"),
    ]
    session = run(plan_of(tenant_of(key("chat")), *calls), FakeSender(rule))
    assert not session.suite_errors, session.suite_errors[0]
    found = session.result(calls[-1])
    assert found.outcome is Outcome.CONFORMS
    return {advisory.text for advisory in found.advisories}


def by_length(text: str, _streamed: object) -> tuple[int, int]:
    """As a tokenizer counts."""
    return len(text) // 4 + 8, 2


IMPOSSIBLE: dict[str, tuple[Count, str]] = {
    "a completion beyond its limit": (lambda text, _: (by_length(text, _)[0], 100_000), "more completion tokens than"),
    "no completion": (lambda text, _: (by_length(text, _)[0], 0), "no completion tokens for an answer"),
    "a prompt of one token": (lambda _text, _: (1, 2), "too few prompt tokens for the text that was sent"),
    "a stream that counts otherwise": (
        lambda text, streamed: (len(text) // 4 + 8 + 1_000 * bool(streamed), 40),
        "prompts of like length count as",
    ),
    "prompts that count alike": (lambda _text, _: (9_000, 2), "prompt tokens do not grow with the prompt"),
}


def test_possible_usage_is_not_advised_on() -> None:
    """Counts that follow the text pass without a remark."""
    assert advised(by_length) == set()


@pytest.mark.parametrize(("count", "said"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_impossible_usage_is_advised_on(count: Count, said: str) -> None:
    """It is no violation: no clause speaks of it."""
    assert any(said in text for text in advised(count)), advised(count)


def test_a_long_answer_of_one_token_is_advised_on() -> None:
    """As where a gateway counts pieces of a stream, or answers, in place of tokens."""
    long = "A long answer, word after word. " * 10
    texts = advised(lambda text, _: (by_length(text, _)[0], 1), long)
    assert any("too few completion tokens for the text" in text for text in texts)
    assert advised(lambda text, _: (by_length(text, _)[0], 80), long) == set()


@pytest.mark.parametrize("put_off", [True, False])
def test_requests_that_were_put_off_are_advised_on(*, put_off: bool) -> None:
    """A 429 that passed breaks nothing here, and would slow agents that send bursts for hours."""
    attempts = (Attempt("HTTP 429", 0.5),) if put_off else (Attempt("closed: by the peer", 0.5),)

    class Slow(FakeSender):
        async def send(self, request: Request, ref: str) -> Exchange:
            return replace(await super().send(request, ref), attempts=attempts)

    calls = [CheckCall("chat.completes", "chat"), CheckCall("usage.bursts")]
    session = run(plan_of(tenant_of(key("chat")), *calls), Slow())
    found = session.result(calls[-1])
    assert found.outcome is Outcome.CONFORMS
    said = [advisory.text for advisory in found.advisories]
    assert bool(said) is put_off
    assert all("with the key chat were put off with 429" in text for text in said)
