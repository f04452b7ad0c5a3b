"""``python -m gt_conformance`` is the command."""

from gt_conformance.cli import main

main()
