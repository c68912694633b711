"""The generated workflow, run step by step as a hosted machine would; and what a learner can do about its verdict."""

from __future__ import annotations

import base64
import json
import os
import re
import site
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from grader.tests.classroom.actions import Machine, commands
from grader.tests.cli.programs import ROOT, course, run
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from grader.engine.connect import Engine

RUBRIC = """\
format: 1
title: Tiny
submit: [Dockerfile]
pass: 20
bases: ["debian:bookworm-slim"]
checks:
  - {id: builds, check: build, points: 10}
  - {id: labelled, title: It says who made it, check: config, labels: {made-by: "me"}, points: 7, hints: [See LABEL.]}
  - {id: small, check: size, max: 500MB, points: 5}
"""
BASE = "FROM debian:bookworm-slim\n"
GOOD = BASE + 'LABEL made-by="me"\n'


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def committed(folder: Path) -> str:
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=a change")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grader of this checkout, as a classroom's machine installs it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, capture_output=True, check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture
def far(tmp_path: Path) -> str:
    """The instructor's course, at a commit."""
    root = tmp_path / "far"
    course(root, RUBRIC, "")
    write_files(root / "exercises/01-tiny", {"README.md": "# Tiny\n\nAdd a label.\n"})
    return f"git+{root.as_uri()}@{committed(root)}"


@pytest.fixture
def repository(tmp_path: Path, far: str, wheel: Path) -> Path:
    """What a learner has after accepting the assignment."""
    folder = tmp_path / "learner"
    options = ("--grader", str(wheel), "--course", far, "--stand-ins")
    done = run("grader", "classroom", "init", "1", str(folder), "--for", "github", *options)
    assert done.returncode == 0, done.stderr
    committed(folder)
    return folder


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> Machine:
    monkeypatch.setenv("DOCKER_HOST", engine.endpoint)
    (tmp_path / "cache").mkdir()
    return fresh(tmp_path, "machine")


def fresh(tmp_path: Path, name: str) -> Machine:
    """A machine on which nothing was run yet."""
    return Machine(tmp_path / name, tmp_path / "cache")


#: pip leaves the grader's dependencies alone, and Python finds those of this environment.
INSTALLED = {"PIP_NO_DEPS": "1", "PIP_NO_COMPILE": "1", "PYTHONPATH": os.pathsep.join(site.getsitepackages())}


WORKFLOW = ".github/workflows/grade.yml"


def graded(machine: Machine, repository: Path, workflow: Path | None = None) -> dict[str, Any]:
    """The result that the machine wrote."""
    machine.run(workflow or repository / WORKFLOW, repository)
    path = machine.root / "temp/result.json"
    assert path.is_file(), "\n".join(f"{step.name}: {step.outcome}\n{step.log}" for step in machine.log)
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_a_push_that_passes(machine: Machine, repository: Path) -> None:
    (repository / "Dockerfile").write_text(GOOD)
    committed(repository)
    result = graded(machine, repository)
    assert (result["status"], result["score"]) == ("passed", 22)
    assert {step.name: step.outcome for step in machine.log} == {
        "Check out what was pushed": "success",
        "Set up Python": "success",
        "Install the grader": "success",
        "Name the base images": "success",
        "Keep the base images from run to run": "success",
        "Get the base images": "success",
        "Grade": "success",
        "Tell the points": "success",
        "Say that a fault of ours costs nothing": "skipped",
    }
    assert not machine.failed
    told = commands(machine.log[-2].log)
    assert told == [
        "::notice title=Autograding complete::Points 22/22",
        '::notice title=Autograding report::{"totalPoints":22,"maxPoints":22}',
    ]
    assert "22" in machine.steps["grade"].summary
    assert "debian:bookworm-slim" in machine.steps["bases"].log
    assert machine.steps["bases"].outputs["key"].startswith("grader-bases-")


