"""The stream check: each way in which a stream can be wrong is a violation, each in which it may differ is none."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from gt_conformance.checks import CheckResult, Parameters
from gt_conformance.checks._words import word_of
from gt_conformance.exchange import Arrival, Failure, Response
from gt_conformance.vocabulary import Outcome
from tests.fake_tenant import (
    ALIAS,
    CALL,
    CHUNKS,
    COMPLETION,
    DONE,
    FINISH,
    HTML_PAGE,
    ONE,
    ROLE,
    TENANT,
    TWO,
    USED,
    FakeSender,
    Reply,
    answer,
    changed,
    chunk,
    event,
    findings,
    judged,
    refusal,
    sent_json,
    stream,
    to,
)

PLAIN, WITH_USAGE, LF_ONLY = Parameters(), Parameters(stream_usage=True), Parameters(lf_data_only=True)
Sent = Response | Reply | Sequence[object]


def streamed(sent: Sent, parameters: Parameters = PLAIN) -> CheckResult:
    """What the check says of a stream of these events, or of another answer."""
    given = sent if isinstance(sent, Response | Reply) else stream(*sent)
    return judged("chat.streams", to("chat/completions", given), parameters=parameters)


def lines(*events: object, end: str = "\n") -> list[str]:
    """The events in frames whose lines end so."""
    return [(piece if isinstance(piece, str) else event(piece)).replace("\n", end) for piece in events]


TEXT = "text/event-stream"
ERROR = {"error": {"message": "overloaded", "type": "server_error"}}
AN_END = "the connection was still open 2 s after [DONE]"
ONE_OBJECT = "data: " + json.dumps(ONE)
MUST: dict[str, tuple[Sent, str]] = {
    "a 5xx": (refusal(500, "Broke."), "HTTP 500: Broke."),
    "no answer": (Reply(failure=Failure.CLOSED, detail="closed"), "no answer: closed"),
    "a web page": (HTML_PAGE, "content type text/event-stream; found text/html"),
    "one JSON answer": (answer(COMPLETION), "content type text/event-stream; found application/json"),
    "no content type": (Response(200, (), stream(*CHUNKS, DONE).body), "text/event-stream; found no content type"),
    "a connection cut short": (
        stream(*CHUNKS[:2], complete=False, end="the connection ended before the body did"),
        "HTTP 200, but the connection ended before the body did",
    ),
    "a connection that stays open before the end": (
        stream(*CHUNKS, complete=False, end="the answer was not complete after 5 s"),
        "HTTP 200, but the answer was not complete after 5 s",
    ),
    "nothing": ([b""], "it ends with neither"),
    "[DONE] alone": ([DONE], "no delta has content or a tool call"),
    "bytes that are not UTF-8": ([*CHUNKS[:2], b'data: {"x": "\xff"}\n\n', FINISH, DONE], "an event is not UTF-8"),
    "an event that is no JSON": ([ROLE, ONE, "data: {oops\n\n", TWO, FINISH, DONE], "'{oops' is not JSON"),
    "an event that is no object": ([ROLE, ONE, "data: [1]\n\n", TWO, FINISH, DONE], "'[1]' is not a JSON object"),
    "an empty data line": ([ROLE, ONE, "data:\n\n", TWO, FINISH, DONE], "'' is empty"),
    "NaN in an event": ([ROLE, ONE, 'data: {"choices": [], "x": NaN}\n\n', TWO, FINISH, DONE], "holds NaN"),
    "events separated by a single LF": (
        [ROLE, f"{ONE_OBJECT}\n", TWO, FINISH, DONE],
        "two events may be separated by a single LF",
    ),
    "choices that are no list": ([ROLE, ONE, changed(TWO, {"choices": {}}), FINISH, DONE], "choices: "),
    "a choice that is no object": ([ROLE, ONE, changed(TWO, {"choices": [7]}), FINISH, DONE], "choices.0: "),
    "content that is no text": ([ROLE, ONE, chunk({"content": 2}), FINISH, DONE], "choices.0.delta.content"),
    "no content": ([ROLE, chunk({"content": ""}), FINISH, DONE], "no delta has content or a tool call"),
    "content beside the deltas": (
        [ROLE, chunk({}, message={"content": "ok"}), FINISH, DONE],
        "no delta has content or a tool call",
    ),
    "neither a finish nor [DONE]": ([ROLE, ONE, TWO], "a finish_reason, or [DONE]; found it ends with neither"),
    "[DONE] in quotes": ([*CHUNKS, 'data: "[DONE]"\n\n'], "'\"[DONE]\"' is not a JSON object"),
    "no finish and [DONE] alone": ([ROLE, DONE], "no delta has content or a tool call"),
    "an error inside": ([ROLE, ONE, ERROR, DONE], "no error inside the stream; found error: {'message': 'overloaded'"),
    "an error event": ([ROLE, ONE, f"event: error\n{event(ERROR)}", DONE], "no error inside the stream"),
    "an error as text": (
        [ROLE, ONE, {"error": "overloaded"}, DONE],
        "no error inside the stream; found error: overloaded",
    ),
    "an error first": ([ERROR], "no error inside the stream"),
    "deltas that repeat what came before": (
        [ROLE, *(chunk({"content": "one two three four"[:end]}) for end in (3, 7, 13, 18)), FINISH, DONE],
        "each delta holds what is new; found each repeats what came before it: 'one two three four'",
    ),
    "bytes that are compressed": ([gzip.compress(event(ONE).encode())], "no content-encoding says so"),
}


@pytest.mark.parametrize(("sent", "said"), MUST.values(), ids=MUST)
def test_a_wrong_stream_is_a_violation(sent: Sent, said: str) -> None:
    """A stream that some client cannot read to its end violates, and the reason says what is wrong with it."""
    result = streamed(sent)
    assert result.outcome is Outcome.VIOLATES
    assert said in " | ".join(f"{violation.expected}; found {violation.found}" for violation in result.violations)


def test_few_of_many_broken_events_are_told() -> None:
    """Of events that are no JSON, three are listed."""
    result = streamed([ROLE, ONE, *["data: {oops\n\n"] * 9, TWO, FINISH, DONE])
    assert len(result.violations) == 3


def test_a_wrong_stream_is_told_once() -> None:
    """The same trouble in every chunk is one violation."""
    result = streamed([changed(part, {"choices.0.delta": {"content": 7}}) for part in CHUNKS])
    assert len([violation for violation in result.violations if "delta.content" in violation.found]) == 1


def test_few_of_many_troubles_are_told() -> None:
    """Of troubles with the shape of chunks, five are listed."""
    result = streamed([ROLE, ONE, changed(TWO, {"choices": [7] * 9}), FINISH, DONE])
    assert len([violation for violation in result.violations if "clients can read" in violation.expected]) == 5


ALONE = ("an event that is no JSON", "an event that is no object", "an empty data line", "choices that are no list")


@pytest.mark.parametrize("name", ALONE)
def test_a_wrong_event_is_no_reason_to_stop_reading(name: str) -> None:
    """One wrong event in the middle is the only violation: the stream is read on, and no more is made of it."""
    sent, _ = MUST[name]
    assert len(streamed(sent).violations) == 1


def test_what_follows_an_error_is_judged_too() -> None:
    """A chunk after an error inside the stream is held to its shape."""
    result = streamed([ROLE, ERROR, chunk({"content": 2}), FINISH, DONE])
    assert "choices.0.delta.content" in " | ".join(violation.found for violation in result.violations)


LONG = "x" * 300
QUOTED: dict[str, tuple[object, str]] = {
    "an event that is no JSON": (f"data: {LONG}\n\n", f"'{LONG[:120]}… [300 characters in all]' is not JSON"),
    "an error inside": ({"error": LONG}, f"error: {LONG[:160]}"),
}


@pytest.mark.parametrize(("wrong", "found"), QUOTED.values(), ids=QUOTED)
def test_what_a_tenant_says_at_length_is_quoted_by_its_beginning(wrong: object, found: str) -> None:
    """A long text of the tenant's is told by its first words."""
    [violation] = [
        violation for violation in streamed([ROLE, ONE, wrong, FINISH, DONE]).violations if "xxx" in violation.found
    ]
    assert violation.found.startswith(found)
    assert "x" * 161 not in violation.found


