"""A response as it arrived: bytes and their times, bounded by the lab, read tolerantly, never trusted."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

from gt_conformance.exchange._sse import ServerSentEvent, read_events


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a piece of the body arrived: milliseconds since the request, and how many bytes came."""

    at_ms: float
    size: int


class NotJson(ValueError):
    """The body is not JSON; the text says why, in a few words."""


@dataclass(frozen=True)
class Response:
    """Status, headers (names in lower case) and body of an answer.

    ``complete`` is False where the connection ended, or a bound was reached, before the body did; ``end`` says how.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    arrivals: tuple[Arrival, ...] = ()
    complete: bool = True
    end: str = "complete"

    def header(self, name: str) -> str | None:
        """The first value of a header, by its name in any case."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case; empty where there is none."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    @property
    def succeeded(self) -> bool:
        """A 2xx."""
        return 200 <= self.status < 300

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
        """The body as strict JSON (RFC 8259: UTF-8, no NaN). Raises NotJson with the reason."""
        try:
            text = self.body.decode("utf-8")
        except UnicodeDecodeError:
            raise NotJson("the body is not UTF-8") from None
        try:
            return parse_json(text)
        except NotJson as error:
            if self.looks_like_html:
                raise NotJson("it is an HTML page") from None
            raise NotJson(f"the body {error}") from None

    @property
    def looks_like_html(self) -> bool:
        """Whether it is a web page, by its type or its first characters."""
        start = self.body[:256].lstrip().lower()
        return self.media_type in {"text/html", "application/xhtml+xml"} or start.startswith(
            (b"<!doctype html", b"<html")
        )

    @cached_property
    def events(self) -> tuple[ServerSentEvent, ...]:
        """The body read as server-sent events, with the time at which each was complete."""
        return read_events(self.body, [(item.at_ms, item.size) for item in self.arrivals])


_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|(["/]))')


def unescaped(text: str) -> str:
    """The text with ``\\u`` escapes, and those of quotes and slashes, as the characters that they stand for."""
    return _ESCAPE.sub(lambda match: match[2] or chr(int(match[1], 16)), text) if "\\" in text else text


_MOST_VALUES = 250_000
"""The most values that a body may hold; an embedding has some thousands. More would fill time and memory."""


def parse_json(text: str) -> Any:
    """Strict JSON (RFC 8259: no NaN, no Infinity), of a bounded number of values.

    Raises NotJson, whose text goes on from "the body".
    """
    if not text.strip():
        raise NotJson("is empty")
    if len(text) > _MOST_VALUES and sum(map(text.count, ",[{")) > _MOST_VALUES:
        raise NotJson(f"holds more than {_MOST_VALUES:,} values")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except NotJson:
        raise
    except RecursionError:
        raise NotJson("is nested too deeply") from None
    except ValueError as error:
        raise NotJson(f"is not JSON (at character {getattr(error, 'pos', 0)} of {len(text)})") from None


def _no_constant(name: str) -> NoReturn:
    raise NotJson(f"holds {name}, which JSON has not")
