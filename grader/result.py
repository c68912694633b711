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
class ImageResult:
    """The image that was graded. ``base_size`` is the part of ``size`` that came from the base image."""

    id: str
    size: int
    base_size: int
    wasted: int
    layers: tuple[LayerResult, ...] = ()


@dataclass(frozen=True)
class EngineResult:
    """The engine that built and ran the image, and the base images that were stand-ins for the real ones."""

    name: str
    version: str
    platform: str
    stand_ins: tuple[str, ...] = ()


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

    ``max_score`` is without the bonus points, which a score may go beyond it with.
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
