"""What a grading leaves in the engine while it runs, and how it is found again when the grader was killed.

Everything carries the label `grader.run=<id>`, and `grader.owner` names the process that will remove it. Podman's
images are the exception. There an image and those it was built from are the cache of the next build, and go together:
they carry `grader.cache`, stay, and are bounded in number.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.engine.connect import Engine

RUN = "grader.run"
OWNER = "grader.owner"
#: The PID namespace of the owner: in a container with the host's name and engine, numbers mean other processes.
PIDS = "grader.pids"
CACHE = "grader.cache"
# Below, `suppress(OSError)`: all errors of the client library that an engine can cause are kinds of it.
#: Builds whose images Podman keeps for the builds that come after.
KEPT = 50


@dataclass(frozen=True)
class Run:
    """One run of the grader."""

    id: str

    @classmethod
    def new(cls) -> Run:
        """A run that nothing in the engine belongs to yet."""
        return cls(secrets.token_hex(8))

    @property
    def labels(self) -> dict[str, str]:
        """The labels of everything that this run creates."""
        return {RUN: self.id, OWNER: _owner(os.getpid()), PIDS: _pids()}


def remove(engine: Engine, run: Run) -> None:
    """Removes what ``run`` created and has not removed yet; an engine that has gone has nothing to remove."""
    with suppress(OSError):
        _remove(engine, f"{RUN}={run.id}", keep_alive=False)


def clean(engine: Engine) -> list[str]:
    """Removes what killed runs left, and Podman's cache; what belongs to a run that is still going stays.

    Returns what was removed.
    """
    removed = sweep(engine)
    while gone := _remove_images(engine, _kept(engine)):
        removed += gone
    return removed


def sweep(engine: Engine) -> list[str]:
    """Removes what killed runs left, and nothing else. Returns what was removed."""
    return _remove(engine, RUN, keep_alive=True)


def trim(engine: Engine) -> None:
    """Removes the oldest of the images that Podman has kept for later builds, all but ``KEPT``."""
    with suppress(OSError):
        _remove_images(engine, _kept(engine)[KEPT:])


def _kept(engine: Engine) -> list[dict[str, Any]]:
    """The last images of builds and of their stages, newest first; those that they were built from go with them."""
    images = engine.client.images(filters={"label": CACHE})
    return sorted((image for image in images if not image.get("RepoTags")), key=lambda image: -image["Created"])


def _remove_images(engine: Engine, images: list[dict[str, Any]]) -> list[str]:
    """What could be removed of ``images``: none that a container is made of."""
    removed = []
    for image in images:
        with suppress(OSError):
            engine.client.remove_image(image["Id"])
            removed.append(f"image {image['Id'].removeprefix('sha256:')[:12]}")
    return removed


def _remove(engine: Engine, label: str, *, keep_alive: bool) -> list[str]:
    client = engine.client
    removed = []
    only = {"label": label}
    for container in client.containers(all=True, filters=only):
        if not (keep_alive and _is_alive(container)):
            with suppress(OSError):
                client.remove_container(container["Id"], force=True, v=True)
                removed.append(f"container {container['Id'][:12]}")
    for image in client.images(filters=only):
        if not (keep_alive and _is_alive(image)):
            with suppress(OSError):
                client.remove_image(image["Id"], force=True)
                removed.append(f"image {image['Id'].removeprefix('sha256:')[:12]}")
    return removed


def _owner(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{_started(pid)}"


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks: tells it from a later one with the same number."""
    if sys.platform != "linux":
        return ""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _pids() -> str:
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def _is_alive(thing: dict[str, Any]) -> bool:
    """Whether the process that made it runs still; what another machine made may well be in use."""
    if (thing.get("Labels") or {}).get(PIDS, _pids()) != _pids():
        return True
    host, _, rest = (thing.get("Labels") or {}).get(OWNER, "").rpartition(":")[0].rpartition(":")
    if not host or not rest.isdigit():
        return False
    if host != socket.gethostname():
        return True
    pid = int(rest)
    if sys.platform == "linux":
        return Path(f"/proc/{pid}").exists() and _owner(pid) == thing["Labels"][OWNER]
    with suppress(OSError, ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False
