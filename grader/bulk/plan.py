"""Learners -> the rows of the gradebook, and what of it has to be graded."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import grader
from grader.bulk import bare, due
from grader.bulk.handed import committed
from grader.bulk.journal import Key
from grader.bulk.one import fingerprint
from grader.bulk.roster import is_address
from grader.bulk.run import Task
from grader.errors import GraderError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from grader.bulk.due import Due
    from grader.bulk.journal import Journal
    from grader.bulk.learner import Handed, Learner
    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.engine.bases import Base

#: Which of several submissions counts: the newest, the newest that is not late, the one with the most points, or each
#: in a row of its own.
ATTEMPTS = ("latest", "in-time", "best", "all")


@dataclass(frozen=True)
class Row:
    """One submission of a learner, or a learner without any: then all but ``learner`` is empty.

    ``attempt`` counts from 1, ``attempts`` are as many as there are. ``trouble`` says why it could not even be read
    through no fault of the learner's; then it has no ``key``. ``late`` is one of `due`'s words; ``notes`` are what is
    told of the submission itself, whoever shares its verdict.
    """

    learner: str
    handed: Handed | None = None
    attempt: int = 0
    attempts: int = 0
    key: Key | None = None
    shape: str = ""
    trouble: str = ""
    late: str = ""
    notes: tuple[str, ...] = ()


def rows(  # noqa: PLR0913  # what a command lets its user say
    learners: Iterable[Learner],
    exercise: Exercise,
    rubric: Rubric,
    bases: Sequence[Base],
    *,
    attempts: str,
    last: Due | None = None,
) -> Iterator[Row]:
    """A row for each submission that may count, in the order of the learners; ``last`` is when it was due."""
    of_exercise, of_bases = _exercise_digest(exercise, rubric), _digest(f"{base.reference} {base.id}" for base in bases)
    for learner in learners:
        if not learner.handed:
            yield Row(learner.name)
        numbered = list(enumerate(_in_order(learner.handed), start=1))
        chosen = numbered
        if attempts == "in-time":
            chosen = [(number, handed) for number, handed in numbered if due.late(handed, learner, last) != due.YES]
        if numbered and not chosen:
            yield Row(learner.name, attempts=len(numbered), late=due.YES, trouble="Nothing was handed in in time")
        for number, handed in chosen[-1:] if attempts in ("latest", "in-time") else chosen:
            row = Row(
                learner.name, handed, number, len(numbered),
                late=due.late(handed, learner, last), notes=tuple(_notes(handed, learner, last)),
            )  # fmt: skip
            try:
                found = fingerprint(exercise, rubric, handed)
            except (GraderError, OSError) as error:
                trouble = error.what if isinstance(error, GraderError) else f"It cannot be read: {error.strerror}"
                yield replace(row, trouble=trouble)
                continue
            # One text for all that are the same: thousands of rows are kept.
            key = Key(of_exercise, sys.intern(found.digest), of_bases, grader.__version__)
            yield replace(row, key=key, shape=sys.intern(found.shape))


def _notes(handed: Handed, learner: Learner, last: Due | None) -> Iterator[str]:
    if late := due.told(handed, learner, last):
        yield late
    for name, path in handed.files.items():
        uploaded = bare.uploaded(Path(path).name)
        if uploaded != name:
            yield f"Graded as `{name}`; it was handed in as `{uploaded}`"


def _in_order(handed: Iterable[Handed]) -> list[Handed]:
    """Oldest first. The time is that of the commit, where there is a repository, whatever a roster says."""
    oldest = datetime.min.replace(tzinfo=UTC)
    return sorted(map(_dated, handed), key=lambda each: (each.submitted or oldest, each.source))


def _dated(handed: Handed) -> Handed:
    """A folder is looked into for a repository only now: it takes a program to ask one."""
    time = committed(Path(handed.source)) if not is_address(handed.source) else None
    return replace(handed, submitted=time) if time else handed


def tasks(planned: Iterable[Row], journal: Journal, rerun: str = "") -> list[Task]:
    """What has to be graded: what has no verdict or ended in an error, and what ``rerun`` asks for, each once.

    ``rerun`` is ``errors`` (those alone), ``failed``, ``all``, or a learner's name.
    """
    found: dict[Key, Task] = {}
    for row in planned:
        if row.key is None or row.handed is None or row.key in found:
            continue
        status, times = journal.standing(row.key)
        wanted = {"error"} if rerun == "errors" else {"", "error"} | ({"failed"} if rerun == "failed" else set())
        if status in wanted or rerun in ("all", row.learner):
            found[row.key] = Task(row.key, row.learner, row.handed, times)
    return list(found.values())


def _exercise_digest(exercise: Exercise, rubric: Rubric) -> str:
    """Over the rubric and every other file of the exercise: what an author changes, learners are graded by anew."""
    files = sorted(path for path in exercise.path.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    parts = [f"{path.relative_to(exercise.path)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    return _digest([rubric.digest, *parts])


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
