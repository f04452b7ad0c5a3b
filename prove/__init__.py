"""Proof that the suite can tell: planted faults are caught, lawful variants not accused, hostile tenants survived."""
