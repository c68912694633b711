from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.result import Status
from grader.tests.checks.fakes import GONE, file, on_image

if TYPE_CHECKING:
    from grader.checks.base import Outcome

MB = 1_000_000


def sized(text: str, *sizes: int, base: int = 0) -> Outcome:
    return on_image(f"check: size, {text}", *({f"f{n}": file(size)} for n, size in enumerate(sizes)), base=base)


@pytest.mark.parametrize(
    ("size", "verdict"),
    [(219 * MB, "passed"), (220 * MB, "passed"), (220 * MB + 1, "failed"), (0, "passed")],
)
def test_the_limit_is_inclusive(size: int, verdict: str) -> None:
    assert sized("max: 220MB", size).status == verdict


@pytest.mark.parametrize(("added", "verdict"), [(30 * MB, "passed"), (30 * MB + 1, "failed")])
def test_so_is_the_limit_over_the_base(added: int, verdict: str) -> None:
    assert sized("over_base: 30MB", 500 * MB, added, base=1).status == verdict


def test_nobody_reads_that_220_is_more_than_220() -> None:
    outcome = sized("max: 220MB", 220 * MB + 1)
    assert outcome.expected == "at most 220 MB"
    assert "220.000001 MB" in outcome.got


def test_the_heaviest_line_is_named() -> None:
    outcome = sized("max: 10MB", 5 * MB, 1 * MB, 20 * MB, 2 * MB, base=1)
    assert outcome.line == 3
    assert "line 3 alone adds 20 MB" in outcome.got


def test_a_base_that_is_too_heavy_is_named() -> None:
    outcome = sized("max: 10MB", 50 * MB, 1 * MB, base=1)
    assert outcome.line == 1
    assert "the base image alone is 50 MB" in outcome.got


def test_what_is_over_the_base_is_never_the_bases_fault() -> None:
    assert sized("max: 90MB, over_base: 2MB", 50 * MB, 3 * MB, base=1).line == 2


def test_from_scratch_there_is_no_base() -> None:
    assert sized("over_base: 2MB", 3 * MB).line == 2
    assert sized("over_base: 2MB").status is Status.PASSED


def test_a_deleted_file_weighs_where_it_came_in() -> None:
    assert on_image("check: size, max: 1MB", {"a": file(2 * MB)}, {"a": GONE}).status is Status.FAILED


@pytest.mark.parametrize(
    ("size", "verdict", "credit"),
    [(160, "passed", 0), (230, "failed", 0.5), (161, "failed", 139 / 140), (300, "failed", 0), (900, "failed", 0)],
)
def test_between_full_and_zero_lies_a_slope(size: int, verdict: str, credit: float) -> None:
    outcome = sized("full: 160MB, zero: 300MB", size * MB)
    assert outcome.status == verdict
    assert outcome.credit == pytest.approx(credit)
    assert "300 MB" in outcome.expected


def test_what_is_over_the_base_earns_nothing_on_the_slope() -> None:
    assert sized("full: 160MB, zero: 300MB, over_base: 1MB", 100 * MB, 100 * MB, base=1).credit == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "max: 1MB, over_base: 2MB",
        "max: 0",
        "max: many",
        "full: 1MB",
        "zero: 1MB",
        "full: 2MB, zero: 1MB",
        "full: 1MB, zero: 2MB, max: 1MB",
        "full: 1MB, zero: 9MB, over_base: 2MB",
    ],
)
def test_impossible_limits_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"limit|less|size|together|more|slope"):
        sized(text, 1)