def test_a_refused_wish_for_usage_is_a_violation() -> None:
    """Where a client asks for usage, a tenant that refuses the field refuses the chat."""
    result = streamed(refusal(400, "stream_options is unknown."), WITH_USAGE)
    assert result.outcome is Outcome.VIOLATES
    assert "HTTP 400: stream_options is unknown." in findings(result)


NO_USAGE = "stream_options.include_usage is accepted, and no chunk before [DONE] carries usage"
USAGE_SHOULD: dict[str, tuple[Sent, str]] = {
    "none": ([*CHUNKS, DONE], NO_USAGE),
    "null": ([*(changed(part, {"usage": None}) for part in CHUNKS), DONE], NO_USAGE),
    "before the finish": (
        [ROLE, USED, ONE, TWO, FINISH, DONE],
        "the usage that was asked for should follow the finish",
    ),
    "after [DONE]": ([*CHUNKS, DONE, USED], NO_USAGE),
}


@pytest.mark.parametrize(("sent", "said"), USAGE_SHOULD.values(), ids=USAGE_SHOULD)
def test_usage_that_was_asked_for_should_come(sent: Sent, said: str) -> None:
    """No client that was measured fails for want of usage: it is remarked, where it was asked for."""
    result = streamed(sent, WITH_USAGE)
    assert result.outcome is Outcome.CONFORMS
    assert said in [item.text for item in result.advisories]
    assert said not in [item.text for item in streamed(sent).advisories]


