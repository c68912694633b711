from __future__ import annotations

from dataclasses import replace

import pytest

from grader.engine.told import told
from grader.engine.trace import Step

STEP = Step("[1/2] RUN x", 2, "RUN x", "stage-0", False, 1.0, "", None, "one\ntwo\n", started=100.0)


def test_a_step_is_told_as_it_was() -> None:
    failed = replace(STEP, started=101.0, duration=0.5, error="exit code: 7", exit_code=7)
    first, second = told([STEP, failed], took=1.5)
    assert (first.line, first.instruction, first.stage, first.log) == (2, "RUN x", "stage-0", ("one", "two"))
    assert (first.started, first.duration, first.error) == (0.0, 1.0, "")
    assert (second.started, second.exit_code, second.error) == (1.0, 7, "exit code: 7")


def test_what_an_earlier_build_has_begun_starts_with_this_one() -> None:
    from_cache = replace(STEP, cached=True, started=3.0, duration=0.0)
    first, second = told([from_cache, STEP], took=1.2)
    assert first.started == 0.0
    assert second.started == pytest.approx(0.2)


def test_an_engine_that_tells_no_times_gives_none() -> None:
    (step,) = told([replace(STEP, started=None, duration=None, cached=None)], took=1.0)
    assert (step.started, step.duration, step.cached) == (None, None, None)
    assert told([], took=1.0) == ()


def test_of_a_long_log_the_end_is_kept() -> None:
    (step,) = told([replace(STEP, log="\n".join(f"line {number}" for number in range(100)))], took=1.0)
    assert step.log == tuple(f"line {number}" for number in range(80, 100))
    (step,) = told([replace(STEP, log=f"lost\n{'x' * 50_000}\nend")], took=1.0)
    assert step.log == ("x" * 15_997, "end")


def test_all_logs_together_have_a_bound_and_the_last_steps_keep_theirs() -> None:
    steps = told([replace(STEP, log="x" * 20_000)] * 20, took=1.0)
    lengths = [sum(map(len, step.log)) for step in steps]
    assert lengths == [0] * 4 + [16_000] * 16
