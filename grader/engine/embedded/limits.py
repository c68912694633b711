"""What the private engine keeps to, as it is asked for, remembered, and by default."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from grader.course.units import human_size
from grader.errors import UsageError

if TYPE_CHECKING:
    from grader.engine.embedded.home import Home

GB = 1_000_000_000
#: Memory of one RUN step: ordinary steps stay below a gigabyte, those that compile something large need two or three.
MEMORY = 4 * GB
#: Processes and threads of one RUN step, and of all that run at a time: half of what the smallest kernel can number.
PROCESSES = 2048
PROCESSES_OF_ALL = 16384
#: The smallest disk that the base images of a course and some builds fit on, and the largest that is of any use.
SMALLEST_DISK = 4 * GB
_LARGEST_DISK = 200 * GB
#: Below that no step of an ordinary Dockerfile gets through.
_LEAST_MEMORY = 64_000_000
_LEAST_PROCESSES = 32


@dataclass(frozen=True)
class Limits:
    """What is asked of the private engine. Sizes are bytes; None is the default.

    ``disk`` is the size of the file system of its data, ``cache`` what the build cache may keep, ``memory`` and
    ``processes`` are for one RUN step.
    """

    disk: int | None = None
    cache: int | None = None
    memory: int | None = None
    processes: int | None = None

    def over(self, other: Limits) -> Limits:
        """These, and where nothing is asked, ``other``'s."""
        return replace(other, **{name: value for name, value in asdict(self).items() if value is not None})

    def check(self) -> None:
        """Raises UsageError for what no engine could work with, or no machine of this size keep to."""
        machine = memory()
        if self.memory is not None and not _LEAST_MEMORY <= self.memory <= machine:
            raise UsageError(
                f"A build step cannot be held to {human_size(self.memory)} of memory",
                f"Choose something from {human_size(_LEAST_MEMORY)} to this machine's {human_size(machine)}.",
            )
        if self.processes is not None and not _LEAST_PROCESSES <= self.processes <= PROCESSES_OF_ALL:
            raise UsageError(
                f"A build step cannot be held to {self.processes} processes",
                f"Choose something from {_LEAST_PROCESSES} to {PROCESSES_OF_ALL}.",
            )
        if self.disk is not None and self.disk < SMALLEST_DISK:
            raise UsageError(
                f"A disk of {human_size(self.disk)} is too small for the base images of a course",
                f"Choose {human_size(SMALLEST_DISK)} or more.",
            )


def remembered(home: Home) -> Limits:
    """What was last asked for; the defaults when that cannot be read."""
    try:
        found = json.loads(home.limits.read_text(encoding="utf-8"))
        names = asdict(Limits())
        return Limits(**{name: int(found[name]) for name in names if found.get(name) is not None})
    except (OSError, ValueError, TypeError, AttributeError):
        return Limits()


def remember(home: Home, limits: Limits) -> None:
    """Notes what is asked for, for the next start too."""
    home.limits.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    asked = {name: value for name, value in asdict(limits).items() if value is not None}
    home.limits.write_text(json.dumps(asked, indent=1), encoding="utf-8")


def memory() -> int:
    """The memory of this machine, in bytes; in a container, as much of it as that has."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            found.append(int(Path(path).read_text(encoding="ascii")))
    return min(found)


def memory_of_steps(asked: int | None) -> tuple[int, int]:
    """What one RUN step may use, and what all that run at a time: at most three quarters of the machine's, so that the
    engine and the grader keep going, unless more is asked for.
    """
    together = max(memory() * 3 // 4, asked or 0)
    return min(asked or MEMORY, together), together


def default_disk(free: int) -> int:
    """The size of a new disk on a file system with ``free`` bytes: some of them are left to the machine."""
    return min(free * 3 // 4, _LARGEST_DISK)


def default_cache(disk: int) -> int:
    """What the build cache may keep of a disk: the rest is for images, and for what is being built."""
    return disk // 3
