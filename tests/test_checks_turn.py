"""A client's whole turn in one request, its many texts, and answers that are compressed as their label says."""

import json
import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance.checks import CheckCall, Parameters
from gt_conformance.checks._capability import has_calls
from gt_conformance.checks._completion import read_stream
from gt_conformance.checks._tool_turns import join_turn
from gt_conformance.exchange import IN_MEMBERS, MISLABELLED, Request, Response
from gt_conformance.runner._reading import ByteBudget, Decoder, Reading, TooLarge
from gt_conformance.vocabulary import Outcome
from tests.fake_tenant import (
    ALIAS,
    BASE_URL,
    CHUNKS,
    COMPLETION,
    DONE,
    TENANT,
    FakeSender,
    answer,
    changed,
    embedding_list,
    judged,
    plan_of,
    refusal,
    run,
    sent_json,
    stream,
    to,
    vector_of,
)

TURN, BATCH = "client.turn", "embeddings.client_batch"
SHAPE = Parameters(
    token_limit="max_tokens",
    fields=(("temperature", 0.1),),
    stream=True,
    stream_usage=True,
    load=(("tools", 1),),
)


def piece(index: int, **function: str) -> dict[str, Any]:
    """A chunk with one piece of a tool call."""
    delta = {"tool_calls": [{"index": index, "id": f"call_{index}", "function": function}]}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def test_all_of_a_turn_is_sent_in_one_request() -> None:
    """System prompt, an earlier turn with calls, tool, limit, fields, stream and usage go together, with gzip."""
    sender = FakeSender()
    assert judged(TURN, parameters=SHAPE, sender=sender).outcome is Outcome.CONFORMS
    sent = sender.sent[-1]
    body = sent_json(sent)
    assert body.keys() == {
        "model",
        "messages",
        "temperature",
        "max_tokens",
        "stream",
        "stream_options",
        "tools",
        "tool_choice",
    }
    roles = ["system", "user", "assistant", "tool", "tool", "assistant", "user"]
    assert [message["role"] for message in body["messages"]] == roles
    assert dict(sent.headers)["Accept-Encoding"] == "gzip, deflate"


def test_a_turn_goes_by_the_clients_own_name() -> None:
    """A client that was measured is sent as it calls itself, in place of the suite's name."""
    sender = FakeSender()
    named = (("Accept-Encoding", "gzip"), ("User-Agent", "OpenAI/JS 7.57.0"))
    judged(TURN, parameters=replace(SHAPE, headers=named), sender=sender)
    assert dict(sender.sent[-1].headers).items() >= dict(named).items()


def test_a_turn_goes_to_the_address_that_the_client_builds() -> None:
    """Where that leads nowhere, as here without the version, the address is the finding, and blocks the turn."""
    for path, outcome in (("/api/tenant/v1", Outcome.CONFORMS), ("/api/tenant", Outcome.BLOCKED)):
        sender = FakeSender()
        result = judged(TURN, parameters=replace(SHAPE, base_path=path), sender=sender)
        assert (result.outcome, result.violations) == (outcome, ())
        assert BASE_URL.replace("/api/tenant", path) + "/chat/completions" in {request.url for request in sender.sent}
        rests_on = [blocker.because.partition("~")[0] for blocker in result.blockers]
        assert rests_on == ["base_url"] * (outcome is Outcome.BLOCKED)


def knowing(request: Request) -> Response | None:
    """A model that says each name in double quotation marks of the messages that it gets."""
    if not request.path.endswith("chat/completions"):
        return None
    names = re.findall(r'called "([^"]+)"', " ".join(str(one["content"]) for one in sent_json(request)["messages"]))
    return answer(changed(COMPLETION, {"choices.0.message.content": " and ".join(names) or "I do not know."}))


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        (lambda messages: messages, ""),
        (lambda messages: messages[1:], "the names in its system prompt"),
        (lambda messages: messages[:1] + messages[-1:], "the names in an earlier message"),
        (lambda messages: messages[-1:], "the names in its system prompt and an earlier message"),
    ],
    ids=["none", "the system prompt", "the history", "all but the last"],
)
def test_every_message_of_a_turn_is_read_at_the_clients_own_address(
    lost: Callable[[list[Any]], list[Any]], said: str
) -> None:
    """What the model answers to the same turn at the versioned address it answers there."""

    def here(request: Request) -> Response | None:
        if not request.path.startswith("/api/tenant/chat"):
            return None
        body = sent_json(request)
        fewer = json.dumps({**body, "messages": lost(body["messages"])}).encode()
        return knowing(replace(request, body=fewer))

    found = judged(TURN, here, knowing, parameters=Parameters(base_path="/api/tenant"))
    assert found.outcome is (Outcome.VIOLATES if said else Outcome.CONFORMS)
    assert said in found.reason


