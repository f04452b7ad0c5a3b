"""The base URL: what is accepted, and what is refused before a key could travel."""

import ipaddress
import re
from urllib.parse import urlsplit

from gt_conformance.errors import InputError, Location

_ROUTE_AT_END = re.compile(
    r"(?:/v1)?/(?:models|chat/completions|embeddings|audio/\w+|images/generations|conversations)$"
)
"""What is copied along with the base URL from a command that calls a route."""

_PLACEHOLDER = re.compile(r"<|\{|\$[A-Za-z_({]")
"""Of a template, of a fleet's template, or of a shell, which would have put something in its place."""

_QUOTES = ("\u201c", "\u201d", "\u201e", "\u2018", "\u2019", '"', "'", "`")


def check_base_url(base_url: str, *, where: Location | None = None, versioned: bool = False) -> str:
    """The base URL without a slash at its end.

    Raises InputError for anything but https, for http beyond loopback (the key would travel in clear), and for a
    URL with credentials, a query, a fragment, or the ``/v1`` that this suite adds itself, unless it may be
    ``versioned``: what a client is given.
    """
    hint = "It looks like https://<tenant-host>/api/tenant."
    if _PLACEHOLDER.search(base_url):
        raise InputError.of(
            f"base_url still holds a placeholder: {base_url!r}.",
            where=where,
            hint="Put the tenant's host in its place.",
        )
    if base_url.strip()[:1] in _QUOTES:
        raise InputError.of(
            f"base_url begins with a quotation mark: {base_url!r}.",
            where=where,
            hint="Remove the quotation marks: they are read as a part of the URL.",
        )
    try:
        parts = urlsplit(base_url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InputError.of(f"base_url is not a URL: {base_url!r}.", where=where, hint=hint) from None
    if parts.scheme not in {"https", "http"} or not host:
        raise InputError.of(f"base_url is not an http(s) address: {base_url!r}.", where=where, hint=hint)
    if parts.username or parts.password:
        raise InputError.of("base_url holds a user name or password.", where=where, hint="Leave them out. " + hint)
    if parts.query or parts.fragment:
        raise InputError.of(f"base_url has a query or a fragment: {base_url!r}.", where=where, hint=hint)
    if parts.scheme == "http" and not is_loopback(host):
        raise InputError.of(
            f"base_url is plain http to {host}: the keys would travel in clear.",
            where=where,
            hint="Use https; http is taken for loopback only.",
        )
    path = parts.path.rstrip("/")
    if (route := _ROUTE_AT_END.search(path)) is not None:
        raise InputError.of(
            f"base_url ends with a route, {route[0]}: {base_url!r}.",
            where=where,
            hint=f"Leave it out, the suite adds it: {parts.scheme}://{parts.netloc}{path[: route.start()]}",
        )
    if path.endswith("/v1") and not versioned:
        raise InputError.of(
            f"base_url ends with /v1: {base_url!r}.",
            where=where,
            hint=f"Leave it out, the suite adds it: {parts.scheme}://{parts.netloc}{path.removesuffix('/v1')}",
        )
    return f"{parts.scheme}://{parts.netloc}{path}"


def is_loopback(host: str) -> bool:
    """Whether the host is this machine: ``localhost``, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
