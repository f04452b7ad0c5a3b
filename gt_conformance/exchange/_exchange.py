"""One HTTP request and its response, as plain values; and the tokens that an answer states.

A request names its key and never holds it. A response is bytes and their times: read tolerantly, never trusted.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, NoReturn, Self
from urllib.parse import urlsplit

from gt_conformance.exchange._sse import ServerSentEvent, read_events

MOST_STATED = 10_000_000
"""More tokens than one answer can have: no model reads or writes near as many at once."""


class Stated(NamedTuple):
    """The tokens of the prompt, and those of the completion with all else that the total counts.

    ``reasoning`` are those of them that the model thought with.
    """

    input: int
    output: int
    reasoning: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.input + self.output


def read_stated(texts: Iterable[str]) -> Stated | None:
    """The most that the ``usage`` of these bodies states; None where none of them states what can be true.

    Impossible are numbers that are negative, no whole numbers or more than MOST_STATED, and zero in all.
    """
    bodies = map(_parse_json, texts)
    usages = (body["usage"] for body in bodies if isinstance(body, dict) and isinstance(body.get("usage"), dict))
    found = (_read_usage(usage) for usage in usages)
    return max((one for one in found if one is not None), key=lambda one: one.total, default=None)


def _read_usage(usage: dict[str, Any]) -> Stated | None:
    names = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"), ("total_tokens",))
    given = [next((usage[name] for name in some if usage.get(name) is not None), None) for some in names]
    if any(value is not None and not _is_possible(value) for value in given):
        return None
    prompt, completion, total = (0 if value is None else int(value) for value in given)
    if given[0] is None and total > completion:  # a total alone is what went in: so embeddings count
        prompt = total - completion
    details = usage.get("completion_tokens_details")
    reasoning: Any = details.get("reasoning_tokens") if isinstance(details, dict) else None
    output = max(completion, total - prompt)
    stated = Stated(prompt, output, min(output, int(reasoning)) if _is_possible(reasoning) else 0)
    return stated if stated.total else None


def _is_possible(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= MOST_STATED and value == int(value)


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


class Presentation(StrEnum):
    """How the key is presented to the tenant. Only ``bearer`` is documented; the others must be refused.

    ``other_scheme`` has another word than Bearer before the key, as APIs that take tokens want it;
    ``other_header`` is in the headers that other APIs have for keys, ``in_body`` in fields of a JSON body, and
    ``elsewhere`` there, in those headers and in the query string.
    The others are the secret with something changed: letters in other case, the middle, the end, something behind it,
    after one of the marks at which gateways cut a key, the last character.
    """

    BEARER = "bearer"
    NONE = "none"
    MADE_UP = "made_up"
    WITHOUT_SCHEME = "without_scheme"
    BASIC = "basic"
    OTHER_SCHEME = "other_scheme"
    QUERY = "query"
    OTHER_HEADER = "other_header"
    IN_BODY = "in_body"
    ELSEWHERE = "elsewhere"
    MISSPELLED = "misspelled"
    ALTERED = "altered"
    SHORTENED = "shortened"
    LENGTHENED = "lengthened"
    BEFORE_COLON = "before_colon"
    OTHER_END = "other_end"


_OTHER_HEADERS = (
    "x-api-key",
    "api-key",
    "apikey",
    "x-goog-api-key",
    "x-litellm-api-key",
    "x-auth-token",
)
_COOKIES = ("api_key", "access_token", "token", "session")


def in_other_headers(secret: str) -> list[tuple[str, str]]:
    """Where other APIs take a key: Anthropic's, Azure's, Google's, gateways as Kong and LiteLLM; and cookies."""
    cookies = "; ".join(f"{name}={secret}" for name in _COOKIES)
    return [*((name, secret) for name in _OTHER_HEADERS), ("cookie", cookies)]


PARAMETER_NAMES = ("api_key", "key", "access_token")
"""In which parameters of a query, or fields of a body, other APIs take a key: gateways', Google's, RFC 6750's form."""


def with_key_in_body(body: bytes, secret: str) -> bytes:
    """The JSON object with the secret in its last fields; as it is where it is no such object, or an empty one."""
    if len(body) < len(b'{"a":1}') or not (body.startswith(b"{") and body.endswith(b"}")):
        return body
    fields = "".join(f",{json.dumps(name)}:{json.dumps(secret)}" for name in PARAMETER_NAMES)
    return body[:-1] + fields.encode() + b"}"