def test_letters_that_are_lost_at_the_clients_own_address_are_found_beside_a_dropped_message() -> None:
    """Where no address passes the system prompt on, letters are compared in the name that is known."""

    def without_prompt(request: Request) -> Response | None:
        if not request.path.endswith("chat/completions"):
            return None
        body = sent_json(request)
        fewer = json.dumps({**body, "messages": body["messages"][1:]}, ensure_ascii=False)
        here = request.path.startswith("/api/tenant/chat")
        return knowing(replace(request, body=(fewer.replace("é", "e") if here else fewer).encode()))

    found = judged(TURN, without_prompt, parameters=Parameters(base_path="/api/tenant"))
    assert found.outcome is Outcome.VIOLATES
    assert "letters beyond ASCII" in found.reason


def test_a_model_that_recalls_nothing_is_not_the_address() -> None:
    """Where the versioned address does not get it either, nothing is said of the other one."""

    def forgetful(request: Request) -> Response | None:
        return answer(COMPLETION) if request.path.endswith("chat/completions") else None

    found = judged(TURN, forgetful, parameters=Parameters(base_path="/api/tenant"))
    assert found.outcome is Outcome.CONFORMS


BROKEN: dict[str, tuple[Response, str]] = {
    "refused": (refusal(400, "Invalid combination."), "HTTP 400: Invalid combination."),
    "an error inside": (stream({"error": {"message": "busy"}}, DONE), "an error inside"),
    "no text": (stream(*[{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}], DONE), "neither"),
    "no end": (stream(*CHUNKS[:-1]), "it ends with neither"),
    "a call without a name": (stream(piece(0, arguments="{}"), DONE), "none at index 0"),
    "a wrong label": (
        Response(200, (("content-type", "text/event-stream"),), b"", complete=False, end=MISLABELLED),
        MISLABELLED,
    ),
}


@pytest.mark.parametrize(("given", "said"), BROKEN.values(), ids=BROKEN)
def test_a_turn_that_does_not_complete_violates(given: Response, said: str) -> None:
    """What a client cannot join into text or a call is a violation that says what came."""
    result = judged(TURN, to("chat/completions", given, when=lambda body: "tools" in body), parameters=SHAPE)
    assert result.outcome is Outcome.VIOLATES
    assert said in result.reason


def test_pieces_are_joined_by_index() -> None:
    """Text and arguments are joined in their order, the first id and name of an index are kept."""
    chunks = (piece(0, name="a", arguments='{"x"'), piece(1, name="b"), piece(0, arguments=": 1}"))
    joined = join_turn(read_stream(stream(*chunks, DONE)))
    assert {index: (call.id, call.name, call.arguments) for index, call in joined.calls.items()} == {
        0: ("call_0", "a", '{"x": 1}'),
        1: ("call_1", "b", ""),
    }


def test_calls_that_are_not_numbered_from_0_are_noted() -> None:
    """OpenAI's SDK for Python takes the index for a place in its list; a client that goes by the number alone works."""
    numbered = {first: (piece(first, name="a"), piece(first + 1, name="b")) for first in (0, 1)}
    noted = {first: join_turn(read_stream(stream(*pieces, DONE))).deviations for first, pieces in numbered.items()}
    assert noted == {0: [], 1: ["tool calls should be numbered 0, 1, 2 and so on: 1, 2"]}


def test_more_texts_than_model_servers_often_take_are_sent() -> None:
    """A limit of 32 inputs violates, and no other limit that clients stay under is tried."""
    limited = to("embeddings", refusal(422, "batch size > 32"), when=lambda body: len(body["input"]) > 32)
    assert judged(BATCH, limited).outcome is Outcome.VIOLATES
    assert judged(BATCH).outcome is Outcome.CONFORMS


def test_vectors_in_another_order_violate() -> None:
    """A gateway that asks in parts and joins them in the wrong order is found by the text that is sent twice."""

    def swapped(request: Request) -> Response | None:
        if not request.path.endswith("embeddings"):
            return None
        texts = sent_json(request)["input"]
        return answer(embedding_list([vector_of(text) for text in (*texts[32:], *texts[:32])]))

    found = judged(BATCH, swapped)
    assert found.outcome is Outcome.VIOLATES
    assert "the last text, which is the first again" in found.reason


def test_texts_that_begin_alike_get_vectors_of_their_own() -> None:
    """A gateway that cuts texts, or knows them by their beginnings, is found by two long ones."""

    def cut(request: Request) -> Response | None:
        if not request.path.endswith("embeddings"):
            return None
        return answer(embedding_list([vector_of(text[:100]) for text in sent_json(request)["input"]]))

    found = judged(BATCH, cut)
    assert found.outcome is Outcome.VIOLATES
    assert "differ in their last words" in found.reason


def compressed(data: bytes, window: int) -> bytes:
    """The bytes, compressed in the form of this window."""
    making = zlib.compressobj(wbits=window)
    return making.compress(data) + making.flush()


DATA = json.dumps({"model": ALIAS}).encode()
FORMS = {
    "gzip": ("gzip", 16 + zlib.MAX_WBITS),
    "deflate": ("deflate", zlib.MAX_WBITS),
    "deflate without its header": ("deflate", -zlib.MAX_WBITS),
}


