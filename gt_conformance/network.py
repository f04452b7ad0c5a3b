"""The way from this machine to the tenant: one HTTP client, the operator's proxy, and what a failure means.

The only module that imports httpx. It uses httpx's transport and not its client, which reads the environment at any
time, keeps cookies, and parses the address of every redirect, also of those that nobody follows.
"""

import errno
import math
import os
import socket
import ssl
import sys
import time
import urllib.request
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from typing import Any, Self
from urllib.parse import urlsplit

import anyio

if "httpx" not in sys.modules:
    # Its command line, which it imports where rich is installed, takes as long again as all the rest. None is how
    # Python is told that there is no such module, for which httpx is prepared.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
import httpx

if find_spec("sniffio") is None:
    # httpcore looks for it at each request, and not finding it takes longer than most requests on loopback do.
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]

from gt_conformance.errors import Blocked
from gt_conformance.exchange import Failure, FilePart
from gt_conformance.tenant import Tenant, is_loopback

CONNECT_TIMEOUT_S = 10.0
_NAME_LOOKUP_S = 2.0
"""After a connection timed out: how long a second look at the name service may take before it is the one at fault."""

Header = tuple[bytes, bytes]


class NetworkFailure(Exception):
    """No answer came, or not all of it: what failed, and what to do about it.

    ``failure`` is HERE for this machine and PROXY for the operator's proxy; neither says anything about the tenant.
    ``retry`` is True where another attempt may succeed; ``sent`` where the tenant may have received the request.
    """

    def __init__(self, failure: Failure, detail: str, remedy: str, *, retry: bool = False, sent: bool = False) -> None:
        self.failure = failure
        self.detail = detail
        self.remedy = remedy
        self.retry = retry
        self.sent = sent
        super().__init__(detail)


@dataclass(frozen=True)
class Proxy:
    """A proxy that an environment variable names. ``shown`` is its URL without credentials."""

    variable: str
    url: str
    shown: str

    def __str__(self) -> str:
        """``the proxy http://proxy:3128 (HTTPS_PROXY)``."""
        return f"the proxy {self.shown} ({self.variable})"