@dataclass(frozen=True, slots=True)
class FilePart:
    """One part of a multipart form; without a file name it is a plain field."""

    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. ``key`` names a secret of the tenant; the runner puts it in as ``presentation`` says.

    Two equal requests are the same request: the runner sends it once. ``creates`` marks one whose success leaves
    something behind: it is not retried once it may have arrived, unless it is ``refused``. ``left_out`` counts the
    bytes of a body that were sent and are not kept: of what a client sends through the proxy, only the beginning is.
    ``refused`` marks one that is sent to be refused; it is the same request without.
    """

    method: str
    url: str
    key: str | None
    presentation: Presentation = Presentation.BEARER
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    parts: tuple[FilePart, ...] = ()
    creates: bool = False
    left_out: int = 0
    refused: bool = field(default=False, compare=False)

    @classmethod
    def of_json(
        cls,
        method: str,
        url: str,
        key: str | None,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        creates: bool = False,
    ) -> Self:
        """A request with a JSON body."""
        return cls(
            method,
            url,
            key,
            headers=(("Content-Type", "application/json"), *(headers or {}).items()),
            # A lone surrogate, which a tenant may have put into what is sent back to it, stays the escape it came as.
            body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace"),
            creates=creates,
        )

    @property
    def is_due(self) -> bool:
        """Whether a key asks for it as is documented, and it is not sent to be refused."""
        return self.key is not None and self.presentation is Presentation.BEARER and not self.refused

    @property
    def path(self) -> str:
        """The path of the URL."""
        return urlsplit(self.url).path

    @property
    def fields(self) -> Mapping[str, Any]:
        """The JSON object that the body is, to be read only; empty where it is none."""
        try:
            body = parse_json(self.body.decode(errors="replace"))
        except NotJson:
            return {}
        return body if isinstance(body, dict) else {}

    @property
    def size(self) -> int:
        """Bytes of the body, before multipart framing."""
        return len(self.body) + sum(len(part.content) for part in self.parts) + self.left_out


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a piece of the body arrived: milliseconds since the request, and how many bytes came."""

    at_ms: float
    size: int


_GZIP = b"\x1f\x8b"
_UNASKED = frozenset({"br", "zstd", "dcb", "dcz", "compress", "x-compress"})
"""The codings of a body that are never asked for, and so not decoded. Clients pass over a label that names none."""
MISLABELLED = "the body is not compressed as its content-encoding says"
"""How a response ends whose Content-Encoding is wrong, or whose compressed bytes are cut short."""
ENDED_EARLY = "the connection ended before the body did"
"""How a response begins to say its end that the connection cut off."""
IN_MEMBERS = "complete, in several members of gzip"
"""How a complete response ends whose body is gzip in more than one piece (RFC 1952, 2.2)."""


class NotJson(ValueError):
    """The body is not JSON; the text says why, in a few words."""


class TooManyValues(NotJson):
    """The body may be JSON, but holds more values than this suite reads."""


@dataclass(frozen=True)
class Response:
    """Status, headers (names in lower case) and body of an answer.

    ``complete`` is False where the connection ended, or a bound was reached, before the body did; ``end`` says how.
    ``late_ms`` is by how much this machine was late, at worst, in reading what had arrived. ``head_ms`` is when its
    head came, in milliseconds since the request; ``connect_ms`` what of that passed before the request was sent,
    because a connection was opened for it.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    arrivals: tuple[Arrival, ...] = ()
    complete: bool = True
    end: str = "complete"
    late_ms: float = 0.0
    head_ms: float | None = None
    connect_ms: float = 0.0

    def header(self, name: str) -> str | None:
        """The first value of a header, by its name in any case."""
        return self._first_values.get(name.lower())

    @cached_property
    def _first_values(self) -> Mapping[str, str]:
        return dict(reversed(self.headers))

    @cached_property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case; empty where there is none."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    @property
    def succeeded(self) -> bool:
        """A 2xx."""
        return 200 <= self.status < 300

    @property
    def miscoded(self) -> str:
        """Why no client can decode the body; empty where it can: it was read, and is what its Content-Encoding says."""
        coding = (self.header("content-encoding") or "").strip().lower()
        if self.end == MISLABELLED:
            return MISLABELLED
        if coding in _UNASKED:
            return f"the body is encoded as {coding}, which the request does not accept"
        return "the body is compressed, and no content-encoding says so" if self.body.startswith(_GZIP) else ""

    @property
    def refused(self) -> bool:
        """A 4xx."""
        return 400 <= self.status < 500

    @property
    def text(self) -> str:
        """The body as text; what is not UTF-8 is replaced. Decoded each time: a run keeps every body once already."""
        return self.body.decode("utf-8", errors="replace")

    @property
    def plain(self) -> str:
        """The text with JSON's escapes of characters undone: what it says, however that is written."""
        return unescaped(self.text)

    def json(self) -> Any:
        """The body as strict JSON (RFC 8259: UTF-8, no NaN). Raises NotJson with the reason.

        A byte order mark before it is ignored, as that standard permits and as clients do.
        """
        try:
            text = self.body.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise NotJson("the body is not UTF-8") from None
        try:
            return parse_json(text)
        except NotJson as error:
            if self.looks_like_html:
                raise NotJson("it is an HTML page") from None
            raise type(error)(f"the body {error}") from None

    @property
    def has_too_many_values(self) -> bool:
        """Whether it holds more values than this suite reads: then nobody knows whether it is JSON."""
        return _limit_exceeded(self.text) is not None

    @property
    def looks_like_html(self) -> bool:
        """Whether it is a web page, by its type or its first characters; JSON under that type is none."""
        start = self.body[:256].lstrip().lower()
        if start.startswith((b"<!doctype html", b"<html")):
            return True
        return self.media_type in {"text/html", "application/xhtml+xml"} and not start.startswith((b"{", b"["))

    @property
    def title(self) -> str:
        """The title of a web page; empty where it has none."""
        found = _TITLE.search(self.body[:_HEAD_OF_PAGE])
        return "" if found is None else " ".join(found[1].decode("utf-8", errors="replace").split())

    @cached_property
    def events(self) -> tuple[ServerSentEvent, ...]:
        """The body read as server-sent events, with the time at which each was complete."""
        return read_events(self.body, [(item.at_ms, item.size) for item in self.arrivals])

    @cached_property
    def stated(self) -> Stated | None:
        """The tokens that its ``usage`` states, of a stream the most; None where it states none that can be true."""
        if self.media_type == "text/event-stream":
            return read_stated(event.data for event in self.events if '"usage"' in event.data)
        return read_stated([self.text]) if b'"usage"' in self.body else None


