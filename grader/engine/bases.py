"""Makes base images present before a build: present, else pulled, else built from Debian packages as a stand-in.

A phase of its own with a time limit of its own, so that a slow registry is never the learner's timeout. A stand-in
takes the real image's name only on the private engine or with the user's agreement, and gives it back to the real image
once a registry is reached.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from grader.engine import standin
from grader.engine.api import sdk
from grader.engine.pull import Puller, PullError, Trouble
from grader.errors import EngineError
from grader.result import ProgressEvent, silent
from grader.running import Background, Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from grader.engine.connect import Engine
    from grader.result import Progress

# How often, in seconds, the real image is looked for while a stand-in serves, and how long the registry has to begin.
_LOOK_EVERY = 6 * 3600
_LOOK_LIMIT = 5.0
# A stand-in builds in about a minute; on a slow mirror it may take many.
_BUILD_LIMIT = 1800.0


@dataclass(frozen=True)
class Base:
    """A base image that is present: as it was asked for, its id, and whether a stand-in has the name."""

    reference: str
    id: str
    stand_in: bool


def ensure(  # noqa: PLR0913 - what a command lets its user say
    engine: Engine,
    references: Sequence[str],
    *,
    stand_ins: bool,
    timeout: float = 600.0,
    refresh: bool = False,
    progress: Progress = silent,
) -> tuple[Base, ...]:
    """Make every reference present; one that is there costs a single quick question. Absent ones are pulled side by
    side, stand-ins are built one after the other, for one is built on the other.

    ``stand_ins`` says that the user agrees to stand-ins on this engine. ``timeout`` bounds all the pulling, in
    seconds. ``refresh`` looks for the real image of each stand-in now, not just every six hours. Raises EngineError;
    a ``PullError`` tells its kind.
    """
    puller = Puller(engine, time.monotonic() + timeout, progress)
    try:
        allowed = stand_ins or engine.private
        images = {reference: standin.inspect(engine, reference) for reference in references}
        pulls = _pulls(puller, [reference for reference, image in images.items() if image is None])
        return tuple(
            _fetch(puller, reference, pulls[reference], allowed=allowed)
            if (image := images[reference]) is None
            else _kept(puller, reference, image, allowed=allowed, refresh=refresh)
            for reference in references
        )
    except (sdk.errors.DockerException, sdk.requests.RequestException) as error:
        raise EngineError(
            "The engine failed while base images were made present.",
            "See that it runs (`grader doctor`), then run the command again.",
            where=engine.endpoint,
            log=(str(error)[:400],),
        ) from error


def has_recipe(reference: str) -> bool:
    """Whether a stand-in can be built for a reference."""
    return standin.recipe_for(reference) is not None


def stand_ins(engine: Engine) -> list[str]:
    """The references whose name a stand-in has on this engine."""
    return standin.present(engine)


def remove_stand_ins(engine: Engine) -> list[str]:
    """Remove all stand-ins that no container uses; returns the references that had one."""
    return [reference for reference in standin.RECIPES if standin.remove(engine, reference)]


def content(engine: Engine, base: Base) -> str:
    """A digest over the layers of a base image: the same on every engine, where ids differ with the image store."""
    image = standin.inspect(engine, base.reference) or {}
    layers: Sequence[str] = image.get("RootFS", {}).get("Layers") or ()
    return hashlib.sha256("\n".join(layers).encode()).hexdigest()


def _pulls(puller: Puller, references: Sequence[str]) -> dict[str, Part[None]]:
    """The pulls of absent images, begun already where there are several."""
    pulls = {reference: Part(partial(_pull, puller, reference)) for reference in references}
    background = Background()
    for pull in pulls.values() if len(pulls) > 1 else ():
        pull.begin(background)
    return pulls


def _pull(puller: Puller, reference: str) -> None:
    started = time.monotonic()
    puller.progress(ProgressEvent("bases", f"{reference}: pulling", detail=True))
    puller.pull(reference)
    puller.progress(ProgressEvent("bases", f"{reference}: pulled, {time.monotonic() - started:.0f} s"))


def _kept(puller: Puller, reference: str, image: Mapping[str, Any], *, allowed: bool, refresh: bool) -> Base:
    """What is present, or what takes the place of a stand-in."""
    found = Base(reference, str(image["Id"]), standin.is_stand_in(image, reference))
    if not found.stand_in:
        return found
    if _time_to_look(puller.engine, reference, refresh=refresh) and _replaced(puller, reference):
        return _pulled(puller.engine, reference)
    if allowed and (refresh or not standin.is_current(image, reference)):
        return _rebuilt(puller, found)
    return found


def _pulled(engine: Engine, reference: str) -> Base:
    image = standin.inspect(engine, reference)
    if image is None:
        raise EngineError(
            f"The engine pulled {reference} and does not have it.", "Run the command again.", where=engine.endpoint
        )
    return Base(reference, str(image["Id"]), stand_in=False)


def _fetch(puller: Puller, reference: str, pull: Part[None], *, allowed: bool) -> Base:
    """Pull a reference that is absent, or build its stand-in."""
    try:
        pull.get()
    except PullError as error:
        if not has_recipe(reference) or error.trouble in {Trouble.DISK, Trouble.NOT_FOUND}:
            raise
        if not allowed:
            error.fix += " Or agree to a stand-in, built from Debian packages, with --yes."
            raise
        made = standin.inspect(puller.engine, reference)
        if made is not None:
            # Another stand-in is built on it, and has just been.
            return Base(reference, str(made["Id"]), standin.is_stand_in(made, reference))
        puller.progress(ProgressEvent("bases", f"{reference}: {_reason(error)}; building a stand-in"))
        _looked(puller.engine, reference)
        return Base(reference, _make(puller, reference), stand_in=True)
    return _pulled(puller.engine, reference)


def _make(puller: Puller, reference: str) -> str:
    from grader.engine.standin import making  # noqa: PLC0415  # hardly ever needed, and a grading waits for imports

    return making.make(puller.engine, reference, puller.progress, timeout=_BUILD_LIMIT)


def _rebuilt(puller: Puller, old: Base) -> Base:
    """The stand-in by today's recipe; the old one still serves when that cannot be built."""
    try:
        return Base(old.reference, _make(puller, old.reference), stand_in=True)
    except EngineError as error:
        text = f"{old.reference}: the older stand-in is kept, since a new one cannot be built: {error.what}"
        puller.progress(ProgressEvent("bases", text))
        return old


