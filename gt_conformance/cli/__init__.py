"""The ``gt-conformance`` command. Each subcommand loads what it needs when it is called: start-up counts."""

from gt_conformance.cli._main import main

__all__ = ["main"]
