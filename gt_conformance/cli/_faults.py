"""``--list-faults``: what can be broken of the embedded tenant."""

import click


def _listed(context: click.Context, option: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    """Print every fault by area, with what is broken, and end."""
    del option
    if not wanted or context.resilient_parsing:
        return
    from gt_conformance.sandbox.faults import FAULTS  # noqa: PLC0415 - loaded when it is needed

    area = ""
    for fault in FAULTS.values():
        if fault.area != area:
            area = fault.area
            click.secho(area, bold=True)
        click.echo(f"  {fault.name:<38} {fault.description}")
    context.exit()


list_faults = click.option(
    "--list-faults",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_listed,
    help="List the faults that the embedded tenant can have, and end.",
)
"""The option, for the commands that take ``--fault``."""
