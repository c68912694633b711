from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from grader.checks import types
from grader.course import rubric
from grader.course.exercise import find_course, resolve
from grader.learn import starters
from grader.result import SubmissionResult
from grader.submission.collect import collect
from grader.tests.cli.programs import RUBRIC, course
from grader.tests.reports.results import FAILED, PASSED

if TYPE_CHECKING:
    from pathlib import Path

    from grader.course.exercise import Exercise
    from grader.result import GradeResult


@pytest.fixture
def exercise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exercise:
    monkeypatch.setattr(starters, "_folder", lambda: tmp_path / "cache")
    folder, _ = course(tmp_path, RUBRIC, "FROM scratch\nLABEL a=b\n")
    return resolve(find_course(folder), "1")


def known(exercise: Exercise, result: GradeResult) -> int | None:
    return starters.size(exercise, rubric.load(exercise.rubric_path, types()).settings, result)


def test_it_is_known_once_the_starter_was_graded_and_on_the_same_kind_of_engine(exercise: Exercise) -> None:
    assert known(exercise, PASSED) is None
    digest = collect(exercise.starter, exercise.starter, ("Dockerfile",)).digest
    of_starter = replace(PASSED, submission=SubmissionResult("starter", digest))
    assert known(exercise, of_starter) is None  # it is what was graded
    assert known(exercise, PASSED) == 629_000_000
    assert known(exercise, FAILED) is None  # with stand-ins
    assert known(exercise, replace(PASSED, image=None)) is None
    (exercise.starter / "Dockerfile").write_text("FROM scratch\nLABEL another=starter\n")
    assert known(exercise, PASSED) is None


def test_what_is_damaged_counts_as_unknown(exercise: Exercise, tmp_path: Path) -> None:
    digest = collect(exercise.starter, exercise.starter, ("Dockerfile",)).digest
    known(exercise, replace(PASSED, submission=SubmissionResult("starter", digest)))
    (kept,) = (tmp_path / "cache").iterdir()
    for content in ("", "[]", '{"a"'):
        kept.write_text(content)
        assert known(exercise, PASSED) is None
