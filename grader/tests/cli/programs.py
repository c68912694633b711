"""The real commands, as a person's shell starts them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parents[3]
PLAIN = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")}
#: Seconds until a condition that should have come true long ago counts as never coming true.
DEADLINE = 60.0


def command(name: str, *arguments: str) -> list[str]:
    entry = {"grader": "main", "grade": "grade_main"}[name]
    return [sys.executable, "-c", f"from grader.cli import {entry}; {entry}()", *arguments]


def run(
    name: str, *arguments: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(name, *arguments), cwd=cwd, env=PLAIN | dict(env or {}), capture_output=True, text=True, timeout=300,
        check=False, encoding="utf-8",
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def start(name: str, *arguments: str, cwd: Path = ROOT) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(name, *arguments), cwd=cwd, env=PLAIN, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until(condition: Callable[[], object], what: str) -> None:
    """Looks again and again; there is nothing to be told by."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.02)


def course(root: Path, rubric: str, dockerfile: str) -> tuple[Path, Path]:
    """A course of one exercise, and a learner's folder."""
    write_files(root / "exercises/01-tiny", {"rubric.yaml": rubric, "starter/Dockerfile": "FROM scratch\n"})
    write_files(root / "exercises", {"course.yaml": "title: A tiny course\n"})
    write_files(root / "learner", {"Dockerfile": dockerfile})
    return root / "exercises", root / "learner"


RUBRIC = """\
format: 1
title: Tiny
submit: [Dockerfile]
pass: 10
bases: ["debian:bookworm-slim"]
app: {port: 5000, ready: {within: 60s}}
checks:
  - {id: builds, check: build, points: 10}
"""
WITH_APP = RUBRIC + "  - {id: answers, check: http, get: /, points: 10}\n"
