"""Who is graded in what order, and what of it is the same."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from grader.bulk import plan
from grader.bulk.groups import Groups
from grader.bulk.learner import Handed, Learner
from grader.checks import types
from grader.course import rubric as rubrics
from grader.course.exercise import find_course, resolve
from grader.tests.cli.programs import RUBRIC, course, run
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from pathlib import Path

    from grader.bulk.due import Due


def committed(folder: Path, text: str, date: str) -> Handed:
    """A repository whose one commit was made then."""
    write_files(folder, {"Dockerfile": text})
    env = {"PATH": "/usr/bin:/bin:/usr/local/bin", "GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date}
    names = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "."), (*names, "commit", "-qm", "x")):
        subprocess.run(["git", "-C", str(folder), *words], check=True, env=env, capture_output=True)
    return Handed("ada", str(folder))


def rows(root: Path, *learners: Learner, attempts: str = "latest", last: Due | None = None) -> list[plan.Row]:
    exercises, _ = course(root, RUBRIC, "FROM scratch\n")
    exercise = resolve(find_course(exercises), "1")
    rubric = rubrics.load(exercise.rubric_path, types())
    return list(plan.rows(learners, exercise, rubric, (), attempts=attempts, last=last))


def test_the_latest_is_told_by_the_commits(tmp_path: Path) -> None:
    new = committed(tmp_path / "a-new", "FROM scratch\n", "2026-11-20T10:00:00Z")
    old = committed(tmp_path / "b-old", "FROM scratch\n# old\n", "2026-11-19T10:00:00Z")
    (found,) = rows(tmp_path, Learner("ada", (new, old)))
    assert found.handed is not None
    assert found.handed.source == new.source
    assert found.handed.submitted == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert (found.attempt, found.attempts) == (2, 2)


def test_what_cannot_be_read_is_trouble_and_the_others_are_graded(tmp_path: Path) -> None:
    write_files(tmp_path / "bob", {"Dockerfile": "FROM scratch\n"})
    ada, bob = rows(
        tmp_path,
        Learner("ada", (Handed("ada", str(tmp_path / "gone.zip")),)),
        Learner("bob", (Handed("bob", str(tmp_path / "bob")),)),
    )
    assert ada.key is None
    assert "No such file" in ada.trouble
    assert bob.key is not None


def test_attempts_of_one_learner_are_no_group(tmp_path: Path) -> None:
    write_files(tmp_path / "x", {"Dockerfile": "FROM scratch\n"})
    write_files(tmp_path / "y", {"Dockerfile": "FROM scratch\n# not the same\n"})
    twice = tuple(Handed("ada", str(tmp_path / name)) for name in "xxy")
    assert Groups.of(rows(tmp_path, Learner("ada", twice), attempts="all")) == Groups()


def test_a_group_of_many_names_a_few(tmp_path: Path) -> None:
    write_files(tmp_path / "x", {"Dockerfile": "FROM scratch\n"})
    write_files(tmp_path / "y", {"Dockerfile": "FROM scratch\n# not the same\n"})
    learners = [Learner(f"l{n}", (Handed(f"l{n}", str(tmp_path / "x")),)) for n in range(8)]
    found = rows(tmp_path, *learners, Learner("y", (Handed("y", str(tmp_path / "y")),)))
    groups = Groups.of(found)
    assert groups.same_as(found[0]) == "l1; l2; l3; l4; l5; and 2 more"
    assert groups.similar_to(found[0]) == "y"
    assert groups.similar_to(found[8]) == "l0; l1; l2; l3; l4; and 3 more"
    assert [len(names) for names in groups.alike()] == [9]


@pytest.mark.parametrize(
    ("name", "told"), [("adda", "Did you mean ada?"), ("eror", "Did you mean errors?"), ("zzzz", "gradebook")]
)
def test_a_name_to_grade_again_that_is_nobodys_is_refused(tmp_path: Path, name: str, told: str) -> None:
    exercises, _ = course(tmp_path, RUBRIC, "FROM scratch\n")
    write_files(tmp_path / "in/ada", {"Dockerfile": "FROM scratch\n"})
    out = ("--out", str(tmp_path / "out"), "--course", str(exercises))
    done = run("grader", "bulk", "1", str(tmp_path / "in"), *out, "--rerun", name)
    assert done.returncode == 2
    assert told in done.stderr
