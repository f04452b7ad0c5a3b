"""Variants of uploads: where ids and states are placed, what they look like, how files are processed."""

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from gt_sandbox.app import BASE
from gt_sandbox.middleware import (
    CONVERSATION_HEADER,
    Call,
    MiddlewareFactory,
    Request,
    Response,
    Secrets,
    change_file_states,
    change_json,
    change_responses,
    combine,
    error_response,
    has_file,
    hide_statements,
    is_file_state,
    is_upload,
    json_response,
    per_call,
    refuse,
    replace_json,
    with_secrets,
)
from gt_sandbox.variants._variant import variant
from gt_sandbox.variants.conversations import CREATION, UNDOCUMENTED, Placement, move_id, set_status
from gt_sandbox.variants.model import change_answers, say

_SHAPE = "GT API reference: the shape of an id is not documented"
_STATE_NAMES = "GT API reference: states before ready and failed are not documented"
_STATE_PLACE = "GT API reference: where the state is placed is not documented"
_OTHER_STATES = {"uploaded": "queued", "processing": "indexing"}


def _move_file_id(place: Placement) -> MiddlewareFactory:
    """The id of a new file in that place."""
    return replace_json(is_upload, move_id(place))


def _change_file_ids(shape: Callable[[int], object]) -> MiddlewareFactory:
    """Ids of files of another shape, in responses and in paths."""

    def make(_: Secrets) -> MiddlewareFactory:
        numbers = count(4001)
        shown: dict[str, object] = {}
        own: dict[str, str] = {}

        def show(file_id: str) -> object:
            if file_id not in shown:
                shown[file_id] = shape(next(numbers))
                own[str(shown[file_id])] = file_id
            return shown[file_id]

        async def change_ids(call: Call) -> None:
            if not (is_upload(call.request) or is_file_state(call.request)):
                await call.forward()
                return
            response = await call.response({**call.scope, "path": _own_path(call.request.path, own)})
            body = response.json if response.succeeded else None
            await call.respond(response if body is None else response.with_json({**body, "id": show(body["id"])}))

        return per_call(change_ids)

    return with_secrets(make)


def _own_path(path: str, own: dict[str, str]) -> str:
    """The path with the tenant's own id in the place of the one that it shows."""
    for folder in (f"{BASE}/v1/files/", f"{BASE}/v1/uploads/"):
        if path.startswith(folder):
            shown = path.removeprefix(folder)
            return folder + own.get(shown, shown)
    return path


def _process_longer(polls: int) -> MiddlewareFactory:
    """Every file is in processing for so many polls more."""

    def make(_: Secrets) -> MiddlewareFactory:
        polled: Counter[str] = Counter()

        def change(body: Any) -> None:
            polled[body["id"]] += 1
            if polled[body["id"]] <= polls:
                body["status"] = "processing"

        return change_json(is_file_state, change)

    return with_secrets(make)


def _take_each_name_once(_: Secrets) -> MiddlewareFactory:
    """A dataset, and a conversation, holds one file of a name."""
    known: set[tuple[str, str, str]] = set()

    async def take(call: Call) -> None:
        response = await call.response()
        found = _FILE_NAME.search(call.request.body) if is_upload(call.request) and response.succeeded else None
        if found is not None:
            named = (call.request.path, call.request.header(CONVERSATION_HEADER), found[1].decode())
            if named in known:
                response = error_response(409, "A file of this name exists already.", "conflict")
            known.add(named)
        await call.respond(response)

    return per_call(take)


_FILE_NAME = re.compile(rb'filename="([^"]+)"')


def _take_at_most(most: int) -> MiddlewareFactory:
    """A dataset, and a conversation, is full once it holds so many files."""

    def make(_: Secrets) -> MiddlewareFactory:
        held: Counter[tuple[str, str]] = Counter()

        def take(request: Request, response: Response) -> Response:
            where = (request.path, request.header(CONVERSATION_HEADER))
            held[where] += response.succeeded
            full = response.succeeded and held[where] > most
            return error_response(413, "This dataset is full.", "invalid_request_error") if full else response

        return change_responses(is_upload, take)

    return with_secrets(make)


