"""What a waiting person sees, on stderr: two live lines on a terminal, a line now and then elsewhere.

The live lines are what is done and for how long, and below it the last line of the running step's log:

    build 12 s  [builder 4/5] RUN pip wheel --wheel-dir /wheels -r requirements.txt
      | Building wheel for xxhash (pyproject.toml): started
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from grader.course.units import human_time
from grader.reports import _workflow
from grader.reports._text import clipped, last_state, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from grader.result import ProgressEvent

#: Seconds between two redrawings at least, for events; and how often the clock is moved on without any.
_FASTEST = 0.1
_TICK = 0.5
#: Seconds after which somebody without a live line is told that it still goes on: then, and then every minute.
_STILL = (10.0, 30.0, 60.0)
_EVERY = 60.0
#: What is told even without a live line, because it may take minutes.
_LONG_PHASES = ("engine", "bases", "verify")


class ProgressView:
    """A context manager that is also the `Progress` to hand on."""

    def __init__(
        self,
        *,
        verbose: bool = False,
        quiet: bool = False,
        plain: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``quiet`` shows only the phases that take long; ``plain`` moves no cursor even on a terminal."""
        self._verbose = verbose
        self._quiet = quiet
        self._live = sys.stderr.isatty() and not plain
        self._clock = clock
        self._work = _Work(clock())
        self._lines = 0
        self._last = 0.0
        self._told = 0.0
        self._over = threading.Event()
        # The app starts in a thread of its own and tells from there, and the clock goes on in another.
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        if self._live:
            _understand_escapes()
        threading.Thread(target=self._go_on, name="progress", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._over.set()
            self._wipe()

    def __call__(self, event: ProgressEvent) -> None:
        """Shows an event; details come and go on a terminal only, at most ten a second."""
        with self._lock:
            self._tell(event)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """The live lines are out of the way of whoever writes meanwhile, from whichever thread."""
        with self._lock:
            self._wipe()
            self._last = 0.0
            yield

    def tick(self) -> None:
        """Moves the clock on, where it is shown; elsewhere says now and then what still goes on."""
        with self._lock:
            if self._over.is_set():
                return
            if self._live:
                self._draw()
                return
            waited = self._clock() - self._work.since
            if self._wanted() and waited >= self._due():
                self._told = waited
                self._line(f"{self._work.phase}: {one_line(self._work.text)} ({human_time(waited)} so far)")

    def _due(self) -> float:
        """Seconds after its beginning at which something is to be said of the work that goes on."""
        return next((due for due in _STILL if due > self._told), self._told + _EVERY)

    def _go_on(self) -> None:
        while not self._over.wait(_TICK):
            self.tick()

    def _tell(self, event: ProgressEvent) -> None:
        now = self._clock()
        if self._work.take(event, now):
            self._told = 0.0
        kept = not event.detail and (event.phase in _LONG_PHASES or self._verbose)
        if kept:
            self._wipe()
            self._line(one_line(f"{event.phase}: {event.text}"))
        elif not event.detail or now - self._last > _FASTEST:
            self._draw()

    def _draw(self) -> None:
        if not self._live or self._over.is_set() or not self._wanted():
            return
        self._last = self._clock()
        self._wipe()
        width = self._width() - 1
        lines = [clipped(line, width) for line in self._work.lines(self._last)]
        sys.stderr.write("\n".join(lines))
        sys.stderr.flush()
        self._lines = len(lines)

    def _wanted(self) -> bool:
        return bool(self._work.text) and (not self._quiet or self._work.phase in _LONG_PHASES)

    def _line(self, text: str) -> None:
        if _workflow.is_running():
            # The log's commands are stopped meanwhile, but on the other stream, which the runner reads beside this one.
            text = _workflow.harmless(text)
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def _wipe(self) -> None:
        if self._lines:
            sys.stderr.write("\r\x1b[K" + "\x1b[A\x1b[K" * (self._lines - 1))
            sys.stderr.flush()
            self._lines = 0

    @staticmethod
    def _width() -> int:
        import shutil  # noqa: PLC0415  # only a terminal asks

        return shutil.get_terminal_size().columns


class _Work:
    """What goes on now, and since when."""

    def __init__(self, now: float) -> None:
        self.phase = ""
        self.text = ""
        self.since = now
        self._log = ""
        self._running: dict[str, float] = {}
        self._cached = 0

    def take(self, event: ProgressEvent, now: float) -> bool:
        """Takes in what happened; whether something else than before goes on."""
        before = (self.phase, self.text if event.step else "")
        if event.phase != self.phase:
            self.phase, self.since, self._cached = event.phase, now, 0
            self._running.clear()
        if event.step and not event.detail:
            self._cached += event.text.endswith("(cached)")
            self._end(event)
            return False
        self.text, self._log = event.text, event.log
        if event.step:
            self.since = self._running.setdefault(event.step, now)
        return before != (self.phase, self.text if event.step else "")

    def _end(self, event: ProgressEvent) -> None:
        self._running.pop(event.step, None)
        if self.text not in self._running:
            # Steps of several stages run side by side: the one that runs longest is what is waited for.
            self.text, self._log = next(iter(self._running), event.text), ""
            self.since = self._running.get(self.text, self.since)

    def lines(self, now: float) -> list[str]:
        """One line, or two where there is a log."""
        waited = now - self.since
        took = f" {waited:.0f} s" if 1 <= waited < 60 else f" {human_time(waited)}" if waited >= 60 else ""
        more = [f"{len(self._running) - 1} more at once"] if len(self._running) > 1 else []
        more += [f"{self._cached} cached"] if self._cached else []
        beside = f" ({', '.join(more)})" if more else ""
        lines = [one_line(f"{self.phase}{took}{beside}: {self.text}")]
        log = " ".join(last_state(self._log).split())
        return [*lines, f"  | {log}"] if log else lines


def _understand_escapes() -> None:
    """Older consoles of Windows have to be told to."""
    if sys.platform == "win32":
        import colorama  # noqa: PLC0415  # click's own dependency there

        colorama.just_fix_windows_console()
