"""Variants of refusals: other statuses, other bodies, and what no page says of bad requests and dead keys."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.types import Message

from gt_sandbox.app import BASE
from gt_sandbox.middleware import (
    CHAT,
    CONVERSATIONS,
    EMBEDDINGS,
    JSON,
    MODELS,
    TRANSCRIPTIONS,
    Call,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    Secrets,
    change_refusals,
    change_responses,
    combine,
    delay,
    error_response,
    is_file_state,
    is_live,
    is_route,
    json_response,
    per_call,
    refuse,
    use_key,
    with_secrets,
)
from gt_sandbox.variants._variant import variant

_is_inference = is_route(
    "/chat/completions", "/embeddings", "/audio/transcriptions", "/audio/speech", "/images/generations"
)
_STATUS = "GT API reference: 403 or 404 for a scope, name or dataset; some gateways use 400 or 405"
_UNSAID = "checks: no page says how it is refused"
_PLAIN_TEXT = (("content-type", "text/plain"),)
_PAGE = Response(404, (("content-type", "text/html"),), b"<!doctype html><html><body><h1>Not found</h1></body></html>")
_BODY = "GT API reference: no shape of a refusal is documented"


_UNROUTED = "GT API reference: whether un-versioned paths are routed is not documented"
_OWN = ("/conversations", "/datasets/", "/files/", "/uploads/")


def _is_own_unversioned(request: Request) -> bool:
    return "/v1/" not in request.path and any(part in request.path for part in _OWN)


def _has_more(request: Request) -> bool:
    """Whether an inference route is sent what clients send besides, or texts to embed that are no list of one."""
    if not _is_inference(request):
        return False
    given = request.fields.get("input")
    is_plain = not EMBEDDINGS(request) or (isinstance(given, list) and len(given) == 1 and isinstance(given[0], str))
    besides = ("user", "voice", "size", "language", "encoding_format")
    return not is_plain or any(name in request.fields for name in besides) or b'name="language"' in request.body


def _change_code(code: bytes, refusal: Response) -> MiddlewareFactory:
    """Put another refusal in place of those with this code."""
    return change_refusals(lambda _, response: refusal if code in response.body else response)


def _error(response: Response) -> dict[str, Any]:
    """The error object of a refusal; empty if it has none."""
    error = (response.json or {}).get("error")
    return error if isinstance(error, dict) else {}


def _set_status(code: str, status: int) -> MiddlewareFactory:
    """Another status for refusals with this code."""
    return change_refusals(
        lambda _, response: replace(response, status=status) if _error(response).get("code") == code else response
    )


def _refuse_scope_400(_: Request, response: Response) -> Response:
    error = _error(response)
    if error.get("code") != "insufficient_scope":
        return response
    named = {"error": {**error, "message": f"Insufficient scope: {error['message']}"}}
    return replace(response, status=400).with_json(named)


def _change_body(body: Callable[[Response, str], object], content_type: str = JSON) -> MiddlewareFactory:
    """Another body for every refusal, made from the reason that it names."""

    def change(_: Request, response: Response) -> Response:
        error = _error(response)
        if not error:
            return response
        return response.with_body(json.dumps(body(response, error["message"])).encode(), content_type)

    return change_refusals(change)


def _refuse_without_key_403(request: Request, response: Response) -> Response:
    without = response.status == 401 and not request.header("authorization")
    return replace(response, status=403) if without else response


def _change_invalid(wanted: Predicate, refusal: Response) -> MiddlewareFactory:
    """Put another response in place of the 400 that a route gives to an invalid request of a valid key."""
    return change_responses(
        wanted,
        lambda _, response: (
            refusal if response.status in {400, 422} and _NOT_VALID.encode() not in response.body else response
        ),
    )


def _has_messages(*messages: object) -> Predicate:
    return lambda request: CHAT(request) and request.fields.get("messages") == [*messages]


def _is_malformed(request: Request) -> bool:
    try:
        json.loads(request.body)
    except ValueError:
        return CHAT(request) and request.method == "POST"
    return False


def _refuse_dead_keys(secrets: Secrets) -> MiddlewareFactory:
    dead = {secret for name, secret in secrets.items() if name.endswith(("_GONE", "_OLD"))}
    refusal = error_response(403, "This key may not do that.")
    return change_responses(lambda request: request.secret in dead, lambda *_: refusal)


def _close_model_list(secrets: Secrets) -> MiddlewareFactory:
    uploading = {secrets["GT_EMBEDDED_UPLOAD"], secrets["GT_EMBEDDED_PARTNER_UPLOAD"]}
    refusal = error_response(403, "This key may write its datasets.", code="wrong_purpose")
    return change_responses(lambda request: MODELS(request) and request.secret in uploading, lambda *_: refusal)


def _hide_model_list(secrets: Secrets) -> MiddlewareFactory:
    uploading = {secrets["GT_EMBEDDED_UPLOAD"], secrets["GT_EMBEDDED_PARTNER_UPLOAD"]}
    refusal = error_response(404, "Not found.", code="not_found")
    return change_responses(lambda request: MODELS(request) and request.secret in uploading, lambda *_: refusal)


def _look_up_files_first(secrets: Secrets) -> MiddlewareFactory:
    """Nor does a file that nobody has tell the key of an upload from one that nobody has."""
    refusal = error_response(404, "The file does not exist.", code="not_found")
    no_file = change_responses(
        lambda request: is_file_state(request) and "/file_" not in request.path, lambda *_: refusal
    )
    return combine(_hide_model_list(secrets), no_file)


def _break_off() -> MiddlewareFactory:
    """The status of every refusal arrives, and the connection is closed before the body does."""

    @per_call
    async def break_off(call: Call) -> None:
        refused = False

        async def send(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                refused = 400 <= message["status"] < 500
            elif refused:
                message = {**message, "body": b"", "more_body": True}
            await call.send(message)

        await call.forward(send=send)

    return break_off


def _as_app(wanted: Predicate, *keys: str) -> MiddlewareFactory:
    """Take these keys at a route as if they were the conversation key."""
    return use_key(lambda request, secrets: "APP" if wanted(request) and is_live(request, secrets, *keys) else None)


def _respond_at(path: str, response: Response) -> MiddlewareFactory:
    """Another response on one of OpenAI's own routes, to a key that works."""
    return change_responses(
        is_route(path, method="POST"), lambda _, refusal: response if refusal.status in {404, 405} else refusal
    )


