"""After the command: is the old secret dead, does the new one see what the old one saw, are the others as they were."""

import dataclasses
from collections.abc import Callable
from functools import partial

import anyio

from gt_conformance.rotation import _notes as notes
from gt_conformance.rotation._account import Account
from gt_conformance.rotation._before import Looks, embeds, look_at_all
from gt_conformance.rotation._look import Look, Looker
from gt_conformance.rotation._target import Target
from gt_conformance.rotation._value import Lifetimes
from gt_conformance.rotation._watch import Watched, watched
from gt_conformance.tenant import Secret, Tenant


async def after(
    target: Target, new: Secret, looks: Looks, account: Account, *, ended_at: float, grace_s: float
) -> Lifetimes:
    """Note everything that a rotation promises, and say when each secret was last or first taken."""
    key = target.credential
    rotated = dataclasses.replace(key, secret=new, retired_secret=key.secret)
    tenant = dataclasses.replace(target.tenant, credentials={**target.tenant.credentials, key.name: rotated})
    old, fresh = await _both(tenant, rotated.name, rotated.retired_name, ended_at, grace_s)
    dead = notes.old_secret(account, key.name, old, grace_s)
    works = notes.new_secret(account, key.name, fresh, grace_s)
    keys = [rotated, *target.others] if works else list(target.others)
    now = await look_at_all(tenant, keys, embedding=works and embeds(target))
    if works:
        notes.same(account, "key.names", key.name, looks.names[key.name], now.names[key.name])
    if looks.dimension is not None and now.dimension is not None:
        notes.same(account, "key.embedding", key.name, looks.dimension, now.dimension)
    for other in target.others:
        notes.same(account, "other.names", other.name, looks.names[other.name], now.names[other.name])
    if dead:
        # It may be dead in one place and alive in another's cache: one more look, now that time has passed.
        async with Looker(tenant) as looker:
            notes.old_at_the_end(account, key.name, await looker.names(rotated.retired_name), ended_at)
    return Lifetimes(old.taken_s, old.reached_s, fresh.reached_s)


async def after_failure(target: Target, account: Account) -> None:
    """Where the command gave no new secret: whether the old one still works."""
    async with Looker(target.tenant) as looker:
        notes.old_after_failure(account, target.credential.name, await looker.names(target.credential.name))


async def _both(tenant: Tenant, new: str, old: str, ended_at: float, grace_s: float) -> tuple[Watched, Watched]:
    found: dict[str, Watched] = {}
    async with Looker(tenant) as looker, anyio.create_task_group() as group:

        async def watch(key: str, reached: Callable[[Look], bool], hopeless: Callable[[Look], bool]) -> None:
            ask = partial(looker.names, key)
            found[key] = await watched(ask, reached, hopeless, ended_at=ended_at, grace_s=grace_s)

        # A 403 will hardly turn into a 401; but a new secret may have a way to go until it is known everywhere.
        group.start_soon(watch, old, lambda look: look.dead, lambda look: look.refused)
        group.start_soon(watch, new, lambda look: look.seen is not None, lambda _: False)
    return found[old], found[new]
