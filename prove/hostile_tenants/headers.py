"""Hostile headers: endless, slow, and full of what a report must not show."""

import itertools

from prove.hostile_tenants._answers import beyond_controls, everything, for_ever, saying, whole
from prove.hostile_tenants._front import Hostile
from prove.hostile_tenants.contents import MARKUP

_ODD = [
    "X-Odd: \x1b[2J\x1b]0;gone\x07\x9b31m",
    f"X-Markup: {MARKUP}",
    "X-Latin: \xe9\xff",
    "Set-Cookie: session=taken; Domain=localhost",
]

HOSTILE = (
    Hostile(
        "endless-header",
        "one header that never ends",
        for_ever(b"HTTP/1.1 200 OK\r\nX-Endless: ", lambda: itertools.repeat(b"x" * 65536)),
        everything,
    ),
    Hostile(
        "endless-headers",
        "headers without end",
        for_ever(b"HTTP/1.1 200 OK\r\n", lambda: (b"X-Header-%d: x\r\n" % number for number in itertools.count())),
        beyond_controls,
    ),
    Hostile(
        "slow-headers",
        "headers at ten bytes a second",
        for_ever(b"HTTP/1.1 200 OK\r\n", lambda: itertools.repeat(b"X: 12345\r\n"), pause_s=1.0),
        beyond_controls,
    ),
    Hostile(
        "odd-headers",
        "a status line and headers that hold escapes, markup and cookies",
        saying(whole(b"{}", f"403 \x1b[2J{MARKUP}", *_ODD)),
        beyond_controls,
    ),
)
