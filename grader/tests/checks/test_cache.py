"""What a change costs, by BuildKit's own trace."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from grader.engine.trace import Step
from grader.errors import EngineError, RubricError
from grader.result import Fault, Status
from grader.submission.files import File
from grader.tests.checks.fakes import FakeWorkshop, check, subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.checks.base import Outcome
    from grader.engine.connect import Engine
    from grader.result import CheckResult
    from grader.tests.conftest import Grade

INSTRUCTIONS = (
    "FROM base",
    "COPY requirements.txt .",
    "RUN --mount=type=cache,target=/c pip  install -r x",
    "COPY . .",
)


def steps(ran: Sequence[int], *, cached: bool | None = True) -> tuple[Step, ...]:
    """Steps of which the lines ``ran`` did not come from the cache."""
    return tuple(
        Step(text, line, text, "stage-0", False if line in ran else cached, 0.1, "", None, "")
        for line, text in enumerate(INSTRUCTIONS, 1)
    )


def found(text: str, *ran: int, cached: bool | None = True) -> Outcome:
    files = {"app.py": File(b"print()\n"), "requirements.txt": File(b"flask\n")}
    made = subject(steps=steps([1, 2, 3, 4]), files=files, workshop=FakeWorkshop(steps(ran, cached=cached)))
    return check(f"check: cache, {text}").run(made)


def test_the_install_step_has_to_come_from_the_cache() -> None:
    text = 'change: [app.py], cached: ["RUN pip install"], rebuilt: ["COPY ."]'
    assert found(text, 4).status is Status.PASSED
    again = found(text, 3, 4)
    assert (again.status, again.line) == (Status.FAILED, 3)
    assert "pip install" in again.got


def test_the_line_that_takes_the_change_in_is_named() -> None:
    assert "because line 2 before it" in found('change: [app.py], cached: ["RUN pip"]', 2, 3, 4).got


def test_a_step_that_should_run_again_and_does_not_is_told() -> None:
    outcome = found('change: [requirements.txt], rebuilt: ["RUN *install"]', 4)
    assert (outcome.status, outcome.line) == (Status.FAILED, 3)
    assert "does not reach it" in outcome.got


def test_a_step_that_is_not_there_passes_nothing() -> None:
    outcome = found('change: [app.py], cached: ["RUN npm install"]', 4)
    assert outcome.status is Status.FAILED
    assert "no step begins with `RUN npm install`" in outcome.got


@pytest.mark.parametrize(("ran", "status"), [((), Status.PASSED), ((1,), Status.PASSED), ((2,), Status.FAILED)])
def test_twice_means_that_nothing_but_a_from_runs(ran: tuple[int, ...], status: Status) -> None:
    assert found("twice: true", *ran).status is status


@pytest.mark.parametrize("pattern", ["RUN", "run pip install", "RUN --mount", "RUN *install -r", "RUN * pip"])
def test_a_step_is_named_by_its_beginning(pattern: str) -> None:
    assert found(f'change: [app.py], cached: ["{pattern}"]', 4).status is Status.PASSED


@pytest.mark.parametrize("pattern", ["pip install", "RU", "RUN pipinstall", "RUN (pip|npm)"])
def test_and_by_nothing_else(pattern: str) -> None:
    wanted = Status.PASSED if pattern == "RU" else Status.FAILED
    assert found(f'change: [app.py], cached: ["{pattern}"]', 4).status is wanted


def test_an_engine_that_does_not_say_is_no_fault_of_the_learner() -> None:
    with pytest.raises(EngineError, match="does not say"):
        found("twice: true", cached=None)


def test_a_file_that_is_not_there_is_the_authors_mistake() -> None:
    with pytest.raises(RubricError, match=r"nowhere\.py"):
        found('change: [nowhere.py], cached: ["RUN"]')


def test_a_change_is_another_one_each_run() -> None:
    work = FakeWorkshop(steps([]))
    made = subject(steps=steps([]), files={"app.py": File(b"print()\n")}, workshop=work)
    check('check: cache, change: [app.py], cached: ["RUN"]').run(made)
    check('check: cache, change: {app.py: "x = 1"}, cached: ["RUN"]').run(made)
    assert [changes for changes, _ in work.built] == [
        {"app.py": f"print()\n# {made.fresh}\n".encode()},
        {"app.py": b"print()\nx = 1\n"},
    ]


@pytest.mark.parametrize(
    "text", ["", "change: [app.py]", 'cached: ["RUN"]', 'twice: true, cached: ["RUN"]', "twice: true, change: [a]"]
)
def test_half_a_question_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"needs change|leave change"):
        check(f"check: cache, {text}")


# --- on a real engine -------------------------------------------------------------------------------------------------

WASTEFUL = """\
FROM debian:bookworm-slim
WORKDIR /app
COPY . .
RUN cat requirements.txt > installed; echo ' ---> Using cache'; echo '#5 CACHED'
"""
FRUGAL = """\
FROM debian:bookworm-slim
WORKDIR /app
COPY requirements.txt .
RUN cat requirements.txt > installed
COPY app.py .
"""
QUICK = {"check": "cache", "change": ["app.py"], "cached": ["RUN cat"], "rebuilt": ["COPY *"]}
OWN = {"app.py": "print()\n", "requirements.txt": f"flask # {secrets.token_hex(4)}\n"}


def graded(grade: Grade, dockerfile: str, *checks: dict[str, Any]) -> tuple[CheckResult, ...]:
    return grade(dockerfile, [*checks], own=OWN).checks


def test_order_decides_what_a_change_costs(grade: Grade, engine: Engine) -> None:
    if engine.name == "podman":
        (result,) = graded(grade, FRUGAL, QUICK)
        assert (result.status, result.fault) == (Status.ERROR, Fault.INFRASTRUCTURE)
        return
    (good,) = graded(grade, FRUGAL, QUICK | {"rebuilt": ["COPY app.py"]})
    assert good.status is Status.PASSED, good
    # Once more: now the engine has seen this Dockerfile before, but never this change.
    (again,) = graded(grade, FRUGAL, QUICK | {"rebuilt": ["COPY app.py"]})
    assert again.status is Status.PASSED, again
    (bad,) = graded(grade, WASTEFUL, QUICK)
    assert (bad.status, bad.line) == (Status.FAILED, 4), bad


def test_a_second_build_is_cached_as_a_whole(grade: Grade, engine: Engine) -> None:
    if engine.name == "podman":
        pytest.skip("Podman does not say which steps came from its cache")
    (result,) = graded(grade, FRUGAL, {"check": "cache", "twice": True})
    assert result.status is Status.PASSED, result


def test_steps_of_an_earlier_stage_count(grade: Grade, engine: Engine) -> None:
    if engine.name == "podman":
        pytest.skip("Podman does not say which steps came from its cache")
    stages = FRUGAL.replace("slim", "slim AS builder", 1) + "FROM debian:bookworm-slim\nCOPY --from=builder /app /app\n"
    cheap = {"check": "cache", "change": ["app.py"], "cached": ["RUN cat"], "rebuilt": ["COPY app.py", "COPY /app"]}
    (result,) = graded(grade, stages, cheap)
    assert result.status is Status.PASSED, result
