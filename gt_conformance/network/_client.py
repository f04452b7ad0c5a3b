"""The client: what it is asked to send, as a message of HTTP, and the answer while it arrives."""

import mimetypes
import re
import secrets
from base64 import b64encode
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

import anyio

from gt_conformance.exchange import FilePart
from gt_conformance.network._environment import find_proxy, make_tls
from gt_conformance.network._failure import TROUBLE, Way, diagnose, hanging_name_service, unsendable
from gt_conformance.network._http1 import Answer, ConnectTimeout, Header, Message, Peer, Pool, Progress, Step
from gt_conformance.tenant import Tenant, is_loopback

_NAME_LOOKUP_S = 2.0
"""After a connection timed out: how long a second look at the name service may take before it is the one at fault."""
_KEPT = 8
_LONGEST_URL = 65_536
_PORTS = {"http": 80, "https": 443}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# The path and query percent-encode sets of https://url.spec.whatwg.org/.
_UNSAFE_IN_PATH = re.compile(r"[^!$-;=@-_a-z|~]")
_UNSAFE_IN_QUERY = re.compile(r"[^!$-;=?-~]")
_UNSAFE_IN_FORM = re.compile(r'["\\\x00-\x1f]')
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class HttpClient:
    """A pool of connections to one tenant, direct or through the proxy that the environment names.

    The environment is read here and never again: whoever runs the tests may change it meanwhile, in another thread.
    Raises Blocked where a setting of the environment cannot be used.
    """

    def __init__(
        self, tenant: Tenant, environment: Mapping[str, str], *, connections: int | None, connect_timeout_s: float
    ) -> None:
        parts = urlsplit(tenant.base_url)
        secure, host, port = parts.scheme == "https", parts.hostname or "", parts.port or _PORTS[parts.scheme]
        # A proxy may be between this machine and a tenant, never between this machine and itself.
        proxy = None if is_loopback(host) else find_proxy(environment, host, port)
        to_proxy, authorization = None, None
        if proxy is not None:
            at = urlsplit(proxy.url)
            tls = make_tls(tenant, environment, to_proxy=True) if at.scheme == "https" else None
            to_proxy, authorization = Peer(at.hostname or "", at.port or _PORTS[at.scheme], tls), _basic(at)
        to_tenant = Peer(_ascii(host), port, make_tls(tenant, environment) if secure else None)
        self._way = Way(proxy, connect_timeout_s, secure, tenant.client_certificate is not None)
        self._host = to_tenant.named if port == _PORTS[parts.scheme] else f"{to_tenant.named}:{port}"
        self._dialled = to_proxy or to_tenant
        self._pool = Pool(to_tenant, to_proxy, authorization, timeout_s=connect_timeout_s, kept=connections or _KEPT)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    def send(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        body: bytes = b"",
        parts: Sequence[FilePart] = (),
    ) -> AbstractAsyncContextManager["Received"]:
        """The answer to a request, while it arrives. Raises NetworkFailure."""
        try:
            target = _target_of(url)
            raw = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers]
            names = {name.lower() for name, _ in raw}
            kind: list[Header] = []
            if parts:
                body, boundary = _multipart(parts)
                if b"content-type" not in names:
                    kind = [(b"Content-Type", b"multipart/form-data; boundary=" + boundary)]
        except ValueError as error:
            raise unsendable() from error
        if not names & _FRAMING and (body or method in _WITH_BODY):
            raw.append((b"Content-Length", b"%d" % len(body)))
        raw += kind
        if b"host" not in names:
            raw.insert(0, (b"Host", self._host.encode("ascii")))
        return self._exchange(Message(method, target, raw, body))

    def forward(
        self, method: str, target: bytes, headers: Sequence[Header], body: AsyncIterable[bytes] | None
    ) -> AbstractAsyncContextManager["Received"]:
        """The answer to another program's request, which is passed on with its own path and headers, byte for byte."""
        if body is None and method in _WITH_BODY and not {name.lower() for name, _ in headers} & _FRAMING:
            headers = [*headers, (b"Content-Length", b"0")]
        return self._exchange(Message(method, target, headers, b"" if body is None else body))

    @asynccontextmanager
    async def _exchange(self, message: Message) -> AsyncIterator["Received"]:
        progress = Progress()
        try:
            answer = await self._pool.send(message, progress)
        except TROUBLE as error:
            if isinstance(error, ConnectTimeout) and progress.step is Step.CONNECT and await self._name_hangs():
                raise hanging_name_service() from error
            raise diagnose(error, self._way, progress) from error
        try:
            yield Received(answer, self._way, progress)
        finally:
            answer.close()

    async def _name_hangs(self) -> bool:
        """Whether the name service leaves a question about the host open: then no connection was even tried."""
        with anyio.move_on_after(_NAME_LOOKUP_S, shield=True) as scope, suppress(OSError, UnicodeError):
            await anyio.getaddrinfo(self._dialled.host, self._dialled.port)
        return scope.cancelled_caught


