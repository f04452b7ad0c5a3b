"""Before the command: does the key work, and what do all keys see."""

from collections.abc import Mapping
from dataclasses import dataclass

import anyio

from gt_conformance.rotation._account import Account
from gt_conformance.rotation._look import Look, Looker, told
from gt_conformance.rotation._target import Target
from gt_conformance.rotation._value import Phase
from gt_conformance.tenant import Credential, Tenant
from gt_conformance.vocabulary import Modality, Outcome, Route

_NOT_WORKING = "The command was not run: a key that does not work shows nothing after a rotation. Make it work first."
_OTHER = "Make it work, or take it out of the tenant file; else nothing can be said of it afterwards."
_EMBEDS = "Check the key's inference:embed in the tenant file and in the tenant."


@dataclass(frozen=True, slots=True)
class Looks:
    """What each key saw: names by key, and the dimension of the rotated key's embeddings where it was asked for."""

    names: Mapping[str, Look]
    dimension: Look | None


async def before(target: Target, account: Account) -> Looks:
    """Look at everything that the rotation must leave as it is."""
    key = target.credential.name
    looks = await look_at_all(target.tenant, [target.credential, *target.others], embedding=embeds(target))

    def note(probe: str, name: str, look: Look, does: str, remedy: str) -> bool:
        if look.seen is not None:
            return account.note(
                Phase.BEFORE, probe, name, Outcome.CONFORMS, f"{name} {does} {told(look.seen)}", look=look
            )
        text = f"{name} does not {'embed' if does == 'embeds with' else 'work'}: {look.found}"
        return account.note(Phase.BEFORE, probe, name, Outcome.BLOCKED, text, remedy=remedy, look=look)

    if note("key.works", key, looks.names[key], "works, and lists", _NOT_WORKING):
        for other in target.others:
            note("other.names", other.name, looks.names[other.name], "lists", _OTHER)
        if looks.dimension is not None:
            note("key.embedding", key, looks.dimension, "embeds with", _EMBEDS)
    return looks


def embeds(target: Target) -> bool:
    """Whether the key is declared to embed with the tenant's name for it."""
    key = target.credential
    named = key.may_use(target.tenant.model(Modality.EMBEDDINGS)) is not False
    return key.may(Route.EMBEDDINGS) is True and named


async def look_at_all(tenant: Tenant, keys: list[Credential], *, embedding: bool) -> Looks:
    """The names that these keys see, and the dimension of the first one's embeddings, asked at the same time."""
    found: dict[str, Look] = {}
    embedded: list[Look] = []
    async with Looker(tenant) as looker, anyio.create_task_group() as group:

        async def names(key: str) -> None:
            found[key] = await looker.names(key)

        async def dimension(key: str) -> None:
            embedded.append(await looker.dimension(key))

        for key in keys:
            group.start_soon(names, key.name)
        if embedding:
            group.start_soon(dimension, keys[0].name)
    return Looks(found, embedded[0] if embedded else None)
