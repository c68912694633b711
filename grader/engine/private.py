"""The embedded engine: a dockerd of our own, for machines where Docker is installed and none runs.

It has its own socket, data, runtime folder and bridge, so that it disturbs no other engine, and is reached by root
alone, never over TCP. It outlives the command that started it, and its data (images, build cache) outlives it. What its
builds may use is bounded as far as this machine lets it be; what is not is noted beside its socket (`standing`).
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.engine.embedded import dockerd, limits, standing
from grader.engine.embedded.home import HOME, Home
from grader.engine.embedded.limits import Limits
from grader.engine.embedded.standing import Standing
from grader.engine.install import find
from grader.engine.room import is_mounted
from grader.errors import EngineError
from grader.result import ProgressEvent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from grader.result import Progress

__all__ = ["HOME", "EngineStatus", "Home", "Limits", "available", "endpoint", "running", "start", "status", "stop"]


@dataclass(frozen=True)
class EngineStatus:
    """How the private engine is; ``pid`` is None when it does not run, ``standing`` also when an older version did it.

    ``pending`` says that something else was asked for since it was started.
    """

    running: bool
    pid: int | None
    endpoint: str
    data: Path
    log: Path
    standing: Standing | None = None
    pending: bool = False


def endpoint(home: Home = HOME) -> str:
    """Where the private engine answers when it runs, in the form of DOCKER_HOST."""
    return home.endpoint


def available() -> bool:
    """Whether this machine and user can run the private engine: root, on Linux, with dockerd."""
    return sys.platform == "linux" and os.geteuid() == 0 and find("dockerd") is not None


def running(home: Home = HOME) -> bool:
    """Whether the private engine answers; costs about a millisecond."""
    return home.socket.exists() and dockerd.answers(home)


def status(home: Home = HOME) -> EngineStatus:
    """How the private engine is, without starting it."""
    runs = running(home)
    stands = standing.read(home.run) if runs else None
    pending = runs and (stands is None or stands.asked != limits.remembered(home))
    return EngineStatus(runs, dockerd.pid_of(home), home.endpoint, home.data, home.log, stands, pending)


def start(progress: Progress, home: Home = HOME, asked: Limits | None = None) -> str:
    """Start the private engine unless it runs; returns its endpoint.

    What is ``asked`` is remembered for all starts to come; of an engine that runs it holds from its next start on.
    Safe when two processes start it at once. Raises EngineError with the last lines of its log, and UsageError for what
    no engine can be asked, or for a home in too deep a folder.
    """
    if asked is None and running(home):
        return home.endpoint
    if not available():
        raise EngineError(
            "The private engine cannot run here.",
            "It takes Linux, root and Docker's package: run `grader engine install` as root.",
            where="dockerd",
        )
    home.check()
    started = time.monotonic()
    with _locked(home):
        if asked is not None:
            from grader.engine.embedded import disk  # noqa: PLC0415  # see `_start`

            asked.check()
            disk.check(home, asked.disk)
            limits.remember(home, asked.over(limits.remembered(home)))
        if not running(home):
            progress(ProgressEvent("engine", "starting the grader's own engine", detail=True))
            _start(home, progress)
            progress(ProgressEvent("engine", f"started the grader's own engine, {time.monotonic() - started:.1f} s"))
    return home.endpoint


def stop(home: Home = HOME) -> bool:
    """Stop the private engine, unmount its disk and remove its bridge; its data stays. Returns whether it ran.

    Raises EngineError when it cannot be stopped.
    """
    if sys.platform != "linux" or not (home.run.exists() or is_mounted(home.data)):
        return False
    from grader.engine.embedded import bridge, cgroup, disk  # noqa: PLC0415  # see `_start`

    with _locked(home):
        pid = dockerd.pid_of(home)
        if pid is not None:
            dockerd.end(pid, home)
        dockerd.end_orphans(home)
        disk.unmount(home)
        bridge.remove(home.bridge)
        cgroup.remove(home.cgroup)
        home.socket.unlink(missing_ok=True)
        home.pid_file.unlink(missing_ok=True)
    return pid is not None


def _start(home: Home, progress: Progress) -> None:
    """Start dockerd and wait until it answers; the lock is held. One that does not leaves nothing mounted."""
    if dockerd.pid_of(home) is not None:
        dockerd.wait_until_it_answers(home, None)
        return
    # Whoever grades looks whether it runs, and it nearly always does.
    from grader.engine.embedded import bridge, cgroup, disk  # noqa: PLC0415

    dockerd.remove_stale(home)
    disk.unmount(home)
    for folder in (home.data.parent, home.run):
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    try:
        stands = _fenced(home, limits.remembered(home), progress)
        bridge.ensure(home.bridge, home.subnets)
        process = dockerd.launch(home, stands.cache)
        standing.write(home.run, stands)
        dockerd.wait_until_it_answers(home, process)
    except BaseException:
        dockerd.end_orphans(home)
        disk.unmount(home)
        cgroup.remove(home.cgroup)
        raise
    # It is meant to outlive us: Python would warn of a child left behind.
    process.returncode = 0


def _fenced(home: Home, asked: Limits, progress: Progress) -> Standing:
    """Puts up the fences that this machine can have, tells of those that it cannot, and returns how it stands."""
    from grader.engine.embedded import cgroup, disk  # noqa: PLC0415  # see `_start`

    size, no_disk = disk.mount(home, asked.disk, progress)
    if no_disk:
        progress(ProgressEvent("engine", f"its data has no disk of its own: {no_disk}"))
    memory = limits.memory_of_steps(asked.memory)
    processes = (asked.processes or limits.PROCESSES, limits.PROCESSES_OF_ALL)
    no_limits = cgroup.bound(home.cgroup, cgroup.Bounds(memory, processes), home.programs)
    if no_limits:
        progress(ProgressEvent("engine", f"its build steps are not bounded: {no_limits}"))
    return Standing(
        home.data,
        asked=asked,
        disk=size,
        no_disk=no_disk,
        memory=None if no_limits else memory,
        processes=None if no_limits else processes,
        no_limits=no_limits,
        cache=asked.cache or limits.default_cache(size or _free(home)),
        cgroup=home.cgroup,
    )


def _free(home: Home) -> int:
    facts = os.statvfs(home.data.parent)
    return facts.f_bavail * facts.f_frsize


@contextmanager
def _locked(home: Home) -> Iterator[None]:
    """Hold the lock on starting and stopping; who waits for it waits for the other's start, which has a limit."""
    import fcntl  # noqa: PLC0415 - Windows has none, and imports this module

    home.run.mkdir(parents=True, exist_ok=True)
    with (home.run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
