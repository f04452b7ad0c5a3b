"""Several results as one: shards of runbooks of one tenant put together."""

from gt_conformance.shards._merge import Source, by_tenant, merge

__all__ = ["Source", "by_tenant", "merge"]
