"""What learners get: their own verdict, and nothing that was not theirs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from grader.bulk import feedback
from grader.bulk.gradebook import Grade
from grader.bulk.learner import Handed
from grader.bulk.one import Grader
from grader.bulk.plan import Row
from grader.bulk.pool import Job, Setting
from grader.result import SubmissionResult
from grader.tests.bulk.classes import verdict
from grader.tests.cli.programs import RUBRIC, course
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from pathlib import Path


def grade(handed: Path, digest: str | None = "sha256:ab") -> Grade:
    result = replace(verdict(), submission=SubmissionResult("ada", digest))
    return Grade(Row("ada", Handed("ada", str(handed)), 1, 1), result.to_json(), file="ada")


def page(out: Path) -> str:
    return (out / "feedback/ada.html").read_text()


def test_the_dockerfile_is_quoted(tmp_path: Path) -> None:
    write_files(tmp_path / "in", {"Dockerfile": "FROM scratch # of her own\n"})
    feedback.write(tmp_path, grade(tmp_path / "in"))
    assert "of her own" in page(tmp_path)
    assert json.loads((tmp_path / "results/ada.json").read_text())["schema"] == "grader.result/1"


def test_a_link_shows_nobody_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the instructor's own\n")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/Dockerfile").symlink_to(tmp_path / "secret")
    for digest in (None, "sha256:ab"):
        feedback.write(tmp_path, grade(tmp_path / "in", digest))
        assert "instructor" not in page(tmp_path)


def test_what_is_there_is_not_written_again_and_what_is_missing_is(tmp_path: Path) -> None:
    write_files(tmp_path / "in", {"Dockerfile": "FROM scratch\n"})
    feedback.write(tmp_path, grade(tmp_path / "in"))
    (tmp_path / "in/Dockerfile").write_text("FROM another\n")
    feedback.write(tmp_path, grade(tmp_path / "in"))
    assert "another" not in page(tmp_path), "the verdict is the same, and is of what was there then"
    (tmp_path / "feedback/ada.md").unlink()
    (tmp_path / "results/ada.json").unlink()
    feedback.write(tmp_path, grade(tmp_path / "in"))
    assert (tmp_path / "feedback/ada.md").is_file()
    assert (tmp_path / "results/ada.json").is_file()


def test_who_has_no_verdict_gets_none(tmp_path: Path) -> None:
    feedback.write(tmp_path, Grade(Row("ada"), None, file="ada"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("files", [{"notes": "x"}, {"dockerfile": "x"}, {"Dockerfile": "x" * 2_000_000}])
def test_a_refusal_does_not_tell_where_it_lay(tmp_path: Path, files: dict[str, str]) -> None:
    """Who hands in the same shares it, and had it elsewhere."""
    exercises, _ = course(tmp_path, RUBRIC, "FROM scratch\n")
    write_files(tmp_path / "in/ada", files)
    grader = Grader(Setting(exercises / "01-tiny"))
    result = grader.grade(Job("ada", Handed("ada", str(tmp_path / "in/ada"))))
    assert result["status"] == "failed"
    assert str(tmp_path) not in json.dumps(result)
