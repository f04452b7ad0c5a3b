"""``--list-variants``: the lawful ways in which the embedded tenant can differ."""

import click


def _listed(context: click.Context, option: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    """Print every variant by area, with what is different, and end."""
    del option
    if not wanted or context.resilient_parsing:
        return
    from gt_conformance.sandbox.variants import VARIANTS  # noqa: PLC0415 - loaded when it is needed

    area = ""
    for variant in VARIANTS.values():
        if variant.area != area:
            area = variant.area
            click.secho(area, bold=True)
        click.echo(f"  {variant.name:<38} {variant.description}")
    context.exit()


list_variants = click.option(
    "--list-variants",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_listed,
    help="List the lawful ways in which the embedded tenant can differ, and end.",
)
"""The option, for the commands that take ``--variant``."""
