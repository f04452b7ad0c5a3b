"""What a failure means: this machine's, the operator's proxy's, or the tenant's; and what to do about it."""

import errno
import os
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpcore

from gt_conformance.exchange import Failure
from gt_conformance.network._environment import Proxy
from gt_conformance.network._streams import Progress, Step

CONNECT_TIMEOUT_S = 10.0

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
class Way:
    """The way that every request of a client takes. Where something else is not known, this tells what a failure is."""

    proxy: Proxy | None
    longest_s: float
    secure: bool
    has_client_certificate: bool

    @property
    def may_want_certificate(self) -> str:
        """What to try where a TLS connection just ends: many servers do not say which certificate they miss."""
        return _MAYBE_CLIENT if self.secure and not self.has_client_certificate else ""


TROUBLE = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    OSError,  # ssl.SSLError and socket.gaierror too
    UnicodeError,  # a host name that IDNA cannot encode
    MemoryError,
    RuntimeError,
)
"""What is raised for trouble while a request is sent. Of RuntimeError, one message is; all others are our faults."""

_AT_PROXY = frozenset({Step.CONNECT, Step.PROXY_TLS, Step.TUNNEL})
_NEEDS_CREDENTIALS, _FORBIDS = "407", "403"
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
_NO_TLS = (
    "Check the host and port in base_url: plain HTTP may be spoken at that port. Only for this machine itself may "
    "base_url begin with http://."
)
_MAYBE_TLS = "If it is a port for TLS, write https:// in base_url."
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


def diagnose(error: Exception, way: Way, progress: Progress) -> NetworkFailure:
    """What it means that sending failed like that, so far on the way."""
    chain = list(_causes(error))
    if isinstance(error, RuntimeError) and _NO_THREAD not in str(error):
        raise error
    if isinstance(error, httpcore.LocalProtocolError):
        return unsendable()
    step = progress.step
    local = _local(chain)
    if local is not None:
        local.sent = step is Step.SENT  # the tenant may have received the request
        return local
    if way.proxy is not None and step in _AT_PROXY:
        return _of_proxy(error, chain, way, way.proxy, step)
    tls = next(
        (item for item in chain if isinstance(item, ssl.SSLError) and not isinstance(item, ssl.SSLEOFError)), None
    )
    if tls is not None:
        return _of_tls(tls, way, step)
    return _of_answer(error, way) if step is Step.SENT else _of_connection(error, chain, way, step)


def _of_connection(error: Exception, chain: Sequence[BaseException], way: Way, step: Step) -> NetworkFailure:
    if any(isinstance(item, socket.gaierror | UnicodeError) for item in chain):
        detail, remedy = "the host's name has no address", "Check the host in base_url: its name has no address."
        if way.proxy is None:
            remedy += " Where a proxy alone knows it, set HTTPS_PROXY."
        return NetworkFailure(Failure.DNS, detail, remedy)
    if step is Step.TLS:
        remedy = f"{_REACH} {way.may_want_certificate}".strip()
        return NetworkFailure(Failure.CONNECT, "the connection ended during the TLS handshake", remedy, retry=True)
    return NetworkFailure(Failure.CONNECT, f"no connection ({_reason(error, chain)})", _REACH, retry=True)


def _of_answer(error: Exception, way: Way) -> NetworkFailure:
    text = str(error).lower()
    if isinstance(error, httpcore.RemoteProtocolError) and "disconnected" not in text and "closed" not in text:
        return NetworkFailure(Failure.PROTOCOL, "what came back is not HTTP", _SPEAKS, sent=True)
    hint = way.may_want_certificate if way.secure else _MAYBE_TLS
    detail, remedy = "the connection was closed without an answer", f"{_SPEAKS} {hint}".strip()
    return NetworkFailure(Failure.CLOSED, detail, remedy, retry=True, sent=True)


def unsendable() -> NetworkFailure:
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


def hanging_name_service() -> NetworkFailure:
    """The name service leaves a question open."""
    return _here(*_NAME_SERVICE, "no answer")


def _name_of(error: socket.gaierror) -> str:
    """``EAI_AGAIN`` for its number."""
    return next(
        (n for n in dir(socket) if n.startswith("EAI_") and getattr(socket, n) == error.errno), str(error.errno)
    )


def _reason(error: BaseException, chain: Sequence[BaseException]) -> str:
    if isinstance(error, httpcore.ConnectTimeout):
        return f"none within {CONNECT_TIMEOUT_S:g} s"
    # Not strerror: asyncio puts its own words there, which name a call and not the trouble.
    return next((os.strerror(code) for code in _codes(chain)), "refused")


def _of_proxy(
    error: BaseException, chain: Sequence[BaseException], way: Way, proxy: Proxy, step: Step
) -> NetworkFailure:
    remedy = f"Check {proxy.variable} and whether the proxy is up, or name the tenant's host in NO_PROXY."
    retry = False
    if isinstance(error, httpcore.ReadTimeout):
        detail = f"{proxy} did not open the connection within {way.longest_s:g} s"
        remedy = "Check the host and port in base_url, and whether the proxy is up."
    elif isinstance(error, httpcore.ProxyError):
        status = str(error)[:3]
        if status == _NEEDS_CREDENTIALS and "@" in urlsplit(proxy.url).netloc:
            detail = f"{proxy} does not take the credentials in its URL (407)"
            remedy = f"Correct USER and PASSWORD in {proxy.variable}; percent-encode what a URL cannot hold."
        elif status == _NEEDS_CREDENTIALS:
            detail = f"{proxy} asks for credentials (407)"
            remedy = (
                f"Put them into {proxy.variable}: http://USER:PASSWORD@HOST:PORT. They go by Basic "
                "authentication: if the proxy takes NTLM or Kerberos alone, run a local proxy that speaks it, and name "
                "that one."
            )
        elif status == _FORBIDS:
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
    elif step is not Step.TUNNEL:
        detail, retry = f"{proxy} cannot be reached ({_reason(error, chain)})", True
    else:
        detail, retry = f"{proxy} does not answer as an HTTP proxy", True
    return NetworkFailure(Failure.PROXY, detail, remedy, retry=retry)


def _of_tls(error: ssl.SSLError, way: Way, step: Step) -> NetworkFailure:
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
        if "REQUIRED" in reason or not way.has_client_certificate:
            detail, remedy = f"the tenant asks for a client certificate ({reason})", _CLIENT
        else:
            detail = f"the tenant refuses the client certificate ({reason})"
            remedy = "Check client_cert in the tenant file: the tenant does not take it. It may be another tenant's."
    elif "ALERT_HANDSHAKE_FAILURE" in reason:
        detail = f"the tenant refuses the TLS handshake ({reason})"
        remedy = f"The tenant may ask for a client certificate, or for another version of TLS. {_CLIENT}"
    elif reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}:
        detail, remedy = f"what answers does not speak TLS ({reason})", _NO_TLS
    else:
        detail, remedy = f"the TLS connection failed ({reason or error.strerror or type(error).__name__})", _TLS_REMEDY
    return NetworkFailure(Failure.TLS, detail, remedy, sent=step is Step.SENT)
