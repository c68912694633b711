"""One submission of many: its digest before it is graded, and its verdict."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grader import grading, judging
from grader.bulk.handed import opened
from grader.bulk.space import Space
from grader.checks import types
from grader.course import rubric as rubrics
from grader.course.exercise import find_course, resolve
from grader.engine import connect, unfenced
from grader.errors import EngineError, GraderError, SubmissionError
from grader.submission.collect import collect
from grader.submission.files import DOCKERFILE, Limits

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from grader.bulk.learner import Handed
    from grader.bulk.pool import Job, Setting
    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.engine.connect import Engine
    from grader.submission.files import Submission


@dataclass(frozen=True)
class Fingerprint:
    """What tells two submissions apart, and what finds those that resemble each other.

    ``digest`` is ``sha256:`` over the files that are graded, as in a result. Of what is refused it is over the words of
    the refusal: it is refused alike, whoever handed it in. ``shape`` is the same for Dockerfiles that differ in their
    comments, blanks and letter case alone; empty when there is none.
    """

    digest: str
    shape: str


def fingerprint(exercise: Exercise, rubric: Rubric, handed: Handed) -> Fingerprint:
    """Reads a submission. Raises what is not the learner's to mend, such as a repository that is not reached."""
    try:
        found = collected(exercise, rubric, handed)
    except SubmissionError as error:
        return Fingerprint(f"refused:{hashlib.sha256(f'{error.what} {error.fix}'.encode()).hexdigest()}", "")
    return Fingerprint(found.digest, _shape(found.files[DOCKERFILE].data) if DOCKERFILE in found.taken else "")


def collected(exercise: Exercise, rubric: Rubric, handed: Handed) -> Submission:
    """The files that are graded. Raises ``SubmissionError`` for what the learner has to mend, and what else is not."""
    settings = rubric.settings
    limits = Limits(dockerfile=settings.dockerfile_limit, context=settings.context_limit)
    with opened(handed) as folder:
        return collect(exercise.starter, folder, settings.submit, limits=limits)


def _shape(dockerfile: bytes) -> str:
    lines = (line for line in dockerfile.splitlines() if not line.lstrip().startswith(b"#"))
    words = b"\n".join(lines).replace(b"\\\n", b" ").lower().split()
    return hashlib.sha256(b" ".join(words)).hexdigest()


def _anywhere(result: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Without the folder's own place: who shares the verdict had it elsewhere, and learners are not told of it."""
    for told in (result["problem"], *(check["evidence"] for check in result["checks"])):
        if told and str(told.get("where", "")).startswith(str(folder)):
            told["where"] = told["where"].removeprefix(str(folder)).lstrip("/\\") or "the submission"
    return result


class Grader:
    """Grades what it is handed, with one rubric and one engine. Lives in a worker."""

    def __init__(self, setting: Setting) -> None:
        """Connects when the first submission needs it."""
        self._setting = setting
        exercise = setting.exercise
        self._exercise = resolve(find_course(exercise.parent), exercise.name)
        self._rubric = rubrics.load(self._exercise.rubric_path, types())
        self._engine: Engine | None = None
        self._space: Space | None = None

    def grade(self, job: Job) -> dict[str, Any]:
        """The verdict as a ``grader.result/1`` object; whatever goes wrong is in it."""
        return self._told(job.name, opened(job.handed))

    def grade_folder(self, name: str, folder: Path) -> dict[str, Any]:
        """The same for the very folder that holds the files, on an engine whose disk nobody else looks at."""
        try:
            full = self._spacious().trouble()
        except GraderError:
            full = ""  # the grading meets the same, and tells it
        if full:
            error = EngineError(f"Not graded: {full}", "Make room there.")
            return grading.refused(self._exercise, self._rubric, name, error).to_json()
        return self._told(name, nullcontext(folder))

    def _spacious(self) -> Space:
        engine = self._connected()
        if self._space is None or self._space.engine is not engine:
            self._space = Space(engine, self._setting.bounds.bound)
        return self._space

    def _told(self, name: str, place: AbstractContextManager[Path]) -> dict[str, Any]:
        try:
            with place as folder:
                request = grading.Request(
                    self._exercise,
                    self._rubric,
                    folder,
                    engine=self._connected,
                    name=name,
                    stand_ins=self._setting.bounds.stand_ins,
                )
                return _anywhere(grading.grade(request).to_json(), folder)
        except GraderError as error:
            return grading.refused(self._exercise, self._rubric, name, error).to_json()
        except Exception as error:  # noqa: BLE001  # a bug of ours is a verdict of its own, and the run goes on
            return grading.refused(self._exercise, self._rubric, name, judging.bug(error)).to_json()

    def _connected(self) -> Engine:
        """The engine; another connection to it when the last one has failed."""
        if self._engine is not None:
            try:
                self._engine.client.ping()
            except OSError:
                self._engine = None
        if self._engine is None:
            found = connect.connect()
            if self._setting.bounds.fenced:
                # It may be another one than when the run began.
                unfenced.require(found)
            self._engine = found
        return self._engine
