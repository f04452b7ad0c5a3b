"""Keys: required everywhere, taken whole and as Bearer only, kept apart from one another, never echoed."""

import re
from collections.abc import Collection, Container, Iterator, Sequence
from contextlib import suppress
from itertools import chain

import anyio
import anyio.to_thread

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import (
    ANY_LIVE_KEY,
    SEVERAL_KEYS,
    check,
    narrowest_key,
    narrowest_reaching,
)
from gt_conformance.checks._notes import StopCheck
from gt_conformance.checks._preflight import KEY_REFUSED
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._refusal import block_unanswered, expect_reason, fail_refusal
from gt_conformance.checks._resources import unrelated_keys
from gt_conformance.checks._surfaces import (
    AUTHENTICATE,
    IN_CONVERSATION,
    Address,
    Ids,
    Place,
    Tried,
    fail_unsteady,
    find_hole,
    hole,
    is_explained,
    is_open_elsewhere,
    places,
    plainly,
    real_ids,
    surfaces,
    try_all,
)
from gt_conformance.checks._ways_in import LetIn, expect_no_way_in, takes_any_other_header, try_ways_in
from gt_conformance.checks._wording import describe, name_large, normalized_reason
from gt_conformance.checks.models import expect_names, join_some
from gt_conformance.checks.names import holds_name
from gt_conformance.errors import Blocked, Blocker
from gt_conformance.exchange import Exchange, Presentation, Redactor, Response, joined_texts
from gt_conformance.tenant import OTHER_TENANT, Credential
from gt_conformance.together import both, together
from gt_conformance.vocabulary import Actor, Modality, Purpose, Route, Severity

_PRESENTED = {
    Presentation.NONE: "without a key",
    Presentation.MADE_UP: "to any key",
}
_MISREAD = {
    Presentation.WITHOUT_SCHEME: "with the key but no Bearer before it",
    Presentation.BASIC: "with the key as Basic authentication",
    Presentation.OTHER_SCHEME: "with the key after Token instead of Bearer",
    Presentation.ELSEWHERE: "with the key in the query string, in x-api-key and in the body",
    Presentation.MISSPELLED: "with a key of which only the first half is right",
    Presentation.ALTERED: "with a key of which only the first half and the end are right",
    Presentation.SHORTENED: "with a key that lacks its last character",
    Presentation.LENGTHENED: "with a key that has a character more at its end",
    Presentation.BEFORE_COLON: "with a key that has a colon and more at its end",
    Presentation.OTHER_END: "with a key of which all but the last character is right",
}
_NOT_WHOLE = (
    Presentation.MISSPELLED,
    Presentation.ALTERED,
    Presentation.SHORTENED,
    Presentation.LENGTHENED,
    Presentation.BEFORE_COLON,
    Presentation.OTHER_END,
)
"""How keys are compared is one thing for all surfaces: each of these is tried at one, in a chat most of them."""
_OF_ANOTHER_TENANT = "with a key of another tenant"
_COMPARE_WHOLE = "Have the tenant compare the whole key: its upper and lower case, and whatever follows it."
_LONGEST_REASON = 2_000
_ELSEWHERE = {
    Presentation.QUERY: "with the key in the query string",
    Presentation.OTHER_HEADER: "with the key in x-api-key or a header like it",
    Presentation.IN_BODY: "with the key in a field of the body",
}
"""They are tried together, and apart where that let somebody in."""
_MISREAD_AT = {
    "models": (Presentation.ELSEWHERE,),
    "chat": tuple(one for one in _MISREAD if one is not Presentation.OTHER_END),
    "embeddings": (Presentation.OTHER_END,),
}
"""How a real key is presented wrongly, by surface. A tenant that takes any key takes that last one too."""


