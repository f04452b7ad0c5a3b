"""Faults of addresses: where the tenant's routes can be reached."""

from ..app import BASE
from ..edges import Asked, answering, moved
from ._fault import Area
from ._parts import page

fault = Area("addresses")
_NOWHERE = f"{BASE}/v1/not-routed"


def _unversioned(asked: Asked) -> bool:
    return asked.path.startswith(f"{BASE}/") and not asked.path.startswith(f"{BASE}/v1/")


FAULTS = (
    fault(
        "versioned-only",
        "Only /api/tenant/v1/* is routed: a client that adds no /v1 to the documented base URL gets 404.",
        moved(lambda asked: _NOWHERE if _unversioned(asked) else None),
        checks="base_url.joins",
        places="models chat embeddings transcriptions speech images items",
    ),
    fault(
        "embeddings-versioned-only",
        "Un-versioned embeddings are not routed.",
        moved(lambda asked: _NOWHERE if asked.path == f"{BASE}/embeddings" else None),
        checks="base_url.joins",
        places="embeddings",
    ),
    fault(
        "web-page-at-unversioned-paths",
        "A web application answers the un-versioned paths with its page and 200.",
        answering(_unversioned, lambda _, right: page() if right.succeeded else right),
        checks="base_url.joins",
        places="models chat embeddings transcriptions speech items",
    ),
)
