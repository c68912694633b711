from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from grader.tests.cli.programs import ROOT, RUBRIC, course, run
from grader.tests.reports.schema import RESULT

if TYPE_CHECKING:
    from grader.engine.connect import Engine

GOOD = "FROM debian:bookworm-slim\n"
STARTER = ROOT / "exercises/03-multi-stage-builds/starter"


@pytest.fixture
def exercises(tmp_path: Path, engine: Engine) -> str:
    return str(course(tmp_path, RUBRIC, GOOD)[0])


@pytest.fixture
def learner(tmp_path: Path) -> Path:
    return tmp_path / "learner"


def test_a_pass(exercises: str, learner: Path) -> None:
    done = run("grade", "1", "--course", exercises, cwd=learner)
    assert done.returncode == 0
    assert "Passed with 10 of 10 points." in done.stdout
    assert done.stderr == ""


BAD: dict[str, bytes] = {
    "empty": b"",
    "only comments": b"# nothing\n",
    "binary": bytes(range(256)),
    "unknown instruction": b"FROM debian:bookworm-slim\nRUNN x\n",
    "foreign base": b"FROM ubuntu\n",
    "failing build": b"FROM debian:bookworm-slim\nRUN exit 7\n",
    "escape sequences": b"FROM debian:bookworm-slim\nRUN echo '\x1b[31m' \xe2\x80\xae && exit 7\n",
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_dockerfile_is_graded_with_nothing(name: str, exercises: str, learner: Path) -> None:
    (learner / "Dockerfile").write_bytes(BAD[name])
    report = learner.parent / "result.json"
    done = run("grade", "1", "--course", exercises, "--format", "terminal", "--format", f"json={report}", cwd=learner)
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    assert "\x1b" not in done.stdout
    result = json.loads(report.read_text())
    jsonschema.validate(result, RESULT)
    assert (result["status"], result["score"]) == ("failed", 0)
    (check,) = result["checks"]
    assert check["got"]
    assert check["evidence"]["fix"]


@pytest.mark.parametrize(
    "written", [b"\xef\xbb\xbfFROM debian:bookworm-slim\n", b"FROM debian:bookworm-slim\r\nUSER 1\r\n"]
)
def test_a_windows_editors_dockerfile_is_as_good(written: bytes, exercises: str, learner: Path) -> None:
    (learner / "Dockerfile").write_bytes(written)
    assert run("grade", "1", "--course", exercises, cwd=learner).returncode == 0


@pytest.mark.parametrize("content", [{}, {"dockerfile": "FROM x"}, {"notes.txt": "x"}])
def test_a_folder_without_a_dockerfile_scores_nothing(content: dict[str, str], exercises: str, tmp_path: Path) -> None:
    folder = tmp_path / "handed-in"
    folder.mkdir()
    for name, text in content.items():
        (folder / name).write_text(text)
    done = run("grade", "1", "--course", exercises, "--submission", str(folder), "--format", "json")
    result = json.loads(done.stdout)
    jsonschema.validate(result, RESULT)
    assert (done.returncode, result["score"], result["status"]) == (1, 0, "failed")


def test_without_an_engine_there_is_no_score(exercises: str, learner: Path) -> None:
    env = {"DOCKER_HOST": "unix:///nonexistent"}
    done = run("grade", "1", "--course", exercises, "--format", "json", cwd=learner, env=env)
    result = json.loads(done.stdout)
    jsonschema.validate(result, RESULT)
    assert (done.returncode, result["status"], result["score"]) == (3, "error", None)
    assert "DOCKER_HOST" in result["problem"]["what"]
    told = run("grade", "1", "--course", exercises, cwd=learner, env=env)
    assert "Not graded" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["9"], "There is no exercise `9`"),
        (["tny"], "Did you mean `01-tiny`?"),
        (["1", "--submission", "/no/such/folder"], "no such submission folder"),
        (["1", "--only", "buidls"], "Did you mean builds?"),
        (["1", "--format", "jsn"], "Did you mean json?"),
        (["1", "--format", "json", "--format", "terminal"], "cannot share"),
        (["1", "--format", "json=/no/such/folder/x"], "cannot be written"),
        (["1", "--format", "json="], "cannot be written"),
        (["1", "--format", "json=."], "cannot be written"),
        (["1", "--fromat", "json"], "--format"),
        (["1", "2"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_told_with_a_way_out(arguments: list[str], words: str, exercises: str, learner: Path) -> None:
    done = run("grade", *arguments, "--course", exercises, cwd=learner)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("points: 10", "pionts: 10", "pionts"),
        ("points: 10", "points: many", "points"),
        ("check: build,", "check: biuld,", "Did you mean `build`?"),
        ("checks:\n", "checks:\n  - {id: builds, check: build, points: 1}\n", "Two checks have the id"),
    ],
)
def test_a_broken_rubric_is_told_with_its_place(old: str, new: str, words: str, exercises: str, learner: Path) -> None:
    path = Path(exercises) / "01-tiny/rubric.yaml"
    path.write_text(path.read_text().replace(old, new))
    done = run("grade", "1", "--course", exercises, cwd=learner)
    assert done.returncode == 2
    assert words in done.stderr
    assert "rubric.yaml:" in done.stderr


