"""One submission -> one verdict: prepare, bases, build, start, checks, cleanup, in this order.

Nothing that goes wrong here leaves as an exception but an interruption: the verdict says what happened and whose fault
it was.
"""

from __future__ import annotations

import secrets
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from grader.checks.subject import Subject
from grader.engine import bases as base_images
from grader.engine import build as building
from grader.engine import frontend, leftovers
from grader.engine.image import Image
from grader.engine.sandbox import Options as AppOptions
from grader.engine.sandbox import Sandbox
from grader.errors import EngineError, GraderError, RubricError, SubmissionError
from grader.result import (
    CheckResult,
    EngineResult,
    Fault,
    GradeResult,
    ImageResult,
    Problem,
    Progress,
    ProgressEvent,
    Status,
    SubmissionResult,
    silent,
)
from grader.submission import context as build_context
from grader.submission import dockerfile as dockerfiles
from grader.submission import policy
from grader.submission.files import File, Limits, Submission, collect

if TYPE_CHECKING:
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

    Raises ``UsageError`` when the folder is not there, and KeyboardInterrupt when interrupted, with nothing left behind.
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

    def verdict(self) -> GradeResult:
        pool = ThreadPoolExecutor(3, "grading")
        try:
            self._make_image(pool)
            self._make_parts(pool)
            with self._phase("checks"):
                checks = self._judge()
                self._image = self._image_result()
        finally:
            with self._phase("cleanup"), _uninterrupted():
                self._clean_up()
                pool.shutdown(cancel_futures=True)
        return self._result(checks)

    # --- phases -----------------------------------------------------------------------------------------------------

    def _make_image(self, pool: ThreadPoolExecutor) -> None:
        """Fills the Dockerfile, the build and the image into the subject, or why there is none."""
        subject = self._subject
        try:
            with self._phase("prepare"):
                dockerfile, files = self._prepare()
            with self._phase("pull"):
                engine = self._connect(dockerfile)
            with self._phase("build"):
                self._build(engine, dockerfile, files, pool)
        except GraderError as error:
            if isinstance(error, (SubmissionError, EngineError)):
                self._note_problem(error)
                for part in (subject._dockerfile, subject._build, subject._image, subject._app):  # noqa: SLF001
                    if not part.done():
                        part.set_exception(error)
            else:
                raise

    def _prepare(self) -> tuple[Dockerfile, dict[str, File]]:
        rubric = self._rubric
        limits = Limits(dockerfile=rubric.limits.dockerfile, context=rubric.limits.context)
        starter = self._request.exercise.starter
        self._submission = collect(
            starter, self._request.folder, rubric.submit, limits=limits, name=self._request.name
        )
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

    def _build(self, engine: Engine, dockerfile: Dockerfile, files: dict[str, File], pool: ThreadPoolExecutor) -> None:
        progress = self._request.progress
        written = files[_DOCKERFILE]
        sent = replace(written, data=frontend.prepare(engine, dockerfile, written.data, progress=progress))
        context = build_context.pack(files | {_DOCKERFILE: sent}, limit=self._rubric.limits.context)
        self._sandbox = Sandbox(engine, self._run.labels, probes=[base.reference for base in self._bases])
        if self._wants_app():
            pool.submit(self._sandbox.prepare)
        options = building.Options(timeout=self._rubric.build.timeout, labels=self._run.labels)
        build = building.build(engine, context, dockerfile, options, progress=progress)
        if build.failure is not None:
            raise build.failure
        assert build.image_id is not None  # noqa: S101  # the type says: exactly one of the two
        self._subject._build.set_result(build)  # noqa: SLF001
        self._image_object = Image(engine, build.image_id, dockerfile, self._run.labels)

    def _make_parts(self, pool: ThreadPoolExecutor) -> None:
        """Reads the image and starts the app side by side."""
        subject = self._subject
        if subject._image.done():  # noqa: SLF001
            return
        _fill(subject._image, pool, self._read_image)  # noqa: SLF001
        if self._wants_app():
            with self._phase("start"):
                _fill(subject._app, pool, self._start_app)  # noqa: SLF001
                _wait(subject._app)  # noqa: SLF001

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
        return self._sandbox.start(self._image_object.id, options, progress=self._request.progress)

    def _wants_app(self) -> bool:
        return any("app" in check.needs for check in self._chosen())

    def _clean_up(self) -> None:
        if self._engine is None:
            return
        self._request.progress(ProgressEvent("cleanup", "removing containers and image", detail=True))
        if self._sandbox:
            self._notes.extend(self._sandbox.notes)
            self._sandbox.close()
        leftovers.remove(self._engine, self._run)

    # --- judging ----------------------------------------------------------------------------------------------------

    def _chosen(self) -> tuple[Check, ...]:
        only = self._request.only
        return tuple(check for check in self._rubric.checks if not only or check.id in only)

    def _judge(self) -> tuple[CheckResult, ...]:
        results: list[CheckResult] = []
        blocked_by = ""
        reported: dict[int, str] = {}
        for check in self._chosen():
            if blocked_by:
                result = _skipped(check, blocked_by)
            else:
                self._request.progress(ProgressEvent("checks", check.title or check.id, detail=True))
                result = self._run_check(check, reported)
                if check.required and result.status is Status.FAILED:
                    blocked_by = check.id
            results.append(result)
        return tuple(results)

    def _run_check(self, check: Check, reported: dict[int, str]) -> CheckResult:
        """``reported``: a submission's error is told by the first check that meets it; the others are skipped."""
        began = time.monotonic()
        try:
            outcome = check.run(self._subject)
        except SubmissionError as error:
            first = reported.setdefault(id(error), check.id)
            if first != check.id:
                return _skipped(check, first)
            return replace(_failed_by(check, error), duration=time.monotonic() - began)
        except GraderError as error:
            return replace(_error(check, error.fault, error.what, error.fix), duration=time.monotonic() - began)
        except Exception as error:  # noqa: BLE001  # a bug of ours must never cost a learner points
            bug = f"{type(error).__name__}: {error} (a bug in the grader; please report it)"
            result = _error(check, Fault.INFRASTRUCTURE, bug, "")
            return replace(result, evidence={"traceback": traceback.format_exc()}, duration=time.monotonic() - began)
        failed = outcome.status is Status.FAILED
        return CheckResult(
            **_told(check),
            status=outcome.status,
            fault=Fault.LEARNER if failed else None,
            score=0.0 if failed else check.points,
            expected=outcome.expected,
            got=outcome.got,
            line=outcome.line,
            evidence=outcome.evidence,
            duration=time.monotonic() - began,
        )

    # --- the result -------------------------------------------------------------------------------------------------

    def _note_problem(self, error: GraderError) -> None:
        self._problem = Problem(error.what, error.where, error.fix, error.fault, error.line, error.log)

    def _image_result(self) -> ImageResult | None:
        """None when there is no image, or when it could not be read; a check that needed it has said so."""
        try:
            return self._subject.image.result
        except (SubmissionError, EngineError):
            return None

    def _result(self, checks: tuple[CheckResult, ...]) -> GradeResult:
        status, score = _total(checks, self._rubric.pass_score, partial=bool(self._request.only), problem=self._problem)
        submission = self._submission
        name = self._request.name or self._request.folder.resolve().name
        return GradeResult(
            exercise=self._request.exercise.id,
            title=self._rubric.title,
            rubric_digest=self._rubric.digest,
            submission=SubmissionResult(name, submission.digest if submission else None),
            status=status,
            score=score,
            max_score=sum(check.points for check in self._chosen()),
            pass_score=self._rubric.pass_score,
            engine=self._engine_result(),
            image=self._image,
            phases={name: round(seconds, 4) for name, seconds in self._phases.items()},
            checks=checks,
            started=self._started.isoformat(timespec="seconds").replace("+00:00", "Z"),
            duration=round(time.monotonic() - self._began, 4),
            problem=self._problem,
            notes=tuple([*self._notes, *self._ignored_note()]),
        )

    def _engine_result(self) -> EngineResult | None:
        if self._engine is None:
            return None
        stand_ins = tuple(base.reference for base in self._bases if base.stand_in)
        return replace(self._engine.result, stand_ins=stand_ins)

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


