from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.reports._points import apportioned, rounded
from grader.tests.reports.results import ALL, ERROR, FAILED
from grader.tests.reports.telling import told
from grader.tests.reports.weights import BEYOND, BONUS, HALF, WEIGHTS, any_weights

if TYPE_CHECKING:
    from grader.result import GradeResult

SCHEMA = json.loads((Path(__file__).parent / "schemas/classroom50-result-v1.schema.json").read_text(encoding="utf-8"))


def content(result: GradeResult) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(told("classroom50", result))
    return loaded


def holds(result: GradeResult) -> None:
    """What the schema says, and what Classroom 50's own runner asks for beyond it."""
    found = content(result)
    jsonschema.validate(found, SCHEMA)
    assert found["score"] == min(rounded(result.score or 0), found["max-score"])
    assert found["max-score"] == rounded(result.max_score)
    assert sum(test["score"] for test in found["tests"]) == found["score"]
    assert sum(test["max-score"] for test in found["tests"]) == found["max-score"]
    assert all(test["score"] <= test["max-score"] for test in found["tests"])
    assert [test["points"] for test in found["tests"]] == [check.score for check in result.checks]


@pytest.mark.parametrize("name", sorted({*ALL, *WEIGHTS} - {"error"}))
def test_whole_numbers_that_add_up(name: str) -> None:
    holds((ALL | WEIGHTS)[name])


@settings(max_examples=150, deadline=None)
@given(any_weights())
def test_whole_numbers_that_add_up_under_any_weights(result: GradeResult) -> None:
    holds(result)


@settings(max_examples=50, deadline=None)
@given(any_weights())
def test_who_earned_nothing_has_nothing(result: GradeResult) -> None:
    if result.score:
        assert all(test["score"] == 0 for test in content(result)["tests"] if not test["points"])


def test_whole_points_stay_what_they_are() -> None:
    assert [(t["score"], t["max-score"]) for t in content(WEIGHTS["unearned"])["tests"]] == [(100, 100), (0, 0)]
    assert [(t["score"], t["max-score"]) for t in content(HALF)["tests"]] == [(10, 10), (12, 22), (0, 68)]


def test_a_bonus_counts_up_to_the_full_score() -> None:
    assert content(BONUS)["score"] == 96
    assert content(BEYOND)["score"] == 100
    assert content(BEYOND)["tests"][2]["score"] == 0
    assert content(BEYOND)["tests"][2]["points"] == 10


def test_what_was_not_graded_cannot_be_taken_for_a_grade() -> None:
    found = content(ERROR)
    assert "score" not in found
    assert "costs no points" in found["error"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, SCHEMA)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=20), st.integers(0, 10_000))
def test_apportioned(shares: list[float], total: int) -> None:
    parts = apportioned(shares, total)
    assert sum(parts) == total
    assert min(parts) >= 0
    whole = sum(shares)
    if whole > 1:
        assert all(abs(part - share * total / whole) < 1.001 for part, share in zip(parts, shares, strict=True))


@pytest.mark.parametrize(
    ("shares", "total", "parts"),
    [
        ([0.5, 0.3, 0.2], 1, [1, 0, 0]),
        ([33.3, 33.3, 33.4], 100, [33, 33, 34]),
        ([1, 1, 1], 2, [1, 1, 0]),
        ([0, 0], 0, [0, 0]),
        ([0, 5], 3, [0, 3]),
    ],
)
def test_the_largest_remainder(shares: list[float], total: int, parts: list[int]) -> None:
    assert apportioned(shares, total) == parts


@pytest.mark.parametrize(("points", "whole"), [(0.49, 0), (0.5, 1), (1.5, 2), (2.5, 3), (99.5, 100)])
def test_rounded(points: float, whole: int) -> None:
    assert rounded(points) == whole


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One commit, committed at 1,700,000,000 s and written a day before."""
    monkeypatch.chdir(tmp_path)
    dates = {"GIT_COMMITTER_DATE": "1700000000 +0100", "GIT_AUTHOR_DATE": "1699913600 +0100"}
    for name, value in dates.items():
        monkeypatch.setenv(name, value)
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    return tmp_path


def test_the_time_is_that_of_the_commit_at_every_regrade(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True, check=True)
    monkeypatch.setenv("GITHUB_SHA", head.stdout.strip())
    monkeypatch.setenv("SUBMISSION_TAG", "submit/2026-11-23T09-59-58Z-a1b2c3d")
    found = content(FAILED)
    assert found["datetime"] == "2023-11-14T22:13:20Z"
    assert found["graded_at"] == "2026-11-23T10:00:00Z"


@pytest.mark.parametrize("commit", ["", "--output=x", "0" * 40])
def test_without_the_commit_the_tag_tells_the_time(
    commit: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_SHA", commit)
    monkeypatch.setenv("SUBMISSION_TAG", "submit/2026-11-23T09-59-58Z-a1b2c3d")
    assert content(FAILED)["datetime"] == "2026-11-23T09:59:58Z"
    monkeypatch.setenv("SUBMISSION_TAG", "submit/2026-99-99T99-99-99Z-a1b2c3d")
    assert content(FAILED)["datetime"] == "2026-11-23T10:00:00Z"
    assert not list(repository.glob("x"))


def test_it_can_be_tried_outside_of_classroom50(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLASSROOM", "ASSIGNMENT", "OWNER", "USERNAME", "SUBMISSION_TAG", "COMMIT_URL", "RELEASE_URL"):
        monkeypatch.delenv(name, raising=False)
    jsonschema.validate(content(FAILED), SCHEMA)
    assert content(FAILED)["assignment"] == "03-multi-stage-builds"
