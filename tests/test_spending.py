"""What a request may use at most, what its answer states, and what that costs: a tenant's numbers are hostile data."""

import json
from typing import Any

import pytest

from gt_conformance.checks import _requests as requests
from gt_conformance.exchange import MOST_STATED, Arrival, Attempt, Exchange, Failure, Request, Response, tokens_of
from gt_conformance.spending import NOTHING, UNLIMITED, Usage, measure_spending, worst_case
from gt_conformance.tenant import Prices
from tests.fake_tenant import ALIAS, TENANT

CHAT = requests.chat(TENANT, "chat", fields={"max_tokens": 256})
OPEN = requests.chat(TENANT, "chat")
EMBEDDINGS = requests.embeddings(TENANT, "chat")
SENT = len(CHAT.body)


def answered(usage: object, *, status: int = 200, request: Request = CHAT, streamed: bool = False) -> Exchange:
    """The exchange of a request whose answer states that; None where it states nothing."""
    body = json.dumps({"choices": []} if usage is None else {"choices": [], "usage": usage}).encode()
    kind = "application/json"
    if streamed:
        body, kind = b"data: " + body + b"\n\ndata: [DONE]\n\n", "text/event-stream"
    response = Response(status, (("content-type", kind),), body, (Arrival(0.0, len(body)),))
    return Exchange("x0001", request, response, 1.0)


WORST = {
    "a limit of its own": (CHAT, Usage(SENT, 256)),
    "another field for the limit": (
        requests.chat(TENANT, "chat", fields={"max_completion_tokens": 8}),
        Usage(len(requests.chat(TENANT, "chat", fields={"max_completion_tokens": 8}).body), 8),
    ),
    "several answers": (
        requests.chat(TENANT, "chat", fields={"max_tokens": 10, "n": 3}),
        Usage(len(requests.chat(TENANT, "chat", fields={"max_tokens": 10, "n": 3}).body), 30),
    ),
    "a limit beyond every model": (
        requests.chat(TENANT, "chat", fields={"max_tokens": 10**30}),
        Usage(len(requests.chat(TENANT, "chat", fields={"max_tokens": 10**30}).body), MOST_STATED),
    ),
    "no limit": (OPEN, Usage(len(OPEN.body), UNLIMITED)),
    "a limit that is none": (
        requests.chat(TENANT, "chat", fields={"max_tokens": None}),
        Usage(len(requests.chat(TENANT, "chat", fields={"max_tokens": None}).body), UNLIMITED),
    ),
    "embeddings": (EMBEDDINGS, Usage(len(EMBEDDINGS.body))),
    "speech": (requests.speech(TENANT, "chat"), Usage(characters=2)),
    "an image": (requests.image(TENANT, "chat"), Usage(images=1)),
    "a list": (Request("GET", f"{TENANT.base_url}/v1/models", "chat"), NOTHING),
    "a conversation": (requests.conversation(TENANT, "chat", "r1"), NOTHING),
    "a surface that no page names": (
        Request.of_json("POST", f"{TENANT.base_url}/v1/responses", "chat", {"input": "x", "max_output_tokens": 16}),
        Usage(len(b'{"input":"x","max_output_tokens":16}'), 16),
    ),
}


@pytest.mark.parametrize(("request_", "usage"), WORST.values(), ids=WORST)
def test_the_worst_case_is_what_was_sent_and_asked_for(request_: Request, usage: Usage) -> None:
    """As many tokens as bytes go in, and as many as the limit come out; other routes have other units."""
    assert worst_case(request_) == usage


def test_audio_is_measured_by_its_own_rate() -> None:
    """The second that the suite sends is half a second to its header, and no token."""
    used = worst_case(requests.transcription(TENANT, "chat"))
    assert used.tokens == 0
    assert 0 < used.audio_s < 5


