"""The ``gt-conformance`` command: a module for each subcommand, loaded when that one is called."""

import gc
import sys
import traceback
from contextlib import suppress

FAULT = 3
"""The exit code where the command itself failed: Python's own, 1, would say that the tenant breaks a promise."""


def main() -> None:
    """Run the command, and end the process with its exit code."""
    try:
        # Imported here: Ctrl-C is no traceback from the first line on, and neither is what `timeout` sends.
        from gt_conformance import signals  # noqa: PLC0415

        signals.raise_interrupts()
        from gt_conformance.cli._main import run_command  # noqa: PLC0415

        code = run_command()
    except KeyboardInterrupt:
        if sys.stderr is not None:
            sys.stderr.write("Interrupted.\n")
        code = 2
    except Exception:  # noqa: BLE001 - see FAULT
        with suppress(OSError):
            traceback.print_exc()
        code = FAULT
    gc.freeze()  # all that is left ends with the process
    sys.exit(code)
