"""What the environment says about the way to the tenant: certificates, client certificates, the operator's proxy."""

import os
import ssl
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

import certifi

from gt_conformance.errors import Blocked
from gt_conformance.tenant import Tenant
from gt_conformance.vocabulary import Actor


@dataclass(frozen=True)
class Proxy:
    """A proxy that an environment variable names. ``shown`` is its URL without credentials."""

    variable: str
    url: str
    shown: str

    def __str__(self) -> str:
        """``the proxy http://proxy:3128 (HTTPS_PROXY)``."""
        return f"the proxy {self.shown} ({self.variable})"


def make_tls(tenant: Tenant, environment: Mapping[str, str], *, to_proxy: bool = False) -> ssl.SSLContext:
    """How TLS is spoken to the tenant, or to the proxy, which the client's certificate is not for."""
    name = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environment.get(name)), None)
    if tenant.ca_file:
        context = ssl.create_default_context(cafile=tenant.ca_file)
    elif name:
        path, is_file = environment[name], name == "SSL_CERT_FILE"
        try:
            context = ssl.create_default_context(cafile=path if is_file else None, capath=None if is_file else path)
        except OSError as error:  # ssl.SSLError is one
            reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else os.strerror(error.errno or 0)
            raise Blocked(
                f"on this machine: the environment variable {name} names {path}, which cannot be used: {reason}",
                f"Correct {name} or unset it, or name the bundle as ca_file in the tenant file.",
                acts=Actor.HERE,
            ) from None
    else:
        context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    if tenant.client_certificate and not to_proxy:
        tenant.client_certificate.load_into(context)
    return context


def find_proxy(environment: Mapping[str, str], host: str, port: int) -> Proxy | None:
    """The proxy for https to that host: HTTPS_PROXY, else ALL_PROXY, unless NO_PROXY names the host.

    As elsewhere, the lower-case name goes before the other. macOS and Windows also keep proxies in their settings.
    """
    values = {name.lower(): value for name, value in sorted(environment.items()) if name.lower().endswith("_proxy")}
    names = {name.lower(): name for name in sorted(environment) if name.lower() in values}
    if sys.platform in {"darwin", "win32"}:
        from urllib.request import getproxies  # noqa: PLC0415 - brings Python's own HTTP client

        values = {f"{kind}_proxy": url for kind, url in getproxies().items()} | values
    variable = next((name for name in ("https_proxy", "all_proxy") if values.get(name)), None)
    if variable is None or _goes_direct(values.get("no_proxy", ""), host, port):
        return None
    shown_name, value = names.get(variable, variable), values[variable]
    url = value if "://" in value else f"http://{value}"
    if not _is_proxy_url(url):
        raise Blocked(
            f"on this machine: the environment variable {shown_name} does not hold the URL of an HTTP proxy",
            f"Set {shown_name} to http://HOST:PORT (SOCKS is not supported), or name the tenant's host in NO_PROXY.",
            acts=Actor.HERE,
        )
    parts = urlsplit(url)
    return Proxy(shown_name, url, f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")


def _is_proxy_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port  # ValueError where it is over 65535
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(host.strip()) and host.isprintable() and port != 0


def _goes_direct(no_proxy: str, host: str, port: int) -> bool:
    """Whether NO_PROXY names the host: ``*``, a name (with all names below it), name:port, an address or a network."""
    known = (host.lower(), f"{host.lower()}:{port}")
    for item in (part.strip().lower() for part in no_proxy.split(",")):
        name = item.removeprefix("*").removeprefix(".").strip("[]")
        if item == "*" or (name and any(each == name or each.endswith(f".{name}") for each in known)):
            return True
        with suppress(ValueError):
            if ip_address(host) in ip_network(item, strict=False):
                return True
    return False
