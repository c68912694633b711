"""What comes out of a bulk run: the gradebook, a result and feedback for each learner.

`gradebook.csv` has one row a learner and one column a check. It is written whole or not at all; an older one is kept
beside it, and `changes.csv` says what is another one now.
"""

from __future__ import annotations

import csv
import io
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from grader.bulk.names import FileNames
from grader.bulk.run import reason
from grader.files import put_if_other
from grader.redacted import redacted
from grader.reports.csv import cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from grader.bulk.groups import Groups
    from grader.bulk.journal import Journal
    from grader.bulk.plan import Row
    from grader.course.rubric import Rubric

FILE = "gradebook.csv"
CHANGES = "changes.csv"
#: The columns before those of the checks, and after them.
_BEFORE = ("learner", "status", "score", "max_score", "submitted", "late", "attempt", "attempts")
_AFTER = ("problem", "same_files_as", "similar_to", "result", "source")


@dataclass(frozen=True)
class Grade:
    """A row of the gradebook: what was planned, and its verdict as ``grader.result/1``; None when there is none."""

    row: Row
    result: Mapping[str, Any] | None
    same: str = ""
    similar: str = ""
    file: str = ""

    @property
    def status(self) -> str:
        """``passed``, ``failed``, ``error``, or ``missing`` when nothing was handed in."""
        if self.row.handed is None:
            return "missing"
        return str(self.result["status"]) if self.result else "error"

    @property
    def score(self) -> float | None:
        """Points; nothing handed in is none at all, and a fault of ours is no number."""
        if self.row.handed is None:
            return 0
        return self.result["score"] if self.result else None

    @property
    def problem(self) -> str:
        """Why there is no verdict, or what was wrong with the submission as a whole."""
        if self.row.trouble or not self.result:
            return self.row.trouble or ("" if self.row.handed is None else "Not graded yet")
        return reason(dict(self.result)) if self.result["problem"] or self.status == "error" else ""


def grades(planned: Sequence[Row], journal: Journal, groups: Groups, *, best: bool) -> Iterator[Grade]:
    """The rows with their verdicts, one at a time. With ``best`` the best of a learner's attempts alone."""
    names = FileNames()
    for rows in _by_learner(planned):
        found = [(row, journal.result(row.key) if row.key else None) for row in rows]
        if best and len(found) > 1:
            found = [max(found, key=lambda one: _worth(one[1]))]
        for row, result in found:
            name = row.learner if len(found) == 1 else f"{row.learner}-{row.attempt}"
            yield Grade(row, _of(row, result), groups.same_as(row), groups.similar_to(row), names.of(name))


def _by_learner(planned: Sequence[Row]) -> Iterator[list[Row]]:
    rows: list[Row] = []
    for row in planned:
        if rows and rows[0].learner != row.learner:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def _of(row: Row, result: dict[str, Any] | None) -> dict[str, Any] | None:
    """A verdict that several share, in the name of one of them, with what is told of that one's submission."""
    if not result:
        return result
    return result | {
        "submission": result["submission"] | {"name": row.learner},
        "notes": [*row.notes, *result.get("notes", ())],
    }


def _worth(result: Mapping[str, Any] | None) -> float:
    """What has no score may be worth more than all that has one, and is not passed by for it."""
    score = result["score"] if result else None
    return math.inf if score is None else float(score)


class Book:
    """The gradebook of a run, row by row."""

    def __init__(self, rubric: Rubric) -> None:
        """It has the names of its columns."""
        self._ids = [check.id for check in rubric.checks]
        self._text = io.StringIO()
        self._rows = table(self._text, (*_BEFORE, *self._ids, *_AFTER))

    def add(self, grade: Grade) -> None:
        """One more row."""
        self._rows(_cells(grade, self._ids))

    def write(self, out: Path) -> dict[str, str]:
        """Writes it into ``out``; an older one that says something else is kept, and what changed is told.

        Returns the learners whose grade is another one than in the older gradebook, with both in words.
        """
        path, text = out / FILE, self._text.getvalue()
        # Somebody may have opened and saved it in a spreadsheet.
        older = path.read_text(encoding="utf-8-sig", errors="replace") if path.is_file() else ""
        if older == text:
            return {}
        changes = _changes(older, text) if older else {}
        if older:
            put_if_other(_aside(path), older)
            changed = io.StringIO()
            row = table(changed, ("learner", "change"))
            for change in changes.items():
                row(change)
            put_if_other(out / CHANGES, changed.getvalue())
        put_if_other(path, text, synced=True)
        return changes


def last_changes(out: Path) -> list[tuple[str, str]]:
    """What the last regrade changed, as it was written down."""
    try:
        text = (out / CHANGES).read_text(encoding="utf-8-sig", errors="replace")
        return [(row[0], row[1]) for row in list(csv.reader(io.StringIO(text)))[1:] if len(row) == 2]
    except (OSError, csv.Error):
        return []


def _cells(grade: Grade, ids: Sequence[str]) -> list[Any]:
    row, result = grade.row, grade.result
    handed = row.handed
    submitted = handed.submitted.isoformat().replace("+00:00", "Z") if handed and handed.submitted else ""
    before = [row.learner, grade.status, grade.score, result["max_score"] if result else "", submitted]
    before += [row.late, row.attempt or "", row.attempts or ""]
    after = [grade.problem, grade.same, grade.similar, f"results/{grade.file}.json" if result else ""]
    return [*before, *(points(result, one) for one in ids), *after, redacted(handed.source) if handed else ""]


def points(result: Mapping[str, Any] | None, check: str) -> float | str:
    """Of a check that is many, their sum; nothing when it was not judged."""
    parts = [one for one in (result["checks"] if result else ()) if one["id"].partition("/")[0] == check]
    if not parts or any(one["score"] is None for one in parts):
        return ""
    points = round(math.fsum(one["score"] for one in parts), 6)
    return int(points) if points.is_integer() else points


def table(out: TextIO, header: Iterable[str]) -> Callable[[Iterable[Any]], object]:
    """Begins a CSV file; what is returned adds a row, in which no cell is a formula to a spreadsheet."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    return lambda row: writer.writerow([cell(content) for content in row])


def _changes(older: str, newer: str) -> dict[str, str]:
    before, after = _grades_in(older), _grades_in(newer)
    told = {}
    for name in {**before, **after}:
        was, now = before.get(name, "not there"), after.get(name, "not there")
        if was != now:
            told[name] = f"{was} -> {now}"
    return told


def _grades_in(text: str) -> dict[str, str]:
    """Grades by learner, and by attempt where there are several; of a file that is no gradebook none."""
    found = {}
    with suppress(csv.Error):
        for row in csv.DictReader(io.StringIO(text)):
            name = row.get("learner") or ""
            name += f" ({row['attempt']})" if row.get("attempts") not in ("", "1", None) else ""
            found[name] = f"{row.get('status')} {row.get('score')}".strip()
    return found


def _aside(path: Path) -> Path:
    """A name for an older gradebook that nothing has yet: gradebook.1.csv, ..."""
    number = 1
    while (found := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    return found
