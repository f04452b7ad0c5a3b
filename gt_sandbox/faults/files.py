"""Faults of uploads and of the state of an upload."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import act_as_owner, use_last_conversation, with_limits
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATION_FILES,
    CONVERSATION_HEADER,
    CONVERSATIONS,
    STATEMENT,
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_file_states,
    change_json,
    change_requests,
    change_responses,
    error_response,
    has_file,
    hide_statements,
    is_any,
    is_dataset_upload,
    is_file_state,
    is_live,
    is_upload,
    json_response,
    per_call,
    refuse,
    replay_body,
    respond_with,
    with_bearer,
    with_request_header,
    with_secrets,
)


def _forget_at_first(_: Secrets) -> MiddlewareFactory:
    """The first time that a file's state is asked for, it is not known yet."""
    known: set[str] = set()

    def change(request: Request, response: Response) -> Response:
        if not response.succeeded or request.path in known:
            return response
        known.add(request.path)
        return error_response(404, "The file does not exist.")

    return change_responses(is_file_state, change)


def _fail_at_first(_: Secrets) -> MiddlewareFactory:
    """The first time that a file's state is asked for, it is failed."""
    asked: set[str] = set()

    def change(request: Request, response: Response) -> Response:
        file_id = request.path.rpartition("/")[2]
        if not response.succeeded or file_id in asked:
            return response
        asked.add(file_id)
        return response.with_json({**response.json, "status": "failed"})

    return change_responses(is_file_state, change)


def _forget_when_ready(_: Secrets) -> MiddlewareFactory:
    """A file whose state was ready once is not known any more."""
    done: set[str] = set()

    def change(request: Request, response: Response) -> Response:
        file_id = request.path.rpartition("/")[2]
        if response.succeeded and file_id in done:
            return error_response(404, "The file does not exist.")
        if response.succeeded and response.json.get("status") == "ready":
            done.add(file_id)
        return response

    return change_responses(is_file_state, change)


def _forget_every_other(_: Secrets) -> MiddlewareFactory:
    """Each second time that the state of a file is asked for, it is not known."""
    asked: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))

    def change(request: Request, response: Response) -> Response:
        known = not response.succeeded or next(asked[request.path.rpartition("/")[2]]) % 2
        return response if known else error_response(404, "The file does not exist.")

    return change_responses(is_file_state, change)


def _state_before(_: Secrets) -> MiddlewareFactory:
    """A success is that of the request before; the first one is its own."""
    before: list[Response] = []

    def change(_: Request, response: Response) -> Response:
        if not response.succeeded:
            return response
        before.append(response)
        return before[-2:][0]

    return change_responses(is_file_state, change)


def _state_another_fact(_: Secrets) -> MiddlewareFactory:
    """What every file states becomes what the first one stated: the index gives the passage of another file."""
    first: list[bytes] = []

    def change(body: bytes) -> bytes:
        first.extend(STATEMENT.findall(body))
        return STATEMENT.sub(first[0], body) if first else body

    return change_requests(is_upload, change)


def _store_refused(secrets: Secrets) -> MiddlewareFactory:
    """What is refused into the dataset is stored there all the same."""

    async def store(call: Call) -> None:
        response = await call.response()
        if is_dataset_upload(call.request) and response.status in _CLOSED and is_live(call.request, secrets):
            again = replace(call, receive=replay_body(call.request.body, call.receive))
            await again.response(with_bearer(call.scope, secrets["GT_EMBEDDED_UPLOAD"]))
        await call.respond(response)

    return per_call(store)


_CLOSED = frozenset({401, 403, 404})


