"""Hostile tenants: raw servers before the embedded tenant, each of which does one harm to whoever asks it."""

from prove.hostile_tenants import bodies, connections, contents, elsewhere, headers, streams
from prove.hostile_tenants._front import Elsewhere, Front, Hostile

HOSTILE: tuple[Hostile, ...] = (
    *connections.HOSTILE,
    *headers.HOSTILE,
    *bodies.HOSTILE,
    *streams.HOSTILE,
    *contents.HOSTILE,
    *elsewhere.HOSTILE,
)

__all__ = ["HOSTILE", "Elsewhere", "Front", "Hostile"]
