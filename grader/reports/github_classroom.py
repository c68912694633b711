"""The autograding result of GitHub Classroom, as outputs of a workflow's step.

A *runner* of ``classroom-resources/autograding-grading-reporter`` is an id in its input ``runners`` and base64 of
``{"version": 1, "status", "max_score", "tests": [{"name", "status", "score", "message", "test_code", "filename",
"line_no", "duration"}]}`` in the environment variable ``<ID upper-cased>_RESULTS``. The reporter's notice adds up every
``score`` and every ``max_score`` but those of runners whose ``max_score`` is 0; its console counts
``passed tests / tests * max_score`` for each runner, with 1 in place of a ``max_score`` of 0. (Its sources:
``notify-classroom.js``, ``console-results.js``, ``aggregate-results.js``, ``helpers/test-helpers.js``.)

Both come to our score when each runner has one test that earns all or nothing. Hence a runner a check, and where that
is not so:

- Half the way is two runners: what was earned, and what was not.
- A bonus that was earned is a runner too, and one more takes its points out of the maximum: they come on top.
- What can earn nothing is told when it was not met, and left out when it was: the console would count 1 for it.
- When nothing could be graded, all scores and maxima are 0: the reporter then says so, fails, and publishes no points,
  so that a fault of ours does not become a grade.

The status of a runner is the verdict of the whole, because it is what the reporter passes or fails by.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TextIO

from grader.reports import _words
from grader.reports._points import added, settled
from grader.reports._text import one_line
from grader.reports._workflow import assignment, harmless
from grader.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from grader.reports import Telling
    from grader.result import CheckResult, GradeResult

_VERDICT = {Status.PASSED: "pass", Status.FAILED: "fail", Status.ERROR: "error"}
#: Names of outputs that are no runner's.
_TAKEN = frozenset({"runners", "result", "graded", "status", "score", "max-score"})
#: Characters of all messages together; GitHub takes a megabyte of outputs from a job, and each travels twice.
_MESSAGES = 60_000


@dataclass(frozen=True)
class Runner:
    """A runner of the reporter, with its only test. ``score`` is 0 or ``max_score``."""

    id: str
    name: str
    status: str
    score: float
    max_score: float
    message: str = ""
    line: int = 0
    duration: float = 0.0


def write(result: GradeResult, telling: Telling, out: TextIO) -> None:
    """Writes outputs: ``runners``; one a runner, named as it is; and some of the whole, in GitHub's form for them.

    ``result`` is everything in one runner, for scripts that look for the output of one autograding step. Its console
    would weigh all tests alike.
    """
    found = runners(result)
    out.writelines(assignment(name, content) for name, content in _outputs(result, telling, found).items())


def environment(result: GradeResult, telling: Telling, out: TextIO) -> None:
    """Writes the variables that the reporter reads, in GitHub's form: the ids are not known before the grading."""
    out.writelines(
        assignment(f"{runner.id.upper()}_RESULTS", _encoded(result, telling, [runner], runner.max_score))
        for runner in runners(result)
    )


def runners(result: GradeResult) -> list[Runner]:
    """The runners, whose points add up to those of ``result`` by both of the reporter's ways of counting."""
    if result.score is None:
        return _named([_unjudged(check) for check in result.checks] or [_whole(result)])
    found = [runner for check in result.checks for runner in _runners(check)]
    if problem := _words.untold(result):
        text = _words.told(_words.problem_facts(problem), _words.problem_log(problem))
        found.append(Runner("grading", one_line(problem.what), "fail", 0, 0, text, problem.line or 0))
    return _named(_balanced(found, result) or [_whole(result)])


def _runners(check: CheckResult) -> Iterator[Runner]:
    name = one_line(check.title)
    told = Runner(check.id, name, "fail", 0, 0, _words.explained(check), check.line or 0, check.duration)
    earned = check.score or 0.0
    lost = 0.0 if check.bonus else check.max_score - earned
    passed = check.status is Status.PASSED
    if earned:
        part = "" if passed else f" ({check.score:g} of {check.max_score:g} points)"
        yield Runner(check.id, name + part, "pass", earned, earned, duration=check.duration)
    if passed:
        return
    if earned:
        told = replace(told, id=f"{check.id}-rest", name=f"{name} (the points that are missing)")
    yield replace(told, max_score=lost)


