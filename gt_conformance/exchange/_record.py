"""An exchange as it is recorded in results.json: redacted, shortened with its length stated, safe to display anywhere.

The ``curl`` line that repeats the request is part of the record, with the key in a variable.
"""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NotRequired, TypedDict

from gt_conformance.exchange._exchange import (
    PARAMETER_NAMES,
    Arrival,
    Attempt,
    Exchange,
    Failure,
    FilePart,
    Presentation,
    Request,
    Response,
    in_other_headers,
    unescaped,
    with_key_in_body,
)
from gt_conformance.exchange._redaction import Redactor
from gt_conformance.exchange._times import Times, times_of

_MADE_UP_KEY = "a-key-that-does-not-exist"
"""Stands for a key that no tenant knows; it has not the look of one, which redaction would mask."""
_SUFFIXES = {
    Presentation.MISSPELLED: "_IN_OTHER_CASE",
    Presentation.ALTERED: "_WITH_ANOTHER_MIDDLE",
    Presentation.SHORTENED: "_WITHOUT_ITS_END",
    Presentation.LENGTHENED: "_WITH_MORE_BEHIND",
    Presentation.BEFORE_COLON: "_WITH_A_COLON_AND_MORE_BEHIND",
    Presentation.OTHER_END: "_WITH_ANOTHER_END",
}
"""After the name of a key's variable: another variable, which is for the person who repeats the request to fill."""

_IN_QUERY = frozenset({Presentation.QUERY, Presentation.ELSEWHERE})
_IN_OTHER_HEADERS = frozenset({Presentation.OTHER_HEADER, Presentation.ELSEWHERE})
_IN_BODY = frozenset({Presentation.IN_BODY, Presentation.ELSEWHERE})

_LONGEST_BODY = 2_000
_LONGEST_HEADER = 200
_MOST_BYTES = 12
_MOST_HEADERS = 30
_MOST_ARRIVALS = 200
_CHANGED = re.compile(r"… \[\d+ (?:characters|bytes) in all\]|\[(?:part of )?secret|gtak_\[|\[withheld: |\ufffd")
"""What stands in a recorded text for something else that came; or may, since a tenant may send it as well."""
# Possessive: nothing keeps a place to come back to for each character of a long text.
_STRING = r'"([^"\\]*+(?:\\.[^"\\]*+)*+)(?:"|\Z)'
_SPOKEN = re.compile(r'"(?:content|reasoning|reasoning_content|arguments|text)"\s*+:\s*+' + _STRING, re.DOTALL)
_FIELD = re.compile(r'"(\w{1,40}+)"\s*+:\s*+' + _STRING, re.DOTALL)
_DATA = re.compile(r"^data: ?([^\r\n]*+)", re.MULTILINE)
_UNSAFE = re.compile(
    "["
    r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters, less tab and the ends of lines
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the direction of other text
    # What has no shape of its own, so that two names look alike, or a name hides a message (Unicode:
    # Default_Ignorable_Code_Point, less the variation selectors that emoji carry, and the Mongolian and Khmer ones).
    r"\xad\u034f\u115f\u1160\u180e\u200b-\u200d\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufff8"
    r"\U000e0000-\U000e0fff"
    r"\u2028\u2029\ufff9-\ufffb"  # ends of lines that few show as such; annotations
    r"\ud800-\udfff\ufffe\uffff"  # no characters at all
    "]"
)

_UNSAFE_IN_JSON = ("\\u", "\\b", "\\f")


class BodyRecord(TypedDict):
    """The body of a message, shortened, with its size."""

    kind: str
    bytes: int
    text: str


class RequestRecord(TypedDict):
    """A request; ``credential`` names the key, never its secret."""

    method: str
    url: str
    credential: str | None
    presentation: str
    headers: list[list[str]]
    body: BodyRecord


class ResponseRecord(TypedDict):
    """A response, complete or cut short."""

    status: int
    headers: list[list[str]]
    body: BodyRecord
    complete: bool
    end: str
    arrivals: NotRequired[str]


class FailureRecord(TypedDict):
    """Why there is no response."""

    kind: str
    detail: str


class RetryRecord(TypedDict):
    """An earlier try of the same request."""

    result: str
    waited_s: float


