"""What every check type owes a learner and an author, whatever it asserts."""

from __future__ import annotations

import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from grader import judging
from grader.checks import types
from grader.course import rubric
from grader.course.model import keys, validated
from grader.course.rubric import json_schema
from grader.engine.running.app import Stopped
from grader.engine.trace import Step
from grader.errors import EngineError, RubricError, SubmissionError
from grader.result import CheckResult, Fault, Status, silent
from grader.submission.files import File
from grader.tests.checks.doing import CHILD, SHELL, Doer, doing, done
from grader.tests.checks.fakes import FakeApp, FakeImage, FakeWorkshop, answer, broken, check, file, program, subject

if TYPE_CHECKING:
    from grader.checks.subject import Subject

SLOW = Step("RUN x", 1, "RUN x", "", False, 9.0, "", None, "")
#: A check of each type, a subject that fails it, and whether the Dockerfile has a line to blame.
FAILING: dict[str, tuple[str, Subject, bool]] = {
    "build": (
        "check: build, within: 1s",
        subject(steps=[SLOW], duration=9.0),
        True,
    ),
    "size": ("check: size, max: 1MB", subject(image=FakeImage([{"a": file(2_000_000)}])), True),
    "absent": ("check: absent, commands: [gcc]", subject(image=FakeImage([{"gcc": program()}])), True),
    "http": ("check: http, get: /", subject(app=FakeApp(answer(status=500))), False),
    "cache": (
        "check: cache, twice: true",
        subject(steps=[SLOW], workshop=FakeWorkshop([SLOW])),
        True,
    ),
    "target": (
        "check: target, target: last, fails_when: {Dockerfile: x}",
        subject(workshop=FakeWorkshop(stages={"last": subject(workshop=FakeWorkshop())})),
        True,
    ),
    "pytest": ("check: pytest, file: test_for_example.py", subject(folder=Path(__file__).parent / "example"), False),
    "layers": ("check: layers, max: 1", subject(image=FakeImage([{"a": file()}, {"b": file()}])), True),
    "dockerfile": ("check: dockerfile, stages: {min: 2}", subject(), True),
    "context": ("check: context, max_files: 1", subject(files={"a": File(b"")}), False),
    "config": ("check: config, not_root: true", subject(dockerfile="FROM base\nUSER root\n"), True),
    "lint": ("check: lint", subject(dockerfile="FROM debian\n"), True),
    "secrets": (
        "check: secrets",
        subject(image=FakeImage([{"a": file()}], content={"a": "ghp" + "_9aB8cD7eF6gH5iJ4kL3mN2oP1qR0sT9uV8wX"})),
        True,
    ),
    "command": ("check: command, command: [tool]", doing(finished=done(1)), True),
    "process": ("check: process, app_is_pid_1: true", doing(Doer([SHELL, CHILD])), True),
    "stop": ("check: stop", doing(Doer(stopped=Stopped(None, 10.0))), True),
    "health": (
        "check: health",
        doing(dockerfile="FROM base\nHEALTHCHECK CMD true\n", config={"Healthcheck": {"Test": ["CMD", "true"]}}),
        True,
    ),
    "present": (
        "check: present, path: /a, mode: '0755'",
        subject(image=FakeImage([{"a": file()}])),
        True,
    ),
}
RUBRIC = """\
format: 1
title: Examples
submit: [Dockerfile]
pass: 1
bases: ["python:3.11"]
app: {port: 5000}
checks:
"""


def judged(text: str, on: Subject, **more: Any) -> CheckResult:
    (result,) = judging.judge(on, [check(text, **more)], silent)
    return result


@pytest.mark.parametrize("name", sorted(types()))
def test_every_failure_teaches(name: str) -> None:
    text, failing, has_line = FAILING[name]
    result = judged(text, failing)
    assert (result.status, result.fault, result.score) == (Status.FAILED, Fault.LEARNER, 0)
    assert result.expected
    assert result.got
    assert result.why, "a check type says why it matters, for rubrics that do not"
    assert result.hints, "a check type gives a hint, for rubrics that do not"
    assert (result.line is not None) is has_line
    own = judged(text, failing, why="Because.", hints=("Try.", "Do."))
    assert (own.why, own.hints) == ("Because.", ("Try.", "Do."))


@pytest.mark.parametrize("name", sorted(types()))
def test_a_fault_of_the_subject_is_whose_it_is(name: str) -> None:
    text, failing, _ = FAILING[name]
    learners = SubmissionError("The build failed", "Mend line 3", line=3, log=("so",))
    for error, status, fault in (
        (learners, Status.FAILED, Fault.LEARNER),
        (EngineError("gone", "start it"), Status.ERROR, Fault.INFRASTRUCTURE),
        (ConnectionResetError("peer"), Status.ERROR, Fault.INFRASTRUCTURE),
        (ZeroDivisionError("a bug"), Status.ERROR, Fault.INFRASTRUCTURE),
        (RubricError("wrong"), Status.ERROR, Fault.AUTHOR),
    ):
        result = judged(text, broken(error, failing.folder))
        assert (result.status, result.fault) == (status, fault)
        assert result.score == (None if status is Status.ERROR else 0)
        assert result.expected
        assert result.got
    failed = judged(text, broken(learners, failing.folder))
    assert (failed.line, failed.evidence["log"], failed.evidence["fix"]) == (3, ["so"], "Mend line 3")


