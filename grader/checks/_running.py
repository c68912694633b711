"""What checks of running containers share: how much time is left, and what PID 1 is in words."""

from __future__ import annotations

import math
import posixpath
import signal as signals
import time
from typing import TYPE_CHECKING

from grader.checks._text import shown

if TYPE_CHECKING:
    from grader.engine.running.processes import Process

#: Programs that are made to be PID 1 in front of an app: they pass signals on and bury what has ended.
INITS = {"tini", "tini-static", "docker-init", "dumb-init", "catatonit"}


class Clock:
    """The time of one check, from now on."""

    def __init__(self, timeout: float | None) -> None:
        """``timeout`` is seconds; None when there is no end to it."""
        self._end = time.monotonic() + (math.inf if timeout is None else timeout)

    def left(self, wanted: float = math.inf) -> float:
        """Seconds for something that may take ``wanted``."""
        return max(0.1, min(wanted, self._end - time.monotonic()))


def program(process: Process) -> str:
    """The name of the file that a process runs, which it cannot choose as it can its arguments."""
    return posixpath.basename(process.program) or "?"


def described(process: Process) -> str:
    """A process in a few words; what it says of itself comes last, and cut."""
    says = shown(" ".join(process.args), 80)
    return f"PID {process.pid} ({process.program or '?'}{f': {says}' if says else ''})"


def is_init(process: Process) -> bool:
    """Whether it is one of `INITS`, and no shell under such a name."""
    return program(process) in INITS and not process.shell


def deafness(first: Process, signal: str) -> str:
    """Why PID 1 goes on when it gets ``signal`` (`SIGTERM`)."""
    # Not every system that a grader runs on knows every signal of Linux.
    number = getattr(signals, signal, None)
    if first.shell:
        return f"{described(first)} is a shell, which does not pass {signal} on to what it started"
    if number is not None and number not in first.handles:
        return f"{described(first)} does not handle {signal}, and the kernel spares a PID 1 that does not"
    return f"{described(first)} handles {signal} and goes on"
