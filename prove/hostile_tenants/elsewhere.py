"""Tenants that send the run somewhere else, or bid it wait."""

import json

from prove.hostile_tenants._answers import at, beyond_controls, everything, saying, whole
from prove.hostile_tenants._front import Asked, Hostile, Line


async def _loop(asked: Asked, line: Line) -> None:
    await line.say(whole(b"{}", "308 Permanent Redirect", f"Location: {asked.path}"))


async def _away(_: Asked, line: Line) -> None:
    await line.say(whole(b"{}", "307 Temporary Redirect", f"Location: {line.elsewhere}/api/tenant/v1/models"))


async def _made_away(_: Asked, line: Line) -> None:
    """What is made lies elsewhere, by every word that a client could follow."""
    there = line.elsewhere
    body = json.dumps({"id": f"{there}/files/1", "status_url": there, "data": [{"url": f"{there}/1.png"}]})
    headers = [
        f"Location: {there}",
        f"Refresh: 0; url={there}",
        f"Link: <{there}>; rel=preload",
        f'Alt-Svc: h2="{there}"',
    ]
    await line.say(whole(body.encode(), "201 Created", *headers))


HOSTILE = (
    Hostile("redirect-loop", "redirects every request to itself", _loop, beyond_controls),
    Hostile("redirect-elsewhere", "redirects every request to another host", _away, beyond_controls),
    Hostile("redirect-elsewhere-at-once", "redirects the very first request to another host", _away, everything),
    Hostile("made-elsewhere", "says that whatever it made lies on another host", _made_away, beyond_controls),
    Hostile(
        "come-back-later",
        "answers 429, and asks for a second's patience each time",
        saying(whole(b'{"error": "busy"}', "429 Too Many Requests", "Retry-After: 1")),
        beyond_controls,
    ),
    Hostile(
        "come-back-yesterday",
        "answers 503, and names a time that is no time",
        saying(whole(b'{"error": "busy"}', "503 Service Unavailable", "Retry-After: -1e309")),
        beyond_controls,
    ),
    Hostile(
        "never-ready",
        "processes every upload for ever",
        saying(whole(b'{"id": "file_1", "status": "processing"}')),
        at("/files", "/files/file_1"),
    ),
)