FRAMED: dict[str, tuple[Sent, str]] = {
    "CRLF": (lines(*CHUNKS, DONE, end="\r\n"), "CRLF line ends"),
    "CRLF at one event": ([*lines(*CHUNKS), *lines(DONE, end="\r\n")], "CRLF line ends"),
    "CR": (lines(*CHUNKS, DONE, end="\r"), "CR line ends"),
    "event: lines": (["event: message\n" + event(ROLE), *lines(ONE, TWO, FINISH, DONE)], "event: lines"),
    "id: lines": (["id: 1\n" + event(ROLE), *lines(ONE, TWO, FINISH, DONE)], "id: lines"),
    "a comment in an event": ([": wait\n" + event(ROLE), *lines(ONE, TWO, FINISH, DONE)], "a comment and an event"),
    "a byte order mark": ([b"\xef\xbb\xbf", *lines(*CHUNKS, DONE)], "a BOM"),
}


@pytest.mark.parametrize(("sent", "said"), FRAMED.values(), ids=FRAMED)
def test_framing_is_judged_by_what_the_client_reads(sent: Sent, said: str) -> None:
    """Framing that dify shows as an empty text violates for dify, and for no client that reads it."""
    result = streamed(sent, LF_ONLY)
    assert result.outcome is Outcome.VIOLATES
    assert said in " | ".join(violation.found for violation in result.violations)
    assert streamed(sent).outcome is Outcome.CONFORMS


NO_CHOICES = {"id": "chatcmpl-1", "usage": USED["usage"]}
NO_INDEX = changed(ONE, {"choices.0": {"delta": {"content": "1"}}})
LATE = stream(*CHUNKS, DONE, complete=False, end=AN_END)
SINGLE: dict[str, tuple[str, Sent, str]] = {
    "usage without choices": ("choices", [*CHUNKS, NO_CHOICES, DONE], "the key 'choices' is missing"),
    "usage with choices null": ("choices", [*CHUNKS, {**NO_CHOICES, "choices": None}, DONE], "choices: "),
    "a delta that is null": ("delta", [ROLE, ONE, changed(FINISH, {"choices.0.delta": None}), DONE], "delta: "),
    "a choice without its index": ("index", [ROLE, NO_INDEX, TWO, FINISH, DONE], "the key 'index' is missing"),
    "another role": ("assistant", [chunk({"role": "model"}), ONE, FINISH, DONE], "delta.role: "),
    "an id that is a number": ("types", [changed(part, {"id": 7}) for part in CHUNKS] + [DONE], "id: "),
    "an event without data": ("data", ["event: ping\n\n", *CHUNKS, DONE], "an event has event: and no data"),
    "text after [DONE]": ("done", [ROLE, ONE, DONE, TWO, FINISH], "a chunk with text follows it"),
    "a connection that stays open": ("end", LATE, AN_END),
    "a connection cut after [DONE]": ("end", stream(*CHUNKS, DONE, complete=False, end="it was cut"), "it was cut"),
}


