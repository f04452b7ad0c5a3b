"""What a rotation leaves behind: how long the old secret lives and where, and whether the new one is the same key.

What would store something is asked of the old secret alone, once it is dead everywhere else: a tenant that is right
stores nothing.
"""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from gt_conformance import schema
from gt_conformance.checks import NEAR, SURFACES, cosine
from gt_conformance.rotation._before import (
    LIST,
    TRIES,
    Baseline,
    Names,
    Vector,
    creates,
    describe,
    is_closed,
    list_all,
    list_names,
    list_places,
    may,
    recall,
)
from gt_conformance.rotation._prober import (
    DEAD,
    TAKEN,
    USABLE,
    Deadline,
    KeyProber,
    Observation,
    Spot,
    Watched,
    less,
    watch,
)
from gt_conformance.rotation._rotation import Lifetimes, Phase, PlaceLife, Recorder, Target
from gt_conformance.tenant import Credential, Secret
from gt_conformance.together import together
from gt_conformance.vocabulary import Outcome, Route

_DROP_OLD = "Have the tenant drop the old secret at once, from every cache as well."
_TAKE_NEW = "Check that the command prints the secret of this key, and that the tenant takes a new one at once."
_SAME_NAMES = "Have the tenant keep the key's allowlists and its embedding model over a rotation."
_SAME_RIGHTS = "Have the tenant keep the key's scopes over a rotation: a new secret is still the same key."
_SAME_RESOURCES = "Have the tenant keep what belongs to the key by the key, and not by its secret."
_APART = "Have the tenant keep keys apart: what happens to one must not reach another."
_MAKE_IT_WORK = "Make it work; the next rotation can then show that it is left as it is."
_AGAIN = "Look again once the tenant answers: `gt-conformance run` with the old secret as retired_secret of the key."
_OPEN_TO_ANYBODY = "Close it to unknown keys first: `gt-conformance run` has the finding (key.required)."


async def probe_after(
    target: Target, new: Secret, baseline: Baseline, recorder: Recorder, *, run_id: str, deadline: Deadline
) -> Lifetimes:
    """Record whether each promise of a rotation holds, and give when each secret was last or first taken, and where."""
    key = target.credential
    rotated = dataclasses.replace(key, secret=new, retired_secret=key.secret)
    tenant = dataclasses.replace(
        target.tenant,
        credentials={**target.tenant.credentials, key.name: rotated},
        limits=less(target.tenant.limits, baseline.sent),
    )
    async with KeyProber(tenant, run_id) as prober:
        return await _After(target, rotated, baseline, recorder, prober, deadline).judge()


async def probe_after_failure(target: Target, recorder: Recorder, run_id: str) -> None:
    """Where the command gave no new secret: whether the old one still works."""
    async with KeyProber(target.tenant, run_id) as prober:
        _record_old_after_failure(recorder, target.credential.name, await list_names(prober, target.credential))


