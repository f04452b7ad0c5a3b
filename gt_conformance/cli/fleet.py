"""``gt-conformance fleet``: many tenants, in a group of subcommands of which each has a file of its own."""

import click

from gt_conformance.cli._main import Entry, LazyGroup

COMMANDS = {
    "lint": Entry("fleet_lint", "Check fleet.yaml and each tenant of it; sends nothing."),
    "manifest": Entry("fleet_manifest", "Print what Kubernetes, GitHub or GitLab needs to judge the fleet in shards."),
    "plan": Entry("fleet_plan", "Show what a night would send and how long it would take; sends nothing."),
    "query": Entry("fleet_query", "Query the outcomes of all nights in SQL; read-only."),
    "report": Entry("fleet_report", "Report on the fleet and decide: a page, metrics, a message, an exit code."),
    "run": Entry("fleet_run", "Judge the tenants that are due, and record each."),
}
"""The subcommands: the name, the module in this package, a line of help."""


@click.group(cls=LazyGroup, entries=COMMANDS)
def fleet() -> None:
    """Judge many tenants, night after night: fleet.yaml names them.

    \b
    Examples:
      gt-conformance fleet lint fleet.yaml                          whether each tenant can be judged
      gt-conformance fleet plan fleet.yaml                          requests, tokens, least time
      gt-conformance fleet run fleet.yaml --out nights              judge them all, and record each
      gt-conformance fleet run fleet.yaml --out nights --shard 3/8  an eighth of them
      gt-conformance fleet report nights --history --out report     how the fleet is tonight
      gt-conformance fleet query nights "select ... from latest"    a table of your own
    """
