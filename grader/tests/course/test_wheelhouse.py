"""The packages that an exercise brings: what of them is held to the lock, and what an author is told."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from grader.authoring import wheels
from grader.checks import types
from grader.course import rubric, wheelhouse
from grader.errors import RubricError
from grader.tests.conftest import exercise_folder, write_files

if TYPE_CHECKING:
    from pathlib import Path

CHECKS = [{"check": "build"}]
OFFLINE = {"network": "none", "wheelhouse": "requirements.txt"}
WHEEL = "six-1.17.0-py2.py3-none-any.whl"


@pytest.fixture
def exercise(tmp_path: Path) -> Path:
    own = {"requirements.txt": "six\n", f"{wheelhouse.FOLDER}/{WHEEL}": "a wheel"}
    folder = exercise_folder(tmp_path, CHECKS, own=own, build=OFFLINE)
    write_files(folder, {wheelhouse.LOCK: wheelhouse.locked({WHEEL: digest("a wheel")}, "a test's")})
    return folder


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def mistake(exercise: Path) -> RubricError:
    with pytest.raises(RubricError) as caught:
        rubric.load(exercise / "rubric.yaml", types())
    return caught.value


def test_what_the_lock_names_is_there(exercise: Path) -> None:
    settings = rubric.load(exercise / "rubric.yaml", types()).settings
    assert (settings.build_network, settings.wheelhouse) == (False, "requirements.txt")
    wheelhouse.require(exercise, "requirements.txt")


def test_a_missing_wheelhouse_is_told_with_its_line_and_the_command(exercise: Path) -> None:
    (wheelhouse.folder_of(exercise) / WHEEL).unlink()
    error = mistake(exercise)
    assert "missing or empty" in error.what
    assert "grader wheelhouse 01-tiny" in error.fix
    assert "rubric.yaml:" in error.where
    with pytest.raises(RubricError, match="missing or empty"):
        wheelhouse.require(exercise, "requirements.txt")
    # What is about to make it must be able to read the rest.
    assert rubric.load(exercise / "rubric.yaml", types(), whole=False).build.wheelhouse == "requirements.txt"


def test_another_file_of_the_same_name_is_not_what_was_locked(exercise: Path) -> None:
    (wheelhouse.folder_of(exercise) / WHEEL).write_text("another wheel")
    assert f"{WHEEL}` is not what `wheelhouse.txt` names" in mistake(exercise).what


def test_a_file_that_the_lock_does_not_know(exercise: Path) -> None:
    (wheelhouse.folder_of(exercise) / "more.whl").write_text("more")
    assert "more.whl` is not" in mistake(exercise).what


def test_a_package_that_is_not_there(exercise: Path) -> None:
    with (exercise / wheelhouse.LOCK).open("a") as lock:
        lock.write(f"flask==3.1.3 \\\n    --hash=sha256:{digest('x')} \\\n    --hash=sha256:{digest('y')}\n")
    assert "has no flask" in mistake(exercise).what


@pytest.mark.parametrize(("file", "words"), [("starter/requirements.txt", "no `starter/requirements.txt`"),
                                             (wheelhouse.LOCK, "no `wheelhouse.txt`")])  # fmt: skip
def test_files_that_are_not_there(exercise: Path, file: str, words: str) -> None:
    (exercise / file).unlink()
    assert words in mistake(exercise).what


def test_a_lock_line_without_a_hash_says_nothing(exercise: Path) -> None:
    (exercise / wheelhouse.LOCK).write_text("six==1.17.0\n")
    assert "does not say which file" in mistake(exercise).what


def test_a_lock_names_projects_and_versions() -> None:
    files = {"Flask_X-3.1-1-py3-none-any.whl": "a", "xx-hash-4.1.0.tar.gz": "b", "z-1.zip": "c"}
    lines = wheelhouse.locked(files, "here").splitlines()[1:]
    assert [line.partition(" ")[0] for line in lines] == ["flask-x==3.1", "xx-hash==4.1.0", "z==1"]


def test_source_archives_bring_what_they_are_built_with(tmp_path: Path) -> None:
    import io  # noqa: PLC0415
    import tarfile  # noqa: PLC0415

    def sdist(files: dict[str, str]) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as archive:
            for name, text in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        return out.getvalue()

    says = sdist({"a-1/sub/pyproject.toml": "x", "a-1/pyproject.toml": '[build-system]\nrequires = ["flit-core"]\n'})
    found = {"a-1.tar.gz": says, "b-1.tar.gz": sdist({"b-1/setup.py": ""}), "c-1-py3-none-any.whl": b""}
    assert set(wheels._build_requirements(found)) == {"flit-core", "setuptools>=40.8.0", "wheel"}


@pytest.mark.parametrize(
    ("build", "words"),
    [
        ({"network": "none", "remote_add": ["https://example.com/*"]}, "`network: none` takes that"),
        ({"remote_add": ["https://*/x"]}, "names no host"),
        ({"remote_add": ["*"]}, "names no host"),
        ({"network": "host"}, "internet"),
        ({"wheelhouse": "../x"}, "leaves the exercise"),
    ],
)
def test_what_a_rubric_cannot_ask_of_builds(tmp_path: Path, build: dict[str, object], words: str) -> None:
    error = mistake(exercise_folder(tmp_path, CHECKS, build=build))
    assert words in f"{error.what} {error.fix}"


def test_addresses_are_handed_on(tmp_path: Path) -> None:
    folder = exercise_folder(tmp_path, CHECKS, build={"remote_add": ["https://example.com/*", "git@example.com:me/*"]})
    assert len(rubric.load(folder / "rubric.yaml", types()).settings.remote_add) == 2
