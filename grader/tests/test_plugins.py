"""Other packages' check types and formats, found through entry points."""

from __future__ import annotations

import io
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Literal

import pytest

from grader import checks, reports
from grader.checks.base import Check, Outcome, passed
from grader.errors import RubricError, UsageError
from grader.reports import Telling
from grader.tests.reports.results import PASSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.checks.subject import Subject
    from grader.result import GradeResult


class Theirs(Check):
    """Always content."""

    check: Literal["theirs"]

    def run(self, subject: Subject) -> Outcome:
        return passed(expected=subject.fresh, got="it")


def told_their_way(result: GradeResult, _telling: Telling, out: io.StringIO) -> None:
    out.write(result.exercise)


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EntryPoint]]:
    points: list[EntryPoint] = []

    def entry_points(*, group: str) -> list[EntryPoint]:
        return [point for point in points if point.group == group]

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    checks._offered.cache_clear()
    yield points
    checks._offered.cache_clear()


def test_a_check_type_of_another_package(offered: list[EntryPoint]) -> None:
    offered.append(EntryPoint("theirs", f"{__name__}:Theirs", "grader.checks"))
    assert checks.types()["theirs"] is Theirs
    assert "size" in checks.types()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("theirs", "no.such.module:Theirs", "cannot be loaded"), ("size", f"{__name__}:Theirs", "Two packages offer")],
)
def test_a_check_type_that_does_not_work(name: str, value: str, words: str, offered: list[EntryPoint]) -> None:
    offered.append(EntryPoint(name, value, "grader.checks"))
    with pytest.raises(RubricError, match=words):
        list(checks.types())


def test_a_format_of_another_package(offered: list[EntryPoint]) -> None:
    offered.append(EntryPoint("their-way", f"{__name__}:told_their_way", "grader.reports"))
    out = io.StringIO()
    reports.load("their-way")(PASSED, Telling(), out)
    assert out.getvalue() == PASSED.exercise
    assert "their-way" in reports.names()


def test_a_format_that_does_not_work(offered: list[EntryPoint]) -> None:
    offered.append(EntryPoint("their-way", "no.such.module:x", "grader.reports"))
    with pytest.raises(UsageError, match="cannot be loaded"):
        reports.load("their-way")


def test_nobody_takes_the_place_of_ours(offered: list[EntryPoint]) -> None:
    offered.append(EntryPoint("json", f"{__name__}:told_their_way", "grader.reports"))
    assert reports.load("json") is not told_their_way
