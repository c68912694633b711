"""A rubric that was read before is not read again: its settings are known at once, the rest when it is asked for."""

from __future__ import annotations

import collections
import io
import os
import pathlib
import pickle
import subprocess
import sys
from enum import Enum
from typing import TYPE_CHECKING

import pytest

import grader
from grader.checks import types
from grader.course import remembered, rubric
from grader.course.exercise import find_course
from grader.errors import RubricError
from grader.tests.cli.programs import WITH_APP

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from grader.checks.base import Check
    from grader.course.exercise import Exercise


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(remembered, "_folder", lambda: tmp_path / "memory")
    return tmp_path / "memory"


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read as a whole, one entry a time."""
    read: list[Path] = []
    real = rubric.load

    def counted(path: Path, check_types: Mapping[str, type[Check]]) -> rubric.Rubric:
        read.append(path)
        return real(path, check_types)

    monkeypatch.setattr(rubric, "load", counted)
    return read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rubric.yaml"
    path.write_text(WITH_APP)
    return path


def test_a_rubric_read_before_is_not_read_again(file: Path, readings: list[Path]) -> None:
    first = remembered.load(file, types)
    again = remembered.load(file, types)
    assert again.settings == first.settings
    assert again.settings.checks == {"builds": False, "answers": True}
    assert again.settings.app is not None
    assert (again.settings.app.port, again.settings.app.within) == (5000, 60.0)
    assert (again.checks, again.digest, again.pass_score) == (first.checks, first.digest, first.pass_score)
    assert (again.path, again.app) == (file, first.app)
    assert readings == [file]


def test_whatever_python_makes_of_an_enumeration(
    file: Path, readings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As Python 3.11.2 does, and whoever could have that called could have anything called.
    monkeypatch.setattr(Enum, "__reduce_ex__", lambda self, _: (getattr, (self.__class__, self.name)))
    first = remembered.load(file, types)
    assert any(isinstance(value, Enum) for check in first.checks for value in vars(check).values())
    assert remembered.load(file, types).checks == first.checks
    assert readings == [file]


@pytest.mark.parametrize("exercise", find_course().exercises, ids=lambda exercise: exercise.id)
def test_what_is_kept_is_what_was_read(exercise: Exercise) -> None:
    read = remembered.load(exercise.rubric_path, types)
    kept = remembered.load(exercise.rubric_path, types)
    assert type(read) is not type(kept)
    assert [vars(check) for check in kept.checks] == [vars(check) for check in read.checks]
    assert (kept.settings, kept.build, kept.limits) == (read.settings, read.build, read.limits)


def test_the_same_rubric_elsewhere_lies_there(file: Path, tmp_path: Path, readings: list[Path]) -> None:
    remembered.load(file, types)
    (tmp_path / "other").mkdir()
    other = file.rename(tmp_path / "other" / "rubric.yaml")
    assert remembered.load(other, types).path == other
    assert readings == [file]


def test_other_bytes_are_another_rubric(file: Path, readings: list[Path]) -> None:
    remembered.load(file, types)
    file.write_text(WITH_APP.replace("debian:bookworm-slim", "python:3.11-slim"))
    assert remembered.load(file, types).settings.bases == ("python:3.11-slim",)
    assert readings == [file, file]


def test_a_broken_rubric_is_told_at_once_each_time(file: Path) -> None:
    file.write_text(WITH_APP.replace("points: 10", "points: -1"))
    for _ in range(2):
        with pytest.raises(RubricError, match="points"):
            remembered.load(file, types)


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b"\x80\x05.", b"N.", pickle.dumps(print)])
@pytest.mark.parametrize("good", [0, 1])
def test_a_damaged_memory_is_no_memory(
    damage: bytes, good: int, file: Path, memory: Path, readings: list[Path]
) -> None:
    """Either of the two things that it holds may be damaged."""
    kept = remembered.load(file, types)
    (written,) = memory.iterdir()
    written.write_bytes(pickle.dumps(kept.settings) * good + damage)
    again = remembered.load(file, types)
    assert (again.settings, again.title) == (kept.settings, kept.title)
    assert readings == [file, file]
    assert remembered.load(file, types).checks == kept.checks


@pytest.mark.parametrize(
    "evil", [os.system, pathlib.PurePath("a"), subprocess.Popen, remembered.load, collections.OrderedDict(a=1)]
)
def test_nothing_but_a_rubric_comes_out_of_a_memory(evil: object, file: Path, memory: Path) -> None:
    kept = remembered.load(file, types)
    with pytest.raises(pickle.UnpicklingError, match="no place in a rubric"):
        remembered._Ours(io.BytesIO(pickle.dumps(evil))).load()
    (written,) = memory.iterdir()
    written.write_bytes(pickle.dumps(evil))
    assert remembered.load(file, types).settings == kept.settings


def test_a_rubric_with_another_packages_check_is_read_each_time(file: Path, readings: list[Path]) -> None:
    class Theirs(types()["build"]):  # type: ignore[misc]
        pass

    for _ in range(2):
        remembered.load(file, lambda: {**types(), "build": Theirs})
    assert readings == [file, file]


def test_another_grader_reads_anew(file: Path, readings: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    remembered.load(file, types)
    monkeypatch.setattr(grader, "__version__", "another")
    remembered.load(file, types)
    monkeypatch.setattr(remembered, "_modules", lambda: iter([b"mended"]))
    remembered.load(file, types)
    assert readings == [file] * 3


def test_a_grading_of_a_rubric_read_before_goes_without_what_reads_one(file: Path, memory: Path) -> None:
    remembered.load(file, types)
    program = (
        "import sys\nfrom pathlib import Path\nfrom grader.checks import types\nfrom grader.course import remembered\n"
        f"remembered._folder = lambda: Path({str(memory)!r})\n"
        f"assert remembered.load(Path({str(file)!r}), types).checks\n"
        "print([name for name in ('pydantic', 'yaml') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_memory_that_cannot_be_written_is_missed_by_nobody(file: Path, memory: Path) -> None:
    memory.write_text("a file where the folder should be")
    assert remembered.load(file, types).title == "Tiny"
    assert remembered.load(file, types).title == "Tiny"


def test_the_oldest_are_forgotten(file: Path, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_MOST", 2)
    for name in ("one", "two", "three"):
        file.write_text(WITH_APP.replace("Tiny", name))
        remembered.load(file, types)
    assert len(list(memory.iterdir())) == 2


def test_nothing_that_a_build_can_do_without_is_imported_before_it() -> None:
    program = (
        "import sys\n"
        "from grader import cli, grading\n"
        "from grader.cli.progress import ProgressView\n"
        "from grader.course import exercise, remembered\n"
        "from grader.engine.connect import connect\n"
        "print([name for name in ('pydantic', 'yaml', 'rich', 'grader.engine.sandbox') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
