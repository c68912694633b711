"""What a check may look at. Each part is made once and shared by all checks; a check never sees the engine's client."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from grader.engine.build import Build
    from grader.engine.image import Image
    from grader.engine.running.app import App
    from grader.engine.running.run import Finished
    from grader.running import Part
    from grader.submission.context import Context
    from grader.submission.dockerfile import Dockerfile
    from grader.submission.files import File


@dataclass(frozen=True)
class Parts:
    """What every check shares."""

    files: Part[Mapping[str, File]]
    dockerfile: Part[Dockerfile]
    context: Part[Context]
    build: Part[Build]
    image: Part[Image]
    app: Part[App]


class Workshop(Protocol):
    """Makes what one check alone wants to see; `grader.making` has the real one."""

    def start_app(self, image: Image, **changes: Any) -> App:
        """Another app of ``image``; ``changes`` are to the rubric's own options (`engine.running.app.Options`)."""

    def run(self, image: Image, args: Sequence[str], **options: Any) -> Finished:
        """Runs a command in a container of its own; ``options`` are those of `engine.running.run.Command`."""

    def rebuild(self, changes: Mapping[str, bytes], **options: Any) -> Build:
        """Builds again, with other contents of some files; ``options`` are those of `engine.build.Options`."""

    def image_of(self, build: Build, dockerfile: Dockerfile) -> Image:
        """The image that `rebuild` made."""

    def stage(self, name: str) -> Subject:
        """What `--target` makes."""


@dataclass(frozen=True)
class Subject:
    """A submission under judgement.

    Whatever could not be made raises the same exception each time it is asked for: a ``SubmissionError`` when the
    learner's files are why, an ``EngineError`` when the engine is.

    ``fresh`` is a random value of this run, which no image was built to know, unless the rubric gives it to the build.
    ``folder`` is the exercise's own, with what only its author wrote; ``starter`` holds the files that a learner starts
    from. ``secrets`` are those that builds are given, by their ids.
    """

    fresh: str
    parts: Parts = field(repr=False)
    workshop: Workshop = field(repr=False)
    folder: Path
    starter: Path
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def files(self) -> Mapping[str, File]:
        """What is built, by path: the learner's files over the exercise's own."""
        return self.parts.files.get()

    @property
    def dockerfile(self) -> Dockerfile:
        """The parsed Dockerfile."""
        return self.parts.dockerfile.get()

    @property
    def context(self) -> Context:
        """The build context: what is sent to the engine, and what `.dockerignore` leaves out."""
        return self.parts.context.get()

    @property
    def build(self) -> Build:
        """The finished build: its steps and how long it took."""
        return self.parts.build.get()

    @property
    def image(self) -> Image:
        """The built image: layers, files, sizes, configuration."""
        return self.parts.image.get()

    @property
    def app(self) -> App:
        """The running app, ready to be asked. Shared: whoever would change it `start`s one of their own."""
        return self.parts.app.get()

    def start(self, **changes: Any) -> App:
        """Another app of the same image, started otherwise; ``changes`` are to `engine.running.app.Options`."""
        return self.workshop.start_app(self.image, **changes)

    def run(self, args: Sequence[str], **options: Any) -> Finished:
        """Runs a command in a container of the image's own; ``options`` are those of `engine.running.run.Command`."""
        return self.workshop.run(self.image, args, **options)

    def rebuild(self, changes: Mapping[str, bytes], **options: Any) -> Build:
        """Builds again with ``changes``, whole contents by path; ``options`` are those of `engine.build.Options`.

        Raises ``SubmissionError`` when that does not build.
        """
        return self.workshop.rebuild(changes, **options)

    def image_of(self, build: Build) -> Image:
        """The image that `rebuild` made; of the same Dockerfile, but for what ``changes`` did to it."""
        return self.workshop.image_of(build, self.dockerfile)

    def stage(self, name: str) -> Subject:
        """The image of one stage (`--target`), to be judged like the whole.

        Raises ``SubmissionError`` when the Dockerfile has no such stage.
        """
        return self.workshop.stage(name)
