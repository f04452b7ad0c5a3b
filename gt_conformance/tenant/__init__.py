"""The tenant under test: its address, published names, credentials and limits."""

from gt_conformance.tenant._choice import Choice, choose
from gt_conformance.tenant._load import from_environment, from_file, from_mapping
from gt_conformance.tenant._secret import Secret
from gt_conformance.tenant._value import Credential, KeyMapping, Limits, Tenant, TenantKind

__all__ = [
    "Choice",
    "Credential",
    "KeyMapping",
    "Limits",
    "Secret",
    "Tenant",
    "TenantKind",
    "choose",
    "from_environment",
    "from_file",
    "from_mapping",
]
