"""One question to an engine on a unix socket and its answer, with the standard library alone.

Every question has a deadline: either the whole exchange has, or each silence in it.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from grader.engine.api import sdk

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds that an engine may take to accept a connection.
CONNECT_TIMEOUT = 10.0


class _Socket(socket.socket):
    """A socket whose conversation is over at ``deadline`` (time.monotonic): no trickle of bytes prolongs it."""

    deadline: float | None = None

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        if self.deadline is not None:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self.settimeout(left)
        return super().recv_into(*args, **kwargs)


class Connection(http.client.HTTPConnection):
    """A connection for one question; ``timeout`` seconds bound all of it, or with ``silence`` each wait in it."""

    def __init__(self, path: str, timeout: float, *, silence: bool) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path
        self._patience = timeout
        self._silence = silence

    def connect(self) -> None:
        """Connects to the unix socket."""
        self.sock = _Socket(socket.AF_UNIX)
        self.sock.settimeout(min(CONNECT_TIMEOUT, self._patience))
        self.sock.connect(self._path)
        self.sock.settimeout(self._patience)
        if not self._silence:
            self.sock.deadline = time.monotonic() + self._patience


class Answer:
    """An engine's answer, as far as we use a ``requests.Response``."""

    def __init__(self, connection: Connection, response: http.client.HTTPResponse, url: str) -> None:
        """``response`` has just begun."""
        self.status_code = response.status
        #: To be shut down by whoever will not wait any longer.
        self.sock: socket.socket | None = connection.sock
        self._connection = connection
        self._response = response
        self._url = url
        self._content: bytes | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def end(self) -> None:
        """Ends the connection for whoever waits for it in another thread."""
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Lets go of the connection."""
        self._response.close()
        self._connection.close()

    @property
    def content(self) -> bytes:
        """The whole body."""
        if self._content is None:
            with as_the_library_tells_it():
                self._content = self._response.read()
        return self._content

    @property
    def stream(self) -> Any:
        """The connection's own file, for what goes on after the head."""
        return self._response.fp

    @property
    def text(self) -> str:
        """The whole body."""
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        """The whole body; raises ValueError."""
        return json.loads(self.content)

    def iter_lines(self, chunk_size: int | None = None) -> Iterator[bytes]:  # noqa: ARG002  # always as they come
        """The lines of the body, as they come."""
        rest = b""
        with as_the_library_tells_it():
            while data := self._response.read1():
                *lines, rest = (rest + data).split(b"\n")
                yield from (line.removesuffix(b"\r") for line in lines)
        if rest:
            yield rest

    def refusal(self) -> Exception:
        """The library's error for this answer."""
        response = sdk.requests.Response()
        response.status_code, response.reason, response.url = self.status_code, self._response.reason, self._url
        response._content = self.content  # noqa: SLF001  # a response that was read
        try:
            response.raise_for_status()
            raise AssertionError("no refusal")
        except sdk.requests.HTTPError as error:
            try:
                sdk.errors.create_api_error_from_http_exception(error)
            except sdk.errors.APIError as told:
                return told
            return error


@contextmanager
def as_the_library_tells_it() -> Iterator[None]:
    """Whoever catches errors of a connection catches the library's."""
    try:
        yield
    except TimeoutError as error:
        raise sdk.requests.ReadTimeout(error) from error
    except (OSError, http.client.HTTPException) as error:
        raise sdk.requests.ConnectionError(error) from error
