"""What the kernel writes down of those that it kills; how that comes about: test_bounds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from grader.engine.faults import kernel
from grader.engine.faults.kernel import Kill, kills

pytestmark = pytest.mark.skipif(not Path("/proc/self/mounts").exists(), reason="Linux's")
STEPS = "/grader-grader0-1/buildkit"
HEAD = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null)"
SEVERAL = f"{HEAD},cpuset=gsq4vwiaj8q8,mems_allowed=0,2-3"


def told(monkeypatch: pytest.MonkeyPatch, *lines: str, ago: float = 0.0) -> set[Kill]:
    now = time.clock_gettime(time.CLOCK_MONOTONIC)
    monkeypatch.setattr(kernel, "_records", lambda: [(now - ago, line) for line in lines])
    return kills(STEPS, time.time() - 1)


@pytest.mark.parametrize(
    ("line", "kill"),
    [
        (f"{SEVERAL},oom_memcg={STEPS}/one,task_memcg={STEPS}/one,task=tail,pid=7,uid=0", Kill.STEP),
        # A kernel without cpusets.
        (f"{HEAD},oom_memcg={STEPS}/one,task_memcg={STEPS}/one,task=tail,pid=1237,uid=0", Kill.STEP),
        (f"{SEVERAL},oom_memcg={STEPS},task_memcg={STEPS}/one,task=tail,pid=7,uid=0", Kill.ALL_STEPS),
        (f"{SEVERAL},oom_memcg=/grader-grader0-1,task_memcg={STEPS}/one,task=tail,pid=7,uid=0", Kill.MACHINE),
        (f"{SEVERAL},global_oom,task_memcg={STEPS}/one,task=tail,pid=7,uid=0", Kill.MACHINE),
        # What a program calls itself stands behind.
        (f"{SEVERAL},oom_memcg={STEPS}/one,task_memcg={STEPS}/one,task=,global_oom,task,pid=7,uid=0", Kill.STEP),
    ],
)
def test_whose_memory_was_used_up_is_read_from_the_kernels_log(
    monkeypatch: pytest.MonkeyPatch, line: str, kill: Kill
) -> None:
    assert told(monkeypatch, "usb 1-1: new device", line) == {kill}


def test_who_was_killed_elsewhere_or_before_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for group in ("/docker/buildkit/one", f"{STEPS}2/one", "/grader-grader0-1/app"):
        line = f"{SEVERAL},oom_memcg={group},task_memcg={group},task=tail,pid=7,uid=0"
        assert told(monkeypatch, line) == set()
    line = f"{SEVERAL},oom_memcg={STEPS}/one,task_memcg={STEPS}/one,task=tail,pid=7,uid=0"
    assert told(monkeypatch, line, ago=60.0) == set()


def test_a_log_that_may_not_be_read_tells_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kernel, "_LOG", tmp_path / "none")
    assert kills(STEPS, 0.0) == set()
