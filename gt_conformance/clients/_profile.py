"""What a client sends: on which routes, in which shape, and where that is not what the runbook's wire profile says."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gt_conformance import document
from gt_conformance.clients._session import Attempt, Session
from gt_conformance.errors import InputError, Location
from gt_conformance.exchange import Exchange
from gt_conformance.runbook import ClientProfile, Runbook
from gt_conformance.vocabulary import Route

_ALIAS = re.compile(r"/v1/uploads/[^/]+")
_LOOKUP = re.compile(r"/v1/models/.+")
_FOREIGN = re.compile(r"/v1/(?:responses|completions|files|assistants|threads|batches|fine_tuning|vector_stores)\b.*")
_LIMITS = ("max_tokens", "max_completion_tokens")
_FIELDS = ("temperature", "seed", "user")
_HEADERS = {"user-agent": "User-Agent", "accept-encoding": "Accept-Encoding"}
_RELEASE = re.compile(r"/?v?\d.*", re.DOTALL)
"""What of a User-Agent changes with each release and each machine; the name before it is what gateways decide by."""
_AT = 6
"""The indentation of a client's own keys in a runbook; those of ``chat`` are indented by two more."""
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./ +@-]*")
_FLOW = re.compile(r"(?P<head>\s*[a-z_]+: )\{(?P<inner>.*)\}(?P<rest>[^}]*)")
_BETWEEN = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)(?![^\[{]*[\]}])')
"""The commas between the entries of a mapping on one line; a text, a list and a mapping in it have their own."""
_AFTER = "token_limit"

Change = tuple[Sequence[str], Any]
"""A place in the profile (``("chat", "stream_usage")``) and its new value; None takes it out."""


# --- routes ----------------------------------------------------------------------------------------------------------


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
    route = Route.at(path)
    return route if route is not None and route.method == method else None


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


# --- shape -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Observation:
    """One point of a profile as it was seen: ``path`` is its place there (``chat.stream_usage``).

    ``asked`` is True where the driver asked the client for it by name: it is not what the client does by itself then.
    """

    path: tuple[str, ...]
    sent: Any
    route: Route
    exchange: str
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """Where what was seen is not what the profile says."""

    documented: Any
    seen: Observation

    def __str__(self) -> str:
        """``chat.stream_usage: the profile says never, the client sends always``."""
        documented, sent = _describe(self.documented), _describe(self.seen.sent)
        return f"{'.'.join(self.seen.path)}: the profile says {documented}, the client sends {sent}"


def differences(profile: ClientProfile, attempt: Attempt, base_path: str) -> list[Difference]:
    """Every point in which what was sent is not the profile, as far as it was driven.

    Where a driver had to ask for something else than the client's default, it names the point under ``departs``.
    """
    asked = [call.asked for call in attempt.calls if isinstance(call.asked, dict)]
    departs = {point for one in asked for point in one.get("departs", ())}
    seen = [one for one in observe(attempt, base_path) if ".".join(one.path) not in departs]
    found = [Difference(_value_in(profile, one.path), one) for one in seen]
    return [one for one in found if not _agrees(one.documented, one.seen)]


def observe(attempt: Attempt, base_path: str) -> Iterator[Observation]:
    """Every point of a profile that can be seen in what passed."""
    by_route: dict[Route, list[Exchange]] = {}
    for passage in attempt.passages:
        route = route_of(passage.exchange, base_path)
        if route is not None and not passage.answered_here:
            by_route.setdefault(route, []).append(passage.exchange)
    if not attempt.base_path.endswith("/v1"):
        for route, exchanges in by_route.items():
            rest = urlsplit(exchanges[0].request.url).path.removeprefix(attempt.base_path)
            joins = "adds_v1" if rest.startswith("/v1/") else "verbatim"
            yield Observation(("joins",), joins, route, exchanges[0].ref)
    for exchange in by_route.get(Route.CHAT, [])[:1]:
        for name, value in exchange.request.headers:
            if shown := _HEADERS.get(name.lower()):
                yield Observation(("headers", shown), value, Route.CHAT, exchange.ref)
    yield from _surface(attempt, base_path, by_route.get(Route.CHAT, []))
    asked = str([call.asked for call in attempt.calls if call.route is Route.CHAT])
    yield from _chat([(one.ref, body) for one in by_route.get(Route.CHAT, []) if (body := _json_of(one))], asked)
    yield from _embeddings([(one.ref, body) for one in by_route.get(Route.EMBEDDINGS, []) if (body := _json_of(one))])


