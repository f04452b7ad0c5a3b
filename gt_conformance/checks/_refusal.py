"""What counts as a refusal, once for all checks: by which status, for which reason, and from whom it comes."""

from collections.abc import Container

from gt_conformance import schema
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._wording import (
    LET_THROUGH,
    LONGEST_QUOTE,
    TOO_LARGE,
    WEB_PAGE,
    describe,
    error_in,
    extract_reason,
    format_status,
    lets_in,
    name_large,
    names_the_right,
)
from gt_conformance.exchange import Exchange, Response, shortened

_GIVE_NOTHING = "Have the tenant refuse before it answers: a refusal has in its body what it refuses."
CLOSED = frozenset({401, 403, 404, 405, 410})
NOT_REACHED = frozenset({502, 503, 504, *range(520, 528), 530})
"""With what a proxy says that it does not reach the tenant behind it; from 520 on, Cloudflare's."""
_SAYS = {
    501: "it says that nobody has built the route",
    505: "it says that the version of HTTP is wrong",
    511: "it says that the network asks for a login",
}
"""What other statuses say of the reason why nothing came, and is not so."""
_LAST_STATUS = 599


def expect_refusal(
    probe: Probe,
    exchange: Exchange,
    what: str,
    *,
    statuses: Container[int] = CLOSED,
    reasoned: bool = True,
    remedy: str | None = None,
    cause: str = "",
) -> Response:
    """Judge a refusal: one of the statuses (400 and 422 where the body names the right, or an absence, as the reason).

    A 2xx, a redirect and a 5xx are none; ``cause`` tells what is open where it is a 2xx. What something before the
    tenant answers, and a 4xx for another reason, tell nothing of the key: they block. No page says how a refusal is
    written: with ``reasoned`` that is advised.
    """
    expected = f"{what} is refused with a 4xx"
    response = probe.answer_or_refusal(exchange, expected)
    if block_unanswered(probe, exchange, what):
        return response
    if response.refused and lets_in(response):
        probe.fail(
            f"{expected}, and with nothing else", describe(response), exchange, remedy=_GIVE_NOTHING, cause=cause
        )
    elif response.status in statuses or names_the_right(response):
        if reasoned:
            expect_reason(probe, exchange, response)
    elif response.refused:
        why = "for a reason that is not the key's" if extract_reason(response) else "by a status that names no reason"
        probe.block(
            f"{what} was refused {why}: {describe(response)}",
            "Have the tenant check the key before the request, or look at the reason that it names.",
            because=name_large(response),
            exchange=exchange,
        )
    elif lets_in(response):
        probe.fail(expected, describe(response), exchange, remedy=remedy, cause=cause)
    else:
        fail_refusal(probe, exchange, response, expected, "a 4xx")
    return response


def fail_refusal(probe: Probe, exchange: Exchange, response: Response, expected: str, due: str) -> None:
    """Record a refusal by another status. How a tenant refuses is one thing, whatever was asked for."""
    found, why = describe(response), "it says that the tenant could not decide"
    if response.succeeded:
        inside = shortened(extract_reason(response), LONGEST_QUOTE)
        found, why = f"HTTP {response.status} with an error inside: {inside}", "clients take it for a success"
    if response.status in _SAYS or response.status > _LAST_STATUS:
        why = _SAYS.get(response.status, "HTTP has no such status, and clients do not know what it says")
    remedy = f"Have the tenant refuse with {due}, not with {format_status(response)}: {why}."
    probe.fail(expected, found, exchange, remedy=remedy, cause=f"refusal:{response.status}")


def block_unanswered(probe: Probe, exchange: Exchange, what: str) -> bool:
    """Block a refusal that is not the tenant's own: a web page, or a gateway that does not reach the tenant."""
    response = exchange.response
    if response is None:
        return False
    if response.refused and response.looks_like_html and response.status != TOO_LARGE:
        remedy, cause = LET_THROUGH, WEB_PAGE
    elif response.status in NOT_REACHED:
        remedy, cause = "Check whether the tenant is up behind its gateway, then run again.", ""
    else:
        return False
    found = f"{describe(response)} comes from before the tenant"
    probe.block(f"whether {what} is refused is unknown: {found}", remedy, cause=cause, exchange=exchange)
    return True


def expect_reason(probe: Probe, exchange: Exchange, response: Response) -> None:
    """Advise a refusal that names no reason in JSON, and one without OpenAI's error object."""
    if not extract_reason(response):
        probe.advise("refusals do not name their reason in JSON", exchange)
    elif schema.load("wire/error").errors(error_in(response), at="#/$defs/published"):
        probe.advise("refusals do not carry OpenAI's error object (message, type, param, code)", exchange)
