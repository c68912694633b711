"""Classroom 50's ``result.json``, ``classroom50/result/v1``.

Its points are whole numbers: the tests' add up to the whole's, no test has more than its maximum, and the whole not
more than its own. What Classroom 50's runner knows comes from the environment that it gives an autograder: CLASSROOM,
ASSIGNMENT, ASSIGNMENT_TYPE, OWNER, SUBMISSION_TAG, COMMIT_URL, RELEASE_URL and REVIEW_URL; elsewhere words stand in for
it. (Its wiki, "Advanced Autograding", and ``runner.py``.) ``templates/autograder.py`` is the autograder that calls us.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from grader.reports import _words
from grader.reports._json import dumps
from grader.reports._points import apportioned, rounded
from grader.reports._text import one_line
from grader.reports._workflow import harmless
from grader.result import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.reports import Telling
    from grader.result import CheckResult, GradeResult

_SCHEMA = "classroom50/result/v1"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def write(result: GradeResult, telling: Telling, out: TextIO) -> None:  # noqa: ARG001  # the Dockerfile is in the checkout
    """One object. When nothing could be graded it has no score, so that nobody takes it for a grade."""
    content = _surroundings(os.environ, result)
    if result.score is None:
        out.write(dumps(content | {"error": _words.verdict(result), "tests": []}))
        return
    scores, maxima = _points(result)
    tests = [_test(check, *points) for check, *points in zip(result.checks, scores, maxima, strict=True)]
    out.write(dumps(content | {"score": sum(scores), "max-score": sum(maxima), "tests": tests}))


def _points(result: GradeResult) -> tuple[list[int], list[int]]:
    """Scores and maxima of the checks: what is earned first, then what is missing, so that none exceeds the other.

    A bonus counts as far as there is room for it below the full score: Classroom 50 refuses more.
    """
    full = rounded(result.max_score)
    total = min(rounded(result.score or 0.0), full)
    earned = [check.score or 0.0 for check in result.checks]
    bonus = [points if check.bonus else 0.0 for check, points in zip(result.checks, earned, strict=True)]
    own = math.fsum(earned) - math.fsum(bonus)
    room = max(0.0, result.max_score - own)
    share = min(1.0, room / math.fsum(bonus)) if math.fsum(bonus) else 1.0
    counted = [points - extra * (1 - share) for points, extra in zip(earned, bonus, strict=True)]
    missing = [0.0 if c.bonus else c.max_score - (c.score or 0.0) for c in result.checks]
    scores = apportioned(counted, total)
    lost = apportioned(missing if any(missing) else [c.max_score for c in result.checks], full - total)
    return scores, [score + more for score, more in zip(scores, lost, strict=True)]


def _test(check: CheckResult, score: int, max_score: int) -> dict[str, Any]:
    """The keys of the schema, and ours: what a reader of a gradebook may want to know."""
    return {
        "test-name": one_line(check.title) or check.id,
        "passed": check.status is Status.PASSED,
        "score": score,
        "max-score": max_score,
        "id": check.id,
        "status": str(check.status),
        "points": check.score,
        "max-points": check.max_score,
        "bonus": check.bonus,
        "line": check.line,
        "message": "" if check.status is Status.PASSED else harmless(_words.explained(check)),
    }


def _surroundings(environment: Mapping[str, str], result: GradeResult) -> dict[str, Any]:
    """What Classroom 50 knows of a submission; its runner overwrites owner, type and time with what it knows itself."""
    tag = environment.get("SUBMISSION_TAG", "")
    commit = environment.get("COMMIT_URL") or "unknown"
    graded = datetime.fromisoformat(result.started)
    return {
        "schema": _SCHEMA,
        "classroom": environment.get("CLASSROOM") or "unknown",
        "assignment": environment.get("ASSIGNMENT") or result.exercise,
        "assignment_type": "group" if environment.get("ASSIGNMENT_TYPE") == "group" else "individual",
        "owner": environment.get("OWNER")
        or environment.get("USERNAME")
        or one_line(result.submission.name)
        or "unknown",
        "submission": tag if tag.startswith("submit/") else "submit/unknown",
        "commit": commit,
        "release": environment.get("RELEASE_URL") or "unknown",
        "review": environment.get("REVIEW_URL") or commit,
        "datetime": (_committed(environment.get("GITHUB_SHA", "")) or _tagged(tag) or graded).strftime(_TIME),
        "graded_at": graded.strftime(_TIME),
    }


def _committed(commit: str) -> datetime | None:
    """When the graded commit was made, the same at every regrade; None where git does not know it."""
    if not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        return None
    # In a container the checkout may be another user's, and git then asks to be told that this is meant.
    command = ["git", "-c", "safe.directory=*", "log", "-1", "--format=%ct", commit, "--"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        return datetime.fromtimestamp(int(done.stdout), UTC)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _tagged(tag: str) -> datetime | None:
    """When it was handed in, by Classroom 50's name of a submission: ``submit/2026-06-01T14-32-05Z-a1b2c3d``."""
    found = re.match(r"submit/(\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z)", tag)
    try:
        return datetime.strptime(found[1], "%Y-%m-%dT%H-%M-%SZ").replace(tzinfo=UTC) if found else None
    except ValueError:
        return None
