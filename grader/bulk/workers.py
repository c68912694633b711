"""Processes that grade, each one submission at a time, so that none shares a memory, a crash or a signal with another.

A worker connects to the engine and reads the rubric once, then grades what it is handed until its pipe is closed. It
ignores Ctrl-C, which a terminal sends to all processes alike: who began the run decides. SIGTERM ends a grading with
nothing left behind.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import suppress
from multiprocessing import connection as connections
from typing import TYPE_CHECKING

from grader.bulk.pool import Done

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

    from grader.bulk.pool import Job, Setting

#: Seconds that a worker has to remove what it has made, before it is left to do so alone.
_PATIENCE = 30.0


class Worker:
    """One process."""

    def __init__(self, setting: Setting) -> None:
        """Starts it."""
        self._job: Job | None = None
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, setting), name="grader-bulk", daemon=False)
        # Inherited, so that there is no moment in which Ctrl-C would end it.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        theirs.close()

    def begin(self, job: Job) -> None:
        """Hands it a job; one that has died is found out when its answer is waited for."""
        self._job = job
        with suppress(OSError):
            self.pipe.send(job)

    def take(self) -> Done:
        """What came of its job; it does not wait."""
        job, self._job = self._job, None
        assert job is not None  # noqa: S101  # whoever asks has handed it one
        try:
            return Done(self, job, self.pipe.recv())
        except (EOFError, OSError):
            self._process.join(1)
            return Done(self, job, None, f"the process that graded it ended with {self._process.exitcode}")

    @property
    def alive(self) -> bool:
        """Whether it can take another job."""
        return self._process.is_alive()

    def end(self) -> None:
        """Lets it end: at once when it waits, after what it is at otherwise."""
        with suppress(OSError):
            self.pipe.close()

    def interrupt(self) -> None:
        """Ends what it is at, and it with it."""
        if self._process.is_alive():
            self._process.terminate()

    def join(self) -> None:
        """Waits for its end."""
        self._process.join(_PATIENCE)


class Processes:
    """As many of them as grade at a time on this machine."""

    def __init__(self, setting: Setting, room: int) -> None:
        """None is started yet."""
        self.room = room
        self._setting = setting

    def start(self) -> Worker:
        """One more process."""
        return Worker(self._setting)

    def wait(self, busy: Sequence[Worker], seconds: float) -> Sequence[Worker]:
        """Those that have an answer, or have died; none when ``seconds`` have passed."""
        ready = connections.wait([worker.pipe for worker in busy], seconds)
        return [worker for worker in busy if worker.pipe in ready]


def most() -> int:
    """How many workers this machine is good for: three for two cores, and a gigabyte of memory for each.

    A grading waits for a good part of its time: for packages, for containers to start, for the app.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores += cores // 2
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return max(1, cores)
    return max(1, min(cores, memory // 10**9))


def _work(pipe: Connection, setting: Setting) -> None:
    """The process: jobs in, results out."""
    # Not inherited on Windows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from grader.bulk.one import Grader  # noqa: PLC0415  # its imports are the worker's own business

    grader = Grader(setting)
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            pipe.send(grader.grade(pipe.recv()))
