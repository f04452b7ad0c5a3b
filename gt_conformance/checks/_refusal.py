"""What counts as a refusal, and what does not."""

import re
from collections.abc import Container

from gt_conformance import schema
from gt_conformance.checks._probe import Probe, described, said
from gt_conformance.exchange import Exchange, NotJson, Response

CLOSED = frozenset({401, 403, 404, 405})
_CLIENT_ERRORS = frozenset({400, 422})
_NAMES_THE_RIGHT = re.compile(
    r"scope|model|permission|allow|forbid|grant|access|support|unauthori[sz]ed", re.IGNORECASE
)


def refused(
    probe: Probe,
    exchange: Exchange,
    what: str,
    *,
    statuses: Container[int] = CLOSED,
    reasoned: bool = True,
    remedy: str | None = None,
) -> Response:
    """Judge a refusal: one of the statuses (400 and 422 where the body names the right as the reason), in JSON.

    A 2xx, a redirect, a 5xx or an HTML page is none. With ``reasoned`` the body must name a reason.
    """
    expected = f"{what} is refused with a 4xx that says so in JSON"
    response = probe.answer(exchange, expected)
    by_reason = response.status in _CLIENT_ERRORS and _NAMES_THE_RIGHT.search(response.plain) is not None
    if not probe.must(response.status in statuses or by_reason, expected, said(response), exchange, remedy=remedy):
        return response
    if reasoned:
        names_reason(probe, exchange, response, expected)
    return response


def names_reason(probe: Probe, exchange: Exchange, response: Response, expected: str) -> None:
    """The body of a refusal is JSON that names the reason; OpenAI's error object is a should."""
    try:
        body = response.json()
    except NotJson as error:
        probe.fail(expected, f"HTTP {response.status}, but {error}", exchange)
        return
    rules = schema.load("wire/error")
    errors = rules.errors(body)
    if errors:
        probe.fail(expected, f"HTTP {response.status}, but the body names no reason: {described(errors[0])}", exchange)
        return
    if rules.errors(body, at="#/$defs/published"):
        probe.advise("refusals do not carry OpenAI's error object (message, type, param, code)", exchange)
