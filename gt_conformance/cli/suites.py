"""``gt-conformance suites``: where the suites are, for whoever runs them by pytest."""

import click

from gt_conformance import resources


@click.command
def suites() -> int:
    """Print the folder of the test suites, for plain pytest, in a checkout or with an installed wheel.

    \b
    Examples:
      gt-conformance suites
      pytest -p gt_conformance.pytest_plugin "$(gt-conformance suites)" --tenant acme.yaml --runbook dify
      pytest -p gt_conformance.pytest_plugin "$(gt-conformance suites)" --co -q -k "dify and native"
    """
    click.echo(str(resources.suites_dir()))
    return 0