STATED: dict[str, tuple[Any, Usage]] = {
    "all three": ({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}, Usage(9, 3)),
    "no total": ({"prompt_tokens": 9, "completion_tokens": 3}, Usage(9, 3)),
    "thoughts in the total alone": ({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 50}, Usage(9, 41)),
    "a total alone": ({"total_tokens": 12}, Usage(12, 0)),
    "floats that are whole": ({"prompt_tokens": 9.0, "completion_tokens": 3.0}, Usage(9, 3)),
    "more than was asked for": ({"prompt_tokens": 9000, "completion_tokens": 300}, Usage(9000, 300)),
    "the names of another API": ({"input_tokens": 5, "output_tokens": 4}, Usage(5, 4)),
}
IMPOSSIBLE: dict[str, Any] = {
    "nothing": None,
    "null": {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
    "zero": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    "negative": {"prompt_tokens": -5, "completion_tokens": 3, "total_tokens": -2},
    "huge": {"prompt_tokens": 1, "completion_tokens": MOST_STATED + 1, "total_tokens": 10**30},
    "half a token": {"prompt_tokens": 0.5, "completion_tokens": 1},
    "words": {"prompt_tokens": "9", "completion_tokens": "3"},
    "truth values": {"prompt_tokens": True, "completion_tokens": True},
    "a list": [1, 2],
    "infinity": {"total_tokens": float("inf")},
    "no number": {"total_tokens": float("nan")},
}


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("usage", "used"), STATED.values(), ids=STATED)
def test_what_an_answer_states_is_what_it_used(usage: object, used: Usage, *, streamed: bool) -> None:
    """Where it can be true, also where it is more than was expected: the tenant's count is what is paid for."""
    spending = measure_spending([answered(usage, streamed=streamed)])
    assert (spending.used, spending.counted, spending.unstated) == (used, used, 0)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("usage", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_cannot_be_true_counts_at_its_worst(usage: object, *, streamed: bool) -> None:
    """A tenant that states nothing, or nonsense, spends the whole worst case of the request, and no more."""
    one = answered(usage, streamed=streamed)
    spending = measure_spending([one])
    assert (spending.used, spending.counted, spending.unstated) == (NOTHING, Usage(SENT, 256), 1)
    assert one.response is not None
    assert tokens_of(one.response) == 0


ENDS = {
    "refused": (answered(None, status=401), 0),
    "put off": (answered(None, status=429), 0),
    "redirected": (answered(None, status=302), 0),
    "failed": (answered(None, status=500), 1),
    "timed out": (Exchange("x0001", CHAT, None, 1.0, Failure.TIMEOUT), 1),
    "hung up on": (Exchange("x0001", CHAT, None, 1.0, Failure.CLOSED), 1),
    "never reached": (Exchange("x0001", CHAT, None, 1.0, Failure.CONNECT), 0),
    "tried again after 429": (
        Exchange("x0001", CHAT, None, 1.0, Failure.DNS, attempts=(Attempt("HTTP 429", 1.0),)),
        0,
    ),
    "tried again after it hung up": (
        Exchange("x0001", CHAT, None, 1.0, Failure.DNS, attempts=(Attempt("closed: it hung up", 1.0),)),
        1,
    ),
}


@pytest.mark.parametrize(("exchange", "times"), ENDS.values(), ids=ENDS)
def test_what_may_have_been_carried_out_counts(exchange: Exchange, times: int) -> None:
    """A refusal uses nothing; what arrived and has no answer may have used all that it asked for."""
    spending = measure_spending([exchange])
    assert spending.counted == Usage(SENT * times, 256 * times)
    assert spending.used == NOTHING


PRICES = Prices.of(
    {
        "currency": "EUR",
        "chat": {"input_per_million": 10, "output_per_million": 100},
        "transcriptions": {"per_audio_second": 2},
        "speech": {"per_1000_characters": 500},
        "models": {ALIAS: {"embeddings": {"input_per_million": 1}, "images": {"per_image": 3}}},
    }
)


def test_money_follows_from_units() -> None:
    """Each unit has its price, that of the published name before that of the route; what has none is named."""
    chat = answered({"prompt_tokens": 1000, "completion_tokens": 10}, request=CHAT)
    silent = answered(None, request=CHAT)
    cost = measure_spending([chat, silent], PRICES).cost
    assert cost is not None
    worst = (SENT * 10 + 256 * 100) / 1_000_000
    assert cost.used == pytest.approx(0.011)
    assert cost.counted == pytest.approx(0.011 + worst)
    assert cost.worst == pytest.approx(2 * worst)
    media = [
        answered(None, request=requests.image(TENANT, "chat")),
        answered(None, request=requests.speech(TENANT, "chat")),
        answered({"total_tokens": 2}, request=EMBEDDINGS),
    ]
    cost = measure_spending(media, PRICES).cost
    assert cost is not None
    assert cost.used == pytest.approx(3 + 1 + 0.000002)
    assert cost.unpriced == ()
    other = Prices.of({"currency": "EUR", "speech": {"per_1000_characters": 1}})
    cost = measure_spending([chat, chat], other).cost
    assert cost is not None
    assert (cost.used, cost.unpriced) == (0, (f"chat of {ALIAS}",))