def _reason(error: PullError) -> str:
    return {
        Trouble.UNREACHABLE: "no registry in reach",
        Trouble.RATE_LIMIT: "the registry allows no more pulls for now",
        Trouble.DENIED: "the registry asks for a login",
    }.get(error.trouble, "the registry does not send it")


# --- the real image in a stand-in's place ------------------------------------------------------------------------


def _replaced(puller: Puller, reference: str) -> bool:
    """Try once to pull the real image over its stand-in; whether that worked."""
    _looked(puller.engine, reference)
    puller.progress(ProgressEvent("bases", f"{reference}: looking for the real image", detail=True))
    quick = Puller(puller.engine, puller.deadline, puller.progress, _LOOK_LIMIT, puller.unreachable)
    try:
        quick.pull(reference, tries=1)
    except EngineError:
        return False
    standin.remove(puller.engine, reference)
    puller.progress(ProgressEvent("bases", f"{reference}: the real image took its stand-in's place"))
    return True


def _stamp(engine: Engine, reference: str) -> Path:
    """A file whose age is how long ago the real image was last looked for."""
    key = hashlib.sha256(f"{engine.endpoint} {standin.full_name(reference)}".encode()).hexdigest()[:24]
    import platformdirs  # noqa: PLC0415  # where real images are present nobody asks

    return platformdirs.user_cache_path("grader") / "looked" / key


def _time_to_look(engine: Engine, reference: str, *, refresh: bool) -> bool:
    try:
        age = time.time() - _stamp(engine, reference).stat().st_mtime
    except OSError:
        return True
    # A clock that was set back must not keep us from ever looking again.
    return refresh or not 0 <= age < _LOOK_EVERY


def _looked(engine: Engine, reference: str) -> None:
    path = _stamp(engine, reference)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError:
        # A home that cannot be written to costs a second look, nothing else.
        return
