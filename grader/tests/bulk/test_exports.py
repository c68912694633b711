"""What other systems import: their own columns, and nobody's score deleted or invented."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from grader.bulk.exports import SYSTEMS, Exports
from grader.bulk.gradebook import Grade
from grader.bulk.learner import Handed, Learner
from grader.bulk.plan import Row
from grader.tests.bulk.classes import RUBRIC, verdict
from grader.tests.reports.results import ERROR

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TIME = datetime(2026, 11, 20, 10, tzinfo=UTC)


def written(
    out: Path, system: str, listed: Mapping[str, Mapping[str, str]], ids: Mapping[str, str] | None = None
) -> tuple[list[list[str]], list[str]]:
    """The file of a class of four: graded, graded, not to be graded, nothing handed in; and what was told of it."""
    names = ("Ada", "=Bob", "Cyd", "Dan")
    exports = Exports([system], {name: Learner(name, (), listed.get(name, {})) for name in names})
    for name, result in zip(names, (verdict(small=True), verdict(), ERROR, None), strict=True):
        handed = Handed(name, f"in/{name}", submitted=TIME, ids=ids or {}) if result else None
        exports.add(Grade(Row(name, handed, 1, 1), result.to_json() if result else None))
    told = exports.write(out, RUBRIC, "03-multi-stage-builds")
    return list(csv.reader(io.StringIO((out / f"{system}.csv").read_text()))), told


def test_github_classrooms_columns(tmp_path: Path) -> None:
    ada = {"identifier": "ada@x", "github_username": "adal"}
    (header, *rows), told = written(tmp_path, "github", {"Ada": ada})
    assert ",".join(header) == (
        "assignment_name,assignment_url,starter_code_url,github_username,roster_identifier,student_repository_name,"
        "student_repository_url,submission_timestamp,points_awarded,points_available"
    )
    assert rows == [
        ["03-multi-stage-builds", "", "", "adal", "ada@x", "", "", "2026-11-20T10:00:00Z", "32.5", "57.5"],
        ["03-multi-stage-builds", "", "", "'=Bob", "", "", "", "2026-11-20T10:00:00Z", "10", "57.5"],
        ["03-multi-stage-builds", "", "", "Dan", "", "", "", "", "0", "57.5"],
    ]
    assert told == []


def test_canvas_columns_and_its_row_of_points(tmp_path: Path) -> None:
    columns = {
        "student": "Ada", "id": "5512", "sis user id": "S1", "sis login id": "ada1", "section": "A",
        "multi-stage builds (77)": "",
    }  # fmt: skip
    (header, possible, *rows), told = written(tmp_path, "canvas", {"Ada": columns})
    assert header == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Multi-stage builds (77)"]
    assert possible == ["Points Possible", "", "", "", "", "57.5"]
    assert rows == [
        ["Ada", "5512", "S1", "ada1", "A", "32.5"],
        ["'=Bob", "", "", "", "", "10"],
        ["Dan", "", "", "", "", "0"],
    ]
    (note,) = told
    assert "2 have no identifier" in note
    assert "--roster" in note


def test_moodles_worksheet(tmp_path: Path) -> None:
    columns = {"identifier": "Teilnehmer/in 12", "full name": "Ada L", "last modified (grade)": "Monday"}
    (header, *rows), told = written(tmp_path, "moodle", {"Ada": columns}, {"moodle": "1234"})
    assert header[:2] == ["Identifier", "Full name"]
    by_name = {row[1]: dict(zip(header, row, strict=True)) for row in rows}
    assert by_name["Ada L"]["Identifier"] == "Teilnehmer/in 12"
    assert by_name["Ada L"]["Last modified (grade)"] == "Monday"
    assert by_name["'=Bob"]["Identifier"] == "Participant 1234"
    assert (by_name["'=Bob"]["Grade"], by_name["'=Bob"]["Maximum Grade"]) == ("10", "57.5")
    assert "Dan" not in by_name, "a row without a number is none to Moodle"
    assert "1 have no identifier" in told[0]


@pytest.mark.parametrize("system", SYSTEMS)
def test_who_has_no_verdict_has_no_row(tmp_path: Path, system: str) -> None:
    rows, _ = written(tmp_path, system, {}, {"moodle": "1", "canvas": "2"})
    assert "Ada" in str(rows)
    assert "Cyd" not in str(rows)


def test_of_several_attempts_the_last_is_handed_on(tmp_path: Path) -> None:
    exports = Exports(["github"], {"Ada": Learner("Ada")})
    for attempt, result in enumerate((verdict(small=True), verdict()), start=1):
        exports.add(Grade(Row("Ada", Handed("Ada", "x"), attempt, 2), result.to_json()))
    exports.write(tmp_path, RUBRIC, "x")
    assert (tmp_path / "github.csv").read_text().count("Ada") == 1
    assert ",10,57.5" in (tmp_path / "github.csv").read_text()
