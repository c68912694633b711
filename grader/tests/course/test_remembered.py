"""Of a rubric that was read before the settings are known at once; the rest is read when it is asked for."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from grader.checks import types
from grader.course import remembered, rubric
from grader.errors import EngineError, RubricError
from grader.tests.cli.programs import WITH_APP

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from grader.checks.base import Check


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


def test_a_rubric_read_before_is_read_when_more_than_its_settings_is_asked_for(
    file: Path, readings: list[Path]
) -> None:
    first = remembered.load(file, types)
    assert readings == [file]
    again = remembered.load(file, types)
    assert again.settings == first.settings
    assert again.settings.checks == {"builds": False, "answers": True}
    assert again.settings.app is not None
    assert (again.settings.app.port, again.settings.app.within) == (5000, 60.0)
    assert readings == [file]
    assert (again.checks, again.digest, again.pass_score) == (first.checks, first.digest, first.pass_score)
    assert readings == [file, file]


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


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"app": null}', b"\xff"])
def test_a_damaged_memory_is_no_memory(damage: bytes, file: Path, memory: Path, readings: list[Path]) -> None:
    kept = remembered.load(file, types).settings
    (written,) = memory.iterdir()
    written.write_bytes(damage)
    assert remembered.load(file, types).settings == kept
    assert readings == [file, file]


def test_a_memory_that_does_not_agree_with_the_file_is_an_error_of_ours_and_forgotten(file: Path, memory: Path) -> None:
    remembered.load(file, types)
    (written,) = memory.iterdir()
    written.write_text(written.read_text().replace("debian:bookworm-slim", "debian:trixie"))
    false = remembered.load(file, types)
    with pytest.raises(EngineError, match="does not agree"):
        _ = false.checks
    assert remembered.load(file, types).settings.bases == ("debian:bookworm-slim",)


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
