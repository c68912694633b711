"""One submission -> one verdict: prepare, bases, build, start, checks, cleanup, in this order.

Nothing that goes wrong here leaves as an exception but an interruption: the verdict says what happened and whose fault
it was.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from grader import judging
from grader.errors import CleanUpInterrupted, GraderError, RubricError, UsageError
from grader.making import Maker
from grader.request import Request, Seen
from grader.result import (
    AppResult,
    BuildResult,
    CheckResult,
    EngineResult,
    GradeResult,
    ImageResult,
    Problem,
    SubmissionResult,
)
from grader.running import Interruption, Superseded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.checks.base import Check
    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.engine.running.app import App
    from grader.running import Part

__all__ = ["Request", "grade", "refused"]


def grade(request: Request) -> GradeResult:
    """The verdict on one submission.

    Raises ``UsageError`` when the folder is not there, ``RubricError`` when the exercise itself is broken, and
    KeyboardInterrupt when interrupted (Ctrl-C, SIGTERM; ``Superseded`` by ``request.stop``), with nothing left behind.
    """
    return _Grading(request).verdict()


def refused(exercise: Exercise, rubric: Rubric, name: str, error: GraderError) -> GradeResult:
    """The verdict on what could not even be opened: an archive that is broken, a repository that is not reached."""
    checks = judging.refused(rubric.checks, error)
    problem = Problem(error.what, error.where, error.fix, error.fault, error.line, error.log)
    status, score = judging.total(checks, rubric.pass_score, partial=False, problem=problem)
    return GradeResult(
        exercise=exercise.id,
        title=rubric.title,
        rubric_digest=rubric.digest,
        submission=SubmissionResult(name, None),
        status=status,
        score=score,
        max_score=judging.added(check.points for check in rubric.checks if not check.bonus),
        pass_score=rubric.pass_score,
        engine=None,
        image=None,
        phases={},
        checks=checks,
        started=_iso(datetime.now(UTC)),
        duration=0.0,
        problem=problem,
    )


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


class _Grading:
    """The state of one grading; each phase adds to it what the next one needs."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._rubric = request.rubric
        self._maker = Maker(request, fresh=os.urandom(8).hex())
        self._interruption = Interruption(request.stop)
        self._started = datetime.now(UTC)
        self._began = time.monotonic()
        self._phases: dict[str, float] = {}
        self._problem: Problem | None = None
        self._image: ImageResult | None = None
        self._app: AppResult | None = None
        self._ended = False

    def verdict(self) -> GradeResult:
        with self._interruption:
            try:
                try:
                    checks = self._work()
                    self._tell(checks)
                except Exception:
                    self._interruption.heed()
                    raise
                finally:
                    self._end()
            except KeyboardInterrupt as ended:
                self._end()
                if self._maker.left and not isinstance(ended, Superseded):
                    raise CleanUpInterrupted from ended
                raise
            finally:
                # Twice, because a signal may come in the instant before the first one is shielded.
                self._end()
        return self._result(checks)

    def _work(self) -> tuple[CheckResult, ...]:
        if self._request.stop:
            self._request.stop.arm()
        request, maker = self._request, self._maker
        found: list[tuple[CheckResult, ...]] = []
        verdicts: Iterator[tuple[CheckResult, ...]] | None = None
        if self._make():
            with self._phase("start"):
                maker.start()
                # What needs no more than the files is judged while the app starts.
                verdicts = self._verdicts(maker.checks())
                found += islice(verdicts, _readers(maker.checks()))
                maker.started()
        with self._phase("checks"):
            found += verdicts or self._verdicts(request.checks)
            self._image = self._image_result()
            self._app = self._app_result()
        return tuple(result for each in found for result in each)

    def _verdicts(self, checks: Sequence[Check]) -> Iterator[tuple[CheckResult, ...]]:
        """Those of ``checks``, until somebody interrupts."""
        return self._interruption.heeding(judging.verdicts(self._maker.subject, checks, self._request.progress))

    def _tell(self, checks: tuple[CheckResult, ...]) -> None:
        """Nothing but the clean-up is left: an interruption takes no verdict away any more."""
        seen = Seen()
        with suppress(Exception):  # it is no part of the verdict
            seen = self._maker.seen()
        self._interruption.heed()
        if self._request.judged is None:
            return
        self._interruption.shielded = True
        self._request.judged(self._result(checks), seen)

    def _end(self) -> None:
        self._interruption.shielded = True
        if not self._ended:
            with self._phase("cleanup"):
                self._maker.clean_up()
            self._ended = True

    def _make(self) -> bool:
        """Makes the image, or notes why not; the checks that need it meet the same. Whether there is one."""
        maker = self._maker
        try:
            with self._phase("prepare"):
                maker.prepare()
            with self._phase("pull"):
                maker.connect()
            with self._phase("build"):
                maker.build()
        except (UsageError, RubricError):
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, there is a verdict, and it says whose fault it was
            self._interruption.heed()
            self._note_problem(error if isinstance(error, GraderError) else judging.bug(error))
            return False
        return True

    # --- the result -------------------------------------------------------------------------------------------------

    def _note_problem(self, error: GraderError) -> None:
        self._problem = Problem(error.what, error.where, error.fix, error.fault, error.line, error.log)

    def _image_result(self) -> ImageResult | None:
        """None when there is no image, or when it could not be read; a check that needed it has said so."""
        try:
            return self._maker.subject.image.result
        except Exception:  # noqa: BLE001  # the same as its checks have met
            return None

    def _build_result(self) -> BuildResult | None:
        build, settings = self._maker.first_build, self._rubric.settings
        if build is None:
            return None
        given, secret = dict(settings.build_args), tuple(settings.build_secrets)
        return replace(build.result, args=given, secrets=secret, network=settings.build_network)

    def _app_result(self) -> AppResult | None:
        """None when nobody asked for the app, or when it had no image to run."""
        settings, part = self._rubric.settings.app, self._maker.subject.parts.app
        if settings is None or self._image is None or not part.wait(0):
            return None
        started_in, log = _told_by(part)
        return AppResult(
            port=settings.port,
            path=settings.path,
            env=dict(settings.env),
            memory=settings.memory,
            internet=settings.network == "internet",
            started_in=started_in,
            log=None if self._keeps_questions() else log,
        )

    def _keeps_questions(self) -> bool:
        """Whether a check that asks the app does not tell what: the app's log may have it."""
        asking = self._rubric.settings.checks
        return any(asking[check.id] and check.show != "full" for check in self._request.checks)

    def _result(self, checks: tuple[CheckResult, ...]) -> GradeResult:
        status, score = judging.total(
            checks, self._rubric.pass_score, partial=bool(self._request.only), problem=self._problem
        )
        submission = self._maker.submission.made
        name = self._request.name or self._request.folder.resolve().name
        return GradeResult(
            exercise=self._request.exercise.id,
            title=self._rubric.title,
            rubric_digest=self._rubric.digest,
            submission=SubmissionResult(name, submission.digest if submission else None),
            status=status,
            score=score,
            max_score=judging.added(check.points for check in self._request.checks if not check.bonus),
            pass_score=self._rubric.pass_score,
            engine=self._engine_result(),
            image=self._image,
            phases={name: round(seconds, 4) for name, seconds in self._phases.items()},
            checks=checks,
            started=_iso(self._started),
            duration=round(time.monotonic() - self._began, 4),
            problem=self._problem,
            notes=(*self._maker.notes, *self._selection_note(), *self._ignored_note()),
            build=self._build_result(),
            app=self._app,
        )

    def _engine_result(self) -> EngineResult | None:
        engine = self._maker.engine
        if engine is None:
            return None
        stand_ins = tuple(base.reference for base in self._maker.bases if base.stand_in)
        return replace(engine.result, stand_ins=stand_ins, missing_fences=self._maker.missing_fences)

    def _selection_note(self) -> Iterator[str]:
        if self._request.only:
            yield f"Only a selection of the checks was run: {', '.join(check.id for check in self._request.checks)}"

    def _ignored_note(self) -> Iterator[str]:
        submission = self._maker.submission.made
        ignored = submission.ignored if submission else ()
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


def _readers(checks: Sequence[Check]) -> int:
    """How many of the checks that come first need no app."""
    return sum(1 for _ in takewhile(lambda check: check.only_reads() and not check.target, checks))


def _told_by(part: Part[App]) -> tuple[float | None, tuple[str, ...]]:
    """Seconds that the app took to become ready, None when it did not, and its last log lines."""
    try:
        app = part.get()
        return round(app.started_in, 4), app.log()
    except GraderError as error:
        return None, error.log
    except Exception:  # noqa: BLE001  # the same as the app's checks have met
        return None, ()
