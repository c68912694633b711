"""The grades as other systems import them: `--for github`, `canvas` and `moodle`.

A system knows a learner by an identifier of its own. It comes from the names of what was downloaded there, or from a
roster that the system exported; who has none is told of. Who has no verdict has no row, for an empty cell is a grade to
some: Canvas would delete a score with it.

Sources of the formats: GitHub Classroom's grades as `gh classroom assignment-grades` writes them; Canvas's
`lib/gradebook_importer.rb`; Moodle's `mod/assign/feedback/offline/importgradeslib.php`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grader.bulk.gradebook import table
from grader.files import put_if_other
from grader.redacted import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from grader.bulk.gradebook import Grade
    from grader.bulk.learner import Learner
    from grader.course.rubric import Rubric

_GITHUB = (
    "assignment_name", "assignment_url", "starter_code_url", "github_username", "roster_identifier",
    "student_repository_name", "student_repository_url", "submission_timestamp", "points_awarded", "points_available",
)  # fmt: skip
_CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
_MOODLE = ("Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade", "Last modified (grade)")


@dataclass(frozen=True)
class Graded:
    """Whose grade is handed on, and what is known of it there."""

    learner: Learner
    ids: Mapping[str, str]
    score: float
    submitted: str
    source: str

    def listed(self, column: str) -> str:
        """What the roster says in a column."""
        return self.learner.listed.get(column.casefold(), "")


@dataclass(frozen=True)
class System:
    """``header`` and ``rows`` make the file; ``known`` says whether the system can tell whose a row is."""

    rows: Callable[[Sequence[Graded], Rubric, str], Iterator[Sequence[Any]]]
    known: Callable[[Graded], object]
    mend: str


@dataclass
class Exports:
    """What is handed on of a run; one row a learner, that of the last attempt where all have rows."""

    systems: Sequence[str]
    learners: Mapping[str, Learner]
    _graded: dict[str, Graded] = field(default_factory=dict)

    def add(self, grade: Grade) -> None:
        """One more row of the gradebook."""
        learner, handed = self.learners.get(grade.row.learner), grade.row.handed
        if not self.systems or learner is None:
            return
        self._graded.pop(learner.name, None)
        if grade.score is None:
            return
        submitted = f"{handed.submitted:%Y-%m-%dT%H:%M:%SZ}" if handed and handed.submitted else ""
        ids = handed.ids if handed else {}
        source = redacted(handed.source) if handed else ""
        self._graded[learner.name] = Graded(learner, ids, grade.score, submitted, source)

    def write(self, out: Path, rubric: Rubric, exercise: str) -> list[str]:
        """Writes a file for each system; returns what its user should know."""
        told = []
        for name in self.systems:
            system, graded = SYSTEMS[name], list(self._graded.values())
            text = io.StringIO()
            rows = system.rows(graded, rubric, exercise)
            row = table(text, next(rows))
            for content in rows:
                row(content)
            put_if_other(out / f"{name}.csv", text.getvalue())
            unknown = [one.learner.name for one in graded if not system.known(one)]
            if unknown:
                told.append(f"{name}.csv: {len(unknown)} have no identifier there, {unknown[0]} first. {system.mend}")
        return told


def _github(graded: Sequence[Graded], rubric: Rubric, exercise: str) -> Iterator[Sequence[Any]]:
    yield _GITHUB
    for one in graded:
        name = one.listed("github_username") or one.learner.name
        url = one.listed("student_repository_url") or redacted(one.source if "://" in one.source else "")
        yield (
            one.listed("assignment_name") or exercise, one.listed("assignment_url"), one.listed("starter_code_url"),
            name, one.listed("roster_identifier") or one.listed("identifier"),
            one.listed("student_repository_name"), url,
            one.submitted or one.listed("submission_timestamp"), one.score, rubric.max_score,
        )  # fmt: skip


def _canvas(graded: Sequence[Graded], rubric: Rubric, _exercise: str) -> Iterator[Sequence[Any]]:
    """Canvas finds the assignment by its title, or by the number behind it where its own gradebook names it."""
    start = f"{rubric.title.casefold()} ("
    columns = graded[0].learner.listed if graded else {}
    number = next((name[len(start) - 1 :] for name in columns if name.startswith(start)), "")
    yield (*_CANVAS, f"{rubric.title} {number}".rstrip())
    yield ("Points Possible", "", "", "", "", rubric.max_score)
    for one in graded:
        login = one.listed("SIS Login ID")
        yield (one.learner.name, _canvas_id(one), one.listed("SIS User ID"), login, one.listed("Section"), one.score)


def _canvas_id(one: Graded) -> str:
    return one.ids.get("canvas") or (one.listed("id") if "student" in one.learner.listed else "")


def _moodle(graded: Sequence[Graded], rubric: Rubric, _exercise: str) -> Iterator[Sequence[Any]]:
    """A row without a participant's number is no row to Moodle."""
    yield _MOODLE
    for one in filter(_participant, graded):
        name, email, status = one.listed("full name") or one.learner.name, one.listed("email address"), "status"
        modified = one.listed("last modified (grade)") or "-"
        yield (_participant(one), name, email, one.listed(status), one.score, rubric.max_score, modified)


def _participant(one: Graded) -> str:
    """As the worksheet has it, for the word is another one in other languages."""
    number = one.ids.get("moodle")
    return one.listed("identifier") if "full name" in one.learner.listed else f"Participant {number}" if number else ""


SYSTEMS = {
    "github": System(
        _github,
        lambda one: one.listed("github_username") or not one.learner.listed,
        "Name the classroom's roster with --roster.",
    ),
    "canvas": System(
        _canvas,
        lambda one: _canvas_id(one) or one.listed("SIS User ID") or one.listed("SIS Login ID"),
        "Export the gradebook in Canvas, and name that file with --roster.",
    ),
    "moodle": System(
        _moodle, _participant, "Download the grading worksheet in Moodle, and name that file with --roster."
    ),
}
