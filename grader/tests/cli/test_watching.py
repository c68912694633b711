"""Which folder `n` goes on with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from grader.cli.watching import following, task_of
from grader.course.exercise import find_course
from grader.learn.watch import Task
from grader.tests.cli.programs import RUBRIC
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """The first of two exercises, begun in a folder of its own."""
    for name in ("01-one", "02-two"):
        files = {"rubric.yaml": RUBRIC.replace("Tiny", name), "starter/Dockerfile": "FROM scratch\n"}
        write_files(tmp_path / "exercises" / name, files)
    begin(tmp_path / "mine" / "one", "01-one")
    first, _ = find_course(tmp_path / "exercises").exercises
    return task_of(first, tmp_path / "mine" / "one")


def begin(folder: Path, exercise: str) -> None:
    write_files(folder, {"Dockerfile": "FROM scratch\n", ".grader.json": json.dumps({"exercise": exercise})})


def test_an_exercise_that_was_begun_beside_this_one(task: Task) -> None:
    begin(task.folder.parent / "two", "02-two")
    begin(task.folder.parent / "elsewhere", "09-unknown")
    after = following(task)
    assert isinstance(after, Task)
    assert (after.exercise.id, after.folder.name) == ("02-two", "two")
    assert following(after) == "This was the last exercise of the course."


def test_one_that_was_not_begun_is_named(task: Task) -> None:
    assert following(task) == "Next is 02-two, 02-two. `grader start 02-two` begins it; then `grader watch` there."


def test_who_works_in_a_starter_goes_on_in_the_next_one(task: Task) -> None:
    after = following(task_of(task.exercise, task.exercise.starter))
    assert isinstance(after, Task)
    assert after.folder == after.exercise.starter
