"""Meters: usage that is impossible for what was sent is advised on; usage that is possible is not."""

from collections.abc import Callable
from typing import Any

import pytest

from gt_conformance.checks import CheckCall, Parameters
from gt_conformance.exchange import Request, Response
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


def advised(count: Count) -> set[str]:
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
        return answer(changed(COMPLETION, {"usage": usage}))

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
    "prompts that count alike": (lambda _text, _: (9_000, 2), "prompt tokens do not grow with the prompt"),
}


def test_possible_usage_is_not_advised_on() -> None:
    """Counts that follow the text pass without a remark."""
    assert advised(by_length) == set()


@pytest.mark.parametrize(("count", "said"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_impossible_usage_is_advised_on(count: Count, said: str) -> None:
    """It is no violation: no clause speaks of it."""
    assert any(said in text for text in advised(count)), advised(count)