class Received:
    """An answer whose head has arrived: its status, its raw headers, and its body, to be iterated."""

    def __init__(self, answer: Answer, way: Way, progress: Progress) -> None:
        self.status = answer.status
        self.headers: Sequence[Header] = answer.headers
        self._answer = answer
        self._way = way
        self._progress = progress

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes of the body, as they come. Raises NetworkFailure where it breaks off."""
        try:
            piece = await self._answer.next_piece()
        except TROUBLE as error:
            raise diagnose(error, self._way, self._progress) from error
        if piece is None:
            raise StopAsyncIteration
        return piece


def _target_of(url: str) -> bytes:
    """What a request asks for, of its URL: path and query, escaped where they have to be, without dots for segments."""
    if len(url) > _LONGEST_URL or _CONTROL.search(url):
        raise ValueError("no URL")
    whole = url.partition("#")[0]
    path, mark, query = whole[whole.find("/", whole.find("://") + 3) :].partition("?")
    target = _UNSAFE_IN_PATH.sub(_escaped, _without_dots(path)) + mark + _UNSAFE_IN_QUERY.sub(_escaped, query)
    return target.encode("ascii")


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8"))


def _without_dots(path: str) -> str:
    """The path without the segments ``.`` and ``..`` (RFC 3986, section 5.2.4)."""
    segments = path.split("/")
    if not {".", ".."} & set(segments):
        return path
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            if kept not in ([], [""]):
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    return "/".join(kept)


def _multipart(parts: Sequence[FilePart]) -> tuple[bytes, bytes]:
    """The parts as one body, and what stands between them."""
    boundary = secrets.token_hex(16).encode("ascii")
    pieces: list[bytes] = []
    for part in parts:
        fields = [f'Content-Disposition: form-data; name="{_form(part.name)}"']
        kind = part.content_type
        if part.filename:
            fields[0] += f'; filename="{_form(part.filename)}"'
            kind = kind or mimetypes.guess_type(part.filename)[0] or "application/octet-stream"
        if kind:
            fields.append(f"Content-Type: {kind}")
        head = "\r\n".join(fields).encode("utf-8")
        pieces += (b"--", boundary, b"\r\n", head, b"\r\n\r\n", part.content, b"\r\n")
    return b"".join((*pieces, b"--", boundary, b"--\r\n")), boundary


def _form(text: str) -> str:
    """A name as it stands in a form (https://html.spec.whatwg.org/#multipart-form-data)."""
    return _UNSAFE_IN_FORM.sub(lambda found: "\\\\" if found[0] == "\\" else f"%{ord(found[0]):02X}", text)


def _ascii(host: str) -> str:
    """A host as it stands in a request: a name in other letters by its other form."""
    if host.isascii():
        return host
    import idna  # noqa: PLC0415 - for few hosts

    try:
        return idna.encode(host).decode("ascii")
    except idna.IDNAError:
        return host  # it has no address, which is found when it is looked up


def _basic(proxy: SplitResult) -> bytes | None:
    """The credentials of a proxy's URL."""
    if proxy.username is None and proxy.password is None:
        return None
    pair = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}"
    return b"Basic " + b64encode(pair.encode("utf-8"))
