"""An engine in words, for `grader doctor`: what it can do, and what is missing. Changes nothing in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from grader.course.units import human_size
from grader.engine import bases
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.engine.connect import Engine

#: Below this many free bytes a course's base images and builds hardly fit.
_LITTLE_SPACE = 5_000_000_000


def engine(engine: Engine) -> str:
    """Name, version, platform and where it answers."""
    whose = ", the grader's own" if engine.private else ""
    return f"{engine.name} {engine.version} ({engine.platform}) at {engine.endpoint}{whose}"


def builder(engine: Engine) -> str:
    """How it builds."""
    if engine.name == "podman":
        return "Podman's own builder; whether steps came from the cache cannot be told"
    if not engine.at_least(23):
        return "BuildKit, with a front end that knows neither heredocs nor COPY --link (Engine 23 and later do)"
    return "BuildKit"


def reading(engine: Engine) -> str:
    """How images are read."""
    facts = engine.client.info()
    driver, root = facts.get("Driver", "?"), facts.get("DockerRootDir", "")
    if engine.local and driver == "overlay2" and Path(root).is_dir():
        return "read from the engine's overlay2 folders, fast"
    return f"read from the engine's export ({driver}), slower the first time"


def asking(engine: Engine) -> str:
    """How a running app is asked."""
    return "from inside its network namespace" if engine.local else "through a probe container beside it"


def space(engine: Engine) -> str:
    """Free space for the engine's data, where it can be seen. Raises ``EngineError`` when there is little."""
    root = Path(engine.client.info().get("DockerRootDir", ""))
    if not engine.local or not root.is_dir():
        return "the engine's disk cannot be seen from here"
    free = shutil.disk_usage(root).free
    if free < _LITTLE_SPACE:
        raise EngineError(
            f"only {human_size(free)} free for the engine's data in {root}", "Free space, or `grader clean`."
        )
    return f"{human_size(free)} free in {root}"


def base_images(engine: Engine, references: Sequence[str]) -> str:
    """Which of the course's base images are present."""
    stand_ins = set(bases.stand_ins(engine))
    words = []
    for reference in references:
        there = engine.client.images(name=reference)
        words.append(f"{reference} {'(stand-in)' if reference in stand_ins else ''}".strip() if there else "")
    missing = [reference for reference, word in zip(references, words, strict=True) if not word]
    told = ", ".join(word for word in words if word) or "none present"
    return told + (f"; not yet: {', '.join(missing)} (`grader bases` gets them)" if missing else "")
