"""How much room an engine has for its data: images, build cache, what containers write.

A build or a pull that says "no space left on device" is the engine's own trouble only if there is none; and where the
engine's data has a file system of its own, filling it is no trouble of anybody else's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from grader.engine.embedded import standing

if TYPE_CHECKING:
    from grader.engine.connect import Engine

#: Free bytes below which an engine counts as full: a layer of an ordinary size does not fit any more.
LITTLE = 200_000_000
#: The same for files, which a file system can have too many of while it has bytes left.
_FEW = 10_000


@dataclass(frozen=True)
class Room:
    """The file system of an engine's data. Sizes are bytes; ``inodes`` are the files that may still be made.

    ``inodes`` is None where the file system has no bound of them.
    """

    folder: Path
    size: int
    free: int
    inodes: int | None

    @property
    def full(self) -> bool:
        """Whether hardly anything fits any more."""
        return self.free < LITTLE or (self.inodes is not None and self.inodes < _FEW)


def of(engine: Engine) -> Room | None:
    """The room that ``engine`` has now; None where its data is not this machine's to look at.

    It costs a microsecond, and for an engine that is not ours one question to it, once.
    """
    if not engine.local:
        return None
    own = standing.of(engine)
    if own is None:
        return at(_folder(engine))
    if own.disk is None:
        return at(own.data)
    return _on_its_disk(own.data)


def _on_its_disk(data: Path) -> Room | None:
    """None where the disk is mounted in another mount namespace only: then something else is in that folder here.

    The disk is a sparse file, which can only be filled as long as there is room for it to grow.
    """
    here, machine = at(data) if is_mounted(data) else None, at(data.parent)
    return replace(here, free=min(here.free, machine.free)) if here and machine else None


def at(folder: Path | None) -> Room | None:
    """The room of the file system that ``folder`` is in; None when it cannot be looked at."""
    if folder is None:
        return None
    try:
        facts = os.statvfs(folder)
    except OSError:
        return None
    # Not `f_bfree`: what is kept for root is not meant to be used up by builds.
    inodes = facts.f_favail if facts.f_files else None
    return Room(folder, facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize, inodes)


def is_mounted(folder: Path) -> bool:
    """Whether ``folder`` is the root of a file system, as this process sees it."""
    try:
        return folder.stat().st_dev != folder.parent.stat().st_dev
    except OSError:
        return False


@lru_cache(maxsize=16)
def _folder(engine: Engine) -> Path | None:
    """Where the engine says that its data is, if that is there on this machine."""
    try:
        told = str(engine.client.info().get("DockerRootDir") or "")
    except (OSError, ValueError):
        # The client library's own errors are kinds of OSError.
        return None
    folder = Path(told)
    return folder if told and folder.is_dir() else None
