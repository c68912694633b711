"""A submission -> its Dockerfile, build context, image and running app, each made once and when it is first needed."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from grader import judging
from grader.builder import Builder
from grader.checks.subject import Parts, Subject
from grader.engine import bases as base_images
from grader.engine import leftovers
from grader.errors import GraderError, RubricError, SubmissionError
from grader.request import Seen
from grader.result import ProgressEvent
from grader.running import Background, Flag, Part
from grader.submission import context as build_context
from grader.submission import dockerfile as dockerfiles
from grader.submission import policy
from grader.submission.collect import collect
from grader.submission.files import DOCKERFILE, File, Limits, Submission

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from grader.checks.base import Check
    from grader.engine.build import Build
    from grader.engine.connect import Engine
    from grader.engine.image import Image
    from grader.engine.running.app import App
    from grader.engine.running.app import Options as AppOptions
    from grader.engine.running.run import Finished
    from grader.engine.sandbox import Sandbox
    from grader.request import Request
    from grader.submission.context import Context
    from grader.submission.dockerfile import Dockerfile

T = TypeVar("T")
#: Seconds that a thread has to notice that what it waited for is gone.
_PATIENCE = 5.0
#: Seconds before the clean-up is tried again, and those after which a try that failed says that the engine hangs.
_PAUSES = (0.1, 0.5, 2.0)
_HANGS = 5.0
_LEFT = "The engine did not let the grader remove all that it had made; `grader clean` removes what is left."


class Maker:
    """Makes the parts of one submission, each when it is first asked for, and removes them again.

    It is the `Workshop` of its subjects. Everything that it makes in the engine carries the labels of one run.
    """

    def __init__(self, request: Request, fresh: str) -> None:
        """Makes nothing yet. ``fresh`` is the random value of this run."""
        self._request = request
        self._settings = request.rubric.settings
        self._fresh = fresh
        self._run = leftovers.Run.new()
        self._builder = Builder(request, self._run, fresh)
        self._background = Background()
        #: The engine has been asked to start the app, or never will be.
        self._asked_to_start = Flag()
        self._checks: Part[tuple[Check, ...]] = Part(lambda: tuple(request.checks))
        self._stages: dict[str, Subject] = {}
        self.submission: Part[Submission] = Part(self._collect)
        self.engine: Engine | None = None
        #: Whether something was made in the engine that could not be removed again.
        self.left = False
        self.bases: tuple[base_images.Base, ...] = ()
        self._ready: Part[Engine] = Part(partial(_faulted, self._connect))
        self._sandbox: Part[Sandbox] = Part(partial(_faulted, self._prepare_sandbox))
        self._context: Part[Context] = Part(self._pack)
        self._missing_fences: Part[tuple[str, ...]] = Part(self._find_missing_fences)
        self.subject = self._subject(Part(self._parse), "")

    # --- phases -----------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Reads what was handed in; what is not allowed is refused here, before anything is built."""
        self._allowed()

    def connect(self) -> None:
        """Finds the engine and makes the base images present that the Dockerfile asks for."""
        self._ready.get()

    def build(self) -> None:
        """Builds the image; what comes after it is loaded and prepared meanwhile."""
        self._background.start(self._load_what_comes_after)
        if self._wants_app():
            self._sandbox.begin(self._background)
        _ = self.subject.build

    def start(self) -> None:
        """Begins to start the app, if a check asks for it, and to read the image; checks tell what went wrong.

        In this order: to start an app is to wait for the engine, and to read is work that would delay asking it.
        """
        parts = self.subject.parts
        if self._wants_app():
            parts.app.begin(self._background)
            self._asked_to_start.wait()
        self._checks.begin(self._background)
        parts.image.begin(self._background)
        self._missing_fences.begin(self._background)

    def checks(self) -> tuple[Check, ...]:
        """What is to be judged, once `start` has begun to load it.

        Never loaded by the main thread: a signal that comes during an import leaves Python's import lock taken.
        """
        self._checks.wait()
        return self._checks.get()

    def started(self) -> None:
        """Waits for what `start` has begun."""
        if self._wants_app():
            self.subject.parts.app.wait()

    def seen(self) -> Seen:
        """What there was to see so far."""
        submission = self.submission.made
        written = submission.files[DOCKERFILE].data if submission else b""
        return Seen(written, self.first_build.steps if self.first_build else ())

    @property
    def first_build(self) -> Build | None:
        """The build of the submission itself, once there was one."""
        return self._builder.first

    @property
    def missing_fences(self) -> tuple[str, ...]:
        """What does not bound builds on the engine; empty when it cannot tell."""
        with suppress(GraderError, OSError, ValueError):
            return self._missing_fences.get()
        return ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be told of how the app was run, and of what was left behind."""
        sandbox = self._sandbox.made
        return (*(sandbox.notes if sandbox else ()), *((_LEFT,) if self.left else ()))

    def clean_up(self) -> None:
        """Removes containers and images; ``left`` and a note tell when the engine does not let it.

        Twice, because a thread that still works may make one more before it ends.
        """
        if self.engine is None:
            return
        self._request.progress(ProgressEvent("cleanup", "removing containers and image", detail=True))
        sandbox = self._sandbox.made
        if sandbox:
            sandbox.close()
        if self._background.busy():
            leftovers.remove(self.engine, self._run)
            self._background.join(_PATIENCE)
        if sandbox:
            sandbox.close()
        self.left = not self._removed(self.engine)
        if self.left:
            self._request.progress(ProgressEvent("cleanup", _LEFT))

    def _removed(self, engine: Engine) -> bool:
        """Whether all is gone; an engine that is away for a moment is asked again, one that hangs is not."""
        for pause in _PAUSES:
            began = time.monotonic()
            if leftovers.remove(engine, self._run):
                return True
            if time.monotonic() - began > _HANGS:
                return False
            time.sleep(pause)
        return leftovers.remove(engine, self._run)

    def _load_what_comes_after(self) -> None:
        """Importing it before the build would keep the engine waiting; during it, it costs nothing."""
        if self.engine and self.engine.name == "docker":
            from grader.engine import trace  # noqa: PLC0415

            trace.prepare()
        from grader.engine import image  # noqa: F401, PLC0415

        if not self._wants_app():
            # Else the start of the app is the time for it, of which there is more.
            _ = self._request.checks

    def _wants_app(self) -> bool:
        only = self._request.only
        return any(uses for check, uses in self._settings.checks.items() if not only or check in only)

    # --- what a single check asks for (`Workshop`) --------------------------------------------------------------------

    def start_app(self, image: Image, **changes: Any) -> App:
        """An app of ``image``; ``changes`` are to the options that the rubric gives (`engine.running.app.Options`)."""
        options = replace(self._app_options(), **changes)
        if image.config.get("User"):
            image.check_accounts()
        sandbox = self._sandbox.get()

        def tell(event: ProgressEvent) -> None:
            self._asked_to_start.set()
            self._request.progress(event)

        return self._as_it_starts(image, lambda: sandbox.start(image.id, options, progress=tell))

    def run(self, image: Image, args: Sequence[str], **options: Any) -> Finished:
        """Runs a command in a container of ``image``; ``options`` are those of `engine.running.run.Command`."""
        from grader.engine.running.run import Command  # noqa: PLC0415  # see `_load_what_comes_after`

        command = Command(args, memory=self._settings.app.memory if self._settings.app else Command.memory, **options)
        if image.config.get("User") or command.user:
            image.check_accounts()
        return self._as_it_starts(image, lambda: self._sandbox.get().run(image.id, command))

    def _as_it_starts(self, image: Image, start: Callable[[], T]) -> T:
        from grader.engine.faults import starting  # noqa: PLC0415  # see `_load_what_comes_after`

        bases = [base.reference for base in self.bases]
        return starting.started(image, bases, self._ready.get(), self._run.labels, start)

    def rebuild(self, changes: Mapping[str, bytes], **options: Any) -> Build:
        """Builds again with whole new contents of some files; ``options`` are those of `engine.build.Options`."""
        files = dict(self.submission.get().files)
        for path, data in changes.items():
            files[path] = File(data, executable=path in files and files[path].executable)
        return self._built(files, **options)

    def image_of(self, build: Build, dockerfile: Dockerfile) -> Image:
        """The image that `rebuild` made."""
        return self._image(build, dockerfile)

    def stage(self, name: str) -> Subject:
        """The image of one stage, as ``--target`` makes it."""
        if name not in self._stages:
            dockerfile = self.subject.dockerfile.up_to(name)
            if dockerfile is None:
                raise SubmissionError(f"The Dockerfile has no stage `{name}`", f"Name one with `FROM ... AS {name}`.")
            self._stages[name] = self._subject(Part(lambda: dockerfile), name)
        return self._stages[name]

    # --- making -----------------------------------------------------------------------------------------------------

    def _subject(self, dockerfile: Part[Dockerfile], target: str) -> Subject:
        """What checks may look at: the whole, or one stage of it."""
        build = Part(partial(_faulted, lambda: self._built(self.submission.get().files, target=target)))
        unread = Part(lambda: self._image(build.get(), dockerfile.get()))
        image = Part(partial(_faulted, lambda: _read(unread.get())))
        app = Part(partial(_faulted, lambda: self._started(unread, image)))
        exercise = self._request.exercise
        files = Part(lambda: self.submission.get().files)
        parts = Parts(files, dockerfile, self._context, build, image, app)
        return Subject(self._fresh, parts, self, exercise.path, exercise.starter, self._builder.secrets.values)

    def _find_missing_fences(self) -> tuple[str, ...]:
        from grader.engine import unfenced  # noqa: PLC0415  # while the app starts there is time

        return unfenced.names(self._ready.get())

    def _started(self, unread: Part[Image], read: Part[Image]) -> App:
        try:
            return self.start_app(_startable(unread, read))
        finally:
            self._asked_to_start.set()

    def _collect(self) -> Submission:
        settings = self._settings
        if settings.wheelhouse:
            from grader.course import wheelhouse  # noqa: PLC0415  # few rubrics have one

            # A rubric that was kept from an earlier run has been held to what lay there then.
            wheelhouse.require(self._request.exercise.path, settings.wheelhouse)
        limits = Limits(dockerfile=settings.dockerfile_limit, context=settings.context_limit)
        starter = self._request.exercise.starter
        return collect(starter, self._request.folder, settings.submit, limits=limits, name=self._request.name)

    def _parse(self) -> Dockerfile:
        return dockerfiles.parse(self.submission.get().files[DOCKERFILE].data)

    def _allowed(self) -> Dockerfile:
        """What can be judged without building is judged even if the policy forbids the build."""
        dockerfile = self.subject.dockerfile
        settings = self._settings
        policy.check(dockerfile, settings.bases, addresses=settings.remote_add, network=settings.build_network)
        return dockerfile

    def _connect(self) -> Engine:
        dockerfile = self._allowed()
        self.engine = engine = self._request.engine()
        wanted = dict.fromkeys(policy.normalise(reference) for reference, _ in dockerfile.external_images())
        self.bases = base_images.ensure(
            engine, list(wanted), stand_ins=self._request.stand_ins, progress=self._request.progress
        )
        return engine

    def _pack(self) -> Context:
        return build_context.pack(self.submission.get().files, limit=self._settings.context_limit)

    def _built(self, files: Mapping[str, File], **options: Any) -> Build:
        return self._builder.build(self._ready.get(), self.subject.dockerfile, files, **options)

    def _image(self, build: Build, dockerfile: Dockerfile) -> Image:
        from grader.engine.image import Image  # noqa: PLC0415  # see `_load_what_comes_after`

        assert build.image_id is not None  # noqa: S101  # a build without an image has raised its failure
        return Image(self._ready.get(), build.image_id, dockerfile, self._run.labels)

    def _prepare_sandbox(self) -> Sandbox:
        from grader.engine.sandbox import Sandbox  # noqa: PLC0415  # see `_load_what_comes_after`

        # Those that the Dockerfile starts from are present. Another of the exercise's may be, too, and have the Python
        # that theirs lack; it is not worth a pull.
        allowed = map(policy.normalise, self._settings.bases)
        probes = list(dict.fromkeys([*(base.reference for base in self.bases), *allowed]))
        sandbox = Sandbox(self._ready.get(), self._run.labels, probes=probes)
        sandbox.prepare()
        return sandbox

    def _app_options(self) -> AppOptions:
        app = self._settings.app
        if app is None:
            raise RubricError(
                "A check asks the running app, but the rubric has no `app:`",
                "Add `app: {port: 5000}` with the port that the app listens on.",
                where=str(self._request.exercise.rubric_path),
            )
        from grader.engine.running.app import Options as AppOptions  # noqa: PLC0415  # see `_load_what_comes_after`

        return AppOptions(
            port=app.port,
            path=app.path,
            within=app.within,
            status=app.status,
            env=app.env,
            memory=app.memory,
            internet=app.network == "internet",
        )


def _read(image: Image) -> Image:
    _ = image.files
    return image


def _startable(unread: Part[Image], read: Part[Image]) -> Image:
    """The app starts while its image is read, unless the engine would look for a user in files not yet seen."""
    image = unread.get()
    return read.get() if image.config.get("User") else image


def _faulted(make: Callable[[], Any]) -> Any:
    with judging.engine_faults():
        return make()