def _surface(attempt: Attempt, base_path: str, chats: Sequence[Exchange]) -> Iterator[Observation]:
    for passage in attempt.passages:
        if below(passage.exchange, base_path) == "/v1/responses" and not chats:
            yield Observation(("default_surface",), "/responses", Route.CHAT, passage.exchange.ref)
            return


def _chat(bodies: Sequence[tuple[str, Mapping[str, Any]]], asked: str) -> Iterator[Observation]:
    if not bodies:
        return
    ref = bodies[0][0]

    def seen(*path: str, sent: Any, by_name: bool = False) -> Observation:
        return Observation(("chat", *path), sent, Route.CHAT, ref, by_name)

    streams = {bool(body.get("stream")) for _, body in bodies}
    yield seen("stream", sent="both" if len(streams) == 2 else "always" if streams == {True} else "never")
    usage = [bool((body.get("stream_options") or {}).get("include_usage")) for _, body in bodies if body.get("stream")]
    if usage:
        yield seen("stream_usage", sent="always" if all(usage) else "optional" if any(usage) else "never")
    for name in _LIMITS:
        if any(body.get(name) is not None for _, body in bodies):
            yield seen("token_limit", sent=name, by_name="tokens" in asked)
            value = next(body[name] for _, body in bodies if body.get(name) is not None)
            yield seen("token_limit_value", sent=value, by_name="tokens" in asked)
    for name in _FIELDS:
        values = {json.dumps(body.get(name)) for _, body in bodies}
        if len(values) == 1 and name not in asked:
            yield seen("fields", name, sent=json.loads(values.pop()))
    tools = max(len(body.get("tools") or ()) for _, body in bodies)
    if tools:
        yield seen("tools", sent=True)
        yield seen("load", "tools", sent=tools, by_name="tools" in asked)


