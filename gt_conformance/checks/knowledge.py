"""What is uploaded is known to the chats that may know it, and to no other."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

import anyio

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._capability import (
    TRIES,
    Ability,
    ask_again,
    complete,
    is_answered,
    names_fact,
    remark_late,
    require_ability,
    said_in,
)
from gt_conformance.checks._check import Context, Parameters, check, gt_extension, narrowest_key
from gt_conformance.checks._completion import expect_unspoilt, has_output, plain_chat, text_in
from gt_conformance.checks._polling import READY, poll, read_in
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._resources import (
    OPENED,
    Created,
    created_id,
    dataset_id_in,
    expect_id,
    open_another,
    open_conversation,
    unrelated_keys,
    upload_beside,
    upload_file,
    upload_path,
)
from gt_conformance.checks._surfaces import WITHOUT_SCOPE, Address, Tried, at_address, expect_shut, hole, surface_of
from gt_conformance.checks._tools import TOOL
from gt_conformance.checks._uploads import Kind, Statement, statement_of
from gt_conformance.checks._words import ACCENTED, spoilt_in
from gt_conformance.checks.boundary import ENFORCE_SCOPES
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Exchange, Request, shortened
from gt_conformance.tenant import Credential, Tenant
from gt_conformance.together import together
from gt_conformance.vocabulary import CONVERSATION_HEADER, Actor, Modality, Purpose, Route, Severity

READY_CHECKS = {Route.CONVERSATION_FILES: "upload.conversation_ready", Route.DATASET_FILES: "upload.dataset_ready"}
"""The checks of a text that is uploaded there."""


IN_CONVERSATION = "the file that was uploaded to this conversation"


STORE_NOTHING = (
    "Have the tenant check a key's rights before it stores an upload: what it refuses must be stored nowhere."
)


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
    await probe.require(READY_CHECKS[route])
    first, second = [await upload_file(probe, key, route, kind) for kind in (Kind.TEXT, Kind.PNG)]
    beside = [] if probe.parameters.keys else _linked_uploaders(probe)
    linked = [(one, await upload_beside(probe, one)) for one in beside]
    await probe.require(READY_CHECKS[route], parameters=Parameters(), conforming=True)
    await probe.require_like("conversation.create")
    conversation = expect_id(probe, await open_conversation(probe, key), OPENED)
    asked = _expect_all_known(probe, conversation, linked)
    compared = [_expect_same_dataset(probe, first, second)] if second.id else []  # else upload.formats finds it
    apart = [] if probe.parameters.keys else [_expect_kept_apart(probe, conversation)]
    await together([asked, *compared, *apart])


def _linked_uploaders(probe: Probe) -> list[Credential]:
    """The linked upload keys that may upload into the conversation themselves."""
    linked = [probe.tenant.credentials[name] for name in probe.credential.inherits]
    return [one for one in linked if not one.revoked and one.conversation_uploads]


async def _expect_all_known(probe: Probe, conversation: str, linked: Sequence[tuple[Credential, Exchange]]) -> None:
    """The chat knows the key's own file, and those of its linked upload keys: all are asked for at once.

    Only what the tenant took and has processed must be known: that is asked for alone where it was not told.
    """
    route = Route.CONVERSATION_FILES
    taken = [(one, file_id) for one, exchange in linked if (file_id := created_id(exchange)) is not None]
    beside = [stated_by(probe, one, route) for one, _ in taken]
    said = await _expect_known(probe, probe.credential, route, IN_CONVERSATION, conversation, beside=beside)
    for (other, file_id), stated in zip(taken, beside, strict=True):
        if probe.violations or not said or names_fact(said, stated.name):
            continue
        states: Sequence[str] = ()
        with suppress(Blocked):  # what is not processed is another check's finding
            states = (await poll(probe, other, file_id)).states
        if states[-1:] == (READY,):
            await _expect_known(probe, other, route, IN_CONVERSATION, conversation)


async def _expect_kept_apart(probe: Probe, conversation: str) -> None:
    """Another conversation of the same key does not know the file: it is bound to the one into which it came."""
    other = await open_conversation(probe, probe.credential, titled=False)
    if other.id not in {None, conversation}:
        stated = stated_by(probe, probe.credential, Route.CONVERSATION_FILES)
        request = plain_chat(probe, stated.question(IN_CONVERSATION), conversation=other.id)
        if not is_answered((await probe.send(request)).response):
            # The last turn there may be a tool call without its result, behind which some models take nothing.
            new = await open_another(probe, request.fields["model"], 1)
            request = plain_chat(probe, stated.question(IN_CONVERSATION), conversation=new or other.id)
        if await is_told(probe, request, stated):  # a chat that does not look at the conversation tells anything
            await probe.require_like("conversation.continuity", conforming=True)
            await probe.require_like("upload.needs_conversation", conforming=True)  # what names none may be anywhere
        await expect_unknown(probe, request, stated, "the upload into another conversation", remedy=BOUND)


BOUND = "Have the tenant search a conversation's dataset for the chats of that conversation alone."
_KNOWN_OUTSIDE = "files:known outside of their conversation"


async def expect_unknown(probe: Probe, request: Request, stated: Statement, what: str, *, remedy: str) -> None:
    """A chat that may be refused does not name what a file states that it must not know.

    What is uploaded into a conversation and known outside of it is one finding, wherever it is told.
    """
    told = await is_told(probe, request, stated)
    expected = f"{what} is not known to a chat"
    cause = _KNOWN_OUTSIDE if remedy is BOUND else ""
    probe.must(not told, expected, f"it tells {stated.name}", await probe.send(request), remedy=remedy, cause=cause)


async def is_told(probe: Probe, request: Request, stated: Statement) -> bool:
    """Whether the answer names what a file states."""
    response = (await probe.send(request)).response
    return response is not None and response.succeeded and names_fact(said_in(response), stated.name)


def _where_attached(context: Context) -> Iterable[Parameters]:
    return (Parameters(),) if context.tenant.dataset_attached and _asker(context.tenant) else ()


def _asker(tenant: Tenant) -> Credential | None:
    """The narrowest key that is declared to chat and to reach the dataset."""
    dataset = tenant.dataset
    if dataset is None:
        return None

    def may_ask(key: Credential) -> object:
        return key.may(Route.CHAT) and tenant.may_use(key, Modality.CHAT) and key.may_write(dataset)

    return narrowest_key(tenant, may_ask)


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
    await probe.require(READY_CHECKS[route], parameters=Parameters(), conforming=True)
    asker = probe.presenting(asking)
    pdf = await upload_file(probe, probe.credential, route, Kind.PDF)
    kinds = (Kind.TEXT, Kind.PDF) if pdf.id is not None else (Kind.TEXT,)  # else upload.formats finds it
    if pdf.id is not None:
        await poll(probe, probe.credential, pdf.id)
    own = await _own_upload(asker, probe.credential)
    stated = [stated_by(probe, probe.credential, route, kind) for kind in kinds]
    known = await _known_together(asker, stated if own is None else [*stated, own], _IN_DATASET)
    for kind in kinds:
        if stated_by(probe, probe.credential, route, kind) not in known:
            if kind is not Kind.TEXT:
                formats = Parameters(route=route)
                await probe.require("upload.formats", parameters=formats, conforming=True)
            await _expect_known(asker, probe.credential, route, _IN_DATASET, kind=kind)
            if probe.violations:
                return
    if own is not None and own not in known:
        await _expect_known(asker, asking, route, _IN_DATASET)
    if not probe.parameters.keys and not probe.violations:
        await _expect_refused_unknown(asker)


async def _own_upload(probe: Probe, uploader: Credential) -> Statement | None:
    """What the key that asks uploads into the dataset itself, beside the uploader's, once it is ready; None if nothing.

    A run of some runbooks asks for one key's uploads alone.
    """
    key, route = probe.credential, Route.DATASET_FILES
    if probe.parameters.keys or key.name == uploader.name or not key.may(route):
        return None
    made = await upload_file(probe, key, route)
    if made.id is None or (await poll(probe, key, made.id)).states[-1:] != (READY,):
        return None
    return stated_by(probe, key, route)


_IN_DATASET = "the documents of your dataset"


async def _known_together(probe: Probe, facts: Sequence[Statement], where: str) -> list[Statement]:
    """Those of these facts that one answer names to all the questions: which of the others are known is asked apart."""
    await probe.require_route(Route.CHAT)
    exchange = await probe.send(question_of(probe, facts, where))
    said = said_in(exchange.response) if exchange.response is not None and exchange.response.succeeded else ""
    known = [stated for stated in facts if names_fact(said, stated.name)]
    if known:
        await _expect_letters_kept(probe, exchange, known[0])
    return known


def question_of(probe: Probe, facts: Sequence[Statement], where: str, conversation: str | None = None) -> Request:
    """One chat that asks for all of these; for a single one as it is asked for anywhere."""
    first, *others = facts
    if not others:
        return plain_chat(probe, first.question(where), conversation=conversation)
    asked = " ".join(f"What is the {stated.subject} called?" for stated in others)
    question = f"Search {where}: what is the {first.subject} called? {asked} Reply with the names only."
    return plain_chat(probe, question, conversation=conversation)


async def _expect_letters_kept(probe: Probe, exchange: Exchange, stated: Statement) -> None:
    """Letters of a file come as they are in it, where they do so in a chat that is told them without a file.

    A model may leave them out: only what is in their place shows that they are lost.
    """
    if not (found := spoilt_in(said_in(exchange.response))):
        return
    question = stated.question("what I tell you now")
    alone = await ask_again(probe, plain_chat(probe, f"{stated.in_letters} {question}"))
    if spoilt_in(said := said_in(alone.response)):
        expect_unspoilt(probe, alone, said)
    elif names_fact(said, stated.name) and ACCENTED in said.lower():
        if CONVERSATION_HEADER in dict(exchange.request.headers):  # what is lost of all that is said there is one thing
            await probe.require_like("conversation.continuity", conforming=True)
        probe.fail(
            "letters beyond ASCII that a file has come as they are in it",
            f"an accented word came as {found!r}, and as it was sent in a chat without a file",
            exchange,
            remedy=_READ_UTF_8,
            cause=LETTERS_IN_FILES,
        )


LETTERS_IN_FILES = "files:letters"
_READ_UTF_8 = "Have the tenant read the texts that are uploaded as UTF-8, and store and search them in UTF-8."


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
            unknown[stated_by(probe, key, Route.DATASET_FILES)] = (what, STORE_NOTHING)
    if probe.credential.holds_conversations:
        with suppress(Blocked):
            made = await upload_file(probe, probe.credential, Route.CONVERSATION_FILES)
            if made.id is not None and (await poll(probe, probe.credential, made.id)).states[-1:] == (READY,):
                what = f"the upload into a conversation of {probe.credential.name}, outside of that conversation,"
                unknown[stated_by(probe, probe.credential, Route.CONVERSATION_FILES)] = (what, BOUND)
    if unknown:
        request = question_of(probe, list(unknown), _IN_DATASET)
        for stated, (what, remedy) in unknown.items():
            twin = None if remedy is BOUND or refused_upload is None else refused_upload
            if twin is None or not await _is_taken_unversioned(probe, request, stated, twin):
                await expect_unknown(probe, request, stated, what, remedy=remedy)


async def _is_taken_unversioned(probe: Probe, request: Request, stated: Statement, upload: Request) -> bool:
    """Whether what is told of a refused upload may come from its un-versioned twin, which is served: a hole of keys."""
    if not await is_told(probe, request, stated):
        return False
    twin = at_address(upload, probe.tenant, Address.UNVERSIONED)
    tried = Tried(surface_of("dataset_files"), Address.UNVERSIONED, await probe.send(twin))
    if not tried.is_open:
        return False
    what = f"{tried.surface.named(tried.address)} by the key {upload.key}, whose scopes leave it out,"
    await expect_shut(probe, tried, what, hole(Address.UNVERSIONED, WITHOUT_SCOPE), remedy=ENFORCE_SCOPES)
    return True


async def _expect_same_dataset(probe: Probe, *uploads: Created) -> None:
    """All of them are in the same dataset, as far as the tenant names it in its answers to uploads and polls."""

    async def dataset_of(made: Created) -> str | None:
        named = read_in(made.exchange.response, dataset_id_in)
        if named is not None or made.id is None:
            return named
        polled = await poll(probe, probe.credential, made.id)
        return read_in(polled.last.response, dataset_id_in)

    datasets = await together(dataset_of(made) for made in uploads)
    named = [shortened(dataset, 60) for dataset in dict.fromkeys(datasets) if dataset is not None]
    if len(named) >= len(uploads) and not probe.parameters.keys:  # what goes into whatever conversation is that finding
        await probe.require_like("upload.needs_conversation", conforming=True)
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
    beside: Sequence[Statement] = (),
) -> str:
    """The chat names what only that file states, if a moment late; where it never does, the model must be able to.

    It is asked for what is ``beside`` it as well at first. Returns what was answered to that, as far as it was.
    """
    await probe.require_route(Route.CHAT)
    stated = stated_by(probe, uploader, route, kind)
    others = {
        other.name: stated_by(probe, other, Route.CONVERSATION_FILES)
        for other in unrelated_keys(probe, probe.credential)
        if other.holds_conversations and other.name != uploader.name
    }
    at_first = question_of(probe, [stated, *beside], where, conversation)
    request = plain_chat(probe, stated.question(where), conversation=conversation)
    said, told, asked = "", "", None
    for number, pause in enumerate(_KNOWN_S):
        await anyio.sleep(pause)  # an index may show what is new a moment after it took it
        expected = "a chat about an uploaded file completes"
        asked, choice = await complete(probe, request if number else at_first, expected, first=number * TRIES)
        if not has_output(choice["message"]):
            return ""
        said = text_in(choice["message"])
        told = told or said
        for name, other in others.items():
            if names_fact(said, other.name):
                found = f"the answer tells what the key {name} uploaded to a conversation of its own"
                probe.fail("a chat knows no upload of others", found, asked, severity=Severity.CRITICAL, cause=found)
                return ""
        if names_fact(said, stated.name):
            remark_late(probe, "named what the file states", number, asked)
            await _expect_letters_kept(probe, asked, stated)
            return told
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
    if conversation is not None and uploader.name != probe.credential.name:
        expected = f"a chat knows what the linked upload key {uploader.name} put into its conversation ({stated.name})"
        probe.fail(expected, found, asked, remedy=_INDEX_OF_LINKED, cause="unknown to the chat: of a linked key")
    elif kind is Kind.TEXT:
        expected = f"a chat knows what the file states in its middle ({stated.name})"
        probe.fail(expected, found, asked, cause="unknown to the chat")
    else:
        expected = f"a chat knows what a {kind} states as it knows what a text does ({stated.name})"
        probe.fail(expected, found, asked, remedy=_READ_PDFS, cause=f"unknown to the chat: {kind}")
    return ""


_KNOWN_S = (0, 0, 0.3, 0.9, 1.8, 1.8)
"""The pauses before a chat is asked again about a file that is ready."""


_INDEX_OF_LINKED = (
    "Have the tenant put what a linked upload key uploads into a conversation into that conversation's dataset, as it "
    "does with what the conversation key uploads."
)
_READ_PDFS = "Have the tenant index the text of a PDF that it sets to ready, as it indexes plain texts."


def stated_by(probe: Probe, key: Credential, route: Route, kind: Kind = Kind.TEXT) -> Statement:
    """What the key's upload of that kind states in this run."""
    return statement_of(probe.run_id, key.name, upload_path(probe.tenant, route), kind)
