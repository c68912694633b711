"""Measures the machine around an attack: before it, while it goes on, and when it is over.

What is counted: memory, disk, processes, load (told, never asserted), and everything that could be left behind, in the
engine (containers, images, volumes, networks) and on its machine (processes, mounts, loop devices, temporary files).
What cannot be seen from here, of an engine in a virtual machine or far away, is not looked at.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Self

from grader.engine import leftovers
from grader.engine.embedded import standing
from grader.tests.engine.building import unique, workshop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine

MB = 1_000_000
#: Seconds between two looks at the machine, and that what is ending may take to be gone.
_EVERY = 0.1
_SETTLED_WITHIN = 15.0
#: The same where others work with the engine, too: a step of their builds, begun during the attack, is not told apart
#: from one of ours but by its end, and that comes with the time limit of their build at the latest.
_OTHERS_END_WITHIN = 300.0
#: What is in the path of a cgroup that an engine made.
_LIMITS = {"memory": ("memory.limit_in_bytes", "memory.max"), "processes": ("pids.max",)}
_ENGINES = ("/docker/", "docker-", "buildkit", "libpod", ":/grader")


@dataclass
class Peak:
    """The most that was seen while it went on, beyond what there was before; MB, and a number of processes."""

    ram: float = 0.0
    disk: float = 0.0
    processes: int = 0
    load: float = 0.0


class Watchdog:
    """Watches the machine of ``engine`` while a `with` block goes on."""

    def __init__(self, engine: Engine, temporary: Path) -> None:
        """``temporary`` is where the grader under attack puts its temporary files."""
        self._engine = engine
        self._temporary = temporary
        self._root = Path(engine.client.info()["DockerRootDir"])
        # An engine may have mounts of its own, and its data where nobody else sees it.
        self._disk = self._root if engine.local and self._root.is_dir() else temporary
        self._alone = standing.of(engine) is not None
        self._over = threading.Event()
        self.peak = Peak()

    def __enter__(self) -> Self:
        self._before = set(self._things())
        self._first = self._numbers()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def left_behind(self) -> set[str]:
        """What there is now and was not before, once what is ending has had its time."""
        deadline = time.monotonic() + (_SETTLED_WITHIN if self._alone else _OTHERS_END_WITHIN)
        left = set(self._things()) - self._before
        while left and time.monotonic() < deadline:
            time.sleep(_EVERY)
            found = set(self._things()) - self._before
            # In an engine that others work with, too, what came after the attack is theirs.
            left = found if self._alone else left & found
        return left

    # --- while it goes on ---

    def _watch(self) -> None:
        while not self._over.wait(_EVERY):
            ram, disk, processes = self._numbers()
            self.peak.ram = max(self.peak.ram, self._first[0] - ram)
            self.peak.disk = max(self.peak.disk, self._first[1] - disk)
            self.peak.processes = max(self.peak.processes, processes - self._first[2])
            self.peak.load = max(self.peak.load, os.getloadavg()[0])

    def _numbers(self) -> tuple[float, float, int]:
        """MB of memory and of disk that are free, and the number of processes of engines."""
        disk = shutil.disk_usage(self._disk).free
        return _free_memory() / MB, disk / MB, len(list(_processes(self._root)))

    # --- what could be left behind ---

    def _things(self) -> Iterator[str]:
        client = self._engine.client
        # What another grader works with at this moment is not ours to count.
        for kind, found in (
            ("container", client.containers(all=True, filters={"label": leftovers.RUN})),
            ("image", client.images(filters={"label": leftovers.RUN})),
        ):
            yield from (f"{kind} {one['Id'][:19]}" for one in found if not leftovers._is_alive(one))
        yield from (f"network {one['Name']}" for one in client.networks())
        yield from (f"volume {one['Name']}" for one in client.volumes()["Volumes"] or ())
        if not self._engine.local:
            return
        yield from _processes(self._root)
        yield from (f"mount {mount}" for mount in _mounts() if mount.startswith(str(self._root)))
        yield from (f"loop device of {file}" for file in _looped() if file.startswith(str(self._root)))
        yield from (f"temporary file {path.name}" for path in self._temporary.iterdir())


@cache
def fences(engine: Engine) -> frozenset[str]:
    """What bounds the steps of builds: `memory`, `processes`, and `disk` where the engine's is no part of another.

    Read where it counts, from the kernel, of a step that runs; not from what the engine says of itself.
    """
    if not engine.local:
        return frozenset()
    found = _bounds_of_a_step(engine)
    if Path(engine.client.info()["DockerRootDir"]).is_mount():
        found.add("disk")
    return frozenset(found)


def _bounds_of_a_step(engine: Engine) -> set[str]:
    token = unique()
    text = f'FROM debian:bookworm-slim\nSHELL ["/bin/bash", "-c"]\nRUN exec -a {token} sleep 2\n'
    with workshop(engine) as made, ThreadPoolExecutor(1) as pool:
        build = pool.submit(made.build, text)
        while not (cgroups := _cgroups_of(token)) and not build.done():
            time.sleep(_EVERY)
        build.result()
    assert cgroups, "the step of a build was never seen"
    return {name for name, files in _LIMITS.items() if _is_bounded(cgroups, files)}


def _cgroups_of(name: str) -> list[str]:
    """Lines of `/proc/PID/cgroup`, of the process that is called ``name``."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "cmdline").read_bytes().startswith(name.encode()):
                return (folder / "cgroup").read_text().splitlines()
    return []


