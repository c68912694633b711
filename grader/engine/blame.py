"""Why a build ended without an image, and whose fault that is.

An unknown error is never the learner's: only what is recognised as the work of their files may cost points.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grader.course.units import human_time
from grader.errors import EngineError, GraderError, SubmissionError

if TYPE_CHECKING:
    from grader.engine.trace import Step

# Seen in a step's error or log when the machine, its network or a registry is at fault.
_OURS = (
    ("no space left on device", "The engine's disk is full", "Free space (`grader clean`), then grade again."),
    ("disk quota exceeded", "The engine's disk is full", "Free space (`grader clean`), then grade again."),
    ("toomanyrequests", "A registry limits how often it may be asked", "Log in to it, or wait and grade again."),
    ("429 too many requests", "A registry limits how often it may be asked", "Log in to it, or wait and grade again."),
    ("failed to create endpoint", "The engine could not give the step a network", "Restart the engine."),
    ("could not attach to network", "The engine could not give the step a network", "Restart the engine."),
    ("cannot allocate memory", "The engine's machine is out of memory", "Free memory, then grade again."),
    ("error during connect", "The engine lost its connection", "See that it runs (`grader doctor`)."),
    ("code = unavailable", "The engine's builder is not available", "See that it runs (`grader doctor`)."),
)
_NETWORK = re.compile(
    r"temporary failure (?:in name resolution|resolving)|could not resolve host|name or service not known"
    r"|network is unreachable|no route to host|failed to establish a new connection|connection timed out"
    r"|tls handshake timeout|dial tcp|i/o timeout|connection reset by peer|read timed out",
    re.IGNORECASE,
)
# What BuildKit says of a Dockerfile or a context that asks for something that is not there.
_THEIRS = (
    (re.compile(r"dockerfile parse error.*", re.IGNORECASE), "The Dockerfile cannot be read"),
    (re.compile(r'"[^"]+": not found|failed to (?:calculate checksum|compute cache key)|no source files were specified'
                r"|no such file or directory|no items matching glob|file not found", re.IGNORECASE),
     "A file that is to be copied is not there"),
    (re.compile(r"executable file not found|exec format error|permission denied", re.IGNORECASE),
     "A command cannot be started"),
    (re.compile(r"unable to find (?:user|group)|no matching entries in passwd|no matching entries in group"
                r"|invalid user index|error processing user", re.IGNORECASE),
     "A user or a group does not exist in the image"),
    (re.compile(r"invalid response status 4\d\d", re.IGNORECASE), "A remote file that ADD asks for is not there"),
    (re.compile(r"target stage .* (?:could not be found|not found)|circular dependency|failed to parse"
                r"|failed to create llb|failed to solve with frontend|unknown flag|unknown instruction"
                r"|requires at least|requires exactly|cannot be used|must be a directory|not a directory"
                r"|cannot copy to|is not a valid|syntax error|unexpected end of|bad flag|invalid|no build stage"
                r"|forbidden path|unsupported modifier|missing", re.IGNORECASE),
     "The Dockerfile asks for something that cannot be done"),
)  # fmt: skip


def failure(error: str, step: Step | None) -> GraderError:
    """What ``error`` means: a ``SubmissionError`` when the learner's files did it, else an ``EngineError``."""
    line = step.line if step else None
    where = f"Dockerfile:{line}" if line else ""
    log = step.last_lines if step else ()
    text = "\n".join([error, step.error if step else ""])
    if step and step.exit_code is not None:
        return _failed_command(step, where)
    for sign, what, fix in _OURS:
        if sign in text.lower():
            return EngineError(f"{what}: {_short(error)}", fix, where=where, log=log)
    if _NETWORK.search(text):
        return EngineError(
            f"The network failed: {_short(error)}",
            "See that the engine has one, then grade again.",
            where=where,
            log=log,
        )
    for pattern, what in _THEIRS:
        if pattern.search(text):
            return SubmissionError(f"{what}: {_short(error)}", _look_at(step), where=where, line=line, log=log)
    return EngineError(
        f"The engine could not build the image: {_short(error)}",
        "This is not known to be the submission's fault, so nothing is counted against it. Grade again; "
        "if it stays, `grader doctor` tells more.",
        where=where,
        log=log,
    )


def timeout(step: Step | None, limit: float, *, engine_hung: bool) -> GraderError:
    """The build took longer than ``limit`` seconds; an engine that never began or cannot be stopped is to blame."""
    if engine_hung or step is None:
        return EngineError(
            f"The engine did not finish the build within {human_time(limit)}, nor end it when asked to",
            "See that the engine is well (`grader doctor`), then grade again.",
        )
    return SubmissionError(
        f"The build did not finish within {human_time(limit)}; it was at: {_short(step.instruction)}",
        "Look for a step that waits for something, a server that never ends, or work that a cache could save.",
        where=f"Dockerfile:{step.line}" if step.line else "",
        line=step.line,
        log=step.last_lines,
    )


def _failed_command(step: Step, where: str) -> GraderError:
    """A RUN that ended with an error: the learner's, unless its own last words are that disk or network are gone."""
    tail = "\n".join(step.last_lines)
    for sign, what, fix in _OURS[:4]:
        if sign in tail.lower():
            return EngineError(f"{what} (seen in the log of a step)", fix, where=where, log=step.last_lines)
    if _NETWORK.search(tail):
        return EngineError(
            "The network failed while a step needed it",
            "See that builds reach the network (`grader doctor`), then grade again. If the address in the log is one "
            "that the Dockerfile made up, mend it there.",
            where=where,
            log=step.last_lines,
        )
    killed = " (killed: out of memory?)" if step.exit_code == 137 else ""  # 128 + SIGKILL
    return SubmissionError(
        f"The step “{_short(step.instruction)}” ended with exit code {step.exit_code}{killed}",
        _look_at(step),
        where=where,
        line=step.line,
        log=step.last_lines,
    )


def _look_at(step: Step | None) -> str:
    if step and step.line:
        return f"Mend line {step.line} of the Dockerfile" + ("; the log's last lines say why." if step.log else ".")
    return "Mend the Dockerfile."


def _short(text: str, limit: int = 300) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
