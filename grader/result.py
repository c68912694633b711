"""The words that every part of the grader speaks. Imports nothing of ours.

The JSON form (``grader.result/1``) is what ``GradeResult.to_json`` returns; its keys are stable. Sizes are bytes of
uncompressed content, durations are seconds, times are UTC in ISO 8601.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

SCHEMA = "grader.result/1"


class Status(StrEnum):
    """How a check, or a whole grading, ended. A grading is never ``skipped``."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"


class Fault(StrEnum):
    """Who has to act. Only a learner's fault may cost a learner points."""

    LEARNER = "learner"
    AUTHOR = "author"
    INFRASTRUCTURE = "infrastructure"


@dataclass(frozen=True)
class ProgressEvent:
    """Something a waiting person may want to see.

    ``phase`` is one of ``engine``, ``bases``, ``prepare``, ``build``, ``start``, ``checks``, ``cleanup``.
    ``detail`` events replace one another on a live display; the others stay. ``step`` names the step of a build that
    runs (``detail``) or has ended, and ``log`` is the last line that it wrote.
    """

    phase: str
    text: str
    detail: bool = False
    step: str = ""
    log: str = ""


Progress = Callable[[ProgressEvent], None]


def silent(_event: ProgressEvent) -> None:
    """The progress of somebody who does not want any."""


@dataclass(frozen=True)
class CheckResult:
    """The verdict on one check. ``score`` is None when it could not be judged through a fault of ours.

    The points of a ``bonus`` come on top of the full score. ``status`` is ``failed`` with a score of more than nothing
    where a rubric gives points for half the way.
    """

    id: str
    check: str
    title: str
    status: Status
    fault: Fault | None
    score: float | None
    max_score: float
    required: bool = False
    bonus: bool = False
    expected: str = ""
    got: str = ""
    why: str = ""
    hints: tuple[str, ...] = ()
    line: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    duration: float = 0.0


@dataclass(frozen=True)
class LayerResult:
    """One layer that the learner's Dockerfile added; ``line`` is None when it cannot be told."""

    line: int | None
    instruction: str
    size: int
    wasted: int


@dataclass(frozen=True)
class WasteResult:
    """A file that ships in vain: ``added_line`` brought its bytes, ``hidden_line`` deleted or overwrote it.

    A line is None when it cannot be told.
    """

    path: str
    size: int
    added_line: int | None
    hidden_line: int | None


@dataclass(frozen=True)
class ImageResult:
    """The image that was graded. ``base_size`` is the part of ``size`` that came from the base image.

    ``base`` is that image's reference, or ``scratch``, and ``base_line`` the line of the FROM that names it. ``waste``
    has the largest files that make up ``wasted``, largest first, at most 20.
    """

    id: str
    size: int
    base_size: int
    wasted: int
    layers: tuple[LayerResult, ...] = ()
    base: str = ""
    base_line: int | None = None
    waste: tuple[WasteResult, ...] = ()


@dataclass(frozen=True)
class StepResult:
    """One step of a build, as the engine's own trace tells it.

    ``line`` is None where no line asked for it (``exporting to image``). ``started`` is seconds after the first step's
    start; it and ``duration`` are None on an engine that does not tell, and so is ``cached``. ``log`` is the end of
    what the step printed: at most 20 lines and 16 000 characters, and 256 000 in all steps together.
    """

    line: int | None
    instruction: str
    stage: str
    cached: bool | None
    started: float | None
    duration: float | None
    exit_code: int | None
    error: str
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuildResult:
    """The build, one that failed included; its steps in the order in which the engine met them.

    ``args`` and ``secrets`` (their ids alone) are what the rubric gives it, as it writes them: ``{fresh}`` stands for a
    random value of each run. ``network`` says whether RUN steps had one.
    """

    duration: float
    steps: tuple[StepResult, ...]
    args: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    network: bool = True


@dataclass(frozen=True)
class AppResult:
    """How the app was run, by the rubric, and what came of it. ``memory`` is bytes, ``path`` tells when it is ready.

    ``started_in`` is seconds from its start until it was ready, None when it never was. ``log`` is the end of what it
    printed: at most 20 lines and 16 000 bytes; None where a check keeps to itself what it asks an app, for it stands
    there too.
    """

    port: int
    path: str
    env: Mapping[str, str]
    memory: int
    internet: bool
    started_in: float | None
    log: tuple[str, ...] | None


@dataclass(frozen=True)
class EngineResult:
    """The engine that built and ran the image, and the base images that were stand-ins for the real ones.

    ``missing_fences`` are names of what bounds builds on the grader's own engine and does not on this one.
    """

    name: str
    version: str
    platform: str
    stand_ins: tuple[str, ...] = ()
    missing_fences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """Why a submission could not be graded to the end: what, where, how to mend it, and whose fault it is."""

    what: str
    where: str
    fix: str
    fault: Fault
    line: int | None = None
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class SubmissionResult:
    """What was handed in; the digest is None when it could not be read."""

    name: str
    digest: str | None


@dataclass(frozen=True)
class GradeResult:
    """The verdict on one submission. ``score`` is None exactly when ``status`` is ``error``.

    ``max_score`` is without the bonus points, which a score may go beyond it with. ``build`` is None when none was
    begun or the engine went away in it, ``app`` when no check asks a running app or there was no image to run.
    ``hints_used`` counts the hints that the learner took, by the ids of checks; gradings that know of none (bulk, CI)
    have none.
    """

    exercise: str
    title: str
    rubric_digest: str
    submission: SubmissionResult
    status: Status
    score: float | None
    max_score: float
    pass_score: float
    engine: EngineResult | None
    image: ImageResult | None
    phases: Mapping[str, float]
    checks: tuple[CheckResult, ...]
    started: str
    duration: float
    problem: Problem | None = None
    notes: tuple[str, ...] = ()
    build: BuildResult | None = None
    app: AppResult | None = None
    hints_used: Mapping[str, int] = field(default_factory=dict)

    @property
    def fault(self) -> Fault | None:
        """Who has to act when this is not a pass: infrastructure before author before learner."""
        if self.status is Status.PASSED:
            return None
        faults = {check.fault for check in self.checks} | ({self.problem.fault} if self.problem else set())
        return next((f for f in (Fault.INFRASTRUCTURE, Fault.AUTHOR, Fault.LEARNER) if f in faults), Fault.LEARNER)

    def to_json(self) -> dict[str, Any]:
        """The ``grader.result/1`` object, made of dicts, lists, strings, numbers and None only."""
        content = asdict(self)
        for told in (content, *content["checks"]):
            told.update({key: _number(told[key]) for key in ("score", "max_score", "pass_score") if key in told})
        return {"schema": SCHEMA} | content


def _number(points: float | None) -> float | None:
    """Whole points without a fraction: 95, not 95.0."""
    return int(points) if points is not None and float(points).is_integer() else points
