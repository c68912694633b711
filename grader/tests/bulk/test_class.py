"""A small class, graded by the real command on a real engine: also when it is interrupted."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from grader.engine.leftovers import RUN
from grader.tests.cli.programs import PLAIN, command, course, run, until
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from pathlib import Path

    from grader.engine.connect import Engine

Left = Callable[[], set[str]]
RUBRIC = """\
format: 1
title: Tiny
submit: [Dockerfile]
pass: 20
bases: ["debian:bookworm-slim"]
checks:
  - {id: builds, check: build, points: 10, required: true}
  - {id: there, check: present, path: /made, text: right, points: 10}
"""
GOOD = "FROM debian:bookworm-slim\nRUN echo right > /made\n"
needs_signals = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows sends no signals to programs")


def classroom(root: Path, *, size: int = 8) -> tuple[Path, Path]:
    """The course, and submissions: three good ones of the same files, a wrong one, archives, an empty folder."""
    exercises, _ = course(root, RUBRIC, GOOD)
    place = root / "in"
    for name in ("ada", "bob", "cyd"):
        write_files(place / name, {"Dockerfile": GOOD})
    write_files(place / "wrong", {"Dockerfile": GOOD.replace("right", "wrong")})
    (place / "empty").mkdir()
    (place / "broken.zip").write_bytes(b"PK\3\4 nonsense")
    with zipfile.ZipFile(place / "zipped.zip", "w") as archive:
        archive.writestr("my work/Dockerfile", GOOD)
    for number in range(size - 7):
        write_files(place / f"more-{number}", {"Dockerfile": GOOD + f"LABEL number={number}\n"})
    return exercises, place


def arguments(exercises: Path, place: Path, out: Path, *more: str) -> list[str]:
    return ["bulk", "1", str(place), "--course", str(exercises), "--out", str(out), "--yes", *more]


def rows(out: Path) -> dict[str, dict[str, str]]:
    found = csv.DictReader(io.StringIO((out / "gradebook.csv").read_text()))
    return {row["learner"]: row for row in found}


def verdicts(out: Path) -> int:
    """Verdicts in the journal; none while there is no journal."""
    try:
        with sqlite3.connect(f"file:{out / 'journal.db'}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT count(*) FROM verdict").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


@pytest.fixture
def left(engine: Engine) -> Left:
    """What gradings have left in the engine since the test began."""

    def there() -> set[str]:
        only = {"label": RUN}
        containers, images = engine.client.containers(all=True, filters=only), engine.client.images(filters=only)
        return {one["Id"] for one in (*containers, *images)}

    before = there()
    return lambda: there() - before


def test_a_class_is_graded_once_and_kept(left: Left, tmp_path: Path) -> None:
    exercises, place = classroom(tmp_path)
    roster = tmp_path / "roster.csv"
    roster.write_text("learner\nada\nabsent\n")
    out = tmp_path / "out"
    done = run("grader", *arguments(exercises, place, out, "--roster", str(roster)))
    assert done.returncode == 0, done.stderr
    found = rows(out)
    told = {name: (row["status"], row["score"], row["builds"], row["there"]) for name, row in found.items()}
    assert told == {
        "absent": ("missing", "0", "", ""),
        "ada": ("passed", "20", "10", "10"),
        "bob": ("passed", "20", "10", "10"),
        "broken": ("failed", "0", "0", "0"),
        "cyd": ("passed", "20", "10", "10"),
        "empty": ("failed", "0", "0", "0"),
        "more-0": ("passed", "20", "10", "10"),
        "wrong": ("failed", "10", "10", "0"),
        "zipped": ("passed", "20", "10", "10"),
    }
    assert found["ada"]["same_files_as"] == "bob; cyd; zipped"
    assert found["wrong"]["same_files_as"] == ""
    for name in ("ada", "zipped"):
        result = json.loads((out / found[name]["result"]).read_text())
        assert result["submission"]["name"] == name
    assert "5 submissions to grade; 3 more have the same files as one of these" in done.stderr
    until(lambda: not left(), "nothing is left")

    again = run("grader", *arguments(exercises, place, out, "--roster", str(roster)))
    assert "0 submissions to grade; 5 have a verdict already" in again.stderr
    assert not (out / "gradebook.1.csv").exists()

    # The author asks for something else now: that is another verdict for everybody, and the old gradebook is kept.
    (exercises / "01-tiny/rubric.yaml").write_text(RUBRIC.replace("text: right", "text: wrong"))
    changed = run("grader", *arguments(exercises, place, out))
    assert "5 submissions to grade" in changed.stderr
    assert rows(out)["wrong"]["status"] == "passed"
    assert "changed: wrong: failed 10 -> passed 20" in changed.stdout
    assert "failed,10" in (out / "gradebook.1.csv").read_text()


@needs_signals
def test_ctrl_c_ends_what_runs_and_twice_drops_it(left: Left, tmp_path: Path) -> None:
    exercises, place = classroom(tmp_path, size=7)
    write_files(place / "aaa-slow", {"Dockerfile": f"FROM debian:bookworm-slim\nRUN sleep 600 # {tmp_path}\n"})
    out = tmp_path / "out"
    process = subprocess.Popen(
        command("grader", *arguments(exercises, place, out, "--jobs", "2")),
        env=PLAIN,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: verdicts(out) == 4, "all others have a verdict")
    # As a terminal does it: to every process of the group.
    os.killpg(process.pid, signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=1.5)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    until(lambda: not left(), "nothing is left")
    assert rows(out)["ada"]["status"] == "passed"
    assert rows(out)["aaa-slow"]["status"] == "error"
