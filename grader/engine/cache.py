"""The engine's build cache is made smaller. Podman has images in place of one (`leftovers`)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.engine.connect import Engine


def prune(engine: Engine, keep: int) -> int:
    """Removes what was not used for longest until ``keep`` bytes are left, nothing that a build uses now.

    Returns the bytes that this freed; an engine that does not answer in time goes on with it.
    """
    if engine.name != "docker":
        return 0
    with suppress(OSError):  # all errors of the client library that an engine can cause are kinds of it
        # BuildKit takes 0 for no bound of what is kept.
        told = engine.client.prune_builds(all=True, keep_storage=max(1, keep))
        return int(told.get("SpaceReclaimed") or 0)
    return 0
