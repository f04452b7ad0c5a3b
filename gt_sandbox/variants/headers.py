"""Headers: written differently, and more of them."""

from starlette.types import ASGIApp, Receive, Scope, Send

from ..edges import Answer, EdgeMaker, sent
from ._parts import headed
from ._variant import Area

variant = Area("headers")
_TYPES = "charset-named types-in-capitals"
_MORE = {
    "x-request-id": "7d2f0c1e-2f43-4c55-9d0b-0f6a2f1f6b11",
    "x-ratelimit-remaining-requests": "59",
    "openai-processing-ms": "12",
    "set-cookie": "affinity=a1; Path=/; HttpOnly; Secure",
    "strict-transport-security": "max-age=63072000",
    "server": "gateway",
    "via": "1.1 gateway",
    "vary": "Accept, Origin",
}


def _with_charset(headers: dict[str, str]) -> dict[str, str]:
    return {
        name: value.partition(";")[0] + "; Charset=UTF-8" if name == "content-type" else value
        for name, value in headers.items()
    }


def _capitals(headers: dict[str, str]) -> dict[str, str]:
    """Content types in capitals but for the boundary of a form, which no answer has."""
    return {name: value.upper() if name == "content-type" else value for name, value in headers.items()}


def _for_its_own_pages(headers: dict[str, str]) -> dict[str, str]:
    allowed = {
        "access-control-allow-origin": "https://console.acme.example",
        "access-control-allow-credentials": "true",
    }
    return {**headers, **allowed, "vary": "Origin"}


def _preflight() -> EdgeMaker:
    """Browsers' preflights answered without a key, for the tenant's own pages alone."""

    def edge(app: ASGIApp) -> ASGIApp:
        async def edged(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] == "OPTIONS":
                await sent(Answer(204, tuple(_for_its_own_pages({}).items()), b""), send)
            else:
                await app(scope, receive, send)

        return edged

    return lambda _: edge


VARIANTS = (
    variant(
        "charset-named",
        "Content types name the charset.",
        headed(_with_charset),
        lawful="RFC 9110, 8.3.1: parameters of a media type",
        conflicts=_TYPES,
    ),
    variant(
        "types-in-capitals",
        "Content types are written in capitals.",
        headed(_capitals),
        lawful="RFC 9110, 8.3.1: media types ignore case",
        conflicts=_TYPES,
    ),
    variant(
        "more-headers",
        "Answers hold headers of gateways, and cookies.",
        headed(lambda headers: {**headers, **_MORE}),
        lawful="RFC 9110, 5.1: unknown fields are ignored",
    ),
    variant(
        "own-origin-allowed",
        "The tenant's own web pages may call it, and no others.",
        headed(_for_its_own_pages),
        lawful="Fetch standard, CORS protocol: one named origin",
    ),
    variant(
        "preflight-answered",
        "Browsers of the tenant's own web pages may ask what they may send.",
        _preflight(),
        lawful="Fetch standard, CORS protocol: CORS-preflight request",
    ),
    variant(
        "headers-in-capitals",
        "Names of headers are written in capitals.",
        headed(lambda headers: {name.upper(): value for name, value in headers.items()}),
        lawful="RFC 9110, 5.1: names of fields ignore case",
    ),
)