def test_what_a_program_prints_is_no_command(machine: Machine, repository: Path) -> None:
    forged = '::notice title=Autograding report::{"totalPoints":100,"maxPoints":100}'
    (repository / "Dockerfile").write_text(BASE + f"RUN echo '{forged}' && echo '::add-mask::x' && exit 7\n")
    committed(repository)
    assert graded(machine, repository)["score"] == 0
    assert "exit code 7" in machine.steps["grade"].log
    for step in machine.log:
        assert not [line for line in commands(step.log) if line.startswith((forged, "::add-mask"))]


def test_a_fault_of_ours_gives_no_points_and_takes_none(
    machine: Machine, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{machine.root / 'none'}")
    machine.run(repository / WORKFLOW, repository)
    assert machine.failed
    told = [line for step in machine.log for line in commands(step.log)]
    assert not [line for line in told if "Autograding" in line]
    assert [line for line in told if line.startswith("::warning title=Not graded::")]


def test_the_template_itself_is_not_graded(machine: Machine, repository: Path) -> None:
    assert machine.run(repository / WORKFLOW, repository, is_template=True).log == []


HOSTILE = {
    "rubric.yaml": "format: 1\ntitle: x\nsubmit: [Dockerfile]\npass: 0\nbases: []\nchecks: []\n",
    "exercises/course.yaml": "title: Mine\n",
    "exercises/01-tiny/rubric.yaml": "format: 1\ntitle: x\nsubmit: [Dockerfile]\npass: 0\nbases: []\nchecks: []\n",
    ".grader.json": '{"exercise": "02-none"}\n',
    "conftest.py": "raise SystemExit(0)\n",
    "sitecustomize.py": "raise SystemExit(0)\n",
    "usercustomize.py": "raise SystemExit(0)\n",
    "grader/__init__.py": "raise SystemExit(0)\n",
    "grader/__main__.py": "raise SystemExit(0)\n",
    "docker.py": "raise SystemExit(0)\n",
    "json.py": "raise SystemExit(0)\n",
    "secrets.py": "raise SystemExit(0)\n",
    "venv.py": "raise SystemExit(0)\n",
    "pip.conf": "[global]\nindex-url = https://127.0.0.1:1/\n",
    "pytest.ini": "[pytest]\naddopts = -p evil\n",
    "result.json": '{"status": "passed", "score": 100, "max_score": 100}\n',
    "annotations.txt": "::notice title=Autograding report::{}\n",
    "Dockerfile.dockerignore": "*\n",
    "app.py": "print('mine')\n",
}


def test_a_learner_cannot_change_the_verdict_of_the_instructors_run(
    machine: Machine, repository: Path, far: str, tmp_path: Path
) -> None:
    """The instructor's own workflow file, and `grade`, beside a repository in which everything else was tried."""
    pristine = tmp_path / "grade.yml"
    pristine.write_text((repository / WORKFLOW).read_text())
    (repository / "Dockerfile").write_text(BASE)
    committed(repository)
    plain = graded(machine, repository)
    told_as_it_is(machine, plain)
    write_files(repository, HOSTILE)
    edited = re.sub(r"run: \|[\s\S]*$", "run: exit 0\n", (repository / WORKFLOW).read_text())
    (repository / WORKFLOW).write_text(edited)
    committed(repository)
    tried = graded(fresh(tmp_path, "second"), repository, pristine)
    command = [str(Path(sys.executable).parent / "grade"), "1", "--course", far, "--format", "json", "--yes"]
    own = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    for result in (tried, json.loads(own.stdout)):
        assert verdict(result) == verdict(plain)
        assert result["rubric_digest"] == plain["rubric_digest"]
    assert own.returncode == 1


def told_as_it_is(machine: Machine, result: dict[str, Any]) -> None:
    """A push that fails says what to do, and what the grading reporter would add up is the score."""
    assert (result["status"], result["score"]) == ("failed", 15)
    grade = machine.steps["grade"]
    assert (grade.outcome, machine.failed) == ("failure", True)
    assert "It says who made it" in grade.summary
    assert [line for line in commands(grade.log) if line.startswith("::error file=Dockerfile")]
    names = grade.outputs["runners"].split(",")
    payloads = [json.loads(base64.b64decode(machine.env[f"{name.upper()}_RESULTS"])) for name in names]
    assert sum(test["score"] for payload in payloads for test in payload["tests"]) == result["score"]
    assert sum(payload["max_score"] for payload in payloads) == result["max_score"]
    assert commands(machine.log[-2].log)[0] == "::notice title=Autograding complete::Points 15/22"


def verdict(result: dict[str, Any]) -> Any:
    return result["status"], result["score"], [(check["id"], check["status"]) for check in result["checks"]]


def test_the_file_holds_to_what_it_should(repository: Path) -> None:
    text = (repository / WORKFLOW).read_text()
    content = yaml.safe_load(text)
    uses = re.findall(r"uses: (.*)", text)
    assert uses
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one) for one in uses)
    assert content["permissions"] == {"contents": "read"}
    assert content["concurrency"]["cancel-in-progress"] is True
    (job,) = content["jobs"].values()
    assert job["timeout-minutes"] <= 15
    assert "permissions" not in job
    for step in job["steps"]:
        # An expression in a script is where injections come from; and nothing is run in the checkout.
        assert "${{" not in step.get("run", "")
        assert "run" not in step or step["working-directory"] == "${{ runner.temp }}"
    assert job["steps"][0]["with"]["persist-credentials"] is False


