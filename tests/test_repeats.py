"""What a cache before the key lets through is one finding, and hides no hole of another kind."""

import json
from collections.abc import Callable, Hashable
from dataclasses import replace

import pytest

from gt_conformance.causes._repeats import find_repeats
from gt_conformance.checks import CheckCall, CheckResult, Violation
from gt_conformance.exchange import Exchange
from gt_conformance.exchange import Request as Sent
from gt_conformance.exchange import Response as Answer
from gt_conformance.vocabulary import Outcome
from gt_sandbox.faults import FAULTS
from gt_sandbox.middleware import (
    Call,
    MiddlewareFactory,
    Request,
    Response,
    Secrets,
    combine,
    per_call,
    with_secrets,
)
from tests.test_outages import found, judged

pytestmark = pytest.mark.runs

INFERENCE = ("/chat/completions", "/embeddings", "/audio/speech", "/audio/transcriptions", "/images/generations")


def cache(key: Callable[[Request], Hashable], *also: str) -> MiddlewareFactory:
    """What was answered first is the answer to whoever asks for the same, before the tenant sees a key.

    So it is with inference, and at the paths that ``also`` have these ends.
    """

    def make(_: Secrets) -> MiddlewareFactory:
        kept: dict[Hashable, Response] = {}

        async def answer(call: Call) -> None:
            request = call.request
            if not request.path.endswith((*INFERENCE, *also)):
                await call.forward()
            elif key(request) in kept:
                await call.respond(kept[key(request)])
            else:
                response = await call.response()
                if response.succeeded:
                    kept[key(request)] = response
                await call.respond(response)

        return per_call(answer)

    return with_secrets(make)


def of_body(request: Request) -> Hashable:
    """The same body by the same path, whoever sends it."""
    return request.path, request.body


def of_all_but_the_model(request: Request) -> Hashable:
    """The same key and body, whichever name it asks for."""
    asked = json.dumps({name: value for name, value in request.fields.items() if name != "model"}, sort_keys=True)
    return request.path, request.header("authorization"), asked if request.fields else request.body


def of_the_last_message(request: Request) -> Hashable:
    """The same last message of a chat, streamed or not; the same body of all others."""
    return request.path.rpartition("/")[2], json.dumps(request.messages[-1:]) if request.messages else request.body


def test_a_cache_that_looks_at_the_last_message_alone_is_one_finding() -> None:
    """The names that its answers have are those of other requests, too."""
    lines = found(judged(cache(of_the_last_message), every=True))
    assert len(lines) == 1, lines
    assert "It has to look at the whole request as well: answers are those to other" in lines[0]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (of_body, "check the key before it looks into its cache"),
        (of_all_but_the_model, "every cache before it, answer each chat by itself"),
    ],
    ids=["by the body alone", "without the model"],
)
def test_what_a_cache_lets_through_is_one_finding(key: Callable[[Request], Hashable], words: str) -> None:
    """Neither scopes, allowlists and names nor the ways to present a key are holes of their own."""
    [line] = [line for line in found(judged(cache(key))) if line.startswith("violates")]
    assert words in line


def test_a_cache_of_lists_and_of_answers_is_one_finding() -> None:
    """Nobody's key gets the list of another one, as it gets that one's chats."""
    lines = found(judged(cache(of_body, "/models"), every=True))
    assert len(lines) == 1, lines
    assert "check the key before it looks into its cache" in lines[0]


def test_a_hole_beside_a_cache_is_a_finding_of_its_own() -> None:
    """What is answered afresh to whom it should be refused was let in by the tenant."""
    taken = FAULTS["retired-secrets-work"].middleware
    assert taken is not None
    lines = [line for line in found(judged(combine(taken, cache(of_body)))) if line.startswith("violates")]
    assert len(lines) == 2, lines


def test_what_another_cause_has_renamed_is_no_news_to_the_cache() -> None:
    """A finding that shows something else as well stays what it is, also under the name of an earlier cause."""
    url = "https://acme.example/api/tenant/v1/chat/completions"
    asked = Sent("POST", url, "chat", body=b"{}")

    def chat(ref: str, request: Sent, answer: str) -> Exchange:
        said = Answer(200, (), json.dumps({"id": answer}).encode())
        return Exchange(ref, request, said, 1.0, started_ms=float(ref))

    seen = [
        chat("1", asked, "a"),
        chat("2", replace(asked, key="gone", refused=True), "a"),
        chat("3", replace(asked, key="rag"), "a"),
        chat("4", replace(asked, body=b'{"n": 1}'), "b"),
        chat("5", replace(asked, body=b'{"n": 2}'), "c"),
    ]
    let_in, own = Violation("refused", "200", "2", finding="let in"), Violation("known", "not", "3", finding="own")
    result = CheckResult(CheckCall("key.revocation"), "", Outcome.VIOLATES, "", "", (let_in, own))
    beside = replace(result, violations=(replace(own, exchange="4"),))
    exchanges = {one.ref: one for one in seen}
    found = find_repeats([result, beside], seen, exchanges, None)
    assert found is not None
    renamed = replace(result, violations=(let_in, replace(own, finding="of another cause")))
    assert [one.finding for one in found.amend(renamed).violations] == [found.finding, "of another cause"]
    later = replace(own, expected="judged later")
    assert found.amend(replace(result, violations=(later,))).violations[0].finding == found.finding
