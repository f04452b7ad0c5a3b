"""The embedded tenant: a small, conforming GT API on loopback, to try this suite and real clients against.

It imports nothing of ``gt_conformance``, not even the vocabulary: a tenant that shared code with the checks would agree
with them by construction and prove nothing.
"""

from gt_sandbox.accounts import PresetKey, Secrets
from gt_sandbox.tenant import MARK, EmbeddedTenant

__all__ = ["MARK", "EmbeddedTenant", "PresetKey", "Secrets"]
