"""A road to the real engine that breaks when it is told to."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
from typing import Self


class Proxy:
    """Hands every byte on between a socket of its own and the engine's, until one of a client's holds ``cut_at``."""

    def __init__(self, path: Path, engine: str, cut_at: bytes) -> None:
        self.endpoint = f"unix://{path}"
        self.was_cut = threading.Event()
        self._engine = engine.removeprefix("unix://")
        self._cut_at = cut_at
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(50)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        for thread in self._threads:
            thread.join(10)
        for one in self._open:
            one.close()

    def cut(self) -> None:
        """As when an engine is killed: nobody listens any more, and what was open is reset."""
        self.was_cut.set()
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                self._open += [client, server]
                server.connect(self._engine)
                for way in ((client, server, self._cut_at), (server, client, b"")):
                    self._threads.append(threading.Thread(target=self._pump, args=way, daemon=True))
                    self._threads[-1].start()

    def _pump(self, source: socket.socket, to: socket.socket, cut_at: bytes) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if cut_at and cut_at in data:
                    self.cut()
                    return
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
