"""`grader wheelhouse`, as an author's shell starts it; pip downloads over the network that builds have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.course import wheelhouse
from grader.tests.cli.programs import run
from grader.tests.conftest import exercise_folder

if TYPE_CHECKING:
    from pathlib import Path

    from grader.engine.connect import Engine

CHECKS = [{"check": "build"}]
SLIM = ("python:3.11-slim",)


def test_a_wheelhouse_is_filled_and_from_then_on_pinned(tmp_path: Path, engine: Engine) -> None:
    # What the file says of where packages are is for builds, not for the one who gets them.
    own = {"requirements.txt": "--no-index\n--find-links /wheels\nitsdangerous==2.1.2\n"}
    build = {"network": "none", "wheelhouse": "requirements.txt"}
    folder = exercise_folder(tmp_path, CHECKS, own=own, build=build, base_images=SLIM)
    refused = run("grader", "bases", "1", "--list", cwd=tmp_path)
    assert refused.returncode == 2
    assert "grader wheelhouse 01-tiny" in refused.stderr

    first = run("grader", "wheelhouse", "1", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert first.stdout.endswith("wheelhouse.txt names them from now on.\n")
    assert [file.name for file in wheelhouse.folder_of(folder).iterdir()] == ["itsdangerous-2.1.2-py3-none-any.whl"]

    # The lock decides, not what the requirements say meanwhile.
    lock = (folder / wheelhouse.LOCK).read_text()
    (folder / "starter/requirements.txt").write_text("itsdangerous\n")
    (wheelhouse.folder_of(folder) / "itsdangerous-2.1.2-py3-none-any.whl").unlink()
    again = run("grader", "wheelhouse", "1", cwd=tmp_path)
    assert again.stdout.endswith("as wheelhouse.txt names them.\n"), again.stderr
    assert (folder / wheelhouse.LOCK).read_text() == lock
    wheelhouse.require(folder, "requirements.txt")


def test_what_cannot_be_had_says_so(tmp_path: Path, engine: Engine) -> None:
    build = {"network": "none", "wheelhouse": "requirements.txt"}
    exercise_folder(tmp_path, CHECKS, own={"requirements.txt": "itsdangerous==0.0.99\n"}, build=build, base_images=SLIM)
    failed = run("grader", "wheelhouse", "1", cwd=tmp_path)
    assert failed.returncode == 2, failed.stderr
    assert "pip could not download" in failed.stderr
    assert "itsdangerous==0.0.99" in failed.stderr
    other = run("grader", "wheelhouse", "1", "--image", "debian:bookworm-slim", cwd=tmp_path)
    assert other.returncode == 2
    assert "no base image of this exercise" in other.stderr


def test_an_exercise_that_asks_for_none(tmp_path: Path) -> None:
    exercise_folder(tmp_path, CHECKS)
    done = run("grader", "wheelhouse", "1", cwd=tmp_path)
    assert done.returncode == 2
    assert "wheelhouse: requirements.txt" in done.stderr
