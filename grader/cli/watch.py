"""`grader watch`: grades on save, and answers to keys. Imports what it needs when it runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from grader.cli import complete
from grader.cli.options import course_option, plain_option, verbose_option, yes_option

if TYPE_CHECKING:
    from pathlib import Path

    from grader.engine.connect import Engine
    from grader.learn.watch import Task
    from grader.result import Progress


@click.command(short_help="Grades on save, and answers to keys.")
@click.argument("exercise", required=False, shell_complete=complete.exercises)
@click.option(
    "--submission", type=click.Path(), metavar="DIR", help="The folder to watch; the current one if left out."
)
@yes_option
@course_option
@verbose_option
@plain_option
def watch(  # noqa: PLR0913  # one parameter an option
    *, exercise: str | None, submission: str | None, yes: bool, course: Path | None, verbose: bool, plain: bool
) -> None:
    """Grades a folder whenever its Dockerfile, or another file that counts, is saved.

    A save while an image is built ends that build and begins with the newest files. Keys: h hint, r run again, l build
    log, a app log, d what changed, o HTML report, n next exercise, q quit. Without a terminal there are no keys; it
    ends with its input.
    """
    from pathlib import Path  # noqa: PLC0415

    from grader.cli import keys  # noqa: PLC0415
    from grader.cli.grade import find_engine, submission_folder  # noqa: PLC0415
    from grader.cli.outputs import be_readable  # noqa: PLC0415
    from grader.cli.watching import Screen, following, task_of  # noqa: PLC0415
    from grader.course.exercise import find_course, resolve  # noqa: PLC0415
    from grader.learn.watch import Watch  # noqa: PLC0415

    chosen = resolve(find_course(course), exercise)
    folder = submission_folder(Path(submission) if submission else None, exercise, chosen)
    task = task_of(chosen, folder)
    be_readable(sys.stdout, text=True)
    screen = Screen(verbose=verbose, plain=plain)

    def connected(progress: Progress) -> Engine:
        return find_engine(yes=yes, progress=progress)

    def next_task(task: Task) -> Task | None:
        found = following(task)
        if isinstance(found, str):
            screen.say(found)
            return None
        return found

    session = Watch(task, screen, connected, following=next_task, stand_ins=yes)
    with keys.pressed(lambda key: screen.key(key, session), session.finish) as answers:
        screen.keys = answers
        session.run()
