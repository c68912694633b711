"""The engine and what lies in it: `grader engine`, `bases`, `clean`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.cli import complete
from grader.cli.options import SIZE, course_option, plain_option, yes_option
from grader.errors import EngineError, ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.engine.bases import Base
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
@plain_option
def install(*, yes: bool, plain: bool) -> None:
    """Installs a container engine on Debian or Ubuntu, as root."""
    from grader.cli.progress import ProgressView  # noqa: PLC0415
    from grader.engine import install as installing  # noqa: PLC0415

    if obstacle := installing.supported():
        raise UsageError("The grader cannot install an engine here", obstacle)
    if not yes and sys.stdin.isatty():
        click.confirm("Install docker.io, mmdebstrap and what they need with apt-get?", abort=True, err=True)
    with ProgressView(verbose=True, plain=plain) as progress:
        installing.install(progress)
    click.echo("Installed. `grader engine start` starts it; `grade` does so by itself.")


@engine.command()
@click.option("--disk", type=SIZE, metavar="SIZE", help="The disk for its data, like 40GB; it can grow, not shrink.")
@click.option("--cache", type=SIZE, metavar="SIZE", help="What the build cache may keep, like 10GB.")
@click.option("--memory", type=SIZE, metavar="SIZE", help="What one build step may use, like 2GB.")
@click.option("--processes", type=int, metavar="N", help="How many processes one build step may have.")
@plain_option
def start(*, disk: int | None, cache: int | None, memory: int | None, processes: int | None, plain: bool) -> None:
    """Starts the grader's own engine.

    What you ask for is remembered: it holds for every start from then on, also when `grade` starts the engine.
    """
    from grader.cli.progress import ProgressView  # noqa: PLC0415
    from grader.engine import private  # noqa: PLC0415

    asked = private.Limits(disk, cache, memory, processes)
    with ProgressView(verbose=True, plain=plain) as progress:
        endpoint = private.start(progress, asked=None if asked == private.Limits() else asked)
    if private.status().pending:
        click.echo("It runs already: what you ask for holds from its next start on (`grader engine stop`).", err=True)
    click.echo(f"DOCKER_HOST={endpoint}")


@engine.command()
def stop() -> None:
    """Stops the grader's own engine; its images and its cache stay."""
    from grader.engine import private  # noqa: PLC0415

    click.echo("Stopped." if private.stop() else "It was not running.")


@engine.command()
def status() -> int:
    """Says how the grader's own engine is. Exit code 3 when it does not run."""
    from grader.engine import describe, private  # noqa: PLC0415

    facts = private.status()
    click.echo(f"running   {'yes, process ' + str(facts.pid) if facts.running else 'no'}")
    click.echo(f"endpoint  {facts.endpoint}\ndata      {facts.data}\nlog       {facts.log}")
    for name, text in describe.standing(facts):
        click.echo(f"{name:<9} {text}")
    return ExitCode.PASSED if facts.running else ExitCode.INFRASTRUCTURE


@click.command(short_help="Makes the base images of exercises present.")
@click.argument("exercises", nargs=-1, metavar="[EXERCISE]...", shell_complete=complete.exercises)
@click.option("--list", "only_list", is_flag=True, help="Print their names only, one a line; no engine is asked.")
@click.option("--key", is_flag=True, help="Print a key for a cache of them; it changes with the names and each week.")
@click.option("--json", "as_json", is_flag=True, help="Names and key as one JSON object; no engine is asked.")
@click.option(
    "--archive", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Load them from this file if it is there; else make it, of those that were pulled.",
)  # fmt: skip
@click.option("--refresh", is_flag=True, help="Look for the real image of every stand-in now.")
@yes_option
@course_option
@plain_option
def bases(  # noqa: PLR0913  # one parameter an option
    *,
    exercises: Sequence[str],
    only_list: bool,
    key: bool,
    as_json: bool,
    archive: Path | None,
    refresh: bool,
    yes: bool,
    course: Path | None,
    plain: bool,
) -> None:
    """Makes the base images of exercises present: pulled, or stand-ins where you agree with --yes.

    A workflow can keep them from run to run: `--key` names the cache, `--archive FILE` fills the file or loads it.
    """
    wanted = course_bases(exercises, course)
    if only_list or key or as_json:
        click.echo(_told(wanted, only_list=only_list, as_json=as_json))
        return
    present = _present(wanted, archive, refresh=refresh, yes=yes, plain=plain)
    width = max(map(len, wanted), default=0)
    for base in present:
        kind = "stand-in built from Debian packages" if base.stand_in else "the real image"
        click.echo(f"{base.reference:<{width}}  {kind}")