@dataclass(frozen=True)
class _After:
    """The tenant after the command, with both secrets of the rotated key."""

    target: Target
    key: Credential
    before: Baseline
    recorder: Recorder
    prober: KeyProber
    deadline: Deadline

    async def judge(self) -> Lifetimes:
        """Both secrets at the same time; what the key and the others see; what only a dead secret may be asked."""
        old, fresh = await together([self._watch_old(self._telling), self._watch_new()])
        dead = await self._record_old("old.dead", old)
        works = self._record_new(fresh)
        taken: Mapping[Spot, Watched] = {}
        if works:
            taken = await self._judge_places()
        await self._judge_sights(works=works, lost={spot.surface.route for spot, seen in taken.items() if _lost(seen)})
        if works:
            await self._judge_conversation()
            await self._judge_dataset()
        if dead:
            old = {**old, **await self._judge_creating()}
            # It may be dead in one place and alive in another's cache: one more round, now that time has passed.
            await self._judge_old_at_the_end()
        return self._lifetimes(old, fresh, taken)

    @property
    def _telling(self) -> list[Spot]:
        return [spot for spot, place in self.before.places.items() if place.tells]

    async def _watch_old(self, spots: Collection[Spot]) -> Mapping[Spot, Watched]:
        ask = partial(self.prober.ask, key=self.key.retired_name, ids=self.before.ids, refused=True)
        return await watch(spots, ask, DEAD, self.deadline)

    async def _watch_new(self) -> Mapping[Spot, Watched]:
        return await watch([LIST], lambda _: list_names(self.prober, self.key), USABLE, self.deadline)

    # -- the old secret

    async def _record_old(self, probe: str, old: Mapping[Spot, Watched]) -> bool:
        """Dead everywhere within the grace period, with the time it took; True where it is."""
        left = {spot: seen for spot, seen in old.items() if seen.reached_s is None}
        alive = {spot: seen.last for spot, seen in left.items() if self._is_alive(spot, seen.last)}
        open_to_all = [
            spot
            for spot, unknown in zip(alive, await self._ask_unknown(alive), strict=True)
            if not unknown.dead and unknown.status == alive[spot].status
        ]
        unknown = {spot: seen.last for spot, seen in left.items() if spot not in alive}
        works = {spot: seen for spot, seen in alive.items() if spot not in open_to_all}
        outcome, remedy, proof = Outcome.CONFORMS, "", next((seen.last for seen in old.values()), None)
        if works:
            outcome, remedy, proof = Outcome.VIOLATES, _DROP_OLD, next(iter(works.values()))
            text = self._describe_alive(probe, works, old)
        elif unknown:
            outcome, remedy, proof = Outcome.BLOCKED, _AGAIN, next(iter(unknown.values()))
            text = f"it is unknown whether the old secret is dead: {proof.found} at {_join(unknown)}"
        elif open_to_all:
            outcome, remedy, proof = Outcome.BLOCKED, _OPEN_TO_ANYBODY, alive[open_to_all[0]]
            text = f"whether the old secret is dead does not show where unknown keys are let in: {_join(open_to_all)}"
        else:
            text = _describe_dead(probe, old)
        key = self.key.name
        return self._record(probe, key, outcome, text, proof, remedy)

    def _is_alive(self, spot: Spot, seen: Observation[Any]) -> bool:
        """Whether the secret gets what a live one gets there: a success, or the refusal that it got before."""
        place = self.before.places.get(spot)
        return seen.taken or (place is not None and seen.refused and seen.status == place.before.status)

    async def _ask_unknown(self, spots: Collection[Spot]) -> list[Observation[None]]:
        return await together(self.prober.ask(spot, None, self.before.ids, refused=True) for spot in spots)

    def _describe_alive(self, probe: str, works: Mapping[Spot, object], old: Mapping[Spot, object]) -> str:
        where = f" at {_join(works)}; it is refused at {len(old) - len(works)} of {len(old)} places"
        what = "still works" if probe == "old.dead" else "is still let in where it could store something,"
        grace = f"{self.deadline.grace_s:g} s after the command ended (--grace)"
        return f"the old secret {what} {grace}{where if len(works) < len(old) else ', everywhere'}"

    async def _judge_creating(self) -> Mapping[Spot, Watched]:
        """What would store something, with the old secret: it is dead everywhere else, so nothing should be stored."""
        spots = [
            Spot(surface)
            for surface in SURFACES
            if creates(surface, self.target.tenant)
            and may(self.key, surface) is not False
            and (surface.route is not Route.DATASET_FILES or self.target.tenant.dataset is not None)
        ]
        if not spots:
            return {}
        found = await self._watch_old(spots)
        await self._record_old("old.stores_nothing", found)
        return found

    async def _judge_old_at_the_end(self) -> None:
        """Dead once, dead for good."""
        spots = self._telling
        name, ids = self.key.retired_name, self.before.ids
        seen = await together(self.prober.ask(spot, name, ids, refused=True) for spot in spots)
        at = f"{self.deadline.after(max(one.answered for one in seen)):.2f} s after the command ended"
        again = {spot: one for spot, one in zip(spots, seen, strict=True) if one.taken}
        unclear = [one for one in seen if not one.dead and not one.taken]
        outcome, remedy, text, proof = Outcome.CONFORMS, "", f"the old secret is still refused, {at}", seen[0]
        if again:
            outcome, remedy, proof = Outcome.VIOLATES, _DROP_OLD, next(iter(again.values()))
            text = f"the old secret was refused, and is accepted again, {at}, at {_join(again)}"
        elif unclear:
            outcome, remedy, proof = Outcome.BLOCKED, _AGAIN, unclear[0]
            text = f"it is unknown whether the old secret is still dead: {proof.found}"
        self._record("old.stays_dead", self.key.name, outcome, text, proof, remedy)

    # -- the new secret

    def _record_new(self, fresh: Mapping[Spot, Watched]) -> bool:
        """Alive within the grace period, with the time it took; True where it is."""
        [seen] = fresh.values()
        outcome, remedy = Outcome.CONFORMS, ""
        if seen.reached_s is not None:
            text = f"the new secret works, {seen.reached_s:.2f} s after the command ended"
        else:
            outcome, remedy = (Outcome.VIOLATES, _TAKE_NEW) if seen.last.judged else (Outcome.BLOCKED, _AGAIN)
            grace = f"{self.deadline.grace_s:g} s after the command ended (--grace)"
            text = f"the new secret does not work {grace}: {seen.last.found}"
        return self._record("new.works", self.key.name, outcome, text, seen.last, remedy)

    async def _judge_places(self) -> Mapping[Spot, Watched]:
        """Let in where it was, and nowhere else. A conversation is judged for itself."""
        key, ids, places = self.key.name, self.before.ids, self.before.places
        judged = {spot: place for spot, place in places.items() if spot.surface.id != "conversation_chat"}
        opened = [spot for spot, place in judged.items() if place.before.taken]
        closed = [spot for spot, place in judged.items() if place.before.refused]
        taken = await watch(opened, partial(self.prober.ask, key=key, ids=ids), TAKEN, self.deadline)
        seen = await together(self.prober.ask(spot, key, ids, refused=True) for spot in closed)
        now = dict(zip(closed, seen, strict=True))
        lost = {spot: seen.last for spot, seen in taken.items() if _lost(seen)}
        unknown = {spot: seen.last for spot, seen in taken.items() if seen.reached_s is None and spot not in lost}
        wider = {spot: seen for spot, seen in now.items() if seen.taken}
        parts = [f"{key} was let in before, and is not now: {list_places(lost)}"] if lost else []
        parts += [f"{key} is let in now, and was not before: {_join(wider)}"] if wider else []
        outcome, remedy, proof = Outcome.CONFORMS, "", None
        text = f"{key} is let in at the same {schema.count_noun(len(opened), 'place')} as before, and at no other"
        if parts:
            outcome, remedy, text = Outcome.VIOLATES, _SAME_RIGHTS, "; ".join(parts)
            proof = next(iter((lost or wider).values()))
        elif unknown:
            outcome, remedy, proof = Outcome.BLOCKED, _AGAIN, next(iter(unknown.values()))
            text = f"it is unknown whether {key} is still let in: {proof.found} at {_join(unknown)}"
        self._record("key.surfaces", key, outcome, text, proof, remedy)
        return taken

    async def _judge_sights(self, *, works: bool, lost: Collection[Route | None]) -> None:
        """What the key lists and embeds to, and what the others list."""
        key, before = self.key, self.before
        keys = [key, *self.target.others] if works else list(self.target.others)
        now = await list_all(self.prober, keys)
        if works:
            self._record_same("key.names", key.name, before.names[key.name], now[key.name])
        # Where it may not embed any more, that is the finding.
        if works and before.vector is not None and Route.EMBEDDINGS not in lost:
            self._record_same_vector(before.vector, await self.prober.vector(key.name, Phase.AFTER))
        for other in self.target.others:
            self._record_same("other.names", other.name, before.names[other.name], now[other.name])

    def _record_same(self, probe: str, key: str, was: Names, now: Names) -> None:
        """What was listed before is listed now."""
        if was.seen is None or now.seen is None:
            self._record_incomparable(probe, key, was, now)
        elif now.seen != was.seen:
            remedy = _APART if probe == "other.names" else _SAME_NAMES
            self._record(probe, key, Outcome.VIOLATES, f"{key} {_changed(was.seen, now.seen)}", now, remedy)
        else:
            self._record(probe, key, Outcome.CONFORMS, f"{key} lists {describe(now.seen)}, as before", now)

    def _record_same_vector(self, was: Vector, now: Vector) -> None:
        """The same text has the same vector: what was embedded before can be compared with what will be."""
        key = self.key.name
        if was.seen is None or now.seen is None:
            self._record_incomparable("key.embedding", key, was, now)
            return
        outcome, remedy = Outcome.VIOLATES, _SAME_NAMES
        if len(was.seen) != len(now.seen):
            text = f"{key} embeds with {describe(now.seen)}; before, with {describe(was.seen)}"
        elif (likeness := cosine(was.seen, now.seen)) < NEAR:
            text = f"{key} embeds the same text to another vector than before: the cosine of both is {likeness:.3f}"
        else:
            outcome, remedy = Outcome.CONFORMS, ""
            text = f"{key} embeds with {describe(now.seen)}, as before, and the same text to the same vector"
        self._record("key.embedding", key, outcome, text, now, remedy)

    def _record_incomparable(self, probe: str, key: str, was: Observation[Any], now: Observation[Any]) -> None:
        if was.seen is None:
            text = f"{key} has nothing to be compared with: before, it gave {was.found}"
            self._record(probe, key, Outcome.BLOCKED, text, now, _MAKE_IT_WORK)
            return
        outcome, remedy = (Outcome.VIOLATES, _APART) if now.judged else (Outcome.BLOCKED, _AGAIN)
        self._record(probe, key, outcome, f"{key} worked before, and now gives {now.found}", now, remedy)

    async def _judge_conversation(self) -> None:
        """The conversation from before is still the key's, and knows what was said in it."""
        known = self.before.conversation
        if known is None:
            return
        key = self.key.name
        seen, recalled = await recall(self.prober, key, known.id, known.word)
        outcome, remedy = Outcome.VIOLATES, _SAME_RESOURCES
        if not seen.taken:
            outcome, remedy = (outcome, remedy) if seen.judged else (Outcome.BLOCKED, _AGAIN)
            text = f"{key} was answered in its conversation before, and now gets {seen.found}"
        elif known.recalled and not recalled:
            text = f"the conversation of {key} knew its code word before, and not now, in {TRIES} answers"
        else:
            outcome, remedy = Outcome.CONFORMS, ""
            text = f"the conversation of {key} goes on" if recalled else f"{key} is answered in its conversation"
            text += ", as before"
        self._record("key.conversation", key, outcome, text, seen, remedy)

    async def _judge_dataset(self) -> None:
        """The key may still write its dataset: an upload without a file is refused as before.

        Where that does not tell, a tiny file is uploaded, named after this rotation.
        """
        key, dataset = self.key, self.target.tenant.dataset
        if dataset is None or not key.may(Route.DATASET_FILES) or key.may_write(dataset) is False:
            return
        was = self.before.upload
        if was is None:
            seen = await self.prober.upload(key.name, dataset)
            holds, lost = seen.taken, False
        else:
            seen = await self.prober.upload_nothing(key.name, dataset)
            holds, lost = seen.status == was.status, is_closed(seen)
        if holds:
            text = f"{key.name} may write the dataset {dataset}, as before"
            self._record("key.dataset", key.name, Outcome.CONFORMS, text, seen)
        elif lost:
            text = f"{key.name} was let into the dataset {dataset} before, and now gets {seen.found}"
            self._record("key.dataset", key.name, Outcome.VIOLATES, text, seen, _SAME_RESOURCES)
        else:
            text = f"it is unknown whether {key.name} may still write the dataset {dataset}: {seen.found}"
            self._record("key.dataset", key.name, Outcome.BLOCKED, text, seen, _AGAIN)

    # -- what comes of it

    def _record(
        self,
        probe: str,
        key: str,
        outcome: Outcome,
        text: str,
        seen: Observation[Any] | None,
        remedy: str = "",
    ) -> bool:
        exchange = seen.exchange if seen else None
        return self.recorder.record(Phase.AFTER, probe, key, outcome, text, exchange, remedy=remedy)

    def _lifetimes(
        self, old: Mapping[Spot, Watched], fresh: Mapping[Spot, Watched], taken: Mapping[Spot, Watched]
    ) -> Lifetimes:
        refused = [seen.reached_s for seen in old.values()]
        return Lifetimes(
            old_last_taken_s=max((seen.taken_s for seen in old.values() if seen.taken_s is not None), default=None),
            old_first_refused_s=max(refused) if refused and None not in refused else None,  # type: ignore[type-var]
            new_first_taken_s=fresh[LIST].reached_s,
            places=tuple(
                PlaceLife(
                    surface=spot.surface.id,
                    title=str(spot),
                    address=spot.address.value,
                    before=self.before.places[spot].before.status if spot in self.before.places else None,
                    old_last_taken_s=old[spot].taken_s if spot in old else None,
                    old_first_refused_s=old[spot].reached_s if spot in old else None,
                    new_first_taken_s=taken[spot].reached_s if spot in taken else None,
                )
                for spot in dict.fromkeys([*self.before.places, *old])
            ),
        )


