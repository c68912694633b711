"""What can be asserted: `grader checks`, `grader explain`, `grader schema`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from grader.cli import complete
from grader.cli.options import course_option
from grader.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("name", metavar="[TYPE]", required=False, shell_complete=complete.types)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def checks(*, name: str | None, as_json: bool) -> None:
    """Lists the check types, or one with its fields and an example."""
    from grader.checks import types  # noqa: PLC0415
    from grader.checks._reference import describe  # noqa: PLC0415
    from grader.cli import reference  # noqa: PLC0415
    from grader.course.suggest import closest, listed  # noqa: PLC0415

    known = types()
    if name is not None and name not in known:
        near = closest(name, known)
        meant = f"Did you mean {near}? " if near else ""
        raise UsageError(f"There is no check type “{name}”", f"{meant}Known types: {listed(sorted(known))}.")
    if name is not None:
        one = describe(known[name])
        click.echo(json.dumps(asdict(one), indent=2) if as_json else reference.page(one))
        return
    every = [describe(known[each]) for each in sorted(known)]
    click.echo(
        json.dumps({"types": [asdict(each) for each in every]}, indent=2) if as_json else reference.overview(every)
    )


@click.command(short_help="What a check looks at, and how to see the same by hand.")
@click.argument("name", metavar="CHECK|TYPE", shell_complete=complete.checks_or_types)
@click.argument("exercise", required=False, shell_complete=complete.exercises)
@course_option
def explain(*, name: str, exercise: str | None, course: Path | None) -> None:
    """Says what a check looks at, and gives the docker commands that show the same by hand.

    CHECK is one of those of EXERCISE, without it of the exercise whose folder you stand in; TYPE is one
    of `grader checks`.
    """
    from grader.cli import explain as pages  # noqa: PLC0415
    from grader.course.exercise import find_course  # noqa: PLC0415

    click.echo(pages.page(find_course(course), name, exercise))


@click.command()
def schema() -> None:
    """Prints the JSON Schema of rubric.yaml, for editors."""
    from grader.checks import types  # noqa: PLC0415
    from grader.course.rubric import json_schema  # noqa: PLC0415

    click.echo(json.dumps(json_schema(types()), indent=2))
