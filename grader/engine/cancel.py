"""Ends a build: when its time is up, and when whoever waits for it is interrupted.

The engine's answer is read by a thread of its own. An interruption of the caller would close the connection in the
middle of a message, and Podman (4.3.1) then keeps its working containers for ever: its builder waits for somebody to
take the rest of what it says. So the build is stopped first, and its answer is read to the end.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from grader.running import Flag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from grader.engine.api import sdk
    from grader.engine.api.wire import Answer

#: Seconds an engine has to end a build that was cancelled, before the connection is cut.
GRACE = 10.0
#: Seconds between two requests to end it.
_AGAIN = 0.5
#: Seconds that one wait lasts: on Windows it cannot be interrupted.
_SLICE = 0.2
#: Lines of the answer that wait to be looked at, at most.
_WAITING = 1000
#: Seconds until it is looked whether fewer do.
_PAUSE = 0.01
#: Interruptions that it takes to leave a build that is being ended to itself.
_INSISTS = 3


class Clock:
    """Whether the time is up, and whether the engine did as told then."""

    def __init__(self, seconds: float) -> None:
        """Nothing has expired yet; ``seconds`` is the time that the build may take."""
        #: An engine that has said nothing for so long never will; without it, one that takes the context and does not
        #: even begin to answer would be waited for without end.
        self.silence = seconds + 2 * GRACE
        self.expired = False
        self.cut = False
        self._response: sdk.requests.Response | Answer | None = None
        self._ended = Flag()
        self._ended.set()
        self._abandoned = False

    def lines(self, ask: Callable[[], sdk.requests.Response | Answer]) -> Iterator[bytes]:
        """The lines of the answer to ``ask``, without empty ones; what goes wrong meanwhile is raised here."""
        # Written in C: one in Python may keep its lock when whoever waits here is interrupted.
        waiting: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()
        self._ended = Flag()
        threading.Thread(target=self._read, args=(ask, waiting), name="build-answer", daemon=True).start()
        while True:
            try:
                line = waiting.get(timeout=_SLICE)
            except queue.Empty:
                continue
            if line is None:
                return
            if isinstance(line, Exception):
                raise line
            yield line

    def _read(
        self, ask: Callable[[], sdk.requests.Response | Answer], waiting: queue.SimpleQueue[bytes | Exception | None]
    ) -> None:
        end = None
        try:
            with ask() as response:
                self._response = response
                for line in response.iter_lines(chunk_size=None):
                    while waiting.qsize() >= _WAITING and not self._abandoned:
                        time.sleep(_PAUSE)
                    if line and not self._abandoned:
                        waiting.put(line)
        except Exception as error:  # noqa: BLE001  # raised where it is waited for
            end = error
        self._ended.set()
        waiting.put(end)

    def end(self, stop: Callable[[], None]) -> None:
        """Calls ``stop`` until the answer has ended; cuts the connection when that takes too long."""
        given_up = time.monotonic() + GRACE
        while not self._ended.is_set() and time.monotonic() < given_up:
            stop()
            self._ended.wait(_AGAIN)
        if self._ended.is_set():
            return
        self.cut = True
        connection = getattr(getattr(self._response, "raw", None), "_connection", self._response)
        sock = getattr(connection, "sock", None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def abandon(self) -> None:
        """Nobody looks at the answer any more; it is read to its end nevertheless."""
        self._abandoned = True


@contextmanager
def deadline(seconds: float, stop: Callable[[], None]) -> Iterator[Clock]:
    """Stops the build when the time is up or the caller is interrupted; cuts the line when the engine ignores it.

    ``stop`` asks the engine to end the build. It may be called several times, and from another thread.
    """
    clock = Clock(seconds)
    over, interrupted = Flag(), Flag()

    def watch() -> None:
        clock.expired = not over.wait(seconds)
        if clock.expired or interrupted.is_set():
            clock.end(stop)

    watcher = threading.Thread(target=watch, name="build-deadline", daemon=True)
    watcher.start()
    try:
        yield clock
    except BaseException:
        clock.abandon()
        interrupted.set()
        over.set()
        _join(watcher)
        raise
    finally:
        over.set()


def _join(thread: threading.Thread) -> None:
    """Waits for ``thread``, even if interrupted once or twice more."""
    interruptions = 0
    while thread.is_alive():
        try:
            thread.join(_SLICE)
        except KeyboardInterrupt:
            interruptions += 1
            if interruptions >= _INSISTS:
                raise
