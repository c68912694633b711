"""What a grading leaves in the engine while it runs, and how it is found again when the grader was killed.

Everything carries the label `grader.run=<id>`, and `grader.owner` names the process that will remove it.
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

import requests
from docker.errors import APIError

if TYPE_CHECKING:
    from grader.engine.connect import Engine

RUN = "grader.run"
OWNER = "grader.owner"


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
        return {RUN: self.id, OWNER: _owner(os.getpid())}


def remove(engine: Engine, run: Run) -> None:
    """Removes what ``run`` created and has not removed yet; an engine that has gone has nothing to remove."""
    with suppress(APIError, requests.RequestException, OSError):
        _remove(engine, f"{RUN}={run.id}", keep_alive=False)


def clean(engine: Engine) -> list[str]:
    """Removes what killed runs left; what belongs to a run that is still going stays. Returns what was removed."""
    return _remove(engine, RUN, keep_alive=True)


def _remove(engine: Engine, label: str, *, keep_alive: bool) -> list[str]:
    client = engine.client
    removed = []
    only = {"label": label}
    for container in client.containers(all=True, filters=only):
        if not (keep_alive and _is_alive(container)):
            with suppress(APIError, requests.RequestException):
                client.remove_container(container["Id"], force=True, v=True)
                removed.append(f"container {container['Id'][:12]}")
    for image in client.images(filters=only):
        if not (keep_alive and _is_alive(image)):
            with suppress(APIError, requests.RequestException):
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


def _is_alive(thing: dict[str, Any]) -> bool:
    """Whether the process that made it runs still; what another machine made may well be in use."""
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
