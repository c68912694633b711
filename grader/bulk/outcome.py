"""All that a bulk run leaves in its folder, in one pass over the verdicts: no more than one is held at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grader.bulk import feedback
from grader.bulk.exports import Exports
from grader.bulk.gradebook import Book, grades
from grader.bulk.groups import Groups
from grader.bulk.page import Page
from grader.errors import EngineError
from grader.files import tidy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from grader.bulk.journal import Journal
    from grader.bulk.learner import Learner
    from grader.bulk.plan import Row
    from grader.course.rubric import Rubric

#: Seconds to wait for another run that writes into the same folder.
_PATIENCE = 600.0
#: Learners without a verdict that are named, with the reason.
_NAMED = 20


@dataclass(frozen=True)
class Asked:
    """What is written: of which exercise, for which systems; ``again`` is the command that grades the errors again."""

    rubric: Rubric
    exercise: str
    again: str
    best: bool = False
    systems: Sequence[str] = ()


@dataclass
class Outcome:
    """What to tell at the end: rows by their status, some of the errors, what changed, what an export lacks."""

    counts: Counter[str] = field(default_factory=Counter)
    errors: list[tuple[str, str]] = field(default_factory=list)
    changes: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def write(out: Path, planned: Sequence[Row], journal: Journal, learners: Sequence[Learner], asked: Asked) -> Outcome:
    """Writes results, feedback, gradebook and exports into ``out``. Raises ``EngineError`` when that cannot be."""
    from filelock import FileLock  # noqa: PLC0415  # dear to import for a run that takes minutes to need it

    try:
        # Two runs in one folder would put aside each other's gradebook.
        with FileLock(out / ".gradebook.lock", timeout=_PATIENCE):
            return _write(out, planned, journal, learners, asked)
    except (OSError, NotImplementedError) as error:
        raise EngineError(
            f"The gradebook cannot be written: {getattr(error, 'strerror', None) or error}",
            "Make room there, or let it be written to, and run the same command again; what was graded is kept.",
            where=str(out),
        ) from error


def _write(out: Path, planned: Sequence[Row], journal: Journal, learners: Sequence[Learner], asked: Asked) -> Outcome:
    for folder in (out, out / feedback.RESULTS, out / feedback.FEEDBACK):
        tidy(folder)
    groups = Groups.of(planned)
    book, page = Book(asked.rubric), Page(asked.rubric, asked.exercise, asked.again)
    exports = Exports(asked.systems, {learner.name: learner for learner in learners})
    outcome = Outcome()
    for grade in grades(planned, journal, groups, best=asked.best):
        feedback.write(out, grade)
        book.add(grade)
        page.add(grade)
        exports.add(grade)
        outcome.counts[grade.status] += 1
        if grade.status == "error" and len(outcome.errors) < _NAMED:
            outcome.errors.append((grade.row.learner, grade.problem))
    outcome.changes = book.write(out)
    page.write(out, groups)
    outcome.notes = exports.write(out, asked.rubric, asked.exercise)
    return outcome
