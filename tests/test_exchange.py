"""Requests, responses and their record: strict where it judges, bounded and harmless where it shows."""

import json
import os
import re
import subprocess
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gt_conformance.exchange import (
    PARAMETER_NAMES,
    Arrival,
    Attempt,
    Exchange,
    Failure,
    FilePart,
    NotJson,
    Presentation,
    Redactor,
    Request,
    Response,
    as_curl,
    as_record,
    as_request_record,
    in_other_headers,
    inert,
    joined_text,
    shortened,
    with_key_in_body,
)
from gt_conformance.report._html import _presented

URL = "https://acme.example/api/tenant/v1/chat/completions"
SECRET = "gtak_4f9AbQ-x7Lm2_ZkR0vTn8sWc"
REDACTOR = Redactor({"chat": SECRET})

# -- requests


def test_a_json_request_is_compact_utf8() -> None:
    """A JSON body is written as clients write it, with its content type before the other headers."""
    request = Request.of_json("POST", URL, "chat", {"input": ["Grüße", 1]}, headers={"X-GT-Conversation-Id": "c1"})
    assert request.body == '{"input":["Grüße",1]}'.encode()
    assert request.headers == (("Content-Type", "application/json"), ("X-GT-Conversation-Id", "c1"))
    assert request.path == "/api/tenant/v1/chat/completions"
    assert request.size == len(request.body)


def test_half_a_character_can_be_sent_back() -> None:
    """A lone surrogate that a tenant put into its answer travels back as the JSON escape that it came as."""
    body = Request.of_json("POST", URL, "chat", {"arguments": json.loads('"\\ud800 é"')}).body
    assert body == '{"arguments":"\\ud800 é"}'.encode()


def test_equal_requests_are_one() -> None:
    """Requests are equal where all of them is, so that the runner sends each once."""
    first, again = (Request.of_json("POST", URL, "chat", {"a": 1}) for _ in range(2))
    assert len({first, again}) == 1
    assert (
        len({first, Request.of_json("POST", URL, "app", {"a": 1}), Request.of_json("POST", URL, "chat", {"a": 2})}) == 3
    )


def test_the_size_of_a_form_is_that_of_its_parts() -> None:
    """A multipart request is as large as what its parts hold."""
    assert Request("POST", URL, "chat", parts=(FilePart("a", b"123"), FilePart("file", b"45", "x.txt"))).size == 5


# -- responses


def a_response(body: bytes, kind: str | None = "application/json", status: int = 200) -> Response:
    """A response with that body and content type."""
    return Response(status, (("content-type", kind),) if kind else (), body)


@pytest.mark.parametrize(
    ("status", "succeeded", "refused"),
    [
        (199, False, False),
        (200, True, False),
        (299, True, False),
        (300, False, False),
        (399, False, False),
        (400, False, True),
        (499, False, True),
        (500, False, False),
    ],
)
def test_statuses_are_told_apart(status: int, *, succeeded: bool, refused: bool) -> None:
    """A 2xx is a success and a 4xx a refusal; a redirect and a 5xx are neither."""
    response = a_response(b"", status=status)
    assert (response.succeeded, response.refused) == (succeeded, refused)


def test_headers_are_found_in_any_case() -> None:
    """A header is found by its name in any case, the first of several."""
    response = Response(200, (("x-a", "1"), ("x-a", "2")), b"")
    assert response.header("X-A") == "1"
    assert response.header("x-b") is None


MEDIA_TYPES = {
    "application/json": "application/json",
    "Text/HTML; charset=utf-8": "text/html",
    " audio/wav ;": "audio/wav",
}


@pytest.mark.parametrize(("header", "media_type"), [*MEDIA_TYPES.items(), (None, "")])
def test_a_media_type_has_no_parameters(header: str | None, media_type: str) -> None:
    """The content type is read without its parameters, in lower case; without one it is empty."""
    assert a_response(b"", header).media_type == media_type


