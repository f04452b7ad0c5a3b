"""Files: an upload is accepted, processed and asked for, and its state is kept from strangers."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import dropwhile
from typing import Any

import anyio

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._capability import (
    TRIES,
    Ability,
    complete,
    names_fact,
    remark_late,
    require_ability,
    said_in,
)
from gt_conformance.checks._check import (
    ADD_UPLOAD_KEY,
    Context,
    NarrowestKey,
    Parameters,
    check,
    gt_extension,
    narrowest_key,
)
from gt_conformance.checks._completion import has_output, plain_chat, text_in
from gt_conformance.checks._declared import require_uploader
from gt_conformance.checks._probe import (
    Probe,
    StopCheck,
)
from gt_conformance.checks._refusal import (
    expect_refusal,
)
from gt_conformance.checks._resources import (
    CONVERSATIONS_OPEN,
    FILES_OPEN,
    KEEP_CONVERSATIONS,
    KEEP_FILES,
    OPENED,
    Created,
    dataset_id_in,
    expect_id,
    file_id_in,
    find_foreign_conversation,
    find_foreign_conversation_file,
    is_open_to_strangers,
    is_unknown,
    open_conversation,
    state_in,
    unrelated_keys,
    upload_file,
    upload_path,
    upload_route,
    writes_dataset,
)
from gt_conformance.checks._surfaces import (
    Address,
    Ids,
    Tried,
    at_address,
    expect_shut,
    hole,
    places,
    surface_of,
    try_or_block,
)
from gt_conformance.checks._uploads import Kind, Statement, statement_of
from gt_conformance.checks._wording import (
    describe,
    lets_in,
)
from gt_conformance.checks.chat_tools import TOOL
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, NotJson, Request, Response, shortened
from gt_conformance.tenant import Credential, Tenant
from gt_conformance.together import together
from gt_conformance.vocabulary import Actor, Fact, Modality, Purpose, Route, Severity

_ACCEPTED = "the upload is accepted with 2xx and a file id"
_STATUS = "GET /v1/files/{id} answers with a processing state"
_ALIAS = "GET /v1/uploads/{id}, the documented alias, answers as GET /v1/files/{id} does"
_READY, _FAILED = "ready", "failed"
_FINAL = frozenset({_READY, _FAILED})
_GOOD_ENDS = ("complete", "completed", "done", "finished", "ok", "processed", "succeeded", "success", "successful")
_BAD_ENDS = ("aborted", "canceled", "cancelled", "error", "errored", "expired", "failure", "invalid", "rejected")
_SOUND_FINAL = frozenset((*_GOOD_ENDS, *_BAD_ENDS, "timeout"))
"""States in which nothing more seems to happen, although callers are to poll until ready or failed."""
_SETTLED_S = 5.0
"""A file that was so long in one of these does not leave it: no page says that a state before the end is called so."""
_SETTLED_POLLS = 4
"""And that was seen in it so often: a tenant that answers slowly shows little of what happens in that time."""
_APPEARS_S = 3.0
"""So long a new file may be unknown: what was accepted by one instance is seen by the next a moment later."""
_APPEARS_POLLS = 4
"""And so often, whatever time a slow tenant takes over them."""
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_STRANGERS = 2
_EXAMPLES = {Route.CONVERSATION_FILES: Kind.PNG, Route.DATASET_FILES: Kind.PDF}
"""What the API reference itself uploads there in its examples."""
_CHECKS = {Route.CONVERSATION_FILES: "upload.conversation_ready", Route.DATASET_FILES: "upload.dataset_ready"}
"""The checks of a text that is uploaded there."""
_END_IN_A_FINAL_STATE = "Have the tenant end the processing of each file in ready or failed: callers poll until then."


_IN_CONVERSATION = "the file that was uploaded to this conversation"
_UNKNOWN = "with an unknown id"
_FOREIGN = "with another key's conversation"
_STORE_NOTHING = (
    "Have the tenant check a key's rights before it stores an upload: what it refuses must be stored nowhere."
)


# -- until it is ready


@dataclass(frozen=True)
class Polled:
    """The polls of one file, to its end or to the deadline: the states in order of first sight."""

    states: tuple[str, ...]
    exchanges: tuple[Exchange, ...]
    waited_s: float

    @property
    def last(self) -> Exchange:
        """The poll that ended it."""
        return self.exchanges[-1]

    @property
    def seen(self) -> str:
        """The states in their order, with the time that they took."""
        return f"{' → '.join(self.states)} after {self.waited_s:.1f} s"


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
    for case, exchange in zip(asked, exchanges, strict=False):
        what = f"a conversation upload {case}"
        expect_refusal(probe, exchange, what, statuses=range(400, 500), reasoned=False, remedy=remedy, cause=cause)
    surface = surface_of("conversation_files")
    for case, exchange in zip(elsewhere, exchanges[len(asked) :] if not probe.violations else (), strict=False):
        what = f"a conversation upload {case}, by the un-versioned address,"
        tried = Tried(surface, Address.UNVERSIONED, exchange)
        await expect_shut(probe, tried, what, hole(Address.UNVERSIONED, "into a conversation that is not its own"))
    refused_at = anyio.current_time()
    if owner is not None and not probe.violations:
        own = await upload_file(probe, key, Route.CONVERSATION_FILES)
        if own.id is not None:  # what was refused would be known when it is asked for as late as its own was
            polled = await _poll(probe, key, own.id)
            known_at = refused_at + min(_seconds_between(own.exchange, polled.last), _LONGEST_PAUSE_S)
            await anyio.sleep(max(0.0, known_at - anyio.current_time()))
        stated = _stated(probe, key, Route.CONVERSATION_FILES)
        asked_by = probe.presenting(owner)
        name = probe.model(Modality.CHAT)
        request = requests.chat(
            probe.tenant,
            owner.name,
            stated.question(_IN_CONVERSATION),
            conversation=cases[_FOREIGN],
            model=name if owner.may_use(name) is not False else min(owner.models or (name,)),
        )
        what = f"the upload of the key {key.name} into a conversation of {owner.name}, which was refused,"
        await _expect_unknown(asked_by, request, stated, what, remedy=_STORE_NOTHING)


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
    kind, texts = _EXAMPLES[route], _CHECKS[route]
    await probe.require(texts)
    made = await _accepted_somehow(probe, route, kind)
    if made is None:
        return
    file_id = expect_id(probe, made, f"a {kind} is accepted as a text is: 2xx and a file id")
    await probe.require_like(texts)  # by when a text is ready, this is: it is polled less often
    polled = await _poll(probe, probe.credential, file_id)
    if not await _is_its_own(probe, route, made, polled):
        return
    if polled.states[-1:] == (_READY,):
        return
    await probe.require(texts, parameters=Parameters(), conforming=True)  # else it is not about this kind of file
    expected = f"a {kind} becomes ready within {probe.tenant.limits.poll_timeout_s:g} s (poll_timeout_s)"
    if await _end_of(probe, polled, expected, subject=f" {kind}") == _FAILED:
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
    """Whether id and state are this file's own, and not those of the text that the key uploaded there before."""
    texts = await upload_file(probe, probe.credential, route)
    named = _read(polled.last.response, file_id_in)
    expected = "each upload has an id and a state of its own"
    if made.id is not None and made.id == texts.id:
        found = f"two files have the id {shortened(made.id, 60)}"
    elif named is not None and named == texts.id:
        found = f"the state of {shortened(str(made.id), 60)} is that of another file, {shortened(named, 60)}"
    else:
        return True
    remedy = "Have the tenant, and every cache before it, keep files apart: each has its own id and its own state."
    probe.fail(expected, found, polled.last, remedy=remedy, cause="files:mixed up")
    return False


