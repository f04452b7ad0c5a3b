"""The results of past nights: a folder of dated records, and what a report draws of them."""

from gt_conformance.history._folder import DEFAULT_KEPT, PARTIAL, History

__all__ = ["DEFAULT_KEPT", "PARTIAL", "History"]
