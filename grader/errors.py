"""What can go wrong, in words a person can act on, and the exit code each kind ends with."""

from __future__ import annotations

from enum import IntEnum

from grader.redacted import redacted
from grader.result import Fault


class ExitCode(IntEnum):
    """The exit codes of every command; scripts may rely on them."""

    PASSED = 0
    NOT_PASSED = 1
    USAGE = 2
    INFRASTRUCTURE = 3
    INTERRUPTED = 130


class CleanUpInterrupted(KeyboardInterrupt):
    """Somebody insisted on ending the grader while it removed what it had made."""


class GraderError(Exception):
    """Something a person has to know: what happened, where, and how to mend it.

    ``fault`` says whose it is; only ``Fault.LEARNER`` may cost a learner points.
    ``line`` is the Dockerfile line that caused it (1-based), where there is one.
    ``log`` holds the last lines of a program's output that show it; it is a learner's data, never markup.
    No password or token of an address is in any of them: whoever raises it need not think of that.
    """

    fault: Fault = Fault.INFRASTRUCTURE
    exit_code: ExitCode = ExitCode.INFRASTRUCTURE

    def __init__(
        self, what: str, fix: str = "", *, where: str = "", line: int | None = None, log: tuple[str, ...] = ()
    ) -> None:
        self.what = redacted(what)
        super().__init__(self.what)
        self.where = redacted(where)
        self.fix = redacted(fix)
        self.line = line
        self.log = tuple(map(redacted, log))


class UsageError(GraderError):
    """The command was called with something that is not there or makes no sense."""

    exit_code = ExitCode.USAGE
    fault = Fault.AUTHOR


class RubricError(GraderError):
    """A rubric or a course is wrong; ``where`` reads ``path:line:column``."""

    exit_code = ExitCode.USAGE
    fault = Fault.AUTHOR


class SubmissionError(GraderError):
    """What was handed in cannot be graded as it is; the learner has to change it."""

    exit_code = ExitCode.NOT_PASSED
    fault = Fault.LEARNER


class EngineError(GraderError):
    """The engine, a registry, the network or the disk failed; never the learner's."""
