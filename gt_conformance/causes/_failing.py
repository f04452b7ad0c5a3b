"""Whether one exchange failed, how in words, and where: what the findings of failures are told apart by."""

import re
from collections.abc import Mapping
from http import HTTPStatus

from gt_conformance.checks import (
    UNROUTED,
    Violation,
    cause_of_answer,
    finding_of,
    holds_error,
    is_header_lost,
    is_redirect,
    name_large,
    normalized_reason,
    place_asked,
)
from gt_conformance.exchange import ENDED_EARLY, Exchange, Failure, NotJson, Response

Exchanges = Mapping[str, Exchange]
"""The exchanges of a run by their references."""

ANSWER = "answer~"
"""How the ids of findings begin that ``cause_of_answer`` tells apart."""
CUT, PAGE = "a body that is cut short", "a web page in place of an answer"
UNREADABLE = "a body that is not JSON"
ERROR_INSIDE = "an error in a success"
_SILENT: Mapping[Failure | None, str] = {
    Failure.TIMEOUT: "no answer in time",
    Failure.CLOSED: "a connection that was closed without an answer",
    Failure.PROTOCOL: "something that is not HTTP",
    Failure.CONNECT: "no connection",
}
"""How a tenant gives no answer, in words; what a name service, TLS or this machine do has other causes."""
_CLOSED = re.compile(rb"\s*(?:\".*\"|.*[}\]])\s*", re.DOTALL)
"""A body that ends as JSON does: an object, a list, or a text (of JSON that was encoded twice)."""
UNROUTED_AT = finding_of("", UNROUTED, shared=True)
"""The finding of an address that reaches no route."""
OBJECTIONS = frozenset({400, 406, 409, 411, 415, 417, 422, 423, 431, 451})
"""With what a server objects to a request, whoever asks."""

OF_BODIES = frozenset(
    finding_of("", cause, shared=True) for cause in ("chat:code", "embeddings:letters", "media:letters")
)
"""What a firewall may do that lets bodies through by what they hold."""


def is_failure(exchange: Exchange) -> bool:
    """Whether it was answered with a 5xx, not at all, or as unchanged, which nothing asks for that names no version."""
    if exchange.response is None:
        return exchange.failure in _SILENT
    return exchange.response.status >= 500 or exchange.response.status == HTTPStatus.NOT_MODIFIED


def has_ended(exchange: Exchange) -> bool:
    """Whether it came to something that is the tenant's: an answer, or none."""
    return exchange.response is not None or exchange.failure in _SILENT


def has_succeeded(exchange: Exchange) -> bool:
    """Whether it was answered with a 2xx."""
    return exchange.response is not None and exchange.response.succeeded


def fails(exchange: Exchange) -> bool:
    """Whether it is a failure that may come now and then: as above, a key not taken, no whole answer, or another."""
    failed = is_failure(exchange) or is_key_refused(exchange) or is_cut(exchange)
    return failed or is_page(exchange) or is_error_inside(exchange)


def goes_wrong(exchange: Exchange) -> bool:
    """Whether it fails, leads elsewhere or is refused: what is due and comes to that now and then is an instance's."""
    return fails(exchange) or is_refused(exchange) or is_redirected(exchange)


def is_refused(exchange: Exchange) -> bool:
    """Whether it was answered with a 4xx, which was not due."""
    return not exchange.request.refused and exchange.response is not None and exchange.response.refused


def is_key_refused(exchange: Exchange) -> bool:
    """Whether it was answered with a 401, though its key should be served."""
    response = exchange.response
    return response is not None and response.status == HTTPStatus.UNAUTHORIZED and exchange.request.is_due


def is_page(exchange: Exchange) -> bool:
    """Whether a success is a web page, which no route gives: whoever asks, an instance before the API answered."""
    response = exchange.response
    return response is not None and response.succeeded and response.looks_like_html


def is_error_inside(exchange: Exchange) -> bool:
    """Whether what is due comes as a success that holds an error and nothing else; of a stream its end tells that."""
    response = exchange.response
    if response is None or not response.succeeded or not exchange.request.is_due:
        return False
    return response.media_type != "text/event-stream" and holds_error(response)


def is_cut(exchange: Exchange) -> bool:
    """Whether a success begins as JSON and does not end as such, or is empty, or is a stream that breaks off.

    So does any body before whose end the connection ended. A stream breaks off within an event, without a sign that it
    is whole, or with an error. Where a refusal is due, a success is open, however little comes.
    """
    response = exchange.response
    if response is None or not response.succeeded or exchange.request.refused:
        return False
    if response.end.startswith(ENDED_EARLY):
        return True
    if response.media_type == "text/event-stream":
        is_whole = _FINISH.search(response.body) and response.body.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
        return bool(_ERROR.search(response.body)) or (b"[DONE]" not in response.body and not is_whole)
    if not response.body and response.status != HTTPStatus.NO_CONTENT:
        return True
    return response.body.lstrip()[:1] in {b"{", b"["} and not _is_json(response)


def _is_json(response: Response) -> bool:
    try:
        response.json()
    except NotJson:
        return False
    return True


_FINISH = re.compile(rb'"finish_reason"\s*:\s*"')
_ERROR = re.compile(rb'^data:\s*\{\s*"error"\s*:\s*[{"]', re.MULTILINE)


def failed_in(violation: Violation, exchanges: Exchanges) -> Exchange | None:
    """The exchange that proves the violation, where that failed, was refused though it was due, or led elsewhere."""
    exchange = exchanges.get(violation.exchange or "")
    if exchange is None or not (fails(exchange) or _is_undue(violation, exchange) or is_redirected(exchange)):
        return None
    return exchange


def is_redirected(exchange: Exchange) -> bool:
    """Whether it is sent to another address, which a gateway does with all that it does not let through."""
    return exchange.response is not None and is_redirect(exchange.response)


def _is_undue(violation: Violation, exchange: Exchange) -> bool:
    """Whether it is the refusal of what should be answered."""
    response = exchange.response
    if response is None or not response.refused:
        return False
    objects = response.status in OBJECTIONS and not exchange.request.refused
    return (
        objects
        or violation.finding in OF_BODIES
        or violation.finding.startswith(ANSWER)
        or violation.finding == UNROUTED_AT
    )


def words_of(exchange: Exchange) -> str:
    """How it failed, without what differs from one failure to the next; of a success, what is wrong with its body."""
    response = exchange.response
    if response is None:
        return _SILENT[exchange.failure]
    if response.succeeded:
        if is_error_inside(exchange):
            return f"{ERROR_INSIDE}: {normalized_reason(response)}"
        is_closed = (
            response.complete
            and response.media_type != "text/event-stream"
            and _CLOSED.fullmatch(response.body) is not None
        )
        return PAGE if response.looks_like_html else UNREADABLE if is_closed else CUT
    reason = "a web page" if response.looks_like_html else normalized_reason(response)
    return f"{response.status} {reason}"


def place_of(exchange: Exchange) -> str:
    """The route that was asked, whichever address reached it; of a cause that is the same at every route, that."""
    response = exchange.response
    if response is not None and (name_large(response) or is_header_lost(exchange, response)):
        return cause_of_answer(exchange)  # which is the same at every route
    return place_asked(exchange).replace("/v1/", "/", 1).replace("/uploads/", "/files/")