def _embeddings(bodies: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[Observation]:
    if not bodies:
        return
    # A client that tries a model before it keeps it does so with one plain text, and less exactly than in earnest.
    ref, fullest = max(bodies, key=lambda one: len(texts) if isinstance(texts := one[1].get("input"), list) else 0)
    given = [one for _, body in bodies for one in (body.get("input"),)]
    kinds = {"strings" if isinstance(_first_of(one), str) else "token_ids" for one in given}
    yield Observation(
        ("embeddings", "encoding_format"), str(fullest.get("encoding_format") or "none"), Route.EMBEDDINGS, ref
    )
    yield Observation(("embeddings", "input"), min(kinds), Route.EMBEDDINGS, ref)
    batch = any(isinstance(one, list) and len(one) > 1 and not isinstance(one[0], int) for one in given)
    yield Observation(("embeddings", "batch"), batch, Route.EMBEDDINGS, ref)


def _value_in(profile: ClientProfile, path: Sequence[str]) -> Any:
    value: Any = profile
    for name in path:
        value = dict(value).get(name) if isinstance(value, tuple) else getattr(value, name, None)
    return value


def _agrees(documented: Any, seen: Observation) -> bool:
    """Whether what was seen is what the profile says, or a part of it: a driver need not do all that a client can."""
    if seen.path[0] == "headers":
        return documented is None or _RELEASE.sub("", documented) == _RELEASE.sub("", str(seen.sent))
    within = {
        ("chat", "stream"): documented == "both",
        ("chat", "stream_usage"): documented == "optional",
        ("chat", "token_limit"): documented == "none" and seen.asked,
        ("chat", "token_limit_value"): documented is None or seen.asked,
        ("chat", "load", "tools"): documented is None or seen.asked,
        ("embeddings", "batch"): documented is True,
    }
    return bool(documented == seen.sent or within.get(seen.path, False))


def _first_of(given: Any) -> Any:
    return given[0] if isinstance(given, list) and given else given


def _json_of(exchange: Exchange) -> Mapping[str, Any] | None:
    try:
        value = json.loads(exchange.request.body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _describe(value: Any) -> str:
    return value if isinstance(value, str) else "nothing" if value is None else json.dumps(value)


# --- what changed since the profile was measured ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Need:
    """What a profile says that its client fails without, where others do not: ``chat.needs.done``."""

    name: str
    route: Route

    def __str__(self) -> str:
        """``chat.needs.done``."""
        return f"{self.route.value}.needs.{self.name}"


def needs_of(profile: ClientProfile) -> tuple[Need, ...]:
    """Every need of a profile; ``lf_data_only`` is that of a parser that takes only ``data: ...`` lines ended by LF."""
    framing = () if profile.chat.sse == "tolerant" else (profile.chat.sse,)
    embedding = profile.embeddings.needs if profile.embeddings else ()
    return (
        *(Need(name, Route.CHAT) for name in (*profile.chat.needs, *framing)),
        *(Need(name, Route.EMBEDDINGS) for name in embedding),
    )


def is_proved(need: Need, sound: Session, lacking: Session) -> bool:
    """Whether the client, driven at a tenant that lacks it, fails or gets something else there than it got before."""
    if not lacking.attempts or lacking.documented.ended.trouble is not None:
        return lacking.trouble is None
    before, after = ([call for call in one.documented.calls if call.route is need.route] for one in (sound, lacking))
    return [(one.name, one.returned) for one in before] != [(one.name, one.returned) for one in after]


@dataclass(frozen=True)
class Measurement:
    """A client driven once, held beside its profile. ``profile`` is None where the runbook has none of it."""

    session: Session
    profile: ClientProfile | None
    differences: tuple[Difference, ...] = ()
    discovery: tuple[str, ...] = ()
    """Requests below the base URL by which it finds out what the server is, and of which the profile says nothing."""
    stale: tuple[Need, ...] = ()
    """What the profile says that it needs, and without which it got what it asked for."""

    @property
    def failure(self) -> str | None:
        """Why nothing is known of what the client does now: it was not driven, or not to its end."""
        if self.session.trouble is not None:
            return f"not driven: {self.session.trouble} {self.session.remedy}".strip()
        ended = self.session.documented.ended
        if ended.trouble is None and ended.calls:
            return None
        return f"the session is not whole: {ended.trouble or 'its driver asked it for nothing'}"

    @property
    def drifted(self) -> bool:
        """Whether it does something else than its profile says."""
        return bool(self.differences or self.discovery or self.stale)


def measure(book: Runbook, session: Session, base_path: str) -> Measurement:
    """The client's first attempt, held beside its profile in the runbook."""
    profile = next((one for one in book.measured_clients if one.package == session.client.profile), None)
    if profile is None or not session.attempts:
        return Measurement(session, profile)
    attempt = session.documented
    asked = [line_of(one, base_path) for one in discovery(attempt, base_path) if not is_lookup(one, base_path)]
    new = tuple(dict.fromkeys(line for line in asked if line not in profile.discovery))
    found = {one.seen.path: one for one in differences(profile, attempt, base_path)}
    return Measurement(session, profile, tuple(found.values()), new)


def update(book: Runbook, found: Sequence[Measurement]) -> Path:
    """Write what was measured, with version and date, into the runbook's file; the rest of it stays as it is.

    Raises InputError where the file would no longer hold to its schema, or is laid out in another way.
    """
    path = book.document.path
    packages = [profile.package for profile in book.measured_clients]
    text = path.read_text(encoding="utf-8")
    for one in found:
        if one.profile is None or one.failure is not None:
            continue
        place = ("wire", "clients", packages.index(one.profile.package))
        line = _read(text, path.name).locate(*place).line or 1  # an earlier profile may have become longer
        changes: list[Change] = [(("version",), one.session.version), (("on",), one.session.on.isoformat())]
        changes += [(("how",), "driven")] if one.profile.how == "source" else []
        changes += [(item.seen.path, item.seen.sent) for item in one.differences]
        try:
            text = rewrite_profile(text, line, changes)
        except ValueError as error:
            raise InputError.of(
                f"the profile of {one.profile.package} cannot be written: {error}.",
                where=Location(str(path), line),
                hint="Write it by hand.",
            ) from None
    _read(text, path.name)
    path.write_text(text, encoding="utf-8")
    return path


def _read(text: str, name: str) -> document.Document:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        return document.read(path, schema="runbook")


def rewrite_profile(text: str, line: int, changes: Sequence[Change]) -> str:
    """The text of a runbook with the profile that begins at that line (counted from 1) changed.

    Raises ValueError where the profile is not laid out as runbooks are: then it has to be written by hand.
    """
    lines = text.splitlines(keepends=True)
    first = line - 1
    last = next((at for at in range(first + 1, len(lines)) if _ends(lines[at])), len(lines))
    entry = lines[first:last]
    for path, value in changes:
        entry = _change(entry, tuple(path), value)
    return "".join([*lines[:first], *entry, *lines[last:]])


def _ends(line: str) -> bool:
    return bool(line.strip()) and len(line) - len(line.lstrip()) < _AT


def _change(entry: list[str], path: tuple[str, ...], value: Any) -> list[str]:
    *outer, name = path
    if outer in (["embeddings"], ["headers"]) or len(outer) == 2:
        return _change_mapping(entry, outer[-1], _AT + 2 * (len(outer) - 1), {name: value})
    indent = _AT + 2 * len(outer)
    at = _find(entry, name, indent)
    if at is None:
        return _insert(entry, f"{name}: {_scalar(value)}", indent)
    end = "\n" if entry[at].endswith("\n") else ""
    return [*entry[:at], f"{' ' * indent}{name}: {_scalar(value)}{end}", *entry[at + 1 :]]


def _change_mapping(entry: list[str], name: str, indent: int, new: Mapping[str, Any]) -> list[str]:
    at = _find(entry, name, indent)
    known: dict[str, str] = {}
    head, rest = f"{' ' * indent}{name}: ", ""
    if at is not None:
        found = _FLOW.fullmatch(entry[at].rstrip("\n"))
        if found is None:
            raise ValueError(f"{name} is not on one line, in braces")
        head, rest = found["head"], found["rest"]
        known = dict(part.strip().split(": ", 1) for part in _BETWEEN.split(found["inner"]) if part.strip())
    for key, value in new.items():
        known.pop(key, None) if value is None else known.update({key: _scalar(value)})
    line_now = f"{head}{{{', '.join(f'{key}: {value}' for key, value in known.items())}}}{rest}\n"
    if at is None:
        return _insert(entry, line_now.strip(), indent)
    return [*entry[:at], *([line_now] if known else []), *entry[at + 1 :]]


def _insert(entry: list[str], text: str, indent: int) -> list[str]:
    at = _find(entry, _AFTER, _AT + 2)
    if at is None or indent != _AT + 2:
        raise ValueError(f"there is no room for {text!r}")
    return [*entry[: at + 1], f"{' ' * indent}{text}\n", *entry[at + 1 :]]


def _find(entry: Sequence[str], name: str, indent: int) -> int | None:
    start = f"{' ' * indent}{name}:"
    return next((at for at, line in enumerate(entry) if line.startswith(start)), None)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and (_PLAIN.fullmatch(value) or re.fullmatch(r"\d+\.\d+\.\d\S*|\d{4}-\d\d-\d\d", value)):
        return value
    return json.dumps(value)
