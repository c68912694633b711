"""Clocks that jump, and two that do not agree: no limit, no duration and no verdict depends on the time of day."""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from grader.engine.told import told
from grader.engine.trace import Step
from grader.result import Status
from grader.tests.failing.rogue import Rogue
from grader.tests.failing.scenes import scene

if TYPE_CHECKING:
    from pathlib import Path

    from grader.engine.connect import Engine

DAY = 86_400.0
YEAR = 365 * DAY
STEP = Step(
    line=2,
    instruction="RUN x",
    stage="stage-0",
    cached=False,
    duration=0.5,
    exit_code=None,
    error="",
    log="",
    name="[2/2] RUN x",
    started=1_700_000_000.0,
)


def test_a_grading_does_not_look_at_the_time_of_day(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not engine.local or not engine.endpoint.startswith("unix://"):
        pytest.skip("the rogue, through which it goes, listens on a unix socket")
    now = time.time()
    jumps = itertools.cycle([0.0, DAY, -DAY, YEAR, -YEAR])
    monkeypatch.setattr(time, "time", lambda: now + next(jumps))
    with Rogue(tmp_path / "s", engine.endpoint) as rogue, scene(tmp_path, rogue, engine, local=True) as here:
        monkeypatch.setenv("DOCKER_HOST", rogue.endpoint)
        result = here.grade()
    assert result.status is Status.PASSED
    assert 0 <= result.duration < DAY
    assert all(0 <= each < DAY for each in (*result.phases.values(), *(check.duration for check in result.checks)))
    # The client library, by which Podman is asked, spells out that it wants none.
    urls = [url.replace("timestamps=0&", "") if engine.name == "podman" else url for url in rogue.urls]
    # The engine's clock may be another one: it is asked for nothing by the time.
    assert not [url for url in urls if re.search(r"[?&](?:since|until|timestamps)=", url)]


@pytest.mark.parametrize("jump", [DAY, -DAY, YEAR, -YEAR])
def test_a_clock_that_jumps_in_a_build_makes_no_impossible_times(jump: float) -> None:
    took = 2.0
    first = replace(STEP, duration=max(0.5 + jump, 0.0))
    second = replace(STEP, line=3, started=(STEP.started or 0.0) + 0.5 + jump)
    for steps in ((STEP, second), (first, second), (second, STEP)):
        for step in told(steps, took):
            assert step.started is not None
            assert step.duration is not None
            assert 0 <= step.started <= took
            assert 0 <= step.duration <= took


def test_the_limits_are_kept_by_a_clock_that_nobody_sets() -> None:
    """What the time of day is used for: names of copies, the start of a result, the age of a look at a registry.

    And whether what the kernel killed was killed since a step began, which an engine tells by the time of day.
    """
    from grader.tests.test_direction import ROOT, sources  # noqa: PLC0415  # the list of our own files

    asking = {
        path.relative_to(ROOT).as_posix()
        for path in sources()
        if re.search(r"\btime\.time\(|\bdatetime\.(?:now|utcnow|today)\(", path.read_text(encoding="utf-8"))
    }
    known = {
        "cli/engine.py",
        "cli/watching.py",
        "engine/bases.py",
        "engine/faults/kernel.py",
        "grading.py",
        "learn/folder.py",
        "learn/progress.py",
    }
    assert asking <= known, "a limit by the time of day breaks when somebody sets the clock: use time.monotonic()"
