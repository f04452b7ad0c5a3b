"""Programs run to their end: with a deadline, with bounded output, and with nothing of them left running."""

from gt_conformance.processes._run import Completed, Ending, end_all, run, run_in_foreground

__all__ = ["Completed", "Ending", "end_all", "run", "run_in_foreground"]
