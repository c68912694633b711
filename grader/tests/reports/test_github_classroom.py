from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

from grader.result import Status
from grader.tests.reports.reporter import Reported, report
from grader.tests.reports.results import ALL, ERROR, FAILED, PASSED, REFUSED, UNTOLD
from grader.tests.reports.runner import variables
from grader.tests.reports.telling import told
from grader.tests.reports.weights import BEYOND, BONUS, FREE, HALF, NOTHING, PARTS, WEIGHTS, any_weights

if TYPE_CHECKING:
    from grader.result import GradeResult


def outputs(result: GradeResult) -> dict[str, str]:
    return variables(told("github-classroom", result))


def reported(result: GradeResult) -> Reported:
    """What the reporter says that is given the variables; the outputs that a workflow may hand on come to the same."""
    found = outputs(result)
    environment = variables(told("github-classroom", result, function="environment"))
    assert environment == {f"{name.upper()}_RESULTS": found[name] for name in found["runners"].split(",")}
    return report(found["runners"], environment)


def payload(encoded: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(base64.b64decode(encoded))
    return content


def agrees(result: GradeResult) -> None:
    said = reported(result)
    assert said.notice == (result.score, result.max_score)
    assert said.console == (result.score, result.max_score)
    assert said.failed is (result.status is not Status.PASSED)


@pytest.mark.parametrize("name", sorted({*ALL, *WEIGHTS} - {"error", "nothing", "untold"}))
def test_the_reporter_agrees(name: str) -> None:
    agrees((ALL | WEIGHTS)[name])


@settings(max_examples=300, deadline=None)
@given(any_weights())
def test_the_reporter_agrees_under_any_weights(result: GradeResult) -> None:
    said = reported(result)
    assert said.console == (result.score, result.max_score)
    assert said.notice == (result.score, result.max_score) or (said.notice is None and not result.max_score)
    assert said.failed is (result.status is not Status.PASSED)


@pytest.mark.parametrize("result", [ERROR, replace(ERROR, checks=(*ERROR.checks, PASSED.checks[0])), NOTHING])
def test_where_there_are_no_points_none_are_published(result: GradeResult) -> None:
    said = reported(result)
    assert said.notice is None
    assert said.console == (0, 0)
    assert said.failed is (result.status is Status.ERROR)
    assert outputs(result)["graded"] == ("false" if result.status is Status.ERROR else "true")


@pytest.mark.parametrize("result", [*ALL.values(), *WEIGHTS.values()])
def test_every_test_has_a_number_and_every_runner_a_maximum(result: GradeResult) -> None:
    found = outputs(result)
    for name in ("result", *found["runners"].split(",")):
        content = payload(found[name])
        assert content["version"] == 1
        assert content["status"] in ("pass", "fail", "error")
        assert isinstance(content["max_score"], int | float)
        assert content["tests"]
        for test in content["tests"]:
            assert isinstance(test["score"], int | float)
            assert isinstance(test["line_no"], int)
            assert set(test) == {
                "name", "status", "score", "message", "test_code", "filename", "line_no", "duration",
            }  # fmt: skip


def test_all_in_one_runner_gives_the_same_notice() -> None:
    for result in (FAILED, HALF, BONUS, BEYOND, FREE):
        said = report("all", {"ALL_RESULTS": outputs(result)["result"]})
        assert said.notice == (result.score, result.max_score)


def test_a_refused_submission_is_graded_with_nothing() -> None:
    assert reported(REFUSED).notice == (0, 10)


def test_what_no_check_tells_is_told_and_fails_the_whole() -> None:
    result = replace(UNTOLD, score=22.5, max_score=22.5)
    agrees(result)
    assert "There is no Dockerfile." in "\n".join(reported(result).printed)


def test_a_learner_reads_there_what_is_wrong() -> None:
    text = "\n".join(reported(FAILED).printed)
    assert "fail What ships is the app, not the toolchain - line 1" in text
    assert "got       629 MB; the base image alone is 622 MB" in text
    assert "hint      Which stage ships?" in text


def test_ids_are_words_of_their_own() -> None:
    names = outputs(PARTS)["runners"].split(",")
    assert names[:3] == ["tests-test-x-1-2", "tests-test-x-1-2-2", "runners-2"]


def test_outputs_of_the_whole() -> None:
    found = outputs(HALF)
    assert (found["status"], found["score"], found["max-score"], found["graded"]) == ("failed", "22.34", "100", "true")
    assert (outputs(ERROR)["status"], outputs(ERROR)["score"]) == ("error", "")


def test_many_long_messages_stay_below_what_github_takes() -> None:
    checks = [
        replace(check, id=f"check-{number}", evidence={"log": ["漢" * 300] * 40})
        for number in range(300)
        for check in FAILED.checks[1:2]
    ]
    result = replace(FAILED, checks=tuple(checks), score=0.0, max_score=300 * 22.5)
    assert len(told("github-classroom", result).encode()) < 1_000_000
    assert reported(result).notice == (0, 6750)


def test_the_delimiter_is_another_one_each_time() -> None:
    first, second = told("github-classroom", PASSED), told("github-classroom", PASSED)
    assert first != second
    assert variables(first) == variables(second)
