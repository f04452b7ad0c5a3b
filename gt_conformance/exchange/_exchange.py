"""A request, what came of it, and how it went: one piece of evidence."""

from dataclasses import dataclass
from enum import StrEnum

from gt_conformance.exchange._request import Request
from gt_conformance.exchange._response import Response


class Failure(StrEnum):
    """Why no judgeable answer came. ``proxy`` and ``here``, the operator's network, say nothing about the tenant."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    PROTOCOL = "protocol"
    PROXY = "proxy"
    HERE = "here"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of an exchange that was tried again: what it gave, and the pause after it in seconds."""

    result: str
    waited_s: float


@dataclass(frozen=True)
class Exchange:
    """One HTTP request and its response, timed. ``attempts`` are the earlier tries, if it was retried.

    Either ``response`` or ``failure`` is set; ``detail`` says in a few words what failed, and ``remedy`` what
    to do about it.
    """

    ref: str
    request: Request
    response: Response | None
    elapsed_ms: float
    failure: Failure | None = None
    detail: str = ""
    attempts: tuple[Attempt, ...] = ()
    remedy: str = ""
