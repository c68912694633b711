from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from grader.learn.changes import changes
from grader.learn.watch import Run
from grader.request import Seen
from grader.result import ImageResult, LayerResult, Status
from grader.tests.reports.results import FAILED

if TYPE_CHECKING:
    from grader.result import GradeResult


def run(result: GradeResult) -> Run:
    return Run(cast("Any", None), result, Seen())


def test_without_an_earlier_run_there_is_nothing_to_compare() -> None:
    assert changes(run(FAILED), None) == ["There is no earlier run to compare with."]


def test_the_same_again_changed_nothing() -> None:
    assert changes(run(FAILED), run(FAILED)) == ["Nothing changed: the same points, the same size, the same layers."]


def test_points_checks_size_and_layers() -> None:
    old = ImageResult("sha256:a", 300, 100, 0, (LayerResult(2, "RUN a", 150, 0), LayerResult(3, "COPY b", 50, 0)))
    new = ImageResult("sha256:b", 180, 100, 0, (LayerResult(5, "RUN a", 60, 0), LayerResult(6, "COPY c", 20, 0)))
    better = tuple(replace(check, status=Status.PASSED) if check.id == "small" else check for check in FAILED.checks)
    now = replace(FAILED, score=32.5, image=new, checks=better)
    assert changes(run(now), run(replace(FAILED, image=old))) == [
        "Points: 10 -> 32.5 of 82.5.",
        "What ships is the app, not the toolchain: failed -> passed.",
        "Size: 300 B -> 180 B.",
        "Layer: RUN a, 150 B -> 60 B.",
        "Layer gone: COPY b, 50 B.",
        "New layer: COPY c, 20 B.",
    ]


def test_an_image_that_is_no_longer_there() -> None:
    assert changes(run(replace(FAILED, image=None)), run(FAILED)) == ["There is no image any more."]


def test_a_run_that_could_not_be_graded_has_no_points() -> None:
    assert changes(run(replace(FAILED, score=None)), run(FAILED)) == ["Points: 10 -> not graded of 82.5."]
