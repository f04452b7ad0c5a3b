"""Where a client called: on which route each of its exchanges was, versioned or not."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from gt_conformance.clients._session import Attempt
from gt_conformance.exchange import Exchange
from gt_conformance.vocabulary import Route

_TEMPLATES = {route: re.compile(re.escape(route.path).replace(r"\{id\}", "[^/]+")) for route in Route}
_ALIAS = re.compile(r"/v1/uploads/[^/]+")
_LOOKUP = re.compile(r"/v1/models/.+")
_FOREIGN = re.compile(r"/v1/(?:responses|completions|files|assistants|threads|batches|fine_tuning|vector_stores)\b.*")


def below(exchange: Exchange, base_path: str) -> str:
    """The path below the tenant's base path, with the /v1 that the wiki writes, whether or not it was sent."""
    path = urlsplit(exchange.request.url).path
    rest = path.removeprefix(base_path) if path.startswith(base_path + "/") else path
    return rest if rest.startswith("/v1/") or not path.startswith(base_path + "/") else "/v1" + rest


def route_of(exchange: Exchange, base_path: str) -> Route | None:
    """The mapped route that it is on, versioned or not; None where it is on none."""
    path, method = below(exchange, base_path), exchange.request.method
    if method == "GET" and _ALIAS.fullmatch(path):
        return Route.FILE_STATUS
    return next((route for route in Route if route.method == method and _TEMPLATES[route].fullmatch(path)), None)


def title_of(exchange: Exchange, base_path: str) -> str:
    """``POST /v1/embeddings``: its route, else its method and path below the base, with the wiki's /v1."""
    route = route_of(exchange, base_path)
    return route.title if route is not None else f"{exchange.request.method} {below(exchange, base_path)}"


def line_of(exchange: Exchange, base_path: str) -> str:
    """``GET /props``: method and path below the base as they were sent, which is how a profile names a discovery."""
    return f"{exchange.request.method} {exchange.request.path.removeprefix(base_path)}"


def is_foreign(exchange: Exchange, base_path: str) -> bool:
    """Whether it is on a surface of OpenAI's that is none of GT's (``/responses``, ``/completions``, ``/files``)."""
    return route_of(exchange, base_path) is None and bool(_FOREIGN.fullmatch(below(exchange, base_path)))


def is_lookup(exchange: Exchange, base_path: str) -> bool:
    """Whether it asks for one model by its name, which a tenant may answer or not."""
    return exchange.request.method == "GET" and bool(_LOOKUP.fullmatch(below(exchange, base_path)))


def discovery(attempt: Attempt, base_path: str) -> Iterator[Exchange]:
    """What it asked to find out what the server is: on no mapped route, and on no surface of OpenAI's."""
    for passage in attempt.passages:
        exchange = passage.exchange
        if route_of(exchange, base_path) is None and not is_foreign(exchange, base_path):
            yield exchange
