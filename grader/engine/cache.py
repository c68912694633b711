"""The engine's build cache is made smaller. Podman has images in place of one (`leftovers`)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from grader.engine.api.client import post
from grader.errors import EngineError

if TYPE_CHECKING:
    from grader.engine.connect import Engine

#: Seconds that an engine may take to remove a build cache, which may be many gigabytes of small files.
_PRUNING = 600.0


def prune(engine: Engine, keep: int, *, silence: float = _PRUNING) -> int:
    """Removes what was not used for longest, whoever built it, until ``keep`` bytes are left; nothing that is in use.

    Returns the bytes that this freed. Raises EngineError; an engine that says nothing for ``silence`` seconds goes on
    with it all the same.
    """
    if engine.name != "docker":
        return 0
    # BuildKit takes 0 for no bound of what is kept. The first name is that of older engines (Engine API, BuildPrune).
    bound = str(max(1, keep))
    asked = {"all": "true", "keep-storage": bound, "reserved-space": bound, "max-used-space": bound}
    try:
        with post(engine.client, "/build/prune", data=b"", params=asked, headers={}, silence=silence) as answer:
            found = answer.json()
    except (OSError, ValueError) as error:
        raise EngineError(
            f"The engine did not remove its build cache: {error}",
            "See that it runs (`grader doctor`), then try again.",
            where=engine.endpoint,
        ) from error
    if answer.status_code != HTTPStatus.OK:
        raise EngineError(f"The engine did not remove its build cache: {found.get('message')}", where=engine.endpoint)
    return int(found.get("SpaceReclaimed") or 0)
