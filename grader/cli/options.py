"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


def course_words(course: Path | None) -> str:
    """What a command that is told has to say besides, to work with the same course; from any folder, so it is whole."""
    return f" --course {quoted(course.resolve())}" if course else ""


def quoted(place: Path) -> str:
    """As a shell takes it, where it needs that."""
    import shlex  # noqa: PLC0415

    text = os.fspath(place)
    return text if os.name == "nt" else shlex.quote(text)


class CourseParam(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.3, and not before
    """Where the course is; one that is somewhere else is fetched, and is a folder from then on."""

    name = "course"

    def convert(self, value: Any, _param: click.Parameter | None, _context: click.Context | None) -> Path:
        """The folder. What an address meant that may mean something else tomorrow is told on stderr."""
        from grader.course import address  # noqa: PLC0415  # hardly anybody names a course

        found = address.parse(str(value))
        if found is None:
            return Path(value)
        from grader.course import source  # noqa: PLC0415  # fetching takes longer to import than a folder to be listed

        fetched = source.fetch(found)
        if fetched.note:
            click.echo(f"course: {fetched.note}", err=True)
        return fetched.folder


class SizeParam(click.ParamType):  # type: ignore[type-arg]  # see `CourseParam`
    """A number of bytes, written as in a rubric."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        """Bytes."""
        from grader.course.units import parse_size  # noqa: PLC0415  # hardly anybody names a size

        if isinstance(value, int):
            return value
        try:
            return parse_size(value)
        except ValueError as error:
            self.fail(str(error), param, context)


SIZE = SizeParam()
yes_option = click.option(
    "--yes", is_flag=True, help="Agree to installing an engine, and to stand-ins where no image registry is reached."
)
course_option = click.option(
    "--course",
    type=CourseParam(),
    metavar="WHERE",
    envvar="GRADER_COURSE",
    help="Another course: a folder, an archive (.zip, .tar.gz) or a git repository (https://...@COMMIT).",
)
#: For commands that write to the course.
own_course_option = click.option(
    "--course", type=click.Path(path_type=Path), metavar="DIR", help="The folder of another course."
)


def _use_runtime(_context: click.Context, _param: click.Parameter, name: str) -> None:
    if name:
        # Where every process that grades finds it: the workers of a class, too.
        os.environ["GRADER_RUNTIME"] = name


runtime_option = click.option(
    "--runtime", metavar="NAME", default="", expose_value=False, callback=_use_runtime,
    help="Run images with this runtime of the engine's, like runsc. GRADER_RUNTIME=NAME does the same.",
)  # fmt: skip
verbose_option = click.option("--verbose", "-v", is_flag=True, help="Show more: every step, every log line, times.")
plain_option = click.option(
    "--plain",
    is_flag=True,
    envvar="GRADER_PLAIN",
    help="For a screen reader: one statement a line, no bars, nothing that moves. GRADER_PLAIN=1 does the same.",
)
