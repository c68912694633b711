"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

yes_option = click.option(
    "--yes", is_flag=True, help="Agree to installing an engine, and to stand-ins where no image registry is reached."
)
course_option = click.option(
    "--course", type=click.Path(path_type=Path), metavar="DIR", help="The folder of another course."
)
verbose_option = click.option("--verbose", "-v", is_flag=True, help="Show more: every step, every log line, times.")
plain_option = click.option(
    "--plain",
    is_flag=True,
    envvar="GRADER_PLAIN",
    help="For a screen reader: one statement a line, no bars, nothing that moves. GRADER_PLAIN=1 does the same.",
)
