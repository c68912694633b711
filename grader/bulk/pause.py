"""When it is not the submissions: many faults of ours in a row stop a run until one try works again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds between two tries while a run pauses: at first, and at most.
FIRST, MOST = 5.0, 60.0


class Pause:
    """``reason`` says why the run pauses; empty while it does not."""

    def __init__(self, after: int, clock: Callable[[], float] = time.monotonic) -> None:
        """It begins with ``after`` faults in a row."""
        self.reason = ""
        self._after = after
        self._clock = clock
        self._row = 0
        self._since = 0.0
        self._next = 0.0
        self._between = FIRST

    def fault(self, reason: str) -> None:
        """One more fault of ours."""
        now = self._clock()
        self._row += 1
        if self.reason:
            self._between = min(2 * self._between, MOST)
        elif self._row >= self._after:
            self._since, self._between = now, FIRST
        else:
            return
        self.reason = reason
        self._next = now + self._between

    def verdict(self) -> None:
        """Something was graded: whatever it was is over."""
        self._row, self.reason = 0, ""

    @property
    def may_try(self) -> bool:
        """Whether it is time to try one."""
        return not self.reason or self._clock() >= self._next

    def longer_than(self, seconds: float) -> bool:
        """Whether it has paused for longer than that."""
        return bool(self.reason) and self._clock() - self._since > seconds
