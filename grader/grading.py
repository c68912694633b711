"""One submission -> one verdict: prepare, bases, build, start, checks, cleanup, in this order.

Nothing that goes wrong here leaves as an exception but an interruption: the verdict says what happened and whose fault
it was.
"""

from __future__ import annotations

import secrets
import time
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from grader import judging
from grader.checks.subject import Subject, wait
from grader.engine import bases as base_images
from grader.engine import build as building
from grader.engine import frontend, leftovers
from grader.engine.app import Options as AppOptions
from grader.engine.image import Image
from grader.engine.sandbox import Sandbox
from grader.errors import GraderError, RubricError, UsageError
from grader.result import (
    CheckResult,
    EngineResult,
    GradeResult,
    ImageResult,
    Problem,
    Progress,
    ProgressEvent,
    SubmissionResult,
    silent,
)
from grader.running import Background, Interruption
from grader.submission import context as build_context
from grader.submission import dockerfile as dockerfiles
from grader.submission import policy
from grader.submission.files import File, Limits, Submission, collect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from grader.checks.base import Check
    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.engine.connect import Engine
    from grader.submission.dockerfile import Dockerfile

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """What is to be graded.

    ``engine`` is called when an engine is first needed, so that a Dockerfile that cannot be read costs no engine.
    ``only`` names the checks to run, all when empty; ``stand_ins`` says that the user agreed to base images built from
    Debian packages where no registry is reached.
    """

    exercise: Exercise
    rubric: Rubric
    folder: Path
    engine: Callable[[], Engine]
    name: str | None = None
    only: Sequence[str] = ()
    stand_ins: bool = False
    progress: Progress = field(default=silent, repr=False)


def grade(request: Request) -> GradeResult:
    """The verdict on one submission.

    Raises ``UsageError`` when the folder is not there, ``RubricError`` when the exercise itself is broken, and
    KeyboardInterrupt when interrupted (Ctrl-C, SIGTERM), with nothing left behind.
    """
    return _Grading(request).verdict()


