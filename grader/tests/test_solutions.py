"""The course is proven by the rules of `grader verify`, a case for each folder that is graded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from grader import grading
from grader.authoring import trial, verify, written
from grader.checks import types
from grader.course.exercise import Exercise, find_course

if TYPE_CHECKING:
    from grader.authoring.proof import Fact
    from grader.course.rubric import Rubric
    from grader.engine.connect import Engine
    from grader.result import GradeResult

ROOT = Path(__file__).parents[2]
COURSE = find_course(ROOT / "exercises")
SOLUTIONS = ROOT / "solutions"
BROKEN = [(one, folder) for one in COURSE.exercises for folder in written.broken_folders(SOLUTIONS / one.id)]

EACH = pytest.mark.parametrize("exercise", COURSE.exercises, ids=lambda exercise: exercise.id)
Tried = Callable[[Exercise, Path], trial.Trial]


def bench(exercise: Exercise, engine: Engine | None = None) -> trial.Bench:
    def grade(exercise: Exercise, rubric: Rubric, folder: Path, name: str) -> GradeResult:
        assert engine is not None
        request = grading.Request(exercise, rubric, folder, engine=lambda: engine, name=name, stand_ins=True)
        return grading.grade(request)

    return trial.bench(exercise, SOLUTIONS, types(), grade)


@pytest.fixture(scope="module")
def tried(engine: Engine) -> Tried:
    """Each folder's verdict; a folder that several tests look at is graded once."""
    known: dict[Path, trial.Trial] = {}

    def once(exercise: Exercise, folder: Path) -> trial.Trial:
        if folder not in known:
            known[folder] = bench(exercise, engine).tried(folder)
        return known[folder]

    return once


def against(fact: Fact) -> list[str]:
    """What speaks against a fact, or kept it from being looked at."""
    return [f"{finding.where}: {finding.what}" for finding in fact.findings] + [fact.unsettled] * bool(fact.unsettled)


@EACH
def test_the_starter_does_not_pass(exercise: Exercise, tried: Tried) -> None:
    assert against(verify.starter(bench(exercise), tried(exercise, exercise.starter))) == []


@EACH
def test_the_solution_scores_everything_twice(exercise: Exercise, tried: Tried, engine: Engine) -> None:
    found = bench(exercise, engine)
    first, second = tried(exercise, found.solution), found.tried(found.solution)
    assert against(verify.solution(found, first, second)) == []
    assert against(verify.again(found, first, second)) == []


@pytest.mark.parametrize(("exercise", "folder"), BROKEN, ids=[f"{each.id}-{folder.name}" for each, folder in BROKEN])
def test_a_broken_dockerfile_fails_what_it_says(exercise: Exercise, folder: Path, tried: Tried) -> None:
    assert against(verify.broken(tried(exercise, folder))) == []


@EACH
def test_every_check_is_failed_by_a_broken_dockerfile(exercise: Exercise, tried: Tried) -> None:
    found = bench(exercise)
    trials = [tried(exercise, folder) for folder in verify.broken_folders(found)]
    facts = list(verify.checks(found, tried(exercise, found.solution), trials))
    assert len(facts) >= len(found.rubric.checks)
    assert [each for fact in facts for each in against(fact)] == []


@EACH
def test_what_is_written_is_complete(exercise: Exercise) -> None:
    found = bench(exercise)
    facts = [
        *written.hints(found.rubric, found.source),
        written.bases(exercise, found.rubric, found.solution, found.source),
        written.files(exercise, found.rubric, found.solution, found.source),
    ]
    assert [each for fact in facts for each in against(fact)] == []


def test_every_solution_has_its_exercise() -> None:
    assert written.strays(SOLUTIONS, {exercise.id for exercise in COURSE.exercises}) is None
