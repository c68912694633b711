"""Checks -> their verdicts, and what they come to together."""

from __future__ import annotations

import math
import time
import traceback
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grader.errors import EngineError, GraderError, SubmissionError
from grader.result import CheckResult, Fault, Problem, Progress, ProgressEvent, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from grader.checks.base import Check
    from grader.checks.subject import Subject


def judge(subject: Subject, chosen: Sequence[Check], progress: Progress) -> tuple[CheckResult, ...]:
    """The verdict of each check, in their order.

    What comes after a failed ``required`` check is skipped. A submission's error that several checks meet is told by
    the first of them; the others are skipped and name it.
    """
    results: list[CheckResult] = []
    blocked_by = ""
    reported: dict[int, str] = {}
    for check in chosen:
        if blocked_by:
            result = _skipped(check, blocked_by)
        else:
            progress(ProgressEvent("checks", check.title or check.id, detail=True))
            began = time.monotonic()
            result = replace(_run_check(check, subject, reported), duration=round(time.monotonic() - began, 4))
            if check.required and result.status is Status.FAILED:
                blocked_by = check.id
        results.append(result)
    return tuple(results)


def _run_check(check: Check, subject: Subject, reported: dict[int, str]) -> CheckResult:
    try:
        with engine_faults():
            outcome = check.run(subject)
    except SubmissionError as error:
        first = reported.setdefault(id(error), check.id)
        return _skipped(check, first) if first != check.id else _failed_by(check, error)
    except GraderError as error:
        return _error(check, error)
    except Exception as error:  # noqa: BLE001  # a bug of ours must never cost a learner points
        result = _error(check, bug(error))
        return replace(result, evidence={**result.evidence, "traceback": traceback.format_exc()})
    failed = outcome.status is Status.FAILED
    return CheckResult(
        **_told(check),
        status=outcome.status,
        fault=Fault.LEARNER if failed else None,
        score=0.0 if failed else check.points,
        expected=outcome.expected or check.expectation(),
        got=outcome.got,
        line=outcome.line,
        evidence=outcome.evidence,
    )


def _told(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "check": check.check,
        "title": check.title or check.id,
        "max_score": check.points,
        "required": check.required,
        "why": check.why or check.reason,
        "hints": check.hints or ((check.advice,) if check.advice else ()),
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


def _error(check: Check, error: GraderError) -> CheckResult:
    return CheckResult(
        **_told(check),
        status=Status.ERROR,
        fault=error.fault,
        score=None,
        expected=check.expectation(),
        got=error.what,
        evidence={"where": error.where, "fix": error.fix, "log": list(error.log)},
    )


def total(
    checks: Sequence[CheckResult], pass_score: float, *, partial: bool, problem: Problem | None
) -> tuple[Status, float | None]:
    """Status and score. With a selection of checks (``partial``) passing means that all of them did.

    A submission that could not be built does not pass, even where the rubric asks for nothing that needs an image.
    """
    if any(check.status is Status.ERROR for check in checks) or (problem and problem.fault is not Fault.LEARNER):
        return Status.ERROR, None
    score = added(check.score or 0.0 for check in checks)
    if problem:
        good = False
    elif partial:
        good = all(check.status is Status.PASSED for check in checks)
    else:
        good = score >= pass_score and not any(c.required and c.status is not Status.PASSED for c in checks)
    return (Status.PASSED if good else Status.FAILED), score


def added(points: Iterable[float]) -> float:
    """The sum as a person would write it: 0.7 and 0.1 are 0.8, not 0.7999999999999999, which would not pass at 0.8."""
    return round(math.fsum(points), 6)


@contextmanager
def engine_faults() -> Iterator[None]:
    """An engine that goes away shows as an OSError: the client library's exceptions are kinds of it."""
    try:
        yield
    except OSError as error:
        raise EngineError(
            f"The engine went away: {' '.join(str(error).split())[:300]}",
            "See that it runs (`grader doctor`), then grade again; nothing is counted against the submission.",
        ) from error


def bug(error: Exception) -> EngineError:
    """What has to be said of an exception that nobody foresaw."""
    return EngineError(
        f"{type(error).__name__}: {' '.join(str(error).split())[:300]} (a bug in the grader)",
        "Please report it, with the log.",
        log=tuple(traceback.format_exception(error)[-1].splitlines()),
    )
