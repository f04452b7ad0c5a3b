"""The build of a single file, gt-conformance.pyz, that any Python from 3.11 on runs: ``make pyz``."""
