"""The engine and what lies in it: `grader doctor`, `engine`, `bases`, `clean`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from grader.cli.options import course_option, yes_option
from grader.errors import EngineError, ExitCode, GraderError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from grader.engine.connect import Engine


@click.command(short_help="Says what this machine has, and what to mend.")
@course_option
def doctor(*, course: Path | None) -> int:
    """Says what this machine has for grading, and what to mend; changes nothing.

    Exit code 3 when something that grading needs is missing.
    """
    click.echo(f"Python      {sys.version.split()[0]} on {sys.platform}")
    try:
        engine = _present_engine()
    except EngineError as error:
        click.echo(f"engine      none answers: {error.what}")
        for line in error.where.split("; "):
            click.echo(f"            {line}")
        click.echo(f"            mend: {error.fix}")
        return ExitCode.INFRASTRUCTURE
    good = [_doctor_line(name, look) for name, look in _questions(engine, course)]
    return ExitCode.PASSED if all(good) else ExitCode.INFRASTRUCTURE


def _present_engine() -> Engine:
    """An engine that answers now; the doctor neither installs nor starts one."""
    from grader.engine.connect import connect  # noqa: PLC0415

    return connect(start_private=False)


def _questions(engine: Engine, course: Path | None) -> list[tuple[str, Callable[[], str]]]:
    from grader.engine import describe  # noqa: PLC0415

    return [
        ("engine", lambda: describe.engine(engine)),
        ("builder", lambda: describe.builder(engine)),
        ("images", lambda: describe.reading(engine)),
        ("questions", lambda: describe.asking(engine)),
        ("space", lambda: describe.space(engine)),
        ("bases", lambda: describe.base_images(engine, _course_bases(None, course))),
    ]


def _doctor_line(name: str, look: Callable[[], str]) -> bool:
    try:
        click.echo(f"{name:<11} {look()}")
    except GraderError as error:
        click.echo(f"{name:<11} {error.what}\n            mend: {error.fix}")
        return False
    return True


@click.group(short_help="The grader's own engine, for Linux.")
def engine() -> None:
    """The grader's own engine, for Linux machines where no other answers."""


@engine.command()
@yes_option
def install(*, yes: bool) -> None:
    """Installs a container engine on Debian or Ubuntu, as root."""
    from grader.cli.progress import ProgressView  # noqa: PLC0415
    from grader.engine import install as installing  # noqa: PLC0415

    if obstacle := installing.supported():
        raise UsageError("The grader cannot install an engine here", obstacle)
    if not yes and sys.stdin.isatty():
        click.confirm("Install docker.io, mmdebstrap and what they need with apt-get?", abort=True, err=True)
    with ProgressView(verbose=True) as progress:
        installing.install(progress)
    click.echo("Installed. `grader engine start` starts it; `grade` does so by itself.")


@engine.command()
def start() -> None:
    """Starts the grader's own engine."""
    from grader.cli.progress import ProgressView  # noqa: PLC0415
    from grader.engine import private  # noqa: PLC0415

    with ProgressView(verbose=True) as progress:
        endpoint = private.start(progress)
    click.echo(f"DOCKER_HOST={endpoint}")


@engine.command()
def stop() -> None:
    """Stops the grader's own engine; its images and its cache stay."""
    from grader.engine import private  # noqa: PLC0415

    click.echo("Stopped." if private.stop() else "It was not running.")


@engine.command()
def status() -> int:
    """Says how the grader's own engine is. Exit code 3 when it does not run."""
    from grader.engine import private  # noqa: PLC0415

    facts = private.status()
    click.echo(f"running   {'yes, process ' + str(facts.pid) if facts.running else 'no'}")
    click.echo(f"endpoint  {facts.endpoint}\ndata      {facts.data}\nlog       {facts.log}")
    return ExitCode.PASSED if facts.running else ExitCode.INFRASTRUCTURE


@click.command(short_help="Makes the base images of exercises present.")
@click.argument("exercises", nargs=-1, metavar="[EXERCISE]...")
@click.option("--refresh", is_flag=True, help="Look for the real image of every stand-in now.")
@yes_option
@course_option
def bases(*, exercises: Sequence[str], refresh: bool, yes: bool, course: Path | None) -> None:
    """Makes the base images of exercises present: pulled, or stand-ins where you agree with --yes."""
    from grader.cli.progress import ProgressView  # noqa: PLC0415
    from grader.engine import bases as base_images  # noqa: PLC0415
    from grader.engine.connect import connect  # noqa: PLC0415

    wanted = _course_bases(exercises, course)
    with ProgressView(verbose=True) as progress:
        found = connect(agreed=yes, progress=progress)
        present = base_images.ensure(found, wanted, stand_ins=yes, refresh=refresh, progress=progress)
    width = max(map(len, wanted))
    for base in present:
        kind = "stand-in built from Debian packages" if base.stand_in else "the real image"
        click.echo(f"{base.reference:<{width}}  {kind}")


@click.command()
@click.option("--stand-ins", is_flag=True, help="Remove the stand-ins of base images too.")
def clean(*, stand_ins: bool) -> None:
    """Removes what killed runs of the grader left in the engine."""
    from grader.engine import bases as base_images  # noqa: PLC0415
    from grader.engine import leftovers  # noqa: PLC0415

    found = _present_engine()
    removed = leftovers.clean(found)
    if stand_ins:
        removed += [f"stand-in {reference}" for reference in base_images.remove_stand_ins(found)]
    for name in removed:
        click.echo(f"removed {name}")
    click.echo(f"{len(removed)} removed." if removed else "Nothing was left behind.")


def _course_bases(exercises: Sequence[str] | None, course: Path | None) -> list[str]:
    """The base images of the named exercises, of all when none is named, each once."""
    from grader.checks import types  # noqa: PLC0415
    from grader.course import rubric  # noqa: PLC0415
    from grader.course.exercise import find_course, resolve  # noqa: PLC0415
    from grader.submission.policy import normalise  # noqa: PLC0415

    found = find_course(course)
    chosen = [resolve(found, name) for name in exercises] if exercises else found.exercises
    rubrics = [rubric.load(one.rubric_path, types()) for one in chosen]
    return list(dict.fromkeys(normalise(base) for one in rubrics for base in one.bases))
