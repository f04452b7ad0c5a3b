"""Proof that the suite can tell: against tenants that are broken, in ways that it knows, and that must stay caught."""
