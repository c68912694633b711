"""The room on the engine's disk while a class is graded: the build cache is kept small, and a full disk is told.

Who builds for hundreds fills a disk with cache. The grader's own engine gives some of it up when room gets scarce; of
another engine it may be somebody else's, and goes only when a bound was asked for.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from grader.course.units import human_size
from grader.engine import cache, room
from grader.engine.embedded import standing
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.engine.connect import Engine
    from grader.engine.room import Room

#: Free bytes below which cache is given up: what some submissions side by side may need, and of a small disk a part.
SCARCE, _PART = 2_000_000_000, 10
#: Seconds between two looks at the disk, two prunes for a bound, and two for a disk that is full.
LOOK, BOUND, FULL = 1.0, 60.0, 10.0
#: Seconds that a class waits for a prune, which goes on all the same.
_SILENCE = 60.0
#: Bytes of cache that are kept at first when room is scarce, before all of it goes.
_SOME = 1_000_000_000


class Space:
    """Asked before each submission; it costs no more than a look at the disk, and a prune now and then."""

    def __init__(self, engine: Engine, bound: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """``bound`` are the bytes of build cache that may be kept; None leaves them to the engine."""
        self.engine = engine
        self._bound = bound
        self._clock = clock
        self._own = engine.private or standing.of(engine) is not None
        self._looked = self._bounded = self._pruned = -FULL - BOUND
        self._trouble = ""

    def trouble(self) -> str:
        """Why nothing can be graded now, empty when it can."""
        now = self._clock()
        if self._bound is not None and now - self._bounded >= BOUND:
            self._bounded = now
            self._prune(self._bound)
        if now - self._looked >= LOOK:
            self._looked = now
            self._trouble = self._look()
        return self._trouble

    def _look(self) -> str:
        found = room.of(self.engine)
        if found is None or not _scarce(found):
            return ""
        if self._may_prune and self._clock() - self._pruned >= FULL:
            self._pruned = self._clock()
            self._prune(min(_SOME, self._bound or _SOME))
            found = room.of(self.engine) or found
            if found.full:
                self._prune(0)
                found = room.of(self.engine) or found
        return self._told(found) if found.full else ""

    def _prune(self, keep: int) -> None:
        """What goes wrong shows in the room that there is afterwards."""
        with suppress(EngineError):
            cache.prune(self.engine, keep, silence=_SILENCE)

    @property
    def _may_prune(self) -> bool:
        return self._own or self._bound is not None

    def _told(self, found: Room) -> str:
        left = f"{human_size(found.free)} of {human_size(found.size)} left"
        mend = "" if self._may_prune else "; make room there, or let the run drop build cache: --cache-bound 5GB"
        return f"the engine's disk is full: {left} at {found.folder}{mend}"


def _scarce(found: Room) -> bool:
    return found.full or found.free < min(SCARCE, found.size // _PART)