def _fill(part: Future[T], pool: ThreadPoolExecutor, make: Callable[[], T]) -> None:
    def work() -> None:
        try:
            part.set_result(make())
        except BaseException as error:  # noqa: BLE001  # whoever asks for the part gets it
            part.set_exception(error)

    pool.submit(work)


def _wait(part: Future[Any]) -> None:
    """Until it is there, in slices: on Windows a bare wait cannot be interrupted."""
    while not part.done():
        try:
            part.exception(timeout=0.2)
        except TimeoutError:
            continue


def _told(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "check": check.check,
        "title": check.title or check.id,
        "max_score": check.points,
        "required": check.required,
        "why": check.why,
        "hints": check.hints,
    }


def _skipped(check: Check, blocker: str) -> CheckResult:
    return CheckResult(
        **_told(check),
        status=Status.SKIPPED,
        fault=None,
        score=0.0,
        expected=check.expectation(),
        got=f"not judged, because “{blocker}” failed",
        evidence={"blocked_by": blocker},
    )


def _failed_by(check: Check, error: SubmissionError) -> CheckResult:
    evidence: Mapping[str, Any] = {"where": error.where, "fix": error.fix, "log": list(error.log)}
    return CheckResult(
        **_told(check),
        status=Status.FAILED,
        fault=Fault.LEARNER,
        score=0.0,
        expected=check.expectation(),
        got=error.what,
        line=error.line,
        evidence=evidence,
    )


def _error(check: Check, fault: Fault, got: str, fix: str) -> CheckResult:
    return CheckResult(
        **_told(check),
        status=Status.ERROR,
        fault=fault,
        score=None,
        expected=check.expectation(),
        got=got,
        evidence={"fix": fix},
    )


def _total(
    checks: Sequence[CheckResult], pass_score: float, *, partial: bool, problem: Problem | None
) -> tuple[Status, float | None]:
    """Status and score. With a selection of checks (``partial``) passing means that all of them did."""
    if any(check.status is Status.ERROR for check in checks) or (problem and problem.fault is not Fault.LEARNER):
        return Status.ERROR, None
    score = sum(check.score or 0.0 for check in checks)
    if partial:
        good = all(check.status is Status.PASSED for check in checks)
    else:
        good = score >= pass_score and not any(c.required and c.status is not Status.PASSED for c in checks)
    return (Status.PASSED if good else Status.FAILED), score


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Lets the clean-up finish: a second Ctrl-C would leave containers behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
