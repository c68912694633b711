"""Engines that lack a fence around builds, where somebody wants none graded without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.engine import fences
from grader.errors import EngineError

if TYPE_CHECKING:
    from grader.engine.connect import Engine
    from grader.engine.fences import Fence


def require(engine: Engine) -> None:
    """Raises ``EngineError`` when ``engine`` lacks a fence that strangers' builds should have."""
    missing = fences.missing(engine)
    if missing:
        raise EngineError(
            f"The engine lacks what fences strangers' work in: {', '.join(fence.name for fence in missing)}",
            " ".join(dict.fromkeys(fence.fix for fence in missing)),
            where=engine.endpoint,
            log=_why(missing),
        )


def _why(missing: tuple[Fence, ...]) -> tuple[str, ...]:
    """What is told of each; once where it is the same."""
    texts = {fence.text for fence in missing}
    return tuple(texts) if len(texts) == 1 else tuple(f"{fence.name}: {fence.text}" for fence in missing)


def names(engine: Engine) -> tuple[str, ...]:
    """What `require` would name."""
    return tuple(fence.name for fence in fences.missing(engine))
