"""Where an engine keeps images: what it makes of some of them depends on that."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.engine.connect import Engine


@cache
def in_containerd(engine: Engine) -> bool:
    """Whether images are containerd's to keep, as on Docker Desktop and new installations (Engine API, SystemInfo)."""
    return any("containerd" in str(value) for _, value in engine.client.info().get("DriverStatus") or ())
