"""Files: an upload is accepted, processed and asked for, and its state is kept from strangers."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import dropwhile

import anyio

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._check import ADD_UPLOAD_KEY, NarrowestKey, Parameters, check, gt_extension
from gt_conformance.checks._declared import require_uploader
from gt_conformance.checks._polling import (
    _FINAL,
    _LONGEST_PAUSE_S,
    FAILED,
    READY,
    STATUS,
    Polled,
    end_of,
    expect_kept,
    is_unknown_file,
    poll,
    read_in,
    seconds_between,
)
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._refusal import expect_refusal
from gt_conformance.checks._resources import (
    CONVERSATIONS_OPEN,
    FILES_OPEN,
    KEEP_CONVERSATIONS,
    KEEP_FILES,
    Created,
    can_upload,
    expect_id,
    file_id_in,
    find_foreign_conversation,
    find_foreign_conversation_file,
    is_unknown,
    open_another,
    state_in,
    unrelated_keys,
    upload_file,
    upload_route,
    writes_dataset,
)
from gt_conformance.checks._surfaces import (
    AUTHENTICATE,
    Address,
    Ids,
    Tried,
    at_address,
    expect_shut,
    find_hole_behind,
    hole,
    places,
    surface_of,
    try_or_block,
)
from gt_conformance.checks._uploads import Kind, Statement
from gt_conformance.checks._wording import describe, lets_in
from gt_conformance.checks.boundary import ENFORCE_SCOPES, SCOPES_NOT_ENFORCED
from gt_conformance.checks.knowledge import (
    BOUND,
    IN_CONVERSATION,
    READY_CHECKS,
    STORE_NOTHING,
    expect_unknown,
    is_told,
    stated_by,
)
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Request, shortened
from gt_conformance.tenant import Credential
from gt_conformance.together import together
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Fact, Modality, Route, Severity

_ACCEPTED = "the upload is accepted with 2xx and a file id"
_ALIAS = "GET /v1/uploads/{id}, the documented alias, answers as GET /v1/files/{id} does"
_STRANGERS = 2
_EXAMPLES = {Route.CONVERSATION_FILES: Kind.PNG, Route.DATASET_FILES: Kind.PDF}
"""What the API reference itself uploads there in its examples."""


_UNKNOWN = "with an unknown id"
_FOREIGN = "with another key's conversation"


_UPLOADER = NarrowestKey("that can upload", upload_route, ADD_UPLOAD_KEY)


@check(
    "upload.needs_conversation",
    claim="A conversation upload needs a conversation of the same key.",
    remedy="Have the tenant refuse conversation uploads that name no conversation, an unknown one, or a foreign one.",
    source="GT API reference, Upload into a conversation flow; GT API reference, Bearer authentication",
    clauses=("U1", "A8", "A2"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    rows=gt_extension(Route.CONVERSATION_FILES),
    by_surface=True,
    creates=True,
    refuses=True,
)
async def needs_conversation(probe: Probe) -> None:
    """Refused with 4xx: without the header, with an unknown id, with another key's conversation, which gets nothing.

    In a run of some runbooks without the header alone: whose a conversation is, is no concern of their clients.
    """
    key = probe.credential
    await probe.require_route(Route.CONVERSATION_FILES)
    cases: dict[str, str | None] = {"without X-GT-Conversation-Id": None}
    owner: Credential | None = None
    if not probe.parameters.keys:
        cases[_UNKNOWN] = requests.MADE_UP_ID
        try:
            cases[_FOREIGN], owner = await find_foreign_conversation(probe, key)
        except Blocked as blocked:
            probe.block_by(blocked.blocker)
    path = Route.CONVERSATION_FILES.path
    asked = {
        case: requests.upload(probe.tenant, path, key.name, probe.run_id, conversation_id=conversation_id)
        for case, conversation_id in cases.items()
    }
    elsewhere = {} if probe.parameters.keys else {case: asked[case] for case in asked if case != _UNKNOWN}
    exchanges = await probe.send_all(
        [*asked.values(), *(at_address(one, probe.tenant, Address.UNVERSIONED) for one in elsewhere.values())]
    )
    let_in = [case for case, exchange in zip(asked, exchanges, strict=False) if lets_in(exchange.response)]
    remedy, cause = (KEEP_CONVERSATIONS, CONVERSATIONS_OPEN) if let_in == [_FOREIGN] else (None, "")
    if let_in == [_FOREIGN]:
        into_it = exchanges[list(asked).index(_FOREIGN)]
        if to_anybody := await find_hole_behind(probe, Route.CONVERSATION_FILES, into_it):
            remedy, cause = AUTHENTICATE, to_anybody
    for case, exchange in zip(asked, exchanges, strict=False):
        what = f"a conversation upload {case}"
        expect_refusal(probe, exchange, what, statuses=range(400, 500), reasoned=False, remedy=remedy, cause=cause)
    surface = surface_of("conversation_files")
    for case, exchange in zip(elsewhere, exchanges[len(asked) :] if not probe.violations else (), strict=False):
        what = f"a conversation upload {case}, by the un-versioned address,"
        tried = Tried(surface, Address.UNVERSIONED, exchange)
        await expect_shut(probe, tried, what, hole(Address.UNVERSIONED, "into a conversation that is not its own"))
    if owner is not None and not probe.violations:
        await _expect_nothing_stored(probe, owner, cases[_FOREIGN], anyio.current_time())


async def _expect_nothing_stored(probe: Probe, owner: Credential, conversation: str | None, refused_at: float) -> None:
    """What was refused in another key's conversation is not known there, even as late as files become known."""
    key = probe.credential
    own = await upload_file(probe, key, Route.CONVERSATION_FILES)
    if own.id is not None:
        polled = await poll(probe, key, own.id)
        known_at = refused_at + min(seconds_between(own.exchange, polled.last), _LONGEST_PAUSE_S)
        await anyio.sleep(max(0.0, known_at - anyio.current_time()))
    stated = stated_by(probe, key, Route.CONVERSATION_FILES)
    asked_by = probe.presenting(owner)
    name = probe.model(Modality.CHAT)
    request = requests.chat(
        probe.tenant,
        owner.name,
        stated.question(IN_CONVERSATION),
        conversation=conversation,
        model=name if owner.may_use(name) is not False else min(owner.models or (name,)),
    )
    what = f"the upload of the key {key.name} into a conversation of {owner.name}, which was refused,"
    remedy = STORE_NOTHING
    is_known = own.id is not None and await is_told(asked_by, request, stated)
    if is_known and await _is_told_elsewhere(asked_by, request, stated):  # its own file states the same
        what, remedy = f"the upload into a conversation of {key.name}, outside of that conversation,", BOUND
    await expect_unknown(asked_by, request, stated, what, remedy=remedy)


