"""An engine in words, for `grader doctor`: what it can do, and what is missing. Changes nothing in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grader.course.units import human_size
from grader.engine import bases, fences, room
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.engine.connect import Engine
    from grader.engine.private import EngineStatus

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
    shifted = any("name=userns" in each or "name=rootless" in each for each in facts.get("SecurityOptions") or ())
    if engine.local and driver == "overlay2" and Path(root).is_dir() and not shifted:
        return "read from the engine's overlay2 folders, fast"
    return f"read from the engine's export ({driver}), slower the first time"


def asking(engine: Engine) -> str:
    """How a running app is asked."""
    return "from inside its network namespace" if engine.local else "through a probe container beside it"


def space(engine: Engine) -> str:
    """Free space for the engine's data, where it can be seen. Raises ``EngineError`` when there is little."""
    here = room.of(engine)
    if here is None:
        return "the engine's disk cannot be seen from here"
    told = f"of {human_size(here.size)} free for the engine's data in {here.folder}"
    if here.free < _LITTLE_SPACE:
        raise EngineError(
            f"only {human_size(here.free)} {told}",
            "Free space: `grader clean --cache` removes the build cache"
            + (", `grader engine start --disk` makes its disk larger." if engine.private else "."),
        )
    return f"{human_size(here.free)} {told}"


def standing(status: EngineStatus) -> Iterator[tuple[str, str]]:
    """What the private engine was started with, each with its name."""
    stands = status.standing
    if stands is None:
        if status.running:
            yield "fences", "none: it was started by an older version of the grader; stop and start it"
        return
    here = room.at(stands.data) if stands.disk is None or room.is_mounted(stands.data) else None
    use = f", {human_size(here.free)} free" if here else ""
    yield "disk", f"{human_size(stands.disk)}{use}" if stands.disk else f"the machine's own{use}: {stands.no_disk}"
    yield "cache", f"at most {human_size(stands.cache)} are kept" if stands.cache else "as much as the engine likes"
    for name, text in (("memory", fences.memory(stands)), ("processes", fences.processes(stands))):
        yield name, text or f"not bounded for builds: {stands.no_limits}"
    if status.pending:
        yield "pending", "something else was asked for since it was started; stop and start it"


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
