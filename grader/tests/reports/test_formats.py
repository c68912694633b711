"""What each format owes to those who read it, beyond its golden files."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from fluidattacks_core.sarif import SarifLog

from grader.reports._picture import picture
from grader.result import ImageResult, LayerResult
from grader.tests.reports.results import ALL, ERROR, FAILED, PASSED, UNTOLD
from grader.tests.reports.runner import commands
from grader.tests.reports.telling import told
from grader.tests.reports.weights import BEYOND, HALF, UNEARNED, WEIGHTS

EVERY = ALL | WEIGHTS


# --- SARIF ----------------------------------------------------------------------------------------------------------


def run(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(told("sarif", EVERY[name], path="work/my app/Dockerfile"))
    SarifLog.model_validate(content)
    (found,) = content["runs"]
    return dict(found)


@pytest.mark.parametrize("name", sorted(EVERY))
def test_sarif_is_sarif(name: str) -> None:
    found = run(name)
    rules = found["tool"]["driver"]["rules"]
    for result in found["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1
        assert result["message"]["text"]
    assert found["invocations"][0]["executionSuccessful"] is (name != "error")


def test_sarif_names_the_line_and_the_file() -> None:
    small, answers = run("failed")["results"]
    place = small["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "work/my%20app/Dockerfile"
    assert place["region"] == {"startLine": 1, "snippet": {"text": "FROM python:3.11"}}
    assert answers["locations"][0]["physicalLocation"]["region"]["startLine"] == 5
    assert small["level"] == "error"


def test_sarif_has_no_finding_for_a_fault_of_ours() -> None:
    found = run("error")
    assert found["results"] == []
    assert "The engine went away" in found["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def test_sarif_is_the_same_failure_at_the_next_push() -> None:
    moved = replace(FAILED, checks=tuple(replace(check, line=4, got="else") for check in FAILED.checks))
    prints = [
        [result["partialFingerprints"] for result in json.loads(told("sarif", result))["runs"][0]["results"]]
        for result in (FAILED, moved)
    ]
    assert prints[0] == prints[1]
    assert prints[0][0] != prints[0][1]


# --- JUnit ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(EVERY))
def test_junit_counts_what_it_tells(name: str) -> None:
    root = ET.fromstring(told("junit", EVERY[name]))
    (suite,) = root
    for count, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(count, "")) == int(root.get(count, "")) == len(list(suite.iter(tag)))
    names = [(case.get("classname"), case.get("name")) for case in suite.iter("testcase")]
    assert len(set(names)) == len(names)


def test_junit_tells_a_problem_that_no_check_tells() -> None:
    case = next(ET.fromstring(told("junit", UNTOLD)).iter("testcase"))
    assert case.find("failure") is not None
    assert next(ET.fromstring(told("junit", ERROR)).iter("testcase")).find("error") is not None


# --- annotations ----------------------------------------------------------------------------------------------------


def test_annotations_stand_on_their_lines_what_costs_most_first() -> None:
    first, second, last = commands(told("annotations", FAILED, path="a,b:c/Dockerfile"))
    assert (first.name, first.properties["line"]) == ("error", "5")
    assert first.properties["file"] == "a,b:c/Dockerfile"
    assert second.properties["title"] == "What ships is the app, not the toolchain (0 of 22.5)"
    assert "got       629 MB; the base image alone is 622 MB" in second.data.split("\n")
    assert (last.name, last.properties["title"]) == ("notice", "Verdict")


def test_annotations_are_no_louder_than_the_verdict() -> None:
    assert [command.name for command in commands(told("annotations", PASSED))] == ["notice"]
    assert [command.name for command in commands(told("annotations", HALF))] == ["error", "error", "notice"]
    assert [command.name for command in commands(told("annotations", UNEARNED))] == ["notice", "notice"]
    assert [command.name for command in commands(told("annotations", replace(HALF, status=PASSED.status)))] == [
        "warning", "warning", "notice",
    ]  # fmt: skip


def test_annotations_say_that_nothing_was_graded() -> None:
    assert {command.name for command in commands(told("annotations", ERROR))} == {"warning"}


# --- Gradescope -----------------------------------------------------------------------------------------------------


def test_gradescope_takes_the_score_of_the_whole() -> None:
    content = json.loads(told("gradescope", BEYOND))
    assert content["score"] == 110
    assert [test["status"] for test in content["tests"]] == ["passed"] * 3
    assert content["leaderboard"][0]["value"] == 629.0
    assert "leaderboard" not in json.loads(told("gradescope", FAILED))


def test_gradescope_gets_no_score_for_what_was_not_graded() -> None:
    assert '"score"' not in told("gradescope", ERROR)


# --- CSV ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(EVERY))
def test_csv_has_a_row_a_check(name: str) -> None:
    rows = list(csv.DictReader(io.StringIO(told("csv", EVERY[name]))))
    checks = EVERY[name].checks
    assert [row["check"] for row in rows] == [check.id for check in checks]
    assert [row["check_score"] for row in rows] == ["" if c.score is None else f"{c.score:g}" for c in checks]


# --- Markdown -------------------------------------------------------------------------------------------------------


def test_markdown_leaves_out_what_would_be_too_long_and_says_so() -> None:
    long = replace(FAILED.checks[1], evidence={"log": ["y" * 300] * 40})
    text = told("markdown", replace(FAILED, checks=(long,) * 100))
    assert len(text) < 65_536
    assert "more are not opened here" in text
    assert text.count("| ❌ |") == 100
    assert "What the image weighs" in text


def test_a_picture_has_one_width_and_leaves_nothing_out() -> None:
    layers = tuple(LayerResult(number, f"RUN {'x' * number}", 10**6 * number, 0) for number in range(1, 40))
    whole = sum(layer.size for layer in layers)
    lines = picture(ImageResult("x", whole + 100, 100, 0, layers))
    assert len(lines) == 15
    assert "27 more" in "\n".join(lines)
    assert lines[0].split()[2] == "▏", "what is there at all is seen"
    assert lines[-1].count("█") == 32
    assert len({len(line.split("  RUN")[0]) for line in lines}) == 1


def test_a_picture_of_nothing() -> None:
    assert picture(ImageResult("x", 0, 0, 0)) == [f"base image  {' ' * 32}  0 B", f"together    {' ' * 32}  0 B"]
