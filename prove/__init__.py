"""Proves the suite itself: planted faults are caught, lawful variants accused of nothing, hostile tenants survived."""
