"""The gradebook: a row a learner, whatever their names, and what changed since the last one."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from grader.bulk import gradebook
from grader.bulk.gradebook import Book, Grade
from grader.bulk.groups import Groups
from grader.bulk.journal import Key, opened
from grader.bulk.learner import Handed
from grader.bulk.names import FileNames
from grader.bulk.plan import Row, tasks
from grader.reports.csv import cell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RUBRIC: Any = SimpleNamespace(checks=(SimpleNamespace(id="small"), SimpleNamespace(id="own")))


def row(learner: str, submission: str = "", *, attempt: int = 1, of: int = 1, shape: str = "") -> Row:
    key = Key("e", f"sha256:{submission or learner}", "b", "1")
    return Row(learner, Handed(learner, f"in/{learner}"), attempt, of, key, shape)


def result(status: str = "passed", score: float | None = 3, small: float | None = 1) -> dict[str, Any]:
    scores = {"small": small, "own/one": 1, "own/two": 0.5}
    checks = [{"id": name, "score": points, "status": "passed", "fault": None} for name, points in scores.items()]
    problem = {"what": "the engine is gone", "fault": "infrastructure"} if status == "error" else None
    told = {"status": status, "score": score, "max_score": 3, "checks": checks, "problem": problem}
    return told | {"submission": {"name": "whoever was first", "digest": None}}


def cells(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((out / "gradebook.csv").read_text())))


def book(out: Path, *grades: Grade) -> dict[str, str]:
    found = Book(RUBRIC)
    for grade in grades:
        found.add(grade)
    return found.write(out)


def test_a_column_for_each_check(tmp_path: Path) -> None:
    book(
        tmp_path,
        Grade(row("ada"), result(), file="ada"),
        Grade(row("bob"), result("error", None, None), file="bob"),
        Grade(Row("cyd"), None),
        Grade(Row("dan", Handed("dan", "x"), 1, 1, trouble="no route to host"), None),
    )
    ada, bob, cyd, dan = cells(tmp_path)
    assert (ada["status"], ada["score"], ada["small"], ada["own"]) == ("passed", "3", "1", "1.5")
    assert ada["result"] == "results/ada.json"
    assert (bob["status"], bob["score"], bob["small"], bob["problem"]) == ("error", "", "", "the engine is gone")
    assert (cyd["status"], cyd["score"], cyd["small"]) == ("missing", "0", "")
    assert (dan["status"], dan["score"], dan["problem"]) == ("error", "", "no route to host")


@pytest.mark.parametrize(
    "name", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r\n=1", ' "x", "y"\n', "ä\x1b[31m"]
)
def test_a_name_is_no_formula_and_no_second_line(tmp_path: Path, name: str) -> None:
    book(tmp_path, Grade(row(name), result()))
    (found,) = cells(tmp_path)
    assert not found["learner"].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert "\n" not in found["learner"]
    assert "\x1b" not in found["learner"]
    assert None not in found


def test_points_below_zero_stay_numbers() -> None:
    assert cell(-1.5) == -1.5
    assert cell(None) == ""


def test_an_older_gradebook_is_kept_and_what_changed_is_told(tmp_path: Path) -> None:
    assert book(tmp_path, Grade(row("ada"), result()), Grade(row("bob"), result("failed", 1))) == {}
    before = (tmp_path / "gradebook.csv").read_text()
    assert book(tmp_path, Grade(row("ada"), result()), Grade(row("bob"), result("failed", 1))) == {}
    assert not (tmp_path / "gradebook.1.csv").exists(), "the same again is no change"
    changes = book(tmp_path, Grade(row("ada"), result()), Grade(row("bob"), result()), Grade(row("cyd"), result()))
    assert changes == {"bob": "failed 1 -> passed 3", "cyd": "not there -> passed 3"}
    assert (tmp_path / "gradebook.1.csv").read_text() == before
    assert "failed 1 -> passed 3" in (tmp_path / "changes.csv").read_text()


def test_the_same_files_and_files_alike_are_told_of(tmp_path: Path) -> None:
    planned = [
        row("ada", "x", shape="s"),
        row("bob", "x", shape="s"),
        row("cyd", "y", shape="s"),
        row("dan", shape="t"),
    ]
    groups = Groups.of(planned)
    assert [groups.same_as(one) for one in planned] == ["bob", "ada", "", ""]
    assert [groups.similar_to(one) for one in planned] == ["cyd", "cyd", "ada; bob", ""]


def test_what_was_refused_is_no_group() -> None:
    empty = Key("e", "refused:1", "b", "1")
    planned = [Row(name, Handed(name, name), 1, 1, empty) for name in ("ada", "bob")]
    assert Groups.of(planned) == Groups()


@pytest.mark.parametrize(
    ("scores", "counted"), [((1, 3, 2), 3), ((None, 3, 2), None), ((0,), 0)], ids=["best", "an error may be", "one"]
)
def test_the_best_of_several_counts(tmp_path: Path, scores: Sequence[float | None], counted: float | None) -> None:
    planned = [row("ada", str(number), attempt=number, of=len(scores)) for number, _ in enumerate(scores, 1)]
    with opened(tmp_path / "j.db") as journal:
        for one, score in zip(planned, scores, strict=True):
            assert one.key is not None
            journal.keep(one.key, result("passed" if score is not None else "error", score))
        (best,) = gradebook.grades(planned, journal, Groups.of(planned), best=True)
        assert best.score == counted
        every = list(gradebook.grades(planned, journal, Groups.of(planned), best=False))
        assert [one.score for one in every] == list(scores)
        assert len({one.file for one in every}) == len(scores)
        assert {one.result["submission"]["name"] for one in every if one.result} == {"ada"}


def test_file_names_are_safe_and_differ() -> None:
    names = FileNames()
    given = ["ada", "Ada", "../../etc/passwd", "a/b", "a_b", "con", "", ".hidden", "ä" * 200, "ä" * 200, "x\0y"]
    found = [names.of(name) for name in given]
    assert len({name.casefold() for name in found}) == len(given)
    for name in found:
        assert "/" not in name
        assert not name.startswith(".")
        assert len(name.encode()) < 100
    assert found[:2] == ["ada", "Ada-2"]


# --- what has to be graded --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rerun", "again"),
    [("", "ce"), ("errors", "e"), ("failed", "bce"), ("all", "abce"), ("a", "ace"), ("nobody", "ce")],
)
def test_what_has_no_verdict_is_graded_and_what_is_asked_for(tmp_path: Path, rerun: str, again: str) -> None:
    planned = [row("a"), row("b"), row("c"), row("e"), row("copy of c", "c"), Row("nothing")]
    with opened(tmp_path / "j.db") as journal:
        for one, status in zip(planned, ("passed", "failed", None, "error"), strict=False):
            if status and one.key:
                journal.keep(one.key, result(status))
        found = tasks(planned, journal, rerun)
    assert "".join(sorted(one.name for one in found)) == again


def test_what_is_told_of_one_submission_is_told_to_nobody_who_shares_its_verdict(tmp_path: Path) -> None:
    late = replace(row("ada", "same"), late="yes", notes=("Late: by an hour",))
    with opened(tmp_path / "j.db") as journal:
        assert late.key is not None
        journal.keep(late.key, result() | {"notes": ["of the image"]})
        planned = [late, row("bob", "same")]
        ada, bob = gradebook.grades(planned, journal, Groups.of(planned), best=False)
    assert ada.result is not None
    assert bob.result is not None
    assert (ada.result["notes"], bob.result["notes"]) == (["Late: by an hour", "of the image"], ["of the image"])
    book(tmp_path, ada, bob)
    assert [one["late"] for one in cells(tmp_path)] == ["yes", ""]
