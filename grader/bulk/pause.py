"""When it is not the submissions: many faults of ours in a row stop a run until one try works again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds between two tries while a run pauses: at first, and at most.
FIRST, MOST = 5.0, 60.0


class Pause:
    """Faults in a row, and what is seen to stand in the way of all: each is a reason to pause."""

    def __init__(self, after: int, clock: Callable[[], float] = time.monotonic) -> None:
        """It begins with ``after`` faults in a row."""
        self._fault = ""
        self._held = ""
        self._after = after
        self._clock = clock
        self._row = 0
        self._since = 0.0
        self._next = 0.0
        self._between = FIRST

    @property
    def reason(self) -> str:
        """Why it pauses; empty while it does not."""
        return self._held or self._fault

    def hold(self, reason: str) -> None:
        """Nothing is to be tried before it is let go: what stands in the way can be seen without a try."""
        if not self.reason:
            self._since = self._clock()
        self._held = reason

    def let_go(self) -> None:
        """It may be tried again, at once when that was all that stood in the way."""
        self._held = ""

    def fault(self, reason: str) -> None:
        """One more fault of ours."""
        now = self._clock()
        self._row += 1
        if self._fault:
            self._between = min(2 * self._between, MOST)
        elif self._row >= self._after:
            self._since, self._between = now if not self._held else self._since, FIRST
        else:
            return
        self._fault = reason
        self._next = now + self._between

    def verdict(self) -> None:
        """Something was graded: whatever it was is over."""
        self._row, self._fault = 0, ""

    @property
    def may_try(self) -> bool:
        """Whether it is time to try one."""
        return not self._held and (not self._fault or self._clock() >= self._next)

    def longer_than(self, seconds: float) -> bool:
        """Whether it has paused for longer than that."""
        return bool(self.reason) and self._clock() - self._since > seconds
