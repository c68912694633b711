"""Ends a build: when its time is up, and when whoever waits for it is interrupted."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

#: Seconds an engine has to end a build that was cancelled, before the connection is cut.
GRACE = 10.0
#: Seconds between two requests to end it.
_AGAIN = 0.5


class Clock:
    """Whether the time is up, and whether the engine did as told then."""

    def __init__(self, seconds: float) -> None:
        """Nothing has expired yet; ``seconds`` is the time that the build may take."""
        #: An engine that has said nothing for so long never will; without it, one that takes the context and does not
        #: even begin to answer would be waited for without end.
        self.silence = seconds + 2 * GRACE
        self.expired = False
        self.cut = False
        self.response: requests.Response | None = None


@contextmanager
def deadline(seconds: float, stop: Callable[[], None]) -> Iterator[Clock]:
    """Stops the build when the time is up or the caller is interrupted; cuts the line when the engine ignores it.

    ``stop`` asks the engine to end the build. It may be called several times, and from another thread.
    """
    clock = Clock(seconds)
    done = threading.Event()

    def watch() -> None:
        if done.wait(seconds):
            return
        clock.expired = True
        given_up = time.monotonic() + GRACE
        while time.monotonic() < given_up:
            stop()
            if done.wait(_AGAIN):
                return
        clock.cut = True
        _cut(clock.response)

    watcher = threading.Thread(target=watch, name="build-deadline", daemon=True)
    watcher.start()
    try:
        yield clock
    except BaseException:
        # Cut first: a builder that notices begins no further step while this one is ended.
        _cut(clock.response)
        stop()
        raise
    finally:
        done.set()


def _cut(response: requests.Response | None) -> None:
    """Closes the connection of a running build."""
    connection = getattr(getattr(response, "raw", None), "_connection", None)
    sock = getattr(connection, "sock", None)
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
