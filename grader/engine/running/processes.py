"""The processes of a running container, as the kernel tells them to somebody outside of it.

`Local`: as root on the engine's own machine they are in this machine's `/proc`. `Beside`: elsewhere a container with a
Python of the exercise's own base images shares their PID namespace for a moment.
"""

from __future__ import annotations

import inspect as source_of
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from grader.engine.faults.refusal import AppError
from grader.engine.running import look
from grader.engine.running.namespace import is_ours
from grader.engine.running.run import Command
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from grader.engine.running.run import Finished

#: Bytes of what a look may tell: 256 processes with all their arguments come to less.
_TOLD = 8 << 20
#: Beyond this an exit code tells of a signal.
_SIGNALLED = 128


@dataclass(frozen=True)
class Process:
    """One process. ``pid`` and ``parent`` are numbers in the container; a parent outside of it is 0.

    ``users`` are the numbers of its real, effective and saved user as the container counts them. ``program`` is the
    path of the file that it runs, empty when that is hidden; ``args`` and ``name`` are what it says of itself.
    ``handles`` are the signals that it handles or waits for, ``ports`` those that it listens on. ``shell`` tells of
    PID 1 whether its program is a shell, whatever its name.
    """

    pid: int
    parent: int
    users: tuple[int, ...]
    program: str
    args: tuple[str, ...]
    name: str
    handles: frozenset[int]
    ports: frozenset[int]
    shell: bool


class View(Protocol):
    """A way to see the processes of one container."""

    def processes(self) -> tuple[Process, ...]:
        """Those that run now, the first of the container first; ``EngineError`` when they cannot be seen."""

    def freeze(self) -> None:
        """Stops all but PID 1, which the engine can stop."""

    def thaw(self) -> None:
        """Lets them go on."""

    def end(self) -> None:
        """Kills commands that were run in it from outside, and what they started."""


class Local:
    """The container's processes are this machine's, and we are root here."""

    def __init__(self, container: str) -> None:
        """``container`` is its full id."""
        self._container = container

    def processes(self) -> tuple[Process, ...]:
        """From this machine's `/proc`."""
        return _told(self._look())

    def freeze(self) -> None:
        """By signals from this process."""
        look.freeze(self._look)

    def thaw(self) -> None:
        """By signals from this process."""
        look.thaw(self._look)

    def end(self) -> None:
        """By signals from this process."""
        look.end(self._look)

    def _look(self) -> list[dict[str, Any]]:
        return look.processes([pid for pid in look.numbers() if is_ours(pid, self._container)])


class Beside:
    """A container beside the app's sees them for us."""

    def __init__(self, run: Callable[[Command], Finished], runtime: str = "") -> None:
        """``run`` runs a command as root in a container that shares the PID namespace, and may trace and signal.

        ``runtime`` is the app's, if somebody chose it.
        """
        self._run = run
        self._fix = "Grade again."
        if runtime:
            self._fix = f"The runtime {runtime} may keep them to itself: grade this exercise without it."

    def processes(self) -> tuple[Process, ...]:
        """From that container's `/proc`."""
        return _told(self._look())

    def freeze(self) -> None:
        """By signals from that container."""
        self._look("freeze")

    def thaw(self) -> None:
        """By signals from that container."""
        self._look("thaw")

    def end(self) -> None:
        """By signals from that container."""
        self._look("end")

    def _look(self, *orders: str) -> list[dict[str, Any]]:
        source = source_of.getsource(look)
        done = self._run(Command(["python3", "-I", "-c", source, *orders], user="0", limit=_TOLD))
        try:
            told: list[dict[str, Any]] = json.loads(done.stdout)
        except ValueError as error:
            if not done.refused and not done.out_of_memory and (done.exit_code is None or done.exit_code > _SIGNALLED):
                # It shares their PID namespace, and who is root there may send it signals.
                raise AppError(
                    "The app ends or stops whoever looks at its processes", "Let it leave other processes alone."
                ) from error
            said = done.refused or done.stderr.decode(errors="replace").strip()[-300:]
            raise EngineError(f"The app's processes cannot be seen on this engine: {said}", self._fix) from error
        return told


def _told(seen: Iterable[dict[str, Any]]) -> tuple[Process, ...]:
    ordered = sorted(seen, key=lambda process: int(process["pid"]))
    if not ordered or ordered[0]["pid"] != 1:
        raise EngineError(
            "The app's first process cannot be seen: it ended, or this grader may not look", "Grade again."
        )
    inside = {process["host_pid"]: process["pid"] for process in ordered}
    return tuple(
        Process(
            pid=process["pid"],
            parent=inside.get(process["parent"], 0),
            users=tuple(process["users"]),
            program=process["exe"],
            args=tuple(process["args"]),
            name=process["name"],
            handles=frozenset(process["handles"]),
            ports=frozenset(process["ports"]),
            shell=process["shell"],
        )
        for process in ordered
    )