def _answer_at(path: str, body: object) -> MiddlewareFactory:
    return _respond_at(path, json_response(200, body))


_VENDOR: dict[str, object] = {
    "/files": {"id": "file-1", "object": "file", "status": "uploaded"},
    "/assistants": {"id": "asst_1", "object": "assistant"},
    "/threads": {"id": "thread_1", "object": "thread"},
    "/responses": {"id": "c1", "object": "chat.completion", "choices": []},
}

_NOT_VALID = "API key not valid."
_NOT_A_KEY = error_response(400, f"{_NOT_VALID} Please pass a valid API key.", "invalid_request_error")


VARIANTS = (
    variant(
        "own-routes-versioned-only",
        "GT's own routes have no un-versioned path: what is not served there gets 404.",
        refuse(_is_own_unversioned, error_response(404, "Not Found")),
        permitted_by=_UNROUTED,
    ),
    variant(
        "own-routes-gone-unversioned",
        "GT's own routes have no un-versioned path: who asks for it there is sent to /v1 by a 410.",
        refuse(_is_own_unversioned, error_response(410, "Gone: use /v1.")),
        permitted_by=_UNROUTED,
    ),
    variant(
        "own-routes-not-implemented-unversioned",
        "GT's own routes have no un-versioned path: what is asked for there gets 501.",
        refuse(_is_own_unversioned, error_response(501, "Not implemented.")),
        permitted_by=_UNROUTED,
    ),
    variant(
        "own-routes-are-a-page-unversioned",
        "GT's own routes have no un-versioned path: a web application answers there with its page and 200.",
        refuse(_is_own_unversioned, replace(_PAGE, status=200)),
        permitted_by=_UNROUTED,
    ),
    variant(
        "dead-keys-get-400",
        "Every key that is refused gets 400, with the reason that it is no valid key.",
        change_refusals(lambda _, response: _NOT_A_KEY if response.status == 401 else response),
        permitted_by="GT API reference: the status of a refusal is not documented; some gateways use 400",
        alters="dead-keys scopes error-bodies",
    ),
    variant(
        "dead-keys-get-404",
        "Whoever has no valid key is shown nothing: every route gives 404.",
        change_refusals(
            lambda _, response: error_response(404, "Nothing here.") if response.status == 401 else response
        ),
        permitted_by="RFC 9110, 15.5.5: a server may hide what it has",
        alters="dead-keys scopes error-bodies",
    ),
    variant(
        "keys-in-queries-get-400",
        "A query that no route has is refused with 400.",
        refuse(lambda request: bool(request.query), error_response(400, "Unknown query parameter.")),
        permitted_by="GT API reference: keys are sent as Authorization: Bearer",
    ),
    variant(
        "refusals-break-off",
        "The connection is closed before the body of a refusal comes.",
        _break_off(),
        permitted_by="RFC 9112, 9.6: Tear-down, of a server that refuses before it has read all",
        alters="error-bodies dead-keys scopes names unknown-routes wrong-methods unknown-files",
    ),
    variant(
        "a-key-without-its-scopes",
        "One key has lost all of its scopes, and the tenant file still declares them.",
        with_secrets(
            lambda secrets: refuse(
                lambda request: _is_inference(request) and is_live(request, secrets, "FULL"),
                error_response(403, "This key lacks the scope.", "forbidden"),
            )
        ),
        permitted_by="GT API keys and access: the operator takes scopes off a key; the tenant file is out of date",
        lacks="has not the right that is declared",
    ),
    variant(
        "refusals-are-web-pages",
        "A gateway puts a web page in the place of every refusal.",
        change_refusals(lambda _, response: replace(_PAGE, status=response.status)),
        permitted_by=_BODY,
        alters="error-bodies dead-keys scopes names unknown-routes wrong-methods unknown-files",
        lacks="an HTML page",
    ),
    variant(
        "unknown-routes-redirected",
        "Who asks for a route that there is not is sent to the page for logging in.",
        _change_code(b"unknown_route", Response(302, (("location", "https://login.acme.example/"),), b"")),
        permitted_by=_UNSAID,
        alters="unknown-routes",
        lacks="since this route cannot exist",
    ),
    variant(
        "missing-scope-says-nothing",
        "A key without the scope gets a 403 with an empty object.",
        change_refusals(
            lambda _, response: (
                response.with_json({}) if _error(response).get("code") == "insufficient_scope" else response
            )
        ),
        permitted_by=_UNSAID,
        alters="error-bodies",
    ),
    variant(
        "unknown-routes-in-plain-text",
        "A route that there is not gets 404 in plain text.",
        _change_code(b"unknown_route", Response(404, _PLAIN_TEXT, b"Not Found\n")),
        permitted_by=_UNSAID,
        alters="unknown-routes",
    ),
    variant(
        "unknown-routes-empty",
        "A route that there is not gets 404 without a body.",
        _change_code(b"unknown_route", Response(404, (), b"")),
        permitted_by=_UNSAID,
        alters="unknown-routes",
    ),
    variant(
        "unknown-routes-get-html",
        "A route that there is not gets a web page with 404.",
        _change_code(b"unknown_route", _PAGE),
        permitted_by=_UNSAID,
        alters="unknown-routes",
    ),
    variant(
        "wrong-methods-in-plain-text",
        "A method that a route does not take gets 405 in plain text.",
        _change_code(b"method_not_allowed", Response(405, _PLAIN_TEXT, b"Method Not Allowed\n")),
        permitted_by=_UNSAID,
        alters="wrong-methods",
    ),
    variant(
        "wrong-methods-get-500",
        "A method that a route does not take gives 500.",
        _change_code(b"method_not_allowed", error_response(500, "method")),
        permitted_by=_UNSAID,
        alters="wrong-methods",
    ),
    variant(
        "malformed-json-500",
        "Malformed JSON gives 500.",
        _change_invalid(_is_malformed, error_response(500, "JSONDecodeError")),
        permitted_by=_UNSAID,
    ),
    variant(
        "missing-file-500",
        "A transcription without its file gives 500.",
        _change_invalid(TRANSCRIPTIONS, error_response(500, "KeyError")),
        permitted_by=_UNSAID,
    ),
    variant(
        "no-messages-500",
        "A chat with an empty list of messages gives 500.",
        _change_invalid(_has_messages(), error_response(500, "IndexError")),
        permitted_by=_UNSAID,
    ),
    variant(
        "empty-message-html",
        "A chat with an empty message gets a web page.",
        _change_invalid(_has_messages({}), replace(_PAGE, status=400)),
        permitted_by=_UNSAID,
    ),
    variant(
        "no-input-500",
        "Embeddings of nothing give 500.",
        _change_invalid(EMBEDDINGS, error_response(500, "IndexError")),
        permitted_by=_UNSAID,
    ),
    variant(
        "errors-without-message",
        "An unknown model is refused with a bare status in a list.",
        _change_code(b"model_not_found", json_response(404, [404])),
        permitted_by=_UNSAID,
        alters="names",
    ),
    variant(
        "errors-as-list",
        "Refusals list their reasons under errors.",
        _change_body(lambda _, reason: {"errors": [{"field": "body", "message": reason}]}),
        permitted_by=_BODY,
        alters="error-bodies",
    ),
    variant(
        "errors-by-field",
        "Refusals name the reason under the name of a field.",
        _change_body(lambda _, reason: {"non_field_errors": [reason]}),
        permitted_by=_BODY,
        alters="error-bodies",
    ),
    variant(
        "dead-keys-get-403",
        "Revoked keys, and secrets from before a rotation, get 403.",
        with_secrets(_refuse_dead_keys),
        permitted_by=_UNSAID,
        alters="dead-keys",
    ),
    variant(
        "unknown-keys-get-403",
        "Every key that is refused gets 403.",
        change_refusals(lambda _, response: replace(response, status=403) if response.status == 401 else response),
        permitted_by=_UNSAID,
        alters="dead-keys",
    ),
    variant(
        "model-list-closed-to-upload-keys",
        "Upload keys may not list models.",
        with_secrets(_close_model_list),
        permitted_by="GT API keys and access: an upload key has its dataset routes only",
        alters="dead-keys scopes unknown-files",  # by these alone such a key is told from a dead one
    ),
    variant(
        "model-list-hidden-from-upload-keys",
        "Upload keys get 404 for the model list, as for a route that does not exist.",
        with_secrets(_hide_model_list),
        permitted_by="GT API keys and access: an upload key has its dataset routes only; " + _UNSAID,
        alters="dead-keys scopes unknown-files",  # by these alone such a key is told from a dead one
    ),
    variant(
        "files-looked-up-before-the-key",
        "A file that nobody has is 404 to any key, and upload keys get 404 for the model list.",
        with_secrets(_look_up_files_first),
        permitted_by="GT API keys and access: an upload key has its dataset routes only; " + _UNSAID,
        alters="dead-keys scopes unknown-files",
    ),
    variant(
        "inference-keys-open-conversations",
        "Inference keys may open conversations.",
        _as_app(CONVERSATIONS, "CHAT", "RAG", "FULL", "CURSOR", "MANUS"),
        permitted_by="GT API reference: opening a conversation asks that the key is allowed the model",
    ),
    variant(
        "vendor-routes-of-its-own",
        "OpenAI's files, assistants and responses are routes of the tenant's own.",
        combine(*(_answer_at(path, body) for path, body in _VENDOR.items())),
        permitted_by=_UNSAID,
        alters="vendor",
    ),
    variant(
        "vendor-routes-fail",
        "OpenAI's files and responses fail with 500.",
        combine(*(_respond_at(path, error_response(500, "no route")) for path in ("/files", "/responses"))),
        permitted_by=_UNSAID,
        alters="vendor",
    ),
    variant(
        "unknown-paths-answered-late",
        "Unknown paths are refused after more than two seconds.",
        delay(2.1, lambda request: request.path == f"{BASE}/version"),
        permitted_by=_UNSAID,
    ),
    variant(
        "missing-scope-404",
        "A key without the scope gets 404.",
        _set_status("insufficient_scope", 404),
        permitted_by=_STATUS,
        alters="scopes",
    ),
    variant(
        "missing-scope-401",
        "A key without the scope gets 401.",
        _set_status("insufficient_scope", 401),
        permitted_by="RFC 6750, 3.1, and its readers: 401 for a token that does not do",
        alters="scopes",
    ),
    variant(
        "missing-scope-400",
        "A key without the scope gets 400, which names the scope.",
        change_refusals(_refuse_scope_400),
        permitted_by=_STATUS,
        alters="scopes",
    ),
    variant(
        "bodies-checked-before-the-scope",
        "What a schema does not know (token ids, user, language) is refused to a key without the scope, by 422.",
        change_refusals(
            lambda request, response: (
                error_response(422, "body: unexpected value", "invalid_request_error")
                if b"scope" in response.body and _has_more(request)
                else response
            )
        ),
        permitted_by=_UNSAID,
        alters="scopes",
    ),
    variant(
        "refusals-all-404",
        "Whatever is refused, for whichever reason, gets 404 in the same words.",
        change_refusals(lambda _, __: error_response(404, "Not Found", "invalid_request_error")),
        permitted_by=_UNSAID,
        alters="error-bodies dead-keys scopes unknown-files",  # by which one refusal is told from another
    ),
    variant(
        "refused-name-403",
        "A name that the key may not use gets 403.",
        _set_status("model_not_found", 403),
        permitted_by=_STATUS,
        alters="names",
    ),
    variant(
        "refused-name-400",
        "A name that the key may not use gets 400.",
        _set_status("model_not_found", 400),
        permitted_by=_STATUS,
        alters="names",
    ),
    variant(
        "refused-dataset-403",
        "A dataset that the key may not use gets 403.",
        _set_status("dataset_not_found", 403),
        permitted_by=_STATUS,
    ),
    variant(
        "refused-file-403", "A file of another key gets 403.", _set_status("file_not_found", 403), permitted_by=_STATUS
    ),
    variant(
        "refused-file-400",
        "A file of another key gets 400, which says that there is none.",
        _set_status("file_not_found", 400),
        permitted_by=_STATUS,
    ),
    variant(
        "refused-file-410", "A file of another key gets 410.", _set_status("file_not_found", 410), permitted_by=_STATUS
    ),
    variant(
        "refused-conversation-403",
        "A conversation of another key gets 403.",
        _set_status("conversation_not_found", 403),
        permitted_by=_STATUS,
    ),
    variant(
        "wrong-method-404",
        "A method that a route does not take gets 404.",
        _set_status("method_not_allowed", 404),
        permitted_by="RFC 9110, 15.5.5: 404 if the server does not say more",
        alters="wrong-methods",
    ),
    variant(
        "unknown-route-403",
        "A route that there is not gets 403.",
        _set_status("unknown_route", 403),
        permitted_by="checks: a 4xx that says so in JSON",
        alters="unknown-routes",
    ),
    variant(
        "unknown-route-405",
        "A route that there is not gets 405.",
        _set_status("unknown_route", 405),
        permitted_by=_STATUS,
        alters="unknown-routes",
    ),
    variant(
        "wrong-values-422",
        "Fields with wrong values get 422.",
        _set_status("invalid_value", 422),
        permitted_by="RFC 9110, 15.5.21: Unprocessable Content",
    ),
    variant(
        "no-key-403",
        "A request without any key gets 403.",
        change_refusals(_refuse_without_key_403),
        permitted_by="checks: 401 or 403 without a key",
    ),
    variant(
        "errors-as-detail",
        "Refusals name the reason under detail.",
        _change_body(lambda _, reason: {"detail": reason}),
        permitted_by=_BODY,
        alters="error-bodies",
    ),
    variant(
        "errors-as-details",
        "Refusals list what is wrong under detail.",
        _change_body(lambda _, reason: {"detail": [{"loc": ["body"], "msg": reason, "type": "value_error"}]}),
        permitted_by=_BODY,
        alters="error-bodies",
    ),
    variant(
        "errors-as-text",
        "Refusals name the reason as the error itself.",
        _change_body(lambda _, reason: {"error": reason}),
        permitted_by=_BODY,
        alters="error-bodies",
    ),
    variant(
        "errors-as-an-event",
        "Refusals are the only event of a stream, whatever was asked for.",
        change_refusals(lambda _, response: response.with_body(b"data: %b\n\n" % response.body, "text/event-stream")),
        permitted_by=_BODY,
        alters="error-bodies",
    ),
    variant(
        "errors-as-message",
        "Refusals have a message, a status and the name of the status.",
        _change_body(lambda response, reason: {"statusCode": response.status, "message": [reason], "error": "Refused"}),
        permitted_by=_BODY,
        alters="error-bodies",
    ),
    variant(
        "problem-details",
        "Refusals are problem details.",
        _change_body(
            lambda response, reason: {
                "type": "about:blank",
                "title": "Refused",
                "status": response.status,
                "detail": reason,
            },
            "application/problem+json",
        ),
        permitted_by="RFC 9457: Problem Details for HTTP APIs",
        alters="error-bodies",
    ),
)
