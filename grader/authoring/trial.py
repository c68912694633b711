"""A folder of an exercise, graded: its verdict, or whose fault it is that there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from grader.authoring import written
from grader.course import rubric as rubrics
from grader.errors import GraderError
from grader.result import Fault, GradeResult, Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from grader.checks.base import Check
    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric

#: Grades a folder by the rubric of an exercise; the text says which one it is: `starter`, `solution`, `broken/small`.
Grade = Callable[["Exercise", "Rubric", "Path", str], GradeResult]


@dataclass(frozen=True)
class Trial:
    """A folder that was graded: its verdict, or why there is none.

    The exercise is to blame when it is ``refused``, the engine or the grader when it is ``unsettled``.
    """

    folder: Path
    result: GradeResult | None = None
    refused: GraderError | None = None
    unsettled: str = ""


@dataclass(frozen=True)
class Bench:
    """An exercise with its rubric and solution, and what grades a folder by it."""

    exercise: Exercise
    rubric: Rubric
    solution: Path
    grade: Grade = field(repr=False)

    @property
    def source(self) -> written.Source:
        """The rubric's file."""
        return written.Source(self.rubric)

    def tried(self, folder: Path) -> Trial:
        """The folder, graded. What the exercise is to blame for is kept apart from what the engine is."""
        names = {self.exercise.starter: "starter", self.solution: "solution"}
        name = names.get(folder, f"{written.BROKEN}/{folder.name}")
        try:
            result = self.grade(self.exercise, self.rubric, folder, name)
        except GraderError as error:
            ours = error.fault is Fault.INFRASTRUCTURE
            return Trial(folder, unsettled=error.what) if ours else Trial(folder, refused=error)
        if result.status is Status.ERROR and result.fault is Fault.INFRASTRUCTURE:
            return Trial(folder, result, unsettled=_trouble(result))
        return Trial(folder, result)


def bench(exercise: Exercise, solutions: Path, types: Mapping[str, type[Check]], grade: Grade) -> Bench:
    """Raises RubricError when the rubric cannot be read. What it keeps from learners its author is told."""
    rubric = rubrics.load(exercise.rubric_path, types)
    open_ones = tuple(replace(check, show="full") for check in rubric.checks)
    return Bench(exercise, replace(rubric, checks=open_ones), solutions / exercise.id, grade)


def _trouble(result: GradeResult) -> str:
    """What the engine or the grader failed at."""
    if result.problem and result.problem.fault is Fault.INFRASTRUCTURE:
        return result.problem.what
    return next(check.got for check in result.checks if check.fault is Fault.INFRASTRUCTURE)
