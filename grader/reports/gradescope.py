"""Gradescope's ``results.json``.

(Gradescope's documentation, "Autograder Specifications": Output Format.) The score of the whole overrides the sum of
the tests', so that a bonus counts as the rubric says. When nothing could be graded there is no score at all, neither of
the whole nor of a test: Gradescope then says that the autograder failed, and gives no zero.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TextIO

from grader.reports import _words
from grader.reports._json import dumps
from grader.reports._text import one_line
from grader.result import Status

if TYPE_CHECKING:
    from grader.reports import Telling
    from grader.result import CheckResult, GradeResult


def write(result: GradeResult, telling: Telling, out: TextIO) -> None:  # noqa: ARG001  # Gradescope shows the files itself
    """One object."""
    content: dict[str, Any] = {} if result.score is None else {"score": result.score}
    content |= {
        "execution_time": math.ceil(result.duration),
        "output": _output(result),
        # Plain text: what a learner's program printed must not become a page of Gradescope's.
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {"grader": _extra(result)},
        "tests": [
            _test(number, check, graded=result.score is not None) for number, check in enumerate(result.checks, 1)
        ],
    }
    if result.status is Status.PASSED and result.image:
        megabytes = round(result.image.size / 1e6, 1)
        content["leaderboard"] = [{"name": "Size of the image (MB)", "value": megabytes, "order": "asc"}]
    out.write(dumps(content))


def _output(result: GradeResult) -> str:
    lines = [_words.verdict(result), *_words.summary(result)]
    if problem := _words.untold(result):
        lines.append(_words.told(_words.problem_facts(problem), _words.problem_log(problem)))
    return "\n".join(lines)


def _extra(result: GradeResult) -> dict[str, Any]:
    return {
        "exercise": result.exercise,
        "status": str(result.status),
        "max_score": result.max_score,
        "rubric_digest": result.rubric_digest,
        "submission_digest": result.submission.digest,
    }


def _test(number: int, check: CheckResult, *, graded: bool) -> dict[str, Any]:
    test: dict[str, Any] = {
        "name": one_line(check.title),
        "name_format": "text",
        "number": str(number),
        "output": "" if check.status is Status.PASSED else _words.explained(check),
        "output_format": "text",
        "tags": [check.id, check.check, str(check.status), *(["bonus"] if check.bonus else [])],
        "visibility": "visible",
    }
    if graded:
        passed = check.status is Status.PASSED
        test |= {"score": check.score, "max_score": check.max_score, "status": "passed" if passed else "failed"}
    return test