@pytest.mark.parametrize("name", sorted(types()))
def test_the_example_is_a_rubric(name: str, tmp_path: Path) -> None:
    path = tmp_path / "rubric.yaml"
    path.write_text(RUBRIC + textwrap.indent(types()[name].example, "  "))
    (loaded,) = rubric.load(path, types()).checks
    assert loaded.check == name
    jsonschema.validate(yaml.safe_load(path.read_text()), json_schema(types()))


@pytest.mark.parametrize("name", sorted(types()))
def test_every_type_and_every_field_is_described(name: str) -> None:
    kind = types()[name]
    assert kind.__doc__
    assert not [
        field for field, facts in keys(kind).items() if field != "check" and not facts.metadata.get("description")
    ]


@pytest.mark.parametrize("name", sorted(types()))
def test_every_type_can_be_explained_and_seen_by_hand(name: str) -> None:
    kind = types()[name]
    assert len(kind.looks_at) > 60
    assert kind.looks_at.endswith(".")
    example = validated(kind, yaml.safe_load(kind.example)[0])
    lines = example.by_hand(8123)
    assert any("docker " in line for line in lines)
    for line in lines:
        assert "{fresh" not in line, "nobody's shell knows what that stands for"
        if shutil.which("bash"):
            subprocess.run(["bash", "-n", "-c", line], check=True, capture_output=True)
    for held, removed in (("my-app", "docker rm -f my-app"), ("my-files", "docker rm my-files")):
        if any(f"--name {held}" in line for line in lines):
            assert any(line.startswith(removed) for line in lines), "what is started is removed again"
    if "app" in kind.uses:
        assert any("8123" in line for line in lines)


BY_HAND = [
    ("check: build, args: {A: b c}", "--build-arg 'A=b c'"),
    ("check: size, max: 1MB, target: test", "--target test"),
    ("check: absent, paths: [/opt/*.sh]", "'^opt/[^/]*\\.sh(/|$)'"),
    ("check: absent, commands: [g++]", r"(g\+\+)"),
    ("check: present, path: '/etc/my app', sha256: " + "a" * 64, "my-files:'/etc/my app' - | tar -xOf - | sha256sum"),
    ("check: http, post: '/a?x={fresh}', headers: {X-A: 'it''s'}, body: hi", "http://localhost:5000/a?x=hello"),
    ("check: http, head: /, follow_redirects: true", "curl -i -s -S -I -L http://localhost:5000/"),
    ("check: command, command: 'echo $HOME', in: app, user: web", "docker exec -u web my-app /bin/sh -c 'echo $HOME'"),
    ("check: command, command: [env], entrypoint: true", "--network none my-image env"),
    ("check: stop, signal: INT, within: 2500ms", "docker kill -s SIGINT my-app && docker wait my-app"),
    ("check: stop, within: 2500ms", "docker stop -t 3 my-app"),
    ("check: health, broken_by: {post: /break}", "curl -i -X POST http://localhost:5000/break"),
    (
        "check: process, read_only: true, tmpfs: [/tmp]",
        "docker run --rm --read-only --tmpfs /tmp -p 5000:5000 my-image",
    ),
    ("check: cache, change: {app.py: 'x = 1'}, rebuilt: [COPY]", "'x = 1' >> app.py"),
    ("check: lint, ignore: [DL3008]", "--ignore DL3008"),
]


@pytest.mark.parametrize(("text", "words"), BY_HAND)
def test_what_is_shown_by_hand_has_the_checks_own_values(text: str, words: str) -> None:
    assert words in "\n".join(check(text).by_hand(5000))


def test_a_submissions_error_is_told_once_and_the_others_name_who_told_it() -> None:
    error = SubmissionError("The app does not start")
    first, second = judging.judge(
        broken(error), [check("check: http, get: /", id="one"), check("check: http, get: /", id="two")], silent
    )
    assert (first.status, second.status) == (Status.FAILED, Status.SKIPPED)
    assert second.evidence["blocked_by"] == "one"


def test_what_comes_after_a_failed_required_check_is_skipped() -> None:
    checks = [
        check("check: dockerfile, stages: {min: 1}", id="first"),
        check("check: dockerfile, stages: {min: 2}", id="second", required=True),
        check("check: dockerfile, stages: {min: 1}", id="third"),
    ]
    results = judging.judge(subject(), checks, silent)
    assert [result.status for result in results] == [Status.PASSED, Status.FAILED, Status.SKIPPED]
    assert "second" in results[2].got


def test_the_traceback_of_a_bug_is_evidence() -> None:
    assert "ZeroDivisionError" in judged("check: build", broken(ZeroDivisionError("x"))).evidence["traceback"]


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "red"},
        {"pass": "all"},
        {"checks": []},
        {"checks": [{"id": "a", "check": "sise", "points": 1}]},
        {"checks": [{"id": "a", "check": "size", "points": 1, "max": "big"}]},
        {"checks": [{"id": "a", "check": "size", "points": -1, "max": "1MB"}]},
        {"checks": [{"id": "A b", "check": "build", "points": 1}]},
        {"checks": [{"id": "a", "check": "http", "points": 1, "get": "/", "json": {}, "statsu": 1}]},
        {"app": {"port": 0}},
        {"format": 2},
    ],
)
def test_the_schema_refuses_what_the_grader_refuses(change: dict[str, Any], tmp_path: Path) -> None:
    good = yaml.safe_load(RUBRIC + textwrap.indent(types()["build"].example, "  "))
    schema = json_schema(types())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(good, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(good | change, schema)
    path = tmp_path / "rubric.yaml"
    path.write_text(yaml.safe_dump(good | change))
    with pytest.raises(RubricError):
        rubric.load(path, types())
