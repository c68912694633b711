"""Work beside the main thread, and its interruption by a person."""

from __future__ import annotations

import math
import signal
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from grader.errors import CleanUpInterrupted

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Background:
    """Work beside the main thread.

    The threads are daemons: one that waits for an engine that does not answer must not keep the process from ending.
    """

    def __init__(self) -> None:
        """Nothing is begun yet."""
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[], object]) -> None:
        """Begins ``work``; what it raises is lost, so let it keep what somebody has to know."""

        def safely() -> None:
            with suppress(Exception):
                work()

        thread = threading.Thread(target=safely, name="grading", daemon=True)
        self._threads.append(thread)
        thread.start()

    def busy(self) -> bool:
        """Whether any of it still goes on."""
        return any(thread.is_alive() for thread in self._threads)

    def join(self, seconds: float) -> None:
        """Waits for all of it, this long at most."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def signals() -> tuple[signal.Signals, ...]:
    """What ends a program from outside: Ctrl-C, a cancelled CI job, a closed terminal (not on Windows)."""
    return tuple(found for name in ("SIGINT", "SIGTERM", "SIGHUP") if (found := getattr(signal, name, None)))


class Interruption:
    """Ctrl-C, SIGTERM and SIGHUP end the work; its clean-up they interrupt only when insisted on.

    Outside of the main thread signals are somebody else's business.
    """

    #: Signals it takes to break off the clean-up.
    _INSISTS = 3

    def __init__(self) -> None:
        """``shielded`` is set by whoever begins to clean up."""
        self.shielded = False
        self._ignored = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in signals():
                # Whoever started us with a signal ignored (nohup, a shell's background job) means it.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._signalled)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._ignored and kind is None:
            raise KeyboardInterrupt

    def _signalled(self, _number: int, _frame: object) -> None:
        if not self.shielded:
            raise KeyboardInterrupt
        self._ignored += 1
        if self._ignored >= self._INSISTS:
            raise CleanUpInterrupted


class Part(Generic[T]):
    """Something that is made once, on first use or beforehand in the background.

    Whatever went wrong is raised each time it is asked for, the same exception.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        """``make`` is called once at most."""
        self._make = make
        self._made: Future[T] = Future()
        self._begun = threading.Lock()

    def begin(self, background: Background) -> None:
        """Makes it beside the caller."""
        background.start(self._work)

    def get(self) -> T:
        """Makes it, or waits for whoever makes it already."""
        self._work()
        self.wait()
        return self._made.result()

    def wait(self, seconds: float = math.inf) -> bool:
        """Until it is made, or known that it cannot be; False when the time is up. Somebody has begun it."""
        deadline = time.monotonic() + seconds
        # In slices: on Windows a bare wait cannot be interrupted.
        while not self._made.done() and (left := deadline - time.monotonic()) > 0:
            with suppress(TimeoutError):
                self._made.exception(timeout=min(left, 0.2))
        return self._made.done()

    @property
    def made(self) -> T | None:
        """What was made so far; None when it was not, or could not be."""
        done = self._made.done() and self._made.exception() is None
        return self._made.result() if done else None

    def _work(self) -> None:
        if not self._begun.acquire(blocking=False):
            return
        try:
            made = self._make()
        except BaseException as error:  # noqa: BLE001  # whoever asks for it gets it
            self._made.set_exception(error)
        else:
            self._made.set_result(made)