async def _is_told_elsewhere(probe: Probe, request: Request, stated: Statement) -> bool:
    """Whether chats know it without a conversation, or in a new one, into which nobody tried to send a file."""
    outside = tuple(one for one in request.headers if one[0] != CONVERSATION_HEADER)
    if await is_told(probe, replace(request, headers=outside), stated):
        return True
    # Not in the run's second one: the last turn there may be a tool call, behind which some models take nothing.
    new = await open_another(probe, request.fields["model"], _ASKED_OUTSIDE)
    return new is not None and await is_told(
        probe, replace(request, headers=(*outside, (CONVERSATION_HEADER, new))), stated
    )


_ASKED_OUTSIDE = 9
"""Of the conversation that is opened for that; others that a key opens when it is asked again have lower ones."""


@check(
    "upload.conversation_ready",
    claim="A file uploaded into a conversation is processed to ready.",
    remedy="Check the tenant's document processing, and that the key's linked upload key allows conversation uploads.",
    source="GT API reference, Upload into a conversation flow; "
    "GT API reference, Poll file processing status; "
    "GT API keys and access, Key purposes",
    clauses=("K3", "F1", "F5"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rows=gt_extension(Route.CONVERSATION_FILES),
    creates=True,
)
async def conversation_ready(probe: Probe) -> None:
    """A tiny text file is accepted with a file id and polls to ready in time."""
    await probe.require_route(Route.CONVERSATION_FILES)  # that no conversation is opened is a finding of its own
    if probe.parameters.minimal:
        await _accepted_in(probe, await upload_file(probe, probe.credential, Route.CONVERSATION_FILES))
        return
    await _expect_ready(probe, Route.CONVERSATION_FILES, Kind.TEXT)


@check(
    "upload.dataset_ready",
    claim="A file uploaded into the dataset is processed to ready.",
    remedy="Check the tenant's document processing, and that the key has datasets:write for this dataset.",
    source="GT API reference, Upload into a dataset target; "
    "GT API reference, Poll file processing status; "
    "GT API keys and access, Key purposes",
    clauses=("K2", "U5", "F1", "F5"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.DATASET_FILES,
    rows=gt_extension(Route.DATASET_FILES),
    shows=(Fact.UPLOAD_KEY, Fact.DATASET_ALLOWLISTED),
    creates=True,
)
async def dataset_ready(probe: Probe) -> None:
    """The same, into the tenant file's dataset and nowhere else."""
    if probe.tenant.dataset is None:
        raise Blocked(
            "no dataset is named, and uploads go to a named one only",
            "Add dataset: NAME to the tenant file: a scratch dataset that may receive tiny files.",
            cause="dataset",
        )
    if probe.parameters.minimal:
        made = await upload_file(probe, probe.credential, Route.DATASET_FILES)
        await require_uploader(probe, made.exchange)
        expect_id(probe, made, _ACCEPTED)
        return
    await _expect_ready(probe, Route.DATASET_FILES, Kind.TEXT)


@check(
    "upload.formats",
    claim="A PDF and a PNG are accepted, as in the API reference's own examples.",
    remedy="Have the tenant accept PDF and PNG files where it accepts texts, and process a PDF to ready.",
    source="GT API reference, Upload into a dataset target; GT API reference, Upload into a conversation flow",
    clauses=("U6", "F1"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rows=gt_extension(*_EXAMPLES, parameters=lambda context: (Parameters(route=context.route),), any_key=True),
    creates=True,
)
async def formats(probe: Probe) -> None:
    """A PDF into the dataset becomes ready; a PNG into a conversation is accepted, and ends in ready or failed."""
    route = probe.parameters.route or Route.DATASET_FILES
    kind, texts = _EXAMPLES[route], READY_CHECKS[route]
    await probe.require(texts)
    made = await _accepted_somehow(probe, route, kind)
    if made is None:
        return
    file_id = expect_id(probe, made, f"a {kind} is accepted as a text is: 2xx and a file id")
    await probe.require_like(texts)  # by when a text is ready, this is: it is polled less often
    polled = await poll(probe, probe.credential, file_id)
    if not await _is_its_own(probe, route, made, polled):
        return
    if polled.states[-1:] == (READY,):
        return
    await probe.require(texts, parameters=Parameters(), conforming=True)  # else it is not about this kind of file
    expected = f"a {kind} becomes ready within {probe.tenant.limits.poll_timeout_s:g} s (poll_timeout_s)"
    if await end_of(probe, polled, expected, subject=f" {kind}") == FAILED:
        found = f"its processing failed: {polled.seen}"
        if kind is Kind.PNG:
            probe.advise(f"a PNG of a chequered square was accepted, and {found}", polled.last)
        else:
            probe.fail(expected, found, polled.last, cause=f"processing:failed {kind}")


async def _accepted_somehow(probe: Probe, route: Route, kind: Kind) -> Created | None:
    """The upload; None, with the finding, where the same kind of file is accepted without code in it or in its name."""
    made = await upload_file(probe, probe.credential, route, kind)
    response = made.exchange.response
    if response is None or response.succeeded:
        return made
    plain = await upload_file(probe, probe.credential, route, kind, plainly=True)
    if plain.id is None or response.status == _TOO_MANY:
        return made
    again = (await probe.send(made.exchange.request, again=1)).response
    if again is None or again.status != response.status:
        return made  # what comes now and then is not about what the file has
    what, remedy, cause = _BESIDE[kind]
    if response.refused and _TOLD.search(response.text[:_LONGEST_REASON]):
        probe.advise(f"{what} is refused, and accepted without it: {describe(response)}", made.exchange)
        return plain
    probe.fail(
        f"{what} is accepted, as it is without it", describe(response), made.exchange, remedy=remedy, cause=cause
    )
    return None


_BESIDE = {
    Kind.PDF: (
        "a PDF with source code in it (SQL, HTML, shell)",
        "Have every firewall before the tenant pass uploads on, whatever they hold: code is not an attack.",
        "upload:code",
    ),
    Kind.PNG: (
        "a PNG with letters beyond ASCII in its name",
        "Have the tenant, and every proxy before it, take file names in UTF-8, as browsers and SDKs send them.",
        "upload:name",
    ),
}
"""What the files of the API reference's examples have besides."""
_TOLD = re.compile(r"content.?(?:filter|management|policy)|malware|virus|scan|file.?name", re.IGNORECASE)
"""Words of a refusal that says itself what it objects to: a filter that is set up so, a rule for names."""
_LONGEST_REASON = 4_000
_TOO_MANY = 429


async def _is_its_own(probe: Probe, route: Route, made: Created, polled: Polled) -> bool:
    """Whether id and state are this file's own: not the id of the text that the key uploaded there before."""
    texts = await upload_file(probe, probe.credential, route)
    if made.id is not None and made.id == texts.id:
        found = f"two files have the id {shortened(made.id, 60)}"
        probe.fail(_OWN_STATE, found, polled.last, remedy=_KEEP_APART, cause=_MIXED_UP)
        return False
    return _expect_own_state(probe, str(made.id), [polled.last])


def _expect_own_state(probe: Probe, file_id: str, exchanges: Iterable[Exchange]) -> bool:
    """Whether none of these tells the state of another file that this run uploaded."""
    others = {read_in(one.response, file_id_in) for one in probe.seen if _is_upload(one.request)} - {file_id, None}
    for exchange in exchanges:
        of_another = read_in(exchange.response, file_id_in)
        if of_another in others:
            found = f"the state of {shortened(file_id, 60)} is that of another file, {shortened(str(of_another), 60)}"
            probe.fail(_OWN_STATE, found, exchange, remedy=_KEEP_APART, cause=_MIXED_UP)
            return False
    return True


_KEEP_APART = "Have the tenant, and every cache before it, keep files apart: each has its own id and its own state."
_MIXED_UP = "files:mixed up"
_OWN_STATE = "each upload has an id and a state of its own"


def _is_upload(request: Request) -> bool:
    return request.method == "POST" and request.path.endswith("/files")


@check(
    "files.status",
    claim="The state of an upload can be asked for from the first moment, by the documented alias as well.",
    remedy="Have the tenant answer GET /v1/files/{id}, and GET /v1/uploads/{id}, once the upload is accepted.",
    source="GT API reference, Start Here; GT API reference, Poll file processing status",
    clauses=("F1", "F3", "F5"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    opens=Route.FILE_STATUS,
    rows=gt_extension(Route.FILE_STATUS),
    creates=True,
)
async def status(probe: Probe) -> None:
    """Each poll answers with a state, by the alias as well.

    Of a key that uploads into datasets and conversations it is a file of a conversation, where the run asks another key
    for one of a dataset.
    """
    key = probe.credential
    file_id = await _file_id(probe, key)
    if probe.parameters.minimal:
        first = await probe.send(requests.get(probe.tenant, requests.status_path(file_id), key.name))
        if is_unknown_file(first):
            first = next(
                (one for one in (await poll(probe, key, file_id)).exchanges if not is_unknown_file(one)), first
            )
        probe.json(first, "file-status", STATUS)
        return
    if _another_asks_of_datasets(probe, key):
        file_id = await _file_id(probe, key, Route.CONVERSATION_FILES)
    polled = await poll(probe, key, file_id)
    known = list(dropwhile(is_unknown_file, polled.exchanges))
    if len(known) < len(polled.exchanges):
        early = polled.exchanges[0].response
        status = early.status if early is not None else 0
        found = f"the state of a new file is not there at once: its first polls get {status}"
        probe.advise(found, polled.exchanges[0])
    if polled.states and is_unknown_file(polled.last):
        await expect_kept(probe, polled)
    for exchange in known or polled.exchanges:
        probe.json(exchange, "file-status", STATUS)
    await _expect_alias_alike(probe, file_id, polled, known)


async def _expect_alias_alike(probe: Probe, file_id: str, polled: Polled, known: Sequence[Exchange]) -> None:
    """The documented alias answers about the same file, with the state in which it ended."""
    alias = await _ask_alias(probe, file_id, polled)
    if is_unknown_file(alias) and polled.states:
        await expect_kept(probe, polled)
    body = probe.json(alias, "file-status", _ALIAS)
    named, state, ended = file_id_in(body), (state_in(body) or "").lower(), polled.states[-1]
    if not _expect_own_state(probe, file_id, (*known, alias)):
        return
    if named is not None and read_in(polled.last.response, file_id_in) == file_id:
        probe.must(named == file_id, _ALIAS, f"it is about another file, {shortened(named, 60)}", alias)
    if ended in _FINAL and state != ended:
        later = await probe.send(polled.last.request, again=len(polled.exchanges))
        if (read_in(later.response, state_in) or "").lower() == state:
            cause = "processing:failed" if "failed" in {ended, state} else "processing:not final"
            expected, found = "the state in which a file's processing ended stays", f"{ended}, then {state}"
            probe.fail(expected, found, later, remedy=_END_ONCE, cause=cause)
            return
    if ended in _FINAL:
        probe.must(state == ended, _ALIAS, f"its state is {state} where GET /v1/files/{{id}} has {ended}", alias)


_END_ONCE = (
    "Have the tenant show ready and failed only once nothing more is done to the file: callers stop polling there."
)


async def _ask_alias(probe: Probe, file_id: str, polled: Polled) -> Exchange:
    """The alias's answer, asked for again for some seconds while it is behind the route's: a copy is made later."""
    request = requests.get(probe.tenant, requests.alias_path(file_id), probe.credential.name)
    early = alias = await probe.send(request)
    for number, pause in enumerate(_ALIAS_S, start=1):
        if not _is_behind(alias, polled):
            break
        await anyio.sleep(pause)
        alias = await probe.send(request, again=number)
    late = alias is not early and not _is_behind(alias, polled)
    probe.should(not late, "the alias GET /v1/uploads/{id} is behind GET /v1/files/{id} for a moment", early)
    return alias


def _is_behind(alias: Exchange, polled: Polled) -> bool:
    """Whether it knows the file, and not yet how it ended."""
    state = (read_in(alias.response, state_in) or "").lower()
    return bool(state) and state not in _FINAL and bool(_FINAL.intersection(polled.states[-1:]))


_ALIAS_S = (0.3, 0.9, 1.8, 3.0)
"""The pauses before the alias is asked again."""


@check(
    "files.unprocessable",
    claim="A file that cannot be processed ends in failed.",
    remedy="Have the tenant set the state failed where processing gives up, so that callers stop polling.",
    source="GT API reference, Start Here; GT API reference, Poll file processing status",
    clauses=("F2",),
    acts=Actor.TENANT,
    severity=Severity.MEDIUM,
    rows=gt_extension(Route.FILE_STATUS, any_key=True),
    of_all=True,
    creates=True,
)
async def unprocessable(probe: Probe) -> None:
    """Bytes that only begin as a PDF end in failed, or are refused at once with a 4xx; ready is advised against."""
    key = probe.credential
    route = _upload_route(probe, key)
    await _require_uploads(probe, key, route)
    made = await upload_file(probe, key, route, Kind.BROKEN)
    response = made.exchange.response
    if response is not None and response.refused and not response.looks_like_html:
        return
    file_id = expect_id(probe, made, "a broken PDF is accepted with 2xx and a file id, or refused with a 4xx")
    await probe.require_like(READY_CHECKS[route])  # as above
    polled = await poll(probe, key, file_id)
    if polled.states[-1:] == (FAILED,):
        return
    await probe.require(
        READY_CHECKS[route], parameters=Parameters(), conforming=True
    )  # else it is not about broken files
    expected = f"a broken PDF ends in failed within {probe.tenant.limits.poll_timeout_s:g} s (poll_timeout_s)"
    if await end_of(probe, polled, expected, subject=f" {Kind.BROKEN}") == READY:
        probe.advise(f"a file that begins as a PDF and means nothing became ready: {polled.seen}", polled.last)


@check(
    "files.isolated",
    claim="The state of an upload is not visible to keys that share neither its dataset nor its conversation.",
    remedy=KEEP_FILES,
    source="GT API reference, Bearer authentication",
    clauses=("F4", "A2"),
    acts=Actor.TENANT,
    severity=Severity.CRITICAL,
    rows=gt_extension(Route.FILE_STATUS, any_key=True),
    tenant_wide=_UPLOADER,
    by_surface=True,
    of_all=True,
    creates=True,
    refuses=True,
)
async def isolated(probe: Probe) -> None:
    """A file's state is refused to keys that share neither link nor dataset with its uploader, the likeliest first.

    So is that of a file in a conversation.
    """
    key = probe.credential
    strangers = _strangers(probe, key)
    if not strangers:
        raise Blocked(
            f"every other key is linked to {key.name}, may write the same dataset, or there is none",
            "Add another live key to the tenant file, with datasets: [...] of its own if it uploads.",
        )
    # What its own uploader is not shown says nothing when it is not shown to others.
    await probe.require_route(Route.FILE_STATUS)
    file_id = await _file_id(probe, key)
    ids = Ids(file=file_id)
    asked = places(replace(probe.parameters, routes=(Route.FILE_STATUS,)))
    fewer = [asked[0], asked[-1]]
    most = 1 if probe.parameters.keys else _STRANGERS
    tried, blocks = 0, []
    versioned: set[str] = set()
    sees_others = False  # who has files of its own: then it is no matter of scopes
    while strangers and tried < most:
        some, strangers = strangers[: most - tried], strangers[most - tried :]
        # Who sees files of its own is tried everywhere; whoever comes next, plainly and by the last of these ways.
        wanted = [fewer if tried + number else asked for number in range(len(some))]
        answers = await together(
            try_or_block(probe, at, stranger.name, ids) for at, stranger in zip(wanted, some, strict=True)
        )
        for stranger, found in zip(some, answers, strict=True):
            if isinstance(found, Blocked):
                blocks.append(found)  # a key in trouble of its own: another one may do
                continue
            tried += 1
            plain = found[0].is_open
            versioned |= {one.surface.id for one in found if one.is_open and one.address is Address.VERSIONED}
            for one in found:
                what = f"the file's state, asked for by the key {stranger.name} at {one.surface.named(one.address)},"
                # Open un-versioned alone, state and alias are one hole.
                alone = one.surface.id not in versioned
                where_open = Address.UNVERSIONED if alone else Address.VERSIONED
                named = hole(where_open, "of another" if alone else f"of another: {one.surface.id}")
                cause, remedy = named if one.is_open and not plain else FILES_OPEN, None
                if plain and stranger.may(Route.FILE_STATUS) is False and not sees_others:
                    cause, remedy = SCOPES_NOT_ENFORCED, ENFORCE_SCOPES
                await expect_shut(probe, one, what, cause, ids, remedy=remedy)
            sees_others |= plain
    if not tried:
        raise blocks[0]
    if not probe.parameters.keys and not probe.violations:
        await _expect_conversation_file_kept(probe, _strangers(probe, key)[0])


async def _expect_conversation_file_kept(probe: Probe, stranger: Credential) -> None:
    """Nor is the state of a file in a conversation told to a key that sees files of its own."""
    found = await find_foreign_conversation_file(probe, stranger)
    if found is None or stranger.may(Route.FILE_STATUS) is not True:
        return
    file_id, owner = found
    await probe.require_route(Route.FILE_STATUS, owner.name)
    ids = Ids(file=file_id)
    tries = await try_or_block(probe, [(surface_of("file_status"), Address.VERSIONED)], stranger.name, ids)
    for one in tries if not isinstance(tries, Blocked) else ():
        what = f"the state of a file in a conversation of {owner.name}, asked for by the key {stranger.name},"
        await expect_shut(probe, one, what, FILES_OPEN, ids)


def _strangers(probe: Probe, key: Credential) -> list[Credential]:
    """The keys that scopes, allowlists and links keep from this one's files; first those that see files of their own.

    Two upload keys of one dataset may both poll its files.
    """
    to_dataset = _upload_route(probe, key) is Route.DATASET_FILES
    apart = [other for other in unrelated_keys(probe, key) if not (to_dataset and writes_dataset(probe, other))]
    return sorted(apart, key=lambda other: other.may(Route.FILE_STATUS) is not True)


def _another_asks_of_datasets(probe: Probe, key: Credential) -> bool:
    """Whether the key may upload into conversations as well, and another one is asked for the state in a dataset."""
    if not can_upload(probe.tenant, key, Route.CONVERSATION_FILES):
        return False
    others = (one for one in probe.tenant.live_credentials if one.name != key.name)
    return any(
        upload_route(probe.tenant, one) is Route.DATASET_FILES
        and not can_upload(probe.tenant, one, Route.CONVERSATION_FILES)
        and probe.has_planned("files.status", one.name)
        for one in others
    )


async def _file_id(probe: Probe, key: Credential, route: Route | None = None) -> str:
    route = route or _upload_route(probe, key)
    await _require_uploads(probe, key, route)
    made = await upload_file(probe, key, route)
    return expect_id(probe, made, _ACCEPTED)


async def _require_uploads(probe: Probe, key: Credential, route: Route) -> None:
    """That an upload fails is a finding of the upload's own rows, and says nothing of a file's state."""
    await probe.require_route(route, key.name)
    if route is Route.CONVERSATION_FILES:
        await probe.require(READY_CHECKS[route], key.name)


async def _expect_ready(probe: Probe, route: Route, kind: Kind) -> None:
    made = await upload_file(probe, probe.credential, route, kind)
    file_id = (
        await _accepted_in(probe, made) if route is Route.CONVERSATION_FILES else expect_id(probe, made, _ACCEPTED)
    )
    expected = f"the file becomes ready within {probe.tenant.limits.poll_timeout_s:g} s (poll_timeout_s)"
    polled = await poll(probe, probe.credential, file_id)
    if polled.states[-1:] != (READY,) and not _expect_own_state(probe, file_id, [polled.last]):
        return
    if await end_of(probe, polled, expected) == FAILED:
        probe.fail(expected, f"processing failed: {polled.seen}", polled.last, cause="processing:failed")


async def _accepted_in(probe: Probe, made: Created) -> str:
    """The id of an upload into a conversation; that the conversation is unknown to chats as well is not its finding."""
    if is_unknown(made.exchange.response):
        for key in probe.tenant.live_credentials:
            await probe.require_like("conversation.create", key.name, conforming=True)
    return expect_id(probe, made, _ACCEPTED)


def _upload_route(probe: Probe, key: Credential) -> Route:
    return upload_route(probe.tenant, key) or Route.CONVERSATION_FILES
