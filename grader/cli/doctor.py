"""`grader doctor`: what this machine has for grading, what to mend, and a text to paste into a question."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader import __version__
from grader.cli.options import course_option
from grader.errors import EngineError, ExitCode, GraderError
from grader.reports._text import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.diagnosis import Fact

#: What of the environment decides which engine is used, and how; all other variables are nobody's business.
_TELLING = (
    "CI", "DOCKER_CONTEXT", "DOCKER_DEFAULT_PLATFORM", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "GRADER_RUNTIME",
    "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "WSL_DISTRO_NAME",
)  # fmt: skip


#: Below the name of a fact, beside its text.
_INDENT = " " * 12


@click.command(short_help="Says what this machine has, and what to mend.")
@click.option("--report", is_flag=True, help="A text to paste into a question, without secrets or names.")
@course_option
def doctor(*, report: bool, course: Path | None) -> int:
    """Says what this machine has for grading, and what to mend; changes nothing.

    It looks at the engine and whether you may use it, its age and architecture, disk, network, proxy and base images.
    Exit code 3 when something that grading needs is missing.
    """
    grave = False
    if report:
        click.echo("\n".join(["```", *_heading()]))
    for fact in _facts(course):
        grave = grave or fact.grave
        for line in _lines(fact):
            # Only there: what is copied from a report or a pipe is whole.
            fits = sys.stdout.isatty() and not report
            told = anonymous(line) if report else line
            click.echo(fitted(told, shutil.get_terminal_size().columns) if fits else told)
    if report:
        click.echo("```")
    return ExitCode.INFRASTRUCTURE if grave else ExitCode.PASSED


def _facts(course: Path | None) -> Iterator[Fact]:
    from grader.engine import diagnosis  # noqa: PLC0415

    yield from diagnosis.machine()
    references, broken = _bases(course)
    yield from broken
    try:
        engine = diagnosis.present_engine()
    except EngineError as error:
        yield diagnosis.no_engine(error)
        return
    try:
        yield from diagnosis.engine(engine, references)
    except GraderError as error:
        yield diagnosis.Fact("engine", error.what, error.fix, grave=True)
    except OSError as error:
        # The client library's own errors are kinds of it.
        yield diagnosis.Fact("engine", f"it went away: {one_line(str(error))[:300]}", "Start it again.", grave=True)


def _bases(course: Path | None) -> tuple[list[str], list[Fact]]:
    """The base images of the course; a course that cannot be read must not keep the engine from being looked at."""
    from grader.cli.engine import course_bases  # noqa: PLC0415
    from grader.engine.diagnosis import Fact  # noqa: PLC0415

    try:
        return course_bases(None, course), []
    except GraderError as error:
        where = (f"in {error.where}",) if error.where else ()
        return [], [Fact("course", error.what, error.fix, more=where)]


def _lines(fact: Fact) -> Iterator[str]:
    yield f"{fact.name:<11} {printable(fact.text)}"
    yield from (f"{_INDENT}{one_line(line)}" for line in fact.more)
    if fact.fix:
        yield f"{_INDENT}mend: {printable(fact.fix)}"


def fitted(line: str, width: int) -> str:
    """A line of the report, broken for a terminal; what follows stands under its text."""
    return textwrap.fill(
        line, max(40, width), subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False
    )


def _heading() -> Iterator[str]:
    yield f"grader      {__version__}"
    yield f"system      {anonymous(platform.platform())}"
    for name in _TELLING:
        if name in os.environ:
            yield f"            {name}={anonymous(os.environ[name])}"


def anonymous(text: str) -> str:
    """``text`` without credentials in URLs, and without the names of home folders and of who sits here."""
    from grader.engine.diagnosis import without_credentials  # noqa: PLC0415

    text = without_credentials(one_line(text) if "\n" in text else text)
    home = str(Path.home())
    if len(home) > 1:
        text = text.replace(home, "~")
    text = re.sub(r"(?i)(/home|/Users|[A-Z]:\\Users)[/\\][^/\\\s]+", "~", text)
    # In URLs of engines over SSH a user stands without a password: `ssh://name@host`, taken out above.
    return re.sub(r"(?i)\b(token|password|secret|key)=[^&\s]+", r"\1=***", text)