def test_the_report_of_a_run_that_cannot_be_written_keeps_no_other_from_it(exercises: str, learner: Path) -> None:
    full = "/dev/full"
    if not Path(full).exists():
        pytest.skip("this system has no full device")
    done = run("grade", "1", "--course", exercises, "--format", f"json={full}", "--format", "terminal", cwd=learner)
    assert done.returncode == 2
    assert "Passed" in done.stdout
    assert "cannot be written" in done.stderr


def test_a_page_goes_to_its_file_and_the_verdict_to_the_terminal(exercises: str, learner: Path) -> None:
    page = learner.parent / "report.html"
    done = run("grade", "1", "--course", exercises, "--format", "terminal", "--format", f"html={page}", cwd=learner)
    assert done.returncode == 0
    assert "Passed with 10 of 10 points." in done.stdout
    text = page.read_text(encoding="ascii")
    assert text.startswith("<!doctype html>")
    assert "<title>Passed, 10 of 10: Tiny (learner)</title>" in text
    assert "debian:bookworm-slim" in text
    assert not [path for path in learner.parent.iterdir() if path.name.startswith(".report")]


def test_only_runs_a_selection_and_says_so(exercises: str, learner: Path) -> None:
    path = Path(exercises) / "01-tiny/rubric.yaml"
    path.write_text(path.read_text() + "  - {id: small, check: size, max: 1kB, points: 90}\n")
    done = run("grade", "1", "--course", exercises, "--only", "builds", cwd=learner)
    assert done.returncode == 0
    assert "Only a selection of the checks was run: builds" in done.stdout


def test_verbose_shows_steps_and_times(exercises: str, learner: Path) -> None:
    done = run("grade", "1", "--course", exercises, "--verbose", cwd=learner)
    assert "build: " in done.stderr
    assert "Time: " in done.stdout


def test_a_name_full_of_control_is_harmless(exercises: str, tmp_path: Path) -> None:
    folder = tmp_path / "\x1b[2J\u202eevil[red]"
    folder.mkdir()
    (folder / "Dockerfile").write_text(GOOD)
    done = run("grade", "1", "--course", exercises, "--submission", str(folder))
    assert done.returncode == 0
    assert not {"\x1b", "\u202e"} & set(done.stdout)
    assert "evil[red]" in done.stdout


@pytest.mark.parametrize("where", [STARTER, STARTER.parent, ROOT, ROOT / "exercises"])
def test_in_a_clone_the_folder_says_what_is_graded(where: Path, engine: Engine) -> None:
    name = [] if where in (STARTER, STARTER.parent) else ["3"]
    done = run("grade", *name, "--only", "two-stages", "--format", "json", cwd=where)
    assert (done.returncode, json.loads(done.stdout)["exercise"]) == (1, "03-multi-stage-builds")


def test_a_path_names_what_is_graded(engine: Engine) -> None:
    done = run("grade", "solutions/03-multi-stage-builds", "--only", "two-stages", "--format", "json")
    assert done.returncode == 0
    done = run("grade", "exercises/03-multi-stage-builds", "--only", "two-stages", "--format", "json")
    assert done.returncode == 1


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_memory_of_the_rubric_that_is_damaged_costs_no_points(
    share: float, exercises: str, learner: Path, tmp_path: Path
) -> None:
    surroundings = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    arguments = ("grade", "1", "--course", exercises)
    assert run(*arguments, cwd=learner, env=surroundings).returncode == 0
    (kept,) = (tmp_path / "cache").rglob("*.rubric")
    whole = kept.read_bytes()
    kept.write_bytes(whole[: int(len(whole) * share)])
    done = run(*arguments, cwd=learner, env=surroundings)
    assert (done.returncode, done.stderr) == (0, "")
    assert run(*arguments, cwd=learner, env=surroundings).returncode == 0