@check(
    "upload.conversation_known",
    claim="The uploads of a conversation are one dataset, and its chat knows what is in it.",
    remedy="Have the tenant keep one dataset for each conversation, index each file in it from beginning to end, and "
    "search it for the chats of that conversation.",
    source="GT API reference, Upload into a conversation flow",
    clauses=("U3", "U4", "A8"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rows=gt_extension(Route.CONVERSATION_FILES),
    by_surface=True,
    creates=True,
)
async def conversation_known(probe: Probe) -> None:
    """A fact that only the first of two uploads states is known to the conversation's chat; both share a dataset.

    To another conversation of the key it is not known.
    """
    key, route = probe.credential, Route.CONVERSATION_FILES
    await probe.require(_CHECKS[route])
    first, second = [await upload_file(probe, key, route, kind) for kind in (Kind.TEXT, Kind.PNG)]
    await probe.require(_CHECKS[route], parameters=Parameters(), conforming=True)
    await probe.require_like("conversation.create")
    conversation = expect_id(probe, await open_conversation(probe, key), OPENED)
    asked = _expect_known(probe, key, route, _IN_CONVERSATION, conversation)
    compared = [_expect_same_dataset(probe, first, second)] if second.id else []  # else upload.formats finds it
    apart = [] if probe.parameters.keys else [_expect_kept_apart(probe, conversation)]
    await together([asked, *compared, *apart])


async def _expect_kept_apart(probe: Probe, conversation: str) -> None:
    """Another conversation of the same key does not know the file: it is bound to the one into which it came."""
    other = await open_conversation(probe, probe.credential, titled=False)
    if other.id not in {None, conversation}:
        stated = _stated(probe, probe.credential, Route.CONVERSATION_FILES)
        request = plain_chat(probe, stated.question(_IN_CONVERSATION), conversation=other.id)
        if await _is_told(probe, request, stated):  # a chat that does not look at the conversation tells anything
            await probe.require_like("conversation.continuity", conforming=True)
            await probe.require_like("upload.needs_conversation", conforming=True)  # what names none may be anywhere
        await _expect_unknown(probe, request, stated, "the upload into another conversation", remedy=_BOUND)


_BOUND = "Have the tenant search a conversation's dataset for the chats of that conversation alone."


async def _expect_unknown(probe: Probe, request: Request, stated: Statement, what: str, *, remedy: str) -> None:
    """A chat that may be refused does not name what a file states that it must not know."""
    told = await _is_told(probe, request, stated)
    expected = f"{what} is not known to a chat"
    probe.must(not told, expected, f"it tells {stated.name}", await probe.send(request), remedy=remedy)


async def _is_told(probe: Probe, request: Request, stated: Statement) -> bool:
    response = (await probe.send(request)).response
    return response is not None and response.succeeded and names_fact(said_in(response), stated.name)


def _where_attached(context: Context) -> Iterable[Parameters]:
    return (Parameters(),) if context.tenant.dataset_attached and _asker(context.tenant) else ()


def _asker(tenant: Tenant) -> Credential | None:
    """The narrowest key that is declared to chat and to reach the dataset."""
    dataset, alias = tenant.dataset, tenant.model(Modality.CHAT)
    if dataset is None:
        return None
    return narrowest_key(tenant, lambda key: key.may(Route.CHAT) and key.may_use(alias) and key.may_write(dataset))


@check(
    "upload.dataset_known",
    claim="What is uploaded into a dataset is known to the agent that has the dataset attached.",
    remedy="Check that the dataset is indexed, each file from beginning to end, and that the agent behind models.chat "
    "has it attached.",
    source="GT client runbooks, GT extensions and caveats; GT API reference, Upload into a dataset target",
    clauses=("U7", "K16", "A8"),
    acts=Actor.TENANT,
    severity=Severity.HIGH,
    rows=gt_extension(Route.DATASET_FILES, parameters=_where_attached, any_key=True),
    by_surface=True,
    creates=True,
)
async def dataset_known(probe: Probe) -> None:
    """What only an uploaded text and PDF state is known to a chat; asked where the tenant file has dataset_attached.

    What a refused upload states is not, nor what was uploaded into a conversation, to a chat outside of it.
    No page says how a caller attaches a dataset, so the key is one that may both chat and reach the dataset.
    """
    route = Route.DATASET_FILES
    asking = _asker(probe.tenant)
    if asking is None:
        raise Blocked(
            "no key is declared to chat and to reach the dataset",
            "Add a live key with purpose conversation that inherits such an inference key and such an upload key.",
            cause=probe.tenant.cause_without(Purpose.CONVERSATION),
        )
    await probe.require(_CHECKS[route], parameters=Parameters(), conforming=True)
    asker = probe.presenting(asking)
    pdf = await upload_file(probe, probe.credential, route, Kind.PDF)
    kinds = (Kind.TEXT, Kind.PDF) if pdf.id is not None else (Kind.TEXT,)  # else upload.formats finds it
    if pdf.id is not None:
        await _poll(probe, probe.credential, pdf.id)
    known = await _known_together(asker, [_stated(probe, probe.credential, route, kind) for kind in kinds], _IN_DATASET)
    for kind in kinds:
        if _stated(probe, probe.credential, route, kind) not in known:
            if kind is not Kind.TEXT:
                formats = Parameters(route=route)
                await probe.require("upload.formats", parameters=formats, conforming=True)
            await _expect_known(asker, probe.credential, route, _IN_DATASET, kind=kind)
            if probe.violations:
                return
    if not probe.parameters.keys and not probe.violations:
        await _expect_refused_unknown(asker)


_IN_DATASET = "the documents of your dataset"


async def _known_together(probe: Probe, facts: Sequence[Statement], where: str) -> list[Statement]:
    """Those of these facts that one answer names to all the questions: which of the others are known is asked apart."""
    await probe.require_route(Route.CHAT)
    response = (await probe.send(_question_of(probe, facts, where))).response
    said = said_in(response) if response is not None and response.succeeded else ""
    return [stated for stated in facts if names_fact(said, stated.name)]


def _question_of(probe: Probe, facts: Sequence[Statement], where: str) -> Request:
    """One chat that asks for all of these; for a single one as it is asked for anywhere."""
    first, *others = facts
    if not others:
        return plain_chat(probe, first.question(where))
    asked = " ".join(f"What is the {stated.subject} called?" for stated in others)
    return plain_chat(probe, f"Search {where}: what is the {first.subject} called? {asked} Reply with the names only.")


async def _expect_refused_unknown(probe: Probe) -> None:
    """What is not in the dataset is not known to a chat that names no conversation, and is stored nowhere it sees.

    That is what a key without the right uploads there, which is refused, and what is in a conversation. Both are asked
    for at once.
    """
    unknown: dict[Statement, tuple[str, str]] = {}
    refused_upload: Request | None = None
    key = narrowest_key(probe.tenant, lambda key: key.may(Route.DATASET_FILES) is False)
    if key is not None:
        refused_upload = requests.valid(probe.tenant, Route.DATASET_FILES, key.name, probe.run_id)
        refused = await probe.send(refused_upload)
        if refused.response is not None and refused.response.refused:
            what = f"the upload of the key {key.name} into the dataset, which was refused,"
            unknown[_stated(probe, key, Route.DATASET_FILES)] = (what, _STORE_NOTHING)
    if probe.credential.holds_conversations:
        with suppress(Blocked):
            made = await upload_file(probe, probe.credential, Route.CONVERSATION_FILES)
            if made.id is not None and (await _poll(probe, probe.credential, made.id)).states[-1:] == (_READY,):
                what = f"the upload into a conversation of {probe.credential.name}, outside of that conversation,"
                unknown[_stated(probe, probe.credential, Route.CONVERSATION_FILES)] = (what, _BOUND)
    if unknown:
        request = _question_of(probe, list(unknown), _IN_DATASET)
        for stated, (what, remedy) in unknown.items():
            twin = None if remedy is _BOUND or refused_upload is None else refused_upload
            if twin is None or not await _is_taken_unversioned(probe, request, stated, twin):
                await _expect_unknown(probe, request, stated, what, remedy=remedy)


async def _is_taken_unversioned(probe: Probe, request: Request, stated: Statement, upload: Request) -> bool:
    """Whether what is told of a refused upload may come from its un-versioned twin, which is served: a hole of keys."""
    if not await _is_told(probe, request, stated):
        return False
    twin = at_address(upload, probe.tenant, Address.UNVERSIONED)
    tried = Tried(surface_of("dataset_files"), Address.UNVERSIONED, await probe.send(twin))
    if not tried.is_open:
        return False
    what = f"{tried.surface.named(tried.address)} by the key {upload.key}, whose scopes leave it out,"
    await expect_shut(probe, tried, what, hole(Address.UNVERSIONED, "without the scope"))
    return True


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
    """Each poll answers with a state, by the alias as well."""
    key = probe.credential
    file_id = await _file_id(probe, key)
    if probe.parameters.minimal:
        first = await probe.send(requests.get(probe.tenant, requests.status_path(file_id), key.name))
        if _is_unknown(first):
            first = next((one for one in (await _poll(probe, key, file_id)).exchanges if not _is_unknown(one)), first)
        probe.json(first, "file-status", _STATUS)
        return
    polled = await _poll(probe, key, file_id)
    known = list(dropwhile(_is_unknown, polled.exchanges))
    if len(known) < len(polled.exchanges):
        early = polled.exchanges[0].response
        status = early.status if early is not None else 0
        found = f"the state of a new file is not there at once: its first polls get {status}"
        probe.advise(found, polled.exchanges[0])
    for exchange in known or polled.exchanges:
        probe.json(exchange, "file-status", _STATUS)
    alias = await probe.send(requests.get(probe.tenant, requests.alias_path(file_id), key.name))
    body = probe.json(alias, "file-status", _ALIAS)
    named, state, ended = file_id_in(body), (state_in(body) or "").lower(), polled.states[-1]
    if named is not None and _read(polled.last.response, file_id_in) == file_id:
        probe.must(named == file_id, _ALIAS, f"it is about another file, {shortened(named, 60)}", alias)
    if ended in _FINAL:
        probe.must(state == ended, _ALIAS, f"its state is {state} where GET /v1/files/{{id}} has {ended}", alias)


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
    await probe.require_like(_CHECKS[route])  # as above
    polled = await _poll(probe, key, file_id)
    if polled.states[-1:] == (_FAILED,):
        return
    await probe.require(_CHECKS[route], parameters=Parameters(), conforming=True)  # else it is not about broken files
    expected = f"a broken PDF ends in failed within {probe.tenant.limits.poll_timeout_s:g} s (poll_timeout_s)"
    if await _end_of(probe, polled, expected, subject=f" {Kind.BROKEN}") == _READY:
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
                cause = named if one.is_open and not plain else FILES_OPEN
                await expect_shut(probe, one, what, cause, ids)
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


async def _file_id(probe: Probe, key: Credential) -> str:
    route = _upload_route(probe, key)
    await _require_uploads(probe, key, route)
    made = await upload_file(probe, key, route)
    return expect_id(probe, made, _ACCEPTED)


async def _require_uploads(probe: Probe, key: Credential, route: Route) -> None:
    """That an upload fails is a finding of the upload's own rows, and says nothing of a file's state."""
    await probe.require_route(route, key.name)
    if route is Route.CONVERSATION_FILES:
        await probe.require(_CHECKS[route], key.name)


# -- until it ended


async def _expect_ready(probe: Probe, route: Route, kind: Kind) -> None:
    made = await upload_file(probe, probe.credential, route, kind)
    file_id = (
        await _accepted_in(probe, made) if route is Route.CONVERSATION_FILES else expect_id(probe, made, _ACCEPTED)
    )
    expected = f"the file becomes ready within {probe.tenant.limits.poll_timeout_s:g} s (poll_timeout_s)"
    polled = await _poll(probe, probe.credential, file_id)
    if await _end_of(probe, polled, expected) == _FAILED:
        probe.fail(expected, f"processing failed: {polled.seen}", polled.last, cause="processing:failed")


async def _accepted_in(probe: Probe, made: Created) -> str:
    """The id of an upload into a conversation; that the conversation is unknown to chats as well is not its finding."""
    if is_unknown(made.exchange.response):
        for key in probe.tenant.live_credentials:
            await probe.require_like("conversation.create", key.name, conforming=True)
    return expect_id(probe, made, _ACCEPTED)


async def _end_of(probe: Probe, polled: Polled, expected: str, *, subject: str = "") -> str:
    """The state in which a file ended, ready or failed; that it has not ended is the violation, and the check ends.

    ``subject`` tells files apart that do not end for a reason of their own.
    """
    written = _state_in(polled.last.response)
    if written is None:
        # Where the state of no file can be read, it is not this upload's fault.
        await probe.require_route(Route.FILE_STATUS)
        if polled.last.response is None:
            await probe.require("files.status", parameters=Parameters(), conforming=True)
        probe.json(polled.last, "file-status", _STATUS)
        raise Blocked("whether the file became ready is unknown", "Look at the last poll of this file.")
    state = polled.states[-1]
    if state in _FINAL:
        probe.should(written == state, f"the final state is written {written}, not {state} as documented", polled.last)
        return state
    if state in _SOUND_FINAL:
        found = f"{written} sounds final, and is neither ready nor failed: {polled.seen}"
        cause = f"processing:{state}{subject}"
        probe.fail(expected, found, polled.last, remedy=_END_IN_A_FINAL_STATE, cause=cause)
    elif await is_open_to_strangers(
        probe, polled.last.request.url.removeprefix(probe.tenant.base_url), probe.credential
    ):
        # A cache that keeps states by their path alone tells whoever asks, and what it was told first.
        probe.fail(expected, f"still {state}: {polled.seen}", polled.last, remedy=KEEP_FILES, cause=FILES_OPEN)
    else:
        probe.fail(expected, f"still {state}: {polled.seen}", polled.last, cause=f"processing:not ready{subject}")
    raise StopCheck


async def _poll(probe: Probe, key: Credential, file_id: str) -> Polled:
    """Ask for the state until it is final, with growing pauses; done once a run for each file."""

    async def make() -> tuple[Polled, Sequence[Exchange]]:
        states: list[str] = []
        exchanges: list[Exchange] = []
        started = anyio.current_time()
        deadline = started + probe.tenant.limits.poll_timeout_s
        pause = _FIRST_PAUSE_S
        settled = started
        seen = 0
        while True:
            request = requests.get(probe.tenant, requests.status_path(file_id), key.name)
            exchange = await probe.send(request, again=len(exchanges), control=True)
            exchanges.append(exchange)
            now = anyio.current_time()
            state = _state_in(exchange.response)
            if state is not None and state.lower() not in states[-1:]:
                states.append(state.lower())
                settled, seen = now + _SETTLED_S, 0
            seen += 1
            stays = bool(states) and states[-1] in _SOUND_FINAL and now >= settled and seen >= _SETTLED_POLLS
            may_appear = len(exchanges) < _APPEARS_POLLS or now < started + _APPEARS_S
            if not states and _is_unknown(exchange) and may_appear and now < deadline:
                await anyio.sleep(pause)
                continue
            if state is None or states[-1] in _FINAL or stays or now >= deadline:
                return Polled(tuple(states), tuple(exchanges), now - started), exchanges
            await anyio.sleep(min(pause, deadline - now))
            pause = min(pause * 1.6, _LONGEST_PAUSE_S)

    return await probe.shared(("polls", key.name, file_id), make)


def _seconds_between(one: Exchange, other: Exchange) -> float:
    """From the answer to one until another was sent."""
    if one.started_ms is None or other.started_ms is None:
        return _LONGEST_PAUSE_S
    return max(0.0, other.started_ms - one.started_ms - one.elapsed_ms) / 1000


def _is_unknown(exchange: Exchange) -> bool:
    """Whether the tenant does not know the file, or not yet."""
    return is_unknown(exchange.response)


def _state_in(response: Response | None) -> str | None:
    return _read(response, state_in)


def _read(response: Response | None, find: Callable[[Any], str | None]) -> str | None:
    """What ``find`` reads in the body of a success."""
    if response is None or not response.succeeded:
        return None
    try:
        return find(response.json())
    except NotJson:
        return None


# -- what a chat knows


async def _expect_same_dataset(probe: Probe, *uploads: Created) -> None:
    """All of them are in the same dataset, as far as the tenant names it in its answers to uploads and polls."""

    async def dataset_of(made: Created) -> str | None:
        named = _read(made.exchange.response, dataset_id_in)
        if named is not None or made.id is None:
            return named
        polled = await _poll(probe, probe.credential, made.id)
        return _read(polled.last.response, dataset_id_in)

    datasets = await together(dataset_of(made) for made in uploads)
    named = [shortened(dataset, 60) for dataset in dict.fromkeys(datasets) if dataset is not None]
    probe.must(
        len(named) < len(uploads),
        "a second upload into a conversation reuses the dataset of the first",
        f"they are in {' and '.join(named)}",
        uploads[-1].exchange,
        cause="a dataset for each upload",
    )


async def _expect_known(
    probe: Probe,
    uploader: Credential,
    route: Route,
    where: str,
    conversation: str | None = None,
    *,
    kind: Kind = Kind.TEXT,
) -> None:
    """The chat names what only that file states, if a moment late; where it never does, the model must be able to."""
    await probe.require_route(Route.CHAT)
    stated = _stated(probe, uploader, route, kind)
    others = {
        other.name: _stated(probe, other, Route.CONVERSATION_FILES)
        for other in unrelated_keys(probe, probe.credential)
        if other.holds_conversations and other.name != uploader.name
    }
    request = plain_chat(probe, stated.question(where), conversation=conversation)
    said, asked = "", None
    for number, pause in enumerate(_KNOWN_S):
        await anyio.sleep(pause)  # an index may show what is new a moment after it took it
        expected = "a chat about an uploaded file completes"
        asked, choice = await complete(probe, request, expected, first=number * TRIES)
        if not has_output(choice["message"]):
            return
        said = text_in(choice["message"])
        for name, other in others.items():
            if names_fact(said, other.name):
                found = f"the answer tells what the key {name} uploaded to a conversation of its own"
                probe.fail("a chat knows no upload of others", found, asked, severity=Severity.CRITICAL, cause=found)
                return
        if names_fact(said, stated.name):
            remark_late(probe, "named what the file states", number, asked)
            return
    await require_ability(probe, Ability.RECALL)
    # A tenant may have the model itself search its datasets, by a tool that it must be able to call.
    await require_ability(probe, Ability.TOOLS, tool=TOOL)
    if conversation is not None:
        # A conversation that does not go on knows nothing of its files either.
        await probe.require_like("conversation.continuity", conforming=True)
    elif probe.credential.holds_conversations:
        # What is wrong with all that is uploaded is one thing.
        await probe.require("upload.conversation_known", parameters=Parameters(), conforming=True)
    found = f"{len(_KNOWN_S)} answers without it, the last one {shortened(said, 80)!r}"
    if kind is Kind.TEXT:
        expected = f"a chat knows what the file states in its middle ({stated.name})"
        probe.fail(expected, found, asked, cause="unknown to the chat")
    else:
        expected = f"a chat knows what a {kind} states as it knows what a text does ({stated.name})"
        probe.fail(expected, found, asked, remedy=_READ_PDFS, cause=f"unknown to the chat: {kind}")


_KNOWN_S = (0, 0, 0.3, 0.9, 1.8)
"""The pauses before a chat is asked again about a file that is ready."""
_READ_PDFS = "Have the tenant index the text of a PDF that it sets to ready, as it indexes plain texts."


def _stated(probe: Probe, key: Credential, route: Route, kind: Kind = Kind.TEXT) -> Statement:
    return statement_of(probe.run_id, key.name, upload_path(probe.tenant, route), kind)


def _upload_route(probe: Probe, key: Credential) -> Route:
    return upload_route(probe.tenant, key) or Route.CONVERSATION_FILES
