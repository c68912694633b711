"""`grade` and `grader demo`. Imports what it needs when it runs, so that help and `list` stay quick."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.cli import complete
from grader.cli.options import course_option, course_words, plain_option, runtime_option, verbose_option, yes_option
from grader.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.cli.outputs import Output
    from grader.cli.recording import Recording
    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.engine.connect import Engine
    from grader.result import GradeResult, Progress, ProgressEvent


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("exercise", required=False, shell_complete=complete.exercises)
@click.option(
    "--submission",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder to grade; the current one if left out.",
)
@click.option(
    "--format", "formats", multiple=True, metavar="NAME[=FILE]", shell_complete=complete.formats,
    help="How to tell the result; repeatable. With =FILE it goes to a file. NAME is terminal (if none is given), "
    "plain, html (a page, as `html=report.html`), json, markdown, junit, csv, sarif, annotations, github-classroom, "
    "classroom50, gradescope or another package's.",
)  # fmt: skip
@click.option(
    "--no-fail", is_flag=True, help="Exit with 0 whatever the score, if it was graded; 2 and 3 stay as they are."
)
@click.option(
    "--only", multiple=True, metavar="CHECK", shell_complete=complete.checks, help="Run this check only; repeatable."
)
@yes_option
@runtime_option
@course_option
@verbose_option
@plain_option
def grade(  # noqa: PLR0913  # one parameter an option
    *,
    exercise: str | None,
    submission: Path | None,
    formats: tuple[str, ...],
    no_fail: bool,
    only: tuple[str, ...],
    yes: bool,
    course: Path | None,
    verbose: bool,
    plain: bool,
) -> int:
    """Grades a folder with a Dockerfile against an exercise.

    EXERCISE is a number, a name or a folder; without it, the folder you stand in says which.

    In a workflow of GitHub's, github-classroom without a file is appended to $GITHUB_OUTPUT and $GITHUB_ENV, and
    markdown to $GITHUB_STEP_SUMMARY.

    Exit codes: 0 passed, 1 not passed, 2 wrong usage or a broken rubric, 3 a fault of the engine, the network or the
    grader (costs no points), 130 interrupted.
    """
    from grader import grading  # noqa: PLC0415
    from grader.checks import types  # noqa: PLC0415
    from grader.cli import outputs  # noqa: PLC0415
    from grader.cli.progress import ProgressView  # noqa: PLC0415
    from grader.cli.recording import Recording  # noqa: PLC0415
    from grader.course import remembered  # noqa: PLC0415
    from grader.course.exercise import find_course, resolve  # noqa: PLC0415
    from grader.learn import starters  # noqa: PLC0415
    from grader.reports import Telling  # noqa: PLC0415
    from grader.reports._workflow import unheard  # noqa: PLC0415

    asked = outputs.asked_for(formats, plain=plain)
    chosen = resolve(find_course(course), exercise)
    rubric = remembered.load(chosen.rubric_path, types)
    _known_checks(rubric, only)
    folder = submission_folder(submission, exercise, chosen)
    recording = Recording(chosen, rubric, folder, partial=bool(only))
    commands = [output for output in asked if output.lines and output.file is None]
    with unheard(outputs.log(asked)):
        with ProgressView(verbose=verbose, plain=plain) as progress:
            result = grading.grade(
                grading.Request(
                    exercise=chosen,
                    rubric=rubric,
                    folder=folder,
                    engine=lambda: find_engine(yes=yes, progress=progress),
                    only=only,
                    stand_ins=yes,
                    progress=_loading_meanwhile(asked, recording, progress),
                )
            )
        result = recording.counted(result)
        began = starters.size(chosen, rubric.settings, result)
        before = (("starter", began),) if began is not None else ()
        lines = _dockerfile_lines(folder)
        hint = _hint_command(chosen, exercise, course) if recording.has_hint(result, lines) else ""
        telling = Telling(lines, verbose, _place(folder), before, hint)
        failure = outputs.tell(result, telling, [output for output in asked if output not in commands])
    failure = outputs.tell(result, telling, commands) or failure
    recording.keep(result, telling.dockerfile)
    if failure:
        raise failure
    code = exit_code(result)
    return ExitCode.PASSED if no_fail and code == ExitCode.NOT_PASSED else code


@click.command(short_help="Grades a starter and its solution, side by side.")
@click.argument("exercise", required=False, default="multi-stage-builds", shell_complete=complete.exercises)
@yes_option
@course_option
@verbose_option
@plain_option
def demo(*, exercise: str, yes: bool, course: Path | None, verbose: bool, plain: bool) -> int:
    """Grades an exercise's starter and its solution, side by side; the multi-stage exercise if none is named."""
    from grader import grading  # noqa: PLC0415
    from grader.cli import compare  # noqa: PLC0415
    from grader.cli.progress import ProgressView  # noqa: PLC0415
    from grader.reports import Telling  # noqa: PLC0415
    from grader.result import ProgressEvent, Status  # noqa: PLC0415

    chosen, rubric = load(exercise, course)
    solutions = chosen.course.solutions
    solution = solutions / chosen.id if solutions else None
    if solution is None or not solution.is_dir():
        raise UsageError(
            f"The course at hand has no solution for {chosen.id}",
            "Run the demo in a clone of the course's repository, which has `solutions/` beside `exercises/`.",
            where=str(solution or chosen.course.path),
        )
    results, tellings = [], []
    with ProgressView(verbose=True, plain=plain) as progress:
        progress(ProgressEvent("engine", "looking for a container engine"))
        engine = find_engine(yes=yes, progress=progress)
        progress(ProgressEvent("engine", f"{engine.name} {engine.version} at {engine.endpoint}"))
        for name, folder in (("starter", chosen.starter), ("solution", solution)):
            progress(ProgressEvent("prepare", f"grading the {name}"))
            request = grading.Request(
                exercise=chosen,
                rubric=rubric,
                folder=folder,
                engine=lambda: engine,
                name=name,
                stand_ins=yes,
                progress=progress,
            )
            results.append(grading.grade(request))
            tellings.append(Telling(_dockerfile_lines(folder), verbose))
    (compare.one_by_one if plain else compare.write)(results, tellings, sys.stdout)
    if any(result.status is Status.ERROR for result in results):
        return max(map(exit_code, results))
    starter, solved = results
    proven = starter.status is Status.FAILED and solved.score == solved.max_score
    return ExitCode.PASSED if proven else ExitCode.NOT_PASSED


