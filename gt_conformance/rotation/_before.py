"""What there is before a rotation: what each key sees, and where the key that is rotated is let in.

What only reads is asked first; what would store something is not asked of a live key. One conversation is opened, where
the key is for that, and named after the rotation.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gt_conformance import schema
from gt_conformance.checks import SURFACES, Address, Asking, Ids, Surface, names_fact, requests
from gt_conformance.exchange import inert, shortened
from gt_conformance.rotation._prober import KeyProber, Observation, Spot
from gt_conformance.rotation._rotation import Phase, Recorder, Target
from gt_conformance.tenant import Credential, Tenant
from gt_conformance.together import together
from gt_conformance.vocabulary import Modality, Outcome, Purpose, Route

Names = Observation[tuple[str, ...]]
Vector = Observation[tuple[float, ...]]

TRIES = 3
"""How often a model is asked for what it was told: it may not know it each time."""
LIST = Spot(next(surface for surface in SURFACES if surface.route is Route.MODELS))
_STATE = Spot(next(surface for surface in SURFACES if surface.route is Route.FILE_STATUS))
_LONGEST = 200

_NOT_WORKING = "The command was not run: a key that does not work shows nothing after a rotation. Make it work first."
_OTHER = "Make it work, or remove it from the tenant file; otherwise it cannot be judged after the rotation."
_EMBEDS = "Check the key's inference:embed in the tenant file and in the tenant."
_REACHES = "Check the key's scopes and names in the tenant file and in the tenant; the next rotation can then judge it."
_OPENS = "Check the keys that this conversation key is linked to; the next rotation can then judge its conversations."


@dataclass(frozen=True)
class Place:
    """What the key got at a spot before the rotation. ``tells``: a dead secret would get something else there."""

    before: Observation[Any]
    tells: bool


@dataclass(frozen=True)
class Conversation:
    """A conversation that the key opened before the rotation; ``recalled``: it was seen to go on."""

    id: str
    word: str
    recalled: bool


@dataclass(frozen=True)
class Baseline:
    """What each key saw: names by key, and of the rotated key its vector, its places, its conversation, its dataset.

    ``sent`` counts the requests.
    """

    names: Mapping[str, Names]
    vector: Vector | None = None
    places: Mapping[Spot, Place] = field(default_factory=dict)
    conversation: Conversation | None = None
    upload: Observation[None] | None = None
    sent: int = 0

    @property
    def ids(self) -> Ids:
        """The conversation that was opened, and the file that nobody has."""
        return Ids(conversation=self.conversation.id) if self.conversation else Ids()


async def probe_before(target: Target, recorder: Recorder, run_id: str) -> Baseline:
    """Observe everything that the rotation must leave as it is, and record it."""
    key = target.credential
    async with KeyProber(target.tenant, run_id) as prober:
        names = await list_all(prober, [key, *target.others])
        _record_names_before(recorder, target, names)
        if names[key.name].seen is None:
            return Baseline(names)
        vector = await prober.vector(key.name, Phase.BEFORE) if _embeds(target) else None
        if vector is not None:
            _record_before(recorder, "key.embedding", key.name, vector, "embed", "embeds with", _EMBEDS)
        upload = await _probe_dataset(prober, target)
        conversation = None
        if key.holds_conversations and key.may(Route.CHAT) is not False:
            conversation = await _open_conversation(prober, key.name, run_id, recorder)
        baseline = Baseline(names, vector, {}, conversation, upload)
        places = await _survey(prober, target, baseline.ids)
        _record_places_before(recorder, key, places)
        return dataclasses.replace(baseline, places=places, sent=prober.sent)


async def list_all(prober: KeyProber, keys: Sequence[Credential]) -> Mapping[str, Names]:
    found = await together(list_names(prober, key) for key in keys)
    return {key.name: observation for key, observation in zip(keys, found, strict=True)}


async def list_names(prober: KeyProber, key: Credential) -> Names:
    """What the key lists. An upload key may be refused the list: then no names, if the tenant knows the key."""
    listed = await prober.names(key.name)
    if not listed.dead or key.purpose is not Purpose.UPLOAD:
        return listed
    asked, unknown = await together([prober.ask(_STATE, key.name, Ids()), prober.ask(_STATE, None, Ids())])
    known = asked.refused and not asked.dead and unknown.dead
    if not known:
        return listed
    return Observation(asked.exchange, asked.sent, asked.answered, asked.found, seen=())


def _embeds(target: Target) -> bool:
    """Whether the key is declared to embed with the tenant's name for it."""
    key = target.credential
    named = target.tenant.may_use(key, Modality.EMBEDDINGS) is not False
    return key.may(Route.EMBEDDINGS) is True and named


async def _probe_dataset(prober: KeyProber, target: Target) -> Observation[None] | None:
    """How an upload without a file is refused, where that shows that the key may write the dataset; else None.

    It does where a dataset that does not exist is refused otherwise. Nothing is stored.
    """
    key, dataset = target.credential, target.tenant.dataset
    if dataset is None or not key.may(Route.DATASET_FILES) or key.may_write(dataset) is False:
        return None
    wanted = (dataset, requests.MADE_UP_ID)
    real, unknown = await together(prober.upload_nothing(key.name, name) for name in wanted)
    return real if real.refused and not is_closed(real) and is_closed(unknown) else None


def is_closed(observation: Observation[Any]) -> bool:
    return observation.dead or observation.status == 404