def _is_bounded(cgroups: list[str], files: tuple[str, ...]) -> bool:
    """Whether one of the cgroups, or one that it is in, has a bound in one of ``files``."""
    for line in cgroups:
        _, controllers, path = line.split(":", 2)
        folder = Path("/sys/fs/cgroup", controllers, path.lstrip("/"))
        for name, above in product(files, (folder, *folder.parents)):
            with suppress(OSError):
                if _is_bound((above / name).read_text().strip()):
                    return True
    return False


def _is_bound(text: str) -> bool:
    """`max`, or on cgroup v1 a number near 2^63, means without bound."""
    return text.isdigit() and int(text) < 1 << 60


@dataclass(frozen=True)
class Daemon:
    """What the engine's own process holds: open files, and MB of memory.

    Podman 4.3 never closes the network namespaces of RUN steps, whoever has it build (its own client, too): they are
    not counted.
    """

    files: int
    memory: float

    @classmethod
    def of(cls, engine: Engine) -> Daemon | None:
        """Of whoever answers at the engine's socket; None where that cannot be seen."""
        if not engine.local:
            return None
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(engine.endpoint.removeprefix("unix://"))
            pid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        folder = Path(f"/proc/{pid}")
        held = next(line for line in (folder / "status").read_text().splitlines() if line.startswith("VmRSS"))
        files = [file for file in _open_files(folder) if engine.name != "podman" or not file.startswith("net:")]
        return cls(len(files), int(held.split()[1]) * 1024 / MB)


def _open_files(process: Path) -> Iterator[str]:
    """What each handle of a process stands for, as `/proc/PID/fd` tells it."""
    for handle in (process / "fd").iterdir():
        with suppress(OSError):
            yield os.readlink(handle)


def _free_memory() -> int:
    """Bytes that could be had without swapping."""
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    return int(line.split()[1]) * 1024


def _processes(root: Path) -> Iterator[str]:
    """Those that run in containers or in steps of builds, of the engine that keeps its data in ``root``."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(sign in (folder / "cgroup").read_text() for sign in _ENGINES):
                # What is mounted as its root tells whose it is: other engines have the same cgroups.
                mounts = (folder / "mountinfo").read_text().splitlines()
                if any(line.split()[4] == "/" and f"{root}/" in line for line in mounts):
                    yield f"process {folder.name} {(folder / 'comm').read_text().strip()!r}"


def _looped() -> Iterator[str]:
    """The files that loop devices stand for."""
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):
            yield path.read_text().strip()


def _mounts() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        yield line.split()[4]