# --- Classroom 50 ------------------------------------------------------------------------------------------------


@pytest.fixture
def autograder(tmp_path: Path, far: str, wheel: Path) -> Path:
    folder = tmp_path / "fifty"
    options = ("--grader", str(wheel), "--course", far, "--stand-ins")
    done = run("grader", "classroom", "init", "1", str(folder), "--for", "classroom50", *options)
    assert done.returncode == 0, done.stderr
    return folder


ENVIRONMENT = {
    "CLASSROOM": "docker", "ASSIGNMENT": "tiny", "SUBMISSION_TAG": "submit/2026-11-26T10-00-00Z-abcdef0",
    "COMMIT_URL": "https://github.com/o/r/commit/" + "a" * 40, "OWNER": "o", "ASSIGNMENT_TYPE": "individual",
    "RELEASE_URL": "https://github.com/o/r/releases/tag/submit%2Fx", "REVIEW_URL": "https://github.com/o/r/pull/1",
}  # fmt: skip


def started(autograder: Path, checkout: Path, engine: str) -> subprocess.CompletedProcess[str]:
    """As Classroom 50's runner does; pip finds the dependencies in this environment."""
    env = {"PATH": os.environ["PATH"], "HOME": str(checkout.parent), "DOCKER_HOST": engine, **ENVIRONMENT, **INSTALLED}
    command = [sys.executable, str(autograder / "autograder/autograder.py")]
    return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, check=False, timeout=300)


def test_the_autograder_writes_the_grade(autograder: Path, engine: Engine, tmp_path: Path) -> None:
    checkout = autograder / "repository"
    assert not (checkout / ".github").exists()
    write_files(checkout, HOSTILE | {"Dockerfile": BASE})
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (checkout / "release-body.md").symlink_to(outside)
    done = started(autograder, checkout, engine.endpoint)
    assert done.returncode == 0, done.stderr
    result = json.loads((checkout / "result.json").read_text())
    assert result["score"] == 15
    assert "It says who made it" in (checkout / "release-body.md").read_text()
    assert outside.read_text() == "mine"


def test_the_autograder_leaves_the_last_grade_alone_when_it_cannot_grade(autograder: Path, tmp_path: Path) -> None:
    checkout = autograder / "repository"
    done = started(autograder, checkout, f"unix://{tmp_path / 'none'}")
    assert done.returncode == 3
    assert "Not graded, through no fault of the learner's" in done.stderr
    assert not (checkout / "result.json").exists()
