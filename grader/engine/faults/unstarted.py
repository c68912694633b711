"""A RUN whose command the engine's runtime could not start, and why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grader.errors import EngineError, GraderError, SubmissionError

if TYPE_CHECKING:
    from grader.engine.trace import Step

# The engine's runtime says why it could not start a command in the log of the step, where Engine 20.10 and 28 make it
# exit code 1. (A learner's echo of such a line gives an error, never a pass.)
# Podman says before it what it was doing.
_RUNTIME = re.compile(
    r"^(?:error running container: from \S+ (?:creat|start)ing container for \[.*\]: )?"
    r'(?:time=".*" level=error msg=")?(?:runc (?:run|create) failed|crun: |OCI runtime).*',
    re.MULTILINE,
)
_NOT_STARTED = (
    (re.compile(r'exec: "(?P<it>[^"]*)": (?:stat \S+: no such file|executable file not found)'
                r"|executable file `([^`]*)` not found"),
     "The command “{it}” does not exist in the image"),
    (re.compile(r'exec: "(?P<it>[^"]*)": permission denied'), "“{it}” may not be executed"),
    (re.compile(r'exec: "(?P<it>[^"]*)": is a directory'), "“{it}” is a directory, not a command"),
    (re.compile(r"exec (?P<it>\S+): exec format error"), "“{it}” is no program for this machine"),
    (re.compile(r'to rootfs at "(?P<it>/proc[^"]*)": .*(?:proc-safety|inside /proc)'),
     "Nothing can be mounted at “{it}”, which is the kernel's own"),
    (re.compile(r'to rootfs at "(?P<it>[^"]*)": .*(?:no such file or directory|not a directory)'),
     "What is to be mounted at “{it}” is not there"),
    (re.compile(r'chdir to cwd \("(?P<it>[^"]*)"\)'), "The working directory “{it}” cannot be used"),
)  # fmt: skip


def shortened(text: str, limit: int = 300) -> str:
    """``text`` on one line, cut where it is longer than ``limit`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def failure(step: Step, where: str) -> GraderError | None:
    """Whose fault it is that the runtime never got as far as the command of a RUN; None when it did."""
    said = _RUNTIME.findall("\n".join(step.last_lines[-3:]))
    if not said:
        return None
    message = said[-1].replace('\\"', '"')
    for pattern, what in _NOT_STARTED:
        if match := pattern.search(message):
            it = next((group for group in match.groups() if group), "")
            return SubmissionError(
                f"{what.format(it=it)}: {shortened(step.instruction)}",
                f"Mend line {step.line} of the Dockerfile." if step.line else "Mend the Dockerfile.",
                where=where,
                line=step.line,
                log=step.last_lines,
            )
    return EngineError(
        f"The engine could not start a step: {shortened(message)}",
        "Nothing is counted against the submission. Grade again; if it stays, restart the engine.",
        where=where,
        log=step.last_lines,
    )
