"""Work beside the main thread, and its interruption by a person."""

from __future__ import annotations

import _thread
import math
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from grader.errors import CleanUpInterrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
            # An interruption may come before one that is in the list has begun.
            with suppress(RuntimeError):
                thread.join(max(0.0, deadline - time.monotonic()))


def signals() -> tuple[signal.Signals, ...]:
    """What ends a program from outside: Ctrl-C, a cancelled CI job, a closed terminal (not on Windows)."""
    return tuple(found for name in ("SIGINT", "SIGTERM", "SIGHUP") if (found := getattr(signal, name, None)))


class Superseded(KeyboardInterrupt):
    """Another thread has ended the work through a `Stop`; nobody has asked the program to end."""


class Stop:
    """Ends work in the main thread from another one, the way a person does: by a signal.

    So there is one way to interrupt and to clean up, whoever asks for it. It may serve one work after the other.
    """

    #: Seconds that a signal to a thread of the same process may be on its way; it takes microseconds.
    _ON_ITS_WAY = 5.0

    def __init__(self) -> None:
        """Nobody has asked, and there is nothing to end yet."""
        self._lock = threading.Lock()
        self._asked = False
        self._armed = False
        self._sent = False
        self._taken = False

    def ask(self) -> None:
        """Ends what the main thread works on, or what it begins next; asking twice is asking once."""
        with self._lock:
            self._asked = True
            self._send()

    def clear(self) -> None:
        """Whatever was asked has been heeded."""
        with self._lock:
            self._asked = False

    def arm(self) -> None:
        """From now on there is something to end; outside of the main thread there is never."""
        if threading.current_thread() is not threading.main_thread():
            return
        with self._lock:
            self._armed, self._sent, self._taken = True, False, False
            self._send()

    def disarm(self) -> None:
        """There is nothing to end any more; a signal that was sent before has arrived when this returns."""
        with self._lock:
            self._armed = False
        deadline = time.monotonic() + self._ON_ITS_WAY
        while self._sent and not self._taken and time.monotonic() < deadline:
            time.sleep(0.001)

    def _send(self) -> None:
        if self._armed and self._asked and not self._sent:
            self._sent = True
            _interrupt_main()

    def take(self) -> bool:
        """Whether the signal that has just come is ours. For signal handlers: it takes no lock."""
        ours = self._sent and not self._taken
        self._taken = self._taken or ours
        return ours


def _interrupt_main() -> None:
    if hasattr(signal, "pthread_kill"):
        # It also ends a system call that the main thread waits in.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


class Interruption:
    """Ctrl-C, SIGTERM and SIGHUP end the work; its clean-up they interrupt only when insisted on.

    So does a `Stop` that is armed within it, with `Superseded`. Outside of the main thread signals are somebody else's
    business.
    """

    #: Signals it takes to break off the clean-up.
    _INSISTS = 3

    def __init__(self, stop: Stop | None = None) -> None:
        """``shielded`` is set by whoever begins to clean up."""
        self.shielded = False
        self._stop = stop
        self._asked = False
        self._superseded = False
        self._ignored = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in signals():
                # Whoever started us with a signal ignored (nohup, a shell's background job) means it.
                ignored = signal.getsignal(number) is signal.SIG_IGN and not self._is_stops(number)
                if signal.getsignal(number) is not None and not ignored:
                    self._before[number] = signal.signal(number, self._signalled)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if self._stop:
            self._stop.disarm()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind not in (KeyboardInterrupt, CleanUpInterrupted):
            self.heed()

    def heed(self) -> None:
        """Raises what somebody has asked for.

        Where it was raised before it may have been lost on its way: it becomes another exception in a lock that is
        released in Python, is only printed in a destructor, and is taken for a bug where all of those are caught.
        """
        if self._asked:
            raise KeyboardInterrupt
        if self._superseded:
            raise Superseded

    def heeding(self, work: Iterable[T]) -> Iterator[T]:
        """What comes of ``work``, until somebody asks."""
        for each in work:
            self.heed()
            yield each

    def _is_stops(self, number: int) -> bool:
        return self._stop is not None and number == signal.SIGINT

    def _signalled(self, number: int, _frame: object) -> None:
        if self._stop and self._is_stops(number) and self._stop.take():
            self._superseded = True
            if not self.shielded:
                raise Superseded
            return
        if self._before.get(number) is signal.SIG_IGN:
            return
        self._asked = True
        if not self.shielded:
            raise KeyboardInterrupt
        self._ignored += 1
        if self._ignored >= self._INSISTS:
            raise CleanUpInterrupted


class Flag:
    """A `threading.Event` that an interruption cannot break.

    That one is written in Python: an exception between two of its lines leaves its lock taken, and whoever sets it
    waits for ever, or has it released twice.
    """

    #: Seconds that one wait lasts: on Windows it cannot be interrupted; and whoever was may have kept the others out.
    _SLICE = 0.2

    def __init__(self) -> None:
        """It is not set."""
        self._set = False
        self._gate = threading.Lock()
        self._gate.acquire()

    def set(self) -> None:
        """Lets everybody through who waits, or will."""
        self._set = True
        self._let_through()

    def is_set(self) -> bool:
        """Whether it is."""
        return self._set

    def wait(self, seconds: float = math.inf) -> bool:
        """Until it is set; False when the time is up."""
        deadline = time.monotonic() + seconds
        while not self._set and (left := deadline - time.monotonic()) > 0:
            if self._gate.acquire(timeout=min(left, self._SLICE)):
                self._let_through()
        return self._set

    def _let_through(self) -> None:
        with suppress(RuntimeError):  # set twice, or while another one goes through
            self._gate.release()


class Part(Generic[T]):
    """Something that is made once, on first use or beforehand in the background.

    Whatever went wrong is raised each time it is asked for, the same exception.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        """``make`` is called once at most."""
        self._make = make
        self._begun = threading.Lock()
        # No Future: its module brings logging along, and a grading waits for the import of both.
        self._done = Flag()
        self._result: T | None = None
        self._error: BaseException | None = None

    def begin(self, background: Background) -> None:
        """Makes it beside the caller."""
        background.start(self._work)

    def get(self) -> T:
        """Makes it, or waits for whoever makes it already."""
        self._work()
        self.wait()
        if self._error is not None:
            raise self._error
        return cast("T", self._result)

    def wait(self, seconds: float = math.inf) -> bool:
        """Until it is made, or known that it cannot be; False when the time is up. Somebody has begun it."""
        return self._done.wait(seconds)

    @property
    def made(self) -> T | None:
        """What was made so far; None when it was not, or could not be."""
        return self._result if self._done.is_set() else None

    def _work(self) -> None:
        if not self._begun.acquire(blocking=False):
            return
        try:
            self._result = self._make()
        except BaseException as error:  # noqa: BLE001  # whoever asks for it gets it
            self._error = error
        self._done.set()