def _upload_elsewhere(*, refused: bool) -> Callable[[Secrets], MiddlewareFactory]:
    """An upload into a conversation is stored: where it is refused in the one of another key, or else in all of its."""

    def make(_: Secrets) -> MiddlewareFactory:
        owners: dict[str, str] = {}
        stored: list[tuple[str, Call]] = []

        async def put(upload: Call, conversation: str) -> None:
            scope = with_request_header(upload.scope, CONVERSATION_HEADER, conversation)
            again = replace(upload, receive=replay_body(upload.request.body, upload.receive))
            await again.response(with_request_header(scope, "authorization", owners[conversation]))

        async def store(call: Call) -> None:
            request = call.request
            response = await call.response()
            named, key = request.header(CONVERSATION_HEADER), request.header("authorization")
            if CONVERSATIONS(request) and response.succeeded:
                opened = response.json["id"]
                owners[opened] = key
                for owner, upload in stored:
                    if owner == key:
                        await put(upload, opened)
            if CONVERSATION_FILES(request) and refused and not response.succeeded and named in owners:
                await put(call, named)
            if CONVERSATION_FILES(request) and not refused and response.succeeded:
                stored.append((key, call))
                for one in [one for one, owner in owners.items() if one != named and owner == key]:
                    await put(call, one)
            await call.respond(response)

        return per_call(store)

    return make


def _open_states_of_conversations(*keys: str) -> MiddlewareFactory:
    """The state of a file that was uploaded into a conversation is visible to these keys; to all if none is named."""

    def make(secrets: Secrets) -> MiddlewareFactory:
        owners: dict[str, str] = {}

        async def show(call: Call) -> None:
            request = call.request
            owner = owners.get(request.path.rpartition("/")[2]) if is_file_state(request) else None
            if CONVERSATION_FILES(request):
                response = await call.response()
                if response.succeeded:
                    owners[response.json["id"]] = request.header("authorization")
                await call.respond(response)
            elif owner is not None and is_live(request, secrets, *keys):
                await call.forward(with_request_header(call.scope, "authorization", owner))
            else:
                await call.forward()

        return per_call(show)

    return with_secrets(make)


def _part_of_texts(kept: Callable[[bytes], bytes]) -> MiddlewareFactory:
    """Of an uploaded text only a part is indexed."""

    def change(body: bytes) -> bytes:
        head, empty, rest = body.partition(b"\r\n\r\n")
        content, end, tail = rest.partition(b"\r\n--")
        return head + empty + kept(content) + end + tail

    return change_requests(has_file(".txt"), change)


_PASSAGE = 2_000


def _answer_by_key(wanted: Predicate, *, whole: bool) -> Callable[[Secrets], MiddlewareFactory]:
    """What a key was answered first is answered again: as a whole, or its id alone."""

    def make(_: Secrets) -> MiddlewareFactory:
        first: dict[str, Response] = {}

        def change(request: Request, response: Response) -> Response:
            if not response.succeeded or (whole and response.json.get("status") not in {"ready", "failed"}):
                return response
            kept = first.setdefault(request.secret, response)
            return kept if whole else response.with_json({**response.json, "id": kept.json["id"]})

        return change_responses(wanted, change)

    return make


def _say_uploaded(to: Predicate, *, of_anybody: bool) -> Callable[[Secrets], MiddlewareFactory]:
    """What a key uploads into its conversations, or anybody into theirs, is put before these chats."""

    def make(_: Secrets) -> MiddlewareFactory:
        said: dict[str, list[str]] = {}

        async def say(call: Call) -> None:
            request = call.request
            reader = "" if of_anybody else request.secret
            if CONVERSATION_FILES(request):
                response = await call.response()
                if response.succeeded:
                    stated = [one.decode() for one in _SENTENCE.findall(request.body)]
                    said.setdefault(reader, []).extend(stated)
                await call.respond(response)
            elif CHAT(request) and to(request) and reader in said:
                before = [{"role": "system", "content": " ".join(said[reader])}]
                body = json.dumps({**request.fields, "messages": [*before, *request.messages]}).encode()
                scope = with_request_header(call.scope, "content-length", str(len(body)))
                await replace(call, receive=replay_body(body, call.receive)).forward(scope)
            else:
                await call.forward()

        return per_call(say)

    return make


def _in_conversation(request: Request) -> bool:
    return bool(request.header(CONVERSATION_HEADER))


_SENTENCE = re.compile(rb"The [^.\n]+ is called [a-z0-9-]+\.")
_CODE = re.compile(rb"(?i)<script|union\s+select|/etc/passwd")


def _has_name_beyond_ascii(request: Request) -> bool:
    return is_upload(request) and not request.body.partition(b"\r\n\r\n")[0].isascii()


