"""The exercises that ship: what can be said of them without an engine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from grader.course import yamlfile
from grader.course.exercise import find_course

if TYPE_CHECKING:
    from grader.course.exercise import Exercise

COURSE = find_course()


def data_of(exercise: Exercise) -> Any:
    return yamlfile.parse(exercise.rubric_path.read_bytes(), exercise.rubric_path).data


@pytest.fixture(params=COURSE.exercises, ids=lambda exercise: exercise.id)
def exercise(request: pytest.FixtureRequest) -> Exercise:
    chosen: Exercise = request.param
    return chosen


def test_a_learner_finds_a_task_and_a_start(exercise: Exercise) -> None:
    assert exercise.readme.read_text(encoding="utf-8").startswith("# ")
    assert (exercise.starter / "Dockerfile").is_file()


def test_every_check_says_why_and_hints_step_by_step(exercise: Exercise) -> None:
    rubric = data_of(exercise)
    assert sum(check["points"] for check in rubric["checks"]) == 100
    for check in rubric["checks"]:
        assert check["title"], check["id"]
        assert check["why"], check["id"]
        assert len(set(check["hints"])) >= 2, check["id"]


def test_every_check_is_failed_by_a_broken_dockerfile(exercise: Exercise) -> None:
    if COURSE.solutions is None:
        pytest.skip("an installed package carries no solutions")
    failed: set[str] = set()
    for file in (COURSE.solutions / exercise.id / "broken").glob("*/Dockerfile"):
        first_line = file.read_text(encoding="utf-8").splitlines()[0]
        match = re.fullmatch(r"# fails: ([a-z0-9-]+(?:, [a-z0-9-]+)*)", first_line)
        assert match, file
        failed |= set(match[1].split(", "))
    assert failed == {check["id"] for check in data_of(exercise)["checks"]}


def test_the_task_promises_the_points_of_the_rubric(exercise: Exercise) -> None:
    task = exercise.readme.read_text(encoding="utf-8")
    for check in data_of(exercise)["checks"]:
        assert f"| {check['id']} | {check['points']} |" in task
