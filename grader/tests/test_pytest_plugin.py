"""Checks as pytest's items, with the real pytest, as its user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from grader.tests.cli.programs import ROOT, course
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from grader.engine.connect import Engine

PYTEST = str(Path(sys.executable).parent / "pytest")
RUBRIC = """\
format: 1
title: Tiny
submit: [Dockerfile]
pass: 30
bases: ["debian:bookworm-slim"]
checks:
  - {id: builds, check: build, points: 10, required: true}
  - {id: labelled, title: It says who made it, check: config, labels: {made-by: "me"}, points: 10,
     why: Somebody will ask., hints: [See LABEL.]}
  - {id: small, check: size, max: 500MB, points: 10, needs: [labelled]}
"""
BASE = "FROM debian:bookworm-slim\n"
GOOD = BASE + 'LABEL made-by="me"\n'


def start(folder: Path, *arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """pytest in ``folder``'s parent, with what it takes to grade ``learner`` there."""
    command = [PYTEST, "-p", "no:cacheprovider", "--grader-exercise=1", f"--grader-course={folder / 'exercises'}"]
    command += [f"--grader-submission={folder / 'learner'}", "--grader-yes", "-v", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | env
    return subprocess.run(
        command, cwd=cwd or folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    course(tmp_path, RUBRIC, GOOD)
    return tmp_path


def learner(folder: Path, dockerfile: str) -> Path:
    (folder / "learner/Dockerfile").write_text(dockerfile)
    return folder


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    """``["builds PASSED", ...]``, of each line of `-v`."""
    lines = (line.split() for line in done.stdout.splitlines() if line.startswith("01-tiny::"))
    return sorted(f"{words[0].partition('::')[2]} {words[1]}" for words in lines)


def test_each_check_is_a_test(engine: Engine, folder: Path) -> None:
    done = start(folder)
    assert told(done) == ["builds PASSED", "labelled PASSED", "small PASSED"]
    assert done.returncode == 0


def test_a_failure_teaches_and_junit_tells_them_apart(engine: Engine, folder: Path) -> None:
    done = start(learner(folder, BASE), f"--junitxml={folder / 'junit.xml'}", "-p", "no:randomly")
    assert told(done) == ["builds PASSED", "labelled FAILED", "small SKIPPED"]
    assert done.returncode == 1
    for words in ("It says who made it", "expected:", "got:", "why:      Somebody will ask.", "hint:     See LABEL."):
        assert words in done.stdout
    assert "pytest_items.py" not in done.stdout
    cases = {case.get("name"): case for case in ET.parse(folder / "junit.xml").iter("testcase")}
    assert {name: [child.tag for child in case if child.tag != "properties"] for name, case in cases.items()} == {
        "builds": [],
        "labelled": ["failure"],
        "small": ["skipped"],
    }
    points = {p.get("name"): p.get("value") for p in cases["labelled"].iter("property")}
    assert points == {"points": "0.0", "max_points": "10.0"}


@pytest.mark.parametrize("arguments", [["-k", "small"], ["01-tiny::small"]])
def test_a_selection_judges_what_it_names(arguments: list[str], engine: Engine, folder: Path) -> None:
    """What a check waits for does not keep it waiting when it is not asked for: as with `grade --only`."""
    assert told(start(learner(folder, BASE), *arguments)) == ["small PASSED"]


def test_it_stops_at_the_first_failure_and_runs_the_failed_ones_again(engine: Engine, folder: Path) -> None:
    cached = ["-o", f"cache_dir={folder / 'cache'}", "-p", "cacheprovider", "-p", "no:randomly"]
    assert told(start(learner(folder, BASE), "-x", *cached)) == ["builds PASSED", "labelled FAILED"]
    assert told(start(folder, "--lf", *cached)) == ["labelled FAILED"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_order_comes_to_the_same(seed: int, engine: Engine, folder: Path) -> None:
    done = start(learner(folder, BASE + "RUN exit 7\n"), f"--randomly-seed={seed}")
    assert told(done) == ["builds FAILED", "labelled SKIPPED", "small SKIPPED"]


def test_workers_come_to_the_same(engine: Engine, folder: Path) -> None:
    done = start(learner(folder, BASE), "-n2", "-rA")
    assert "1 failed, 1 passed, 1 skipped" in done.stdout


def test_a_fault_of_ours_is_an_error_and_no_failure(folder: Path) -> None:
    done = start(folder, f"--junitxml={folder / 'junit.xml'}", DOCKER_HOST=f"unix://{folder / 'none'}")
    assert {line.split()[1] for line in told(done)} <= {"ERROR", "SKIPPED"}
    assert "not judged" in done.stdout
    assert "pytest_items.py" not in done.stdout.partition("short test summary")[0]
    suite = next(ET.parse(folder / "junit.xml").iter("testsuite"))
    assert suite.get("failures") == "0"
    assert int(suite.get("errors", "0")) > 0


HOSTILE = {
    "conftest.py": "import pathlib; pathlib.Path(r'{told}').touch()\n",
    "test_mine.py": "import pathlib; pathlib.Path(r'{told}').touch()\ndef test_mine(): pass\n",
    "evil.py": "import pathlib; pathlib.Path(r'{told}').touch()\n",
    "sitecustomize.py": "import pathlib; pathlib.Path(r'{told}').touch()\n",
    "pytest.ini": "[pytest]\naddopts = -p evil -k nothing\npythonpath = .\npython_files = *.py\n",
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-p evil'\npythonpath = ['.']\n",
    "tox.ini": "[pytest]\naddopts = -p evil\n",
    "setup.py": "import pathlib; pathlib.Path(r'{told}').touch()\n",
    "rubric.yaml": "format: 1\n",
    ".grader.json": '{{"exercise": "none"}}\n',
    "tests/conftest.py": "import pathlib; pathlib.Path(r'{told}').touch()\n",
    "docker.py": "import pathlib; pathlib.Path(r'{told}').touch()\n",
}


@pytest.fixture
def hostile(folder: Path) -> Path:
    """A submission with everything that pytest, Python or the grader might load."""
    marks = {name: text.format(told=folder / "was-run") for name, text in HOSTILE.items()}
    write_files(folder / "learner", marks)
    # pytest looks for conftest.py in folders of this name below the one it is started in.
    (folder / "learner").rename(folder / "test-learner")
    (folder / "learner").symlink_to(folder / "test-learner", target_is_directory=True)
    return folder


def test_nothing_of_the_submission_is_loaded(engine: Engine, hostile: Path) -> None:
    done = start(learner(hostile, BASE))
    assert told(done) == ["builds PASSED", "labelled FAILED", "small SKIPPED"]
    assert "rootdir: " + str(hostile) in done.stdout
    assert not (hostile / "was-run").exists()


@pytest.mark.parametrize("inner", ["learner", "learner/tests"])
def test_pytest_started_in_the_submission_is_refused(inner: str, hostile: Path) -> None:
    (hostile / "learner/pytest.ini").write_text("[pytest]\naddopts = -k nothing\npythonpath = .\n")
    done = start(hostile, cwd=hostile / inner)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "pytest takes its settings from the submission" in done.stderr
    assert not (hostile / "was-run").exists()


@pytest.mark.parametrize("arguments", [[], ["learner"], ["learner/test_mine.py"]])
def test_where_pytest_itself_trusts_the_submission_there_is_no_verdict(arguments: list[str], hostile: Path) -> None:
    """Before any plugin is asked, pytest loads those that the settings name where it is started: nothing is graded."""
    done = start(hostile, *arguments, cwd=hostile if arguments else hostile / "learner")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "pytest takes its settings from the submission" in done.stderr
    assert told(done) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["exercises"], "no other tests"),
        (["--grader-exercise=none"], "There is no exercise `none`"),
        (["--grader-submission=none"], "is no folder"),
        (["--grader-course=ftp://x/y"], "cannot be read from ftp://"),
    ],
)
def test_what_cannot_be_meant_is_said(arguments: list[str], words: str, hostile: Path) -> None:
    done = start(hostile, *arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (hostile / "was-run").exists()


def test_a_broken_rubric_is_told_with_its_line(folder: Path) -> None:
    (folder / "exercises/01-tiny/rubric.yaml").write_text("format: 1\ntitle: x\nchekcs: []\n")
    done = start(folder)
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert "rubric.yaml:3:1" in done.stdout


def test_without_its_options_it_costs_next_to_nothing(tmp_path: Path) -> None:
    """Nothing of ours but the file itself is imported, and no hook of ours is called again."""
    (tmp_path / "test_x.py").write_text(
        "import sys\n"
        "def test_x(request):\n"
        "    ours = {name for name in sys.modules if name.partition('.')[0] == 'grader'}\n"
        "    assert ours == {'grader', 'grader.pytest_plugin'}\n"
        "    assert request.config.pluginmanager.hasplugin('grader')\n"
        "    assert not request.config.pluginmanager.hasplugin('grader-items')\n"
    )
    done = subprocess.run(
        [PYTEST, "-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir=."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_plugin_is_an_entry_point() -> None:
    assert 'grader = "grader.pytest_plugin"' in (ROOT / "pyproject.toml").read_text()
