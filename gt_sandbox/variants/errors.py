"""Refusals: other statuses, and other bodies that name the reason."""

import json
from collections.abc import Callable
from dataclasses import replace

from ..edges import Answer, Asked, EdgeMaker, refusals
from ._parts import json_in
from ._variant import Area

variant = Area("errors")
_STATUS = "GT API reference: 403 or 404 for a scope, name or dataset; some gateways use 400 or 405"
_BODY = "GT API reference: no shape of a refusal is documented"
_SCOPES = "missing-scope-404 missing-scope-401 missing-scope-400"
_NAMES = "refused-name-403 refused-name-400"
_BODIES = "errors-as-detail errors-as-details errors-as-text errors-as-message problem-details"


def _coded(code: str, status: int) -> EdgeMaker:
    """Another status for refusals of one kind, told by their code."""
    return refusals(lambda _, answer: replace(answer, status=status) if _code(answer) == code else answer)


def _missing_scope_400(_: Asked, answer: Answer) -> Answer:
    if _code(answer) != "insufficient_scope":
        return answer
    error = json_in(answer)["error"]
    told = {"error": {**error, "message": f"Insufficient scope: {error['message']}"}}
    return replace(answer, status=400).saying(json.dumps(told).encode())


def _code(answer: Answer) -> object:
    body = json_in(answer) or {}
    error = body.get("error")
    return error.get("code") if isinstance(error, dict) else None


def _bodies(body: Callable[[Answer, str], object], kind: str | None = None) -> EdgeMaker:
    """Another body for every refusal, made from the reason that it names."""

    def changed(_: Asked, answer: Answer) -> Answer:
        error = (json_in(answer) or {}).get("error")
        if not isinstance(error, dict):
            return answer
        return answer.saying(json.dumps(body(answer, error["message"])).encode(), kind)

    return refusals(changed)


def _without_key_403(asked: Asked, answer: Answer) -> Answer:
    return replace(answer, status=403) if answer.status == 401 and not asked.header("authorization") else answer


VARIANTS = (
    variant(
        "missing-scope-404",
        "A key without the scope gets 404.",
        _coded("insufficient_scope", 404),
        lawful=_STATUS,
        conflicts=_SCOPES,
    ),
    variant(
        "missing-scope-401",
        "A key without the scope gets 401.",
        _coded("insufficient_scope", 401),
        lawful="RFC 6750, 3.1, and its readers: 401 for a token that does not do",
        conflicts=_SCOPES,
    ),
    variant(
        "missing-scope-400",
        "A key without the scope gets 400, which names the scope.",
        refusals(_missing_scope_400),
        lawful=_STATUS,
        conflicts=_SCOPES,
    ),
    variant(
        "refused-name-403",
        "A name that the key may not use gets 403.",
        _coded("model_not_found", 403),
        lawful=_STATUS,
        conflicts=_NAMES,
    ),
    variant(
        "refused-name-400",
        "A name that the key may not use gets 400.",
        _coded("model_not_found", 400),
        lawful=_STATUS,
        conflicts=_NAMES,
    ),
    variant(
        "refused-dataset-403",
        "A dataset that the key may not use gets 403.",
        _coded("dataset_not_found", 403),
        lawful=_STATUS,
    ),
    variant("refused-file-403", "A file of another key gets 403.", _coded("file_not_found", 403), lawful=_STATUS),
    variant(
        "refused-conversation-403",
        "A conversation of another key gets 403.",
        _coded("conversation_not_found", 403),
        lawful=_STATUS,
    ),
    variant(
        "wrong-method-404",
        "A method that a route does not take gets 404.",
        _coded("method_not_allowed", 404),
        lawful="RFC 9110, 15.5.5: 404 where the server does not tell more",
    ),
    variant(
        "unknown-route-403",
        "A route that there is not gets 403.",
        _coded("unknown_route", 403),
        lawful="checks: a 4xx that says so in JSON",
        conflicts="unknown-route-405",
    ),
    variant(
        "unknown-route-405",
        "A route that there is not gets 405.",
        _coded("unknown_route", 405),
        lawful=_STATUS,
        conflicts="unknown-route-403",
    ),
    variant(
        "wrong-values-422",
        "Fields with wrong values get 422.",
        _coded("invalid_value", 422),
        lawful="RFC 9110, 15.5.21: Unprocessable Content",
    ),
    variant(
        "no-key-403",
        "A request without any key gets 403.",
        refusals(_without_key_403),
        lawful="checks: 401 or 403 without a key",
    ),
    variant(
        "errors-as-detail",
        "Refusals name the reason under detail.",
        _bodies(lambda _, reason: {"detail": reason}),
        lawful=_BODY,
        conflicts=_BODIES,
    ),
    variant(
        "errors-as-details",
        "Refusals list what is wrong under detail.",
        _bodies(lambda _, reason: {"detail": [{"loc": ["body"], "msg": reason, "type": "value_error"}]}),
        lawful=_BODY,
        conflicts=_BODIES,
    ),
    variant(
        "errors-as-text",
        "Refusals name the reason as the error itself.",
        _bodies(lambda _, reason: {"error": reason}),
        lawful=_BODY,
        conflicts=_BODIES,
    ),
    variant(
        "errors-as-message",
        "Refusals have a message, a status and the name of the status.",
        _bodies(lambda answer, reason: {"statusCode": answer.status, "message": [reason], "error": "Refused"}),
        lawful=_BODY,
        conflicts=_BODIES,
    ),
    variant(
        "problem-details",
        "Refusals are problem details.",
        _bodies(
            lambda answer, reason: {
                "type": "about:blank",
                "title": "Refused",
                "status": answer.status,
                "detail": reason,
            },
            "application/problem+json",
        ),
        lawful="RFC 9457: Problem Details for HTTP APIs",
        conflicts=_BODIES,
    ),
)
