"""What changed between two records: new violations, what was fixed, what is no longer tested."""

from gt_conformance.comparison._compare import compare, same_tenant
from gt_conformance.comparison._exit import FailOn, exit_code, require_same_tenant

__all__ = ["FailOn", "compare", "exit_code", "require_same_tenant", "same_tenant"]
