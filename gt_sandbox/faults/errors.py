"""Faults of errors: refusals that are none, requests that break the tenant, and web pages that are let in."""

import json
from collections.abc import Callable
from dataclasses import replace

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import redirect, web_page
from gt_sandbox.middleware import (
    CHAT,
    EMBEDDINGS,
    TRANSCRIPTIONS,
    MiddlewareFactory,
    Predicate,
    Request,
    Response,
    change_refusals,
    change_responses,
    error_response,
    json_response,
)


def _change_403(change: Callable[[Response], Response]) -> MiddlewareFactory:
    """Change what a key that lacks a scope gets."""
    return change_refusals(lambda _, response: change(response) if response.status == 403 else response)


def _change_code(code: bytes, refusal: Response) -> MiddlewareFactory:
    """Put another refusal in place of those with this code."""
    return change_refusals(lambda _, response: refusal if code in response.body else response)


def _change_invalid(wanted: Predicate, refusal: Response) -> MiddlewareFactory:
    """Put another response in place of the 400 that a route gives to an invalid request."""
    return change_responses(wanted, lambda _, response: refusal if response.status in {400, 422} else response)


def _has_messages(*messages: object) -> Predicate:
    return lambda request: CHAT(request) and request.fields.get("messages") == [*messages]


def _is_malformed(request: Request) -> bool:
    try:
        json.loads(request.body)
    except ValueError:
        return CHAT(request) and request.method == "POST"
    return False


def _allow_origin(request: Request, response: Response) -> Response:
    allowed = response.with_header("access-control-allow-origin", request.header("origin"))
    return allowed.with_header("access-control-allow-credentials", "true")


def _allow_preflight(request: Request, response: Response) -> Response:
    return replace(_allow_origin(request, response), status=204, body=b"")


FAULTS = (
    fault(
        "refusals-are-500",
        "A key that lacks a scope gets 500.",
        _change_403(lambda response: replace(response, status=500)),
        caught_by="route.refused",
    ),
    fault(
        "refusals-are-html",
        "A key that lacks a scope gets a web page.",
        _change_403(lambda _: web_page(403)),
        caught_by="route.refused",
    ),
    fault(
        "refusals-are-redirects",
        "A key that lacks a scope is redirected to a login page.",
        _change_403(lambda _: redirect(302)),
        caught_by="route.refused",
    ),
    fault(
        "refusals-are-200",
        "A key that lacks a scope gets 200 with an error object in it.",
        _change_403(lambda response: replace(response, status=200)),
        caught_by="route.refused",
    ),
    fault(
        "refusals-say-nothing",
        "A key that lacks a scope gets a 403 with an empty object.",
        _change_403(lambda _: json_response(403, {})),
        caught_by="route.refused",
    ),
    fault(
        "unknown-routes-get-html",
        "An unknown route gets a web page.",
        _change_code(b"unknown_route", web_page(404)),
        caught_by="tenant.errors_shaped",
    ),
    fault(
        "wrong-methods-get-500",
        "A method that a route does not take gives 500.",
        _change_code(b"method_not_allowed", error_response(500, "method")),
        caught_by="tenant.errors_shaped",
    ),
    fault(
        "malformed-json-500",
        "Malformed JSON gives 500.",
        _change_invalid(_is_malformed, error_response(500, "JSONDecodeError")),
        caught_by="tenant.errors_shaped",
    ),
    fault(
        "unknown-models-get-500",
        "A model that does not exist gives 500.",
        _change_code(b"model_not_found", error_response(500, "KeyError")),
        caught_by="tenant.errors_shaped",
    ),
    fault(
        "missing-file-500",
        "A transcription without its file gives 500.",
        _change_invalid(TRANSCRIPTIONS, error_response(500, "KeyError")),
        caught_by="tenant.errors_shaped",
    ),
    fault(
        "no-messages-500",
        "A chat with an empty list of messages gives 500.",
        _change_invalid(_has_messages(), error_response(500, "IndexError")),
        caught_by="tenant.errors_shaped",
    ),
    fault(
        "empty-message-html",
        "A chat with an empty message gets a web page.",
        _change_invalid(_has_messages({}), web_page(400)),
        caught_by="tenant.errors_shaped",
    ),
    fault(
        "no-input-500",
        "Embeddings of nothing give 500.",
        _change_invalid(EMBEDDINGS, error_response(500, "IndexError")),
        caught_by="tenant.errors_shaped",
    ),
    fault(
        "errors-without-message",
        "An unknown model is refused with a bare status in a list.",
        _change_code(b"model_not_found", json_response(404, [404])),
        caught_by="tenant.errors_shaped",
    ),
    fault(
        "any-web-page-let-in",
        "Every web page may send a user's key: each Origin is reflected, with credentials.",
        change_responses(lambda request: bool(request.header("origin")), _allow_origin),
        caught_by="tenant.browser_origin_refused",
    ),
    fault(
        "preflight-lets-any-page-in",
        "The preflight of every web page is answered with its own Origin, with credentials.",
        change_responses(lambda request: request.method == "OPTIONS", _allow_preflight),
        caught_by="tenant.browser_origin_refused",
    ),
)
