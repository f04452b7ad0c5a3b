"""Variants of transport: how JSON is written, how long a response takes, its headers, and how its bytes travel."""

import asyncio
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.types import Message

from gt_sandbox.middleware import (
    MODELS,
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_headers,
    change_responses,
    delay,
    drop_header,
    error_response,
    is_any,
    is_stream,
    json_response,
    per_call,
    refuse,
    replace_json,
    with_secrets,
)
from gt_sandbox.variants._variant import variant

_MORE_HEADERS = {
    "x-request-id": "7d2f0c1e-2f43-4c55-9d0b-0f6a2f1f6b11",
    "x-ratelimit-remaining-requests": "59",
    "openai-processing-ms": "12",
    "set-cookie": "affinity=a1; Path=/; HttpOnly; Secure",
    "strict-transport-security": "max-age=63072000",
    "server": "gateway",
    "via": "1.1 gateway",
    "vary": "Accept, Origin",
}
_OWN_ORIGIN = {
    "access-control-allow-origin": "https://console.acme.example",
    "access-control-allow-credentials": "true",
    "vary": "Origin",
}


def _is_no_stream(request: Request) -> bool:
    return not is_stream(request)


# --- how JSON is written


def _after_lines(_: Request, response: Response) -> Response:
    is_json = response.json is not None
    return response.with_body(b"\n\n  \n" + response.body) if is_json else response


def _write_json(write: Callable[[Any], str]) -> MiddlewareFactory:
    """Whole JSON responses, refusals included, written another way."""

    def change(_: Request, response: Response) -> Response:
        return response if response.json is None else response.with_body(write(response.json).encode())

    return change_responses(_is_no_stream, change)


def _escape_json(value: Any) -> str:
    """JSON with every letter of every string as an escape, and slashes as well."""
    if isinstance(value, str):
        return '"' + "".join("\\/" if letter == "/" else _escape(letter) for letter in value) + '"'
    if isinstance(value, dict):
        return "{" + ",".join(f"{_escape_json(key)}:{_escape_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_escape_json, value)) + "]"
    return json.dumps(value)


def _escape(letter: str) -> str:
    units = letter.encode("utf-16-be")
    return "".join(f"\\u{int.from_bytes(units[at : at + 2], 'big'):04x}" for at in range(0, len(units), 2))


def _reverse(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reverse(item) for key, item in reversed(value.items())}
    return [_reverse(item) for item in value] if isinstance(value, list) else value


def _add_fields(body: Any) -> object:
    return {
        **body,
        "request_id": "req_1",
        "x_gt": {"region": "eu", "cost": 0.0001, "tags": ["a", None]},
        "warnings": [],
    }


# --- how long it takes


def _pace(seconds: float) -> MiddlewareFactory:
    """That many seconds before each event of a stream."""

    @per_call
    async def pace(call: Call) -> None:
        async def send(message: Message) -> None:
            await asyncio.sleep(seconds)
            await call.send(message)

        await call.forward(send=send if is_stream(call.request) else None)

    return pace


def _refuse_at_first(status: int, every: int) -> MiddlewareFactory:
    """One request in so many is refused for the moment, and taken when it comes again at once."""
    refusal = error_response(status, "Try again.", "busy").with_header("retry-after", "0")

    def make(_: Secrets) -> MiddlewareFactory:
        known: set[object] = set()

        def is_busy(request: Request) -> bool:
            # A form is separated by another text each time that it is sent.
            form = request.header("content-type").startswith("multipart/")
            asked = (request.method, request.path, request.header("authorization"), None if form else request.body)
            busy = asked not in known and len(known) % every == every - 1
            known.add(asked)
            return busy

        return refuse(is_busy, refusal)

    return with_secrets(make)


# --- headers


def _change_type(change: Callable[[str], str]) -> MiddlewareFactory:
    """Another spelling of content types."""
    return change_headers(
        lambda headers: {name: change(value) if name == "content-type" else value for name, value in headers.items()}
    )


def _add_headers(**headers: str) -> MiddlewareFactory:
    return change_headers(lambda own: {**own, **headers})


# --- how the bytes travel


def _compress(coding: str, wbits: int) -> MiddlewareFactory:
    """Every response compressed, each piece of it flushed when it is sent."""

    @per_call
    async def compress(call: Call) -> None:
        packer = zlib.compressobj(wbits=wbits)

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [item for item in message["headers"] if item[0].lower() != b"content-length"]
                message = {**message, "headers": [*headers, (b"content-encoding", coding.encode())]}
            else:
                last = not message.get("more_body", False)
                packed = packer.compress(message.get("body", b""))
                packed += packer.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
                message = {**message, "body": packed}
            await call.send(message)

        await call.forward(send=send)

    return compress


