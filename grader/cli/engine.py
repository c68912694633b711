"""The engine and what lies in it: `grader engine`, `bases`, `clean`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from grader.cli import complete
from grader.cli.options import course_option, yes_option
from grader.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from grader.engine.connect import Engine


def _present_engine() -> Engine:
    """An engine that answers now; to clean up, none is installed or started."""
    from grader.engine.connect import connect  # noqa: PLC0415

    return connect(start_private=False)


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
@click.argument("exercises", nargs=-1, metavar="[EXERCISE]...", shell_complete=complete.exercises)
@click.option("--refresh", is_flag=True, help="Look for the real image of every stand-in now.")
@yes_option
@course_option
def bases(*, exercises: Sequence[str], refresh: bool, yes: bool, course: Path | None) -> None:
    """Makes the base images of exercises present: pulled, or stand-ins where you agree with --yes."""
    from grader.cli.progress import ProgressView  # noqa: PLC0415
    from grader.engine import bases as base_images  # noqa: PLC0415
    from grader.engine.connect import connect  # noqa: PLC0415

    wanted = course_bases(exercises, course)
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


def course_bases(exercises: Sequence[str] | None, course: Path | None) -> list[str]:
    """The base images of the named exercises, of all when none is named, each once."""
    from grader.checks import types  # noqa: PLC0415
    from grader.course import rubric  # noqa: PLC0415
    from grader.course.exercise import find_course, resolve  # noqa: PLC0415
    from grader.submission.policy import normalise  # noqa: PLC0415

    found = find_course(course)
    chosen = [resolve(found, name) for name in exercises] if exercises else found.exercises
    rubrics = [rubric.load(one.rubric_path, types()) for one in chosen]
    return list(dict.fromkeys(normalise(base) for one in rubrics for base in one.bases))
