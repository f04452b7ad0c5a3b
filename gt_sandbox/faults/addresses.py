"""Faults of addresses: where the tenant can be reached, and what it takes that is no GT surface."""

from gt_sandbox.app import BASE
from gt_sandbox.faults._fault import fault
from gt_sandbox.faults._parts import PROVIDER, web_page
from gt_sandbox.middleware import (
    MiddlewareFactory,
    Request,
    Response,
    change_responses,
    is_route,
    json_response,
    reroute,
)

_NOWHERE = f"{BASE}/v1/not-routed"


def _is_unversioned(request: Request) -> bool:
    return request.path.startswith(f"{BASE}/") and not request.path.startswith(f"{BASE}/v1/")


def _respond_to_vendor(path: str, response: Response) -> MiddlewareFactory:
    """Respond on one of OpenAI's own routes, which is no GT surface, to a key that works."""
    return change_responses(
        is_route(path, method="POST"), lambda _, refusal: response if refusal.status == 404 else refusal
    )


FAULTS = (
    fault(
        "versioned-only",
        "Only /api/tenant/v1/* is routed: a client that adds no /v1 to the documented base URL gets 404.",
        reroute(lambda request: _NOWHERE if _is_unversioned(request) else None),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "embeddings-versioned-only",
        "Un-versioned embeddings are not routed.",
        reroute(lambda request: _NOWHERE if request.path == f"{BASE}/embeddings" else None),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "web-page-at-unversioned-paths",
        "A web application answers the un-versioned paths with its page and 200.",
        change_responses(_is_unversioned, lambda _, response: web_page() if response.succeeded else response),
        caught_by="base_url.joins",
        breaks=("R1",),
    ),
    fault(
        "vendor-files-accepted",
        "OpenAI's own file upload puts the file into a dataset.",
        _respond_to_vendor(
            "/files", json_response(200, {"id": "f1", "object": "file", "dataset_id": "scratch-briefs"})
        ),
        caught_by="vendor.files_refused",
        breaks=("R3",),
    ),
    fault(
        "vendor-responses-name-provider-model",
        "OpenAI's responses are answered, and name the provider's model.",
        _respond_to_vendor("/responses", json_response(200, {"id": "r1", "object": "response", "model": PROVIDER})),
        caught_by="vendor.responses_refused",
        breaks=("A11",),
    ),
    fault(
        "vendor-threads-accepted",
        "OpenAI's threads open conversations of GT.",
        _respond_to_vendor("/threads", json_response(200, {"id": "t1", "object": "thread", "conversation_id": "c1"})),
        caught_by="vendor.assistants_refused",
        breaks=("R4",),
    ),
)
