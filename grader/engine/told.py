"""The steps of a build, as a result tells them: with bounds on what a learner's programs printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.result import StepResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.engine.trace import Step

#: Characters of one step's log, and of all logs of a build together.
_LOG = 16_000
_ALL_LOGS = 256_000
_ERROR = 4_000


def told(steps: Sequence[Step], took: float) -> tuple[StepResult, ...]:
    """The steps of a build that ``took`` so many seconds, in the same order.

    Where the logs are too long together, the last steps keep theirs.
    """
    first = _beginning(steps, took)
    left = _ALL_LOGS
    results = []
    for step in reversed(steps):
        log = _ending(step, min(left, _LOG))
        left -= sum(map(len, log))
        results.append(_result(step, log, first, took))
    return tuple(reversed(results))


def _beginning(steps: Sequence[Step], took: float) -> float:
    """When the first step started; what comes from the cache may say when it did in an earlier build."""
    timed = [step for step in steps if step.started is not None]
    starts = [step.started or 0.0 for step in timed]
    ends = [(step.started or 0.0) + (step.duration or 0.0) for step in timed]
    return max(min(starts), max(ends) - took) if timed else 0.0


def _ending(step: Step, most: int) -> tuple[str, ...]:
    """The last lines of a step's log, the first of them cut at its front where it is too long."""
    lines: list[str] = []
    for line in reversed(step.last_lines):
        if most <= 0:
            break
        lines.append(line[-most:])
        most -= len(line)
    return tuple(reversed(lines))


def _result(step: Step, log: tuple[str, ...], first: float, took: float) -> StepResult:
    """No step begins after the build's end or takes longer: ``took`` is by our clock, which nobody sets."""
    return StepResult(
        line=step.line,
        instruction=step.instruction,
        stage=step.stage,
        cached=step.cached,
        started=None if step.started is None else round(min(max(step.started - first, 0.0), took), 4),
        duration=None if step.duration is None else round(min(step.duration, took), 4),
        exit_code=step.exit_code,
        error=step.error[:_ERROR],
        log=log,
    )
