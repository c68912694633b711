"""Progress survives renumbering, other processes and files that are damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from grader.course.exercise import find_course
from grader.errors import GraderError
from grader.learn.progress import Store, Taken
from grader.result import GradeResult, Status
from grader.tests.conftest import write_files
from grader.tests.reports.results import ERROR, FAILED, PASSED

if TYPE_CHECKING:
    from pathlib import Path

    from grader.course.exercise import Course, Exercise


def a_course(root: Path, *ids: str, title: str = "A course") -> Course:
    write_files(root, {"exercises/course.yaml": f"title: {title}\n"})
    write_files(root, {f"exercises/{id_}/rubric.yaml": "title: One\n" for id_ in ids})
    return find_course(root)


def store(root: Path, told: list[str] | None = None) -> Store:
    return Store(([] if told is None else told).append, root / "state")


def keep(at: Store, exercise: Exercise, result: GradeResult, *, partial: bool = False, **more: Any) -> None:
    given: dict[str, Any] = {"dockerfile": ("FROM x",), "folder": exercise.path, "costs": {}} | more
    at.graded(exercise, result, partial=partial, **given)


def test_best_and_last_are_kept_apart(tmp_path: Path) -> None:
    (one,) = a_course(tmp_path, "01-one").exercises
    for score in (10.0, 80.0, 40.0):
        keep(store(tmp_path), one, replace(FAILED, score=score))
    record = store(tmp_path).record(one)
    assert record.best is not None
    assert record.last is not None
    assert (record.best.score, record.last.score, record.gradings, record.passed) == (80, 40, 3, False)
    keep(store(tmp_path), one, PASSED)
    keep(store(tmp_path), one, replace(FAILED, score=0.0))
    record = store(tmp_path).record(one)
    assert record.passed, "what was passed once is done"
    assert record.best is not None
    assert record.best.score == 10, "all of a rubric of 10 points is more than some of one with 82.5"


def test_it_survives_renumbering_and_is_each_courses_own(tmp_path: Path) -> None:
    (before,) = a_course(tmp_path / "a", "03-stages").exercises
    keep(store(tmp_path), before, PASSED)
    after = a_course(tmp_path / "b", "03-new", "04-stages")
    assert {id_: record.passed for id_, record in store(tmp_path).records(after).items()} == {"04-stages": True}
    assert store(tmp_path).last(after.exercises[1]) is not None
    assert store(tmp_path).records(a_course(tmp_path / "c", "03-stages", title="Another")) == {}


def test_two_exercises_of_one_name_are_two(tmp_path: Path) -> None:
    first, second = a_course(tmp_path, "01-same", "02-same").exercises
    keep(store(tmp_path), first, PASSED)
    assert store(tmp_path).record(second).last is None


def test_a_fault_of_ours_is_not_taken_down(tmp_path: Path) -> None:
    (one,) = a_course(tmp_path, "01-one").exercises
    keep(store(tmp_path), one, ERROR)
    assert not (tmp_path / "state").exists()


def test_a_selection_counts_for_hints_only(tmp_path: Path) -> None:
    (one,) = a_course(tmp_path, "01-one").exercises
    keep(store(tmp_path), one, FAILED)
    small = replace(FAILED.checks[1], status=Status.PASSED, score=22.5, got="now it is")
    keep(store(tmp_path), one, replace(PASSED, checks=(small,)), partial=True)
    record, last = store(tmp_path).record(one), store(tmp_path).last(one)
    assert (record.gradings, record.passed) == (1, False)
    assert last is not None
    assert [(check["id"], check["got"]) for check in last.checks if check["id"] in ("builds", "small")] == [
        ("builds", "built in 1.4 s"),
        ("small", "now it is"),
    ]
    assert len(last.checks) == len(FAILED.checks)


def test_the_parts_of_a_check_go_together(tmp_path: Path) -> None:
    (one,) = a_course(tmp_path, "01-one").exercises
    parts = [replace(FAILED.checks[1], id=f"own/{name}") for name in ("a", "b")]
    keep(store(tmp_path), one, replace(FAILED, checks=(*parts, FAILED.checks[2])))
    keep(store(tmp_path), one, replace(FAILED, checks=(replace(parts[0], id="own/c"),)), partial=True)
    last = store(tmp_path).last(one)
    assert last is not None
    assert [check["id"] for check in last.checks] == ["own/c", "answers"]


WRITER = """
import sys
from pathlib import Path
from grader.course.exercise import find_course
from grader.learn.progress import Store, Taken
course, state, name = find_course(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
for number in range(20):
    Store(print, state).take(course.exercises[0], Taken("small", f"{name}-{number}", "", ""))
"""


def test_two_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    (one,) = a_course(tmp_path, "01-one").exercises
    command = [sys.executable, "-c", WRITER, str(tmp_path), str(tmp_path / "state")]
    running = [subprocess.Popen([*command, name]) for name in ("a", "b", "c")]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    assert len(store(tmp_path).record(one).hints) == 60


@pytest.mark.parametrize(
    "text", ["", '{"courses": {"A cou', "[]", '{"courses": 3}', "\x00" * 100, '{"courses": {"A": {"b": {}}}}']
)
def test_a_damaged_file_is_kept_aside_and_told_once(tmp_path: Path, text: str) -> None:
    course = a_course(tmp_path, "01-one")
    write_files(tmp_path, {"state/progress-1.json": text})
    told: list[str] = []
    assert store(tmp_path, told).records(course) == {}
    (aside,) = (tmp_path / "state").glob("*.damaged-*.json")
    assert aside.read_text() == text
    assert [str(aside) in each for each in told] == [True]
    assert store(tmp_path, told).records(course) == {}
    keep(store(tmp_path, told), course.exercises[0], PASSED)
    assert store(tmp_path, told).record(course.exercises[0]).passed
    assert len(told) == 1


def test_a_grading_over_a_damaged_file_keeps_it_aside_too(tmp_path: Path) -> None:
    (one,) = a_course(tmp_path, "01-one").exercises
    write_files(tmp_path, {"state/progress-1.json": "{"})
    told: list[str] = []
    keep(store(tmp_path, told), one, PASSED)
    assert len(told) == 1
    assert store(tmp_path).record(one).passed


def test_a_damaged_last_result_counts_as_none(tmp_path: Path) -> None:
    (one,) = a_course(tmp_path, "01-one").exercises
    keep(store(tmp_path), one, FAILED)
    (file,) = (tmp_path / "state/results-1").iterdir()
    for text in ("", "{}", '{"result": {"checks": [{}]}, "dockerfile": [], "folder": "", "costs": {}}'):
        file.write_text(text)
        assert store(tmp_path).last(one) is None


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    (one,) = a_course(tmp_path, "01-one").exercises
    keep(store(tmp_path), one, FAILED)
    names = sorted(path.name for path in (tmp_path / "state").iterdir() if path.suffix != ".lock")
    assert names == ["progress-1.json", "results-1"]
    json.loads((tmp_path / "state/progress-1.json").read_text())


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (one,) = a_course(tmp_path, "01-one").exercises
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(GraderError, match="cannot be") as caught:
        store(tmp_path).take(one, Taken("small", "k", "", ""))
    assert str(tmp_path / "state") in caught.value.where