def _end_in(state: str, wanted: Predicate = is_file_state, *, for_state: str = "ready") -> MiddlewareFactory:
    """Another state in the place of ``ready``, or of another one."""

    def change(body: Any) -> None:
        if body.get("status") == for_state:
            body["status"] = state

    return change_json(wanted, change)


def _with_state(state: str) -> Callable[[Request, Response], Response]:
    return lambda _, response: response.with_json({**response.json, "status": state}) if response.json else response


def _only_at_end(state: str) -> Callable[[Request, Response], Response]:
    """That state once the processing has ended."""

    def change(request: Request, response: Response) -> Response:
        ended = response.json is not None and response.json.get("status") in {"ready", "failed"}
        return _with_state(state)(request, response) if ended else response

    return change


def _number_datasets(_: Secrets) -> MiddlewareFactory:
    """Every upload into a conversation is in a dataset of its own, as uploads and states tell."""
    datasets: dict[str, str] = {}

    def change(body: Any) -> None:
        body["dataset_id"] = datasets.setdefault(body["id"], f"ds_{len(datasets)}")

    return change_json(lambda request: CONVERSATION_FILES(request) or is_file_state(request), change)


def _is_alias(request: Request) -> bool:
    return request.method == "GET" and "/uploads/" in request.path


FAULTS = (
    fault(
        "upload-without-conversation",
        "A conversation upload without X-GT-Conversation-Id is accepted.",
        use_last_conversation(CONVERSATION_FILES, if_named=lambda named: not named),
        caught_by="upload.needs_conversation",
        breaks=("U1",),
        by_chance=True,
    ),
    fault(
        "upload-to-unknown-conversation",
        "A conversation upload under an unknown id is accepted.",
        use_last_conversation(CONVERSATION_FILES, if_named=lambda named: bool(named) and not named.startswith("conv_")),
        caught_by="upload.needs_conversation",
        breaks=("U1",),
    ),
    fault(
        "upload-to-foreign-conversation",
        "A conversation upload into another key's conversation is accepted.",
        act_as_owner(
            lambda request: request.header(CONVERSATION_HEADER) if CONVERSATION_FILES(request) else "", "APP", "PARTNER"
        ),
        caught_by="upload.needs_conversation",
        breaks=("A8",),
    ),
    fault(
        "uploads-go-to-the-last-conversation",
        "An upload goes into the conversation that its key opened last, whichever it names.",
        use_last_conversation(CONVERSATION_FILES, if_named=bool),
        caught_by="upload.needs_conversation",
        breaks=("A8",),
    ),
    fault(
        "uploads-500",
        "Uploads fail with 500.",
        respond_with(is_upload, error_response(500, "disk full")),
        caught_by="upload.conversation_ready",
        breaks=("K3", "K2", "U5"),
    ),
    fault(
        "conversation-uploads-refused",
        "A key that may open conversations may not upload to them.",
        respond_with(CONVERSATION_FILES, error_response(403, "This key may not upload.")),
        caught_by="conversation.same_key",
        breaks=("K3",),
    ),
    fault(
        "dataset-uploads-refused",
        "A key with datasets:write may not upload to its own dataset.",
        respond_with(is_dataset_upload, error_response(403, "This key may not upload.")),
        caught_by="upload.dataset_ready",
        breaks=("K2", "U5"),
    ),
    fault(
        "uploads-without-id",
        "An upload is accepted, and its id is not returned.",
        respond_with(is_upload, json_response(202, {"accepted": True})),
        caught_by="upload.conversation_ready",
        breaks=("F1",),
    ),
    fault(
        "uploads-never-ready",
        "The processing of an upload never ends.",
        change_json(is_file_state, lambda body: body.update(status="processing")),
        tenant_file=with_limits(poll_timeout_s=1),
        caught_by="upload.conversation_ready",
        breaks=("F1",),
    ),
    fault(
        "uploads-fail",
        "The processing of an upload ends in failed.",
        change_json(is_file_state, lambda body: body.update(status="failed")),
        caught_by="upload.dataset_ready",
        breaks=("F1",),
    ),
    fault(
        "uploads-fail-until-a-retry",
        "The state of an upload is failed until its processing is tried again, and then ready.",
        with_secrets(_fail_at_first),
        caught_by="upload.dataset_ready",
        breaks=("F1",),
    ),
    fault(
        "file-state-500",
        "Asking for the state of a file fails with 500.",
        respond_with(is_file_state, error_response(500, "no state")),
        caught_by="files.status",
        breaks=("F1",),
    ),
    fault(
        "file-state-late",
        "The state of a file is unknown when it is asked for first.",
        with_secrets(_forget_at_first),
        caught_by="files.status",
        breaks=("F1",),
    ),
    fault(
        "file-state-not-told",
        "The response about a file does not contain its state.",
        change_json(is_file_state, lambda body: body.pop("status")),
        caught_by="files.status",
        breaks=("F1",),
    ),
    fault(
        "file-state-open-to-all",
        "The state of a file is visible to every key.",
        act_as_owner(lambda request: request.path.rpartition("/")[2] if is_file_state(request) else ""),
        caught_by="files.isolated",
        breaks=("F4",),
    ),
    fault(
        "states-of-conversation-files-open-to-all",
        "The state of a file that was uploaded into a conversation is visible to every key.",
        _open_states_of_conversations(),
        caught_by="files.isolated",
        breaks=("F4",),
    ),
    fault(
        "states-of-conversation-files-open-to-other-conversation-keys",
        "The state of a file that was uploaded into a conversation is visible to other keys with conversations.",
        _open_states_of_conversations("APP", "PARTNER"),
        caught_by="files.isolated",
        breaks=("F4",),
    ),
    fault(
        "states-of-conversation-files-open-to-chat-keys",
        "The state of a file that was uploaded into a conversation is visible to keys that may not upload at all.",
        _open_states_of_conversations("CHAT", "CURSOR", "FULL", "MANUS"),
        caught_by="key.scope_enforced",
        breaks=("A5",),
    ),
    fault(
        "refused-uploads-stored",
        "An upload into a dataset is refused to a key without the right, and stored all the same.",
        with_secrets(_store_refused),
        caught_by="upload.dataset_known",
        breaks=("K16",),
    ),
    fault(
        "refused-conversation-uploads-stored",
        "An upload into another key's conversation is refused, and stored there all the same.",
        with_secrets(_upload_elsewhere(refused=True)),
        caught_by="upload.needs_conversation",
        breaks=("A8",),
    ),
    fault(
        "conversation-files-in-all-of-a-key",
        "What is uploaded into a conversation is known to every conversation of the key.",
        with_secrets(_upload_elsewhere(refused=False)),
        caught_by="upload.conversation_known",
        breaks=("A8",),
    ),
    fault(
        "conversation-files-not-indexed",
        "What is uploaded into a conversation is stored, and its chats are not given it.",
        hide_statements(CONVERSATION_FILES),
        caught_by="upload.conversation_known",
        breaks=("U4",),
    ),
    fault(
        "conversation-files-of-linked-keys-not-indexed",
        "What a linked upload key uploads into a conversation is set to ready, and its chats are not given it.",
        with_secrets(
            lambda secrets: hide_statements(
                lambda request: CONVERSATION_FILES(request) and is_live(request, secrets, "UPLOAD")
            )
        ),
        caught_by="upload.conversation_known",
        breaks=("U4",),
    ),
    fault(
        "dataset-files-not-indexed",
        "What is uploaded into a dataset is stored, and is in no corpus.",
        hide_statements(is_dataset_upload),
        caught_by="upload.dataset_known",
        breaks=("U7",),
    ),
    fault(
        "dataset-files-of-conversation-keys-not-indexed",
        "What a conversation key uploads into a dataset is set to ready, and no chat finds it.",
        with_secrets(
            lambda secrets: hide_statements(
                lambda request: is_dataset_upload(request) and is_live(request, secrets, "APP")
            )
        ),
        caught_by="upload.dataset_known",
        breaks=("U7",),
    ),
    fault(
        "states-of-files-open-to-one-key",
        "One key of chats may see the state of every file.",
        act_as_owner(lambda request: request.path.rpartition("/")[2] if is_file_state(request) else "", "CHAT"),
        caught_by="files.isolated",
        breaks=("F4", "A5"),
    ),
    fault(
        "beginnings-of-files-indexed",
        "Of an uploaded text only the first passage is indexed.",
        _part_of_texts(lambda text: text[:_PASSAGE]),
        caught_by="upload.conversation_known",
        breaks=("U4",),
    ),
    fault(
        "ends-of-files-indexed",
        "Of an uploaded text only the last passage is indexed: each overwrites the one before.",
        _part_of_texts(lambda text: text[-_PASSAGE:]),
        caught_by="upload.conversation_known",
        breaks=("U4",),
    ),
    fault(
        "pdfs-not-indexed",
        "A PDF becomes ready, and its text is in no corpus.",
        hide_statements(has_file(".pdf")),
        caught_by="upload.dataset_known",
        breaks=("U7",),
    ),
    fault(
        "conversation-files-known-without-it",
        "What a key uploads into a conversation is known to its chats that name no conversation.",
        with_secrets(_say_uploaded(lambda request: not _in_conversation(request), of_anybody=False)),
        caught_by="upload.dataset_known",
        breaks=("A8",),
    ),
    fault(
        "conversation-files-known-to-everybody",
        "What is uploaded into a conversation is known to every chat.",
        with_secrets(_say_uploaded(is_any, of_anybody=True)),
        caught_by="upload.needs_conversation",
        breaks=("A8",),
    ),
    fault(
        "conversation-files-known-in-every-conversation",
        "What is uploaded into a conversation is known to every conversation, whosever it is, and to no other chat.",
        with_secrets(_say_uploaded(_in_conversation, of_anybody=True)),
        caught_by="upload.needs_conversation",
        breaks=("A8",),
    ),
    fault(
        "uploads-with-code-refused",
        "A firewall before the tenant takes source code in an upload for an attack.",
        refuse(
            lambda request: is_upload(request) and _CODE.search(request.body) is not None,
            error_response(403, "The request was blocked."),
        ),
        caught_by="upload.formats",
        breaks=("U6",),
    ),
    fault(
        "names-of-files-beyond-ascii-500",
        "The upload of a file whose name has letters beyond ASCII fails.",
        refuse(_has_name_beyond_ascii, error_response(500, "'latin-1' codec can't encode characters")),
        caught_by="upload.formats",
        breaks=("U6",),
    ),
    fault(
        "uploads-share-an-id",
        "Every upload of a key is given the id of its first one.",
        with_secrets(_answer_by_key(is_upload, whole=False)),
        caught_by="upload.formats",
        breaks=("F1",),
    ),
    fault(
        "states-of-other-files",
        "A key that asks for the state of a file is given, from a cache, that of the file that was ready first.",
        with_secrets(_answer_by_key(is_file_state, whole=True)),
        caught_by="upload.formats",
        breaks=("F1",),
    ),
    fault(
        "uploads-mixed-up",
        "Chats that search an uploaded file are given what another file states.",
        with_secrets(_state_another_fact),
        caught_by="upload.conversation_known",
        breaks=("U4",),
    ),
    fault(
        "conversation-dataset-anew",
        "Every upload into a conversation creates a dataset.",
        with_secrets(_number_datasets),
        caught_by="upload.conversation_known",
        breaks=("U3",),
    ),
    fault(
        "uploads-of-32-kilobytes-at-most",
        "A proxy before the tenant refuses uploads of more than 32 kB.",
        refuse(lambda request: is_upload(request) and len(request.body) > 32_768, error_response(413, "Too large.")),
        caught_by="upload.formats",
        breaks=("U6",),
    ),
    fault(
        "png-refused",
        "A PNG is refused with 415.",
        refuse(has_file(".png"), error_response(415, "Images are not supported.")),
        caught_by="upload.formats",
        breaks=("U6",),
    ),
    fault(
        "pdf-refused",
        "A PDF is refused with 415.",
        refuse(has_file(".pdf"), error_response(415, "Only texts are supported.")),
        caught_by="upload.formats",
        breaks=("U6",),
    ),
    fault(
        "pdf-fails",
        "The processing of every PDF ends in failed.",
        change_file_states(has_file(".pdf"), _only_at_end("failed")),
        caught_by="upload.formats",
        breaks=("F1",),
    ),
    fault(
        "png-never-ends",
        "The processing of a PNG never ends.",
        change_file_states(has_file(".png"), _with_state("processing")),
        tenant_file=with_limits(poll_timeout_s=3),
        caught_by="upload.formats",
        breaks=("F1",),
    ),
    fault(
        "uploads-end-in-completed",
        "A file that was processed is in the state completed.",
        _end_in("completed"),
        caught_by="upload.conversation_ready",
        breaks=("F1",),
    ),
    fault(
        "uploads-end-in-done",
        "A file that was uploaded into a dataset and processed is in the state DONE.",
        change_file_states(is_dataset_upload, _only_at_end("DONE")),
        caught_by="upload.dataset_ready",
        breaks=("F1",),
    ),
    fault(
        "unprocessable-files-end-in-error",
        "A file that cannot be processed is in the state error.",
        _end_in("error", for_state="failed"),
        caught_by="files.unprocessable",
        breaks=("F2",),
    ),
    fault(
        "unprocessable-files-never-end",
        "A file that cannot be processed stays in processing.",
        _end_in("processing", for_state="failed"),
        tenant_file=with_limits(poll_timeout_s=3),
        caught_by="files.unprocessable",
        breaks=("F2",),
    ),
    fault(
        "unprocessable-files-500",
        "The upload of a file that cannot be processed fails with 500.",
        refuse(has_file(".broken.pdf"), error_response(500, "no such page")),
        caught_by="files.unprocessable",
        breaks=("F2",),
    ),
    fault(
        "file-alias-404",
        "GET /v1/uploads/{id} is no route.",
        respond_with(_is_alias, error_response(404, "There is no such route.")),
        caught_by="files.status",
        breaks=("F3",),
    ),
    fault(
        "file-alias-without-state",
        "GET /v1/uploads/{id} gives what was uploaded, and no state.",
        change_json(_is_alias, lambda body: body.pop("status")),
        caught_by="files.status",
        breaks=("F3",),
    ),
    fault(
        "states-gone-once-ready",
        "The state of a file is gone once it was ready: what is done is taken off the list.",
        with_secrets(_forget_when_ready),
        caught_by="files.status",
        breaks=("F1", "F3"),
    ),
    fault(
        "states-one-behind",
        "Each request for the state of a file is answered with the state that was asked for before it.",
        with_secrets(_state_before),
        caught_by="files.status",
        breaks=("F1", "F3"),
    ),
    fault(
        "states-on-one-of-two-instances",
        "One of two instances behind a load balancer keeps the state of files; the other one knows none.",
        with_secrets(_forget_every_other),
        caught_by="files.status",
        breaks=("F1", "F3"),
        by_chance=True,
    ),
    fault(
        "alias-hides-files-of-conversations",
        "GET /v1/uploads/{id} knows files of datasets alone.",
        change_file_states(
            CONVERSATION_FILES,
            lambda request, response: error_response(404, "No such upload.") if _is_alias(request) else response,
        ),
        caught_by="files.status",
        breaks=("F3", "F5"),
    ),
    fault(
        "file-alias-is-stale",
        "GET /v1/uploads/{id} gives the state that a file had when it was accepted.",
        change_json(_is_alias, lambda body: body.update(status="uploaded")),
        caught_by="files.status",
        breaks=("F3",),
    ),
    fault(
        "conversation-file-state-unknown",
        "The state of a file that was uploaded into a conversation is not known.",
        change_file_states(CONVERSATION_FILES, lambda *_: error_response(404, "The file does not exist.")),
        caught_by="upload.conversation_ready",
        breaks=("F5",),
    ),
    fault(
        "dataset-file-state-unknown",
        "The state of a file that was uploaded into a dataset is not known.",
        change_file_states(is_dataset_upload, lambda *_: error_response(404, "The file does not exist.")),
        caught_by="files.status",
        breaks=("F5",),
    ),
)
