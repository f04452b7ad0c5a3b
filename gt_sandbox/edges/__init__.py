"""Edges: what stands between the network and a tenant, sees every request and answer, and may change them.

The tenant behind an edge knows nothing of it. A fault is an edge that breaks one thing; a variant is one that changes
what clients must not mind.
"""

from ._edges import answering, as_key, asking, counting, live, moved, pieces, refusals, successes, with_key
from ._messages import Answer, Asked, answered, authorized, body_of, given, is_at, sent, taken
from ._types import Edge, EdgeMaker, Secrets

__all__ = [
    "Answer",
    "Asked",
    "Edge",
    "EdgeMaker",
    "Secrets",
    "answered",
    "answering",
    "as_key",
    "asking",
    "authorized",
    "body_of",
    "counting",
    "given",
    "is_at",
    "live",
    "moved",
    "pieces",
    "refusals",
    "sent",
    "successes",
    "taken",
    "with_key",
]
