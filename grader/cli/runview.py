"""How a bulk run is told while it goes on."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.bulk.run import State, Task

_WORDS = {"passed": "passed", "failed": "FAILED", "error": "error"}


class RunView:
    """A line a verdict, on stderr; on a terminal a last line that says how far it is, if that may move."""

    def __init__(self, *, plain: bool) -> None:
        self._all = 0
        self._done: dict[str, int] = {"passed": 0, "failed": 0, "error": 0}
        self._began = time.monotonic()
        self._live = sys.stderr.isatty() and not plain
        self._paused = ""
        self._elsewhere = False
        self._shown = ""

    def begin(self, tasks: int, distinct: int, handed_in: int) -> None:
        """``distinct`` are those ``handed_in`` of which no two have the same files."""
        self._all, self._began = tasks, time.monotonic()
        told = [f"{tasks} submission{'s' * (tasks != 1)} to grade"]
        known, same = distinct - tasks, handed_in - distinct
        told += [f"{known} {'has' if known == 1 else 'have'} a verdict already"] if known else []
        told += [f"{same} more {'has' if same == 1 else 'have'} the same files as one of these"] if same else []
        self.say("; ".join(told))

    def verdict(self, task: Task, result: dict[str, Any]) -> None:
        from grader.reports._text import one_line  # noqa: PLC0415

        self._done[result["status"]] += 1
        score = "" if result["score"] is None else f"  {result['score']:g} of {result['max_score']:g}"
        self.say(f"{_WORDS[result['status']]:<8}{one_line(task.name)}{score}")

    def now(self, state: State) -> None:
        if state.paused != self._paused:
            self._paused = state.paused
            self.say(f"paused: {state.paused}; trying again from time to time" if state.paused else "going on")
        if state.elsewhere and not self._elsewhere:
            self.say(f"another run in the same folder grades {state.elsewhere} of these now; its verdicts are taken")
        self._elsewhere = bool(state.elsewhere)
        if not self._live:
            return
        done = sum(self._done.values())
        rate = done / max(time.monotonic() - self._began, 0.001)
        left = f", {(state.running + state.waiting) / rate:.0f} s left" if rate else ""
        parts = [f"{done}/{self._all}", f"{state.running} running", f"{self._done['failed']} failed"]
        line = ", ".join([*parts, f"{self._done['error']} errors", f"{60 * rate:.0f} a minute"]) + left
        if line != self._shown:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
            self._shown = line

    def stopped(self) -> None:
        self.say("stopped; what was graded is kept, and the same command again goes on from there")

    def say(self, text: str) -> None:
        """A line of its own."""
        wipe = "\r\x1b[K" if self._shown else ""
        sys.stderr.write(f"{wipe}{text}\n")
        sys.stderr.flush()
        self._shown = ""
