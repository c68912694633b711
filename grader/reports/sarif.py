"""SARIF 2.1.0, for GitHub's code scanning: a rule a check, a result a failure, on its line of the Dockerfile.

(OASIS, "Static Analysis Results Interchange Format 2.1.0"; GitHub's documentation, "SARIF support for code scanning",
on what of it is shown.) GitHub drops what has no place, so that a failure without a line stands on the first.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote

from grader import __version__
from grader.reports import _words
from grader.reports._json import dumps
from grader.reports._text import last_state, one_line
from grader.result import Fault, Status

if TYPE_CHECKING:
    from grader.reports import Telling
    from grader.result import CheckResult, GradeResult, Problem

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_PROBLEM = "grading"


def write(result: GradeResult, telling: Telling, out: TextIO) -> None:
    """One log with one run; what was skipped or could not be judged is no result."""
    out.write(dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [_run(result, telling)]}))


def _run(result: GradeResult, telling: Telling) -> dict[str, Any]:
    rules = [_rule(check, result) for check in result.checks]
    results = [
        _result(index, check, result, telling)
        for index, check in enumerate(result.checks)
        if check.status is Status.FAILED
    ]
    problem = _words.untold(result)
    if problem and problem.fault is Fault.LEARNER:
        results.append(_problem(len(rules), problem, result, telling))
        rules.append(_described(_PROBLEM, result, "The submission can be graded", "", ""))
    # Another exercise in the same repository is another analysis, and does not close this one's alerts.
    return {
        "tool": {"driver": {"name": "image-grader", "semanticVersion": __version__, "rules": rules}},
        "automationDetails": {"id": f"grader/{result.exercise}/"},
        "invocations": [_invocation(result, problem)],
        "results": results,
        "properties": {"verdict": _words.verdict(result)},
    }


def _rule(check: CheckResult, result: GradeResult) -> dict[str, Any]:
    hints = "\n".join(f"- {one_line(hint)}" for hint in check.hints[:1])
    return _described(check.id, result, check.title, check.why, hints)


def _described(name: str, result: GradeResult, title: str, why: str, hints: str) -> dict[str, Any]:
    short, long = one_line(title) or name, _words.cut(one_line(why)) or one_line(title) or name
    return {
        "id": _rule_id(name, result),
        "name": name,
        "shortDescription": {"text": short},
        "fullDescription": {"text": long},
        "help": {"text": "\n".join(part for part in (long, hints) if part)},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["course", result.exercise]},
    }


def _result(index: int, check: CheckResult, result: GradeResult, telling: Telling) -> dict[str, Any]:
    return {
        **_finding(index, check.id, result),
        "level": _level(check, result),
        "message": {"text": _words.explained(check) or one_line(check.title)},
        "locations": [_location(check.line, telling)],
        "properties": {"score": check.score, "max_score": check.max_score, "bonus": check.bonus},
    }


def _problem(index: int, problem: Problem, result: GradeResult, telling: Telling) -> dict[str, Any]:
    text = _words.told(_words.problem_facts(problem), _words.problem_log(problem))
    message = {"text": text or "The submission cannot be graded."}
    place = [_location(problem.line, telling)]
    return {**_finding(index, _PROBLEM, result), "level": "error", "message": message, "locations": place}


def _finding(index: int, name: str, result: GradeResult) -> dict[str, Any]:
    """What makes it the same failure at the next push, wherever its line has gone."""
    fingerprint = hashlib.sha256(_rule_id(name, result).encode()).hexdigest()
    return {
        "ruleId": _rule_id(name, result),
        "ruleIndex": index,
        "partialFingerprints": {"graderCheck/v1": fingerprint},
    }


def _rule_id(name: str, result: GradeResult) -> str:
    return f"{result.exercise}/{name}"


def _level(check: CheckResult, result: GradeResult) -> str:
    if check.bonus:
        return "note"
    return "warning" if result.status is Status.PASSED else "error"


def _location(line: int | None, telling: Telling) -> dict[str, Any]:
    region: dict[str, Any] = {"startLine": line or 1}
    if line and line <= len(telling.dockerfile):
        region["snippet"] = {"text": _words.cut(last_state(telling.dockerfile[line - 1]))}
    artifact = {"uri": quote(telling.path), "uriBaseId": "%SRCROOT%"}
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}


def _invocation(result: GradeResult, problem: Problem | None) -> dict[str, Any]:
    """Whether grading ran; a fault of ours is a notification of the tool's, and no finding in the Dockerfile."""
    invocation: dict[str, Any] = {
        "executionSuccessful": result.status is not Status.ERROR,
        "startTimeUtc": result.started,
    }
    if result.status is Status.ERROR:
        faults = [one_line(check.got) for check in result.checks if check.status is Status.ERROR]
        texts = [one_line(problem.what)] if problem else faults
        notes = [{"level": "error", "message": {"text": text or _words.verdict(result)}} for text in texts]
        invocation["toolExecutionNotifications"] = notes
    return invocation
