"""Hostile tenants: raw servers before the embedded tenant, each of which does one kind of harm to whoever asks it."""

from prove.hostile_tenants import contents, transport
from prove.hostile_tenants._front import Elsewhere, Front, Hostile

HOSTILE: tuple[Hostile, ...] = (*transport.HOSTILE, *contents.HOSTILE)

__all__ = ["HOSTILE", "Elsewhere", "Front", "Hostile"]
