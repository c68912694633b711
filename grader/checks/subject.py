"""What a check may look at. Each part is made once and shared by all checks; a check never sees the engine's client."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from grader.engine.app import App
    from grader.engine.build import Build
    from grader.engine.image import Image
    from grader.submission.dockerfile import Dockerfile

T = TypeVar("T")


@dataclass(frozen=True)
class Subject:
    """A submission under judgement.

    Whatever could not be made raises the same exception each time it is asked for: a ``SubmissionError`` when the
    learner's files are why, an ``EngineError`` when the engine is.

    ``fresh`` is a random value of this run, which no image can have been built to know.
    """

    fresh: str
    _dockerfile: Future[Dockerfile] = field(default_factory=Future)
    _build: Future[Build] = field(default_factory=Future)
    _image: Future[Image] = field(default_factory=Future)
    _app: Future[App] = field(default_factory=Future)

    @property
    def dockerfile(self) -> Dockerfile:
        """The parsed Dockerfile."""
        return _made(self._dockerfile)

    @property
    def build(self) -> Build:
        """The finished build: its steps and how long it took."""
        return _made(self._build)

    @property
    def image(self) -> Image:
        """The built image: layers, files, sizes, configuration."""
        return _made(self._image)

    @property
    def app(self) -> App:
        """The running app, ready to be asked."""
        return _made(self._app)


def wait(part: Future[Any]) -> None:
    """Until it is there, in slices: on Windows a bare wait cannot be interrupted."""
    while not part.done():
        try:
            part.exception(timeout=0.2)
        except TimeoutError:
            continue


def _made(part: Future[T]) -> T:
    wait(part)
    return part.result()
