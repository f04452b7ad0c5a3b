"""The embedded tenant: a small, conforming GT API on loopback, to try this suite and real clients against.

It imports nothing from the rest of ``gt_conformance``, not even the vocabulary: a tenant that shared code with the
checks would agree with them by construction and prove nothing.
"""

from .tenant import EmbeddedTenant
from .wallet import PresetKey, Wallet

__all__ = ["EmbeddedTenant", "PresetKey", "Wallet"]
