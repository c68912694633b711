"""Makes a stand-in: unpacks Debian packages or builds on the stand-in below, under a name of our own first."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import platformdirs

from grader.engine import install
from grader.engine.standin import LABEL, LABEL_RECIPE, has_the_name, inspect, layer, machine, remove, unpack
from grader.engine.standin.recipe import RECIPES, Recipe, full_name, recipe_for
from grader.errors import EngineError
from grader.result import Progress, ProgressEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine

_ARCHITECTURES = {"armhf": "arm", "i386": "386", "ppc64el": "ppc64le"}


def make(engine: Engine, reference: str, progress: Progress, *, timeout: float = 1200.0) -> str:
    """Build the stand-in of a reference, unless an equal one is there, and give it the real image's name.

    ``timeout`` is in seconds, for everything including the wait for another process that is at it. Returns the
    image's id. Raises EngineError.
    """
    recipe = recipe_for(reference)
    if recipe is None:
        raise EngineError(f"There is no stand-in for {reference}.", "Pull the real image.", where=reference)
    _can_build_for(engine)
    deadline = time.monotonic() + timeout
    with _only_one(recipe, progress, deadline):
        install.ensure_tools(["mmdebstrap"], progress)
        name = _make(engine, recipe, machine.inspect(), progress, deadline)
        _give_name(engine, recipe, name)
        return str((inspect(engine, name) or {})["Id"])


def _can_build_for(engine: Engine) -> None:
    """Raise EngineError when this machine cannot make images for this engine."""
    reason = install.supported()
    if reason is not None:
        raise EngineError("A stand-in for a base image cannot be built on this machine.", reason, where="stand-ins")
    here = install.architecture()
    if _ARCHITECTURES.get(here, here) != engine.platform.split("/")[1]:
        raise EngineError(
            f"A stand-in is of the architecture it is built on: {here} here, the engine's is {engine.platform}.",
            "Use an engine of this machine's own architecture, or pull the real image.",
            where=engine.endpoint,
        )


def _make(engine: Engine, recipe: Recipe, here: machine.Machine, progress: Progress, deadline: float) -> str:
    """Build a recipe and what it stands on, as far as they are not there; returns the image's name of our own."""
    name = recipe.name(here.fingerprint)
    if inspect(engine, name):
        return name
    labels = {LABEL: recipe.reference, LABEL_RECIPE: recipe.version}
    if recipe.parent is None:
        started = time.monotonic()
        progress(ProgressEvent("bases", f"{recipe.reference}: unpacking Debian packages", detail=True))
        layer.load(engine, unpack.archive(recipe, here, progress, deadline), name, recipe, labels)
    else:
        parent = _make(engine, RECIPES[recipe.parent], here, progress, deadline)
        started = time.monotonic()
        progress(ProgressEvent("bases", f"{recipe.reference}: installing Debian packages", detail=True))
        arguments = {"PARENT": parent, **dict(here.proxies)}
        layer.build(engine, layer.Build(recipe, name, labels, arguments, deadline), progress)
    took = time.monotonic() - started
    progress(ProgressEvent("bases", f"{recipe.reference}: built from Debian packages (stand-in), {took:.0f} s"))
    if has_the_name(engine, recipe.reference):
        # An older one holds the real image's name: two of different age would share no layers.
        _give_name(engine, recipe, name)
    return name


def _give_name(engine: Engine, recipe: Recipe, name: str) -> None:
    """Give a whole stand-in the real image's name, and remove the older ones."""
    repository, _, tag = full_name(recipe.reference).rpartition(":")
    engine.client.tag(name, repository, tag)
    remove(engine, recipe.reference, keep=name)


@contextmanager
def _only_one(recipe: Recipe, progress: Progress, deadline: float) -> Iterator[None]:
    """Hold the machine's lock on building stand-ins: a second process waits, then finds them there."""
    import fcntl  # noqa: PLC0415 - Windows has none, and imports this module

    path = platformdirs.user_cache_path("grader") / "stand-ins.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        told = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EngineError(
                        f"Another grader has been building stand-ins for too long; {recipe.reference} was not built.",
                        "Wait for it, or end it, and run the command again.",
                        where=str(path),
                    ) from None
            if not told:
                progress(ProgressEvent("bases", f"{recipe.reference}: waiting for another grader that builds it"))
                told = True
            time.sleep(0.2)
        yield
