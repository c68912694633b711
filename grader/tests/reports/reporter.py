"""A model of `classroom-resources/autograding-grading-reporter`: what it adds up, prints and tells GitHub.

JavaScript's numbers are doubles that are added one after the other, as Python's are when nobody calls `sum`.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class Reported:
    """``notice`` is None where no points are published."""

    notice: tuple[float, float] | None = None
    console: tuple[float, float] = (0.0, 0.0)
    failed: bool = False
    printed: list[str] = field(default_factory=list)


def report(runners: str, environment: Mapping[str, str]) -> Reported:
    found = [
        json.loads(base64.b64decode(environment[f"{name.strip().upper()}_RESULTS"])) for name in runners.split(",")
    ]
    reported = Reported(failed=any(results["status"] in ("fail", "error") for results in found))
    for name, results in zip(runners.split(","), found, strict=True):
        _console(reported, name, results)
    _notice(reported, found)
    return reported


def _console(reported: Reported, name: str, results: Mapping[str, Any]) -> None:
    maximum = results.get("max_score") or 0
    tests = results["tests"]
    passed = len([test for test in tests if test["status"] == "pass"])
    score = passed / len(tests) * (maximum or 1)
    reported.console = (reported.console[0] + score, reported.console[1] + maximum)
    reported.printed.append(f"Processing: {name}")
    for test in tests:
        if test["status"] == "error":
            reported.printed.append(f"Error: {test['message']}\n")
        else:
            reported.printed.append(f"{test['status']} {test['name']} - line {test['line_no']}")
        if test["test_code"]:
            reported.printed.append(f"Test code:\n{test['test_code']}\n")


def _notice(reported: Reported, found: list[dict[str, Any]]) -> None:
    points, maximum = 0.0, 0.0
    for results in found:
        if not results.get("max_score"):
            continue
        maximum += results["max_score"]
        for test in results["tests"]:
            points += test["score"]
    if maximum:
        reported.notice = (points, maximum)
