"""Who is graded: a folder of submissions, or the rows of a CSV file, -> learners and what each handed in.

A roster may be what these systems export themselves (GitHub Classroom's roster or grades, Canvas's gradebook, Moodle's
grading worksheet): who is who is then told by their numbers and names of users.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from grader.bulk import due, layouts
from grader.bulk.learner import Handed, Learner
from grader.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import tzinfo
    from pathlib import Path

#: What a roster's columns may be called, GitHub Classroom's own names among them; the first that is there counts.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "learner": (
        "learner",
        "roster_identifier",
        "full name",
        "student",
        "identifier",
        "github_username",
        "username",
        "name",
    ),
    "source": ("submission", "student_repository_url", "repository", "url", "path"),
    "commit": ("commit", "sha"),
    "submitted": ("submitted", "submission_timestamp", "time"),
    "due": ("due", "extension", "extended until", "due_at"),
}


def read(place: Path, roster: Path | None = None, zone: tzinfo | None = None) -> tuple[Learner, ...]:
    """The learners of a folder, or of a CSV file, sorted by name. ``zone`` is that of due times without one.

    ``roster`` is a CSV file that names all learners: those without a submission are there with none, and the folder's
    learners that it does not name are there all the same. Raises ``UsageError`` when there is nobody to be graded.
    """
    if place.is_file():
        handed, expected = _rows(place, zone)
    elif place.is_dir():
        handed, expected = list(layouts.read(place)), []
    else:
        raise UsageError("There are no submissions at this place", "Name a folder, or a CSV file.", where=str(place))
    if roster is not None:
        more, named = _rows(roster, zone)
        handed = list(_recognised(handed, named))
        # Where they lie here they need not be fetched.
        here = {each.learner for each in handed}
        handed += [each for each in more if each.learner not in here]
        expected = [*expected, *named]
    learners = _by_learner(handed, expected)
    if not learners:
        raise UsageError(
            "There is nobody to be graded",
            "It has to hold a folder or an archive for each learner.",
            where=str(place),
        )
    return learners


@dataclass(frozen=True)
class _Listed:
    """A row of a roster: a learner's name, all of its columns, and a due time of the learner's own."""

    name: str
    columns: Mapping[str, str]
    due: datetime | None = None

    @property
    def ids(self) -> Mapping[str, str]:
        """Numbers in other systems, as in `Handed`, and the user's name at GitHub."""
        identifier = re.fullmatch(r"\D*(\d+)", self.columns.get("identifier", ""))
        found = {"github": self.columns.get("github_username", "").casefold()}
        if "full name" in self.columns and identifier:
            found["moodle"] = identifier[1]
        if "student" in self.columns:
            found["canvas"] = self.columns.get("id", "")
        return {system: id_ for system, id_ in found.items() if id_}


def _recognised(handed: Iterable[Handed], listed: Iterable[_Listed]) -> Iterator[Handed]:
    """The same, each in the name by which the roster calls the learner."""
    names = {id_: one.name for one in listed for id_ in one.ids.items()}
    for each in handed:
        ids = [*each.ids.items(), ("github", each.learner.casefold())]
        name = next((names[id_] for id_ in ids if id_ in names), each.learner)
        yield replace(each, learner=name)


def _by_learner(handed: Iterable[Handed], listed: Iterable[_Listed]) -> tuple[Learner, ...]:
    """Two who have the same name and other numbers are two."""
    found: dict[tuple[str, str], list[Handed]] = {}
    rows: dict[tuple[str, str], _Listed] = {}
    for one in listed:
        who = (one.name, _number(one.ids))
        found.setdefault(who, [])
        rows.setdefault(who, one)
    handed = list(handed)
    alike = Counter(name for name, _ in {(each.learner, _number(each.ids)) for each in handed})
    for each in handed:
        who = (each.learner, _number(each.ids))
        if who not in found and alike[each.learner] == 1 and (each.learner, "") in found:
            who = (each.learner, "")  # the roster has no numbers
        found.setdefault(who, []).append(each)
    several = {name for name, count in Counter(name for name, _ in found).items() if count > 1}
    oldest = datetime.min.replace(tzinfo=UTC)
    learners = (
        Learner(
            f"{name} ({number})" if name in several and number else name,
            tuple(sorted(given, key=lambda each: (each.submitted or oldest, each.source))),
            rows[name, number].columns if (name, number) in rows else {},
            rows[name, number].due if (name, number) in rows else None,
        )
        for (name, number), given in found.items()
    )
    return tuple(sorted(learners, key=lambda learner: learner.name))


def _number(ids: Mapping[str, str]) -> str:
    return ids.get("moodle") or ids.get("canvas") or ""


# --- a CSV file -------------------------------------------------------------------------------------------------------


def _rows(path: Path, zone: tzinfo | None) -> tuple[list[Handed], list[_Listed]]:
    """What the rows hand in, and all learners that they name. Paths are beside the file."""
    try:
        # Spreadsheets write a mark at the start, and Latin letters in whatever their makers were used to.
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"The roster cannot be read: {error}", "Save it as CSV in UTF-8.", where=str(path)) from error
    columns = {key: _column(names, reader.fieldnames or ()) for key, names in _COLUMNS.items()}
    if not columns["learner"]:
        raise UsageError(
            "The roster has no column that names the learners",
            f"Its first line has to name one of them {', '.join(_COLUMNS['learner'])}.",
            where=f"{path}:1",
        )
    handed: list[Handed] = []
    listed: list[_Listed] = []
    for number, row in enumerate(rows, start=2):
        value = {key: (row.get(column) or "").strip() if column else "" for key, column in columns.items()}
        # Canvas's gradebook has rows that are nobody.
        if not value["learner"] or value["learner"] in ("Points Possible", "Student, Test"):
            continue
        kept = {str(name).strip().casefold(): text.strip() for name, text in row.items() if isinstance(text, str)}
        last = due.parse(value["due"], f"{path}:{number}", zone).time if value["due"] else None
        listed.append(_Listed(value["learner"], kept, last))
        if value["source"]:
            time = _time(value["submitted"], f"{path}:{number}")
            source = _placed(value["source"], path)
            handed.append(Handed(value["learner"], source, value["commit"], time, ids=listed[-1].ids))
    return handed, listed


def _column(names: Sequence[str], given: Sequence[str]) -> str:
    known = {name.strip().casefold(): name for name in given if name}
    return next((known[name] for name in names if name in known), "")


def is_address(source: str) -> bool:
    """Whether this is the address of a git repository rather than a path."""
    return bool(re.match(r"[a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+:", source))


def _placed(source: str, roster: Path) -> str:
    return source if is_address(source) else str(roster.parent / source)


def _time(text: str, where: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.replace(" UTC", "+00:00"))
    except ValueError as error:
        fix = "Write it as 2026-11-23T10:00:00Z, or leave it empty."
        raise UsageError(f"The roster has a time that is none: {text}", fix, where=where) from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
