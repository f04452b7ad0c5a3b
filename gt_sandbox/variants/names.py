"""Published names of another look, and model lists that tell more."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import ASGIApp

from ..edges import Edge, EdgeMaker, asking, pieces
from ..names import PUBLISHED
from ._parts import MODELS, amended, anywhere
from ._variant import Area, TenantFile

variant = Area("names")
_ANY = "GT published endpoints: a published name is the administrator's choice"
_SHAPES = "names-with-slashes names-with-colons names-with-spaces"


def _named(other: Callable[[str], str]) -> EdgeMaker:
    """Every published name under another one, both ways."""
    pairs = [(name.encode(), other(name).encode()) for name in PUBLISHED]

    def out(piece: bytes) -> bytes:
        for own, shown in pairs:
            piece = piece.replace(b'"' + own + b'"', b'"' + shown + b'"')
        return piece

    def back(body: bytes) -> bytes:
        for own, shown in pairs:
            body = body.replace(shown, own)
        return body

    def made(secrets: Mapping[str, str]) -> Edge:
        def edge(app: ASGIApp) -> ASGIApp:
            return asking(lambda asked: asked.method == "POST", back)(secrets)(pieces(anywhere, out)(secrets)(app))

        return edge

    return made


def _declared(other: Callable[[str], str]) -> Callable[[TenantFile], TenantFile]:
    """The tenant file with these names."""

    def declared(document: TenantFile) -> TenantFile:
        keys = {
            name: {**key, "models": [other(model) for model in key["models"]]} if "models" in key else key
            for name, key in document["keys"].items()
        }
        models = {modality: other(model) for modality, model in document["models"].items()}
        return {**document, "keys": keys, "models": models}

    return declared


def _slashed(name: str) -> str:
    return f"acme/{name}"


def _dated(name: str) -> str:
    return f"{name}:2026-05"


def _spaced(name: str) -> str:
    return f"{name.title()} (v1.5)"


def _paged(body: Any) -> None:
    ids = [entry["id"] for entry in body["data"]]
    body.update(has_more=False, first_id=ids[0] if ids else None, last_id=ids[-1] if ids else None)
    for entry in body["data"]:
        entry.update(
            display_name=entry["id"].title(), permission=[], root=entry["id"], parent=None, context_window=8192
        )


VARIANTS = (
    variant(
        "names-with-slashes",
        "Published names hold a slash.",
        _named(_slashed),
        lawful=_ANY,
        conflicts=_SHAPES,
        tenant_file=_declared(_slashed),
    ),
    variant(
        "names-with-colons",
        "Published names hold a date after a colon.",
        _named(_dated),
        lawful=_ANY,
        conflicts=_SHAPES,
        tenant_file=_declared(_dated),
    ),
    variant(
        "names-with-spaces",
        "Published names hold capitals, spaces and brackets.",
        _named(_spaced),
        lawful=_ANY,
        conflicts=_SHAPES,
        tenant_file=_declared(_spaced),
    ),
    variant(
        "models-in-another-order",
        "The model list begins with the last name.",
        amended(MODELS, lambda body: body["data"].reverse()),
        lawful="OpenAI API reference: List models names no order",
    ),
    variant(
        "models-told-at-length",
        "The model list tells pages, and much of each model.",
        amended(MODELS, _paged),
        lawful="GT API reference: extra fields anywhere",
    ),
)
