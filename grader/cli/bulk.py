"""`grader bulk`: a whole class."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grader.cli.options import course_option, yes_option
from grader.errors import ExitCode

if TYPE_CHECKING:
    from grader.bulk.gradebook import Grade
    from grader.bulk.run import State, Task
    from grader.engine.bases import Base
    from grader.engine.connect import Engine

_WORDS = {"passed": "passed", "failed": "FAILED", "error": "error"}


@click.command(short_help="Grades a whole class into a gradebook.")
@click.argument("exercise")
@click.argument("submissions", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where the gradebook goes.")
@click.option(
    "--roster", type=click.Path(path_type=Path), metavar="CSV", help="All learners; who handed in nothing is a row too."
)
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N", help="Submissions graded at a time; as the machine allows."
)
@click.option(
    "--attempts", type=click.Choice(["latest", "best", "all"]), default="latest", show_default=True,
    help="Which of a learner's submissions counts.",
)  # fmt: skip
@click.option(
    "--rerun", default="", metavar="WHICH", help="Grade these again: errors (and nothing else), failed, all, or a name."
)
@click.option(
    "--patience", type=float, default=60, show_default=True, metavar="MINUTES",
    help="How long a run pauses for an engine or a registry that fails.",
)  # fmt: skip
@yes_option
@course_option
def bulk(  # noqa: PLR0913  # one parameter an option
    *,
    exercise: str,
    submissions: Path,
    out: Path,
    roster: Path | None,
    jobs: int | None,
    attempts: str,
    rerun: str,
    patience: float,
    yes: bool,
    course: Path | None,
) -> int:
    """Grades a class: SUBMISSIONS is a folder with a folder or an archive for each learner, or a CSV file.

    What was graded is kept in DIR/journal.db. Run it again, and only what has no verdict yet is graded: after a kill, a
    fault of the engine, new submissions, or a change of the rubric. Files that are the same to the byte are graded
    once.

    Ctrl-C lets what runs end; twice, and it is dropped.

    Exit codes: 0 everybody has a verdict, 2 wrong usage, 3 some have none, through no fault of theirs, 130 interrupted.
    """
    from grader import grading  # noqa: PLC0415
    from grader.bulk import feedback, gradebook, journal, plan, workers  # noqa: PLC0415
    from grader.bulk import roster as rosters  # noqa: PLC0415
    from grader.bulk.run import Run  # noqa: PLC0415
    from grader.cli.grade import load  # noqa: PLC0415
    from grader.errors import EngineError  # noqa: PLC0415

    learners = rosters.read(submissions, roster)
    chosen, rubric = load(exercise, course)
    setting = workers.Setting(chosen.path, stand_ins=yes)
    engine, bases = _bases(rubric.settings.bases, yes=yes)
    watcher = _Watcher()
    with journal.opened(out / "journal.db") as kept:
        rows = list(plan.rows(learners, chosen, rubric, bases, attempts=attempts))
        tasks = plan.tasks(rows, kept, rerun)
        watcher.begin(len(tasks), len({row.key for row in rows if row.key}))
        run = Run(
            tasks,
            kept,
            watcher,
            jobs=min(jobs or workers.most(), max(1, len(tasks))),
            start=lambda: workers.Worker(setting),
            lost=lambda name, why: grading.refused(
                chosen, rubric, name, EngineError(f"Not graded: {why}", "Run the same command again.")
            ).to_json(),
        )
        try:
            run.go(patience * 60)
        finally:
            _sweep(engine)
            grades = list(_kept_small(gradebook.grades(rows, kept, best=attempts == "best")))
            changes = gradebook.write(out, gradebook.grades(rows, kept, best=attempts == "best"), rubric)
            for grade in gradebook.grades(rows, kept, best=attempts == "best"):
                feedback.write(out, grade)
    return _summary(grades, changes, out)


def _bases(references: tuple[str, ...], *, yes: bool) -> tuple[Engine, tuple[Base, ...]]:
    """The engine that is there, and the base images in it: what all submissions share is made once, before them."""
    from grader.cli.progress import ProgressView  # noqa: PLC0415
    from grader.engine import bases  # noqa: PLC0415
    from grader.engine.connect import connect  # noqa: PLC0415

    with ProgressView() as progress:
        engine = connect(agreed=yes, progress=progress)
        return engine, bases.ensure(engine, list(references), stand_ins=yes, progress=progress)


def _sweep(engine: Engine) -> None:
    """Removes what a worker could not: it was killed, or the engine away."""
    from grader.engine import leftovers  # noqa: PLC0415

    with suppress(OSError):
        leftovers.sweep(engine)


def _kept_small(grades: Any) -> Any:
    """Status and name alone: ten thousand results would fill the memory."""
    return ((grade.status, grade.row.learner, _why(grade)) for grade in grades)


def _why(grade: Grade) -> str:
    from grader.bulk.run import reason  # noqa: PLC0415

    return grade.row.trouble or (reason(dict(grade.result)) if grade.result and grade.status == "error" else "")


def _summary(grades: list[tuple[str, str, str]], changes: dict[str, str], out: Path) -> int:
    from collections import Counter  # noqa: PLC0415

    from grader.reports._text import one_line  # noqa: PLC0415

    count = Counter(status for status, _, _ in grades)
    told = [f"{count[status]} {status}" for status in ("passed", "failed", "missing", "error") if count[status]]
    click.echo(f"{len(grades)} in the gradebook: {', '.join(told)}.")
    for name, change in list(changes.items())[:20]:
        click.echo(f"  changed: {one_line(name)}: {change}")
    if len(changes) > 20:
        click.echo(f"  and {len(changes) - 20} more in {out / 'changes.csv'}")
    errors = [(name, why) for status, name, why in grades if status == "error"]
    for name, why in errors[:20]:
        click.echo(f"  not graded: {one_line(name)}: {one_line(why)}")
    if errors:
        click.echo("  Run the same command again to grade these; nothing was counted against anybody.")
    click.echo(f"Gradebook: {out / 'gradebook.csv'}")
    return ExitCode.INFRASTRUCTURE if errors else ExitCode.PASSED


class _Watcher:
    """A line a verdict, on stderr; on a terminal a last line that says how far it is."""

    def __init__(self) -> None:
        self._all = 0
        self._done: dict[str, int] = {"passed": 0, "failed": 0, "error": 0}
        self._began = time.monotonic()
        self._live = sys.stderr.isatty()
        self._paused = ""
        self._shown = ""

    def begin(self, tasks: int, distinct: int) -> None:
        self._all, self._began = tasks, time.monotonic()
        known = f"; {distinct - tasks} have a verdict already" if distinct > tasks else ""
        self._say(f"{tasks} submission{'s' * (tasks != 1)} to grade{known}")

    def verdict(self, task: Task, result: dict[str, Any]) -> None:
        from grader.reports._text import one_line  # noqa: PLC0415

        self._done[result["status"]] += 1
        score = "" if result["score"] is None else f"  {result['score']:g} of {result['max_score']:g}"
        self._say(f"{_WORDS[result['status']]:<8}{one_line(task.name)}{score}")

    def now(self, state: State) -> None:
        if state.paused != self._paused:
            self._paused = state.paused
            self._say(f"paused: {state.paused}; trying again from time to time" if state.paused else "going on")
        if not self._live:
            return
        done = sum(self._done.values())
        rate = done / max(time.monotonic() - self._began, 0.001)
        left = f", {(state.running + state.waiting) / rate:.0f} s left" if rate else ""
        parts = [f"{done}/{self._all}", f"{state.running} running", f"{self._done['failed']} failed"]
        line = ", ".join([*parts, f"{self._done['error']} errors", f"{60 * rate:.0f} a minute"]) + left
        if line != self._shown:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
            self._shown = line

    def _say(self, text: str) -> None:
        wipe = "\r\x1b[K" if self._shown else ""
        sys.stderr.write(f"{wipe}{text}\n")
        sys.stderr.flush()
        self._shown = ""