def _unjudged(check: CheckResult) -> Runner:
    name, told = one_line(check.title), "Not graded, because another check met a fault that is not the learner's."
    message = _words.explained(check) if check.status is Status.ERROR else told
    return Runner(check.id, name, "error", 0, 0, message, 0, check.duration)


def _whole(result: GradeResult) -> Runner:
    verdict = _words.verdict(result)
    return Runner("grading", verdict, "error" if result.score is None else "fail", 0, 0, verdict)


def _balanced(found: list[Runner], result: GradeResult) -> list[Runner]:
    """The same with exactly the score and the maximum of ``result``, to the last digit of a sum in JavaScript."""
    missing = result.max_score - sum(runner.max_score for runner in found)
    if abs(missing) > 1e-6:
        bonus = any(check.bonus and check.score for check in result.checks)
        name = "Bonus points come on top of the maximum: nothing is missing here" if bonus else "Rounding"
        found = [*found, Runner("bonus" if bonus else "rounding", name, "fail", 0, missing)]
    earning = [index for index, runner in enumerate(found) if runner.score]
    scores = settled([runner.score for runner in found], earning, result.score or 0.0)
    found = [replace(r, score=s, max_score=s if r.score else r.max_score) for r, s in zip(found, scores, strict=True)]
    losing = [index for index, runner in enumerate(found) if runner.max_score and not runner.score]
    maxima = settled([runner.max_score for runner in found], losing, result.max_score)
    balanced = [replace(runner, max_score=maximum) for runner, maximum in zip(found, maxima, strict=True)]
    # Only where a bonus is worth more than all of the rest.
    rest = result.max_score - added(maxima)
    return [*balanced, Runner("rounding", "Rounding", "fail", 0, rest)] if rest else balanced


def _named(found: Sequence[Runner]) -> list[Runner]:
    """The same with ids that are one word each, and each its own; a check that is many has `/` and more in its id."""
    taken = set(_TAKEN)
    named = []
    for runner in found:
        plain = re.sub(r"[^a-z0-9]+", "-", runner.id.lower()).strip("-") or "check"
        number, name = 1, plain
        while name in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name)
        named.append(replace(runner, id=name))
    return named


def _outputs(result: GradeResult, telling: Telling, found: Sequence[Runner]) -> Mapping[str, str]:
    graded = result.score is not None
    whole = result.max_score if graded else 0
    return {
        "runners": ",".join(runner.id for runner in found),
        "graded": "true" if graded else "false",
        "status": str(result.status),
        "score": f"{result.score:g}" if graded else "",
        "max-score": f"{result.max_score:g}",
        "result": _encoded(result, telling, found, whole),
        **{runner.id: _encoded(result, telling, [runner], runner.max_score) for runner in found},
    }


def _encoded(result: GradeResult, telling: Telling, found: Sequence[Runner], max_score: float) -> str:
    length = max(100, min(_words.LONG, _MESSAGES // max(1, len(result.checks))))
    payload = {
        "version": 1,
        "status": _VERDICT[result.status],
        "max_score": _number(max_score),
        "tests": [_test(runner, telling, length) for runner in found],
    }
    return base64.b64encode(json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()).decode()


def _test(runner: Runner, telling: Telling, length: int) -> dict[str, Any]:
    # The reporter prints all of these as they are, each line of them at the beginning of a line of the log; what was
    # found it would print of errors only, but the code that a test consists of always.
    message = harmless(_words.cut(runner.message, length))
    return {
        "name": harmless(_words.cut(runner.name, 200)),
        "status": runner.status,
        "score": _number(runner.score),
        "message": message,
        "test_code": message if runner.status == "fail" else "",
        "filename": telling.path,
        "line_no": runner.line,
        "duration": runner.duration,
    }


def _number(points: float) -> float:
    return int(points) if float(points).is_integer() else points
