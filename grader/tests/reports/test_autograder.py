"""Classroom 50's autograder, run as its runner does: a program of its own, started in the learner's checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from grader import reports
from grader.tests.cli.programs import RUBRIC, course
from grader.tests.reports.test_classroom50 import SCHEMA
from grader.tests.reports.test_golden import SURROUNDINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE = Path(reports.__file__).parent / "templates/autograder.py"
FORGED = json.dumps({"schema": "classroom50/result/v1", "score": 100})


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """What an instructor published: the autograder, set up for the exercise, and the course beside it."""
    exercises, folder = course(tmp_path, RUBRIC, "FROM debian:bookworm-slim\n")
    (folder / "Dockerfile").unlink()
    published = tmp_path / "bundle"
    published.mkdir()
    exercises.rename(published / "course")
    text = TEMPLATE.read_text(encoding="utf-8").replace('"03-multi-stage-builds"', '"01-tiny"')
    # This Python has the grader already, and no test asks a package index.
    own = f"def installed(folder: Path) -> Path:\n    return Path({sys.executable!r})\n\n\nif __name__"
    assert text.count("\nif __name__") == 1
    (published / "autograder.py").write_text(text.replace("if __name__", own), encoding="utf-8")
    return published


def started(bundle: Path, *, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    surroundings = os.environ | SURROUNDINGS | {"CLASSROOM50_BUNDLE_DIR": str(bundle), "DOCKER_HOST": "unix:///nothing"}
    command = [sys.executable, str(bundle / "autograder.py")]
    checkout = bundle.parent / "learner"
    return subprocess.run(
        command, cwd=checkout, env=surroundings | dict(env or {}), capture_output=True, text=True, check=False
    )


def test_it_leaves_a_result_and_exits_with_0_whatever_the_score(bundle: Path) -> None:
    checkout = bundle.parent / "learner"
    done = started(bundle)
    assert done.returncode == 0, done.stderr
    assert "Not passed: 0 of 10 points" in done.stdout
    found = json.loads((checkout / "result.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, SCHEMA)
    assert (found["score"], found["max-score"], found["owner"]) == (0, 10, "ada")
    assert "❌ **Not passed" in (checkout / "release-body.md").read_text(encoding="utf-8")


def test_a_fault_of_ours_leaves_no_result(bundle: Path) -> None:
    checkout = bundle.parent / "learner"
    (checkout / "Dockerfile").write_text("FROM debian:bookworm-slim\n")
    (checkout / "result.json").write_text(FORGED)
    done = started(bundle)
    assert done.returncode == 3, done.stderr
    assert not (checkout / "result.json").exists()
    assert not (checkout / "release-body.md").exists()


def test_what_a_learner_put_in_the_way_does_not_stand_in_it(bundle: Path) -> None:
    checkout = bundle.parent / "learner"
    (checkout / "result.json").mkdir()
    (checkout / "result.json/x").write_text("x")
    elsewhere = bundle.parent / "elsewhere"
    elsewhere.write_text("theirs")
    (checkout / "release-body.md").symlink_to(elsewhere)
    for name in ("grader", "pip", "json", "subprocess", "sitecustomize"):
        (checkout / f"{name}.py").write_text(f"open('{name}-was-run', 'w').close()\nraise SystemExit(0)\n")
    assert started(bundle).returncode == 0
    assert json.loads((checkout / "result.json").read_text(encoding="utf-8"))["score"] == 0
    assert elsewhere.read_text() == "theirs"
    assert not list(checkout.glob("*-was-run"))


def test_a_grader_that_cannot_be_started_is_a_fault_of_ours(bundle: Path) -> None:
    file = bundle / "autograder.py"
    file.write_text(file.read_text().replace(repr(sys.executable), repr(str(bundle / "no-python"))))
    done = started(bundle)
    assert done.returncode == 3
    assert done.stderr.startswith("::error::The grader could not be started")


def test_a_grading_that_takes_too_long_is_ended_and_counts_nothing(bundle: Path) -> None:
    file = bundle / "autograder.py"
    file.write_text(file.read_text().replace("PATIENCE = 780", "PATIENCE = 0.01"))
    done = started(bundle)
    assert done.returncode == 3
    assert "::error::Grading was not done after 0.01 s" in done.stderr
    assert not (bundle.parent / "learner/result.json").exists()
