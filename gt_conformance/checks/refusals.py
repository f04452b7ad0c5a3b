"""What must fail closed: routes that a runbook does not need, and OpenAI's own surfaces."""

from typing import Any

from gt_conformance.checks import _requests as requests
from gt_conformance.checks._holdings import READ_ONLY, a_conversation_of_another, a_file_of_another
from gt_conformance.checks._probe import Probe
from gt_conformance.checks._refusal import refused
from gt_conformance.checks._registry import check
from gt_conformance.errors import Blocked
from gt_conformance.exchange import Request
from gt_conformance.tenant import Credential
from gt_conformance.vocabulary import Modality, Route

_MORE_THAN_NEEDED = "Take the scope or the allowlist entry off this key: it grants more than the runbook needs."


@check(
    "route.refused",
    claim="The runbook's key is refused where the runbook says not_supported.",
    remedy=_MORE_THAN_NEEDED,
    source="GT API keys and access: least privilege; the runbook's route mapping",
)
async def route_refused(probe: Probe) -> None:
    """A lawful request is refused with 401, 403, 404 or 405 (400 or 422 naming the right) and a JSON body."""
    route = probe.parameters.route
    if route is None:
        raise ValueError("route.refused takes a route")
    exchange = await probe.send(await lawful_request(probe, route, probe.credential))
    refused(probe, exchange, f"{route.title} by the key {probe.credential.name}")


async def lawful_request(probe: Probe, route: Route, key: Credential) -> Request:
    """What a key with the right would send, with the real ids of another key. Raises Blocked without them."""
    if route is Route.FILE_STATUS:
        file_id, _ = await a_file_of_another(probe, key)
        return requests.lawful(probe.tenant, route, key.name, probe.run_id, file_id=file_id)
    if route is Route.CONVERSATION_FILES:
        conversation_id, _ = await a_conversation_of_another(probe, key)
        return requests.lawful(probe.tenant, route, key.name, probe.run_id, conversation_id=conversation_id)
    if route is Route.DATASET_FILES:
        if probe.tenant.read_only:
            raise Blocked(*READ_ONLY)
        if probe.tenant.dataset is None:
            raise Blocked(
                "a refusal cannot be told from an absence without a real dataset, and the tenant file names none",
                "Add dataset: NAME to the tenant file.",
            )
    return requests.lawful(probe.tenant, route, key.name, probe.run_id)


@check(
    "vendor.files_refused",
    claim="OpenAI's own file upload is no GT surface: it is refused.",
    remedy="Have the tenant answer POST /v1/files with a 4xx; uploads go to conversations and datasets.",
    source="GT OpenAI compatibility: /v1/files is no GT surface",
    creates=True,
)
async def files_refused(probe: Probe) -> None:
    """POST /v1/files with a file and a purpose is refused with a 4xx."""
    request = requests.upload(probe.tenant, "/v1/files", probe.credential.name, probe.run_id, purpose="assistants")
    exchange = await probe.send(request)
    refused(probe, exchange, "POST /v1/files", statuses=range(400, 500), reasoned=False)


@check(
    "vendor.assistants_refused",
    claim="OpenAI's assistants and threads are no GT surface: they are refused.",
    remedy="Have the tenant answer POST /v1/assistants and /v1/threads with a 4xx; continuity is GT's conversations.",
    source="GT OpenAI compatibility: /v1/assistants and /v1/threads are no GT surfaces",
    creates=True,
)
async def assistants_refused(probe: Probe) -> None:
    """POST /v1/assistants and POST /v1/threads are refused with a 4xx."""
    key = probe.credential.name
    name = f"gt-conformance-{probe.run_id}"
    bodies: dict[str, dict[str, Any]] = {
        "/v1/assistants": {"model": probe.model(Modality.CHAT), "name": name},
        "/v1/threads": {"metadata": {"name": name}},
    }
    for path, body in bodies.items():
        exchange = await probe.send(Request.of_json("POST", probe.url(path), key, body, creates=True))
        refused(probe, exchange, f"POST {path}", statuses=range(400, 500), reasoned=False)


@check(
    "vendor.responses_refused",
    claim="OpenAI's responses, which this client uses by default, are refused openly or answered in OpenAI's shape.",
    remedy="Have the tenant answer POST /v1/responses with a 4xx in JSON, and set this client to chat completions.",
    source="GT OpenAI compatibility: /v1/responses is no GT surface; OpenAI API reference, Create a model response",
)
async def responses_refused(probe: Probe) -> None:
    """POST /v1/responses is refused with a 4xx, or gives a response of OpenAI's shape: never a 5xx or a web page."""
    body = {"model": probe.model(Modality.CHAT), "input": "Say ok.", "max_output_tokens": 16, "store": False}
    exchange = await probe.send(Request.of_json("POST", probe.url("/v1/responses"), probe.credential.name, body))
    if probe.answer(exchange, "POST /v1/responses is answered").succeeded:
        probe.json(exchange, "response", "POST /v1/responses is refused, or gives a response of OpenAI's shape")
    else:
        refused(probe, exchange, "POST /v1/responses", statuses=range(400, 500), reasoned=False)


@check(
    "dataset.not_allowlisted_refused",
    claim="An upload to a dataset outside the key's allowlist is refused.",
    remedy="Have the tenant refuse uploads to datasets that are not on the key's allowlist.",
    source="GT API reference, Upload into a dataset target; GT API keys and access",
    creates=True,
)
async def dataset_not_allowlisted_refused(probe: Probe) -> None:
    """A tiny upload to a real dataset that the key may not reach is refused with a 4xx."""
    key, tenant = probe.credential, probe.tenant
    allowed = key.datasets or frozenset()
    known = {*([tenant.dataset] if tenant.dataset else []), *tenant.other_datasets}
    for other in tenant.live_credentials:
        known |= other.datasets or frozenset()
    foreign = sorted(known - allowed) if key.datasets is not None else sorted(tenant.other_datasets)
    target = foreign[0] if foreign else requests.MADE_UP_ID
    exchange = await probe.send(requests.upload(tenant, requests.dataset_path(target), key.name, probe.run_id))
    refused(probe, exchange, f"an upload to the dataset {target}", statuses=range(400, 500), reasoned=False)
    if not foreign and not probe.violations:
        probe.block(
            "a made-up dataset was refused, which may be its absence: no real one outside the key's allowlist is known",
            "Name one in other_datasets of the tenant file, and the key's own under datasets.",
        )
