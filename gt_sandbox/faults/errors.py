"""Faults of errors: refusals that are none."""

from collections.abc import Callable
from dataclasses import replace

from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import redirect, with_limits
from gt_sandbox.middleware import (
    MiddlewareFactory,
    Request,
    Response,
    change_refusals,
    change_responses,
    delay,
    error_response,
    is_stream,
)


def _change_403(change: Callable[[Response], Response]) -> MiddlewareFactory:
    """Change what a key that lacks a scope gets."""
    return change_refusals(lambda _, response: change(response) if response.status == 403 else response)


def _change_code(code: bytes, refusal: Response) -> MiddlewareFactory:
    """Put another refusal in place of those with this code."""
    return change_refusals(lambda _, response: refusal if code in response.body else response)


def _refuse_inside(_: Request, response: Response) -> Response:
    if response.status not in {401, 403, 404}:
        return response
    events = b"data: " + response.body + b"\n\ndata: [DONE]\n\n"
    return replace(response, status=200, headers=(("content-type", "text/event-stream"),)).with_body(events)


FAULTS = (
    fault(
        "refusals-are-500",
        "A key that lacks a scope gets 500.",
        _change_403(lambda response: replace(response, status=500)),
        caught_by="route.refused",
        breaks=("A5",),
    ),
    fault(
        "refusals-are-redirects",
        "A key that lacks a scope is redirected to a login page.",
        _change_403(lambda _: redirect(302)),
        caught_by="route.refused",
        breaks=("A5",),
    ),
    fault(
        "refusals-are-200",
        "A key that lacks a scope gets 200 with an error object in it.",
        _change_403(lambda response: replace(response, status=200)),
        caught_by="route.refused",
        breaks=("A5",),
    ),
    fault(
        "refused-streams-are-200",
        "A streamed chat is begun before the key is looked at: its refusal is an event of a stream, under 200.",
        change_responses(is_stream, _refuse_inside),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "requests-without-a-key-get-500",
        "A request without a key gets 500 instead of a refusal, as of a gateway whose check of keys crashes.",
        change_refusals(
            lambda request, response: response if request.header("authorization") else error_response(500, "KeyError")
        ),
        caught_by="key.required",
        breaks=("A1",),
    ),
    fault(
        "unknown-models-get-500",
        "A model that does not exist gives 500.",
        _change_code(b"model_not_found", error_response(500, "KeyError")),
        caught_by="names.unpublished_refused",
        breaks=("M4",),
    ),
    fault(
        "requests-without-a-key-hang",
        "A request without a key is never answered.",
        delay(60, lambda request: not request.header("authorization")),
        tenant_file=with_limits(timeout_s=2),
        caught_by="key.required",
        breaks=("A1",),
    ),
)
