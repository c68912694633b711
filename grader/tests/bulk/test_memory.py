"""Ten thousand submissions take the memory of their names and scores, not that of their files and results."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING

from grader.bulk import feedback, outcome, plan
from grader.bulk.journal import Journal, opened
from grader.bulk.learner import Handed, Learner
from grader.checks import types
from grader.course import rubric as rubrics
from grader.course.exercise import find_course, resolve
from grader.tests.bulk.classes import ASKED, keep, verdict
from grader.tests.cli.programs import RUBRIC, course
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

LEARNERS, DISTINCT = 10_000, 300
#: Bytes of a result, and what a learner may take of memory in all: a plan's row, and those of the table and the page.
RESULT, EACH = 20_000, 2_500
#: Bytes beside the learners: the page's templates, SQLite's own, one result.
BESIDE = 5_000_000


def test_memory_grows_with_names_and_not_with_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exercises, _ = course(tmp_path, RUBRIC, "FROM scratch\n")
    exercise = resolve(find_course(exercises), "1")
    rubric = rubrics.load(exercise.rubric_path, types())
    for number in range(DISTINCT):
        write_files(tmp_path / f"in/{number}", {"Dockerfile": f"FROM scratch\nLABEL number={number}\n"})
    learners = [
        Learner(f"learner-{number:05}", (Handed(f"learner-{number:05}", str(tmp_path / f"in/{number % DISTINCT}")),))
        for number in range(LEARNERS)
    ]
    # It writes the same files for each learner, one after the other.
    monkeypatch.setattr(feedback, "write", lambda _out, _grade: None)
    with opened(tmp_path / "out/journal.db") as journal:
        tracemalloc.start()
        try:
            rows = list(plan.rows(learners, exercise, rubric, (), attempts="latest"))
            _fill(journal, rows)
            tracemalloc.reset_peak()
            found = outcome.write(tmp_path / "out", rows, journal, learners, ASKED)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert found.counts.total() == LEARNERS
    assert peak < LEARNERS * EACH + BESIDE
    assert LEARNERS * EACH + BESIDE < LEARNERS * RESULT / 5, "the bound tells whether results are held"
    # One text for all who handed in the same.
    assert len({id(row.key.submission) for row in rows if row.key}) == DISTINCT


def _fill(journal: Journal, rows: list[plan.Row]) -> None:
    """A long result for each that is another one; what was held for it is not held when this returns."""
    result = verdict()
    padded = replace(result, checks=(replace(result.checks[0], why="x" * RESULT), *result.checks[1:]))
    found = {row.key: row for row in rows}
    assert len(found) == DISTINCT
    keep(journal, found.values(), padded)