_TITLE = re.compile(rb"(?i)<title[^>]{0,200}>\s*([^<]{1,400})")
_HEAD_OF_PAGE = 8_000
_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|(["/]))')


def unescaped(text: str) -> str:
    """The text with ``\\u`` escapes, and those of quotes and slashes, as the characters that they stand for."""
    return _ESCAPE.sub(lambda match: match[2] or chr(int(match[1], 16)), text) if "\\" in text else text


_MOST_VALUES = 400_000
"""The most values that a body may hold. More would fill time and memory."""
_MOST_NUMBERS, _FEW = 2_000_000, 40_000
"""The most where all but a few are numbers, which take little of both: a hundred embeddings of 16,384 numbers fit."""
_SHORT = 1_024
"""Characters of a text whose value is kept for a while. So many of the longest do not fill the memory."""


def parse_json(text: str) -> Any:
    """Strict JSON (RFC 8259: no NaN, no Infinity), of a bounded number of values.

    Raises NotJson, whose text goes on from "the body".
    """
    return _parse_short(text) if len(text) <= _SHORT else _parse(text)


@lru_cache(maxsize=1_024)
def _parse_short(text: str) -> Any:
    """What is short is kept for a while, read-only: a run looks at the same chunk ten times."""
    return _parse(text)


def _parse(text: str) -> Any:
    if not text.strip():
        raise NotJson("is empty")
    if (most := _limit_exceeded(text)) is not None:
        raise TooManyValues(f"holds more than {most:,} values")
    try:
        return _DECODER.decode(text)
    except NotJson:
        raise
    except RecursionError:
        raise NotJson("is nested too deeply") from None
    except ValueError as error:
        raise NotJson(f"is not JSON (at character {getattr(error, 'pos', 0)} of {len(text)})") from None


def _limit_exceeded(text: str) -> int | None:
    """How many values a text may hold, where it holds more."""
    if len(text) <= _MOST_VALUES:
        return None
    most = _MOST_NUMBERS if sum(map(text.count, '"[{')) <= _FEW else _MOST_VALUES
    return most if sum(map(text.count, ",[{")) > most else None


def _no_constant(name: str) -> NoReturn:
    raise NotJson(f"holds {name}, which JSON has not")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


class Failure(StrEnum):
    """Why there is no response to judge."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    PROTOCOL = "protocol"
    PROXY = "proxy"
    HERE = "here"

    @property
    def is_local(self) -> bool:
        """Whether it is this machine's or the operator's proxy's: then it says nothing about the tenant."""
        return self in {Failure.PROXY, Failure.HERE}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of an exchange that was retried: its result, and the pause after it in seconds."""

    result: str
    waited_s: float


@dataclass(frozen=True)
class Exchange:
    """One HTTP request and its response, timed. ``attempts`` are the earlier tries, if it was retried.

    Either ``response`` or ``failure`` is set; ``detail`` describes in a few words what failed, and ``remedy`` what
    to do about it. ``started_ms`` is when its last try was sent, in milliseconds since the run began; None where nobody
    timed it. ``elapsed_ms`` is how long that took.
    """

    ref: str
    request: Request
    response: Response | None
    elapsed_ms: float
    failure: Failure | None = None
    detail: str = ""
    attempts: tuple[Attempt, ...] = ()
    remedy: str = ""
    started_ms: float | None = None


def tokens_of(response: Response) -> int:
    """The total tokens that it states; 0 where it states none that can be true."""
    return 0 if response.stated is None else response.stated.total