def load(name: str | None, course: Path | None) -> tuple[Exercise, Rubric]:
    """The exercise of that name, and its rubric."""
    from grader.checks import types  # noqa: PLC0415
    from grader.course import rubric  # noqa: PLC0415
    from grader.course.exercise import find_course, resolve  # noqa: PLC0415

    exercise = resolve(find_course(course), name)
    return exercise, rubric.load(exercise.rubric_path, types())


def exit_code(result: GradeResult) -> int:
    """What `grade` ends with."""
    from grader.result import Fault, Status  # noqa: PLC0415

    if result.status is Status.ERROR:
        return ExitCode.USAGE if result.fault is Fault.AUTHOR else ExitCode.INFRASTRUCTURE
    return ExitCode.PASSED if result.status is Status.PASSED else ExitCode.NOT_PASSED


def find_engine(*, yes: bool, progress: Progress) -> Engine:
    from grader.engine.connect import connect  # noqa: PLC0415

    return connect(agreed=yes, progress=progress)


def _hint_command(exercise: Exercise, given: str | None, course: Path | None) -> str:
    """With the same words that this grading was asked for with."""
    return f"grader hint{f' {exercise.id}' if given else ''}{course_words(course)}"


def _loading_meanwhile(outputs: Sequence[Output], recording: Recording, progress: Progress) -> Progress:
    """Imports what comes last while the app starts: a wait for the engine anyway, and rich takes its time."""
    from threading import Thread  # noqa: PLC0415

    from grader import reports  # noqa: PLC0415

    waiting = {output.format for output in outputs}

    def tell(event: ProgressEvent) -> None:
        if event.phase == "start" and waiting:
            Thread(target=recording.load, daemon=True).start()
        while event.phase == "start" and waiting:
            Thread(target=reports.load, args=(waiting.pop(),), daemon=True).start()
        progress(event)

    return tell


def _known_checks(rubric: Rubric, only: Sequence[str]) -> None:
    from grader.course.suggest import closest, listed  # noqa: PLC0415

    known = list(rubric.settings.checks)
    for name in only:
        if name not in known:
            near = closest(name, known)
            meant = f"Did you mean {near}? " if near else ""
            raise UsageError(
                f"The rubric has no check “{name}”", f"{meant}Its checks are {listed(known)}.", where=str(rubric.path)
            )


def submission_folder(given: Path | None, name: str | None, exercise: Exercise) -> Path:
    """The folder to grade: the one given, else where one stands, else (in a clone) the exercise's own starter."""
    if given is not None:
        return given
    # `grade solutions/03-x` and `grade .` name a folder to grade; `grade 3` never does, even beside a folder 3.
    named = Path(name) if name and re.search(r"^\.\.?$|[/\\]", name) else None
    if named and (named / "Dockerfile").exists():
        return named
    here = Path.cwd()
    in_course = exercise.course.path in (here / "exercises", here, *here.parents)
    if not (here / "Dockerfile").exists() and (in_course or (named and named.is_dir())):
        click.echo(f"Grading {exercise.starter}", err=True)
        return exercise.starter
    return here


def _dockerfile_lines(folder: Path) -> tuple[str, ...]:
    """The learner's Dockerfile, to quote from; whatever is wrong with it has been told already."""
    from grader.submission.files import Limits  # noqa: PLC0415

    file = folder / "Dockerfile"
    if file.is_symlink() or not file.is_file() or file.stat().st_size > Limits().dockerfile:
        return ()
    return lines_of(file.read_bytes())


def lines_of(dockerfile: bytes) -> tuple[str, ...]:
    """The lines of a Dockerfile, to quote from by their numbers."""
    # Not splitlines: it knows more line ends than a Dockerfile has, and the numbers would no longer fit.
    text = dockerfile.decode("utf-8-sig", errors="replace")
    return tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))


def _place(folder: Path) -> str:
    """Where the Dockerfile lies in the repository that is shown: GitHub's or GitLab's checkout, else from here."""
    from grader.reports._text import one_line  # noqa: PLC0415

    root = os.environ.get("GITHUB_WORKSPACE") or os.environ.get("CI_PROJECT_DIR") or "."
    try:
        return one_line((folder.resolve() / "Dockerfile").relative_to(Path(root).resolve()).as_posix())
    except (OSError, ValueError):
        return "Dockerfile"