def _respond_for_unknown(response: Response) -> MiddlewareFactory:
    """Respond to whoever asks for the state of a file that no tenant made."""
    return change_responses(
        is_file_state,
        lambda request, refusal: response if "/file_" not in request.path and refusal.status == 404 else refusal,
    )


def _rename_state(states: Mapping[str, str]) -> Callable[[Any], object]:
    return lambda body: body.update(status=states.get(body["status"], body["status"]))


def _fail(_: Request, response: Response) -> Response:
    """Processing ends in failed."""
    body = response.json
    ready = response.succeeded and body is not None and body.get("status") == "ready"
    return response.with_json({**body, "status": "failed"}) if ready else response


def _move_dataset(body: Any) -> None:
    if "dataset_id" in body:
        body["dataset"] = {"id": body.pop("dataset_id"), "name": "uploads"}


def _is_about_a_file(request: Request) -> bool:
    return is_upload(request) or is_file_state(request)


def _asks_about_a_file(request: Request) -> bool:
    return "called?" in str(request.messages[-1:])


def _appear_late(status: int) -> MiddlewareFactory:
    """The first two polls of a file find nothing: another instance took the upload."""
    refusal = error_response(status, "There is no such file.", "invalid_request_error")

    def make(_: Secrets) -> MiddlewareFactory:
        polls: Counter[str] = Counter()

        async def hide(call: Call) -> None:
            name = call.request.path.rpartition("/")[2]
            if is_file_state(call.request):
                polls[name] += 1
                if polls[name] <= _UNSEEN:
                    await call.respond(refusal)
                    return
            await call.forward()

        return per_call(hide)

    return with_secrets(make)


_UNSEEN = 2


def _show_by_the_alias_late(_: Secrets) -> MiddlewareFactory:
    seen_at: dict[str, float] = {}

    def change(request: Request, response: Response) -> Response:
        body = response.json
        early = time.monotonic() < seen_at.setdefault(request.path, time.monotonic() + 2)
        known = response.succeeded and body is not None
        return response.with_json({**body, "status": "processing"}) if early and known else response

    return change_responses(lambda request: is_file_state(request) and "/uploads/" in request.path, change)


def _appear_after(seconds: float) -> MiddlewareFactory:
    """A file has no state until so many seconds after it was first asked for: copies of it are made now and then."""
    refusal = error_response(404, "There is no such file.", "invalid_request_error")

    def make(_: Secrets) -> MiddlewareFactory:
        seen_at: dict[str, float] = {}

        def hide(request: Request, response: Response) -> Response:
            file_id = request.path.rpartition("/")[2]
            early = time.monotonic() < seen_at.setdefault(file_id, time.monotonic() + seconds)
            return refusal if response.succeeded and early else response

        return change_responses(is_file_state, hide)

    return with_secrets(make)


def _know_late(seconds: float) -> MiddlewareFactory:
    """What is uploaded is in no answer until so many seconds after it was first asked for: an index is refreshed."""

    def make(_: Secrets) -> MiddlewareFactory:
        known_at: dict[str, float] = {}

        def withhold(request: Request, choice: dict[str, Any]) -> None:
            text = choice["message"].get("content") or ""
            for name in _MADE_UP.findall(text):
                if name.encode() not in request.body:
                    if time.monotonic() < known_at.setdefault(name, time.monotonic() + seconds):
                        say(choice, "I do not know that yet.")
                    return

        return change_answers(_asks_about_a_file, withhold)

    return with_secrets(make)


_MADE_UP = re.compile(r"\b[a-z]{6,8}-[0-9a-f]{4}\b")


