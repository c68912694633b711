"""A RUN that met a limit of the engine's: the learner's doing if it was the step's own, ours if others used it up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grader.course.units import human_size
from grader.engine.embedded import cgroup
from grader.engine.faults import kernel
from grader.engine.faults.kernel import Kill
from grader.engine.faults.unstarted import shortened
from grader.errors import EngineError, SubmissionError

if TYPE_CHECKING:
    from grader.engine.embedded.standing import Standing
    from grader.engine.trace import Step
    from grader.errors import GraderError

#: 128 + SIGKILL.
_KILLED = 137
_KILLED_CHILD = re.compile(r"\bkilled\b|signal 9\b|-9\b", re.IGNORECASE)
_NO_PROCESS = re.compile(
    r"resource temporarily unavailable|can(?:no|')t (?:fork|start new thread)|fork: retry|pthread_create failed"
    r"|unable to fork|failed to create new os thread",
    re.IGNORECASE,
)


def failure(step: Step, standing: Standing | None) -> GraderError | None:
    """What is to be said of a step that ended with an error, if it was a limit of ``standing`` that it met."""
    if standing is None:
        return None
    log = "\n".join(step.last_lines)
    if standing.memory and (step.exit_code == _KILLED or _KILLED_CHILD.search(log)):
        kills = kernel.kills(f"/{standing.cgroup}/{cgroup.STEPS}", step.started or 0.0)
        if kills & {Kill.ALL_STEPS, Kill.MACHINE}:
            return _crowded(step, "memory")
        if kills:
            return _too_much(step, f"{human_size(standing.memory[0])} of memory", "--memory")
    if standing.processes and _NO_PROCESS.search(log):
        if _used(standing) > standing.processes[1] * 0.8:
            return _crowded(step, "processes")
        return _too_much(step, f"{standing.processes[0]} processes", "--processes")
    return None


def _too_much(step: Step, limit: str, option: str) -> SubmissionError:
    return SubmissionError(
        f"The step “{shortened(step.instruction)}” was stopped at the limit of {limit} for a build step "
        f"(exit code {step.exit_code})",
        f"Let {f'line {step.line} of the Dockerfile' if step.line else 'it'} do less at a time. Where a step needs "
        f"more, whoever runs the engine raises the limit: `grader engine start {option}`.",
        where=f"Dockerfile:{step.line}" if step.line else "",
        line=step.line,
        log=step.last_lines,
    )


def _crowded(step: Step, what: str) -> EngineError:
    return EngineError(
        f"All builds together used up the {what} that this machine has for them, and a step was stopped",
        "Grade fewer submissions at a time (`--jobs`), then grade again; nothing is counted against the submission.",
        where=f"Dockerfile:{step.line}" if step.line else "",
        log=step.last_lines,
    )


def _used(standing: Standing) -> int:
    """The processes of all steps that run now."""
    folder = cgroup.group_of_steps("pids", standing.cgroup)
    try:
        return int((folder / "pids.current").read_text(encoding="ascii")) if folder else 0
    except (OSError, ValueError):
        return 0