@pytest.mark.parametrize(("need", "sent", "said"), SINGLE.values(), ids=SINGLE)
def test_what_single_clients_need_is_a_violation_for_them_alone(need: str, sent: Sent, said: str) -> None:
    """What stops the clients that were measured so is a violation in their rows, and a remark in all others."""
    result = streamed(sent, Parameters(needs=(need,)))
    assert (result.outcome, len(result.violations)) == (Outcome.VIOLATES, 1)
    assert said in result.violations[0].found
    others = streamed(sent, Parameters(needs=tuple({"index", "choices", "delta", "data", "done", "end"} - {need})))
    assert (others.outcome, others.reason) == (Outcome.CONFORMS, "")
    assert others.advisories


USED_WITH_FINISH = chunk({}, "stop", usage={"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11})
AZURE = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}
ACCEPTED: dict[str, tuple[Sent, Parameters]] = {
    "as OpenAI streams": ([*CHUNKS, DONE], PLAIN),
    "with usage": ([*CHUNKS, USED, DONE], WITH_USAGE),
    "usage that was not asked for": ([*CHUNKS, USED, DONE], PLAIN),
    "usage with the finish": ([ROLE, ONE, TWO, USED_WITH_FINISH, DONE], WITH_USAGE),
    "usage in each chunk": ([*(changed(part, {"usage": USED["usage"]}) for part in CHUNKS), USED, DONE], WITH_USAGE),
    "a finish for want of tokens": ([ROLE, ONE, chunk({}, "length"), DONE], PLAIN),
    "CRLF": (lines(*CHUNKS, DONE, end="\r\n"), PLAIN),
    "comments": ([": ping\n\n", ROLE, ": ping\n", ONE, ":\n\n", TWO, FINISH, DONE, ": bye\n\n"], PLAIN),
    "comments, for dify": ([": ping\n\n", *CHUNKS, DONE], LF_ONLY),
    "LF and data alone, for dify": ([*CHUNKS, DONE], LF_ONLY),
    "data: without a space": ([event(part).replace("data: ", "data:") for part in CHUNKS] + ["data:[DONE]\n\n"], PLAIN),
    "a byte order mark": ([b"\xef\xbb\xbf", *CHUNKS, DONE], PLAIN),
    "empty choices before the role": ([chunk(None, prompt_filter_results=[]), *CHUNKS, DONE], PLAIN),
    "reasoning deltas": (
        [ROLE, chunk({"reasoning_content": "Hm."}), chunk({"reasoning": "So."}), ONE, FINISH, DONE],
        PLAIN,
    ),
    "a tool call": (
        [ROLE, chunk({"tool_calls": [{"index": 0, **CALL}]}), chunk({}, "tool_calls"), DONE],
        PLAIN,
    ),
    "a first chunk that names nothing, as some gateways send": ([AZURE, *CHUNKS, DONE], PLAIN),
    "text before a content filter": ([ROLE, ONE, chunk({}, "content_filter"), DONE], PLAIN),
    "a refusal of the model": ([ROLE, chunk({"refusal": "No."}), FINISH, DONE], PLAIN),
    "a finish with the last content": ([ROLE, ONE, chunk({"content": "2"}, "stop"), DONE], PLAIN),
    "two choices": (
        [ROLE, ONE, changed(TWO, {"choices.0.index": 1}), FINISH, changed(FINISH, {"choices.0.index": 1}), DONE],
        PLAIN,
    ),
    "an empty error": ([changed(part, {"error": None}) for part in CHUNKS] + [DONE], PLAIN),
    "blanks around [DONE]": ([*CHUNKS, "data:  [DONE] \n\n"], PLAIN),
    "a charset": (stream(*CHUNKS, DONE, kind=f"{TEXT}; charset=utf-8"), PLAIN),
    "capitals in the type": (stream(*CHUNKS, DONE, kind="Text/Event-Stream"), PLAIN),
    "one event: line": (["event: message\n" + event(part) for part in CHUNKS] + [DONE], PLAIN),
}


@pytest.mark.parametrize(("sent", "parameters"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_clients_take_is_no_violation(sent: Sent, parameters: Parameters) -> None:
    """What every client reads conforms."""
    result = streamed(sent, parameters)
    assert (result.outcome, result.reason) == (Outcome.CONFORMS, "")


def test_an_empty_first_chunk_is_not_even_remarked() -> None:
    """A chunk without choices or usage tells clients nothing, and nothing is said of it."""
    assert streamed([AZURE, *CHUNKS, DONE]).advisories == ()


def in_packets(size: int) -> Response:
    """The whole stream in packets of that many bytes, 5 ms apart."""
    body = stream(*CHUNKS, DONE).body
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return stream(*pieces)


@pytest.mark.parametrize("size", [1, 7, 400])
def test_packets_do_not_matter(size: int) -> None:
    """One byte a packet or several events a packet is the same stream."""
    result = streamed(in_packets(size))
    assert (result.outcome, result.advisories) == (Outcome.CONFORMS, ())


WHOLE = stream(*CHUNKS, DONE)


def test_what_came_while_this_machine_was_late_is_not_called_buffered() -> None:
    """It was read all at once, however the tenant sent it; a wait far longer than that still tells."""
    burst = stream(*CHUNKS, DONE, apart_ms=0.0)
    assert streamed(replace(burst, late_ms=12.0)).advisories == ()
    held = replace(WHOLE, arrivals=(Arrival(60_000.0, len(WHOLE.body)),), late_ms=12.0)
    assert any("all came in one burst" in item.text for item in streamed(held).advisories)


REMARKS: dict[str, tuple[Sent, str]] = {
    "another id": ([ROLE, changed(ONE, {"id": "chatcmpl-2"}), TWO, FINISH, DONE], "one id throughout the stream"),
    "another moment": ([ROLE, changed(ONE, {"created": 1}), TWO, FINISH, DONE], "one created throughout the stream"),
    "no role": ([ONE, TWO, FINISH, DONE], "the role is in the first delta and in no other"),
    "the role in each delta": (
        [chunk({"role": "assistant", "content": text}) for text in "12"] + [FINISH, DONE],
        "the role is in the first delta and in no other",
    ),
    "the role late": ([ONE, ROLE, TWO, FINISH, DONE], "the role is in the first delta and in no other"),
    "all in one burst": (stream(*CHUNKS, DONE, apart_ms=0.0), "all came in one burst"),
    "three in one burst": (stream(ROLE, ONE, FINISH, DONE, apart_ms=0.0), "all came in one burst"),
    "all in one packet after a second": (
        replace(WHOLE, arrivals=(Arrival(1_000.0, len(WHOLE.body)),)),
        "all came in one burst",
    ),
    "all in less than a millisecond": (stream(*CHUNKS, DONE, apart_ms=0.25), "all came in one burst"),
    "another object": (
        [changed(part, {"object": "chunk"}) for part in CHUNKS] + [DONE],
        "OpenAI's published shape of a chunk: object",
    ),
    "an unknown finish": ([ROLE, ONE, TWO, chunk({}, "eos"), DONE], "choices.0.finish_reason"),
    "a choice whose index is a list": (
        [ROLE, changed(ONE, {"choices.0.index": [0]}), TWO, FINISH, DONE],
        "choices.0.index: ",
    ),
    "all in one event": (
        [chunk({"role": "assistant", "content": "1, 2"}, "stop"), DONE],
        "one event holds the whole answer",
    ),
    "an empty choice in the usage chunk": (
        [*CHUNKS, chunk({}, usage=USED["usage"]), DONE],
        "the usage chunk should have choices: []",
    ),
    "the finish again in the usage chunk": (
        [*CHUNKS, chunk({"content": ""}, "stop", usage=USED["usage"]), DONE],
        "the usage chunk should have choices: []",
    ),
    "two finishes": ([ROLE, ONE, FINISH, FINISH, DONE], "a choice has its finish_reason twice"),
    "no finish": ([ROLE, ONE, TWO, DONE], "each choice ends with a finish_reason"),
    "no finish of a second choice": (
        [ROLE, ONE, changed(TWO, {"choices.0.index": 1}), FINISH, DONE],
        "each choice ends with a finish_reason",
    ),
    "text after the finish": ([ROLE, ONE, FINISH, TWO, DONE], "text follows the finish_reason of its choice"),
    "an empty delta after the finish": (
        [ROLE, ONE, TWO, FINISH, chunk({}), DONE],
        "an empty delta follows the finish_reason of its choice",
    ),
    "no [DONE]": (CHUNKS, "the stream should end with data: [DONE]"),
    "a last event without its empty line": (
        [*CHUNKS, "data: [DONE]\n"],
        "the last event is not ended by an empty line",
    ),
    "words after [DONE]": ([*CHUNKS, DONE, "data: bye\n\n"], "nothing should follow [DONE]"),
    "no more than clients need": (
        [{"choices": part["choices"]} for part in CHUNKS] + [DONE],
        "OpenAI's published shape of a chunk: the key 'id' is missing.",
    ),
}


@pytest.mark.parametrize(("sent", "said"), REMARKS.values(), ids=REMARKS)
def test_what_no_client_minds_is_remarked(sent: Sent, said: str) -> None:
    """A deviation from OpenAI's manners conforms, with one remark that names it."""
    result = streamed(sent)
    assert result.outcome is Outcome.CONFORMS
    assert len([advisory for advisory in result.advisories if said in advisory.text]) == 1


def test_a_conforming_stream_gives_nothing_to_say() -> None:
    """A stream as OpenAI makes it conforms without a remark."""
    assert streamed([*CHUNKS, DONE]).advisories == ()
    assert streamed([*CHUNKS, USED, DONE], WITH_USAGE).advisories == ()


UNREMARKABLE: dict[str, Sent] = {
    "two events at once": stream(chunk({"role": "assistant", "content": "1"}), FINISH, DONE, apart_ms=0.0),
    "five events in a millisecond": stream(ROLE, ONE, TWO, TWO, FINISH, DONE, apart_ms=0.25),
    "the roles of two choices in the first chunk": [
        changed(ROLE, {"choices": [*ROLE["choices"], {**ROLE["choices"][0], "index": 1}]}),
        *(changed(part, {"choices.0.index": number}) for part in (ONE, TWO, FINISH) for number in (0, 1)),
        DONE,
    ],
}


@pytest.mark.parametrize("sent", UNREMARKABLE.values(), ids=UNREMARKABLE)
def test_what_is_common_is_not_remarked(sent: Sent) -> None:
    """A stream that is short, quick, or of two choices conforms without a remark."""
    result = streamed(sent)
    assert (result.outcome, result.advisories) == (Outcome.CONFORMS, ())


THOUGHT = chunk({"reasoning_content": "Hm."})
EMPTY: dict[str, tuple[Sent, str]] = {
    "reasoning that is shown": ([ROLE, THOUGHT, chunk({}, "length"), DONE], "larger token limit"),
    "reasoning that is not shown": ([ROLE, chunk({}, "length"), DONE], "larger token limit"),
    "a content filter": ([ROLE, chunk({}, "content_filter"), DONE], "filter"),
}


@pytest.mark.parametrize(("sent", "remedy"), EMPTY.values(), ids=EMPTY)
def test_a_stream_that_is_empty_for_a_reason_it_names_is_blocked(sent: Sent, remedy: str) -> None:
    """A limit used up and a filter that refused prove nothing of the tenant, whether reasoning is shown or not."""
    result = streamed(sent)
    assert (result.outcome, result.violations) == (Outcome.BLOCKED, ())
    assert remedy in result.remedy


def test_a_stream_that_says_nothing_and_stops_is_a_violation() -> None:
    """Where the model stopped by itself, reasoning alone is no answer."""
    assert streamed([ROLE, THOUGHT, FINISH, DONE]).outcome is Outcome.VIOLATES


ASKED: dict[str, tuple[Parameters, dict[str, Any]]] = {
    "plain": (PLAIN, {}),
    "with usage": (WITH_USAGE, {"stream_options": {"include_usage": True}}),
    "in the client's shape": (
        Parameters(token_limit="max_tokens", token_limit_value=5, fields=(("user", "u"),)),
        {"max_tokens": 5, "user": "u"},
    ),
}


@pytest.mark.parametrize(("parameters", "facts"), ASKED.values(), ids=ASKED)
def test_a_stream_is_asked_for_as_the_client_does(parameters: Parameters, facts: dict[str, Any]) -> None:
    """The request has the client's fields, and asks for usage where the client does."""
    sender = FakeSender()
    judged("chat.streams", parameters=parameters, sender=sender)
    body = next(body for body in map(sent_json, sender.sent) if body.get("stream"))
    assert body.pop("messages")
    assert body == {"model": ALIAS, "stream": True, **facts}


COUNTED = f"one two three four five six seven café {word_of('r1', next(iter(TENANT.credentials)))}"
SAYS: dict[str, tuple[str, str, Outcome]] = {
    "all of them": (COUNTED, COUNTED, Outcome.CONFORMS),
    "with words around them": (f"Of course: {COUNTED}!", COUNTED, Outcome.CONFORMS),
    "without the first": (COUNTED.partition(" ")[2], COUNTED, Outcome.VIOLATES),
    "without the last": (COUNTED.rpartition(" ")[0], COUNTED, Outcome.VIOLATES),
    "the first two alone": ("one two", COUNTED, Outcome.VIOLATES),
    "the first two alone, in one piece as well": ("one two", "one two", Outcome.CONFORMS),
    "one of them twice": (COUNTED.replace("two", "two two"), COUNTED, Outcome.VIOLATES),
    "in another order": (COUNTED.replace("two three", "three two"), COUNTED, Outcome.VIOLATES),
    "others, and others in one piece": ("1 2 3", "1 2 3", Outcome.CONFORMS),
    "an accent lost": (COUNTED.replace("é", "\ufffd"), COUNTED, Outcome.VIOLATES),
    "an accent read as Latin-1": (COUNTED.replace("é", "é".encode().decode("latin-1")), COUNTED, Outcome.VIOLATES),
    "an accent left out by the model": (COUNTED.replace("é", "e"), COUNTED, Outcome.CONFORMS),
}


@pytest.mark.parametrize(("streamed_text", "whole_text", "outcome"), SAYS.values(), ids=SAYS)
def test_a_stream_gives_the_words_that_a_chat_in_one_piece_gives(
    streamed_text: str, whole_text: str, outcome: Outcome
) -> None:
    """Words that are lost, doubled or exchanged in streams alone are the tenant's; else they are the model's."""
    rules = (
        to(
            "chat/completions",
            stream(ROLE, chunk({"content": streamed_text}), FINISH, DONE),
            when=lambda b: "stream" in b,
        ),
        to("chat/completions", answer(changed(COMPLETION, {"choices.0.message.content": whole_text}))),
    )
    assert judged("chat.streams", *rules).outcome is outcome


@pytest.mark.parametrize(
    ("whole_text", "streamed_text", "outcome"),
    {
        "all of them": (COUNTED, COUNTED, Outcome.CONFORMS),
        "as one word": (COUNTED.replace(" ", ""), COUNTED, Outcome.VIOLATES),
        "one of them twice": (COUNTED.replace("two", "two two"), COUNTED, Outcome.VIOLATES),
        "as one word, in streams as well": (COUNTED.replace(" ", ""), COUNTED.replace(" ", ""), Outcome.CONFORMS),
        "something else": ("Of course.", COUNTED, Outcome.CONFORMS),
    }.values(),
    ids=str,
)
def test_a_chat_in_one_piece_gives_the_words_that_a_stream_gives(
    whole_text: str, streamed_text: str, outcome: Outcome
) -> None:
    """Spaces that are lost, and words that are doubled, in whole answers alone are the tenant's."""
    rules = (
        to(
            "chat/completions",
            stream(ROLE, chunk({"content": streamed_text}), FINISH, DONE),
            when=lambda b: "stream" in b,
        ),
        to("chat/completions", answer(changed(COMPLETION, {"choices.0.message.content": whole_text}))),
    )
    assert judged("chat.completes", *rules, parameters=Parameters(token_limit="max_tokens")).outcome is outcome


def test_an_answer_that_its_token_limit_ends_has_lost_no_words() -> None:
    """A model that thinks first may have room for some of them, where a stream has room for all."""
    cut = changed(COMPLETION, {"choices.0.message.content": "one two three four", "choices.0.finish_reason": "length"})
    rules = (
        to("chat/completions", stream(ROLE, chunk({"content": COUNTED}), FINISH, DONE), when=lambda b: "stream" in b),
        to("chat/completions", answer(cut)),
    )
    assert judged("chat.completes", *rules, parameters=Parameters(token_limit="max_tokens")).violations == ()