JSON: dict[str, tuple[str, object]] = {
    "an object": ('{"a": [1, 2.5, true, null]}', {"a": [1, 2.5, True, None]}),
    "white space around": (' \n["a"]\r\n', ["a"]),
    "a text": ('"Grüße"', "Grüße"),
    "half a character": ('"\\ud800"', "\ud800"),
    "the last of two equal keys": ('{"a": 1, "a": 2}', {"a": 2}),
}


@pytest.mark.parametrize(("text", "value"), JSON.values(), ids=JSON)
def test_json_is_read(text: str, value: object) -> None:
    """What RFC 8259 calls JSON is read, whatever the content type says."""
    assert a_response(text.encode(), "text/plain").json() == value


NOT_JSON: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "the body is empty"),
    "white space": (b" \n", "the body is empty"),
    "NaN": (b'{"a": NaN}', "the body holds NaN, which JSON has not"),
    "Infinity": (b"[Infinity]", "the body holds Infinity, which JSON has not"),
    "minus Infinity": (b"[-Infinity]", "the body holds -Infinity, which JSON has not"),
    "not UTF-8": (b'"\xff"', "the body is not UTF-8"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "the body is not UTF-8"),
    "cut short": (b'{"a": 1, "b', "the body is not JSON (at character 9 of 11)"),
    "two values": (b"{} {}", "the body is not JSON (at character 3 of 5)"),
    "words": (b"Bad Gateway", "the body is not JSON (at character 0 of 11)"),
    "single quotes": (b"{'a': 1}", "the body is not JSON (at character 1 of 8)"),
    "two byte order marks": (b"\xef\xbb\xbf\xef\xbb\xbf{}", "the body is not JSON (at character 0 of 3)"),
    "nested without end": (b"[" * 200_000, "the body is nested too deeply"),
    "a list without end": (b"[" + b"{}," * 210_000 + b"{}]", "the body holds more than 400,000 values"),
    "numbers without end": (b"[" + b"0," * 2_000_000 + b"0]", "the body holds more than 2,000,000 values"),
    "a number without end": (b"1" * 5_000, "the body is not JSON (at character 0 of 5000)"),
    "a web page": (b"<!DOCTYPE html><p>no</p>", "it is an HTML page"),
    "a web page after a blank": (b"\n  <html lang=en>", "it is an HTML page"),
}


def test_a_byte_order_mark_before_json_is_ignored() -> None:
    """RFC 8259 permits that, and clients do so."""
    assert Response(200, (), b'\xef\xbb\xbf{"a": 1}').json() == {"a": 1}


def test_a_hundred_long_vectors_are_json() -> None:
    """A client's batch of texts may come as vectors of 16,384 numbers, which with few digits are within 8 MiB."""
    vectors = [[0] * 16_384] * 100
    assert Response(200, (), json.dumps(vectors).encode()).json() == vectors


