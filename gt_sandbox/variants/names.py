"""Variants of names: published names of another look, and model lists with more in them."""

from collections.abc import Callable
from typing import Any

from gt_sandbox.accounts import PUBLISHED
from gt_sandbox.alterations import TenantFile, TenantFileChange
from gt_sandbox.middleware import (
    MODELS,
    MiddlewareFactory,
    Request,
    Response,
    Secrets,
    change_json,
    change_pieces,
    change_requests,
    change_responses,
    combine,
    is_any,
    with_secrets,
)
from gt_sandbox.variants._variant import variant

_ANY_NAME = "GT published endpoints: a published name is the administrator's choice"


def _rename(other: Callable[[str], str]) -> MiddlewareFactory:
    """Every published name under another one, both ways."""
    pairs = [(name.encode(), other(name).encode()) for name in PUBLISHED]

    def show(piece: bytes) -> bytes:
        for own, shown in pairs:
            piece = piece.replace(b'"' + own + b'"', b'"' + shown + b'"')
        return piece

    def restore(body: bytes) -> bytes:
        for own, shown in pairs:
            body = body.replace(shown, own)
        return body

    return combine(change_requests(lambda request: request.method == "POST", restore), change_pieces(is_any, show))


def _declare(other: Callable[[str], str]) -> TenantFileChange:
    """The tenant file with these names."""

    def change(document: TenantFile) -> TenantFile:
        keys = {
            name: {**key, "models": [other(model) for model in key["models"]]} if "models" in key else key
            for name, key in document["keys"].items()
        }
        models = {modality: other(model) for modality, model in document["models"].items()}
        raw = [other(name) for name in document["raw_models"]]
        prompts = {other(name): marker for name, marker in document.get("base_prompts", {}).items()}
        return {**document, "keys": keys, "models": models, "raw_models": raw, "base_prompts": prompts}

    return change


def _add_slash(name: str) -> str:
    return f"acme/{name}"


def _add_date(name: str) -> str:
    return f"{name}:2026-05"


def _add_spaces(name: str) -> str:
    return f"{name.title()} (v1.5)"


def _add_pages(body: Any) -> None:
    ids = [entry["id"] for entry in body["data"]]
    body.update(has_more=False, first_id=ids[0] if ids else None, last_id=ids[-1] if ids else None)
    for entry in body["data"]:
        entry.update(
            display_name=entry["id"].title(), permission=[], root=entry["id"], parent=None, context_window=8192
        )


_CATALOG = tuple(f"catalog-model-{number:04d}" for number in range(2_000))


def _list_catalog(secrets: Secrets) -> MiddlewareFactory:
    """The key `full` is allowed a whole catalog besides."""
    entries = [{"id": name, "object": "model", "created": 1, "owned_by": "gt"} for name in _CATALOG]

    def change(request: Request, response: Response) -> Response:
        if request.secret != secrets["GT_EMBEDDED_FULL"] or not response.succeeded:
            return response
        body = response.json
        return response.with_json({**body, "data": [*body["data"], *entries]})

    return change_responses(MODELS, change)


def _declare_catalog(document: TenantFile) -> TenantFile:
    keys = document["keys"]
    full = keys["full"]
    return {**document, "keys": {**keys, "full": {**full, "models": [*full["models"], *_CATALOG]}}}


def _add_model(name: str) -> str:
    return f"{name}-{_MODEL}"


_MODEL = "o1"


def _hide_model(document: TenantFile) -> TenantFile:
    """The tenant file with these names, and with the model that they are named after among what must not show."""
    named = _declare(_add_model)(document)
    return {**named, "unpublished_models": [*named["unpublished_models"], _MODEL]}


VARIANTS = (
    variant(
        "names-with-slashes",
        "Published names hold a slash.",
        _rename(_add_slash),
        permitted_by=_ANY_NAME,
        alters="names",
        tenant_file=_declare(_add_slash),
    ),
    variant(
        "names-with-colons",
        "Published names hold a date after a colon.",
        _rename(_add_date),
        permitted_by=_ANY_NAME,
        alters="names",
        tenant_file=_declare(_add_date),
    ),
    variant(
        "names-with-spaces",
        "Published names hold capitals, spaces and brackets.",
        _rename(_add_spaces),
        permitted_by=_ANY_NAME,
        alters="names",
        tenant_file=_declare(_add_spaces),
    ),
    variant(
        "names-after-a-model",
        "Published names end in that of the provider's model, which must not show by itself.",
        _rename(_add_model),
        permitted_by=_ANY_NAME,
        alters="names",
        tenant_file=_hide_model,
    ),
    variant(
        "models-in-another-order",
        "The model list begins with the last name.",
        change_json(MODELS, lambda body: body["data"].reverse()),
        permitted_by="OpenAI API reference: List models names no order",
    ),
    variant(
        "names-listed-twice",
        "The model list holds each name twice.",
        change_json(MODELS, lambda body: body.update(data=body["data"] * 2)),
        permitted_by="checks: no page says that a name is listed once",
    ),
    variant(
        "models-told-at-length",
        "The model list has fields for pages, and many for each model.",
        change_json(MODELS, _add_pages),
        permitted_by="GT API reference: extra fields anywhere",
    ),
    variant(
        "names-by-the-thousand",
        "A key is allowed a catalog of 2,000 names, and lists them.",
        with_secrets(_list_catalog),
        permitted_by=_ANY_NAME,
        alters="names",
        tenant_file=_declare_catalog,
    ),
)
