"""What comes out of a bulk run: the gradebook, a result and feedback for each learner.

`gradebook.csv` has one row a learner and one column a check. It is written whole or not at all; an older one is kept
beside it, and `changes.csv` says what is another one now.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grader.bulk.files import written
from grader.bulk.names import FileNames
from grader.bulk.run import reason
from grader.reports._text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

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


@dataclass
class Groups:
    """Who handed in the same, to the byte or but for comments and blanks: something to look at, not an accusation."""

    same: dict[str, list[str]] = field(default_factory=dict)
    similar: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, planned: Iterable[Row]) -> Groups:
        """The groups of two learners and more; what was refused is no group."""
        found = cls()
        for row in planned:
            if row.key is None or row.key.submission.startswith("refused:"):
                continue
            _add(found.same, row.key.submission, row.learner)
            if row.shape:
                _add(found.similar, row.shape, row.learner)
        for groups in (found.same, found.similar):
            for key in [key for key, names in groups.items() if len(names) < 2]:
                del groups[key]
        return found

    def same_as(self, row: Row) -> str:
        """The other learners who handed in these very files."""
        return self._others(self.same, row.key.submission if row.key else "", row.learner)

    def similar_to(self, row: Row) -> str:
        """The others whose Dockerfile is the same but for comments, blanks and letter case; without those above."""
        same = set(self.same.get(row.key.submission, ())) if row.key else set()
        others = [name for name in self.similar.get(row.shape, ()) if name not in same]
        return _listed(name for name in others if name != row.learner)

    @staticmethod
    def _others(groups: Mapping[str, Sequence[str]], key: str, learner: str) -> str:
        return _listed(name for name in groups.get(key, ()) if name != learner)


def _add(groups: dict[str, list[str]], key: str, name: str) -> None:
    names = groups.setdefault(key, [])
    if name not in names:
        names.append(name)


def _listed(names: Iterable[str], most: int = 5) -> str:
    found = list(names)
    return "; ".join(found[:most]) + (f"; and {len(found) - most} more" if len(found) > most else "")


def grades(planned: Sequence[Row], journal: Journal, *, best: bool) -> Iterator[Grade]:
    """The rows with their verdicts, one at a time. With ``best`` the best of a learner's attempts alone."""
    groups = Groups.of(planned)
    names = FileNames()
    for rows in _by_learner(planned):
        found = [(row, journal.result(row.key) if row.key else None) for row in rows]
        if best and len(found) > 1:
            found = [max(found, key=lambda one: _worth(one[1]))]
        for row, result in found:
            name = row.learner if len(found) == 1 else f"{row.learner}-{row.attempt}"
            yield Grade(row, _of(row.learner, result), groups.same_as(row), groups.similar_to(row), names.of(name))


def _by_learner(planned: Sequence[Row]) -> Iterator[list[Row]]:
    rows: list[Row] = []
    for row in planned:
        if rows and rows[0].learner != row.learner:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def _of(learner: str, result: dict[str, Any] | None) -> dict[str, Any] | None:
    """A verdict that several share, in the name of one of them."""
    return result and result | {"submission": result["submission"] | {"name": learner}}


def _worth(result: Mapping[str, Any] | None) -> float:
    """What has no score may be worth more than all that has one, and is not passed by for it."""
    score = result["score"] if result else None
    return math.inf if score is None else float(score)


def write(out: Path, found: Iterable[Grade], rubric: Rubric) -> dict[str, str]:
    """Writes the gradebook into ``out``; an older one that says something else is kept, and what changed is told.

    Returns the learners whose grade is another one than in the older gradebook, with both in words.
    """
    ids = [check.id for check in rubric.checks]
    path = out / FILE
    text = _csv((*_BEFORE, *ids, *_AFTER), (_cells(grade, ids) for grade in found))
    older = path.read_text(encoding="utf-8") if path.is_file() else ""
    if older == text:
        return {}
    changes = _changes(older, text) if older else {}
    if older:
        written(_aside(path), older)
        written(out / CHANGES, _csv(("learner", "change"), changes.items()))
    written(path, text)
    return changes


def _cells(grade: Grade, ids: Sequence[str]) -> list[Any]:
    row, result = grade.row, grade.result
    handed = row.handed
    submitted = handed.submitted.isoformat().replace("+00:00", "Z") if handed and handed.submitted else ""
    before = [row.learner, grade.status, grade.score, result["max_score"] if result else "", submitted]
    before += ["yes" if handed and handed.late else "", row.attempt or "", row.attempts or ""]
    problem = row.trouble or (reason(dict(result)) if result and (result["problem"] or grade.status == "error") else "")
    after = [problem, grade.same, grade.similar, f"results/{grade.file}.json" if result else ""]
    return [*before, *(_points(result, one) for one in ids), *after, handed.source if handed else ""]


def _points(result: Mapping[str, Any] | None, check: str) -> float | str:
    """Of a check that is many, their sum; nothing when it was not judged."""
    parts = [one for one in (result["checks"] if result else ()) if one["id"].partition("/")[0] == check]
    if not parts or any(one["score"] is None for one in parts):
        return ""
    points = round(math.fsum(one["score"] for one in parts), 6)
    return int(points) if points.is_integer() else points


def _csv(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def harmless(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula (OWASP, "CSV Injection"), on one line."""
    if not isinstance(cell, str):
        return "" if cell is None else cell
    text = " ".join(printable(cell).split())
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _changes(older: str, newer: str) -> dict[str, str]:
    before, after = _grades_in(older), _grades_in(newer)
    told = {}
    for name in {**before, **after}:
        was, now = before.get(name, "not there"), after.get(name, "not there")
        if was != now:
            told[name] = f"{was} -> {now}"
    return told


def _grades_in(text: str) -> dict[str, str]:
    rows = csv.DictReader(io.StringIO(text))
    return {row["learner"]: f"{row['status']} {row['score']}".strip() for row in rows}


def _aside(path: Path) -> Path:
    """A name for an older gradebook that nothing has yet: gradebook.1.csv, ..."""
    number = 1
    while (found := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    return found
