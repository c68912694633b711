from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import jsonschema
import pytest
import yaml

from grader import scratch
from grader.checks import types
from grader.cli import cli
from grader.cli.engine import engine as engine_commands
from grader.course.model import keys, validated
from grader.engine.leftovers import OWNER, RUN
from grader.tests.cli.programs import PLAIN, ROOT, RUBRIC, course, run

if TYPE_CHECKING:
    from pathlib import Path

    from grader.engine.connect import Engine

COMMANDS = sorted([*cli.commands, "classroom init", *(f"engine {name}" for name in engine_commands.commands)])
#: What does not exist on Windows.
POSIX_ONLY = ("fcntl", "pwd", "grp", "termios", "resource", "tty", "pty", "syslog", "spwd", "crypt")


def test_list() -> None:
    done = run("grader", "list")
    assert done.returncode == 0
    assert "03-multi-stage-builds  Multi-stage builds" in done.stdout
    content = json.loads(run("grader", "list", "--json").stdout)
    assert "03-multi-stage-builds" in [each["id"] for each in content["exercises"]]


QUICK = [["list"], ["list", "--json"], ["--help"], ["grade", "--help"], ["engine", "--help"], ["hint", "--help"]]


@pytest.mark.parametrize("arguments", QUICK)
def test_what_is_quick_imports_nothing_slow(arguments: list[str]) -> None:
    code = (
        "import sys; from grader.cli import cli, run; run(cli, sys.argv[1:], 'grader'); "
        "print('SLOW', [m for m in ('docker', 'requests', 'pydantic', 'rich', 'yaml', 'filelock') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, env=PLAIN, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "SLOW []"


def test_nothing_posix_only_is_imported_on_the_way_to_a_verdict() -> None:
    """An import hook, because modules that were imported before the interpreter's start are there already."""
    code = f"""
import builtins, sys
blocked = {POSIX_ONLY!r}
original = builtins.__import__
def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    asking = (globals or {{}}).get("__name__", "")
    if level == 0 and name.split(".")[0] in blocked and asking.startswith("grader"):
        raise ImportError(name + " is not there on Windows, asked for by " + asking)
    return original(name, globals, locals, fromlist, level)
builtins.__import__ = guarded
import pkgutil, importlib, grader
import grader.cli, grader.grading, grader.checks, grader.reports, grader.cli.compare, grader.cli.progress
grader.checks.types()
for name in grader.reports.names(): grader.reports.load(name)
print("fine")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=PLAIN, capture_output=True, text=True, check=False
    )
    assert done.stdout == "fine\n", done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_complete(name: str) -> None:
    done = run("grader", *name.split(), "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    text = done.stdout
    assert max(map(len, text.splitlines())) <= 100
    options = [line for line in text.splitlines() if re.match(r"  (-|--)\S", line)]
    bare = [line for line in options if not re.search(r"\s{2,}\S", line.strip()) and len(line) < 26]
    assert bare == [], "an option without help"
    assert "\\b" not in text, "click's mark for lines as they are, told instead of heeded"
    assert "..." not in text.split("Commands:")[-1] or "Commands:" not in text


def test_no_command_is_cut_short_in_the_overview() -> None:
    listed = run("grader", "--help").stdout.split("Commands:")[1]
    assert "..." not in listed
    assert {line.split()[0] for line in listed.strip().splitlines()} >= {"grade", "list", "demo", "doctor"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lsit"], "list"),
        (["engine", "strat"], "start"),
        (["checks", "absnt"], "Did you mean absent?"),
        (["list", "--course", "/no/such/course"], "/no/such/course"),
        (["bases", "99"], "There is no exercise"),
        (["demo", "nothing-like-it"], "There is no exercise"),
    ],
)
def test_wrong_usage_gets_a_suggestion(arguments: list[str], words: str) -> None:
    done = run("grader", *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_without_arguments_help_is_shown() -> None:
    done = run("grader")
    assert "Commands:" in done.stdout + done.stderr


def test_version() -> None:
    assert re.fullmatch(r"grader, version \d+\.\d+\.\d+\n", run("grader", "--version").stdout)


def test_checks() -> None:
    assert {line.split()[0] for line in run("grader", "checks").stdout.splitlines() if line} >= set(types())


@pytest.mark.parametrize("name", sorted(types()))
def test_the_example_of_a_check_is_one(name: str) -> None:
    text = run("grader", "checks", name).stdout
    example = yaml.safe_load(text.split("Example:")[1])
    kind = types()[name]
    validated(kind, example[0])
    fields = keys(kind).keys() - {"check"}
    assert fields <= {match[1] for match in re.finditer(r"^  (\w+)", text, re.MULTILINE)}


def test_the_schema_validates_the_shipped_rubrics() -> None:
    schema = json.loads(run("grader", "schema").stdout)
    rubrics = sorted((ROOT / "exercises").glob("*/rubric.yaml"))
    assert rubrics
    for path in rubrics:
        jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), schema)


def test_demo_shows_both_side_by_side(engine: Engine) -> None:
    done = run("grader", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if len(line) > 80 or line != line.rstrip()] == []
    assert re.search(r"starter\s+solution", done.stdout)
    for row in (r"Image size\s+\d+ MB\s+\d+ MB", r"No compiler.*\s+failed, 0 of", r"Points\s+\d+ of 100\s+100 of 100"):
        assert re.search(row, done.stdout), row
    assert '{"status":"ok"' in done.stdout.replace(" ", "").replace("\n", "")


def test_demo_without_a_solution(tmp_path: Path) -> None:
    exercises, _ = course(tmp_path, RUBRIC, "FROM scratch\n")
    done = run("grader", "demo", "1", "--course", str(exercises))
    assert done.returncode == 2
    assert "no solution" in done.stderr


def test_bases(engine: Engine) -> None:
    done = run("grader", "bases", "3")
    assert done.returncode == 0, done.stderr
    kinds = "stand-in built from Debian packages|the real image"
    assert re.search(rf"^python:3.11-slim +({kinds})$", done.stdout, re.MULTILINE)


def test_engine_status_says_whether_it_runs() -> None:
    done = run("grader", "engine", "status")
    assert done.returncode == (0 if "running   yes" in done.stdout else 3)


def test_a_limit_that_is_no_size_starts_nothing() -> None:
    done = run("grader", "engine", "start", "--memory", "lots")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'lots' is no size; write it like 220MB" in done.stderr


def test_a_runtime_that_the_engine_does_not_know_is_refused_before_the_build(engine: Engine) -> None:
    assert engine
    done = run("grade", "1", "--submission", str(ROOT / "solutions/01-first-image"), "--runtime", "no-such-runtime")
    assert done.returncode == 2
    assert "knows no runtime `no-such-runtime`" in done.stderr
    assert "runc" in done.stderr
    assert "build:" not in done.stderr


def test_clean_removes_what_a_killed_run_left_and_nothing_else(engine: Engine) -> None:
    client = engine.client

    def left_by(owner: str) -> str:
        labels = {RUN: "test", OWNER: owner}
        return str(client.create_container("debian:bookworm-slim", command=["true"], labels=labels)["Id"])

    alive = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    kept = left_by(scratch.owner(alive.pid))
    try:
        for _ in range(5):
            dead = left_by(f"{platform.node()}:1:0")
            done = run("grader", "clean")
            assert done.returncode == 0
            assert dead not in [one["Id"] for one in client.containers(all=True)]
            # A grading beside this test may have removed it before.
            if f"removed container {dead[:12]}" in done.stdout:
                break
        else:
            pytest.fail(done.stdout)
        assert kept[:12] not in done.stdout
        assert kept in [one["Id"] for one in client.containers(all=True)]
    finally:
        alive.communicate(b"\n")
        client.remove_container(kept, force=True)


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from grader.cli import main; main()", "schema"], cwd=ROOT, env=PLAIN,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    assert "Broken" not in (process.stderr.read() if not process.stderr.closed else "")
    process.stderr.close()
    process.wait(60)


def test_base_images_are_listed_for_a_workflow(tmp_path: Path) -> None:
    """Without an engine, and in a form for a shell."""
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path / 'none'}"}
    listed = run("grader", "bases", "3", "--list", env=nowhere)
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "python:3.11\npython:3.11-slim\n", "")
    key = run("grader", "bases", "3", "--key", env=nowhere).stdout
    assert re.fullmatch(r"grader-bases-1-\w+-\d{4}w\d\d-[0-9a-f]{16}\n", key)
    assert run("grader", "bases", "6", "--key", env=nowhere).stdout != key
    content = json.loads(run("grader", "bases", "3", "--json", env=nowhere).stdout)
    assert content == {"bases": ["python:3.11", "python:3.11-slim"], "key": key.strip()}
