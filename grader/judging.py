"""Checks -> their verdicts, and what they come to together."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grader.errors import EngineError, GraderError, SubmissionError
from grader.redacted import redacted
from grader.result import CheckResult, Fault, Problem, Progress, ProgressEvent, Status
from grader.running import Background, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from grader.checks.base import Check, Outcome, OutcomePart
    from grader.checks.subject import Subject

#: Seconds that a check has to notice that the time of what it runs is up.
_GRACE = 5.0
#: Keeps what is a whole number of cents from being rounded down for the way computers count.
_TINY = 1e-6
_KEPT = "(the rubric does not tell)"


def judge(subject: Subject, chosen: Sequence[Check], progress: Progress) -> tuple[CheckResult, ...]:
    """The verdict of each check, in their order; see `verdicts`."""
    return tuple(result for found in verdicts(subject, chosen, progress) for result in found)


def verdicts(subject: Subject, chosen: Sequence[Check], progress: Progress) -> Iterator[tuple[CheckResult, ...]]:
    """What each check comes to, in their order, each judged when it is asked for.

    What comes after a failed ``required`` check is skipped, and so is what ``needs`` a check that did not pass. A
    submission's error that several checks meet is told by the first of them; the others are skipped and name it.
    """
    blocked_by = ""
    unmet: set[str] = set()
    reported: dict[int, str] = {}
    for check in chosen:
        blocker = blocked_by or next((needed for needed in check.needs if needed in unmet), "")
        found = (skipped(check, blocker),) if blocker else _judged(check, subject, reported, progress)
        if any(result.status is not Status.PASSED for result in found):
            unmet.add(check.id)
        if check.required and any(result.status is Status.FAILED for result in found):
            blocked_by = check.id
        yield tuple(_shown(check, result) for result in found)


def judge_one(check: Check, subject: Subject, reported: dict[int, str], progress: Progress) -> tuple[CheckResult, ...]:
    """The verdict on a check alone; what it waits for (``required``, ``needs``) is the caller's to look at.

    ``reported`` remembers, from one call to the next, the errors that a check has told already.
    """
    return tuple(_shown(check, result) for result in _judged(check, subject, reported, progress))


def refused(chosen: Sequence[Check], error: GraderError) -> tuple[CheckResult, ...]:
    """The verdicts on a submission that could not be opened: the first check says why, the others name it."""
    learners = isinstance(error, SubmissionError)
    first, *others = chosen
    told = _failed_by(first, error) if isinstance(error, SubmissionError) else _error(first, error)
    rest = [skipped(check, first.id) if learners else _error(check, error) for check in others]
    return tuple(_shown(check, result) for check, result in zip(chosen, (told, *rest), strict=True))


def _judged(check: Check, subject: Subject, reported: dict[int, str], progress: Progress) -> tuple[CheckResult, ...]:
    progress(ProgressEvent("checks", check.title or check.id, detail=True))
    began = time.monotonic()
    found = _run_check(check, subject, reported)
    took = round(time.monotonic() - began, 4)
    return tuple(replace(result, duration=result.duration or took) for result in found)


def _run_check(check: Check, subject: Subject, reported: dict[int, str]) -> tuple[CheckResult, ...]:
    try:
        with engine_faults():
            outcome = _outcome(check, subject)
    except SubmissionError as error:
        first = reported.setdefault(id(error), check.id)
        return (skipped(check, first) if first != check.id else _failed_by(check, error),)
    except GraderError as error:
        return (_error(check, error),)
    except Exception as error:  # noqa: BLE001  # a bug of ours must never cost a learner points
        import traceback  # noqa: PLC0415  # hardly ever needed, and a grading waits for imports

        result = _error(check, bug(error))
        return (replace(result, evidence={**result.evidence, "traceback": redacted(traceback.format_exc())}),)
    if outcome.parts:
        return tuple(_part_result(check, part) for part in outcome.parts)
    return (_result(_told(check), outcome, check.expectation()),)


def _outcome(check: Check, subject: Subject) -> Outcome:
    """What a check found; one that goes on for longer than its ``timeout`` is given up.

    What it runs of the learner's it ends itself, in time; if it still works then, we or the engine are at fault.
    """
    if check.timeout is None:
        return check.run(_judged_stage(check, subject))
    work = Part(lambda: check.run(_judged_stage(check, subject)))
    work.begin(Background())
    if not work.wait(check.timeout + _GRACE):
        raise EngineError(
            f"The check “{check.id}” was not done after {check.timeout:g} s, its timeout",
            "Grade again; if it stays, the author may give it more time.",
        )
    return work.get()


def _judged_stage(check: Check, subject: Subject) -> Subject:
    return subject.stage(check.target) if check.target else subject


def _result(told: dict[str, Any], outcome: Outcome, expectation: str) -> CheckResult:
    failed = outcome.status is Status.FAILED
    points: float = told["max_score"]
    # Rounded down to what a person would write: nearly there is not there.
    part = math.floor(points * outcome.credit * 100 + _TINY) / 100
    earned = points if outcome.status is Status.PASSED else part if failed else 0.0
    return CheckResult(
        **told,
        status=outcome.status,
        fault=Fault.LEARNER if failed else None,
        score=earned,
        expected=outcome.expected or expectation,
        got=outcome.got,
        line=outcome.line,
        evidence=outcome.evidence,
    )


def _part_result(check: Check, part: OutcomePart) -> CheckResult:
    told = _told(check) | {"id": f"{check.id}/{part.id}", "title": part.title, "max_score": part.points}
    told |= {"why": part.why or told["why"], "hints": part.hints or told["hints"]}
    return _result(told, part.outcome, check.expectation())


def _shown(check: Check, result: CheckResult) -> CheckResult:
    """What the rubric keeps for itself is in no result: whoever holds one may be the learner."""
    if check.show == "full":
        return result
    kept = replace(result, expected=_KEPT, evidence={})
    if check.show == "got-only" or result.status in (Status.SKIPPED, Status.ERROR):
        return kept
    return replace(kept, got=_KEPT, line=None)


def _told(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "check": check.check,
        "title": check.title or check.id,
        "max_score": check.points,
        "required": check.required,
        "bonus": check.bonus,
        "why": check.why or check.reason,
        "hints": check.hints or ((check.advice,) if check.advice else ()),
    }


def skipped(check: Check, blocker: str) -> CheckResult:
    """The verdict on a check that waits for another one, which did not pass."""
    return CheckResult(
        **_told(check),
        status=Status.SKIPPED,
        fault=None,
        score=0.0,
        expected=check.expectation(),
        got=f"not judged, because “{blocker}” did not pass",
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
        # Only an engine that has answered has a status to tell.
        how = "went away" if getattr(error, "response", None) is None else "failed"
        raise EngineError(
            f"The engine {how}: {' '.join(str(error).split())[:300]}",
            "See that it runs (`grader doctor`), then grade again; nothing is counted against the submission.",
        ) from error


def bug(error: Exception) -> EngineError:
    """What has to be said of an exception that nobody foresaw."""
    import traceback  # noqa: PLC0415  # see `_run_check`

    return EngineError(
        f"{type(error).__name__}: {' '.join(str(error).split())[:300]} (a bug in the grader)",
        "Please report it, with the log.",
        log=tuple(traceback.format_exception(error)[-1].splitlines()),
    )