def _in_members(_: Request, response: Response) -> Response:
    half = len(response.body) // 2
    packed = gzip.compress(response.body[:half]) + gzip.compress(response.body[half:])
    return response.with_body(packed).with_header("content-encoding", "gzip")


def _split(wanted: Predicate, size: int) -> MiddlewareFactory:
    """Bodies in packets of so many bytes; the largest in larger ones, or a run would wait for nothing else."""

    @per_call
    async def split(call: Call) -> None:
        async def send(message: Message) -> None:
            data = message.get("body", b"")
            if message["type"] != "http.response.body" or len(data) <= size:
                await call.send(message)
                return
            packet = max(size, len(data) // _MOST_PACKETS)
            for at in range(0, len(data), packet):
                await call.send({"type": "http.response.body", "body": data[at : at + packet], "more_body": True})
            await call.send({**message, "body": b""})

        await call.forward(send=send if wanted(call.request) else None)

    return split


_MOST_PACKETS = 1_000


def _gather(enough: Callable[[list[bytes]], bool]) -> MiddlewareFactory:
    """Several events of a stream in one packet: sent when there are enough of them, and at the end."""

    @per_call
    async def gather(call: Call) -> None:
        held: list[bytes] = []

        async def send(message: Message) -> None:
            if message["type"] != "http.response.body":
                await call.send(message)
                return
            held.append(message.get("body", b""))
            if enough(held) or not message.get("more_body", False):
                await call.send({**message, "body": b"".join(held)})
                held.clear()

        await call.forward(send=send if is_stream(call.request) else None)

    return gather


def _allow_origin(request: Request, response: Response) -> Response:
    allowed = response.with_header("access-control-allow-origin", request.header("origin"))
    return allowed.with_header("access-control-allow-credentials", "true")


def _allow_preflight(request: Request, response: Response) -> Response:
    return replace(_allow_origin(request, response), status=204, body=b"")


def _ban(after: int) -> MiddlewareFactory:
    """Refuse all that comes once so many requests were refused for their keys, as gateways do against guessing."""
    refused = 0

    @per_call
    async def guard(call: Call) -> None:
        nonlocal refused
        if refused >= after:
            await call.respond(error_response(403, "Your address is blocked.", "forbidden"))
            return
        response = await call.response()
        refused += response.status in {401, 403}
        await call.respond(response)

    return guard


def _ban_keys(after: int) -> MiddlewareFactory:
    """Refuse all that comes with a key once it was refused so many times, as gateways do against trying rights out."""
    refused: Counter[str] = Counter()

    @per_call
    async def guard(call: Call) -> None:
        secret = call.request.secret
        if secret and refused[secret] >= after:
            await call.respond(error_response(403, "This key is blocked.", "forbidden"))
            return
        response = await call.response()
        refused[secret] += response.status == 403
        await call.respond(response)

    return guard


def _replace_secret(name: str, after: int) -> Callable[[Secrets], MiddlewareFactory]:
    """Take a key's secret for one that nobody has, once it came so many times: it was rotated, or has expired."""

    def make(secrets: Secrets) -> MiddlewareFactory:
        came = 0

        @per_call
        async def guard(call: Call) -> None:
            nonlocal came
            came += call.request.secret == secrets[name]
            if came > after and call.request.secret == secrets[name]:
                message = "The API key is malformed, unknown or no longer valid."
                await call.respond(error_response(401, message, "authentication_error"))
                return
            await call.forward()

        return guard

    return make


_NEXT_STATUS = {401: 403, 403: 404, 404: 404, 405: 405}
"""What the next release refuses with where this one refuses with that."""


async def _respond_by_next(call: Call) -> None:
    """What the next release answers: refusals of keys, rights and routes in another form, other fields, another order.

    What is wrong with a request is said as before: a client may need to know that.
    """
    if is_stream(call.request):
        await call.forward()
        return
    response = await call.response()
    body = response.json
    if response.status in _NEXT_STATUS:
        response = json_response(_NEXT_STATUS[response.status], {"detail": "This request is refused."})
    elif response.succeeded and body is not None:
        if MODELS(call.request):
            body["data"].reverse()
        response = response.with_json({**body, "api_version": "2"})
    await call.respond(response.with_header("x-release", "2"))


def _release(is_next: Callable[[int], bool]) -> MiddlewareFactory:
    """Some requests, by their number, come to an instance of the next release."""

    def make(_: Secrets) -> MiddlewareFactory:
        came = 0

        @per_call
        async def pass_on(call: Call) -> None:
            nonlocal came
            came += 1
            await (_respond_by_next(call) if is_next(came) else call.forward())

        return pass_on

    return with_secrets(make)


_ALTERED_BY_RELEASES = "error-bodies dead-keys scopes names unknown-routes wrong-methods unknown-files"
VARIANTS = (
    variant(
        "release-replaced-during-the-run",
        "During a run the tenant is replaced by its next release, which refuses in other words and lists otherwise.",
        _release(lambda number: number > 120),
        permitted_by="checks: no page gives the statuses, words and fields in which a release differs from the next",
        alters=_ALTERED_BY_RELEASES,
    ),
    variant(
        "instances-of-two-releases",
        "Every second or third request comes to an instance of the next release, which refuses in other words.",
        _release(lambda number: number % 5 in {1, 3}),
        permitted_by="checks: no page gives the statuses, words and fields in which a release differs from the next",
        alters=_ALTERED_BY_RELEASES,
    ),
    variant(
        "any-origin-allowed",
        "Every web page may send a user's key: each Origin is reflected, with credentials.",
        change_responses(lambda request: bool(request.header("origin")), _allow_origin),
        permitted_by="checks: no page speaks of browsers; it is advised",
        alters="origin",
    ),
    variant(
        "any-preflight-allowed",
        "The preflight of every web page is answered with its own Origin, with credentials.",
        change_responses(lambda request: request.method == "OPTIONS", _allow_preflight),
        permitted_by="checks: no page speaks of browsers; it is advised",
        alters="origin preflight",
    ),
    variant(
        "extra-fields",
        "Every answer holds fields that nobody asked for.",
        replace_json(is_any, _add_fields),
        permitted_by="GT API reference: extra fields anywhere",
    ),
    variant(
        "json-in-another-order",
        "The fields of every object are in another order.",
        replace_json(is_any, _reverse),
        permitted_by="RFC 8259, 4: an object is unordered",
    ),
    variant(
        "json-indented",
        "JSON is indented, and ends in a line end.",
        _write_json(lambda body: "\n" + json.dumps(body, indent=4) + "\r\n"),
        permitted_by="RFC 8259, 2: white space between tokens",
        alters="json-text",
    ),
    variant(
        "json-escaped",
        "Every letter of JSON strings is escaped.",
        _write_json(_escape_json),
        permitted_by="RFC 8259, 7: any character may be escaped",
        alters="json-text",
    ),
    variant(
        "slow-answers",
        "Every answer takes a twentieth of a second more.",
        delay(0.05, is_any),
        permitted_by="GT API reference: no time is promised",
    ),
    variant(
        "slow-streams",
        "Events of a stream are a fiftieth of a second apart.",
        _pace(0.02),
        permitted_by="GT API reference: no time is promised",
        alters="pace",
    ),
    variant(
        "transient-429",
        "One request in seven is too many, and taken when it comes again.",
        _refuse_at_first(429, 7),
        permitted_by="RFC 6585, 4; OpenAI API reference, Rate limits",
    ),
    variant(
        "transient-503",
        "One request in eleven finds the tenant busy for a moment.",
        _refuse_at_first(503, 11),
        permitted_by="RFC 9110, 15.6.4: Retry-After",
    ),
    variant(
        "charset-named",
        "Content types name the charset.",
        _change_type(lambda value: value.partition(";")[0] + "; Charset=UTF-8"),
        permitted_by="RFC 9110, 8.3.1: parameters of a media type",
        alters="content-type",
    ),
    variant(
        "types-in-capitals",
        "Content types are written in capitals.",
        _change_type(str.upper),
        permitted_by="RFC 9110, 8.3.1: media types ignore case",
        alters="content-type",
    ),
    variant(
        "more-headers",
        "Answers hold headers of gateways, and cookies.",
        _add_headers(**_MORE_HEADERS),
        permitted_by="RFC 9110, 5.1: unknown fields are ignored",
    ),
    variant(
        "own-origin-allowed",
        "The tenant's own web pages may call it, and no others.",
        _add_headers(**_OWN_ORIGIN),
        permitted_by="Fetch standard, CORS protocol: one named origin",
    ),
    variant(
        "preflight-answered",
        "Browsers of the tenant's own web pages may ask what they may send.",
        refuse(lambda request: request.method == "OPTIONS", Response(204, tuple(_OWN_ORIGIN.items()), b"")),
        permitted_by="Fetch standard, CORS protocol: CORS-preflight request",
        alters="preflight",
    ),
    variant(
        "headers-in-capitals",
        "Names of headers are written in capitals.",
        change_headers(lambda headers: {name.upper(): value for name, value in headers.items()}),
        permitted_by="RFC 9110, 5.1: names of fields ignore case",
    ),
    variant(
        "stream-in-pairs",
        "Two events of a stream travel in one packet.",
        _gather(lambda held: len(held) == 2),
        permitted_by="RFC 9293: TCP keeps no bounds of messages",
        alters="stream-packets",
    ),
    variant(
        "stream-in-one-piece",
        "A proxy holds a stream back until its end.",
        _gather(lambda _: False),
        permitted_by="checks: chunks spread over time are a should",
        alters="stream-packets pace",
    ),
    variant(
        "stream-one-byte-a-packet",
        "Streams travel a byte a packet.",
        _split(is_stream, 1),
        permitted_by="RFC 9293: TCP keeps no bounds of messages",
        alters="stream-packets",
    ),
    variant(
        "tiny-packets",
        "Bodies travel in packets of a few bytes.",
        _split(_is_no_stream, 24),
        permitted_by="RFC 9293: TCP keeps no bounds of messages",
    ),
    variant(
        "gzip",
        "Every answer is compressed with gzip.",
        _compress("gzip", 16 + zlib.MAX_WBITS),
        permitted_by="RFC 9110, 12.5.3: a server should, not must, heed Accept-Encoding",
        alters="coding",
    ),
    variant(
        "gzip-in-members",
        "Every answer but a stream is compressed with gzip, in two members.",
        change_responses(_is_no_stream, _in_members),
        permitted_by="RFC 1952, 2.2: a file of gzip consists of members",
        alters="coding",
    ),
    variant(
        "deflate",
        "Every answer is compressed with deflate.",
        _compress("deflate", zlib.MAX_WBITS),
        permitted_by="RFC 9110, 12.5.3: a server should, not must, heed Accept-Encoding",
        alters="coding",
    ),
    variant(
        "json-after-a-byte-order-mark",
        "JSON begins with a byte order mark.",
        change_responses(
            _is_no_stream,
            lambda _, response: (
                response if response.json is None else response.with_body(b"\xef\xbb\xbf" + response.body)
            ),
        ),
        permitted_by="RFC 8259, 8.1: who reads JSON may ignore it, as clients do",
        alters="coding",
    ),
    variant(
        "json-after-empty-lines",
        "JSON begins after empty lines, which keep the connection alive.",
        change_responses(_is_no_stream, _after_lines),
        permitted_by="RFC 8259, 2: white space before a value",
        alters="coding",
    ),
    variant(
        "clock-in-the-past",
        "The tenant's clock is years behind.",
        _add_headers(date="Mon, 01 Jan 2001 00:00:00 GMT"),
        permitted_by="RFC 9110, 6.6.1: a Date is as right as the server's clock",
    ),
    variant(
        "limits-shown",
        "Answers show limits of the rate, none of which is left, and a Retry-After.",
        _add_headers(**{"x-ratelimit-remaining-requests": "0", "retry-after": "30"}),
        permitted_by="RFC 9110, 10.2.3: beside a 2xx it asks for nothing",
    ),
    variant(
        "no-lengths",
        "No response has a length; all come in chunks.",
        drop_header("content-length", is_any),
        permitted_by="RFC 9112, 7.1: chunked transfer coding",
    ),
    variant(
        "closed-connections",
        "The connection is closed after each answer.",
        _add_headers(connection="close"),
        permitted_by="RFC 9112, 9.6: Tear-down",
    ),
    variant(
        "bans-after-refusals",
        "A gateway before the tenant refuses everything once it has refused a caller ten times.",
        with_secrets(lambda _: _ban(after=10)),
        permitted_by="RFC 9110, 15.5.4: a server may refuse whatever it will",
        lacks="stopped working",
    ),
    variant(
        "bans-keys-after-refusals",
        "A gateway before the tenant refuses a key everything once it was refused three times for what it may not do.",
        with_secrets(lambda _: _ban_keys(after=3)),
        permitted_by="RFC 9110, 15.5.4: a server may refuse whatever it will",
        lacks="stopped working",
    ),
    variant(
        "a-key-replaced-during-the-run",
        "The secret of a key is replaced while a run uses it: from then on it is refused as one that nobody has.",
        with_secrets(_replace_secret("GT_EMBEDDED_CHAT", after=12)),
        permitted_by="GT API keys and access, Lifecycle and operations: a rotated secret is dead at once",
        lacks="stopped working",
    ),
)
