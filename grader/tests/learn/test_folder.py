"""A folder is begun and set back, and nothing is lost or written outside of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from grader.course.exercise import find_course, resolve
from grader.errors import UsageError
from grader.learn import folder as folders
from grader.submission.collect import collect
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from pathlib import Path

    from grader.course.exercise import Exercise

SUBMIT = ["Dockerfile", "Dockerfile.dockerignore"]


@pytest.fixture
def exercise(tmp_path: Path) -> Exercise:
    write_files(tmp_path / "exercises", {"course.yaml": "title: A course\n"})
    starter = {"starter/Dockerfile": "FROM x\n", "starter/app/main.py": "1\n", "README.md": "# The task\n"}
    write_files(tmp_path / "exercises/02-two", {"rubric.yaml": "title: Two\n"} | starter)
    return find_course(tmp_path).exercises[0]


def texts(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def backed_up(folder: Path) -> dict[str, str]:
    (kept,) = (folder / ".grader-backups").iterdir()
    return texts(kept)


def restore(exercise: Exercise, folder: Path) -> Path | None:
    return folders.restore(exercise, folders.restoring(exercise, folder, SUBMIT))


def test_it_has_the_starter_the_task_and_a_marker(tmp_path: Path, exercise: Exercise) -> None:
    folders.begin(exercise, tmp_path / "mine")
    assert texts(tmp_path / "mine") == {
        "Dockerfile": "FROM x\n",
        "app/main.py": "1\n",
        "README.md": "# The task\n",
        ".grader": '{"exercise": "02-two"}\n',
    }
    assert resolve(exercise.course, None, cwd=tmp_path / "mine/app").id == "02-two"


def test_an_empty_folder_is_as_good_as_a_new_one(tmp_path: Path, exercise: Exercise) -> None:
    (tmp_path / "mine").mkdir()
    folders.begin(exercise, tmp_path / "mine")
    with pytest.raises(UsageError, match=r"not empty: \.grader, Dockerfile"):
        folders.begin(exercise, tmp_path / "mine")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="a file of that name"):
        folders.begin(exercise, tmp_path / "file")


def test_a_read_only_course_gives_a_folder_that_can_be_written(tmp_path: Path, exercise: Exercise) -> None:
    (exercise.starter / "Dockerfile").chmod(0o444)
    folders.begin(exercise, tmp_path / "mine")
    assert (tmp_path / "mine/Dockerfile").stat().st_mode & 0o200


def test_what_is_ours_in_the_folder_is_not_handed_in(tmp_path: Path, exercise: Exercise) -> None:
    folders.begin(exercise, tmp_path / "mine")
    (tmp_path / "mine/Dockerfile").write_text("FROM y\n")
    restore(exercise, tmp_path / "mine")
    found = collect(exercise.starter, tmp_path / "mine", ["**/*file", "Dockerfile"])
    assert sorted(found.files) == ["Dockerfile", "app/main.py"]
    assert found.ignored == ()


def test_reset_keeps_what_it_replaces(tmp_path: Path, exercise: Exercise) -> None:
    mine = tmp_path / "mine"
    folders.begin(exercise, mine)
    assert folders.restoring(exercise, mine, SUBMIT).nothing
    write_files(mine, {"Dockerfile": "FROM y\n", "Dockerfile.dockerignore": "*\n", "notes.txt": "mine\n"})
    (mine / "app/main.py").unlink()
    plan = folders.restoring(exercise, mine, SUBMIT)
    assert (plan.replaced, plan.missing, plan.extra) == (
        ("Dockerfile",),
        ("app/main.py",),
        ("Dockerfile.dockerignore",),
    )
    restore(exercise, mine)
    assert backed_up(mine) == {"Dockerfile": "FROM y\n", "Dockerfile.dockerignore": "*\n"}
    assert {name: text for name, text in texts(mine).items() if not name.startswith(".grader")} == {
        "Dockerfile": "FROM x\n",
        "app/main.py": "1\n",
        "README.md": "# The task\n",
        "notes.txt": "mine\n",
    }
    assert folders.restoring(exercise, mine, SUBMIT).nothing


def test_each_reset_has_a_backup_of_its_own(tmp_path: Path, exercise: Exercise) -> None:
    folders.begin(exercise, tmp_path / "mine")
    kept = []
    for text in ("FROM a\n", "FROM b\n", "FROM c\n"):
        (tmp_path / "mine/Dockerfile").write_text(text)
        kept.append(restore(exercise, tmp_path / "mine"))
    assert [(each / "Dockerfile").read_text() for each in kept if each] == ["FROM a\n", "FROM b\n", "FROM c\n"]


@pytest.mark.skipif(os.name == "nt", reason="symlinks ask for rights there")
def test_nothing_is_written_through_a_symlink(tmp_path: Path, exercise: Exercise) -> None:
    mine, outside = tmp_path / "mine", tmp_path / "outside"
    folders.begin(exercise, mine)
    write_files(outside, {"Dockerfile": "FROM outside\n", "app/main.py": "outside\n", "marker": "outside"})
    (mine / "Dockerfile").unlink()
    (mine / "Dockerfile").symlink_to(outside / "Dockerfile")
    (mine / "app/main.py").unlink()
    (mine / "app").rmdir()
    (mine / "app").symlink_to(outside / "app")
    (mine / ".grader").unlink()
    (mine / ".grader").symlink_to(outside / "marker")
    restore(exercise, mine)
    assert texts(outside) == {"Dockerfile": "FROM outside\n", "app/main.py": "outside\n", "marker": "outside"}
    assert (mine / "app/main.py").read_text() == "1\n"
    assert not (mine / "app").is_symlink()
    assert resolve(exercise.course, None, cwd=mine).id == "02-two"


def test_a_folder_where_a_file_belongs_is_put_aside(tmp_path: Path, exercise: Exercise) -> None:
    folders.begin(exercise, tmp_path / "mine")
    (tmp_path / "mine/Dockerfile").unlink()
    write_files(tmp_path / "mine/Dockerfile", {"inside": "mine\n"})
    restore(exercise, tmp_path / "mine")
    assert backed_up(tmp_path / "mine") == {"Dockerfile/inside": "mine\n"}
    assert (tmp_path / "mine/Dockerfile").read_text() == "FROM x\n"
