"""One stage by its name: it builds, it does its job, and other checks look at it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from grader.errors import SubmissionError
from grader.result import Status
from grader.submission.files import File
from grader.tests.checks.fakes import FakeWorkshop, check, subject

if TYPE_CHECKING:
    from grader.checks.subject import Subject
    from grader.tests.conftest import Grade

BREAKS = "check: target, target: test, fails_when: {app.py: broken}"


def stage(failure: SubmissionError | None = None) -> Subject:
    return subject(files={"app.py": File(b"fine\n")}, workshop=FakeWorkshop(failure=failure))


def test_a_test_stage_fails_with_a_broken_app() -> None:
    good = check(BREAKS).run(stage(SubmissionError("RUN pytest failed")))
    assert (good.status, "RUN pytest failed" in good.got) == (Status.PASSED, True)


def test_one_that_only_holds_the_tests_does_not() -> None:
    bad = check(BREAKS).run(stage())
    assert (bad.status, bad.line) == (Status.FAILED, 1)
    assert "app.py" in bad.got


def test_one_that_fails_with_any_change_does_not_test() -> None:
    bad = check(f"{BREAKS}, builds_when: {{app.py: harmless}}").run(stage(SubmissionError("digests differ", line=7)))
    assert (bad.status, bad.line) == (Status.FAILED, 7)
    assert "digests differ" in bad.got
    assert "harmless change of app.py" in bad.expected


def test_a_target_has_a_name() -> None:
    with pytest.raises(ValueError, match="target"):
        check("check: target")
    with pytest.raises(ValueError, match="target"):
        check("check: target, target: ''")


# --- on a real engine -------------------------------------------------------------------------------------------------

OWN = {"app.sh": f"exit 0 # {secrets.token_hex(4)}\n"}
DOCKERFILE = """\
FROM debian:bookworm-slim AS builder
COPY app.sh /
RUN echo built > /result
FROM builder AS Test
RUN {test}
FROM debian:bookworm-slim
COPY --from=builder /result /
"""
TARGET = {
    "check": "target",
    "target": "test",
    "fails_when": {"app.sh": "exit 1"},
    "builds_when": {"app.sh": "# {fresh}"},
}


@pytest.mark.parametrize(
    ("test", "status"),
    [("sed -i s/exit.0// /app.sh; sh /app.sh", Status.PASSED), ("ls /app.sh; true", Status.FAILED)],
)
def test_tests_that_run_are_told_from_tests_that_lie_there(test: str, status: Status, grade: Grade) -> None:
    (result,) = grade(DOCKERFILE.format(test=test), [TARGET], own=OWN).checks
    assert result.status is status, result
    assert result.line == (4 if status is Status.FAILED else None)


def test_a_run_that_looked_at_the_change_in_an_earlier_build_is_not_said_not_to(grade: Grade) -> None:
    dockerfile = DOCKERFILE.format(test="sh /app.sh || true")
    for _ in range(2):
        (result,) = grade(dockerfile, [TARGET], own=OWN).checks
        assert result.got == "it builds even with a broken app.sh"
    (result,) = grade(DOCKERFILE.replace("RUN {test}", "COPY app.sh /tested.sh"), [TARGET], own=OWN).checks
    assert result.got == "it builds even with a broken app.sh; no RUN of it looked at the change"


def test_a_stage_that_is_not_there_is_the_learners(grade: Grade) -> None:
    first, second = grade(
        DOCKERFILE.format(test="true"),
        [{"check": "target", "target": "tests"}, {"check": "size", "target": "tests", "max": "1GB"}],
        own=OWN,
    ).checks
    assert (first.status, second.status) == (Status.FAILED, Status.FAILED)
    assert "no stage `tests`" in first.got


def test_any_check_looks_at_a_stage(grade: Grade) -> None:
    absent = {"check": "absent", "paths": ["/app.sh"]}
    whole, builder = grade(
        DOCKERFILE.format(test="true"),
        [absent | {"id": "whole"}, absent | {"id": "builder", "target": "builder"}],
        own=OWN,
    ).checks
    assert (whole.status, builder.status) == (Status.PASSED, Status.FAILED)
    assert builder.line == 2


def test_a_stage_runs_as_an_app(grade: Grade) -> None:
    dockerfile = """\
FROM python:3.11-slim AS served
RUN echo hello > /index.html
CMD ["python", "-m", "http.server", "5000", "--directory", "/"]
FROM python:3.11-slim
CMD ["false"]
"""
    checks = [{"check": "http", "get": "/index.html", "text": "hello", "target": "served"}]
    result = grade(dockerfile, checks, app={"port": 5000})
    assert result.status is Status.PASSED, result
