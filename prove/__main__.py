"""``python -m prove`` (``make prove``): every section, one line each. Exit code 1 if one does not hold.

``--write`` renews the documents that sections keep; ``--section NAME`` runs some of them only; ``--quick`` runs what a
pull request has to pass: a fault for each check, a few together, and every variant in one of a few combinations.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prove import (
    Options,
    Proof,
    clauses,
    edits,
    encodings,
    faults,
    hostile,
    inputs,
    pairs,
    profile,
    signals,
    speed,
    variants,
)


@dataclass(frozen=True)
class Section:
    """One thing to prove. ``in_quick`` says whether ``--quick`` runs it."""

    prove: Callable[[Options], Proof]
    in_quick: bool


SECTIONS: Mapping[str, Section] = {
    "clauses": Section(clauses.prove, in_quick=True),
    "profile": Section(profile.prove, in_quick=True),
    "faults": Section(faults.prove, in_quick=True),
    "variants": Section(variants.prove, in_quick=True),
    "pairs": Section(pairs.prove, in_quick=False),
    "hostile": Section(hostile.prove, in_quick=False),
    "signals": Section(signals.prove, in_quick=True),
    "encodings": Section(encodings.prove, in_quick=False),
    "inputs": Section(inputs.prove, in_quick=False),
    "edits": Section(edits.prove, in_quick=False),
    "speed": Section(speed.prove, in_quick=False),
}
"""Every section by its name, in the order in which they run. A new section is a module here and a line."""


def main() -> int:
    """Run the sections."""
    parser = argparse.ArgumentParser(
        prog="python -m prove", description="Prove that the suite finds faults, and only faults."
    )
    parser.add_argument("--write", action="store_true", help="renew the documents, instead of comparing with them")
    parser.add_argument("--section", action="append", choices=SECTIONS, help="only this one (may be repeated)")
    parser.add_argument("--quick", action="store_true", help="what a pull request has to pass")
    given = parser.parse_args()
    options = Options(write=given.write, quick=given.quick)
    chosen = given.section or [name for name, section in SECTIONS.items() if section.in_quick or not options.quick]
    failed = False
    for name in chosen:
        started = time.perf_counter()
        proof = SECTIONS[name].prove(options)
        for problem in proof.problems:
            print(f"  {problem}")  # noqa: T201 - what it is for
        print(f"{proof.summary}  ({time.perf_counter() - started:.0f} s)", flush=True)  # noqa: T201 - as above
        failed |= bool(proof.problems)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
