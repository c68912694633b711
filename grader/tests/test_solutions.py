"""Each exercise is proven: the solution scores all, the starter fails, each known-bad Dockerfile fails as it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from grader import grading
from grader.checks import types
from grader.course import rubric
from grader.course.exercise import Exercise, find_course
from grader.result import GradeResult, Status

if TYPE_CHECKING:
    from grader.engine.connect import Engine

ROOT = Path(__file__).parents[2]
COURSE = find_course(ROOT / "exercises")
SOLUTIONS = ROOT / "solutions"
BROKEN = [
    (exercise, folder)
    for exercise in COURSE.exercises
    for folder in sorted((SOLUTIONS / exercise.id / "broken").glob("*"))
]

EACH = pytest.mark.parametrize("exercise", COURSE.exercises, ids=lambda exercise: exercise.id)


def judged(exercise: Exercise, folder: Path, engine: Engine) -> GradeResult:
    loaded = rubric.load(exercise.rubric_path, types())
    return grading.grade(grading.Request(exercise, loaded, folder, engine=lambda: engine, stand_ins=True))


def failures(result: GradeResult) -> list[str]:
    return [f"{check.id}: {check.got}" for check in result.checks if check.status is not Status.PASSED]


@EACH
def test_the_solution_scores_everything(exercise: Exercise, engine: Engine) -> None:
    result = judged(exercise, SOLUTIONS / exercise.id, engine)
    assert failures(result) == []
    assert (result.status, result.score) == (Status.PASSED, result.max_score)


@EACH
def test_the_starter_does_not_pass(exercise: Exercise, engine: Engine) -> None:
    assert judged(exercise, exercise.starter, engine).status is Status.FAILED


@pytest.mark.parametrize(("exercise", "folder"), BROKEN, ids=[f"{each.id}-{folder.name}" for each, folder in BROKEN])
def test_a_broken_dockerfile_fails_what_it_says(exercise: Exercise, folder: Path, engine: Engine) -> None:
    first = (folder / "Dockerfile").read_text(encoding="utf-8").splitlines()[0]
    match = re.fullmatch(r"# fails: ([\w-]+(?:, [\w-]+)*)", first)
    assert match, f"{folder.name}: the first line says `# fails: CHECK, CHECK`"
    result = judged(exercise, folder, engine)
    assert {check.id for check in result.checks if check.status is Status.ERROR} == set(), failures(result)
    assert {check.id for check in result.checks if check.status is Status.FAILED} == set(match[1].split(", "))
