"""An engine that misbehaves: a server on a unix socket that says what a test wants, or passes everything on."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VERSION = (
    b'{"Version": "28.0.0", "ApiVersion": "1.48", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64", '
    b'"Components": [{"Name": "Engine"}]}'
)


def http(body: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


@contextmanager
def serving(path: Path, answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Calls ``answer`` with each connection to a unix socket at ``path``; yields its DOCKER_HOST."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(20)
    clients: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                client = server.accept()[0]
                clients.append(client)
                threading.Thread(target=handle, args=(client,), daemon=True).start()

    def handle(client: socket.socket) -> None:
        with suppress(OSError), client:
            answer(client)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"unix://{path}"
    finally:
        for one in (server, *clients):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def saying(*parts: bytes) -> Callable[[socket.socket], None]:
    """Reads a request's head, then says ``parts`` and closes."""

    def answer(client: socket.socket) -> None:
        client.recv(65536)
        for part in parts:
            client.sendall(part)

    return answer


def silent(client: socket.socket) -> None:
    """Takes everything and never answers."""
    while client.recv(65536):
        pass


def passing_on(real: str, cut: threading.Event) -> Callable[[socket.socket], None]:
    """A proxy to the engine at ``real`` (unix://...), which goes away when ``cut`` is set."""

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def answer(client: socket.socket) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(real.removeprefix("unix://"))
            for pair in ((client, engine), (engine, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()
            cut.wait()
            for one in (client, engine):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    return answer
