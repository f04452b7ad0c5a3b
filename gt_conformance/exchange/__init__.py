"""One HTTP request and its response: the evidence. Plain values; nothing here sends anything."""

from gt_conformance.exchange._exchange import (
    Arrival,
    Attempt,
    Exchange,
    Failure,
    FilePart,
    NotJson,
    Presentation,
    Request,
    Response,
    parse_json,
    tokens_of,
)
from gt_conformance.exchange._record import (
    BodyRecord,
    ExchangeRecord,
    RequestRecord,
    ResponseRecord,
    as_curl,
    as_record,
    inert,
    joined_text,
    joined_texts,
    shortened,
)
from gt_conformance.exchange._redaction import Redactor
from gt_conformance.exchange._sse import MOST_LINES, ServerSentEvent, SseReader, TooManyLines, read_events

__all__ = [
    "MOST_LINES",
    "Arrival",
    "Attempt",
    "BodyRecord",
    "Exchange",
    "ExchangeRecord",
    "Failure",
    "FilePart",
    "NotJson",
    "Presentation",
    "Redactor",
    "Request",
    "RequestRecord",
    "Response",
    "ResponseRecord",
    "ServerSentEvent",
    "SseReader",
    "TooManyLines",
    "as_curl",
    "as_record",
    "inert",
    "joined_text",
    "joined_texts",
    "parse_json",
    "read_events",
    "shortened",
    "tokens_of",
]
