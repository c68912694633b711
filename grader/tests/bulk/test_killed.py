"""Runs that are killed, and runs at once: what comes out is what one run makes that nobody disturbs."""

from __future__ import annotations

import json
import random
import re
import sqlite3
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

from grader.tests.bulk.test_class import arguments, left, needs_signals, verdicts
from grader.tests.cli.programs import course, run, start, until
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from grader.tests.bulk.test_class import Left

__all__ = ["left"]

RUBRIC = """\
format: 1
title: Tiny
submit: [Dockerfile]
pass: 20
bases: ["debian:bookworm-slim"]
checks:
  - {id: builds, check: build, points: 10, required: true}
  - {id: right, check: config, labels: {answer: right}, points: 10}
"""
GOOD = "FROM scratch\nCOPY Dockerfile /\nLABEL answer=right\n"
KILLS, SIZE, DISTINCT = 20, 28, 24
#: Keys of a result whose values are times, or ids that each build makes anew.
_FLEETING = {"started", "duration", "phases", "image", "build", "steps", "evidence"}


def classroom(root: Path) -> tuple[Path, Path]:
    """Some pass, some fail, some have handed in the same or what is none."""
    exercises, _ = course(root, RUBRIC, GOOD)
    place = root / "in"
    for number in range(SIZE):
        kind = number % DISTINCT
        text = GOOD.replace("right", "wrong") if kind % 3 == 0 else "FROM\n" if kind % 7 == 1 else GOOD
        write_files(place / f"learner-{number:02}", {"Dockerfile": text + f"# {kind}\n"})
    return exercises, place


def moments(out: Path) -> list[Callable[[], bool]]:
    """When the runs are killed, one after the other: as verdicts come in, and then while files are written."""
    chosen = random.Random(7)  # the same in every run of the suite
    graded = sorted(chosen.sample(range(DISTINCT - 4), KILLS - 6))
    # Some more than it takes: on a busy machine a run may have ended before anybody looks.
    written = sorted(chosen.sample(range(1, SIZE // 2), 9))
    return [
        lambda: bool(list(out.glob(".run-*"))),
        *(partial(_verdicts, out, count) for count in graded),
        *(partial(_written, out, count) for count in written),
    ]


def _verdicts(out: Path, count: int) -> bool:
    return verdicts(out) >= count


def _written(out: Path, count: int) -> bool:
    return len(list(out.glob("feedback/*.html"))) >= count


def graded(out: Path) -> set[int]:
    """How often something was graded."""
    with sqlite3.connect(f"file:{out / 'journal.db'}?mode=ro", uri=True) as database:
        return {times for (times,) in database.execute("SELECT times FROM verdict")}


@needs_signals
def test_twenty_kills_change_nothing_of_what_comes_out(left: Left, tmp_path: Path) -> None:
    exercises, place = classroom(tmp_path)
    whole = tmp_path / "whole"
    # Two at once on one journal come to the same as one, and grade nothing twice.
    both = [start("grader", *arguments(exercises, place, whole, "--jobs", "1")) for _ in range(2)]
    for process in both:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    assert verdicts(whole) == DISTINCT
    assert graded(whole) == {1}
    assert not (whole / "gradebook.1.csv").exists()

    out = tmp_path / "killed"
    chosen = random.Random(8)  # as above
    killed = 0
    for moment in moments(out):
        process = start("grader", *arguments(exercises, place, out, "--jobs", "2"))
        until(partial(_come, moment, process), "the moment comes")
        killed += _kill(process, chosen.uniform(0, 0.05))
        if killed == KILLS:
            break
    assert killed == KILLS
    (out / "results/.new-left").write_text("half of a fi")
    done = run("grader", *arguments(exercises, place, out))
    assert done.returncode == 0, done.stderr
    assert contents(out) == contents(whole)
    assert list(out.glob(".run-*")) == []
    # The workers of a run that was killed end what they are at, and remove it.
    until(lambda: not left(), "nothing is left of the runs that were killed")


def _come(moment: Callable[[], bool], process: subprocess.Popen[str]) -> bool:
    return moment() or process.poll() is not None


def _kill(process: subprocess.Popen[str], within: float) -> bool:
    """A random moment later; whether it ran until then."""
    try:
        process.wait(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate(timeout=60)
    return process.returncode == -9


def contents(out: Path) -> dict[str, Any]:
    """All that came out, but for times and ids, and the place that the page's command names."""
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    kept = {name: path for name, path in files.items() if "journal" not in name and not name.endswith(".lock")}
    told: dict[str, Any] = {
        name: path.read_bytes().replace(str(out).encode(), b"OUT") for name, path in kept.items() if "/" not in name
    }
    told |= {name: _lasting(json.loads(path.read_text())) for name, path in kept.items() if name.startswith("results/")}
    return told | {name: "" for name in kept if name.startswith("feedback/")}


def _lasting(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: _lasting(value) for key, value in found.items() if key not in _FLEETING}
    if isinstance(found, str):
        return "built" if re.fullmatch(r"built in \S+ m?s", found) else found
    return [_lasting(value) for value in found] if isinstance(found, list) else found
