from __future__ import annotations

import pytest

from grader.engine.trace import Step
from grader.tests.checks.fakes import check, subject


def test_a_build_is_all_that_is_asked() -> None:
    assert check("check: build").run(subject(duration=1000)).status == "passed"


@pytest.mark.parametrize(("duration", "verdict"), [(89.9, "passed"), (90.0, "passed"), (90.1, "failed")])
def test_within_is_inclusive(duration: float, verdict: str) -> None:
    assert check("check: build, within: 90s").run(subject(duration=duration)).status == verdict


def test_a_slow_build_names_its_slowest_step() -> None:
    steps = [step(2, "RUN true", 1), step(3, "RUN sleep 100", 100), step(4, "RUN false", None)]
    outcome = check("check: build, within: 90s").run(subject(steps=steps, duration=101))
    assert outcome.line == 3
    assert "RUN sleep 100" in outcome.got


def step(line: int, instruction: str, duration: float | None) -> Step:
    return Step(instruction, line, instruction, "", False, duration, "", None, "")
