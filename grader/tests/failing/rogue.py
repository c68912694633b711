"""A road to the real engine on which a test breaks one call, or all calls of a kind, in one of several ways."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

#: Ways to break a call.
WAYS = ("500", "hang", "stall", "drop", "half", "garbage", "strange", "away")
#: Further calls that meet nobody when the engine goes away.
_GONE_FOR = 2
_ENGINE_SAYS_NO = b'{"message": "the engine has a bad day"}'


@dataclass(frozen=True)
class Fault:
    """What goes wrong with calls of a kind (`POST /containers/*/start`): the ``nth`` from 1, or with 0 all of them.

    ``way`` is `500`: an error of the server, and nothing done. `hang`: no answer, ever. `stall`: done, and no more than
    half of the answer comes. `drop`: done, and the connection breaks in the middle of the answer. `half`: done, and the
    answer ends well after half of it. `garbage`: an answer that is no JSON. `strange`: JSON that says nothing of what
    was asked. `away`: nobody is there, for a few calls.
    """

    kind: str
    way: str
    nth: int = 1


class Rogue:
    """Hands each call on to the engine at ``engine``, on a connection of its own, unless ``fault`` says otherwise."""

    def __init__(self, path: Path, engine: str) -> None:
        self.endpoint = f"unix://{path}"
        self.fault: Fault | None = None
        self.struck = threading.Event()
        self.calls: list[str] = []
        self.urls: list[str] = []
        self._engine = engine.removeprefix("unix://")
        self._gone = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(50)
        self._begin(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in tuple(self._open):
            _end(one)
        for thread in self._threads:
            thread.join(10)

    def strike(self, fault: Fault | None) -> None:
        """From now on calls are counted anew, and broken as ``fault`` says."""
        with self._lock:
            self.fault, self.calls, self._gone = fault, [], 0
            self.struck.clear()

    def hangs_on(self, method: str, url: str) -> bool:
        """Whether the next call of this kind would get no answer."""
        with self._lock:
            kind = kind_of(method, url)
            fault = self.fault
            return bool(
                fault
                and fault.way in ("hang", "stall")
                and fault.kind == kind
                and self._is_hit(self.calls.count(kind) + 1)
            )

    # --- one call -----------------------------------------------------------------------------------------------------

    def _begin(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self._open.add(client)
                self._begin(self._handle, client)

    def _handle(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            head, body = _request(client)
            if head:
                self._answer(client, head, body)
        self._open.discard(client)

    def _is_hit(self, count: int) -> bool:
        return self.fault is not None and self.fault.nth in (0, count)

    def _way(self, kind: str) -> str:
        """How this call goes; the lock makes one order of calls that come at once."""
        with self._lock:
            self.calls.append(kind)
            if self._gone:
                self._gone -= 1
                return "away"
            if self.fault is None or self.fault.kind != kind or not self._is_hit(self.calls.count(kind)):
                return ""
            self.struck.set()
            self._gone = _GONE_FOR if self.fault.way == "away" else 0
            return self.fault.way

    def _answer(self, client: socket.socket, head: bytes, body: bytes) -> None:
        method, url = head.split(b" ", 2)[:2]
        kind = kind_of(method.decode(), url.decode())
        self.urls.append(url.decode())
        way = self._way(kind)
        if way == "hang":
            while not self._closing.is_set() and client.recv(65536):
                pass
        elif way == "500":
            client.sendall(_response(b"500 Internal Server Error", _ENGINE_SAYS_NO))
        elif way == "garbage":
            client.sendall(_response(b"200 OK", b'{"garbage": \x00\xff nothing that anybody\ncould read'))
        elif way == "strange":
            client.sendall(_response(b"200 OK", b"{}\n"))
        elif way != "away":
            self._hand_on(client, head, body, way)

    def _hand_on(self, client: socket.socket, head: bytes, body: bytes, way: str) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self._engine)
            self._open.add(engine)
            upgrade = b"\r\nupgrade:" in head.lower()
            engine.sendall((head if upgrade else _closing(head)) + body)
            if way == "":
                self._begin(_pump, client, engine)
                _pump(engine, client)
            else:
                _broken(engine, client, clean=way == "half")
                while way == "stall" and not self._closing.is_set() and client.recv(65536):
                    pass
            _end(engine)
            self._open.discard(engine)


def kind_of(method: str, url: str) -> str:
    """A call without what differs from one to the next: `POST /containers/*/start`."""
    path = re.sub(r"^/v[\d.]+", "", url.partition("?")[0])
    path = re.sub(
        r"^/((?:libpod/)?(?:containers|exec|images))/(?!create|json|load|get\b)(.+)/(\w+)$", r"/\1/*/\3", path
    )
    if method == "DELETE" or path.startswith("/distribution/"):
        path = re.sub(r"^/(\w+)/.+$", r"/\1/*", path)
    return f"{method} {path}"


def _request(client: socket.socket) -> tuple[bytes, bytes]:
    """A request's head and body; both empty when nobody asks anything."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more:
            return b"", b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    chunked = re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head)
    while len(body) < int(length[1]) if length else bool(chunked) and not body.endswith(b"0\r\n\r\n"):
        body += client.recv(1 << 20)
    return head + b"\r\n\r\n", body


def _closing(head: bytes) -> bytes:
    """The same head, of a connection that ends with the answer."""
    kept = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head)
    return kept.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


def _response(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % (status, len(body)) + body


def _pump(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            to.sendall(data)
    _end(to)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


def _broken(engine: socket.socket, client: socket.socket, *, clean: bool) -> None:
    """Half of the answer's body; ``clean`` makes it look whole."""
    data = bytearray()
    while b"\r\n\r\n" not in data and (more := engine.recv(65536)):
        data += more
    head, body = (bytearray(part) for part in data.split(b"\r\n\r\n", 1))
    upgraded = head.startswith(b"HTTP/1.1 101")
    if upgraded:
        # Whoever has asked goes on when it has the head.
        client.sendall(head + b"\r\n\r\n")
        engine.settimeout(2.0)
    with suppress(TimeoutError):
        while more := engine.recv(1 << 20):
            body += more
    if upgraded:
        client.sendall(body[: len(body) // 2])
    elif clean:
        whole = _unchunked(body) if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head) else body
        half = whole[: len(whole) // 2]
        half = half[: half.rfind(b"\n") + 1] or half
        kept = re.sub(rb"(?i)\r\n(?:transfer-encoding|content-length):[^\r]*", b"", head)
        client.sendall(kept + b"\r\nContent-Length: %d\r\n\r\n" % len(half) + half)
    else:
        client.sendall(head + b"\r\n\r\n" + body[: len(body) // 2])


def _unchunked(body: bytearray) -> bytearray:
    """What a chunked body holds (RFC 9112, 7.1)."""
    whole = bytearray()
    at = 0
    while length := int(body[at : (end := body.index(b"\r\n", at))], 16):
        whole += body[end + 2 : end + 2 + length]
        at = end + 2 + length + 2
    return whole
