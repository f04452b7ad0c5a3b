"""``python -m prove`` (``make prove``): every section, one line each. Exit code 1 where one does not hold.

``--write`` renews the documents that sections keep; ``--section NAME`` runs some of them only; ``--quick`` runs what a
change can wait for: every fault, and every variant in one of a few combinations.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping

from prove import faults, hostile, variants

Section = Callable[..., tuple[str, tuple[str, ...]]]
SECTIONS: Mapping[str, Section] = {
    "faults": faults.prove,
    "variants": variants.prove,
    "hostile": hostile.prove,
}
"""By name. A section takes ``write`` and gives its summary and what is wrong, a sentence each."""
QUICK: Mapping[str, Section] = {"faults": faults.prove, "variants": variants.prove_together}


def main() -> int:
    """Run the sections."""
    parser = argparse.ArgumentParser(prog="python -m prove", description="Prove that the suite can tell.")
    parser.add_argument("--write", action="store_true", help="renew the documents, instead of comparing with them")
    parser.add_argument("--section", action="append", choices=SECTIONS, help="only this one (may be repeated)")
    parser.add_argument("--quick", action="store_true", help="what a change can wait for")
    options = parser.parse_args()
    sections = QUICK if options.quick else {name: SECTIONS[name] for name in options.section or SECTIONS}
    failed = False
    for section in sections.values():
        started = time.perf_counter()
        summary, wrong = section(write=options.write)
        for text in wrong:
            print(f"  {text}")  # noqa: T201 - what it is for
        print(f"{summary}  ({time.perf_counter() - started:.0f} s)", flush=True)  # noqa: T201 - as above
        failed |= bool(wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
