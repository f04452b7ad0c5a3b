"""Faults of the model list."""

from collections.abc import Callable
from typing import Any

from ._fault import Area
from ._parts import ALIAS, INTERNAL, MODELS, amended, elsewhere, error, instead, page

fault = Area("discovery")


def _listed(change: Callable[[list[Any]], list[Any]]) -> Callable[[Any], object]:
    """A change to the entries of the list."""
    return lambda body: body.update(data=change(body["data"]))


def _entry(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 1_764_000_000, "owned_by": "gt-agents"}


FAULTS = (
    fault(
        "alias-not-listed",
        "The model list leaves out the alias that clients are set up with.",
        amended(MODELS, _listed(lambda entries: [entry for entry in entries if entry["id"] != ALIAS])),
        checks="key.isolation key.rotation models.contains_alias models.exact_allowlist",
        places="models items",
    ),
    fault(
        "names-of-others-listed",
        "The model list shows a published name that is not on the key's allowlist.",
        amended(MODELS, _listed(lambda entries: [*entries, _entry("board-secretary")])),
        checks="key.isolation key.rotation models.exact_allowlist",
        places="models items",
    ),
    fault(
        "internal-id-listed",
        "The model list shows the internal id of an agent beside its alias.",
        amended(MODELS, _listed(lambda entries: [*entries, _entry(INTERNAL)])),
        checks="key.isolation key.rotation models.exact_allowlist tenant.no_raw_model_ids",
        places="models items tenant",
    ),
    fault(
        "names-listed-twice",
        "The model list holds each name twice.",
        amended(MODELS, _listed(lambda entries: entries * 2)),
        checks="models.exact_allowlist",
        places="models items",
    ),
    fault(
        "models-as-plain-names",
        "The model list holds bare names instead of objects with an id.",
        amended(MODELS, _listed(lambda entries: [entry["id"] for entry in entries])),
        checks="key.isolation key.rotation models.contains_alias models.exact_allowlist",
        places="models items",
    ),
    fault(
        "models-500",
        "The model list fails with 500.",
        instead(MODELS, error(500, "upstream failed")),
        checks="base_url.joins key.isolation key.rotation models.contains_alias models.exact_allowlist",
        places="models items",
    ),
    fault(
        "models-redirect",
        "The model list redirects to a login page.",
        instead(MODELS, elsewhere(302)),
        checks="base_url.joins key.isolation key.rotation models.contains_alias models.exact_allowlist",
        places="models items",
    ),
    fault(
        "models-html",
        "The model list is answered with a web page and 200.",
        instead(MODELS, page()),
        checks="key.isolation key.rotation models.contains_alias models.exact_allowlist",
        places="models items",
    ),
)
