"""Whether an app that was not ready in time had any time: a machine that is overloaded is not its fault.

The kernel tells of each thread how long it ran and how long it was ready to run and waited for a processor
(`/proc/PID/task/TID/schedstat`, Documentation/scheduler/sched-stats.rst; nanoseconds). A container of ours has one
processor: an app that keeps itself waiting, with many threads that are busy, uses that up. One that waited for most of
its time and ran for little of it was kept waiting by others.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from grader.engine.running import look
from grader.engine.running.namespace import is_ours

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: The parts of its time that it waited at least, and ran at most.
_WAITED = 0.5
_RAN = 0.4


def waited(container: str, within: float) -> float | None:
    """Seconds that the container's app waited for a processor, when that is why it was not ready ``within`` seconds.

    None when it is not, or when its processes are not this machine's to look at.
    """
    with suppress(OSError):
        pids = [pid for pid in look.numbers() if is_ours(pid, container)]
        return of(pids, within)
    return None


def of(pids: Iterable[int], within: float, folder: str = "/proc") -> float | None:
    """The same of processes in the `proc` file system at ``folder``."""
    threads = [times for pid in pids for times in _threads(Path(folder, str(pid)))]
    ran, longest = sum(run for run, _ in threads), max((wait for _, wait in threads), default=0.0)
    return longest if longest >= _WAITED * within and ran <= _RAN * within else None


def _threads(process: Path) -> Iterator[tuple[float, float]]:
    """Seconds that each thread ran, and that it waited; those that have ended meanwhile are left out."""
    with suppress(OSError, ValueError):
        for thread in (process / "task").iterdir():
            ran, wait, *_ = (thread / "schedstat").read_text().split()
            yield int(ran) / 1e9, int(wait) / 1e9