def _keep_names_apart(_: Secrets) -> MiddlewareFactory:
    """A file whose name is taken in its dataset or conversation is refused."""
    taken: set[tuple[str, bytes, str]] = set()

    async def keep(call: Call) -> None:
        request = call.request
        found = _FILE_NAME.search(request.body) if is_upload(request) else None
        if found is None:
            await call.forward()
            return
        place = (request.path.replace("/v1/", "/"), found[1], request.header(CONVERSATION_HEADER))
        response = await call.response()
        if response.succeeded and place in taken:
            response = error_response(409, "A file of this name exists already.", "invalid_request_error")
        if response.succeeded:
            taken.add(place)
        await call.respond(response)

    return per_call(keep)


_FILE_NAME = re.compile(rb'filename="([^"]*)"')

VARIANTS = (
    variant(
        "uploads-of-one-name-refused",
        "A second file of one name is refused with 409, in a dataset and in a conversation.",
        with_secrets(_keep_names_apart),
        permitted_by="RFC 9110, 15.5.10: no page says that two files may have one name",
    ),
    variant(
        "files-known-late",
        "What an uploaded file states is known to a chat two seconds after it was first asked for.",
        _know_late(2),
        permitted_by="GT API reference: no page says how soon a chat knows what is ready",
    ),
    variant(
        "file-names-once",
        "A dataset takes each name of a file once, and refuses it with 409 then.",
        with_secrets(_take_each_name_once),
        permitted_by="checks: no page says that a name may come twice",
    ),
    variant(
        "datasets-full",
        "A dataset is full once it holds two files, and refuses more with 413.",
        _take_at_most(2),
        permitted_by="checks: no page says how much a dataset holds",
        lacks="a limit on what the tenant keeps is reached",
    ),
    variant(
        "files-appear-late",
        "A file's state is there a moment after its upload was accepted, and not at once.",
        _appear_late(404),
        permitted_by="GT API reference: poll until ready or failed; no page says from when on",
        alters="unknown-files",
    ),
    variant(
        "files-appear-late-403",
        "A file's state is refused with 403 for a moment after its upload was accepted.",
        _appear_late(403),
        permitted_by="GT API reference: poll until ready or failed; no page says from when on",
        alters="unknown-files",
    ),
    variant(
        "files-appear-after-seconds",
        "A file's state is there six seconds after it was first asked for.",
        _appear_after(6),
        permitted_by="GT API reference: poll until ready or failed; no page says from when on",
        alters="unknown-files",
    ),
    variant(
        "file-alias-behind",
        "The alias shows that a file has ended two seconds after it was first asked for it.",
        with_secrets(_show_by_the_alias_late),
        permitted_by="GT API reference: no page says how soon an alias shows what happened",
    ),
    variant(
        "picture-fails",
        "The processing of a PNG ends in failed, since no model that sees is configured.",
        change_file_states(has_file(".png"), _fail),
        permitted_by="GT API reference: a vision model is a setting of a dataset",
    ),
    variant(
        "unprocessable-files-refused",
        "A file that cannot be processed is refused with 422.",
        refuse(has_file(".broken.pdf"), error_response(422, "The file has no page.", "invalid_request_error")),
        permitted_by="GT API reference: when a file is found to be unprocessable is not documented",
    ),
    variant(
        "unprocessable-files-ready",
        "A file that cannot be processed is ready: a lenient reader finds nothing in it.",
        change_json(is_file_state, _rename_state({"failed": "ready"})),
        permitted_by="GT API reference: which files cannot be processed is not documented",
    ),
    variant(
        "states-that-sound-final",
        "A file is completed for a moment, and then ready.",
        change_json(is_file_state, _rename_state({"processing": "completed"})),
        permitted_by=_STATE_NAMES,
    ),
    variant(
        "chats-quote-files",
        "A chat about an uploaded file quotes it at length, in capitals and with a mark of its source.",
        change_answers(
            _asks_about_a_file,
            lambda _, choice: say(choice, f"According to **[1]**, it is *{choice['message']['content'].upper()}* [1]."),
        ),
        permitted_by="GT API reference: what a model says is not documented",
        alters="answer-form",
    ),
    variant(
        "model-searches-no-files",
        "The model calls no tool, and so searches none of the files that are uploaded.",
        combine(
            hide_statements(is_upload),
            change_answers(
                lambda request: bool(request.fields.get("tools")),
                lambda _, choice: (
                    say(choice, "I cannot look that up.") if choice["message"].get("tool_calls") else None
                ),
            ),
        ),
        permitted_by="GT instructions, Using Datasets in Chat: attached datasets are searched by a tool",
        lacks="call",
    ),
    variant(
        "datasets-not-named",
        "What is answered about a file does not name its dataset.",
        change_json(_is_about_a_file, lambda body: body.pop("dataset_id", None)),
        permitted_by="GT API reference: no field of an accepted file is documented",
    ),
    variant(
        "datasets-as-objects",
        "What is answered about a file has its dataset as an object.",
        change_json(_is_about_a_file, _move_dataset),
        permitted_by="GT API reference: no field of an accepted file is documented",
    ),
    variant(
        "file-state-of-unknown-files",
        "An unknown file id has a state.",
        _respond_for_unknown(json_response(200, {"status": "processing"})),
        permitted_by="checks: no page says what an unknown id gets",
        alters="unknown-files",
    ),
    variant(
        "file-state-crashes-on-unknown",
        "An unknown file id gives 500.",
        _respond_for_unknown(error_response(500, "no such row")),
        permitted_by="checks: no page says what an unknown id gets",
        alters="unknown-files",
    ),
    variant(
        "file-ids-as-numbers",
        "Files have numbers for ids.",
        _change_file_ids(lambda number: number),
        permitted_by=_SHAPE,
        alters="file-ids",
    ),
    variant(
        "file-ids-long",
        "Ids of files are signed, and have a thousand characters.",
        _change_file_ids(lambda number: f"f{number}." + "Qx3_-" * 200),
        permitted_by=_SHAPE,
        alters="file-ids",
    ),
    variant(
        "file-ids-beyond-ascii",
        "Ids of files hold an umlaut and a blank, which paths take encoded.",
        _change_file_ids(lambda number: f"dätei {number}.txt"),
        permitted_by=_SHAPE + "; RFC 3986, 2.5",
        alters="file-ids",
    ),
    variant(
        "file-ids-with-slashes",
        "Ids of files hold slashes, which paths take encoded.",
        _change_file_ids(lambda number: f"2026/11/{number}"),
        permitted_by=_SHAPE + "; RFC 3986, 2.1",
        alters="file-ids",
    ),
    variant(
        "file-id-named",
        "A new file's id is under file_id.",
        _move_file_id(lambda made, rest: {"file_id": made, **rest}),
        permitted_by=UNDOCUMENTED,
        alters="file-id-place",
    ),
    variant(
        "file-id-of-upload",
        "A new file's id is under upload_id.",
        _move_file_id(lambda made, rest: {"upload_id": made, **rest}),
        permitted_by=UNDOCUMENTED,
        alters="file-id-place",
    ),
    variant(
        "file-id-within",
        "A new file is inside file.",
        _move_file_id(lambda made, rest: {"file": {"id": made, **rest}, "dataset": "ds_1"}),
        permitted_by=UNDOCUMENTED,
        alters="file-id-place",
    ),
    variant(
        "file-id-in-data",
        "A new file is inside data.",
        _move_file_id(lambda made, rest: {"success": True, "data": {"file_id": made, **rest}}),
        permitted_by=UNDOCUMENTED,
        alters="file-id-place",
    ),
    variant(
        "file-id-of-document",
        "A new file's id is that of a document, inside result.",
        _move_file_id(lambda made, rest: {"ok": True, "result": {"document": {"document_id": made, **rest}}}),
        permitted_by=UNDOCUMENTED,
        alters="file-id-place",
    ),
    variant(
        "uploads-200",
        "An upload is answered with 200.",
        set_status(is_upload, 200),
        permitted_by=CREATION,
        alters="upload-status",
    ),
    variant(
        "uploads-201",
        "An upload is answered with 201.",
        set_status(is_upload, 201),
        permitted_by=CREATION,
        alters="upload-status",
    ),
    variant(
        "file-names-hidden",
        "Of an accepted file only the id is returned.",
        change_json(
            is_upload, lambda body: [body.pop(name, None) for name in ("filename", "bytes", "created_at", "object")]
        ),
        permitted_by="GT API reference: no field of an accepted file is documented",
    ),
    variant(
        "ready-at-once",
        "A file is ready at the first poll.",
        change_json(is_file_state, lambda body: body.update(status="ready")),
        permitted_by=_STATE_NAMES,
        alters="processing",
    ),
    variant(
        "slow-processing",
        "A file takes some polls more to become ready.",
        _process_longer(2),
        permitted_by="GT API reference: poll until ready or failed",
        alters="processing",
    ),
    variant(
        "other-states",
        "A file is queued and indexing before it is ready.",
        change_json(is_file_state, lambda body: body.update(status=_OTHER_STATES.get(body["status"], body["status"]))),
        permitted_by=_STATE_NAMES,
    ),
    variant(
        "states-in-capitals",
        "States are written in capitals.",
        change_json(is_file_state, lambda body: body.update(status=body["status"].upper())),
        permitted_by=_STATE_NAMES,
    ),
    variant(
        "state-as-an-object",
        "The state is an object, which has it as a word.",
        change_json(is_file_state, lambda body: body.update(status={"state": body["status"], "progress": 40})),
        permitted_by=_STATE_PLACE,
        alters="state-place",
    ),
    variant(
        "state-as-indexing-status",
        "The state is under indexing_status.",
        change_json(is_file_state, lambda body: body.update(indexing_status=body.pop("status"))),
        permitted_by=_STATE_PLACE,
        alters="state-place",
    ),
    variant(
        "state-as-processing-status",
        "The state is under processing_status.",
        replace_json(
            is_file_state,
            lambda body: {
                **{key: value for key, value in body.items() if key != "status"},
                "processing_status": body["status"],
            },
        ),
        permitted_by=_STATE_PLACE,
        alters="state-place",
    ),
    variant(
        "state-in-data",
        "The state is inside data, and the envelope has a status of its own.",
        replace_json(
            is_file_state,
            lambda body: {
                "status": "success",
                "code": 200,
                "data": {"id": body["id"], "state": body["status"], "progress": 0.5},
            },
        ),
        permitted_by=_STATE_PLACE,
        alters="state-place",
    ),
    variant(
        "state-in-attributes",
        "The state is a phase among the attributes of the file, as JSON:API has them.",
        replace_json(
            is_file_state,
            lambda body: {
                "data": {"type": "files", "id": body["id"], "attributes": {"status": {"phase": body["status"]}}},
            },
        ),
        permitted_by=_STATE_PLACE,
        alters="state-place",
    ),
    variant(
        "state-in-file",
        "The state is inside file.",
        replace_json(is_file_state, lambda body: {"object": "result", "file": body}),
        permitted_by=_STATE_PLACE,
        alters="state-place",
    ),
    variant(
        "files-listed",
        "An accepted file is the only one of files, and the request has an id of its own.",
        replace_json(is_upload, lambda body: {"id": "req_1", "files": [body]}),
        permitted_by=UNDOCUMENTED,
        alters="file-id-place",
    ),
    variant(
        "state-in-a-list",
        "The file whose state is asked for is the only one of a list.",
        replace_json(is_file_state, lambda body: [body]),
        permitted_by=_STATE_PLACE,
        alters="state-place",
    ),
)
