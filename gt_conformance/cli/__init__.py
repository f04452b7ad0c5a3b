"""The ``gt-conformance`` command: a module for each subcommand, loaded when that one is called."""

import sys


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
    sys.exit(code)
