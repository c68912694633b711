"""`grader classroom`: repositories in which learners work."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.cli import complete
from grader.cli.options import CourseParam
from grader.errors import UsageError

if TYPE_CHECKING:
    from grader.classroom.template import Asked


@click.group(short_help="Repositories in which learners work.")
def classroom() -> None:
    """Repositories in which learners work, and are graded where they push."""


@classroom.command(short_help="Writes a template repository for an exercise.")
@click.argument("exercise", shell_complete=complete.exercises)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--for", "platform", type=click.Choice(["github", "classroom50"]), required=True, help="Where it is used."
)
@click.option(
    "--course", metavar="WHERE", envvar="GRADER_COURSE",
    help="The course, as its machines reach it: a git repository or an archive at an address. The one at hand, at the "
    "commit it is at, if left out.",
)  # fmt: skip
@click.option(
    "--grader", "package", metavar="WHAT",
    help="What `pip install` is told to install the grader, held to a version or a commit. The one that is running, if "
    "left out.",
)  # fmt: skip
@click.option("--stand-ins", is_flag=True, help="Let its machines use stand-ins where they reach no image registry.")
def init(  # noqa: PLR0913  # one parameter an option
    *, exercise: str, folder: Path, platform: str, course: str | None, package: str | None, stand_ins: bool
) -> None:
    """Writes a template repository for an exercise to DIR: starter, task, workflow and codespace.

    Nothing is overwritten. Grader and rubric are taken from where --grader and --course say, held to a commit or a
    version, and never from what a learner pushes.
    """
    from grader.checks import types  # noqa: PLC0415
    from grader.classroom import pinned, template  # noqa: PLC0415
    from grader.course import rubric  # noqa: PLC0415
    from grader.course.exercise import find_course, resolve  # noqa: PLC0415

    found = find_course(CourseParam().convert(course, None, None) if course else None)
    chosen = resolve(found, exercise)
    loaded = rubric.load(chosen.rubric_path, types())
    if folder.exists() and not folder.is_dir():
        raise UsageError("That is no folder", "Name one that is new or empty.", where=str(folder))
    asked = template.Asked(
        exercise=chosen,
        title=loaded.title,
        submit=loaded.settings.submit,
        course=pinned.course(course, found),
        grader=pinned.package(package),
        agreed=stand_ins,
    )
    content = template.files(asked, platform)
    template.write(content, folder)
    click.echo(f"Written to {folder}: {len(content)} files")
    click.echo(f"  course  {asked.course}\n  grader  {asked.grader}\n\nNext:")
    click.echo(_next_github(folder, asked) if platform == "github" else _next_classroom50(folder, asked))


def _next_github(folder: Path, asked: Asked) -> str:
    return (
        f"  cd {shlex.quote(str(folder))} && git init -b main && git add -A && git commit -m 'Exercise'\n"
        "      then push it to GitHub, and mark the repository as a template in its settings\n"
        f"{_record(asked)}"
    )


def _next_classroom50(folder: Path, asked: Asked) -> str:
    return (
        f"  {folder / 'repository'}\n"
        "      the template: push it to GitHub, and name it when you add the assignment\n"
        f"  {folder / 'autograder' / 'autograder.py'}\n"
        "      for your configuration repository, as CLASSROOM/autograders/ASSIGNMENT/autograder.py\n"
        f"{_record(asked)}"
    )


def _record(asked: Asked) -> str:
    return (
        "  What CI tells is for the learner. The grade of record is that of your own run, of what was pushed:\n"
        f"      grader bulk {asked.exercise.id} SUBMISSIONS --out grades --course {shlex.quote(asked.course)}"
    )
