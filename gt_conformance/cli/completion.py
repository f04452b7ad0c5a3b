"""``gt-conformance completion``: the script that makes a shell complete options, and ids of all kinds."""

import click
from click.shell_completion import get_completion_class

_PROGRAM, _VARIABLE = "gt-conformance", "_GT_CONFORMANCE_COMPLETE"


@click.command
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the shell completion for options, runbooks, rows, checks, faults and findings.

    \b
    Examples:
      gt-conformance completion bash > ~/.local/share/bash-completion/completions/gt-conformance
      gt-conformance completion zsh > ~/.zfunc/_gt-conformance        (a folder of your fpath, before compinit)
      gt-conformance completion fish > ~/.config/fish/completions/gt-conformance.fish
    """
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"there is no completion for {shell}.")
    click.echo(made(context.find_root().command, {}, _PROGRAM, _VARIABLE).source())
    return 0
