"""Keys in time: a revoked key and a retired secret are dead everywhere, and a rotated key is still the same key."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._capability import QUESTION, names_fact
from gt_conformance.checks._check import ANY_LIVE_KEY, Items, RunbookKey, check
from gt_conformance.checks._notes import StopCheck
from gt_conformance.checks._preflight import KEY_REFUSED
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._resources import READ_BY_OTHERS, model_for, unrelated_keys
from gt_conformance.checks._surfaces import (
    NO_IDS,
    Address,
    Ids,
    Place,
    Tried,
    at_address,
    keys_tried,
    places,
    real_ids,
    try_all,
)
from gt_conformance.checks._vectors import SAME, Sketch, cosine, in_order, least_cosine
from gt_conformance.checks.keys import BUT_SPEECH, in_conversation, judge_all_dead, where_dead
from gt_conformance.checks.models import expect_listing, expect_names, list_models
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, joined_text
from gt_conformance.tenant import Credential, KnownConversation
from gt_conformance.together import together
from gt_conformance.vocabulary import Actor, Modality, Purpose, RemarkKind, Route, Severity

_ALWAYS = "chat"
_IN_TURN = ((_ALWAYS, Address.VERSIONED), ("chat_stream", Address.UNVERSIONED), ("models", Address.VERSIONED))
"""Where each retired secret is tried, one key after the other, when another one is tried everywhere."""
_STRANGERS = 2
_NONE_REVOKED = (
    "no revoked key is known",
    "Revoke a spare key and add it to the tenant file with revoked: true.",
)
DROP_DEAD = (
    "Have the tenant drop revoked keys and retired secrets at once, from every cache as well. If the console shows the "
    "key as live, it was not revoked: correct the tenant file."
)
_CONVERSATIONS = "Have the tenant close the conversations of a revoked key with it."


@check(
    "key.revocation",
    claim="A revoked key and a retired secret are dead on every route, and the others go on working.",
    remedy=DROP_DEAD,
    source="GT API keys and access, Lifecycle and operations; GT API reference, Bearer authentication",
    clauses=("K19", "K22", "K23", "A2", "A9"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    tenant_wide=ANY_LIVE_KEY,
    by_surface=True,
    refuses=True,
    last=True,
)
async def revocation(probe: Probe) -> None:
    """Each revoked key is refused with 401 or 403 at every surface; a live one still lists models.

    So is each retired secret of a key that no checklist item looks at. What was said in a conversation of a revoked key
    reaches nobody.
    """
    revoked = probe.tenant.revoked_credentials
    retired = [
        key
        for key in keys_tried(probe)
        if key.retired_secret is not None and not probe.has_planned("key.rotation", key.name)
    ]
    if not revoked and not retired:
        raise Blocked(*_NONE_REVOKED)
    owners = [(key, key.conversation) for key in revoked if key.conversation is not None]
    await together((_expect_all_dead(probe, revoked, retired), *(_expect_untold(probe, *one) for one in owners)))
    # In a run of some runbooks the controls at its end show that.
    again = 0 if probe.parameters.keys else 2
    await expect_listing(probe, f"the key {probe.credential.name} goes on working", again=again)
    if not revoked:
        raise Blocked(*_NONE_REVOKED)


async def _expect_all_dead(probe: Probe, revoked: Iterable[Credential], retired: Iterable[Credential]) -> None:
    """The secrets of both at every surface and address: that of a rotated key where the key may be let in."""
    everywhere = places(probe.parameters)
    wanted = where_dead(probe, everywhere)
    ids = await real_ids(probe, wanted)
    of_revoked = wanted + in_conversation(everywhere)
    asked = [(of_revoked, key.name, f"with a revoked key of {key.name}", ids) for key in revoked]
    for key in retired:
        usable = _usable(key, wanted)
        own = await real_ids(probe, usable, of=key)
        asked.append((usable, key.retired_name, f"with a retired secret of {key.name}", own))
    tries = await together(try_all(probe, where, name, ids=own) for where, name, _, own in asked)
    for (_, _, state, own), found in zip(asked, tries, strict=True):
        await _judge_dead(probe, found, state, own)


async def _judge_dead(probe: Probe, found: Sequence[Tried], state: str, ids: Ids) -> None:
    """Each of these is refused; where one is not, each live key is asked for its list.

    One that the tenant does not take may have the secret in whose place the one is that was let in: the run's end
    decides that, from what each of them may do.
    """
    if any(one.is_open for one in found):
        for key in probe.tenant.live_credentials:
            with suppress(Blocked):
                await probe.send(requests.get(probe.tenant, "/v1/models", key.name))
    await judge_all_dead(probe, found, state, ids)


def _usable(key: Credential, wanted: Iterable[Place]) -> list[Place]:
    """Where of these the key may be let in, for all that is declared."""
    return [
        (surface, at)
        for surface, at in wanted
        if (key.holds_conversations if surface.route is None else key.may(surface.route)) is not False
    ]


async def _expect_untold(probe: Probe, owner: Credential, known: KnownConversation) -> None:
    """Other keys, plain and streamed, by both addresses: none gets the code word of that conversation."""
    strangers = [key for key in keys_tried(probe) if key.may(Route.CHAT) is not False]
    strangers.sort(key=lambda key: (key.holds_conversations is not True, key.breadth))
    asked = [
        at_address(
            requests.chat(
                probe.tenant,
                key.name,
                QUESTION,
                conversation=known.id,
                model=model_for(probe, key),
                fields=fields,
            ),
            probe.tenant,
            at,
        )
        for key in strangers[:_STRANGERS]
        for fields in ({}, {"stream": True})
        for at in Address
    ]
    for exchange in await probe.send_all(asked):
        response = exchange.response
        if response is None or not response.succeeded:
            continue
        told = names_fact(f"{response.plain} {joined_text(response)}", known.fact)
        expected = f"what was said in a conversation of {owner.name}, which is revoked, reaches nobody"
        found = f"the key {exchange.request.key} gets its code word"
        probe.must(not told, expected, found, exchange, remedy=_CONVERSATIONS, cause=READ_BY_OTHERS)


@check(
    "key.rotation",
    claim="After a rotation the old secret is dead, and the new one sees the same names.",
    remedy="Have the tenant drop the old secret at once, from every cache as well, and keep the key's allowlists. "
    "If it is the secret of another live key, or the key was not rotated, correct the tenant file.",
    source="GT API keys and access, Lifecycle and operations; GT API reference, Bearer authentication",
    clauses=("K19", "K20", "A2"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    by_surface=True,
    refuses=True,
    last=True,
)
async def rotation(probe: Probe) -> None:
    """The retired secret is refused at every surface and address; the current one still works.

    Where several keys were rotated the widest of them is tried everywhere, whatever it may be used for, each other one
    at one place: in turn a chat, a stream by the un-versioned address, and the list. In a run of some runbooks it is
    tried where its key may be let in. The current secret lists what the key may use. An upload key may be refused the
    list: it asks for a file's state.
    """
    key = probe.credential
    retired = _retired_name(key)
    wanted = places(probe.parameters)
    usable = _usable(key, wanted)
    rotated = [other for other in keys_tried(probe) if other.retired_secret is not None]
    widest = max(rotated, key=lambda other: other.breadth, default=key)
    in_a_chat = [one for one in usable if one[0].id == _ALWAYS and one[1] is Address.VERSIONED] or usable
    if widest != key and probe.has_planned(probe.check.id, widest.name):
        at = _IN_TURN[[other for other in rotated if other != widest].index(key) % len(_IN_TURN)]
        usable = [one for one in usable if (one[0].id, one[1]) == at] or in_a_chat
    elif not probe.parameters.keys:
        usable = list(dict.fromkeys([*usable, *where_dead(probe, wanted, BUT_SPEECH)]))
    # A key whose own secret is not taken was not rotated as the tenant file says.
    await probe.send(requests.get(probe.tenant, "/v1/models", key.name))
    ids = await real_ids(probe, usable, of=key)
    found = await try_all(probe, usable, retired, ids=ids)
    if all(one.is_absent for one in found):
        found = await try_all(probe, in_a_chat, retired, ids=ids)
    await _judge_dead(probe, found, f"with a retired secret of {key.name}", ids)
    if key.purpose is Purpose.UPLOAD:
        path = requests.status_path(requests.MADE_UP_ID)
        answered = await probe.send(requests.get(probe.tenant, path, key.name))
        expected = f"the new secret of the key {key.name} is known"
        probe.expect(answered, expected, lambda response: response.status not in KEY_REFUSED)
        return
    current, listed = await list_models(probe)
    if key.models is not None:
        expected = f"the new secret lists the key's names: {', '.join(sorted(key.models))}"
        await expect_names(probe, current, listed, key, expected)


@check(
    "embeddings.after_rotation",
    claim="After a rotation the new secret embeds as before, and the old one does not.",
    remedy="Have the tenant keep the embedding model over a rotation: other vectors break stored knowledge.",
    source="GT API keys and access, Lifecycle and operations; GT client runbooks (dify), Validation checklist",
    clauses=("K19", "K21"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rests_on=("embeddings.batch",),
    items=Items(RunbookKey(Route.EMBEDDINGS)),
    by_surface=True,
    refuses=True,
    last=True,
)
async def after_rotation(probe: Probe) -> None:
    """The current secret embeds, with one dimension throughout; the retired one is refused with 401 or 403.

    What the same text embedded to before is known from the last recorded run, where that used the retired secret, and
    from another key of the same name that was not rotated.
    """
    key = probe.credential
    retired = _retired_name(key)
    texts = requests.texts(probe.run_id, key.name)
    witness = _unrotated_embedder(probe)
    names = [key.name, *([witness.name] if witness else [])]
    asked = [requests.embeddings(probe.tenant, name, texts, encoding_format="float") for name in names]
    exchanges = await probe.send_each(asked)
    if isinstance(exchanges[0], Blocked):
        raise exchanges[0]
    vectors = _vectors_in(probe, exchanges[0], len(texts))
    embedding = [(surface, at) for surface, at in places(probe.parameters) if surface.route is Route.EMBEDDINGS][:1]
    found = await try_all(probe, embedding, retired)
    await _judge_dead(probe, found, f"with a retired secret of {key.name}", NO_IDS)
    compared = [_expect_as_recorded(probe, vectors[texts.index(requests.SAME_IN_EACH_RUN)], exchanges[0])]
    if witness is not None:
        least = least_cosine(vectors[0], vectors[-1], SAME)  # one text, embedded twice
        compared.append(_expect_as_witnessed(probe, vectors[0], least, witness.name, exchanges[0], exchanges[1]))
    if not any(compared):
        text = f"nothing shows what {probe.model(Modality.EMBEDDINGS)} embedded to before the rotation of {key.name}"
        probe.remark(RemarkKind.UNCOMPARED, text, exchanges[0])


def _unrotated_embedder(probe: Probe) -> Credential | None:
    """The narrowest key, unlinked to this one, that was not rotated and embeds by the same name."""
    model = probe.model(Modality.EMBEDDINGS)
    able = (
        other
        for other in unrelated_keys(probe, probe.credential)
        if other.retired_secret is None
        and other.retired_unset is None
        and other.may(Route.EMBEDDINGS)
        and other.may_use(model)
    )
    return min(able, key=lambda other: other.breadth, default=None)


def _vectors_in(probe: Probe, exchange: Exchange, count: int) -> list[list[float]]:
    expected = "the new secret embeds"
    items = probe.json(exchange, "embeddings", expected, modality=Modality.EMBEDDINGS)["data"]
    try:
        vectors = [requests.floats(item["embedding"]) for item in in_order(items)]
    except ValueError as error:
        probe.fail("vectors are numbers, or base64 of little-endian float32", str(error), exchange)
        raise StopCheck from None
    lengths = sorted({len(vector) for vector in vectors})
    found = f"dimensions {lengths}"
    probe.must(len(lengths) == 1, "vectors of one dimension", found, exchange, cause="embeddings:lengths")
    if not probe.must(len(vectors) == count, "one vector per input", f"{len(vectors)} for {count}", exchange):
        raise StopCheck
    return vectors


def _expect_as_recorded(probe: Probe, vector: Sequence[float], exchange: Exchange) -> bool:
    """As the last recorded run saw it with the retired secret; False where none did.

    Where that run had the current secret already, a difference is not the rotation's, and is advised.
    """
    key, model = probe.credential, probe.model(Modality.EMBEDDINGS)
    for secret in filter(None, (key.retired_secret, key.secret)):
        earlier = probe.earlier.get(secret.fingerprint)
        then = earlier.sketches.get(model) if earlier is not None else None
        if earlier is None or then is None:
            continue
        now = Sketch.of(model, vector)
        when = f"in the run of {earlier.date}"
        lengths = f"{now.length} dimensions now, {then.length} {when}"
        found = f"another vector of {lengths}" if now.length == then.length else lengths
        if secret is key.retired_secret:
            expected = f"{model} embeds a text as {when}, before the rotation of {key.name}"
            probe.must(now.is_like(then), expected, found, exchange, cause=f"vectors {model}")
            return True
        probe.should(now.is_like(then), f"{model} embeds a text otherwise than {when}: {found}", exchange)
    return False


def _expect_as_witnessed(
    probe: Probe, vector: Sequence[float], least: float, witness: str, own: Exchange, others: Exchange | Blocked
) -> bool:
    """As it does for a key that was not rotated; False where that one shows nothing."""
    response = others.response if isinstance(others, Exchange) else None
    if response is None or not response.succeeded:
        return False
    try:
        other = requests.floats(in_order(response.json()["data"])[0]["embedding"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return False
    key, model = probe.credential.name, probe.model(Modality.EMBEDDINGS)
    expected = f"{model} embeds a text for {key}, which was rotated, as for {witness}, which was not"
    if len(vector) != len(other):
        found = f"{len(vector)} dimensions for {key}, {len(other)} for {witness}"
    else:
        found = f"the cosine of both vectors is {cosine(vector, other):.3f}"
    alike = len(vector) == len(other) and cosine(vector, other) >= least
    probe.must(alike, expected, found, own, cause=f"vectors {model}")
    return True


def _retired_name(key: Credential) -> str:
    if key.retired_blocker is not None:
        raise Blocked.by(key.retired_blocker)
    if key.retired_secret is None:
        raise Blocked(
            f"no retired secret of the key {key.name} is known",
            f"Add the retired secret (retired_secret_env) of the key {key.name} to the tenant file after a rotation; "
            f"gt-conformance rotate {key.name} drives one.",
        )
    return key.retired_name