@pytest.mark.parametrize(("label", "window"), FORMS.values(), ids=FORMS)
def test_a_compressed_body_is_read_to_its_end(label: str, window: int) -> None:
    """It is decoded byte by byte, and one that is cut short is not complete."""
    whole = compressed(DATA, window)
    for size, end in ((len(whole), "complete"), (len(whole) - 5, MISLABELLED)):
        reading = Reading(200, [(b"content-encoding", label.encode())], 0.0, 10_000, ByteBudget(10_000))
        for at in range(size):
            reading.take(whole[at : at + 1])
        response = reading.response()
        assert (response.complete, response.end) == (end == "complete", end)
        assert response.body == DATA or end == MISLABELLED


def test_gzip_of_several_members_is_read_to_its_end() -> None:
    """Members follow one another (RFC 1952), and what follows the last one is none of the body."""
    whole = b"".join(compressed(part, 16 + zlib.MAX_WBITS) for part in (DATA[:3], b"", DATA[3:])) + b"\0\0"
    for step in (1, len(whole)):
        reading = Reading(200, [(b"content-encoding", b"gzip")], 0.0, 10_000, ByteBudget(10_000))
        for at in range(0, len(whole), step):
            reading.take(whole[at : at + step])
        response = reading.response()
        assert (response.complete, response.end, response.body) == (True, IN_MEMBERS, DATA)
    reading = Reading(200, [(b"content-encoding", b"gzip")], 0.0, 10_000, ByteBudget(10_000))
    reading.take(whole[:-7])
    assert reading.response().end == MISLABELLED


def test_a_bomb_in_members_is_bounded() -> None:
    """What all members hold together ends at the limit."""
    bomb = compressed(bytes(4_000), 16 + zlib.MAX_WBITS) * 3
    with pytest.raises(TooLarge, match="exceeds 10000 bytes"):
        Decoder("gzip", 10_000).decode(bomb)


@pytest.mark.parametrize(
    ("codings", "sent"),
    [("gzip, deflate, br, zstd", "gzip, deflate"), ("br;q=1.0, GZIP;q=0.8", "GZIP;q=0.8"), ("br", "identity")],
)
def test_only_what_is_decoded_is_asked_for(codings: str, sent: str) -> None:
    """A client that takes brotli is sent without it: a tenant that answers so could not be read here."""
    sender = FakeSender()
    judged(TURN, parameters=replace(SHAPE, headers=(("Accept-Encoding", codings),)), sender=sender)
    assert dict(sender.sent[-1].headers)["Accept-Encoding"] == sent


@pytest.mark.parametrize("label", ["gzip", "deflate"])
def test_a_body_that_is_not_compressed_is_mislabelled(label: str) -> None:
    """Plain JSON under a label of compression is what SDKs break at."""
    with pytest.raises(TooLarge, match=MISLABELLED):
        Decoder(label, 10_000).decode(DATA)


def test_a_bomb_is_bounded() -> None:
    """A small body that becomes a large one ends at the limit."""
    with pytest.raises(TooLarge, match="exceeds 10000 bytes"):
        Decoder("gzip", 10_000).decode(compressed(bytes(10_000_000), 16 + zlib.MAX_WBITS))


def metered(prompt: int, completion: int) -> Response:
    """A completion that states this usage."""
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return answer(COMPLETION | {"usage": usage})


METERED: dict[str, tuple[tuple[int, int], Parameters, str]] = {
    "more than the limit": ((9, 65), Parameters(token_limit="max_tokens", token_limit_value=64), "more completion"),
    "nothing for an answer": ((9, 0), Parameters(), "no completion tokens"),
    "nothing for a long prompt": ((9, 2), Parameters(load=(("system_prompt_chars", 4_000),)), "too few prompt tokens"),
    "possible": ((9, 2), Parameters(), ""),
}


@pytest.mark.parametrize(("counts", "parameters", "said"), METERED.values(), ids=METERED)
def test_an_impossible_usage_is_advised(counts: tuple[int, int], parameters: Parameters, said: str) -> None:
    """Tokens that cannot be are remarked, and never violate: no page promises a count."""
    asking = "chat.client_load" if parameters.load else "chat.completes"
    plan = plan_of(TENANT, CheckCall(asking, "chat", parameters), meters := CheckCall("usage.plausible"))
    sender = FakeSender(to("chat/completions", metered(*counts)))
    session = run(plan, sender)
    assert not session.suite_errors
    result = session.result(meters)
    assert result.outcome is Outcome.CONFORMS
    texts = [item.text for item in result.advisories]
    assert any(said in text for text in texts) if said else not texts


@pytest.mark.parametrize("message", ["x", 1, ["x"], None, {"tool_calls": "x"}, {"tool_calls": [1]}])
def test_what_is_no_message_is_not_read_for_calls(message: object) -> None:
    """Whatever is in the place of a message, nothing is raised: a check would be the suite's fault by it."""
    body = json.dumps({"choices": [{"message": message}]}).encode()
    assert has_calls(Response(200, (("content-type", "application/json"),), body)) in {True, False}
