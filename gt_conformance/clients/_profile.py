"""What a client sends today, held beside the wire profile that the runbook has of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gt_conformance.clients._addresses import below, route_of
from gt_conformance.clients._session import Attempt
from gt_conformance.exchange import Exchange
from gt_conformance.runbook import ClientProfile
from gt_conformance.vocabulary import Route

_LIMITS = ("max_tokens", "max_completion_tokens")
_FIELDS = ("temperature", "seed", "user")


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

    said: Any
    seen: Observation

    def __str__(self) -> str:
        """``chat.stream_usage: the profile says never, the client sends always``."""
        said, sent = _shown(self.said), _shown(self.seen.sent)
        return f"{'.'.join(self.seen.path)}: the profile says {said}, the client sends {sent}"


def differences(profile: ClientProfile, attempt: Attempt, base_path: str) -> list[Difference]:
    """Every point in which what was sent is not the profile, as far as it was driven.

    Where a driver had to ask for something else than the client's default, it names the point under ``departs``.
    """
    asked = [call.asked for call in attempt.calls if isinstance(call.asked, dict)]
    departs = {point for one in asked for point in one.get("departs", ())}
    seen = [one for one in observations(attempt, base_path) if ".".join(one.path) not in departs]
    return [Difference(_said(profile, one.path), one) for one in seen if not _agrees(_said(profile, one.path), one)]


def observations(attempt: Attempt, base_path: str) -> Iterator[Observation]:
    """What can be told of a profile from what passed."""
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
    yield from _surface(attempt, base_path, by_route.get(Route.CHAT, []))
    asked = str([call.asked for call in attempt.calls if call.route is Route.CHAT])
    yield from _chat([(one.ref, body) for one in by_route.get(Route.CHAT, []) if (body := _json(one))], asked)
    yield from _embeddings([(one.ref, body) for one in by_route.get(Route.EMBEDDINGS, []) if (body := _json(one))])


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
    ref, telling = max(bodies, key=lambda one: len(texts) if isinstance(texts := one[1].get("input"), list) else 0)
    given = [one for _, body in bodies for one in (body.get("input"),)]
    kinds = {"strings" if isinstance(_first(one), str) else "token_ids" for one in given}
    yield Observation(
        ("embeddings", "encoding_format"), str(telling.get("encoding_format") or "none"), Route.EMBEDDINGS, ref
    )
    yield Observation(("embeddings", "input"), min(kinds), Route.EMBEDDINGS, ref)
    batch = any(isinstance(one, list) and len(one) > 1 and not isinstance(one[0], int) for one in given)
    yield Observation(("embeddings", "batch"), batch, Route.EMBEDDINGS, ref)


def _said(profile: ClientProfile, path: Sequence[str]) -> Any:
    value: Any = profile
    for name in path:
        value = dict(value).get(name) if isinstance(value, tuple) else getattr(value, name, None)
    return value


def _agrees(said: Any, seen: Observation) -> bool:
    """Whether what was seen is what the profile says, or a part of it: a driver need not do all that a client can."""
    within = {
        ("chat", "stream"): said == "both",
        ("chat", "stream_usage"): said == "optional",
        ("chat", "token_limit"): said == "none" and seen.asked,
        ("chat", "token_limit_value"): said is None or seen.asked,
        ("chat", "load", "tools"): said is None or seen.asked,
        ("embeddings", "batch"): said is True,
    }
    return bool(said == seen.sent or within.get(seen.path, False))


def _first(given: Any) -> Any:
    return given[0] if isinstance(given, list) and given else given


def _json(exchange: Exchange) -> Mapping[str, Any] | None:
    try:
        value = json.loads(exchange.request.body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else "nothing" if value is None else json.dumps(value)