@check(
    "key.required",
    claim="No route answers without a valid bearer key, by whatever address it is reached.",
    remedy=AUTHENTICATE,
    source="GT API reference, Bearer authentication",
    clauses=("A1", "A2", "A3", "M7"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    tenant_wide=ANY_LIVE_KEY,
    by_surface=True,
    refuses=True,
    last=True,
)
async def required(probe: Probe) -> None:
    """No key: refused at every surface, versioned and un-versioned, with real ids; so is an unknown key.

    Where the tenant file names a key of another tenant, that one takes the unknown key's place at most versioned ones.
    No scheme, Basic, Token, the query string, the body, a key that is not wholly right: refused at some. One that ends
    otherwise takes the unknown key's place where texts are embedded. A real key is shown wrongly where it would be let
    in if it were shown rightly: else its refusal proves nothing. So are headers that gateways trust, other spellings of
    a path, and cookies.
    """
    everywhere = places(probe.parameters)
    ids = await real_ids(probe, everywhere)
    asked: list[tuple[list[Place], str | None, Presentation]]
    misread = _misread(probe)
    instead = [place for [place], _, presentation in misread if presentation is Presentation.OTHER_END]
    unknown = _streamed_instead(_where_unknown(probe, everywhere), everywhere)
    unknown = [one for one in unknown if one not in instead]
    with_other = probe.tenant.other_tenant_key is not None and not probe.parameters.keys
    of_others = [one for one in unknown if with_other and one[1] is Address.VERSIONED]
    made_up = [one for one in unknown if one not in of_others or one[0].id == _OF_BOTH]
    asked = [(everywhere, None, Presentation.NONE), (made_up, None, Presentation.MADE_UP)]
    states = list(_PRESENTED.values())
    if with_other:
        asked.append((of_others, OTHER_TENANT, Presentation.BEARER))
        states.append(_OF_ANOTHER_TENANT)
    elif blocker := probe.tenant.blockers.get(OTHER_TENANT):
        probe.block_part("a key of another tenant", Blocked.by(blocker))
    tries, let_in = await both(together(try_all(probe, *one, ids) for one in (*asked, *misread)), _ways_in(probe))
    plain = _plainly_unversioned(probe) if _is_judged_otherwise(tries[1]) else []
    likely = await try_all(probe, plain, None, Presentation.MADE_UP, ids)
    for how, found in zip(states, [tries[0], [*tries[1], *likely], *tries[2:]], strict=False):
        await judge_all_dead(probe, found, how, ids)
    for ([(surface, at)], key, presentation), [tried] in zip(misread, tries[len(asked) :], strict=True):
        if presentation is Presentation.ELSEWHERE and tried.is_open:
            bodiless = not tried.exchange.request.body
            ways = [item for item in _ELSEWHERE.items() if not (bodiless and item[0] is Presentation.IN_BODY)]
            apart = [(await try_all(probe, [(surface, at)], key, one, ids), how) for one, how in ways]
            taken = [(one, how) for [one], how in apart if one.is_open]
            if await takes_any_other_header(probe):
                taken = [(one, how) for one, how in taken if how != _ELSEWHERE[Presentation.OTHER_HEADER]]
                if not taken:
                    continue
            for one, how in taken or [(tried, _MISREAD[presentation])]:
                await _judge_dead(probe, one, how, ids)
            continue
        remedy = _COMPARE_WHOLE if presentation in _NOT_WHOLE else None
        await _judge_dead(probe, tried, _MISREAD[presentation], ids, remedy=remedy)
    await expect_no_way_in(probe, let_in)
    _expect_nothing_listed(probe)


def _misread(probe: Probe) -> list[tuple[list[Place], str, Presentation]]:
    """Surfaces, each with a key that they are open to, and how that is presented wrongly there."""
    return [
        ([(surface, Address.VERSIONED)], _narrowest_for(probe, surface.route).name, presentation)
        for surface in surfaces()
        if surface.id in _MISREAD_AT and not probe.parameters.keys
        for presentation in _MISREAD_AT[surface.id]
    ]


def _expect_nothing_listed(probe: Probe) -> None:
    """No refusal without a key, or with one that nobody has, lists published names: one may be any word."""
    published = {name for key in probe.tenant.live_credentials for name in key.models or ()}
    for exchange in probe.seen:
        response, request = exchange.response, exchange.request
        if request.key is not None or response is None or not response.refused:
            continue
        asked = request.fields.get("model")
        texts = [response.plain[:_LONGEST_REASON], *(value for _, value in response.headers)]
        held = sorted(name for name in published - {asked} if any(holds_name(text, name, ()) for text in texts))
        if len(held) >= _A_LIST:
            how = "with a key that nobody has" if request.presentation is Presentation.MADE_UP else "without a key"
            probe.fail(
                "nothing is listed without a valid key, in refusals either",
                f"{join_some(held)} in the refusal of {request.method} {request.path} {how}",
                probe.note(exchange),
                remedy="Have the tenant, and every gateway before it, refuse without a word of what is published.",
                cause="boundary:names in refusals",
            )
            return


_A_LIST = 2


async def _ways_in(probe: Probe) -> LetIn:
    return () if probe.parameters.keys else await try_ways_in(probe)


_SPEECH, BUT_SPEECH = ("speech",), ("transcriptions", "images")
"""The media at which, by the un-versioned address, a revoked key is tried, and a retired secret."""


def where_dead(probe: Probe, wanted: Sequence[Place], media: Container[str] = _SPEECH) -> list[Place]:
    """Where keys are tried that worked once, of these places; all of them are tried without a key.

    By the un-versioned address it is every surface in its plain form, of media these: one dead key tries what another
    does not. In a run of some runbooks, where the keys of others are no concern, it is the chat alone; the model list,
    where the tenant has no chat model.
    """
    if probe.parameters.keys:
        only = "chat" if probe.tenant.serves(Modality.CHAT) else "models"
        return [(surface, at) for surface, at in wanted if surface.id == only]
    return [
        (surface, at)
        for surface, at in wanted
        if at is Address.VERSIONED
        or not (surface.is_form or (surface.id in (*_SPEECH, *BUT_SPEECH) and surface.id not in media))
    ]


_LIKE_CHAT = ("models", "embeddings", "speech", "conversation_files", "file_status")
"""Where keys that never worked are not tried by the un-versioned address: a surface like each of these is."""


def _where_unknown(probe: Probe, wanted: Sequence[Place]) -> list[Place]:
    """Where keys are tried that never worked: in plain forms, un-versioned at one surface of each kind.

    A tenant that takes such a key takes any: that is the same at each surface of a kind. The chat among them is one in
    a conversation, whose owner may be taken for the caller.
    """
    where = [
        (surface, at)
        for surface, at in where_dead(probe, wanted)
        if not surface.is_form and (at is Address.VERSIONED or surface.id not in _LIKE_CHAT)
    ]
    if probe.parameters.keys:
        return where
    return [one for one in where if (one[0].id, one[1]) != _PLAIN] + in_conversation(wanted)


def _is_judged_otherwise(found: Sequence[Tried]) -> bool:
    """Whether a surface refuses an unknown key in other words by the un-versioned address, as if it were a live one."""
    refused = {
        (one.surface.id, one.address): (one.exchange.response.status, normalized_reason(one.exchange.response))
        for one in found
        if one.exchange.response is not None and one.exchange.response.refused and not one.is_absent
    }
    return any(
        at is Address.UNVERSIONED and words != refused.get((surface, Address.VERSIONED), words)
        for (surface, at), words in refused.items()
    )


def _plainly_unversioned(probe: Probe) -> list[Place]:
    """What is left out by the un-versioned address for unknown keys, as long as that address refuses them alike."""
    return [(surface, at) for surface, at in where_dead(probe, places(probe.parameters)) if at is Address.UNVERSIONED]


def _streamed_instead(where: Sequence[Place], wanted: Sequence[Place]) -> list[Place]:
    """The same with a streamed chat in place of the plain one, for which keys that are nearly right are tried."""
    streamed = [(surface, at) for surface, at in wanted if surface.id == "chat_stream" and at is Address.VERSIONED]
    return [*([one for one in where if one[0].id != "chat"] if streamed else where), *streamed]


_PLAIN = ("chat", Address.UNVERSIONED)
_OF_BOTH = "dataset_files"
"""By the versioned address a key of another tenant is tried instead of an unknown one, and there beside it.

What takes any key takes that one too, and whether it takes any is asked then. What an unknown one is answered there is
compared with the un-versioned address. A run of some runbooks, which tries the boundary of their own keys, has none.
"""


def in_conversation(wanted: Sequence[Place]) -> list[Place]:
    """Of these places the streamed chat in a conversation by the un-versioned address."""
    return [(surface, at) for surface, at in wanted if (surface.id, at) == IN_CONVERSATION]


async def _judge_dead(
    probe: Probe, tried: Tried, state: str, ids: Ids, beside: Collection[str] = (), *, remedy: str | None = None
) -> None:
    """What is asked for in that state of the key is refused, or not served there at all.

    What is open to weaker states as well is one hole: that to nobody's key explains that to a dead one.
    """
    tried = await plainly(probe, tried, KEY_REFUSED)
    if tried.is_absent:
        return
    what = f"{tried.surface.named(tried.address)} {state}"
    if not tried.is_open:
        if probe.check.id != "key.required" and await is_open_elsewhere(probe, tried, what, ids):
            return
        with suppress(StopCheck):  # one that does not answer does not keep the others from being judged
            await _expect_dead(
                probe, tried.exchange, what, any_refusal=state in {*_MISREAD.values(), *_ELSEWHERE.values()}
            )
        return
    expected = f"{what} is refused with 401 or 403"
    if await fail_unsteady(probe, tried.exchange, expected):
        return
    if probe.check.id != "key.required" and await is_explained(probe, tried, what, ids):
        return
    at = Address.VERSIONED if tried.surface.id in beside else tried.address
    wider = await find_hole(probe, tried, ids)
    # A key that is compared in part is one hole, whichever part that is.
    cause = wider or hole(at, "with a key" if remedy is _COMPARE_WHOLE else state.partition(" of ")[0])
    if state == _OF_ANOTHER_TENANT:
        remedy = (
            f"{AUTHENTICATE} If it is a key of this tenant, correct what the tenant file names as other_tenant_key."
        )
    probe.fail(expected, tried.found, tried.exchange, remedy=None if wider else remedy, cause=cause)


async def judge_all_dead(probe: Probe, found: Sequence[Tried], state: str, ids: Ids) -> None:
    """Each of these is refused in that state; what is open by both addresses is one hole."""
    versioned = {one.surface.id: one.is_open for one in found if one.address is Address.VERSIONED}
    beside = {one.surface.id for one in found if versioned.get(one.surface.id, True)}  # where it was not tried as well
    if versioned.get("chat_stream"):  # un-versioned, a chat in a conversation is a stream too
        beside.add(IN_CONVERSATION[0])
    for tried in found:
        await _judge_dead(probe, tried, state, ids, beside)


async def _expect_dead(probe: Probe, exchange: Exchange, what: str, *, any_refusal: bool = False) -> None:
    """Refused with 401 or 403, whatever is wrong with the key: no page tells the two apart.

    Another 4xx may be the absence of what was asked for, or an objection to the request: it tells nothing of the key,
    unless it speaks of it, or is what an unknown key gets where a live one is let in. With ``any_refusal`` the way in
    which the key was presented may be what it objects to: it let nobody in.
    """
    expected = f"{what} is refused with 401 or 403"
    response = probe.answer_or_refusal(exchange, expected)
    if block_unanswered(probe, exchange, what):
        return
    if response.status in KEY_REFUSED:
        expect_reason(probe, exchange, response)
    elif response.refused and (any_refusal or await _speaks_of_the_key(probe, response)):
        probe.advise(f"{what} should be refused with 401 or 403: {describe(response)}", exchange)
    elif response.refused and not await _is_refused_again(probe, exchange):
        probe.block_by(
            Blocker(
                f"{what} got {describe(response)}, which does not say that it is the key that is refused",
                _REFUSE_FIRST if exchange.request.key is None else _LOOK_AT_SECRET,
                cause=_REFUSE_FIRST,
                remedy_of_all=_REFUSE_FIRST,  # where none came, or one that nobody has, no secret is wrong
                because=name_large(response),
                exchange=exchange.ref,
            )
        )
    elif not response.refused:
        fail_refusal(probe, exchange, response, expected, "401")


_REFUSE_FIRST = "Have the tenant answer 401 or 403 where the key is refused, before it looks at the request."
_LOOK_AT_SECRET = (
    "Correct the secret if it is another key's: a live key that may not use what was asked for gets such an answer. "
    "Otherwise have the tenant answer 401 or 403 where the key is refused, before it looks at the request."
)


async def _is_refused_again(probe: Probe, exchange: Exchange) -> bool:
    """Whether the key is refused when the same is asked for again: an instance may not know what was asked for.

    What would create something was refused, so that it may be asked for again as well.
    """
    for number in range(1, 1 + _ASKED_AGAIN):
        again = (await probe.send(exchange.request, again=number)).response
        if again is not None and again.status in KEY_REFUSED:
            return True
    return False


_ASKED_AGAIN = 2
_THE_KEY = re.compile(r"api.?key|authori[sz]ation header|bearer|credential|token is", re.IGNORECASE)


async def _speaks_of_the_key(probe: Probe, response: Response) -> bool:
    """Whether a 4xx is about the key: by its words, or since an unknown key gets it where a live one is let in."""
    if _THE_KEY.search(response.plain[:_LONGEST_REASON]):
        return True
    listing = requests.get(probe.tenant, "/v1/models", probe.credential.name)
    live, unknown = await probe.send_all([listing, requests.present(listing, Presentation.MADE_UP, None)])
    if live.response is None or not live.response.succeeded or unknown.response is None:
        return False
    told = [(one.status, normalized_reason(one)) for one in (response, unknown.response)]
    return told[0] == told[1]


def _narrowest_for(probe: Probe, route: Route | None) -> Credential:
    """The narrowest key that may use the route, or open conversations; where none is declared to, the check's own."""
    among = probe.parameters.keys
    if route is None:
        return narrowest_key(probe.tenant, lambda key: key.holds_conversations, among) or probe.credential
    return narrowest_reaching(probe.tenant, route, among, undeclared=True) or probe.credential


@check(
    "key.never_echoed",
    claim="No answer of the tenant holds a secret.",
    remedy="Have the tenant leave keys out of answers, errors and headers; rotate the key that was echoed.",
    source="GT API reference, Bearer authentication",
    clauses=("A4",),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    tenant_wide=SEVERAL_KEYS,
    whole_run=True,
)
async def never_echoed(probe: Probe) -> None:
    """No response of the whole run, header or body, error or stream, holds a secret or a part of one, however encoded.

    Answers are searched a few at a time in a thread of their own, so that a long one keeps neither the run's time limit
    nor an interruption waiting.
    """
    seen = probe.seen
    for start in range(0, len(seen), _SEARCHED_TOGETHER):
        some = seen[start : start + _SEARCHED_TOGETHER]
        places = await anyio.to_thread.run_sync(_echoes, some, probe.redactor, abandon_on_cancel=True)
        for exchange, place in places:
            probe.note(exchange)
            probe.fail("no answer holds a secret", place, exchange)
    if not seen:
        raise Blocked("no answer was seen in this run", "Select something that sends requests.")


_SEARCHED_TOGETHER = 64


def _echoes(exchanges: Sequence[Exchange], redactor: Redactor) -> list[tuple[Exchange, str]]:
    answers = [(exchange, exchange.response) for exchange in exchanges if exchange.response is not None]
    # Nearly always there is nothing, which is soon known of all together.
    if not redactor.any_holds(text for _, response in answers for text in _texts_of(response)):
        return []
    found = ((exchange, _echo(response, redactor)) for exchange, response in answers)
    return [(exchange, place) for exchange, place in found if place is not None]


def _texts_of(response: Response) -> Iterator[str]:
    yield from chain.from_iterable(response.headers)
    yield from _spoken(response)


def _spoken(response: Response) -> Iterator[str]:
    """One after the other: an answer may be as large as is allowed, and each of them is a copy of it."""
    yield response.text
    yield from joined_texts(response.text)


def _echo(response: Response, redactor: Redactor) -> str | None:
    for name, value in response.headers:
        if (key := redactor.holds(value)) or (key := redactor.holds(name)):
            return f"the header {name} holds the secret of {key}"
    if key := next(filter(None, map(redactor.holds, _spoken(response))), None):
        return f"the body holds the secret of {key}"
    return None


@check(
    "key.isolation",
    claim="Other keys are untouched by this key's rotation or revocation, and see only their own names.",
    remedy="Have the tenant keep keys apart: what happens to one must not reach another.",
    source="GT API keys and access, Lifecycle and operations; GT API reference, List published models",
    clauses=("K23", "M1"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
)
async def isolation(probe: Probe) -> None:
    """A second credential, unlinked to this one, lists exactly its own names after a rotation or a revocation."""
    key = probe.credential
    # An upload key may be refused the list: Keys-And-Access gives it its dataset routes only.
    strangers = [
        other
        for other in unrelated_keys(probe, key)
        if other.models is not None and other.purpose is not Purpose.UPLOAD
    ]
    # Of a key that holds conversations and serves no runbook, no row compares the list.
    strangers.sort(key=lambda other: other.holds_conversations is not True)
    if not strangers:
        raise Blocked(
            f"no other live key, unlinked to {key.name} and with declared models, is there to compare with",
            "Add a second key with models: [...] to the tenant file.",
        )
    if key.retired_secret is None and not probe.tenant.revoked_credentials:
        raise Blocked(
            "nothing was rotated or revoked, so there is nothing that the other keys could have suffered from",
            f"Add a revoked key (revoked: true), or the retired secret of the key {key.name}, to the tenant file.",
        )
    for other in strangers[:2]:
        exchange = await probe.send(requests.get(probe.tenant, "/v1/models", other.name))
        expected = f"the key {other.name} works and lists exactly its own names"
        body = probe.json(exchange, "model-list", expected)
        await expect_names(probe, exchange, [entry["id"] for entry in body["data"]], other, expected)
