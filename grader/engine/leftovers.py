"""What a grading leaves in the engine while it runs, and how it is found again when the grader was killed.

Everything carries the label `grader.run=<id>`, and `grader.owner` names the process that will remove it. Podman's
images are the exception. There an image and those it was built from are the cache of the next build, and go together:
they carry `grader.cache`, stay, and are bounded in number.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from grader import scratch
from grader.engine.api import sdk

if TYPE_CHECKING:
    from collections.abc import Callable

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
        return cls(os.urandom(8).hex())

    @property
    def labels(self) -> dict[str, str]:
        """The labels of everything that this run creates."""
        return {RUN: self.id, OWNER: scratch.owner(os.getpid()), PIDS: _pids()}


def remove(engine: Engine, run: Run) -> bool:
    """Removes what ``run`` created and has not removed yet; whether all of it is gone, as far as the engine says.

    What runs left that were killed goes with it, and what an engine finished only after its build was given up.
    """
    with suppress(Exception):  # whatever an engine says that is not well: `clean` finds what is left
        return not _remove(engine, run).stayed
    return False


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
    return _remove(engine).gone


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


class _Removed(NamedTuple):
    """What was removed, and what was to be removed and could not be."""

    gone: list[str]
    stayed: list[str]


def _remove(engine: Engine, run: Run | None = None) -> _Removed:
    """What nobody will remove any more, and what ``run`` made."""
    client: Any = engine.client
    found, others = _Removed([], []), _Removed([], [])
    only = {"label": RUN}
    for container in client.containers(all=True, filters=only):
        if (mine := _is_of(container, run)) or not _is_alive(container):
            name = f"container {container['Id'][:12]}"
            remove = partial(client.remove_container, container["Id"], force=True, v=True)
            _try(found if mine or run is None else others, name, remove)
    for image in client.images(filters=only):
        if (mine := _is_of(image, run)) or not _is_alive(image):
            name = f"image {image['Id'].removeprefix('sha256:')[:12]}"
            _try(found if mine or run is None else others, name, partial(client.remove_image, image["Id"], force=True))
    return found


def _is_of(thing: dict[str, Any], run: Run | None) -> bool:
    return run is not None and (thing.get("Labels") or {}).get(RUN) == run.id


def _try(found: _Removed, name: str, remove: Callable[[], object]) -> None:
    try:
        remove()
    except sdk.errors.NotFound:
        # Somebody else has removed it meanwhile.
        return
    except sdk.requests.Timeout:
        # An engine that hangs is waited for once, and not once for each thing.
        raise
    except OSError:
        found.stayed.append(name)
    else:
        found.gone.append(name)


def _pids() -> str:
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def _is_alive(thing: dict[str, Any]) -> bool:
    """Whether the process that made it runs still; what another machine made, or a container, may well be in use."""
    labels = thing.get("Labels") or {}
    return labels.get(PIDS, _pids()) != _pids() or scratch.is_alive(labels.get(OWNER, ""))
