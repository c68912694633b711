"""`grader completion`: what a shell needs to complete `grader` and `grade`."""

from __future__ import annotations

import click

#: What click calls them (`click.shell_completion`), and where each shell reads such a line at its start.
_SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Prints what your shell needs to complete names.")
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(*, shell: str) -> None:
    """Prints a script that lets SHELL complete commands, options, exercises and checks.

    \b
    bash, in ~/.bashrc:                   eval "$(grader completion bash)"
    zsh, in ~/.zshrc, after compinit:     eval "$(grader completion zsh)"
    fish, in ~/.config/fish/config.fish:  grader completion fish | source
    """  # noqa: D301  # click's mark is the one character, not the two of a raw string
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    from grader.cli import cli  # noqa: PLC0415

    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells that it was made for"  # noqa: S101
    for name in ("grader", "grade"):
        complete = kind(cli, {}, name, f"_{name.upper()}_COMPLETE")
        click.echo(complete.source_template % complete.source_vars())
