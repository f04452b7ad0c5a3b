"""``gt-conformance diff``: what changed between two records."""

from pathlib import Path

import click


@click.command(short_help="Say what changed between two results.")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--fail-on",
    metavar="any|new",
    default="any",
    show_default=True,
    help="Exit code of NEW itself, or of what is new in it only.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="For a terminal, for a pull request, or for a machine.",
)
def diff(old: Path, new: Path, fail_on: str, form: str) -> int:
    """Say what changed from OLD to NEW, each a results.json or a file of a history.

    New violations, what is fixed, still violating, newly blocked; checks that are new; runbooks whose file or verdicts
    changed; requests and time. What was not judged again is never called fixed.

    \b
    Exit codes: those of run, for NEW as a whole (--fail-on any) or for what is new in it (--fail-on new).

    \b
    Examples:
      gt-conformance diff last-night/results.json reports/results.json
      gt-conformance diff old.json new.json --format markdown >> "$GITHUB_STEP_SUMMARY"
    """
    from gt_conformance.cli._comparing import compared  # noqa: PLC0415 - loaded when it is needed

    return compared(old, new, fail_on, form)
