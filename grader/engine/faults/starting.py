"""Whose fault it is that an image cannot be started.

Engines stumble over what lies in an image in words that a fault of theirs could have too. What is not understood gets
a control: the base image, to which only the Dockerfile has added anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from grader.engine.content import mounted
from grader.engine.faults.refusal import AppError, NotStartedError
from grader.engine.running.run import Command, in_image
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from grader.engine.connect import Engine
    from grader.engine.image import Image

T = TypeVar("T")


def started(image: Image, bases: Sequence[str], engine: Engine, labels: Mapping[str, str], start: Callable[[], T]) -> T:
    """What ``start`` returns, which starts a container of ``image``.

    Raises ``AppError`` for what lies in the image, and for what the engine's runtime refuses twice while it starts
    ``bases``; else what ``start`` raises.
    """
    try:
        return start()
    except NotStartedError as error:
        mounted.check(image)
        if not error.by_runtime or not _all_start(engine, bases, labels):
            raise
    except EngineError:
        mounted.check(image)
        raise
    try:
        return start()
    except NotStartedError as error:
        if not error.by_runtime or not _all_start(engine, bases, labels):
            raise
        fix = "Look at CMD, ENTRYPOINT, USER, WORKDIR and VOLUME."
        raise AppError(f"The image cannot be started, though its base image can: {error.said}", fix) from error


def _all_start(engine: Engine, bases: Sequence[str], labels: Mapping[str, str]) -> bool:
    """Whether the engine starts a container of each; for a command a name will do that is not there."""
    try:
        for base in bases:
            in_image(engine, base, labels, Command(["/no/such/program"]))
    except EngineError:
        return False
    return bool(bases)
