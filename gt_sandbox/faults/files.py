"""Faults of the state of an uploaded file: its id, what it is, who may see it, and by which route."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import act_as_owner, with_limits
from gt_sandbox.middleware import (
    CONVERSATION_FILES,
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_file_states,
    change_json,
    change_responses,
    error_response,
    has_file,
    is_dataset_upload,
    is_file_state,
    is_live,
    is_upload,
    per_call,
    respond_with,
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


def _is_alias(request: Request) -> bool:
    return request.method == "GET" and "/uploads/" in request.path


FAULTS = (
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
        "states-of-files-open-to-one-key",
        "One key of chats may see the state of every file.",
        act_as_owner(lambda request: request.path.rpartition("/")[2] if is_file_state(request) else "", "CHAT"),
        caught_by="files.isolated",
        breaks=("F4", "A5"),
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
