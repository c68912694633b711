"""`grader list`: the course as a map."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from grader.cli import recording
from grader.cli.options import course_option, course_words
from grader.errors import GraderError
from grader.reports._text import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from grader.course.exercise import Course, Exercise
    from grader.learn.progress import Record, Score

_GAP = "  "


class _Row(NamedTuple):
    exercise: Exercise
    record: Record | None
    state: str


@click.command("list", short_help="The course as a map: done, scores, what is next.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@course_option
def list_(*, as_json: bool, course: Path | None) -> None:
    """Shows the course: what is done, best and last score, what is next.

    Done is what was passed once. An exercise is `broken` when its rubric is missing or cannot be read; `grader verify`
    says what is wrong with it.
    """
    from grader.course.exercise import find_course  # noqa: PLC0415

    found = find_course(course)
    rows = _rows(found, _records(found))
    click.echo(json.dumps(_as_json(found, rows), indent=2) if as_json else "\n".join(_lines(found, rows, course)))


def _records(course: Course) -> Mapping[str, Record]:
    """A map without marks is better than none."""
    try:
        return recording.store().records(course)
    except GraderError as error:
        click.echo(f"{printable(error.what)} ({printable(error.where)})\n  mend:  {error.fix}", err=True)
        return {}


def _rows(course: Course, records: Mapping[str, Record]) -> list[_Row]:
    """In the course's order."""
    following = _next(course, records)
    return [
        _Row(exercise, record, "next" if exercise.id == following else _state(exercise, record))
        for exercise in course.exercises
        for record in [records.get(exercise.id)]
    ]


def _state(exercise: Exercise, record: Record | None) -> str:
    if exercise.broken:
        return "broken"
    if record and record.passed:
        return "done"
    return "begun" if record and record.last else ""


def _next(course: Course, records: Mapping[str, Record]) -> str | None:
    """What was graded last of that which is begun; without any, the first that is neither done nor broken."""
    open_ = [each for each in course.exercises if _state(each, records.get(each.id)) in ("", "begun")]
    graded = [
        (record.last.when, each.id) for each in open_ if (record := records.get(each.id)) and record.last is not None
    ]
    return max(graded)[1] if graded else next((each.id for each in open_), None)


def _lines(course: Course, rows: Sequence[_Row], given: Path | None) -> list[str]:
    cells = [("", "exercise", "title", "best", "last")]
    cells += [
        (
            row.state,
            row.exercise.id,
            one_line(row.exercise.title),
            _points(row.record.best if row.record else None),
            _points(row.record.last if row.record else None),
        )
        for row in rows
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(5)]
    if sys.stdout.isatty():
        # Only there: whoever reads it from a pipe gets all of it. Below twelve letters a title says nothing any more.
        room = shutil.get_terminal_size().columns - 2 - len(_GAP) * 4 - sum(widths) + widths[2]
        widths[2] = min(widths[2], max(12, room))
    table = [
        _GAP.join(
            _fitted(cell, width) if column < 3 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return [one_line(course.title), "", *(f"  {line}" for line in table), "", _summary(rows, given)]


def _fitted(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else f"{text[: width - 1]}…"


def _points(score: Score | None) -> str:
    return f"{score.score:g}/{score.max_score:g}" if score else "-"


def _summary(rows: Sequence[_Row], given: Path | None) -> str:
    done = sum(row.state == "done" for row in rows)
    following = next((row for row in rows if row.state == "next"), None)
    option = course_words(given)
    told = f"{done} of {len(rows)} done."
    if following is None:
        return told
    if following.record and following.record.last:
        return f"{told} Next: {following.exercise.id}.\n`grader hint {following.exercise.id}{option}` helps on."
    return f"{told} Next: `grader start {following.exercise.id}{option}`."


def _as_json(course: Course, rows: Sequence[_Row]) -> dict[str, Any]:
    return {
        "course": course.title,
        "next": next((row.exercise.id for row in rows if row.state == "next"), None),
        "exercises": [
            {
                "id": row.exercise.id,
                "title": row.exercise.title,
                "path": str(row.exercise.path),
                "broken": row.exercise.broken,
                "done": bool(row.record and row.record.passed),
                "best": _score(row.record.best if row.record else None),
                "last": _score(row.record.last if row.record else None),
                "gradings": row.record.gradings if row.record else 0,
                "hints_used": len(row.record.hints) if row.record else 0,
            }
            for row in rows
        ],
    }


def _score(score: Score | None) -> dict[str, Any] | None:
    return None if score is None else asdict(score)
