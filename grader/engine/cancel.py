"""Ends a build: when its time is up, and when whoever waits for it is interrupted."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine

#: Seconds an engine has to end a build that was cancelled, before the connection is cut.
GRACE = 10.0


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
def deadline(engine: Engine, build_id: str, seconds: float) -> Iterator[Clock]:
    """Cancels the build when the time is up or the caller is interrupted; cuts the line when the engine ignores it."""
    clock = Clock(seconds)
    done = threading.Event()

    def watch() -> None:
        if done.wait(seconds):
            return
        clock.expired = True
        if engine.name == "podman":
            # It has no call for it: a closed connection is how its builds are ended.
            _cut(clock.response)
            return
        _cancel(engine, build_id)
        if not done.wait(GRACE):
            clock.cut = True
            _cut(clock.response)

    watcher = threading.Thread(target=watch, name="build-deadline", daemon=True)
    watcher.start()
    try:
        yield clock
    except BaseException:
        _cancel(engine, build_id)
        _cut(clock.response)
        raise
    finally:
        done.set()


def _cancel(engine: Engine, build_id: str) -> None:
    """Asks the engine to end the build; a connection of its own, because the client's may be busy with the answer."""
    client: Any = engine.client
    with suppress(requests.RequestException, OSError):
        client.post(client._url("/build/cancel"), params={"id": build_id}, timeout=GRACE)  # noqa: SLF001


def _cut(response: requests.Response | None) -> None:
    """Closes the connection of a running build; builders without a cancel call (Podman) stop at that."""
    connection = getattr(getattr(response, "raw", None), "_connection", None)
    sock = getattr(connection, "sock", None)
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
