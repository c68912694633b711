"""What an author types: `grader verify`, `grader new`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.cli import complete
from grader.cli.options import course_option, own_course_option, plain_option, verbose_option, yes_option
from grader.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.authoring.proof import Proof
    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.result import GradeResult, Progress


@click.command(short_help="Proves rubrics: the solution passes, known mistakes do not.")
@click.argument("exercises", nargs=-1, metavar="[EXERCISE]...", shell_complete=complete.exercises)
@click.option(
    "--solutions", type=click.Path(path_type=Path), metavar="DIR",
    help="The folder of the solutions; the one beside the exercises if left out.",
)  # fmt: skip
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write the facts as JUnit XML, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of the table.")
@yes_option
@course_option
@verbose_option
@plain_option
def verify(  # noqa: PLR0913  # one parameter an option
    *,
    exercises: tuple[str, ...],
    solutions: Path | None,
    junit: Path | None,
    as_json: bool,
    yes: bool,
    course: Path | None,
    verbose: bool,
    plain: bool,
) -> int:
    """Proves exercises, all of the course if none is named.

    The starter does not pass. The solution scores everything, twice. Each check is failed by a Dockerfile under
    `solutions/EXERCISE/broken/`, and each of those fails what its first line names (`# fails: small`) and nothing else.
    Hints are there, base images are pinned, no file is left over.

    Exit codes: 0 proven, 1 something has to be mended, 2 wrong usage, 3 a fault of the engine, the network or the
    grader, 130 interrupted.
    """
    import json  # noqa: PLC0415

    from grader.authoring import proof  # noqa: PLC0415
    from grader.cli import outputs  # noqa: PLC0415
    from grader.cli import proofs as table  # noqa: PLC0415
    from grader.cli.progress import ProgressView  # noqa: PLC0415

    chosen = _chosen(exercises, course)
    if junit is not None:
        outputs.check_place(junit, str(junit))
    folders = {one: _solutions(one, solutions) for one in chosen}
    with ProgressView(verbose=verbose, plain=plain) as progress:
        proofs = _proofs(folders, yes=yes, progress=progress)
    if not exercises:
        proofs += _strays(chosen, folders)
    if as_json:
        click.echo(json.dumps(proof.to_json(proofs), indent=2))
    else:
        (table.write_statements if plain else table.write)(proofs, sys.stdout)
    if junit is not None:
        _write_junit(proofs, junit)
    return _exit_code(proofs)


def _chosen(names: Sequence[str], course: Path | None) -> list[Exercise]:
    """The exercises of these names, each once; all of the course without any."""
    from grader.course.exercise import find_course, resolve  # noqa: PLC0415

    found = find_course(course)
    if not names and not found.exercises:
        raise UsageError("The course has no exercises", "Write one with `grader new NAME`.", where=str(found.path))
    return list(dict.fromkeys(resolve(found, name) for name in names) if names else found.exercises)


def _solutions(exercise: Exercise, given: Path | None) -> Path:
    folder = given or exercise.course.solutions
    if folder is None:
        raise UsageError(
            "The course at hand has no solutions to prove its rubrics with",
            "Run this in a clone of the course, which has `solutions/` beside `exercises/`, or add `--solutions DIR`.",
            where=str(exercise.course.path),
        )
    if not folder.is_dir():
        raise UsageError("There is no such folder of solutions", "Check the path after --solutions.", where=str(folder))
    return folder.resolve()


def _proofs(folders: Mapping[Exercise, Path], *, yes: bool, progress: Progress) -> list[Proof]:
    from grader import grading  # noqa: PLC0415
    from grader.authoring.verify import verify  # noqa: PLC0415
    from grader.checks import types  # noqa: PLC0415
    from grader.engine.connect import connect  # noqa: PLC0415
    from grader.result import ProgressEvent  # noqa: PLC0415

    progress(ProgressEvent("engine", "looking for a container engine"))
    engine = connect(agreed=yes, progress=progress)
    progress(ProgressEvent("engine", f"{engine.name} {engine.version} at {engine.endpoint}"))

    def grade(exercise: Exercise, rubric: Rubric, folder: Path, name: str) -> GradeResult:
        progress(ProgressEvent("verify", f"{exercise.id}: {name}"))
        return grading.grade(
            grading.Request(
                exercise, rubric, folder, engine=lambda: engine, name=name, stand_ins=yes, progress=progress
            )
        )

    return [verify(exercise, solutions, types(), grade) for exercise, solutions in folders.items()]


def _strays(chosen: Sequence[Exercise], folders: Mapping[Exercise, Path]) -> list[Proof]:
    from grader.authoring.written import strays  # noqa: PLC0415

    found = strays(folders[chosen[0]], {exercise.id for exercise in chosen})
    return [found] if found else []


def _write_junit(proofs: Sequence[Proof], file: Path) -> None:
    from grader.authoring import junit  # noqa: PLC0415

    try:
        junit.write(proofs, file)
    except OSError as error:
        what = f"The report cannot be written: {error.strerror}"
        raise UsageError(what, "Name another file.", where=str(file)) from error


def _exit_code(proofs: Sequence[Proof]) -> int:
    """A fault of ours before a finding: nobody can tell yet what more there is to mend."""
    verdicts = {fact.verdict for proof in proofs for fact in proof.facts}
    if "unsettled" in verdicts:
        return ExitCode.INFRASTRUCTURE
    return ExitCode.NOT_PASSED if "refuted" in verdicts else ExitCode.PASSED


@click.command(short_help="Begins an exercise that verifies as it stands.")
@click.argument("name")
@own_course_option
def new(*, name: str, course: Path | None) -> None:
    """Begins an exercise: task, starter, rubric, solution, and a broken Dockerfile for each check.

    NAME is like small-images; the exercise gets the next number. It is proven as it stands, to be changed step by step.
    """
    from grader.authoring.new import begin  # noqa: PLC0415
    from grader.authoring.proof import place  # noqa: PLC0415
    from grader.course.exercise import find_course  # noqa: PLC0415

    found = find_course(course)
    if course is None and not Path.cwd().resolve().is_relative_to(found.path.parent):
        raise UsageError(
            "There is no course here to add an exercise to",
            "Go to the folder that has `exercises/` in it, or name it with --course. A course begins with a folder "
            "`exercises` and a course.yaml in it that says `title: ...`.",
            where=str(Path.cwd()),
        )
    begun = begin(found, name)
    option = f" --course {place(found.path)}" if course else ""
    click.echo(
        f"Written: {place(begun.exercise)}  the task, the starter, the rubric\n"
        f"         {place(begun.solution)}  the solution, and a broken Dockerfile for each check\n"
        "\n"
        "Next:\n"
        f"  grader verify {begun.id}{option}\n"
        "      proves it: as it stands, and after each change\n"
        f"  grade {begun.id}{option} --submission {place(begun.exercise / 'starter')}\n"
        "      shows what a learner sees\n"
        f"  grader schema > {place(found.path / 'rubric.schema.json')}\n"
        "      lets your editor complete and check rubrics"
    )
