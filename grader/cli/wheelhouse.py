"""What an author types for exercises whose builds have no network: `grader wheelhouse`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from grader.cli import complete
from grader.cli.options import own_course_option, plain_option, yes_option
from grader.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@click.command(short_help="Gets the packages of an exercise that builds without a network.")
@click.argument("exercise", shell_complete=complete.exercises)
@click.option("--image", help="The image whose pip downloads them; the first of the rubric's `bases` if left out.")
@click.option("--update", is_flag=True, help="Look for newer versions, and write wheelhouse.txt anew.")
@yes_option
@own_course_option
@plain_option
def wheelhouse(  # noqa: PLR0913  # one parameter an option
    *, exercise: str, image: str | None, update: bool, yes: bool, course: Path | None, plain: bool
) -> None:
    """Downloads what the rubric's `build: {wheelhouse: FILE}` names into starter/wheelhouse/.

    pip does it in one of the exercise's base images, for the Python that learners build with. The first time it writes
    wheelhouse.txt, which names each file by its hash; from then on it gets those very files, on any machine.
    """
    from grader.authoring import wheels  # noqa: PLC0415
    from grader.checks import types  # noqa: PLC0415
    from grader.cli.progress import ProgressView  # noqa: PLC0415
    from grader.course import rubric as rubrics  # noqa: PLC0415
    from grader.course.exercise import find_course, resolve  # noqa: PLC0415
    from grader.course.units import human_size  # noqa: PLC0415
    from grader.engine import bases  # noqa: PLC0415
    from grader.engine.connect import connect  # noqa: PLC0415
    from grader.engine.packages import Pip  # noqa: PLC0415
    from grader.submission.policy import normalise  # noqa: PLC0415

    chosen = resolve(find_course(course), exercise)
    rubric = rubrics.load(chosen.rubric_path, types(), whole=False)
    requirements = wheels.requirements_of(chosen, rubric)
    allowed = [normalise(base) for base in rubric.bases]
    if image is not None and normalise(image) not in allowed:
        raise UsageError(f"{image} is no base image of this exercise", f"Name one of its own: {', '.join(allowed)}.")
    source = normalise(image) if image else allowed[0]
    with ProgressView(verbose=True, plain=plain) as progress:
        engine = connect(agreed=yes, progress=progress)
        bases.ensure(engine, [source], stand_ins=yes, progress=progress)
        filled = wheels.fill(chosen, requirements, Pip(engine, source, progress), update=update)
    for name, size in filled.files.items():
        click.echo(f"{human_size(size):>9}  {name}")
    told = "as wheelhouse.txt names them" if filled.pinned else "wheelhouse.txt names them from now on"
    click.echo(f"{len(filled.files)} files, {human_size(sum(filled.files.values()))}, {told}.")
