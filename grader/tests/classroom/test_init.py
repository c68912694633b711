"""`grader classroom init`: what it writes, what it holds to what, and what it refuses."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from grader.classroom import pinned, template
from grader.course.exercise import find_course, resolve
from grader.errors import UsageError
from grader.tests.classroom.test_workflow import committed, git
from grader.tests.cli.programs import RUBRIC, course, run
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SHA = "0123456789abcdef0123456789abcdef01234567"
GRADER = f"git+https://host/owner/grader@{SHA}"
COURSE = f"git+https://host/owner/course@{SHA}"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """An instructor's clone of a course, with an `origin`."""
    root = tmp_path / "clone"
    course(root, RUBRIC, "")
    write_files(root / "exercises/01-tiny", {"README.md": "# Tiny\n\nUse `<<EOF` and `${{ x }}`.\n"})
    write_files(root / "exercises/01-tiny/starter", {".env": "A=1\n", "run.sh": "#!/bin/sh\n", "deep/er/file": "x"})
    (root / "exercises/01-tiny/starter/run.sh").chmod(0o755)
    committed(root)
    git(root, "remote", "add", "origin", "https://host/owner/course")
    return root


def asked(clone: Path, **changes: Any) -> template.Asked:
    exercise = resolve(find_course(clone), "1")
    plain = template.Asked(exercise, "Tiny", ("Dockerfile", ".dockerignore"), COURSE, GRADER)
    return replace(plain, **changes)