@pytest.mark.parametrize(("body", "reason"), NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_says_why(body: bytes, reason: str) -> None:
    """A body that is no strict JSON is named for what it is."""
    with pytest.raises(NotJson, match=f"^{re.escape(reason)}$"):
        a_response(body).json()


def test_a_page_is_known_by_its_type() -> None:
    """A body that calls itself HTML is a web page, unless it is JSON after all."""
    assert a_response(b"Welcome", "text/html; charset=utf-8").looks_like_html
    assert not a_response(b"Welcome", "text/plain").looks_like_html
    with pytest.raises(NotJson, match=r"^it is an HTML page$"):
        a_response(b"Welcome", "text/html").json()
    assert a_response(b"{}", "text/html").json() == {}


def test_text_is_always_readable() -> None:
    """What is not UTF-8 is replaced in the text of a body."""
    assert a_response(b"a\xffb").text == "a\ufffdb"


def test_events_carry_the_times_of_their_arrival() -> None:
    """A stream's events are timed by the packets in which it came."""
    response = Response(200, (), b"data: 1\n\ndata: 2\n\n", (Arrival(10.0, 9), Arrival(30.0, 9)))
    assert [(event.data, event.at_ms) for event in response.events] == [("1", 10.0), ("2", 30.0)]


# -- curl


def spoken(line: str) -> list[str]:
    """The arguments that curl gets when a POSIX shell runs the line, with the key in its variable."""
    script = f'curl() {{ printf "%s\\n--next--\\n" "$@"; }}\n{line}'
    done = subprocess.run(
        ["/bin/sh", "-c", script], env={**os.environ, "GT_KEY_CHAT": SECRET}, capture_output=True, text=True, check=True
    )
    assert not done.stderr
    return done.stdout.split("\n--next--\n")[:-1]


CHANGED = {
    Presentation.MISSPELLED: "IN_OTHER_CASE",
    Presentation.ALTERED: "WITH_ANOTHER_MIDDLE",
    Presentation.SHORTENED: "WITHOUT_ITS_END",
    Presentation.LENGTHENED: "WITH_MORE_BEHIND",
    Presentation.BEFORE_COLON: "WITH_A_COLON_AND_MORE_BEHIND",
    Presentation.OTHER_END: "WITH_ANOTHER_END",
}
"""What stands behind the variable of a key that is changed before it is presented."""
IN_QUERY = "&".join(f"{name}={SECRET}" for name in PARAMETER_NAMES)
SPOKEN_ELSEWHERE = [word for name, value in in_other_headers(SECRET) for word in ("-H", f"{name}: {value}")]
AUTHORIZED: dict[Presentation, list[str]] = {
    Presentation.BEARER: ["-H", f"Authorization: Bearer {SECRET}", URL],
    Presentation.NONE: [URL],
    Presentation.WITHOUT_SCHEME: ["-H", f"Authorization: {SECRET}", URL],
    Presentation.BASIC: ["-u", f"{SECRET}:", URL],
    Presentation.OTHER_SCHEME: ["-H", f"Authorization: Token {SECRET}", URL],
    Presentation.QUERY: [f"{URL}?{IN_QUERY}"],
    Presentation.OTHER_HEADER: [*SPOKEN_ELSEWHERE, URL],
    Presentation.IN_BODY: [URL],
    Presentation.ELSEWHERE: [*SPOKEN_ELSEWHERE, f"{URL}?{IN_QUERY}"],
    **{how: ["-H", "Authorization: Bearer ", URL] for how in CHANGED},
}


@pytest.mark.parametrize(("presentation", "words"), AUTHORIZED.items(), ids=str)
def test_a_curl_line_presents_the_key_as_the_request_did(presentation: Presentation, words: list[str]) -> None:
    """The line sends the same request, with the key taken from a variable and never written in it."""
    key = None if presentation is Presentation.NONE else "chat"
    line = as_curl(Request("GET", URL, key, presentation))
    assert spoken(line) == ["-sS", "-i", *words]
    assert SECRET not in line


@pytest.mark.parametrize("presentation", [Presentation.IN_BODY, Presentation.ELSEWHERE], ids=str)
def test_a_key_in_a_body_is_in_the_line_and_in_the_record_by_its_variable(presentation: Presentation) -> None:
    """A JSON body has the key in further fields, by its variable; an empty one, and what is no JSON, has none."""
    request = Request.of_json("POST", URL, "chat", {"q": "it's"})
    presented = replace(request, presentation=presentation)
    in_body = "".join(f',"{name}":"{SECRET}"' for name in PARAMETER_NAMES)
    assert '{"q":"it\'s"' + in_body + "}" in spoken(as_curl(presented))
    assert (
        recorded(presented)["request"]["body"]["text"] == '{"q":"it\'s"' + in_body.replace(SECRET, "$GT_KEY_CHAT") + "}"
    )
    assert with_key_in_body(request.body, SECRET) == b'{"q":"it\'s"' + in_body.encode() + b"}"
    assert [with_key_in_body(body, SECRET) for body in (b"", b"{}", b"[1,2,3,4]", b"RIFF....")] == [
        *[b"", b"{}", b"[1,2,3,4]", b"RIFF...."]
    ]


def test_a_curl_line_without_a_key_sends_none() -> None:
    """A request without a key is repeated without one, also where it might have carried one."""
    assert spoken(as_curl(Request("GET", URL, None))) == ["-sS", "-i", URL]
    assert spoken(as_curl(Request("GET", URL, None, Presentation.QUERY))) == ["-sS", "-i", URL]


def test_a_curl_line_with_a_made_up_key_survives_redaction() -> None:
    """The made-up key reads as one, in the record too, where whatever looks like a real key is masked."""
    line = as_curl(Request("GET", URL, None, Presentation.MADE_UP))
    assert spoken(line)[2:] == ["-H", "Authorization: Bearer a-key-that-does-not-exist", URL]
    assert REDACTOR.text(line) == line


def test_a_curl_line_repeats_the_whole_request() -> None:
    """Method, headers and body are in it."""
    request = Request.of_json("POST", URL, "chat", {"q": "it's"}, headers={"X-A": "1"})
    assert spoken(as_curl(request)) == [
        *["-sS", "-i", "-X", "POST", "-H", f"Authorization: Bearer {SECRET}"],
        *["-H", "Content-Type: application/json", "-H", "X-A: 1", "--data-raw", '{"q":"it\'s"}', URL],
    ]


def test_a_curl_line_names_files_and_writes_fields_out() -> None:
    """A file is sent by its name; a field's value is taken as it is, also where it begins like a file's."""
    parts = (FilePart("file", b"RIFF", "a.wav", "audio/wav"), FilePart("model", b"@cf/whisper"))
    assert spoken(as_curl(Request("POST", URL, None, parts=parts))) == [
        *["-sS", "-i", "-X", "POST", "-F", "file=@a.wav", "--form-string", "model=@cf/whisper", URL]
    ]


HOSTILE = "$(echo pwned) `id` \"'; echo pwned #\\"


@pytest.mark.parametrize("presentation", [Presentation.BEARER, Presentation.QUERY], ids=str)
def test_a_curl_line_runs_nothing_but_curl(presentation: Presentation) -> None:
    """Whatever a shell would act on in an address, a header or a body is plain text in the line."""
    request = Request(
        "POST", f"{URL}/{HOSTILE}", "chat", presentation, headers=(("X-A", HOSTILE),), body=HOSTILE.encode()
    )
    words = spoken(as_curl(request))
    assert [word for word in words if HOSTILE in word] == [
        f"X-A: {HOSTILE}",
        HOSTILE,
        f"{URL}/{HOSTILE}" + (f"?{IN_QUERY}" if presentation is Presentation.QUERY else ""),
    ]


def test_a_variable_is_named_after_its_key() -> None:
    """A key's name becomes a name that a shell takes."""
    assert '"Authorization: Bearer $GT_KEY_MY_APP_2"' in as_curl(Request("GET", URL, "my-app_2"))


# -- the record


def recorded(request: Request | None = None, response: Response | None = None, **facts: Any) -> dict[str, Any]:
    """An exchange as it is recorded in results.json."""
    return {**as_record(Exchange("x1", request or Request("GET", URL, "chat"), response, 12.345, **facts), REDACTOR)}


def test_a_record_says_what_was_sent_and_what_came() -> None:
    """Request, response, time and the line that repeats it stand in the record of an exchange."""
    found = recorded(Request.of_json("POST", URL, "chat", {"a": 1}), a_response(b'{"b": 2}'))
    assert found == {
        "request": {
            "method": "POST",
            "url": URL,
            "credential": "chat",
            "presentation": "bearer",
            "headers": [["Authorization", "Bearer $GT_KEY_CHAT"], ["Content-Type", "application/json"]],
            "body": {"kind": "json", "bytes": 7, "text": '{"a":1}'},
        },
        "response": {
            "status": 200,
            "headers": [["content-type", "application/json"]],
            "body": {"kind": "json", "bytes": 8, "text": '{"b": 2}'},
            "complete": True,
            "end": "complete",
        },
        "elapsed_ms": 12.3,
        "curl": as_curl(Request.of_json("POST", URL, "chat", {"a": 1})),
    }


def test_a_failure_and_earlier_tries_are_recorded() -> None:
    """Where no answer came, why is said; each earlier try stands with the pause after it."""
    found = recorded(
        failure=Failure.CONNECT, detail="no connection (refused)", attempts=(Attempt("HTTP 429", 0.25049),)
    )
    assert found["response"] is None
    assert found["failure"] == {"kind": "connect", "detail": "no connection (refused)"}
    assert found["attempts"] == [{"result": "HTTP 429", "waited_s": 0.25}]
    assert not {"failure", "attempts"} & recorded().keys()


IN_OTHER_HEADERS = [[name, value] for name, value in in_other_headers("$GT_KEY_CHAT")]
SHOWN: dict[Presentation, list[list[str]]] = {
    Presentation.BEARER: [["Authorization", "Bearer $GT_KEY_CHAT"]],
    Presentation.NONE: [],
    Presentation.MADE_UP: [["Authorization", "Bearer (a key that does not exist)"]],
    Presentation.WITHOUT_SCHEME: [["Authorization", "$GT_KEY_CHAT"]],
    Presentation.BASIC: [["Authorization", "Basic base64($GT_KEY_CHAT:)"]],
    Presentation.OTHER_SCHEME: [["Authorization", "Token $GT_KEY_CHAT"]],
    Presentation.QUERY: [],
    Presentation.IN_BODY: [],
    **dict.fromkeys((Presentation.OTHER_HEADER, Presentation.ELSEWHERE), IN_OTHER_HEADERS),
    **{how: [["Authorization", f"Bearer $GT_KEY_CHAT_{suffix}"]] for how, suffix in CHANGED.items()},
}


@pytest.mark.parametrize(("presentation", "headers"), SHOWN.items(), ids=str)
def test_a_record_shows_how_the_key_was_presented(presentation: Presentation, headers: list[list[str]]) -> None:
    """The header that carried the key stands in the record, with the key's variable in its place."""
    found = recorded(Request("GET", URL, "chat", presentation))["request"]
    assert found["headers"] == headers
    in_query = presentation in {Presentation.QUERY, Presentation.ELSEWHERE}
    assert found["url"] == URL + ("?api_key=…&key=…&access_token=…" if in_query else "")


def test_a_request_without_a_key_shows_no_authorization() -> None:
    """A request that names no key shows no Authorization header."""
    assert recorded(Request("GET", URL, None))["request"]["headers"] == []


KINDS: dict[str, tuple[Response, dict[str, object]]] = {
    "empty": (a_response(b"", None), {"kind": "empty", "bytes": 0, "text": ""}),
    "text": (a_response(b"no", "text/plain"), {"kind": "text", "bytes": 2, "text": "no"}),
    "events": (a_response(b"data: 1\n\n", "text/event-stream"), {"kind": "events", "bytes": 9, "text": "data: 1\n\n"}),
    "audio": (
        a_response(b"ID3" + bytes(97), "audio/mpeg"),
        {"kind": "binary", "bytes": 100, "text": "49 44 33 00 00 00 00 00 00 00 00 00 … [100 bytes]"},
    ),
    "bytes of no type": (
        a_response(b"\0\1", None),
        {"kind": "binary", "bytes": 2, "text": "00 01 … [2 bytes]"},
    ),
    "a long body": (
        a_response(b"x" * 2_001, "text/plain"),
        {"kind": "text", "bytes": 2_001, "text": "x" * 2_000 + "… [2001 bytes in all]"},
    ),
    "a long body in another script": (
        a_response("🙂".encode() * 2_001, "text/plain"),
        {"kind": "text", "bytes": 8_004, "text": "🙂" * 2_000 + "… [8004 bytes in all]"},
    ),
    "as long as may be": (a_response(b"x" * 2_000, None), {"kind": "text", "bytes": 2_000, "text": "x" * 2_000}),
}


@pytest.mark.parametrize(("response", "body"), KINDS.values(), ids=KINDS)
def test_a_body_is_recorded_by_its_kind(response: Response, body: dict[str, object]) -> None:
    """Text is shown up to a length that is said, bytes by their beginning."""
    assert recorded(response=response)["response"]["body"] == body


def test_a_form_is_recorded_part_by_part() -> None:
    """Files stand with their names and sizes, fields with their values."""
    parts = (FilePart("file", b"RIFF", "a.wav", "audio/wav"), FilePart("model", b"field-analyst"))
    assert recorded(Request("POST", URL, "chat", parts=parts))["request"]["body"] == {
        "kind": "multipart",
        "bytes": 17,
        "text": "file: file a.wav (4 bytes, audio/wav)\nmodel: field-analyst",
    }


def test_headers_are_bounded() -> None:
    """Thirty headers of two hundred characters are kept, and a cut one says how long it was."""
    headers = tuple((f"x-{number}", "v" * 300) for number in range(40))
    found = recorded(response=Response(200, headers, b""))["response"]["headers"]
    assert len(found) == 30
    assert found[0] == ["x-0", "v" * 200 + "… [300 characters in all]"]


WHERE = {
    "in the body": a_response(json.dumps({"key": SECRET}).encode()),
    "in part in the body": a_response(b"..." + SECRET[10:].encode(), "text/plain"),
    "in a header": Response(401, (("www-authenticate", f"Bearer {SECRET}"),), b""),
    "in the name of a header": Response(401, ((SECRET.lower(), "1"),), b""),
    "at the start of bytes": a_response(SECRET.encode(), "audio/wav"),
    "split over a stream": a_response(
        b"".join(b'data: {"delta": {"content": "%s"}}\n\n' % SECRET[at : at + 5].encode() for at in range(0, 30, 5)),
        "text/event-stream",
    ),
}


@pytest.mark.parametrize("response", WHERE.values(), ids=WHERE)
def test_no_record_holds_a_secret(response: Response) -> None:
    """Wherever a tenant echoes a key, the record of the exchange does not."""
    text = json.dumps(recorded(response=response))
    # What a reader could put together again: hexadecimal read back, and the pieces of a stream joined.
    bytes_shown = "".join(chr(int(pair, 16)) for pair in re.findall(r"\b[0-9a-f]{2}\b", text))
    joined = "".join(re.findall(r'content\\": \\"([^\\]*)', text))
    for shown in (text, bytes_shown, joined):
        assert not [at for at in range(len(SECRET) - 15) if SECRET[at : at + 16] in shown]


def test_a_secret_whose_characters_are_escaped_is_taken_out() -> None:
    """Where the escapes of a body stand for a secret, the record says so in their place."""
    body = b'{"echo": "' + b"".join(b"\\u%04x" % byte for byte in SECRET.encode()) + b'"}'
    assert recorded(response=a_response(body))["response"]["body"]["text"] == '{"echo": "[secret chat]"}'


def test_a_secret_split_over_a_stream_is_withheld_whole() -> None:
    """Where pieces of a stream join to a secret, its text is left out and the record says so."""
    assert recorded(response=WHERE["split over a stream"])["response"]["body"]["text"] == (
        "[withheld: pieces of it join to a secret]"
    )


@given(st.lists(st.integers(1, len(SECRET) - 1), max_size=6), st.sampled_from(["content", "arguments", "reasoning"]))
def test_a_secret_split_anywhere_over_a_stream_is_not_recorded(cuts: list[int], name: str) -> None:
    """However a stream cuts a key into pieces, the pieces that are recorded do not join to sixteen characters of it."""
    ends = [0, *sorted(set(cuts)), len(SECRET)]
    pieces = [SECRET[start:end] for start, end in pairwise(ends)]
    body = "".join(f"data: {json.dumps({'choices': [{'delta': {name: piece}}]})}\n\n" for piece in pieces)
    shown = recorded(response=a_response(body.encode(), "text/event-stream"))["response"]["body"]["text"]
    joined = "".join(re.findall(rf'"{name}": "([^"]*)', shown))
    assert not [at for at in range(len(SECRET) - 15) if SECRET[at : at + 16] in joined]


JOINED = {
    "content": ('data: {"content": "a"}\n\ndata: {"content":"b"}\n\n', "ab"),
    "reasoning and arguments": ('{"reasoning_content": "a", "reasoning": "b", "arguments": "c", "text": "d"}', "abcd"),
    "escaped quotes": ('{"content": "a\\"b"}', 'a"b'),
    "other fields": ('{"id": "a", "role": "b"}', ""),
}


@pytest.mark.parametrize(("body", "text"), JOINED.values(), ids=JOINED)
def test_a_reader_of_a_stream_sees_its_pieces_joined(body: str, text: str) -> None:
    """What stands in content, reasoning, arguments and text is joined without JSON's framing."""
    assert joined_text(a_response(body.encode())) == text


INERT = {
    "an escape sequence": ("\x1b[31mred", "\\u001b[31mred"),
    "a bell and a delete": ("\x07\x7f", "\\u0007\\u007f"),
    "C1 controls": ("\x85\x9b", "\\u0085\\u009b"),
    "bidirectional overrides": ("\u202eabc\u2066\u200f", "\\u202eabc\\u2066\\u200f"),
    "an Arabic letter mark": ("a\u061cb", "a\\u061cb"),
    "characters of no width": (
        "field\u200banalyst \u200c\u200d\u2060\ufeff\xad",
        "field\\u200banalyst \\u200c\\u200d\\u2060\\ufeff\\u00ad",
    ),
    "a hidden message in tags": ("ok\U000e0041\U000e007f", "ok\\U000e0041\\U000e007f"),
    "ends of lines that few show": ("a\u2028b\u2029", "a\\u2028b\\u2029"),
    "half a character": ("\ud800", "\\ud800"),
    "no characters": ("\ufffe\uffff", "\\ufffe\\uffff"),
    "white space stays": ("a\tb\nc\rd", "a\tb\nc\rd"),
    "other scripts stay": ("Grüße 🙂 ❤\ufe0f 日本 مرحبا", "Grüße 🙂 ❤\ufe0f 日本 مرحبا"),
}


@pytest.mark.parametrize(("text", "shown"), INERT.values(), ids=INERT)
def test_what_acts_unseen_is_written_out(text: str, shown: str) -> None:
    """What is unseen and yet acts becomes a visible escape, at every depth; what can be read stays."""
    assert inert({text: [text, {"a": text}, 1, None]}) == {shown: [shown, {"a": shown}, 1, None]}


def test_a_record_is_inert() -> None:
    """What a tenant sends cannot act on the terminal of who reads the record."""
    found = recorded(response=Response(200, (("x-a", "\x1b]0;pwned\x07"),), b"\x1b[2J"))
    assert "\x1b" not in json.dumps(found, ensure_ascii=False)


@given(
    character=st.characters(exclude_categories=()) | st.sampled_from('\b\f\x7f\ud800\u202e\\"'),
    escape=st.sampled_from(["", "\\", "\\u0007", "\\b"]),
)
def test_whatever_a_record_holds_is_inert(character: str, escape: str) -> None:
    """Each text of a record is as inert as it is by itself, beside escapes of the tenant's own."""
    text = f"a{escape}{character}b"
    found = recorded(response=Response(200, (("x-a", text),), text.encode("utf-8", "replace")))
    assert found["response"] is not None
    assert found["response"]["headers"] == [["x-a", inert(text)]]
    assert inert(found) == found


def test_a_shortened_text_says_how_long_it_was() -> None:
    """A text is cut at the length asked for, and then says its own."""
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "abc… [4 characters in all]"


def test_the_report_tells_each_presentation_of_a_key_from_the_others() -> None:
    """What was sent to be refused must not look as if the key had been presented as it should be."""
    keyless = {Presentation.NONE, Presentation.MADE_UP}
    asked = [Request("GET", URL, None if one in keyless else "chat", presentation=one) for one in Presentation]
    texts = [_presented(as_request_record(one, REDACTOR)) for one in asked]
    assert len(set(texts)) == len(texts), texts
