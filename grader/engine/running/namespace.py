"""Ways into the network namespace of an app that has no network: the question is carried to it.

`Entered`: as root on the engine's own machine, a thread of ours enters the namespace. `Probe`: a container that holds
the namespace, which the app joins; questions are asked by a Python inside it. `Published`: a port on 127.0.0.1, for
engines that can do neither.
"""

from __future__ import annotations

import base64
import ctypes
import inspect as source_of
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from grader.engine.api import sdk
from grader.engine.api.client import created
from grader.engine.running import ask as asking
from grader.engine.running.run import Command, said
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.engine.connect import Engine

_CLONE_NEWNET = 0x40000000
#: What a probe runs until it is removed: it only holds the namespace.
_HOLD = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit()); signal.pause()"

#: Seconds that a probe has for its own work, which takes a tenth of one, on a machine that is busy.
_PROBE = 20.0
#: Bytes of what it may tell: the longest body that is asked for comes to less, written in base64.
_TOLD = 64 << 20


@dataclass(frozen=True)
class Question:
    """An HTTP request. ``within`` seconds bound the whole exchange; of the body at most ``limit`` bytes are read."""

    method: str
    path: str
    port: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    within: float = 10.0
    limit: int = 1 << 20
    host: str = "127.0.0.1"

    def order(self) -> dict[str, Any]:
        """As `ask.ask` takes it."""
        return {
            "host": self.host,
            "port": self.port,
            "method": self.method,
            "path": self.path,
            "headers": list(self.headers),
            "body": base64.b64encode(self.body).decode(),
            "within": self.within,
            "limit": self.limit,
        }


@dataclass(frozen=True)
class Answer:
    """What came back; ``error`` is empty when it was HTTP. ``elapsed`` is in seconds, ``cut`` tells of a longer body.

    ``kind`` of an error: ``refused``, ``timeout`` or ``protocol``.
    """

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    cut: bool = False
    elapsed: float = 0.0
    kind: str = ""
    error: str = ""

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Answer:
        """From what `ask.ask` returned."""
        if "error" in raw:
            return cls(kind=raw["kind"], error=raw["error"], elapsed=raw["elapsed"])
        headers = tuple((str(name), str(value)) for name, value in raw["headers"])
        return cls(raw["status"], headers, base64.b64decode(raw["body"]), raw["cut"], raw["elapsed"])


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket."""

    address: str
    port: int

    @property
    def inside_only(self) -> bool:
        """Whether nobody outside the container could reach it."""
        return self.address.startswith("127.") or self.address in ("::1", "::ffff:127.0.0.1")


class Namespace(Protocol):
    """A way to the app's network namespace."""

    def ask(self, question: Question) -> Answer:
        """Asks once."""

    def listeners(self) -> tuple[Listener, ...] | None:
        """Who listens; None where that cannot be seen."""

    def close(self) -> None:
        """Leaves."""


class Entered:
    """One thread of ours inside the namespace of the process ``pid``; it never comes back out of it."""

    def __init__(self, pid: int) -> None:
        """Raises OSError when the namespace cannot be entered."""
        self._thread = ThreadPoolExecutor(1, "namespace")
        try:
            self._thread.submit(_enter, pid).result()
        except BaseException:
            self._thread.shutdown()
            raise

    def ask(self, question: Question) -> Answer:
        """Asks from that thread: its sockets belong to the namespace."""
        return Answer.of(self._thread.submit(asking.ask, question.order()).result())

    def listeners(self) -> tuple[Listener, ...] | None:
        """From the kernel's table of that thread's namespace."""
        found: list[dict[str, Any]] = self._thread.submit(asking.listeners).result()
        return tuple(Listener(**listener) for listener in found)

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _enter(pid: int) -> None:
    handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        # os.setns comes with Python 3.12 only.
        if ctypes.CDLL(None, use_errno=True).setns(handle, _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(handle)


def is_ours(pid: int, container: str) -> bool:
    """Whether ``pid`` is a process of ``container`` here: an engine in a VM counts pids of its own."""
    try:
        return container in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


class Probe:
    """A container without a network that holds a namespace for the app to join, with a Python to ask from."""

    def __init__(self, engine: Engine, container: str) -> None:
        """``container`` runs already; see `start_probe`."""
        self._engine = engine
        self.container = container
        self._source = source_of.getsource(asking)

    def ask(self, question: Question) -> Answer:
        """Asks from inside the probe."""
        return Answer.of(self._run({"ask": question.order()}, question.within))

    def listeners(self) -> tuple[Listener, ...] | None:
        """From the kernel's table of the probe's namespace."""
        return tuple(Listener(**listener) for listener in self._run({"listeners": True}))

    def close(self) -> None:
        """Removes the probe."""
        with suppress(OSError):
            self._engine.client.remove_container(self.container, force=True, v=True)

    def _run(self, order: Mapping[str, Any], within: float = 0.0) -> Any:
        """What the probe found; it has ``within`` seconds, and some for its own start."""
        command = Command(["python3", "-c", self._source, json.dumps(order)], within=within + _PROBE, limit=_TOLD)
        output, complaint = said(self._engine, self.container, command)
        try:
            return json.loads(output)
        except ValueError as error:
            words = (complaint or output).decode(errors="replace").strip()
            raise EngineError(
                f"The probe beside the app did not answer: {words[-300:]}", "Grade again.", where=self._engine.endpoint
            ) from error


def start_probe(engine: Engine, images: Sequence[str], options: Mapping[str, Any]) -> Probe | None:
    """A probe from the first of ``images`` that has a Python; None when none has.

    ``options`` are `create_container`'s: the same fences as the app's.
    """
    client = engine.client
    for image in images:
        container = ""
        try:
            container = created(client, image, entrypoint=["python3"], command=["-c", _HOLD], **options)
            client.start(container)
        except sdk.errors.APIError:
            if container:
                with suppress(sdk.errors.APIError):
                    client.remove_container(container, force=True, v=True)
            continue
        return Probe(engine, container)
    return None


class Published:
    """A port of the engine's machine, on 127.0.0.1, that leads to the app; who listens cannot be seen this way."""

    def __init__(self, port: int) -> None:
        """``port`` is the one on 127.0.0.1."""
        self._port = port

    def ask(self, question: Question) -> Answer:
        """Asks through the published port."""
        return Answer.of(asking.ask(question.order() | {"port": self._port, "host": "127.0.0.1"}))

    def listeners(self) -> tuple[Listener, ...] | None:
        """Not to be seen from outside."""
        return None

    def close(self) -> None:
        """Nothing to leave."""
