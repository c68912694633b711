"""`gradebook.html`: the class on one page, for the instructor. It is complete in itself, as a learner's page is.

One script of ours sorts and filters the table; the page's policy allows it by its hash, and without it the table is
there all the same. What it shows depends on the verdicts alone: the same command again writes the same bytes.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from grader.bulk import feedback
from grader.bulk.gradebook import last_changes, points
from grader.files import written
from grader.reports import html
from grader.result import Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from grader.bulk.gradebook import Grade
    from grader.bulk.groups import Groups
    from grader.course.rubric import Rubric

FILE = "gradebook.html"
_BINS = 10
#: Of groups, of names in one, of changes and of reasons: more than that is in the CSV files.
_MOST = 200
WORDS = {"passed": "Passed", "failed": "Not passed", "error": "Not graded", "missing": "Nothing handed in"}


class Line(NamedTuple):
    """A row of the table. ``points`` are a check's points, None when it was not judged, and whether it has passed."""

    learner: str
    link: str
    status: str
    score: float | None
    points: tuple[tuple[float | None, bool], ...]
    submitted: str
    late: str
    attempt: int
    attempts: int
    problem: str
    same: str
    similar: str


@dataclass
class Tally:
    """How a check went: of those that it was judged for, how many have passed."""

    id: str
    title: str
    worth: float
    judged: int = 0
    passed: int = 0

    @property
    def share(self) -> float:
        """Of those judged, from 0 to 1."""
        return self.passed / self.judged if self.judged else 0.0

    @property
    def note(self) -> str:
        """What an instructor should know of it."""
        if self.judged < 2 or 0 < self.passed < self.judged:
            return ""
        return "Everybody passes it" if self.passed else "Nobody passes it: look at the check itself"


class Bin(NamedTuple):
    """A bar of the histogram: points from and below, how many have them, and its height in percent of the highest."""

    begin: float
    end: float
    learners: int
    height: float


class Page:
    """The page of a run, row by row."""

    def __init__(self, rubric: Rubric, exercise: str, again: str) -> None:
        """``again`` is the command that grades again what could not be graded."""
        self._rubric = rubric
        self._exercise = exercise
        self._again = again
        self._lines: list[Line] = []
        self._tallies = {check.id: Tally(check.id, check.title or check.id, check.points) for check in rubric.checks}
        self._stand_ins: set[str] = set()
        self._unfenced: set[str] = set()

    def add(self, grade: Grade) -> None:
        """One more row."""
        result, row = grade.result, grade.row
        linked = result is not None and "html" in feedback.formats()
        link = f"{feedback.FEEDBACK}/{quote(grade.file)}.html" if linked else ""
        handed = row.handed
        submitted = f"{handed.submitted:%Y-%m-%d %H:%M}" if handed and handed.submitted else ""
        shown = tuple(self._judged(grade.result, tally) for tally in self._tallies.values())
        self._lines.append(
            Line(
                row.learner, link, grade.status, grade.score, shown, submitted, row.late,
                row.attempt, row.attempts, grade.problem, grade.same, grade.similar,
            )
        )  # fmt: skip
        if result and result.get("engine"):
            self._stand_ins.update(result["engine"]["stand_ins"])
            # Verdicts of an older version say nothing of it.
            self._unfenced.update(result["engine"].get("missing_fences", ()))

    def _judged(self, result: Any, tally: Tally) -> tuple[float | None, bool]:
        """Counts a check of a verdict; one that was skipped was not judged, and gave nothing."""
        parts = [one for one in (result["checks"] if result else ()) if one["id"].partition("/")[0] == tally.id]
        passed = bool(parts) and all(one["status"] == "passed" for one in parts)
        if passed or any(one["status"] == "failed" for one in parts):
            tally.judged += 1
            tally.passed += passed
        found = points(result, tally.id)
        return (None if isinstance(found, str) else found), passed

    def write(self, out: Path, groups: Groups) -> None:
        """Writes it into ``out``, whole or not at all."""
        template = html.environment().get_template("gradebook.html.j2")
        with written(out / FILE) as file:
            for part in template.generate(self._content(out, groups)):
                file.write(part.encode("ascii", "xmlcharrefreplace").decode("ascii"))

    def _content(self, out: Path, groups: Groups) -> dict[str, Any]:
        style, script = html.inline("report.css", "gradebook.css"), html.inline("gradebook.js")
        scores = [line.score for line in self._lines if line.score is not None and line.status != "missing"]
        highest = self._rubric.max_score
        return {
            "title": self._rubric.title,
            "exercise": self._exercise,
            "style": Markup(style),  # noqa: S704  # our own file
            "script": Markup(script),  # noqa: S704  # our own file
            "policy": f"{html.POLICY}; style-src {html.hashed(style)}; script-src {html.hashed(script)}",
            "icon_url": html.icon(Status.PASSED),
            "words": WORDS,
            "counts": Counter(line.status for line in self._lines),
            "learners": len({line.learner for line in self._lines}),
            "lines": self._lines,
            "several": any(line.attempts > 1 for line in self._lines),
            "timed": any(line.submitted or line.late for line in self._lines),
            "checks": list(self._tallies.values()),
            "bins": _bins(scores, highest),
            "scored": len(scores),
            "median": statistics.median(scores) if scores else None,
            "mean": math.fsum(scores) / len(scores) if scores else None,
            "pass_score": self._rubric.pass_score,
            "pass_x": round(100 * min(self._rubric.pass_score / highest, 1), 2) if highest else 0,
            "max_score": highest,
            "reasons": _reasons(self._lines),
            "again": self._again,
            "same": _shown(tuple(names) for names in groups.same.values()),
            "alike": _shown(groups.alike()),
            "changes": last_changes(out)[:_MOST],
            "changed": len(last_changes(out)),
            "stand_ins": sorted(self._stand_ins),
            "unfenced": sorted(self._unfenced),
            "most": _MOST,
        }


def _bins(scores: Sequence[float], highest: float) -> list[Bin]:
    """Tenths of the full score; what goes over it with a bonus is in the last, what is below zero in the first."""
    if not scores or highest <= 0:
        return []
    count = Counter(min(max(int(_BINS * score / highest), 0), _BINS - 1) for score in scores)
    most = max(count.values())
    width = highest / _BINS
    return [Bin(n * width, (n + 1) * width, count[n], round(100 * count[n] / most, 2)) for n in range(_BINS)]


def _reasons(lines: Sequence[Line]) -> list[tuple[str, list[str]]]:
    """Who could not be graded, by the reason, the most frequent first."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.status == "error":
            found.setdefault(line.problem or "No reason is known", []).append(line.learner)
    return sorted(found.items(), key=lambda reason: -len(reason[1]))[:_MOST]


def _shown(groups: Any) -> list[tuple[str, ...]]:
    return sorted(groups, key=lambda names: (-len(names), names))[:_MOST]