class ExchangeRecord(TypedDict):
    """One request and its response: the evidence."""

    request: RequestRecord
    response: ResponseRecord | None
    failure: NotRequired[FailureRecord]
    attempts: NotRequired[list[RetryRecord]]
    elapsed_ms: float
    started_ms: NotRequired[float]
    connect_ms: NotRequired[float]
    first_byte_ms: NotRequired[float]
    first_event_ms: NotRequired[float]
    tokens: NotRequired[int]
    tokens_per_s: NotRequired[float]
    to_be_refused: NotRequired[bool]
    curl: str


def as_request_record(request: Request, redactor: Redactor) -> RequestRecord:
    """A request as an exchange's record has it."""
    record: RequestRecord = inert(redactor.value(_request(request)))
    return record


def from_record(record: ExchangeRecord, ref: str, request: Request) -> Exchange | None:
    """The exchange that was recorded so; None where the record does not hold all of it.

    It does not where a body or a header was shortened, redacted, or made inert, and where a body is binary.
    """
    answered, failed = record["response"], record.get("failure")
    response = None if answered is None else _response_of(answered)
    if answered is not None and response is None:
        return None
    if response is not None:
        head_ms, connect_ms = record.get("first_byte_ms"), record.get("connect_ms", 0.0)
        response = replace(response, head_ms=head_ms, connect_ms=connect_ms)
    return Exchange(
        ref,
        request,
        response,
        record["elapsed_ms"],
        None if failed is None else Failure(failed["kind"]),
        "" if failed is None else failed["detail"],
        tuple(Attempt(one["result"], one["waited_s"]) for one in record.get("attempts", ())),
        started_ms=record.get("started_ms"),
    )


def recorded_times(record: ExchangeRecord) -> Times | None:
    """The times of a recorded exchange, as ``times_of`` has them; None where it was not timed."""
    if "started_ms" not in record:
        return None
    return Times(
        record["started_ms"],
        record["elapsed_ms"],
        record.get("first_byte_ms"),
        record.get("first_event_ms"),
        record.get("connect_ms", 0.0),
        record.get("tokens", 0),
        record.get("tokens_per_s"),
    )


def _add_times(record: ExchangeRecord, times: Times) -> None:
    record["started_ms"] = times.started_ms
    if times.connect_ms:
        record["connect_ms"] = times.connect_ms
    if times.first_byte_ms is not None:
        record["first_byte_ms"] = times.first_byte_ms
    if times.first_event_ms is not None:
        record["first_event_ms"] = times.first_event_ms
    if times.tokens:
        record["tokens"] = times.tokens
    if times.tokens_per_s is not None:
        record["tokens_per_s"] = times.tokens_per_s


def _response_of(record: ResponseRecord) -> Response | None:
    body, headers = record["body"], tuple((name, value) for name, value in record["headers"])
    content = body["text"].encode("utf-8", errors="backslashreplace")
    # What was made inert is longer than it was.
    if body["kind"] == "binary" or len(content) != body["bytes"] or len(headers) >= _MOST_HEADERS:
        return None
    if _CHANGED.search(body["text"]) or any(_CHANGED.search(value) or "\\u" in value for _, value in headers):
        return None
    arrivals = [one.partition(":") for one in record.get("arrivals", "").split()]
    late_ms = float(arrivals.pop()[2]) if arrivals and arrivals[-1][0] == "late" else 0.0
    return Response(
        record["status"],
        headers,
        content,
        tuple(Arrival(float(at_ms), int(size)) for at_ms, _, size in arrivals),
        record["complete"],
        record["end"],
        late_ms,
    )


def as_record(exchange: Exchange, redactor: Redactor) -> ExchangeRecord:
    """The exchange as JSON values. Nothing in it holds a secret, a control character or a long body."""
    return as_records([exchange], redactor)[0]


def as_records(exchanges: Sequence[Exchange], redactor: Redactor) -> list[ExchangeRecord]:
    """The same for several, which are searched for secrets together: most of the work is the same for any."""
    cleaned: list[ExchangeRecord] = redactor.values([_unredacted(exchange) for exchange in exchanges])
    bodies = [record["response"]["body"] for record in cleaned if record["response"] is not None]
    if redactor.any_holds([text for body in bodies for text in joined_texts(body["text"])]):
        for body in bodies:
            if redactor.any_holds(joined_texts(body["text"])):
                body["text"] = "[withheld: pieces of it join to a secret]"
    return [record if _is_inert(record) else inert(record) for record in cleaned]


