"""What an engine says of a container that was started, as far as it can be believed."""

from __future__ import annotations

import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

from grader.engine.api import sdk
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.engine.connect import Engine

#: Seconds that an engine may take to open its door.
_DOOR = 5.0
_AGAIN = "See that it is well (`grader doctor`), then grade again."
#: How an engine calls a container that was made and has not run; the last two are Podman's.
_NEVER_RAN = ("created", "configured", "initialized")


def listening(endpoint: str) -> int | None:
    """The process that listens on a unix socket, where the kernel tells (unix(7), SO_PEERCRED); raises OSError.

    Where an init system listens for the engine it is that.
    """
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(_DOOR)
        door.connect(endpoint.removeprefix("unix://"))
        if sys.platform != "linux":
            return None
        pid, _, _ = struct.unpack("3i", door.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        return int(pid) or None


def of(engine: Engine, container: str) -> Mapping[str, Any]:
    """The engine's state of a container (Engine API, ContainerInspect, `State`).

    Raises ``EngineError`` when it says nothing of use, that what was started never ran, or that it ended and the engine
    has been started anew meanwhile: such an app did not end by itself.
    """
    client: Any = engine.client
    try:
        state: Mapping[str, Any] = client.inspect_container(container)["State"] or {}
    except sdk.errors.NotFound as error:
        raise EngineError("Somebody removed the app's container", "Grade again.", where=container) from error
    if not isinstance(state.get("Running"), bool) or not isinstance(state.get("ExitCode"), int):
        raise EngineError("The engine does not say whether a container runs", _AGAIN, where=container)
    if not state["Running"] and state.get("Status") in _NEVER_RAN:
        raise EngineError("The engine did not start a container, and said that it had", _AGAIN, where=container)
    # Podman's containers outlive it, and it comes and goes.
    known = engine.process if engine.name == "docker" and not state["Running"] else None
    if known is not None and listening(engine.endpoint) != known:
        raise EngineError("The engine was started anew, and ended what ran in it", _AGAIN, where=engine.endpoint)
    return state
