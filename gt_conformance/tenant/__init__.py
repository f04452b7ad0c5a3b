"""The tenant under test: its address, published names, credentials and limits."""

from gt_conformance.tenant._base_url import check_base_url, is_loopback
from gt_conformance.tenant._choice import Choice, choose, find_undeclared_name, nearest_name
from gt_conformance.tenant._load import (
    VARIABLES,
    all_set,
    from_declared,
    from_document,
    from_environment,
    from_file,
    from_mapping,
    read_base_url,
)
from gt_conformance.tenant._new_file import require_new, write_new
from gt_conformance.tenant._objective import Measure, Objective, objective_of_id, read_objectives
from gt_conformance.tenant._prices import Price, Prices
from gt_conformance.tenant._tenant import (
    ENVIRONMENT,
    OTHER_TENANT,
    ClientCertificate,
    Credential,
    KeyMapping,
    KnownConversation,
    Limits,
    Marker,
    Secret,
    Tenant,
    TenantKind,
    Unsure,
)

__all__ = [
    "ENVIRONMENT",
    "OTHER_TENANT",
    "VARIABLES",
    "Choice",
    "ClientCertificate",
    "Credential",
    "KeyMapping",
    "KnownConversation",
    "Limits",
    "Marker",
    "Measure",
    "Objective",
    "Price",
    "Prices",
    "Secret",
    "Tenant",
    "TenantKind",
    "Unsure",
    "all_set",
    "check_base_url",
    "choose",
    "find_undeclared_name",
    "from_declared",
    "from_document",
    "from_environment",
    "from_file",
    "from_mapping",
    "is_loopback",
    "name_in_words",
    "nearest_name",
    "objective_of_id",
    "read_base_url",
    "read_objectives",
    "require_new",
    "write_new",
]