def _unredacted(exchange: Exchange) -> ExchangeRecord:
    record: ExchangeRecord = {
        "request": _request(exchange.request),
        "response": None if exchange.response is None else _response(exchange.response),
        "elapsed_ms": round(exchange.elapsed_ms, 1),
        "curl": shortened(as_curl(exchange.request), _LONGEST_BODY),
    }
    if (times := times_of(exchange)) is not None:
        _add_times(record, times)
    if exchange.request.refused:
        record["to_be_refused"] = True
    if exchange.failure is not None:
        record["failure"] = {"kind": exchange.failure.value, "detail": exchange.detail}
    if exchange.attempts:
        record["attempts"] = [
            {"result": item.result, "waited_s": round(item.waited_s, 3)} for item in exchange.attempts
        ]
    return record


def shortened(text: str, longest: int) -> str:
    """The text, or its beginning and its length."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… [{len(text)} characters in all]"


def inert(value: Any) -> Any:
    """The value with every invisible character that affects a reader written as an escape, ``\\u202e``.

    That is: control characters, bidirectional controls, characters without a shape, lone surrogates.
    """
    if isinstance(value, str):
        return _UNSAFE.sub(_escaped, value)
    if isinstance(value, dict):
        return {inert(key): inert(item) for key, item in value.items()}
    if isinstance(value, list):
        return [inert(item) for item in value]
    return value


def _is_inert(value: Any) -> bool:
    """Whether there is nothing to escape, told from all of it at once: JSON writes some that are unsafe by escapes."""
    text = json.dumps(value, ensure_ascii=False).replace("\\\\", "")
    return not (_UNSAFE.search(text) or any(escape in text for escape in _UNSAFE_IN_JSON))


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def joined_text(response: Response) -> str:
    """What a reader of the stream would see: every event's data without JSON's framing between the pieces."""
    return unescaped("".join(_SPOKEN.findall(response.text)))


def joined_texts(text: str) -> list[str]:
    """The pieces of a text, joined: all content; of a stream, its data and each field of it, event after event.

    A secret can be split over them.
    """
    joined = ["".join(_SPOKEN.findall(text))]
    data = _DATA.findall(text)
    if len(data) > 1:
        fields: dict[str, list[str]] = {}
        for name, value in _FIELD.findall(text):
            fields.setdefault(name, []).append(value)
        joined += ["".join(data), *map("".join, fields.values())]
    return joined


def _request(request: Request) -> RequestRecord:
    headers = [[name, value] for name, value in request.headers]
    authorization = _authorization(request)
    if authorization is not None:
        headers.insert(0, ["Authorization", authorization])
    if request.presentation in _IN_OTHER_HEADERS:
        headers += [[name, value] for name, value in in_other_headers(_place(request))]
    return {
        "method": request.method,
        "url": request.url + (f"?{_in_query('…')}" if request.presentation in _IN_QUERY else ""),
        "credential": request.key,
        "presentation": request.presentation.value,
        "headers": headers,
        "body": _parts(request) if request.parts else _body(_body_of(request), _kind(request), request.left_out),
    }


def _authorization(request: Request) -> str | None:
    place = _place(request)
    return {
        Presentation.BEARER: f"Bearer {place}" if request.key is not None else None,
        Presentation.MADE_UP: "Bearer (a key that does not exist)",
        Presentation.WITHOUT_SCHEME: place,
        Presentation.BASIC: f"Basic base64({place}:)",
        Presentation.OTHER_SCHEME: f"Token {place}",
        **dict.fromkeys(_SUFFIXES, f"Bearer {place}"),
    }.get(request.presentation)


def _place(request: Request) -> str:
    """What stands for the secret of a request."""
    if request.key is None:
        return _MADE_UP_KEY
    return _variable(request.key) + _SUFFIXES.get(request.presentation, "")


def _body_of(request: Request) -> bytes:
    if request.key is not None and request.presentation in _IN_BODY:
        return with_key_in_body(request.body, _place(request))
    return request.body


def _in_query(place: str) -> str:
    """The parameters of a query that present a key."""
    return "&".join(f"{name}={place}" for name in PARAMETER_NAMES)


def _kind(request: Request) -> str:
    return "json" if request.body else "empty"


def _parts(request: Request) -> BodyRecord:
    lines = [
        f"{part.name}: file {part.filename} ({len(part.content)} bytes, {part.content_type})"
        if part.filename is not None
        else f"{part.name}: {part.content.decode('utf-8', errors='replace')}"
        for part in request.parts
    ]
    if request.left_out:
        lines.append(f"… [{request.size} bytes in all]")
    return {"kind": "multipart", "bytes": request.size, "text": "\n".join(lines)}


def _response(response: Response) -> ResponseRecord:
    kind = "empty" if not response.body else "text"
    if response.media_type == "application/json":
        kind = "json"
    elif response.media_type == "text/event-stream":
        kind = "events"
    elif response.media_type.startswith(("audio/", "image/", "video/")) or b"\0" in response.body[:512]:
        kind = "binary"
    record: ResponseRecord = {
        "status": response.status,
        "headers": [[name, shortened(value, _LONGEST_HEADER)] for name, value in response.headers[:_MOST_HEADERS]],
        "body": _body(response.body, kind),
        "complete": response.complete,
        "end": response.end,
    }
    if kind == "events" and 0 < len(response.arrivals) <= _MOST_ARRIVALS and len(response.body) <= _LONGEST_BODY:
        times = [f"{one.at_ms:.1f}:{one.size}" for one in response.arrivals]
        record["arrivals"] = " ".join([*times, *([f"late:{response.late_ms:.1f}"] if response.late_ms else [])])
    return record


def _body(body: bytes, kind: str, left_out: int = 0) -> BodyRecord:
    size = len(body) + left_out
    if kind == "binary":
        return {"kind": kind, "bytes": size, "text": f"{body[:_MOST_BYTES].hex(' ')} … [{size} bytes]"}
    # A character takes up to four bytes: one character more than is shown tells that there is more.
    text = body[: 4 * (_LONGEST_BODY + 1)].decode("utf-8", errors="replace")
    if len(text) > _LONGEST_BODY:
        text = f"{text[:_LONGEST_BODY]}… [{size} bytes in all]"
    return {"kind": kind, "bytes": size, "text": text}


def _variable(key: str) -> str:
    """The shell variable that stands for a key: ``$GT_KEY_CHAT`` for ``chat``."""
    return "$GT_KEY_" + "".join(char if char.isalnum() else "_" for char in key.upper())


def as_curl(request: Request) -> str:
    """A command for a POSIX shell. Bodies of files are named, not inlined; the key is never in it."""
    words = ["curl", "-sS", "-i"]
    if request.method != "GET":
        words += ["-X", request.method]
    url = shlex.quote(request.url)
    if request.key is not None and request.presentation in _IN_QUERY:
        url += f'"{"&" if "?" in request.url else "?"}{_in_query(_place(request))}"'
    words += _key_for_curl(request)
    for name, value in request.headers:
        words += ["-H", shlex.quote(f"{name}: {value}")]
    for part in request.parts:
        words += _form(part)
    if request.body:
        body = shlex.quote(_body_of(request).decode("utf-8", errors="replace"))
        if request.presentation in _IN_BODY:
            place = _place(request)
            body = body.replace(place, f"'\"{place}\"'")
        words += ["--data-raw", body]
    words.append(url)
    return " ".join(words)


def _key_for_curl(request: Request) -> list[str]:
    """The options of curl that present the key, by the name of a variable."""
    place = _place(request)
    if request.key is None and request.presentation is not Presentation.MADE_UP:
        return []
    if request.presentation in _IN_OTHER_HEADERS:
        return [word for name, value in in_other_headers(place) for word in ("-H", f'"{name}: {value}"')]
    if request.presentation in {Presentation.BEARER, Presentation.MADE_UP, *_SUFFIXES}:
        return ["-H", f'"Authorization: Bearer {place}"']
    if request.presentation in {Presentation.WITHOUT_SCHEME, Presentation.OTHER_SCHEME}:
        return ["-H", f'"Authorization: {_authorization(request)}"']
    return ["-u", f'"{place}:"'] if request.presentation is Presentation.BASIC else []


def _form(part: FilePart) -> list[str]:
    if part.filename is not None:
        return ["-F", shlex.quote(f"{part.name}=@{part.filename}")]
    # With -F a value that begins with @ or < would be read as the name of a file.
    return ["--form-string", shlex.quote(f"{part.name}={part.content.decode('utf-8', errors='replace')}")]
