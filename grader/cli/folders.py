"""A learner's own folder: `grader start`, `grader reset`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.cli import complete
from grader.cli.options import course_option, course_words, quoted
from grader.errors import RubricError, UsageError
from grader.reports._text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.course.exercise import Course, Exercise
    from grader.learn.folder import Restoring


@click.command()
@click.argument("exercise", shell_complete=complete.exercises)
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False))
@course_option
def start(*, exercise: str, folder: Path | None, course: Path | None) -> None:
    """Begins an exercise: a folder with its task and its starter.

    DIR is new or empty; the exercise's name in the folder you stand in, if left out. The folder remembers which
    exercise it is of: in it, `grade`, `grader hint` and `grader reset` need no name.
    """
    from grader.course.exercise import find_course, resolve  # noqa: PLC0415
    from grader.learn import folder as folders  # noqa: PLC0415
    from grader.submission.files import TASK  # noqa: PLC0415

    found = find_course(course)
    chosen = resolve(found, exercise)
    place = folder or Path(chosen.id)
    _refuse_inside(found, place)
    folders.begin(chosen, place)
    option = course_words(course)
    rows = [
        (f"cd {quoted(place)}", ""),
        (f"grade{option}", "as it is, first: the verdict says where to begin"),
        (f"grader hint{option}", "when you are stuck"),
        (f"grader reset{option}", "to begin anew"),
    ]
    click.echo(f"{chosen.id}, {one_line(chosen.title)}: begun in {place}\n")
    click.echo(f"The task is in {place / TASK}.{_yours(chosen)}\n\nNext:")
    width = max(len(command) for command, _ in rows)
    for command, what in rows:
        click.echo(f"  {command:<{width}}  {what}".rstrip())


def _yours(exercise: Exercise) -> str:
    """Which files count; a broken rubric is told by `grade`, not here."""
    try:
        names = _submit(exercise)
    except RubricError:
        return ""
    return f"\nYours to change: {', '.join(names)}.\nAll else comes from the exercise."


def _submit(exercise: Exercise) -> tuple[str, ...]:
    from grader.checks import types  # noqa: PLC0415
    from grader.course import remembered  # noqa: PLC0415

    return remembered.load(exercise.rubric_path, types).settings.submit


def _refuse_inside(course: Course, place: Path) -> None:
    """A folder among the exercises or the solutions would be taken for one of them."""
    target = place.resolve()
    for folder in (course.path, course.solutions):
        if folder and target.is_relative_to(folder):
            raise UsageError(
                "That is a folder of the course itself", "Name a folder of your own, outside of it.", where=str(target)
            )


@click.command()
@click.argument("exercise", required=False, shell_complete=complete.exercises)
@click.option("--yes", is_flag=True, help="Do not ask.")
@course_option
def reset(*, exercise: str | None, yes: bool, course: Path | None) -> None:
    """Sets your folder back to the starter, after asking.

    It is the folder you stand in. What is replaced is kept in `.grader-backups` there. Files of your own that are not
    graded stay as they are.
    """
    from grader.course.exercise import find_course  # noqa: PLC0415
    from grader.learn import folder as folders  # noqa: PLC0415

    found = find_course(course)
    chosen, place = _own_folder(found, exercise)
    plan = folders.restoring(chosen, place, _submit(chosen))
    if plan.nothing:
        click.echo(f"Nothing to do: {place} is as the starter of {chosen.id}.")
        return
    click.echo(f"{place} goes back to the starter of {chosen.id}.")
    for word, names in (("replaced", plan.replaced), ("put aside", plan.extra), ("brought back", plan.missing)):
        if names:
            click.echo(f"  {word + ':':<13} {_listed(names)}")
    _ask(plan, yes=yes)
    kept = folders.restore(chosen, plan)
    click.echo(f"Done. What was there is kept in {kept}." if kept else "Done.")


def _own_folder(course: Course, name: str | None) -> tuple[Exercise, Path]:
    """The exercise, and the learner's folder of it: where a marker says so, else where one stands if one is named."""
    from grader.course.exercise import resolve  # noqa: PLC0415
    from grader.learn import folder as folders  # noqa: PLC0415

    here = Path.cwd().resolve()
    marked = folders.around(here)
    if marked is None and name is None:
        raise UsageError(
            "This is no folder of an exercise that was started",
            "Go to the one to be set back; or, in a folder that you made yourself, name its exercise: "
            "`grader reset 03`.",
            where=str(here),
        )
    place = marked[0] if marked else here
    chosen = resolve(course, name, cwd=place)
    _refuse_inside(course, place)
    if marked and resolve(course, None, cwd=place).id != chosen.id:
        raise UsageError(
            f"This folder is of {marked[1]}, not of {chosen.id}", f"Begin that one: `grader start {chosen.id} DIR`.",
            where=str(place),
        )  # fmt: skip
    if not marked and not (place / "Dockerfile").exists():
        raise UsageError(
            "There is no Dockerfile here to set back",
            f"Go to the folder, or begin one: `grader start {chosen.id}`.",
            where=str(place),
        )
    return chosen, place


def _ask(plan: Restoring, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "Nobody is here to be asked whether to replace files", "Add --yes to agree.", where=str(plan.folder)
        )
    click.confirm("Go on?", abort=True, err=True)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(one_line, names[:8]))
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
