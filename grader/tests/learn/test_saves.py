from __future__ import annotations

import os
import queue
from typing import TYPE_CHECKING

import pytest

from grader.learn.saves import Saves
from grader.tests.cli.programs import until
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUBMIT = ["Dockerfile", ".dockerignore"]


class Told:
    """The saves that were told."""

    def __init__(self) -> None:
        self.times: queue.Queue[None] = queue.Queue()

    def __call__(self) -> None:
        self.times.put(None)

    def once(self) -> None:
        self.times.get(timeout=30)

    def no_more(self) -> bool:
        return self.times.empty()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path, {"Dockerfile": "FROM scratch\n", "notes.txt": "x"})
    return tmp_path


def no_events(saves: Saves) -> Iterator[set[object]]:
    while not saves._over.wait(0.02):
        yield set()


@pytest.fixture(params=["events", "no events come", "events cannot be had"])
def watched(folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Told]:
    """The folder, watched in every way that it may have to be."""

    def refused(_self: Saves) -> Iterator[set[object]]:
        raise OSError("too many watches")

    if request.param != "events":
        monkeypatch.setattr(Saves, "_events", no_events if "no" in request.param.split() else refused)
    told = Told()
    with Saves(folder, SUBMIT, told):
        yield told


def test_a_file_that_is_written_in_place(folder: Path, watched: Told) -> None:
    (folder / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    watched.once()


def test_a_file_that_an_editor_renames_a_new_one_over(folder: Path, watched: Told) -> None:
    """As vim does: the old one goes out of the way first, then the new one takes its place."""
    (folder / "Dockerfile").rename(folder / "Dockerfile~")
    (folder / ".Dockerfile.swp").write_text("FROM scratch\nLABEL a=b\n")
    (folder / ".Dockerfile.swp").rename(folder / "Dockerfile")
    (folder / "Dockerfile~").unlink()
    watched.once()


def test_a_file_that_was_not_there_before(folder: Path, watched: Told) -> None:
    (folder / ".dockerignore").write_text(".git\n")
    watched.once()


def test_what_does_not_count_is_not_told(folder: Path, watched: Told) -> None:
    (folder / "notes.txt").write_text("other")
    (folder / "sub").mkdir()
    # What comes after it is told: had the others been told, they would have been by then.
    (folder / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    watched.once()
    assert watched.no_more()


def test_a_change_without_an_event_shows_that_they_do_not_come(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Saves, "_events", no_events)
    told = Told()
    with Saves(folder, SUBMIT, told) as saves:
        # One may have happened before events were asked for; the next one tells.
        for number in range(2):
            (folder / "Dockerfile").write_text(f"FROM scratch\nLABEL a={number}\n")
            told.once()
        until(lambda: saves.polls, "it is known that events do not come")


def test_events_are_enough_where_they_come(folder: Path) -> None:
    told = Told()
    with Saves(folder, SUBMIT, told) as saves:
        for number in range(3):
            (folder / "Dockerfile").write_text(f"FROM scratch\nLABEL a={number}\n")
            told.once()
        assert not saves.polls


def test_a_glob_is_followed_into_folders_but_not_into_litter(folder: Path) -> None:
    write_files(folder, {"src/deep/a.py": "1", "src/__pycache__/a.py": "1"})
    told = Told()
    with Saves(folder, ["Dockerfile", "src/**/*.py"], told) as saves:
        assert set(saves._marks) == {"Dockerfile", "src/deep/a.py"}
        (folder / "src/deep/b.py").write_text("2")
        told.once()


@pytest.mark.skipif(os.name == "nt", reason="an open folder cannot be removed there")
def test_a_folder_that_goes_and_comes_back(folder: Path) -> None:
    told = Told()
    with Saves(folder, SUBMIT, told):
        moved = folder.with_name("moved")
        folder.rename(moved)
        told.once()
        moved.rename(folder)
        told.once()
