"""What there is to do: `grader list`, `grader checks`, `grader schema`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from grader.cli.options import course_option
from grader.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@course_option
def list_(*, as_json: bool, course: Path | None) -> None:
    """Lists the course's exercises."""
    from grader.course.exercise import find_course  # noqa: PLC0415

    found = find_course(course)
    if as_json:
        exercises = [{"id": one.id, "title": one.title, "path": str(one.path)} for one in found.exercises]
        click.echo(json.dumps({"course": found.title, "exercises": exercises}, indent=2))
        return
    click.echo(found.title)
    width = max((len(one.id) for one in found.exercises), default=0)
    for one in found.exercises:
        click.echo(f"  {one.id:<{width}}  {one.title}")


@click.command()
@click.argument("name", metavar="[TYPE]", required=False)
def checks(*, name: str | None) -> None:
    """Lists the check types, or one with its fields and an example."""
    from grader.checks import types  # noqa: PLC0415
    from grader.course.suggest import closest, listed  # noqa: PLC0415

    known = types()
    if name is None:
        width = max(map(len, known))
        for kind in sorted(known):
            click.echo(f"{kind:<{width}}  {_first_line(known[kind])}")
        click.echo("\n`grader checks TYPE` shows the fields of one, and an example.")
        return
    if name not in known:
        near = closest(name, known)
        meant = f"Did you mean {near}? " if near else ""
        raise UsageError(f"There is no check type “{name}”", f"{meant}Known types: {listed(sorted(known))}.")
    _describe(known[name])


@click.command()
def schema() -> None:
    """Prints the JSON Schema of rubric.yaml, for editors."""
    from grader.checks import types  # noqa: PLC0415
    from grader.course.rubric import json_schema  # noqa: PLC0415

    click.echo(json.dumps(json_schema(types()), indent=2))


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _describe(kind: type) -> None:
    from inspect import cleandoc  # noqa: PLC0415

    from grader.checks.base import Check  # noqa: PLC0415

    click.echo(cleandoc(kind.__doc__ or ""))
    own = {n: f for n, f in kind.model_fields.items() if n not in Check.model_fields}  # type: ignore[attr-defined]
    shared = {n: f for n, f in Check.model_fields.items() if n != "check"}
    for heading, fields in (("Fields", own), ("Fields of every check", shared)):
        click.echo(f"\n{heading}:")
        for field_name, field in fields.items():
            must = ", required" if field.is_required() else ""
            click.echo(f"  {field.alias or field_name:<18}{field.description or ''}{must and ' (must be given)'}")
    click.echo("\nExample:\n")
    click.echo("\n".join(f"  {line}" for line in kind.example.splitlines()))  # type: ignore[attr-defined]