def _told(wanted: Sequence[str], *, only_list: bool, as_json: bool) -> str:
    if only_list:
        return "\n".join(wanted)
    import json  # noqa: PLC0415

    key = _cache_key(wanted)
    return json.dumps({"bases": list(wanted), "key": key}, indent=2) if as_json else key


def _cache_key(wanted: Sequence[str]) -> str:
    """Tags move: what is kept under a name for longer than a week is no longer what a learner pulls."""
    import hashlib  # noqa: PLC0415
    import platform  # noqa: PLC0415
    from datetime import UTC, datetime  # noqa: PLC0415

    digest = hashlib.sha256("\n".join(sorted(wanted)).encode()).hexdigest()[:16]
    year, week, _ = datetime.now(UTC).isocalendar()
    return f"grader-bases-1-{platform.machine().lower()}-{year}w{week:02d}-{digest}"


def _present(wanted: Sequence[str], archive: Path | None, *, refresh: bool, yes: bool, plain: bool) -> Sequence[Base]:
    from grader.cli.progress import ProgressView  # noqa: PLC0415
    from grader.engine import bases as base_images  # noqa: PLC0415
    from grader.engine import keep  # noqa: PLC0415
    from grader.engine.connect import connect  # noqa: PLC0415
    from grader.result import ProgressEvent  # noqa: PLC0415

    with ProgressView(verbose=True, plain=plain) as progress:
        found = connect(agreed=yes, progress=progress)
        kept = archive is not None and archive.is_file()
        if archive is not None and kept:
            try:
                if keep.load(found, wanted, archive):
                    progress(ProgressEvent("bases", f"loaded from {archive}"))
            except EngineError as error:
                progress(ProgressEvent("bases", f"{error.what}; they are pulled, and it is made again"))
                kept = False
        present = base_images.ensure(found, wanted, stand_ins=yes, refresh=refresh, progress=progress)
        if archive is not None and not kept:
            names = keep.save(found, present, archive)
            what = f"kept in {archive}: {', '.join(names)}" if names else "stand-ins are not kept in an archive"
            progress(ProgressEvent("bases", what))
    return present


@click.command(short_help="Removes what killed runs of the grader left behind.")
@click.option("--stand-ins", is_flag=True, help="Remove the stand-ins of base images too.")
@click.option(
    "--cache", type=SIZE, is_flag=False, flag_value=0, metavar="[SIZE]",
    help="Remove the engine's build cache too, whoever built it: the oldest, down to SIZE, or all that is not in use.",
)  # fmt: skip
def clean(*, stand_ins: bool, cache: int | None) -> None:
    """Removes what killed runs of the grader left in the engine, and among temporary files."""
    from grader import scratch  # noqa: PLC0415
    from grader.course.units import human_size  # noqa: PLC0415
    from grader.engine import bases as base_images  # noqa: PLC0415
    from grader.engine import cache as build_cache  # noqa: PLC0415
    from grader.engine import leftovers  # noqa: PLC0415
    from grader.judging import engine_faults  # noqa: PLC0415

    removed = [f"temporary folder {folder}" for folder in scratch.sweep()]
    try:
        found = _present_engine()
        with engine_faults():
            removed += leftovers.clean(found)
            if stand_ins:
                removed += [f"stand-in {reference}" for reference in base_images.remove_stand_ins(found)]
            if cache is not None and (freed := build_cache.prune(found, keep=cache)):
                removed.append(f"{human_size(freed)} of the build cache")
    finally:
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
