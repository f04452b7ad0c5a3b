"""Mutation testing of ``gt_conformance/checks`` and ``gt_conformance/judgement``: ``make mutants``, docs/mutation.md.

Cosmic Ray makes the mutants and keeps what came of each. Whether one is noticed is found out here, in a process forked
for it: by the faults and variants of ``make prove``, and by the unit tests about its module.
"""

from pathlib import Path

PACKAGES = (Path("gt_conformance/checks"), Path("gt_conformance/judgement"))


def modules() -> list[Path]:
    """Every module that is mutated, from the folder of the checkout. Raises ValueError if there is none of a kind."""
    found: list[Path] = []
    for package in PACKAGES:
        alone = package.with_suffix(".py")
        files = sorted(path for path in package.glob("*.py") if path.stem != "__init__")
        if not files and not alone.is_file():
            raise ValueError(f"There is no module at {package}.")
        found += files or [alone]
    return found
