"""Classes whose verdicts are made by hand: rows, results in the shape of `grader.result/1`, and a journal of them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from grader.bulk.journal import Journal, Key
from grader.bulk.learner import Handed
from grader.bulk.outcome import Asked
from grader.bulk.plan import Row
from grader.result import EngineResult, Status, SubmissionResult
from grader.tests.reports.results import ERROR, FAILED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from grader.result import GradeResult

#: What is asked of a rubric here: the checks of the results in `reports.results`.
RUBRIC: Any = SimpleNamespace(
    title="Multi-stage builds",
    pass_score=15,
    max_score=57.5,
    checks=tuple(
        SimpleNamespace(id=id_, title=title, points=points, bonus=False)
        for id_, title, points in (
            ("builds", "The image builds", 10.0),
            ("small", "What ships is the app", 22.5),
            ("answers", "The app answers", 25.0),
        )
    ),
)
ASKED = Asked(RUBRIC, "03-multi-stage-builds", "grader bulk 03 in --out out --rerun errors")
ENGINE = EngineResult("docker", "28", "linux/amd64", ("python:3.11",))


def verdict(*, builds: bool = True, small: bool = False) -> GradeResult:
    """10 points for an image that builds and 22.5 for a small one; nobody's app answers."""
    score = 10.0 * builds + 22.5 * small
    earned = {"builds": builds, "small": small}
    checks = tuple(
        replace(check, status=Status.PASSED, fault=None, score=check.max_score)
        if earned.get(check.id)
        else replace(check, status=Status.FAILED, fault=FAILED.checks[1].fault, score=0.0)
        for check in FAILED.checks
        if check.id in ("builds", "small", "answers")
    )
    status = Status.PASSED if score >= 15 else Status.FAILED
    return replace(FAILED, status=status, score=score, max_score=57.5, checks=checks, engine=ENGINE, problem=None)


def row(learner: str, submission: str, shape: str = "") -> Row:
    return Row(learner, Handed(learner, f"in/{learner}"), 1, 1, Key("e", submission, "b", "1"), shape)


def keep(journal: Journal, rows: Iterable[Row], result: GradeResult = FAILED) -> None:
    """The same verdict for all of these."""
    for one in rows:
        assert one.key is not None
        told = replace(result, submission=SubmissionResult(one.learner, one.key.submission))
        journal.keep(one.key, told.to_json())


def mixed(folder: Path, names: list[str]) -> tuple[list[Row], Journal]:
    """Of five learners one each is small, fails, shares a submission, could not be graded, has handed in nothing."""
    journal = Journal(folder / "journal.db")
    rows: list[Row] = []
    keep(journal, [row("first", "same")], verdict())
    for number, name in enumerate(names):
        kind = number % 5
        rows.append(Row(name) if kind == 4 else row(name, "same" if kind == 2 else f"d{number}", f"s{number // 10}"))
        if kind in (0, 1, 3):
            keep(journal, rows[-1:], {0: verdict(small=True), 1: verdict(builds=False), 3: ERROR}[kind])
    return rows, journal
