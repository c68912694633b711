"""What all checks have in common: bonus, needs, half points, parts, what is kept from the learner, time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from grader import judging
from grader.checks.base import Outcome, OutcomePart, failed, passed
from grader.checks.build import Build
from grader.errors import EngineError
from grader.result import CheckResult, Fault, Problem, Status, silent
from grader.tests.checks.fakes import FakeImage, broken, check, file, subject

if TYPE_CHECKING:
    from collections.abc import Callable

PASSES = "check: dockerfile, stages: {min: 1}"
FAILS = "check: dockerfile, stages: {min: 2}"


def judged(*checks: Any) -> tuple[CheckResult, ...]:
    return judging.judge(subject(), checks, silent)


def finding(outcome: Outcome | Callable[[], Outcome], monkeypatch: pytest.MonkeyPatch, **more: Any) -> Any:
    """A check that finds what the test wants it to."""
    monkeypatch.setattr(Build, "run", lambda *_: outcome() if callable(outcome) else outcome)
    return check("check: build", **more)


# --- needs ------------------------------------------------------------------------------------------------------------


def test_what_needs_a_check_that_failed_is_skipped_and_what_does_not_is_judged() -> None:
    first, second, third = judged(
        check(FAILS, id="first"), check(PASSES, id="second", needs=("first",)), check(PASSES, id="third")
    )
    assert (first.status, second.status, third.status) == (Status.FAILED, Status.SKIPPED, Status.PASSED)
    assert second.evidence["blocked_by"] == "first"
    assert "first" in second.got


def test_needs_are_met_by_a_pass_and_unmet_through_others() -> None:
    met = judged(check(PASSES, id="a"), check(PASSES, id="b", needs=("a",)))
    assert [each.status for each in met] == [Status.PASSED] * 2
    chain = judged(check(FAILS, id="a"), check(PASSES, id="b", needs=("a",)), check(PASSES, id="c", needs=("b",)))
    assert [each.status for each in chain] == [Status.FAILED, Status.SKIPPED, Status.SKIPPED]


def test_what_needs_a_check_that_is_not_run_is_judged() -> None:
    (alone,) = judged(check(PASSES, id="b", needs=("a",)))
    assert alone.status is Status.PASSED


# --- points -----------------------------------------------------------------------------------------------------------


def test_a_bonus_comes_on_top_and_is_not_missed() -> None:
    plain, extra = check(PASSES, id="plain", points=10), check(PASSES, id="extra", points=5, bonus=True)
    results = judged(plain, extra)
    assert [each.bonus for each in results] == [False, True]
    assert judging.total(results, 10, partial=False, problem=None) == (Status.PASSED, 15)
    without = judged(plain, check(FAILS, id="extra", points=5, bonus=True))
    assert judging.total(without, 10, partial=False, problem=None) == (Status.PASSED, 10)


@pytest.mark.parametrize(
    ("credit", "points", "score"), [(0.5, 10, 5), (0.999999, 10, 9.99), (1 / 3, 10, 3.33), (0, 10, 0), (0.29, 100, 29)]
)
def test_half_the_way_earns_its_share_and_never_all(
    credit: float, points: float, score: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = finding(failed(expected="x", got="y", credit=credit), monkeypatch, points=points)
    (result,) = judged(half)
    assert (result.status, result.fault, result.score) == (Status.FAILED, Fault.LEARNER, score)


def test_the_whole_of_nothing_but_errors_is_an_error() -> None:
    results = judging.judge(broken(EngineError("gone")), [check(PASSES)], silent)
    assert judging.total(results, 0, partial=False, problem=None) == (Status.ERROR, None)
    learners = Problem("x", "", "", Fault.LEARNER)
    assert judging.total(judged(check(PASSES, points=1)), 1, partial=False, problem=learners) == (Status.FAILED, 1)


def test_what_a_check_itself_skips_earns_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    (result,) = judged(finding(Outcome(Status.SKIPPED, "x", "not today"), monkeypatch, points=3))
    assert (result.status, result.fault, result.score) == (Status.SKIPPED, None, 0)


# --- a check that is many ---------------------------------------------------------------------------------------------


def test_each_part_is_told_with_its_own_points_and_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = (
        OutcomePart("one", "The one", 3, passed(expected="a", got="a")),
        OutcomePart("two", "The other", 1, failed(expected="b", got="c"), why="So.", hints=("Try.",)),
    )
    whole = Outcome(Status.FAILED, "", "", parts=parts)
    one, two = judged(finding(whole, monkeypatch, id="mine", points=4, hints=("General.",)))
    assert (one.id, one.title, one.status, one.score, one.max_score) == ("mine/one", "The one", Status.PASSED, 3, 3)
    assert (two.id, two.status, two.score, two.max_score) == ("mine/two", Status.FAILED, 0, 1)
    assert (one.hints, two.hints, two.why) == (("General.",), ("Try.",), "So.")


def test_a_required_check_blocks_when_one_of_its_parts_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = (OutcomePart("one", "One", 1, failed(expected="a", got="b")),)
    many = finding(Outcome(Status.FAILED, "", "", parts=parts), monkeypatch, id="many", required=True)
    _, after = judged(many, check(PASSES, id="after"))
    assert after.status is Status.SKIPPED


# --- what a learner is told -------------------------------------------------------------------------------------------

SECRET = "at most 1 MB"


def told(show: str) -> CheckResult:
    heavy = subject(image=FakeImage([{"a": file(2_000_000)}]))
    (result,) = judging.judge(heavy, [check("check: size, max: 1MB", show=show, hints=("Less.",))], silent)
    return result


def test_all_is_told_unless_the_rubric_keeps_it() -> None:
    full = told("full")
    assert (full.expected, full.line) == (SECRET, 2)
    assert "2 MB" in full.got
    assert full.evidence


def test_what_was_expected_can_be_kept() -> None:
    kept = told("got-only")
    assert SECRET not in str(kept)
    assert "2 MB" in kept.got
    assert (kept.line, kept.evidence) == (2, {})


def test_all_but_the_verdict_can_be_kept() -> None:
    kept = told("nothing")
    assert "MB" not in str(kept)
    assert (kept.status, kept.score, kept.line, kept.hints) == (Status.FAILED, 0, None, ("Less.",))


def test_who_or_what_failed_is_told_even_so() -> None:
    (skipped,) = judging.judge(broken(EngineError("gone")), [check("check: build", show="nothing")], silent)
    assert (skipped.status, skipped.got) == (Status.ERROR, "gone")


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_check_that_does_not_end_is_given_up_and_is_nobodys_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "_GRACE", 0.0)
    forever, ended = threading.Event(), threading.Event()

    def endless() -> Outcome:
        forever.wait()
        ended.set()
        return failed(expected="x", got="y")

    (result,) = judged(finding(endless, monkeypatch, timeout=0.05))
    assert not ended.is_set()
    forever.set()
    assert (result.status, result.fault, result.score) == (Status.ERROR, Fault.INFRASTRUCTURE, None)
    assert "timeout" in result.got


def test_one_that_is_done_in_time_says_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    (result,) = judged(finding(passed(expected="x", got="y"), monkeypatch, timeout=30.0))
    assert (result.status, result.got) == (Status.PASSED, "y")
