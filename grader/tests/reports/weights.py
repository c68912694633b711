"""Results whose points are hard to count: half the way, a bonus, nothing to earn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from grader import judging
from grader.result import CheckResult, Fault, Status
from grader.tests.reports.results import FAILED, PASSED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.result import GradeResult


def check(
    name: str, points: float, *, earned: float | None = None, bonus: bool = False, skipped: bool = False
) -> CheckResult:
    """A check of that many points that passed; with ``earned`` it failed with those, and with ``skipped`` it was."""
    base = replace(PASSED.checks[0], id=name, title=f"About {name}", max_score=points, score=points, bonus=bonus)
    if skipped:
        return replace(base, status=Status.SKIPPED, score=0.0, got="not judged, because “builds” did not pass")
    if earned is None:
        return base
    return replace(base, status=Status.FAILED, fault=Fault.LEARNER, score=earned, got="nearly", line=3)


def graded(checks: Sequence[CheckResult], *, pass_score: float = 50.0) -> GradeResult:
    """What the grader makes of them."""
    status, score = judging.total(checks, pass_score, partial=False, problem=None)
    maximum = judging.added(check.max_score for check in checks if not check.bonus)
    return replace(
        FAILED, checks=tuple(checks), status=status, score=score, max_score=maximum, pass_score=pass_score, notes=()
    )


HALF = graded([check("builds", 10), check("small", 22.5, earned=12.34), check("answers", 67.5, earned=0.0)])
BONUS = graded([check("builds", 60), check("small", 40, earned=30.0), check("neat", 5.5, bonus=True)])
BEYOND = graded([check("builds", 60), check("small", 40), check("neat", 10, bonus=True)])
UNEARNED = graded([check("builds", 100), check("neat", 10, bonus=True, earned=0.0)])
FREE = graded([check("builds", 0), check("style", 0, earned=0.0), check("small", 100), check("late", 0, skipped=True)])
TENTHS = graded([check("a", 0.1), check("b", 0.2), check("c", 0.7, earned=0.0), check("d", 0.1, earned=0.0)])
PARTS = graded([check("tests/test_x[1,2]", 33.33), check("tests/test-x-1-2", 33.33), check("runners", 33.34)])
NOTHING = graded([check("builds", 0)], pass_score=0)
WEIGHTS = {
    "half": HALF, "bonus": BONUS, "beyond": BEYOND, "unearned": UNEARNED, "free": FREE, "tenths": TENTHS,
    "parts": PARTS, "nothing": NOTHING,
}  # fmt: skip

_POINTS = st.one_of(st.integers(0, 100).map(float), st.integers(0, 5000).map(lambda cents: cents / 100))


@st.composite
def _checks(draw: st.DrawFn, number: int) -> CheckResult:
    points = draw(_POINTS)
    kind = draw(st.sampled_from(["passed", "failed", "skipped", "half"]))
    bonus = draw(st.booleans()) and draw(st.booleans())
    if kind == "passed":
        return check(f"check-{number}", points, bonus=bonus)
    earned = round(points * draw(st.integers(0, 100)) / 100, 2) if kind == "half" else 0.0
    return check(f"check-{number}", points, earned=min(earned, points), bonus=bonus, skipped=kind == "skipped")


@st.composite
def any_weights(draw: st.DrawFn) -> GradeResult:
    """A grading of up to twelve checks of any points."""
    checks = [draw(_checks(number)) for number in range(draw(st.integers(1, 12)))]
    return graded(checks)
