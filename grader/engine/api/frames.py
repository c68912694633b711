"""What a container or an exec prints, as the engine sends it: in frames that tell stdout from stderr.

A frame is a byte for the stream, three zeros, the length in four bytes, and that much of it (Engine API,
ContainerAttach, "Stream format"). The Docker client library takes a connection that breaks for the end of the output,
and loses what came in one piece with the answer's head; a learner would be blamed for either.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from grader.engine.api import sdk
from grader.engine.api.client import Client
from grader.engine.api.wire import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PIECE = 1 << 16
_STDOUT, _STDERR = 1, 2
_UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


def attached(client: Any, container: str) -> Frames:
    """What a container prints from now on; raises ``requests.RequestException``."""
    return Frames(client, f"/containers/{container}/attach", {"stdout": "1", "stderr": "1", "stream": "1"}, None)


def executed(client: Any, run: str) -> Frames:
    """Begins an exec, and gives what it prints; raises ``requests.RequestException``."""
    return Frames(client, f"/exec/{run}/start", {}, {"Tty": False, "Detach": False})


class Frames:
    """Pairs of bytes of stdout and stderr, of which one is None; ``ConnectionError`` when they break off."""

    def __init__(self, client: Any, path: str, params: Mapping[str, str], body: object) -> None:
        """Asks at once. There is no limit on silence from then on: whoever reads closes it in time."""
        #: Whether it stands in the middle of a frame. An engine sends each of them at once.
        self.within = False
        headers = {"Content-Type": "application/json", **_UPGRADE}
        data = json.dumps(body).encode() if body is not None else b""
        if isinstance(client, Client):
            self._answer: Any = client.send(
                "POST", path, data=data, params=params, headers=headers, silence=client.timeout
            )
            if self._answer.status_code >= 400:
                with self._answer:
                    raise self._answer.refusal()
            self._file = self._answer.stream
            if self._answer.sock:
                self._answer.sock.settimeout(None)
        else:
            url, limit = client._url(path), client.timeout  # noqa: SLF001  # its own streams have no such limit
            self._answer = client._post(url, params=params, data=data, headers=headers, stream=True, timeout=limit)  # noqa: SLF001
            channel = client._get_raw_response_socket(self._answer)  # noqa: SLF001  # raises for a refusal
            client._disable_socket_timeout(channel)  # noqa: SLF001
            self._file = self._answer.raw._fp.fp  # noqa: SLF001

    def __iter__(self) -> Iterator[tuple[bytes | None, bytes | None]]:
        """All of them, to the end."""
        while head := self._exactly(8):
            self.within = True
            stream, length = head[0], int.from_bytes(head[4:])
            if stream > _STDERR or head[1:4] != b"\0\0\0":
                raise ConnectionError("what the engine sends of a program's output is in no frame")
            while length:
                piece = self._file.read1(min(length, _PIECE))
                if not piece:
                    raise _broken()
                length -= len(piece)
                yield (None, piece) if stream == _STDERR else (piece, None)
            self.within = False

    def _exactly(self, size: int) -> bytes:
        """So many bytes, or none at the end."""
        found = b""
        while len(found) < size:
            piece = self._file.read1(size - len(found))
            if not piece and found:
                raise _broken()
            if not piece:
                break
            found += piece
            self.within = True
        return found

    def close(self) -> None:
        """Lets go of the connection, whoever reads it; one that cannot be closed (SSH) ends with its container."""
        if isinstance(self._answer, Answer):
            self._answer.end()
        else:
            from docker.types.daemon import CancellableStream  # noqa: PLC0415

            with suppress(OSError, AttributeError, sdk.errors.DockerException):
                CancellableStream(iter(()), self._answer).close()
        self._answer.close()


def _broken() -> ConnectionError:
    return ConnectionError("the engine's connection broke while a program printed")
