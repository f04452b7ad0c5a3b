"""What a run sent and received, counted."""

from collections import Counter
from typing import Any

from gt_conformance.exchange import tokens_of
from gt_conformance.runner import Evidence, Runner


def traffic(runner: Runner, evidence: Evidence) -> dict[str, Any]:
    """The record's ``traffic``: requests with their repetitions, bytes of bodies, tokens as the tenant counts them."""
    by_route: Counter[str] = Counter()
    sent = received = tokens = requests = 0
    for exchange in runner.seen:
        tries = 1 + len(exchange.attempts)
        requests += tries
        by_route[route_title(exchange.request.method, exchange.request.url, runner.plan.tenant.base_url)] += tries
        sent += exchange.request.size * tries
        if exchange.response is not None:
            received += len(exchange.response.body)
            tokens += tokens_of(exchange.response)
    return {
        "requests": requests,
        "by_route": dict(sorted(by_route.items(), key=lambda item: (-item[1], item[0]))),
        "bytes_sent": sent,
        "bytes_received": received,
        "tokens": tokens,
        "slowest_ms": max((item["elapsed_ms"] for item in evidence.values()), default=0.0),
    }


def route_title(method: str, url: str, base_url: str) -> str:
    """The route of a request, with ids left out, so that requests can be counted by it."""
    path = url.removeprefix(base_url).partition("?")[0]
    parts = path.split("/")
    for place, name in ((2, "datasets"), (2, "files"), (2, "uploads")):
        if len(parts) > place + 1 and parts[place] == name:
            parts[place + 1] = "{id}"
    return f"{method} {'/'.join(parts) or '/'}"