def init(clone: Path, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return run("grader", "classroom", "init", "1", *arguments, cwd=clone, env=env)


def test_everything_of_the_starter_is_there(clone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = init(clone, str(out), "--for", "github", "--grader", GRADER)
    assert (done.returncode, done.stderr) == (0, "")
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert names == [
        ".devcontainer/devcontainer.json", ".env", ".github/workflows/grade.yml", ".grader.json", "Dockerfile",
        "README.md", "deep/er/file", "run.sh",
    ]  # fmt: skip
    assert os.name != "posix" or (out / "run.sh").stat().st_mode & 0o100
    assert "Use `<<EOF` and `${{ x }}`." in (out / "README.md").read_text()
    assert "grade.yml/badge.svg" in (out / "README.md").read_text()
    assert run("grade", "--help", cwd=out).returncode == 0


def test_the_clones_own_commit_is_taken(clone: Path, tmp_path: Path) -> None:
    init(clone, str(tmp_path / "out"), "--for", "github", "--grader", GRADER)
    workflow = yaml.safe_load((tmp_path / "out/.github/workflows/grade.yml").read_text())
    assert workflow["env"]["COURSE"] == f"git+https://host/owner/course@{git(clone, 'rev-parse', 'HEAD')}"
    assert workflow["env"]["GRADER"] == GRADER
    container = json.loads((tmp_path / "out/.devcontainer/devcontainer.json").read_text())
    assert container["remoteEnv"]["GRADER_COURSE"] == workflow["env"]["COURSE"]
    assert GRADER in container["onCreateCommand"]


def test_classroom_50_has_an_autograder_and_no_workflow(clone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert init(clone, str(out), "--for", "classroom50", "--grader", GRADER).returncode == 0
    assert sorted(path.name for path in out.iterdir()) == ["autograder", "repository"]
    assert not (out / "repository/.github").exists()
    names = {
        n.id for n in ast.walk(ast.parse((out / "autograder/autograder.py").read_text())) if isinstance(n, ast.Name)
    }
    assert {"EXERCISE", "COURSE", "GRADER"} <= names


@pytest.mark.parametrize("platform", ["github", "classroom50"])
def test_the_grade_of_record_is_told_for_both(platform: str, clone: Path, tmp_path: Path) -> None:
    done = init(clone, str(tmp_path / "out"), "--for", platform, "--grader", GRADER)
    course = f"git+https://host/owner/course@{git(clone, 'rev-parse', 'HEAD')}"
    assert re.search(rf"grader bulk 01-\S+ SUBMISSIONS --out grades --course {re.escape(course)}$", done.stdout.strip())


def told_in(script: str, name: str) -> Any:
    """The value that a script gives to a name."""
    assigned = (node for node in ast.parse(script).body if isinstance(node, ast.Assign))
    return next(ast.literal_eval(one.value) for one in assigned if ast.unparse(one.targets[0]) == name)


@pytest.mark.parametrize("there", ["README.md", ".github/workflows/other.yml", ".devcontainer", "Dockerfile"])
def test_nothing_is_overwritten(there: str, clone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_files(out, {there: "mine"})
    done = init(clone, str(out), "--for", "github", "--grader", GRADER)
    assert done.returncode == 2
    assert "There is something already" in done.stderr
    assert [path for path in out.rglob("*") if path.is_file()] == [out / there]


def test_a_repository_that_is_empty_is_no_obstacle(clone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    git(out, "init", "--quiet")
    assert init(clone, str(out), "--for", "github", "--grader", GRADER).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--for", "github", "--grader", "image-grader"], "not held to a version or a commit"),
        (["--for", "github", "--grader", "git+https://host/owner/grader@main"], "not held to a version or a commit"),
        (["--for", "github", "--grader", GRADER + " ${{ secrets.X }}"], "cannot stand in a workflow"),
        (["--for", "gitlab"], "'gitlab' is not one of"),
        ([], "Missing option '--for'"),
    ],
)
def test_what_cannot_be_is_said(arguments: list[str], words: str, clone: Path, tmp_path: Path) -> None:
    done = init(clone, str(tmp_path / "out"), *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


def test_changes_that_nobody_else_has_are_refused(clone: Path) -> None:
    (clone / "exercises/01-tiny/rubric.yaml").write_text(RUBRIC + "\n")
    with pytest.raises(UsageError, match="in no commit"):
        pinned.course(None, find_course(clone))


def test_a_folder_that_others_do_not_reach_is_refused(clone: Path) -> None:
    git(clone, "remote", "remove", "origin")
    with pytest.raises(UsageError, match="do not reach a folder"):
        pinned.course(None, find_course(clone))
    with pytest.raises(UsageError, match="do not reach an archive"):
        pinned.course("course.zip", find_course(clone))


@pytest.mark.parametrize(
    "origin",
    ["git@host:owner/repository.git", "ssh://git@host/owner/repository.git", "https://host/owner/repository.git"],
)
def test_a_course_below_its_repository_is_named_as_machines_without_a_key_reach_it(origin: str, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    course(root / "courses/docker", RUBRIC, "")
    commit = committed(root)
    git(root, "remote", "add", "origin", origin)
    found = pinned.course(None, find_course(root / "courses/docker"))
    assert found == f"git+https://host/owner/repository.git@{commit}#subdirectory=courses/docker/exercises"


def test_a_starter_that_is_in_the_way_is_the_authors_to_mend(clone: Path) -> None:
    write_files(clone / "exercises/01-tiny/starter", {"README.md": "mine"})
    with pytest.raises(UsageError, match=r"README\.md"):
        template.files(asked(clone), "github")


def test_what_stands_in_yaml_json_and_a_shell_is_quoted(clone: Path) -> None:
    course_address = "https://host/a\"b'c: #d/course.zip#sha256=" + SHA + SHA[:24]
    content = template.files(asked(clone, course=course_address, title='A "title": of $HOME'), "github")
    workflow = yaml.safe_load(str(content[".github/workflows/grade.yml"]))
    assert workflow["env"]["COURSE"] == course_address
    container = json.loads(str(content[".devcontainer/devcontainer.json"]))
    assert container["name"] == 'A "title": of $HOME'
    assert container["remoteEnv"]["GRADER_COURSE"] == course_address
    subprocess.run(["bash", "-n", "-c", container["postStartCommand"][2]], check=True)
    python = template.files(asked(clone, course=course_address), "classroom50")["autograder/autograder.py"]
    assert (
        ast.literal_eval(next(line for line in str(python).splitlines() if line.startswith("COURSE"))[9:])
        == course_address
    )


def test_all_actions_are_held_to_commits() -> None:
    for action in pinned.ACTIONS.values():
        name, _, version = action.partition(" # ")
        assert len(name.partition("@")[2]) == 40
        assert version.startswith("v")
