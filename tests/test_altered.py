"""Findings of several routes become one where what stands before them all explains them, and not otherwise."""

import pytest

from gt_sandbox.faults import FAULTS
from gt_sandbox.middleware import EMBEDDINGS, change_json, combine, is_whole_chat
from tests.test_outages import found, judged

pytestmark = pytest.mark.runs


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lists-of-one", "Find what alters the answers of several routes on their way"),
        ("numbers-as-text", "Have the tenant answer in OpenAI's shape"),
        ("all-redirected-to-a-login", "each of them is redirected to the same place"),
    ],
)
def test_what_a_gateway_does_to_all_routes_is_one_finding(name: str, words: str) -> None:
    """Whichever form it gives them; what it keeps from being judged is blocked because of it."""
    middleware = FAULTS[name].middleware
    assert middleware is not None
    [line] = found(judged(middleware, "openai-sdk-curl", "dify"))
    assert words in line


def test_two_routes_may_have_a_mistake_each() -> None:
    """Two are no gateway: each is a finding for itself."""
    wrong = combine(
        change_json(is_whole_chat, lambda body: body.pop("choices")),
        change_json(EMBEDDINGS, lambda body: body.pop("data")),
    )
    assert {line.partition("missing")[0] for line in found(judged(wrong, "openai-sdk-curl", "dify"))} == {
        "violates: Have the tenant answer in OpenAI's shape: the key 'choices' is ",
        "violates: Have the tenant answer in OpenAI's shape: the key 'data' is ",
    }