class _Grading:
    """The state of one grading; each phase adds to it what the next one needs."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._rubric = request.rubric
        self._run = leftovers.Run.new()
        self._started = datetime.now(UTC)
        self._began = time.monotonic()
        self._phases: dict[str, float] = {}
        self._engine: Engine | None = None
        self._sandbox: Sandbox | None = None
        self._submission: Submission | None = None
        self._bases: tuple[base_images.Base, ...] = ()
        self._subject = Subject(secrets.token_hex(8))
        self._problem: Problem | None = None
        self._image: ImageResult | None = None
        self._notes: list[str] = []
        self._background = Background()
        self._ended = False
        self._prepared: Future[None] = Future()

    def verdict(self) -> GradeResult:
        with Interruption() as interruption:
            try:
                try:
                    checks = self._work()
                finally:
                    self._end(interruption)
            finally:
                # Twice, because a signal may come in the instant before the first one is shielded.
                self._end(interruption)
        return self._result(checks)

    def _work(self) -> tuple[CheckResult, ...]:
        self._make_image()
        self._make_parts()
        with self._phase("checks"):
            checks = judging.judge(self._subject, self._chosen(), self._request.progress)
            self._image = self._image_result()
        return checks

    def _end(self, interruption: Interruption) -> None:
        interruption.shielded = True
        if not self._ended:
            with self._phase("cleanup"):
                self._clean_up()
            self._ended = True

    # --- phases -----------------------------------------------------------------------------------------------------

    def _make_image(self) -> None:
        """Fills the Dockerfile, the build and the image into the subject, or why there is none."""
        subject = self._subject
        try:
            with self._phase("prepare"):
                dockerfile, files = self._prepare()
            with self._phase("pull"), judging.engine_faults():
                engine = self._connect(dockerfile)
            with self._phase("build"), judging.engine_faults():
                self._build(engine, dockerfile, files)
        except (UsageError, RubricError):
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, there is a verdict, and it says whose fault it was
            told = error if isinstance(error, GraderError) else judging.bug(error)
            self._note_problem(told)
            for part in (subject._dockerfile, subject._build, subject._image, subject._app):  # noqa: SLF001
                if not part.done():
                    part.set_exception(told)

    def _prepare(self) -> tuple[Dockerfile, dict[str, File]]:
        rubric = self._rubric
        limits = Limits(dockerfile=rubric.limits.dockerfile, context=rubric.limits.context)
        starter = self._request.exercise.starter
        self._submission = collect(starter, self._request.folder, rubric.submit, limits=limits, name=self._request.name)
        files = dict(self._submission.files)
        dockerfile = dockerfiles.parse(files[_DOCKERFILE].data)
        # What can be judged without building is judged even if the policy forbids the build.
        self._subject._dockerfile.set_result(dockerfile)  # noqa: SLF001
        policy.check(dockerfile, rubric.bases)
        return dockerfile, files

    def _connect(self, dockerfile: Dockerfile) -> Engine:
        """The engine, with the base images present that this Dockerfile asks for."""
        self._engine = engine = self._request.engine()
        wanted = dict.fromkeys(policy.normalise(reference) for reference, _ in dockerfile.external_images())
        self._bases = base_images.ensure(
            engine, list(wanted), stand_ins=self._request.stand_ins, progress=self._request.progress
        )
        return engine

    def _build(self, engine: Engine, dockerfile: Dockerfile, files: dict[str, File]) -> None:
        progress = self._request.progress
        written = files[_DOCKERFILE]
        sent = replace(written, data=frontend.prepare(engine, dockerfile, written.data, progress=progress))
        context = build_context.pack(files | {_DOCKERFILE: sent}, limit=self._rubric.limits.context)
        self._sandbox = Sandbox(engine, self._run.labels, probes=[base.reference for base in self._bases])
        if self._wants_app():
            self._fill(self._prepared, self._sandbox.prepare)
        options = building.Options(timeout=self._rubric.build.timeout, labels=self._run.labels)
        build = building.build(engine, context, dockerfile, options, progress=progress)
        if build.failure is not None:
            raise build.failure
        assert build.image_id is not None  # noqa: S101  # the type says: exactly one of the two
        self._subject._build.set_result(build)  # noqa: SLF001
        self._image_object = Image(engine, build.image_id, dockerfile, self._run.labels)

    def _make_parts(self) -> None:
        """Reads the image and starts the app side by side."""
        subject = self._subject
        if subject._image.done():  # noqa: SLF001
            return
        self._fill(subject._image, self._read_image)  # noqa: SLF001
        if self._wants_app():
            with self._phase("start"):
                self._fill(subject._app, self._start_app)  # noqa: SLF001
                wait(subject._app)  # noqa: SLF001
        else:
            message = "A check asks for the running app, but its type does not say so in `needs`"
            subject._app.set_exception(RubricError(message, "Add `app` to the `needs` of the check type."))  # noqa: SLF001

    def _fill(self, part: Future[T], make: Callable[[], T]) -> None:
        def work() -> None:
            try:
                with judging.engine_faults():
                    made = make()
            except BaseException as error:  # noqa: BLE001  # whoever asks for the part gets it
                part.set_exception(error)
            else:
                part.set_result(made)

        self._background.start(work)

    def _read_image(self) -> Image:
        image = self._image_object
        _ = image.files
        return image

    def _start_app(self) -> Any:
        app = self._rubric.app
        assert app is not None and self._sandbox is not None  # noqa: S101, PT018  # the rubric was checked for it
        options = AppOptions(
            port=app.port,
            path=app.ready.path,
            within=app.ready.within,
            status=app.ready.status,
            env=app.env,
            memory=app.memory,
            internet=app.network == "internet",
        )
        if self._image_object.config.get("User"):
            self._subject.image.check_accounts()
        # Two at a time would start two probes; if it failed, `start` tries once more and tells why.
        wait(self._prepared)
        return self._sandbox.start(self._image_object.id, options, progress=self._request.progress)

    def _wants_app(self) -> bool:
        return any("app" in check.needs for check in self._chosen())

    def _clean_up(self) -> None:
        """Removes containers and image; twice, because a thread that still works may make one more before it ends."""
        if self._engine is None:
            return
        self._request.progress(ProgressEvent("cleanup", "removing containers and image", detail=True))
        if self._sandbox:
            self._sandbox.close()
        if self._background.busy():
            leftovers.remove(self._engine, self._run)
            self._background.join(_PATIENCE)
        if self._sandbox:
            self._sandbox.close()
            self._notes.extend(self._sandbox.notes)
        leftovers.remove(self._engine, self._run)

    def _chosen(self) -> tuple[Check, ...]:
        only = self._request.only
        return tuple(check for check in self._rubric.checks if not only or check.id in only)

    # --- the result -------------------------------------------------------------------------------------------------

    def _note_problem(self, error: GraderError) -> None:
        self._problem = Problem(error.what, error.where, error.fix, error.fault, error.line, error.log)

    def _image_result(self) -> ImageResult | None:
        """None when there is no image, or when it could not be read; a check that needed it has said so."""
        try:
            return self._subject.image.result
        except Exception:  # noqa: BLE001  # the same as its checks have met
            return None

    def _result(self, checks: tuple[CheckResult, ...]) -> GradeResult:
        status, score = judging.total(
            checks, self._rubric.pass_score, partial=bool(self._request.only), problem=self._problem
        )
        submission = self._submission
        name = self._request.name or self._request.folder.resolve().name
        return GradeResult(
            exercise=self._request.exercise.id,
            title=self._rubric.title,
            rubric_digest=self._rubric.digest,
            submission=SubmissionResult(name, submission.digest if submission else None),
            status=status,
            score=score,
            max_score=judging.added(check.points for check in self._chosen()),
            pass_score=self._rubric.pass_score,
            engine=self._engine_result(),
            image=self._image,
            phases={name: round(seconds, 4) for name, seconds in self._phases.items()},
            checks=checks,
            started=self._started.isoformat(timespec="seconds").replace("+00:00", "Z"),
            duration=round(time.monotonic() - self._began, 4),
            problem=self._problem,
            notes=(*self._notes, *self._selection_note(), *self._ignored_note()),
        )

    def _engine_result(self) -> EngineResult | None:
        if self._engine is None:
            return None
        stand_ins = tuple(base.reference for base in self._bases if base.stand_in)
        return replace(self._engine.result, stand_ins=stand_ins)

    def _selection_note(self) -> Iterator[str]:
        if self._request.only:
            yield f"Only a selection of the checks was run: {', '.join(check.id for check in self._chosen())}"

    def _ignored_note(self) -> Iterator[str]:
        ignored = self._submission.ignored if self._submission else ()
        if ignored:
            names = ", ".join(ignored[:5]) + (" and more" if len(ignored) > 5 else "")
            yield f"Taken from the exercise instead of the submission, or not needed: {names}"

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._phases[name] = time.monotonic() - began


_DOCKERFILE = "Dockerfile"
#: Seconds that a thread has to notice that what it waited for is gone.
_PATIENCE = 5.0
