"""What `grade` does beside grading: counts the hints that were taken, and keeps the result for `list` and `hint`.

Progress is the learner's own business on their own machine. In CI nothing is kept and no hint is known; the solutions
of a course are nobody's progress either. That something cannot be kept is told, and changes no verdict.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TypeVar

import click

from grader.errors import GraderError
from grader.reports._text import printable
from grader.result import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.learn.progress import Last, Record, Store
    from grader.result import GradeResult

T = TypeVar("T")


class Recording:
    """One grading's part in a learner's progress."""

    def __init__(self, exercise: Exercise, rubric: Rubric, folder: Path, *, partial: bool) -> None:
        """``partial`` says that only a selection of the checks is graded."""
        self._exercise = exercise
        self._rubric = rubric
        self._folder = folder.resolve()
        self._partial = partial
        self._record: Record | None = None
        solutions = exercise.course.solutions
        self._wanted = not in_ci() and not (solutions and self._folder.is_relative_to(solutions))

    def load(self) -> None:
        """Imports what `keep` needs, for somebody who has time for it."""
        if self._wanted:
            import filelock  # noqa: F401, PLC0415

            from grader.learn import progress  # noqa: F401, PLC0415

    def counted(self, result: GradeResult) -> GradeResult:
        """The result with the hints that were taken for it, and what the rubric takes for them."""
        record = self._record = _tried(lambda: store().record(self._exercise)) if self._wanted else None
        # What cannot be read has been told, and will not be written either.
        self._wanted = record is not None
        if record is None or not record.hints:
            return result
        from grader.learn import hints  # noqa: PLC0415  # most learners take none

        counts = hints.used(record, str(self._folder))
        return hints.counted(result, counts, self._rubric.hint_costs, partial=self._partial)

    def has_hint(self, result: GradeResult, dockerfile: Sequence[str]) -> bool:
        """Whether `grader hint` will have one on what failed, once the result is kept; asked after ``counted``."""
        failed = any(check.status is Status.FAILED for check in result.checks)
        if self._record is None or not failed or result.status is Status.ERROR:
            return False
        from grader.learn import hints  # noqa: PLC0415

        last = self.last(result, dockerfile)
        taken = {(each.check, each.key) for each in self._record.hints}
        return any(hints.upcoming(last, verdict, taken) for verdict in hints.failed(last))

    def last(self, result: GradeResult, dockerfile: Sequence[str]) -> Last:
        """What hints on this result are worked out from, kept or not."""
        from grader.learn.progress import Last  # noqa: PLC0415

        return Last(result.to_json(), tuple(dockerfile), str(self._folder), self._rubric.hint_costs)

    def keep(self, result: GradeResult, dockerfile: Sequence[str]) -> None:
        """Takes the result down, once it has been told."""
        if not self._wanted:
            return
        sys.stdout.flush()
        _tried(
            lambda: store().graded(
                self._exercise,
                result,
                dockerfile=dockerfile,
                folder=self._folder,
                costs=self._rubric.hint_costs,
                partial=self._partial,
            )
        )


def in_ci() -> bool:
    """Whether a CI service runs this: all of them set `CI`."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def store() -> Store:
    """The learner's progress; what has to be told of it goes to stderr."""
    from grader.learn.progress import Store  # noqa: PLC0415

    return Store(lambda text: click.echo(printable(text), err=True))


def _tried(do: Callable[[], T]) -> T | None:
    """What it gives; None when it cannot be done, which is told in one line."""
    try:
        return do()
    except GraderError as error:
        click.echo(f"{printable(error.what)} ({printable(error.where)})\n  mend:  {error.fix}", err=True)
        return None
