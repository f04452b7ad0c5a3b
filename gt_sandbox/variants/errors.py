"""Variants of refusals: other statuses, and other bodies that name the reason."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gt_sandbox.middleware import JSON, MiddlewareFactory, Request, Response, change_refusals
from gt_sandbox.variants._variant import variant

_STATUS = "GT API reference: 403 or 404 for a scope, name or dataset; some gateways use 400 or 405"
_BODY = "GT API reference: no shape of a refusal is documented"


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


VARIANTS = (
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