async def _open_conversation(prober: KeyProber, key: str, run_id: str, recorder: Recorder) -> Conversation | None:
    opened = await prober.open_conversation(key)
    if opened.seen is None:
        text = f"{key} does not open a conversation: {opened.found}"
        recorder.record(Phase.BEFORE, "key.conversation", key, Outcome.BLOCKED, text, opened.exchange, remedy=_OPENS)
        return None
    word = f"harbour-{run_id}"
    told = await prober.tell(key, opened.seen, word)
    recalled = told.taken and (await recall(prober, key, opened.seen, word))[1]
    if told.taken:
        text = f"{key} opened a conversation" + (", which goes on" if recalled else ", and is answered in it")
        recorder.record(Phase.BEFORE, "key.conversation", key, Outcome.CONFORMS, text, opened.exchange)
    else:
        text = f"{key} is not answered in its conversation: {told.found}"
        recorder.record(Phase.BEFORE, "key.conversation", key, Outcome.BLOCKED, text, told.exchange, remedy=_OPENS)
    return Conversation(opened.seen, word, recalled) if told.taken else None


async def recall(prober: KeyProber, key: str, conversation: str, word: str) -> tuple[Observation[str], bool]:
    """The last answer in the conversation, and whether the code word was in one."""
    tries = 0
    while True:
        answer = await prober.recall(key, conversation)
        tries += 1
        known = names_fact(answer.seen or "", word)
        if known or not answer.taken or tries == TRIES:
            return answer, known


def _spots(target: Target, ids: Ids) -> Iterator[tuple[Spot, bool | None]]:
    """Where the key is asked for, and whether it is declared to be let in.

    What would store something is left out, unless the key may not: then it stores nothing if the tenant is right.
    """
    key, tenant = target.credential, target.tenant
    for surface in SURFACES:
        allowed = may(key, surface)
        needs_id = surface.id == "conversation_chat" and ids.conversation == requests.MADE_UP_ID
        if needs_id or (creates(surface, tenant) and (allowed is not False or surface.route is None)):
            continue
        yield Spot(surface), allowed
        if allowed is not False:
            yield Spot(surface, Address.UNVERSIONED), allowed


def may(key: Credential, surface: Surface) -> bool | None:
    return key.holds_conversations if surface.route is None else key.may(surface.route)


def creates(surface: Surface, tenant: Tenant) -> bool:
    return surface.request(Asking(tenant, "", None)).creates


async def _survey(prober: KeyProber, target: Target, ids: Ids) -> Mapping[Spot, Place]:
    """What the key gets at each spot, together; an unknown key shows which refusals tell of the key."""
    wanted = list(_spots(target, ids))
    name = target.credential.name
    seen = await together(prober.ask(spot, name, ids, refused=allowed is False) for spot, allowed in wanted)
    found = {spot: observation for (spot, _), observation in zip(wanted, seen, strict=True)}
    unclear = [spot for spot, observation in found.items() if observation.refused and not observation.dead]
    unknown = await together(prober.ask(spot, None, ids, refused=True) for spot in unclear)
    telling = {spot for spot, observation in zip(unclear, unknown, strict=True) if observation.dead}
    return {spot: Place(seen, seen.taken or spot in telling) for spot, seen in found.items()}


def _record_names_before(recorder: Recorder, target: Target, names: Mapping[str, Names]) -> None:
    key = target.credential.name
    if _record_before(recorder, "key.works", key, names[key], "work", "works, and lists", _NOT_WORKING):
        for other in target.others:
            _record_before(recorder, "other.names", other.name, names[other.name], "work", "lists", _OTHER)


def _record_before(
    recorder: Recorder, probe: str, key: str, seen: Names | Vector, verb: str, does: str, remedy: str
) -> bool:
    if seen.seen is not None:
        text = f"{key} {does} {describe(seen.seen)}"
        return recorder.record(Phase.BEFORE, probe, key, Outcome.CONFORMS, text, seen.exchange)
    text = f"{key} does not {verb}: {seen.found}"
    return recorder.record(Phase.BEFORE, probe, key, Outcome.BLOCKED, text, seen.exchange, remedy=remedy)


def _record_places_before(recorder: Recorder, key: Credential, places: Mapping[Spot, Place]) -> None:
    """Where it is let in; a route that it is declared to reach, and that does not answer, cannot be judged later."""
    opened = [spot for spot, place in places.items() if place.before.taken]
    missing = {
        spot: place.before
        for spot, place in places.items()
        if spot.address is Address.VERSIONED
        and spot.surface.route is not Route.FILE_STATUS
        and may(key, spot.surface)
        and not place.before.taken
        and not (spot.surface.route is Route.MODELS and key.purpose is Purpose.UPLOAD)
    }
    text = f"{key.name} is let in at {schema.count_noun(len(opened), 'place')}"
    if missing:
        text += f"; it is declared to be, and is not, at {list_places(missing)}"
    outcome = Outcome.BLOCKED if missing else Outcome.CONFORMS
    first = next(iter(missing.values()), None)
    exchange = first.exchange if first else None
    recorder.record(Phase.BEFORE, "key.surfaces", key.name, outcome, text, exchange, remedy=_REACHES if missing else "")


def describe(seen: tuple[str, ...] | tuple[float, ...]) -> str:
    """Names with commas between them, or a number of dimensions; shortened, and safe to show."""
    if any(isinstance(item, float) for item in seen):
        return f"{len(seen)} dimensions"
    return shortened(str(inert(", ".join(map(str, seen)))), _LONGEST) or "no names"


def list_places(seen: Mapping[Spot, Observation[Any]]) -> str:
    return ", ".join(f"{spot} ({one.found})" for spot, one in seen.items())
