"""Faults of cross-origin sharing."""

from dataclasses import replace

from ..edges import Answer, Asked, answering
from ._fault import Area

fault = Area("browsers")


def _let_in(asked: Asked, right: Answer) -> Answer:
    allowed = (("access-control-allow-origin", asked.header("origin")), ("access-control-allow-credentials", "true"))
    return replace(right, headers=(*right.headers, *allowed))


def _invited(asked: Asked, right: Answer) -> Answer:
    return replace(_let_in(asked, right), status=204, body=b"")


FAULTS = (
    fault(
        "any-web-page-let-in",
        "Every web page may send a user's key: each Origin is reflected, with credentials.",
        answering(lambda asked: bool(asked.header("origin")), _let_in),
        checks="tenant.browser_origin_refused",
        places="items tenant",
    ),
    fault(
        "preflight-lets-any-page-in",
        "The preflight of every web page is answered with its own Origin, with credentials.",
        answering(lambda asked: asked.method == "OPTIONS", _invited),
        checks="tenant.browser_origin_refused",
        places="items tenant",
    ),
)