class HttpClient:
    """A pool of connections to one tenant, direct or through the proxy that the environment names.

    The environment is read here and never again: whoever runs the tests may change it meanwhile, in another thread.
    Raises Blocked where a setting of the environment cannot be used.
    """

    def __init__(
        self, tenant: Tenant, environment: Mapping[str, str], *, connections: int | None, connect_timeout_s: float
    ) -> None:
        parts = urlsplit(tenant.base_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._connect_timeout_s = connect_timeout_s
        self._has_client_certificate = tenant.client_certificate is not None
        self._secure = parts.scheme == "https"
        # A proxy may be between this machine and a tenant, never between this machine and itself.
        self.proxy = (
            None
            if is_loopback(parts.hostname or "")
            else _proxy_of(environment, parts.hostname or "", parts.port or 443)
        )
        self._dialled = urlsplit(self.proxy.url if self.proxy else tenant.base_url)
        self._transport = httpx.AsyncHTTPTransport(
            verify=_tls(tenant, environment) if self._secure else False,
            trust_env=False,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections or 8),
            proxy=_httpx_proxy(self.proxy, tenant, environment) if self.proxy else None,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.aclose()

    def send(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        body: bytes = b"",
        parts: Sequence[FilePart] = (),
    ) -> AbstractAsyncContextManager["Received"]:
        """The answer to a request, while it arrives. Raises NetworkFailure."""
        files = [
            (part.name, (part.filename, part.content, part.content_type))
            if part.content_type
            else (part.name, (part.filename, part.content))
            for part in parts
        ]
        in_chunks = any(name.lower() == "transfer-encoding" for name, _ in headers)
        content = _Body(_whole(body)) if in_chunks else body or None
        return self._exchange(method, url, headers=headers, content=content, files=files or None)

    def forward(
        self, method: str, target: bytes, headers: Sequence[Header], body: AsyncIterable[bytes] | None
    ) -> AbstractAsyncContextManager["Received"]:
        """The answer to another program's request, which is passed on with its own path and headers, byte for byte."""
        stream = httpx.ByteStream(b"") if body is None else _Body(body)
        return self._exchange(method, self._origin, headers=headers, stream=stream, extensions={"target": target})

    @asynccontextmanager
    async def _exchange(
        self, method: str, url: str, *, extensions: Mapping[str, Any] | None = None, **content: Any
    ) -> AsyncIterator["Received"]:
        progress = _Progress(
            self.proxy,
            self._connect_timeout_s,
            secure=self._secure,
            has_client_certificate=self._has_client_certificate,
        )
        more = {**(extensions or {}), "timeout": {"connect": self._connect_timeout_s}, "trace": progress.trace}
        try:
            request = httpx.Request(method, url, extensions=more, **content)
        except (httpx.InvalidURL, ValueError) as error:
            raise _unsendable() from error
        response = None
        with progress.scope:
            try:
                response = await self._transport.handle_async_request(request)
            except _TROUBLE as error:
                raise await self._diagnosed(error, progress) from error
        if response is None:
            raise _stalled(progress)
        try:
            yield Received(response, progress)
        finally:
            with suppress(*_TROUBLE):
                await response.aclose()

    async def _diagnosed(self, error: Exception, progress: "_Progress") -> NetworkFailure:
        if isinstance(error, httpx.ConnectTimeout) and progress.step is _Step.CONNECT and await self._name_hangs():
            return _here(*_NAME_SERVICE, "no answer")
        return _diagnose(error, progress)

    async def _name_hangs(self) -> bool:
        """Whether the name service leaves a question about the host open: then no connection was even tried."""
        with anyio.move_on_after(_NAME_LOOKUP_S, shield=True) as scope, suppress(OSError, UnicodeError):
            await anyio.getaddrinfo(self._dialled.hostname, self._dialled.port or 443)
        return scope.cancelled_caught


class Received:
    """An answer whose head has arrived: its status, its raw headers, and its body, to be iterated."""

    def __init__(self, response: httpx.Response, progress: "_Progress") -> None:
        self.status = response.status_code
        self.headers: Sequence[Header] = response.headers.raw
        self._pieces = aiter(response.aiter_raw())
        self._progress = progress
        self.sent_at = progress.sent_at
        """The time.perf_counter() at which its request was sent over a connection that was opened for it; else None."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes of the body, as they come. Raises NetworkFailure where it breaks off."""
        try:
            return await anext(self._pieces)
        except _TROUBLE as error:
            raise _diagnose(error, self._progress) from error


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    """A body as one piece, of which no length is given."""
    yield body


class _Body(httpx.AsyncByteStream):
    def __init__(self, pieces: AsyncIterable[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            yield piece


# -- what the environment says


def _tls(tenant: Tenant, environment: Mapping[str, str], *, to_proxy: bool = False) -> ssl.SSLContext:
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
            ) from None
    else:
        context = httpx.create_ssl_context(trust_env=False)
    if tenant.client_certificate and not to_proxy:
        tenant.client_certificate.load_into(context)
    return context


def _proxy_of(environment: Mapping[str, str], host: str, port: int) -> Proxy | None:
    """The proxy for https to that host: HTTPS_PROXY, else ALL_PROXY, unless NO_PROXY names the host.

    As elsewhere, the lower-case name goes before the other. macOS and Windows also keep proxies in their settings.
    """
    values = {name.lower(): value for name, value in sorted(environment.items()) if name.lower().endswith("_proxy")}
    names = {name.lower(): name for name in sorted(environment) if name.lower() in values}
    if sys.platform in {"darwin", "win32"}:
        values = {f"{kind}_proxy": url for kind, url in urllib.request.getproxies().items()} | values
    variable = next((name for name in ("https_proxy", "all_proxy") if values.get(name)), None)
    if variable is None or _goes_direct(values.get("no_proxy", ""), host, port):
        return None
    shown_name, value = names.get(variable, variable), values[variable]
    url = value if "://" in value else f"http://{value}"
    if not _is_proxy_url(url):
        raise Blocked(
            f"on this machine: the environment variable {shown_name} does not hold the URL of an HTTP proxy",
            f"Set {shown_name} to http://HOST:PORT (SOCKS is not supported), or name the tenant's host in NO_PROXY.",
        )
    parts = urlsplit(url)
    return Proxy(shown_name, url, f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")


def _is_proxy_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port  # ValueError where it is over 65535, which httpx lets through
        return httpx.Proxy(url).url.scheme in {"http", "https"} and bool(host.strip()) and port != 0
    except (ValueError, httpx.InvalidURL):
        return False


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


def _httpx_proxy(proxy: Proxy, tenant: Tenant, environment: Mapping[str, str]) -> httpx.Proxy:
    secure = proxy.url.startswith("https://")
    return httpx.Proxy(proxy.url, ssl_context=_tls(tenant, environment, to_proxy=True) if secure else None)


# -- how far a request has come


class _Step(Enum):
    CONNECT = auto()
    PROXY_TLS = auto()
    TUNNEL = auto()
    TLS = auto()
    SENT = auto()


@dataclass
class _Progress:
    """The step that a request has reached, as httpcore's trace reports it."""

    proxy: Proxy | None
    longest_s: float
    secure: bool
    has_client_certificate: bool
    step: _Step = _Step.SENT  # a connection that is kept open: the first thing that happens is that it is sent
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    sent_at: float | None = None
    _tunnelled: bool = True
    _opened: bool = False

    async def trace(self, event: str, _: Mapping[str, Any]) -> None:
        """What httpcore calls as it goes on."""
        match event:
            case "connection.connect_tcp.started":
                self.step, self._tunnelled, self._opened = _Step.CONNECT, self.proxy is None, True
            case "connection.start_tls.started":
                self.step = _Step.PROXY_TLS if self.proxy else _Step.TLS
            case "proxy.start_tls.started":
                self.step, self._tunnelled = _Step.TLS, True
            case "http11.send_request_headers.started":
                self.step = _Step.SENT if self._tunnelled else _Step.TUNNEL
                if self._opened and self._tunnelled:
                    self.sent_at = time.perf_counter()
            case _:
                return
        # httpcore bounds each step but the proxy's answer, for which it would wait for ever.
        self.scope.deadline = anyio.current_time() + self.longest_s if self.step is _Step.TUNNEL else math.inf

    @property
    def sent(self) -> bool:
        """Whether the tenant may have received the request."""
        return self.step is _Step.SENT

    @property
    def may_want_certificate(self) -> str:
        """What to try where a TLS connection just ends: many servers do not say which certificate they miss."""
        return _MAYBE_CLIENT if self.secure and not self.has_client_certificate else ""

    @property
    def at_proxy(self) -> bool:
        """Whether the proxy, and not yet the tenant, is spoken to."""
        return self.proxy is not None and self.step in {_Step.CONNECT, _Step.PROXY_TLS, _Step.TUNNEL}


# -- what a failure means

_TROUBLE = (
    httpx.HTTPError,
    httpx.InvalidURL,
    OSError,  # ssl.SSLError and socket.gaierror too, which httpcore lets through while it reads
    UnicodeError,  # a host name that IDNA cannot encode
    MemoryError,
    RuntimeError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
)
"""What httpx, httpcore, anyio and ssl raise for trouble. Of RuntimeError, one message is; all others are our faults."""

_NO_THREAD = "can't start new thread"

_NAME_SERVICE = (
    "the name service does not answer",
    "Check the name service of this machine (/etc/resolv.conf, the VPN), then run again.",
)
_MEMORY = ("memory is exhausted", "Free memory, or lower limits.concurrency in the tenant file.")
_THREADS = ("no thread can be started", "Raise the limit of processes (ulimit -u), or close other programs.")
_ROUTE = (
    "there is no route to the tenant's network",
    "Check the network of this machine: is the VPN connected? Does it speak the tenant's IP version?",
)
_FORBIDDEN = (
    "the connection is forbidden",
    "Let this machine's firewall or sandbox allow connections to the tenant's host and port.",
)

# Errors that the kernel of this machine raises by itself, before or without a packet of the tenant. What a peer causes
# is not here: ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT; and EHOSTUNREACH, which may be a router's answer.
_OF_THIS_MACHINE: Mapping[int, tuple[str, str]] = {
    errno.EMFILE: (
        "this process may open no more files",
        "Raise the limit of open files (ulimit -n), or lower limits.concurrency in the tenant file.",
    ),
    errno.ENFILE: (
        "the system may open no more files",
        "Close other programs, or raise the system's limit (fs.file-max).",
    ),
    errno.ENOMEM: _MEMORY,
    errno.ENOBUFS: _MEMORY,
    # No free port of those that connections leave from; or no address of the tenant's IP version.
    errno.EADDRNOTAVAIL: (
        "no local address or port is free",
        "Wait until earlier connections are gone, or lower limits.concurrency in the tenant file.",
    ),
    errno.ENETDOWN: ("the network is down", "Check the network of this machine, then run again."),
    # The routing table has no entry: a VPN that is not connected, IPv6 only in the name service.
    errno.ENETUNREACH: _ROUTE,
    errno.EAFNOSUPPORT: _ROUTE,
    # connect() itself: a packet filter of this machine, SELinux, a container's policy.
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
}
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_NO_RETRY = frozenset({errno.EACCES, errno.EPERM, errno.EAFNOSUPPORT})

# EAI_NONAME and EAI_NODATA are answers: the name has no address, so base_url is wrong. These are none.
_NAME_SERVICE_CODES = frozenset(
    code for name in ("EAI_AGAIN", "EAI_FAIL", "EAI_SYSTEM", "EAI_MEMORY") if (code := getattr(socket, name, None))
)

_REACH = "Check the host and port in base_url, and whether the tenant is up and reachable from here."
_SPEAKS = "Check base_url: what answers there does not speak HTTP as expected."
_TLS_REMEDY = "Check the host and port in base_url, and the certificate of the host."
_CA = "For a private CA, or a proxy that inspects TLS, name the CA's PEM bundle as ca_file in the tenant file."
_CLIENT = "Set client_cert, and client_key, in the tenant file."
_MAYBE_CLIENT = f"If the tenant asks for a client certificate: {_CLIENT[0].lower()}{_CLIENT[1:]}"

# X.509 verification results, from OpenSSL's x509_vfy.h.
_CERTIFICATES: Mapping[int, tuple[str, str]] = {
    9: (
        "the tenant's certificate is not valid yet",
        "Check the clock of this machine and the certificate of the host.",
    ),
    10: ("the tenant's certificate has expired", "Renew the certificate of the host, or correct this machine's clock."),
    62: (
        "the tenant's certificate is for another host",
        "Set base_url to the host that the certificate names, or have a certificate issued for this host.",
    ),
    **dict.fromkeys(
        (2, 18, 19, 20, 21), ("the tenant's certificate comes from an authority that is not trusted here", _CA)
    ),
    23: ("the tenant's certificate is revoked", "Replace the certificate of the host."),
}
_CERTIFICATES = {**_CERTIFICATES, 64: _CERTIFICATES[62]}
_CLOCK = frozenset({9, 10})


def _diagnose(error: Exception, progress: _Progress) -> NetworkFailure:
    chain = list(_causes(error))
    if isinstance(error, RuntimeError) and _NO_THREAD not in str(error):
        raise error
    sent = progress.sent
    local = _local(chain)
    if local is not None:
        local.sent = sent
        return local
    if progress.at_proxy and progress.proxy is not None:
        return _of_proxy(error, chain, progress.proxy)
    tls = next(
        (item for item in chain if isinstance(item, ssl.SSLError) and not isinstance(item, ssl.SSLEOFError)), None
    )
    if tls is not None:
        return _of_tls(tls, progress)
    return _of_answer(error, progress) if sent else _of_connection(error, chain, progress)


def _of_connection(error: Exception, chain: Sequence[BaseException], progress: _Progress) -> NetworkFailure:
    if any(isinstance(item, socket.gaierror | UnicodeError) for item in chain):
        detail, remedy = "the host's name has no address", "Check the host in base_url: its name has no address."
        return NetworkFailure(Failure.DNS, detail, remedy)
    if progress.step is _Step.TLS:
        remedy = f"{_REACH} {progress.may_want_certificate}".strip()
        return NetworkFailure(Failure.CONNECT, "the connection ended during the TLS handshake", remedy, retry=True)
    return NetworkFailure(Failure.CONNECT, f"no connection ({_reason(error, chain)})", _REACH, retry=True)


def _of_answer(error: Exception, progress: _Progress) -> NetworkFailure:
    if isinstance(error, httpx.LocalProtocolError):
        return _unsendable()
    text = str(error).lower()
    if isinstance(error, httpx.ProtocolError) and "disconnected" not in text and "closed" not in text:
        return NetworkFailure(Failure.PROTOCOL, "what came back is not HTTP", _SPEAKS, sent=True)
    detail, remedy = "the connection was closed without an answer", f"{_SPEAKS} {progress.may_want_certificate}".strip()
    return NetworkFailure(Failure.CLOSED, detail, remedy, retry=True, sent=True)


def _unsendable() -> NetworkFailure:
    """The request itself is impossible: an id or a name that the tenant gave fits into no URL or header."""
    return NetworkFailure(
        Failure.PROTOCOL,
        "the request cannot be sent: its URL or one of its headers is not permitted in HTTP",
        "Look at what the tenant gave before: an id or a name in it fits into no URL or header.",
    )


def _causes(error: BaseException) -> Iterable[BaseException]:
    """The error and all that it came from, each once; where several addresses were tried, what came of each."""
    found: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        item = left.pop(0)
        if item is None or item in found:
            continue
        found.append(item)
        left += [item.__cause__ or item.__context__]
        if isinstance(item, BaseExceptionGroup):
            left += item.exceptions
    return found


def _codes(chain: Iterable[BaseException]) -> list[int]:
    """The error numbers of system calls: of names and of TLS there are others, which look alike."""
    return [
        item.errno
        for item in chain
        if isinstance(item, OSError) and not isinstance(item, socket.gaierror | ssl.SSLError) and item.errno
    ]


def _here(what: str, remedy: str, code: str, *, retry: bool = True) -> NetworkFailure:
    return NetworkFailure(Failure.HERE, f"on this machine: {what} ({code})", remedy, retry=retry)


def _local(chain: Sequence[BaseException]) -> NetworkFailure | None:
    """Trouble on this machine. Where several addresses were tried, a single answer from outside is no such trouble."""
    for item in chain:
        if isinstance(item, socket.gaierror) and item.errno in _NAME_SERVICE_CODES:
            return _here(*_NAME_SERVICE, _name_of(item))
        if isinstance(item, MemoryError):
            return _here(*_MEMORY, "MemoryError")
        if isinstance(item, RuntimeError) and _NO_THREAD in str(item):
            return _here(*_THREADS, "RuntimeError")
    codes = _codes(chain)
    if codes and all(code in _OF_THIS_MACHINE for code in codes):
        return _here(*_OF_THIS_MACHINE[codes[0]], errno.errorcode[codes[0]], retry=codes[0] not in _NO_RETRY)
    return None


def find_exhaustion(error: BaseException) -> NetworkFailure | None:
    """Files, memory or threads that this machine ran out of, where that is why something beside a request failed."""
    codes = _codes([error])
    return _local([error]) if not codes or codes[0] in _EXHAUSTED else None


def _name_of(error: socket.gaierror) -> str:
    """``EAI_AGAIN`` for its number."""
    return next(
        (n for n in dir(socket) if n.startswith("EAI_") and getattr(socket, n) == error.errno), str(error.errno)
    )


def _reason(error: BaseException, chain: Sequence[BaseException]) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return f"none within {CONNECT_TIMEOUT_S:g} s"
    # Not strerror: asyncio puts its own words there, which name a call and not the trouble.
    return next((os.strerror(code) for code in _codes(chain)), "refused")


def _stalled(progress: _Progress) -> NetworkFailure:
    detail = f"{progress.proxy} did not open the connection within {progress.longest_s:g} s"
    return NetworkFailure(Failure.PROXY, detail, "Check the host and port in base_url, and whether the proxy is up.")


def _of_proxy(error: BaseException, chain: Sequence[BaseException], proxy: Proxy) -> NetworkFailure:
    remedy = f"Check {proxy.variable} and whether the proxy is up, or name the tenant's host in NO_PROXY."
    retry = False
    if isinstance(error, httpx.ProxyError):
        status = str(error)[:3]
        if status == "407" and "@" in urlsplit(proxy.url).netloc:
            detail = f"{proxy} does not take the credentials in its URL (407)"
            remedy = f"Correct USER and PASSWORD in {proxy.variable}; percent-encode what a URL cannot hold."
        elif status == "407":
            detail = f"{proxy} asks for credentials (407)"
            remedy = f"Put them into {proxy.variable}: http://USER:PASSWORD@HOST:PORT."
        elif status == "403":
            detail = f"{proxy} forbids the connection to the tenant (403)"
            remedy = "Have the proxy allow the tenant's host and port, or name the host in NO_PROXY."
        else:
            detail = f"{proxy} opens no connection to the tenant (HTTP {status})"
            remedy = "Check the host and port in base_url, and whether the proxy can reach them."
            retry = status.startswith("5")
    elif any(isinstance(item, socket.gaierror | UnicodeError) for item in chain):
        detail = f"{proxy} has no address: its name is unknown"
    elif any(isinstance(item, ssl.SSLError) for item in chain):
        detail = f"the TLS connection to {proxy} failed"
    elif isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        detail, retry = f"{proxy} cannot be reached ({_reason(error, chain)})", True
    else:
        detail, retry = f"{proxy} does not answer as an HTTP proxy", True
    return NetworkFailure(Failure.PROXY, detail, remedy, retry=retry)


def _of_tls(error: ssl.SSLError, progress: _Progress) -> NetworkFailure:
    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        what, remedy = _CERTIFICATES.get(
            error.verify_code, ("the tenant's certificate cannot be verified", _TLS_REMEDY)
        )
        text = error.verify_message.rstrip(".")
        if error.verify_code in _CLOCK:
            text += f"; the clock here says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        detail = f"{what} ({text})"
    elif ("ALERT" in reason and "CERTIFICATE" in reason) or reason.endswith("ALERT_UNKNOWN_CA"):
        if "REQUIRED" in reason or not progress.has_client_certificate:
            detail, remedy = f"the tenant asks for a client certificate ({reason})", _CLIENT
        else:
            detail = f"the tenant refuses the client certificate ({reason})"
            remedy = "Check client_cert in the tenant file: the tenant does not take it. It may be another tenant's."
    elif "ALERT_HANDSHAKE_FAILURE" in reason:
        detail = f"the tenant refuses the TLS handshake ({reason})"
        remedy = f"The tenant may ask for a client certificate, or for another version of TLS. {_CLIENT}"
    elif reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}:
        detail, remedy = f"what answers does not speak TLS ({reason})", _TLS_REMEDY
    else:
        detail, remedy = f"the TLS connection failed ({reason or error.strerror or type(error).__name__})", _TLS_REMEDY
    return NetworkFailure(Failure.TLS, detail, remedy, sent=progress.sent)
