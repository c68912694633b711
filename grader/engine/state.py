"""What an engine says of a container that was started, as far as it can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grader.engine import sdk
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

_AGAIN = "See that it is well (`grader doctor`), then grade again."
#: How an engine calls a container that was made and has not run; the last two are Podman's.
_NEVER_RAN = ("created", "configured", "initialized")


def of(client: Any, container: str) -> Mapping[str, Any]:
    """The engine's state of a container (Engine API, ContainerInspect, `State`).

    Raises ``EngineError`` when it says nothing of use, or that what was started never ran: an app that did not run has
    not ended.
    """
    try:
        state: Mapping[str, Any] = client.inspect_container(container)["State"] or {}
    except sdk.errors.NotFound as error:
        raise EngineError("Somebody removed the app's container", "Grade again.", where=container) from error
    if not isinstance(state.get("Running"), bool) or not isinstance(state.get("ExitCode"), int):
        raise EngineError("The engine does not say whether a container runs", _AGAIN, where=container)
    if not state["Running"] and state.get("Status") in _NEVER_RAN:
        raise EngineError("The engine did not start a container, and said that it had", _AGAIN, where=container)
    return state