def _lost(seen: Watched) -> bool:
    return seen.reached_s is None and seen.last.judged


def _describe_dead(probe: str, old: Mapping[Spot, Watched]) -> str:
    statuses = " or ".join(sorted({str(seen.last.status) for seen in old.values()}))
    at = max((seen.reached_s for seen in old.values() if seen.reached_s is not None), default=0.0)
    where = "everywhere" if probe == "old.dead" else "where it could store something"
    text = f"the old secret is refused with {statuses} {where}, at {schema.count_noun(len(old), 'place')}"
    text += f", {at:.2f} s after the command ended"
    late = {spot: seen.taken_s for spot, seen in old.items() if seen.taken_s is not None}
    if late:
        last = max(late, key=lambda spot: late[spot])
        text += f"; at {late[last]:.2f} s it was still taken at {last}"
        text += f", and at {schema.count_noun(len(late) - 1, 'other place')} until then" if len(late) > 1 else ""
    return text


def _record_old_after_failure(recorder: Recorder, key: str, observation: Names) -> None:
    """What the old secret's state says about a command that gave no new one. Never more than blocked."""
    if observation.seen is not None or observation.taken:
        text = "the old secret still works: the key does not seem to be rotated"
        remedy = "Correct the command, and rotate again."
    elif observation.refused:
        text = f"the old secret does not work any more ({observation.found}): the key was rotated or revoked"
        remedy = "Take the new secret from where the command stored it; else rotate the key by hand, at the tenant."
    else:
        text = f"it is unknown whether the old secret still works: {observation.found}"
        remedy = "Look again once the tenant answers."
    recorder.record(Phase.AFTER, "old.state", key, Outcome.BLOCKED, text, observation.exchange, remedy=remedy)


def _changed(was: tuple[str, ...], now: tuple[str, ...]) -> str:
    gone, come = (tuple(sorted(set(one) - set(other))) for one, other in ((was, now), (now, was)))
    parts = [f"does not list any more: {describe(gone)}"] if gone else []
    return "; ".join([*parts, f"lists now, and did not before: {describe(come)}"] if come else parts)


def _join(spots: Collection[Spot]) -> str:
    return ", ".join(map(str, spots))
