"""Classroom 50's autograder for one exercise: it installs the grader, has it grade the checkout, and leaves its result.

Copy it to ``CLASSROOM/autograders/ASSIGNMENT/autograder.py`` in your ``classroom50`` repository and change the settings
below. A course of your own goes beside it, into ``course/``: ``course.yaml`` and the folders of the exercises. Without
one it is the grader's own.

Classroom 50 starts it in the learner's checkout. It writes ``result.json`` and ``release-body.md`` there and exits with
0 when grading ran, whatever the score; with another code the fault is not the learner's, and nothing is a grade.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

#: Which exercise of the course this assignment is.
EXERCISE = "03-multi-stage-builds"
#: What pip installs. Pin it, so that everybody is graded by the same: ``image-grader==0.1.0``, or
#: ``image-grader @ git+https://github.com/YOU/REPOSITORY@COMMIT``.
GRADER = "image-grader==0.1.0"
#: Seconds. Classroom 50 ends a job after 15 minutes, and then nobody learns why.
PATIENCE = 780
#: Seconds to remove what a grading that takes too long has made.
CLEAN_UP = 60

FAULT = 3
RESULTS = ("result.json", "release-body.md")


def main() -> int:
    """Grades the folder one stands in."""
    checkout = Path.cwd()
    # What a learner has committed under these names is no result.
    for name in RESULTS:
        remove(checkout / name)
    with tempfile.TemporaryDirectory(prefix="grader-") as folder:
        code = grade(installed(Path(folder)), checkout, Path(folder))
        if code == 0:
            for name in RESULTS:
                shutil.copyfile(Path(folder) / name, checkout / name)
    return code


def installed(folder: Path) -> Path:
    """A Python of its own with the grader in it."""
    # Isolated (-I), or a `pip.py` or `grader.py` in the checkout would be what runs.
    subprocess.run([sys.executable, "-I", "-m", "venv", folder / "venv"], cwd=folder, check=True)
    python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip: list[str | Path] = [python, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", GRADER]
    subprocess.run(pip, cwd=folder, check=True)
    return python


def grade(python: Path, checkout: Path, folder: Path) -> int:
    """The grader's exit code: 0 graded, 2 a broken rubric, 3 a fault of the engine, the network or the grader."""
    beside = Path(os.environ.get("CLASSROOM50_BUNDLE_DIR") or Path(__file__).parent) / "course"
    course = ["--course", str(beside)] if beside.is_dir() else []
    formats = ("terminal", f"classroom50={folder / RESULTS[0]}", f"markdown={folder / RESULTS[1]}")
    asked = [argument for name in formats for argument in ("--format", name)]
    command: list[str | Path] = [python, "-I", "-m", "grader", "grade", EXERCISE, "--submission", checkout, "--no-fail"]
    # git, which tells when the commit was made, needs the checkout as its folder.
    process = subprocess.Popen([*command, *course, *asked], cwd=checkout)
    try:
        return process.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        complain(f"Grading was not done after {PATIENCE} s; nothing is counted. Grade again.")
        process.terminate()
        try:
            process.wait(timeout=CLEAN_UP)
        except subprocess.TimeoutExpired:
            process.kill()
        return FAULT


def remove(path: Path) -> None:
    """Whatever it is: a file, a folder, a link to somewhere else."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def complain(text: str) -> None:
    """On GitHub's page of the run."""
    sys.stderr.write(f"::error::{text}\n")


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except (OSError, subprocess.SubprocessError) as error:
        complain(f"The grader could not be started: {' '.join(str(error).split())}")
        raise SystemExit(FAULT) from error
