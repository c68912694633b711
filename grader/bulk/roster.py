"""Who is graded: a folder of submissions, or the rows of a CSV file, -> learners and what each handed in.

Read are the layouts of

- plain folders and archives, one a learner, named after the learner;
- `gh classroom clone student-repos`: ``<assignment>-submissions/<assignment>-<learner>/``;
- Classroom 50's downloads: ``<classroom>-<assignment>-<learner>/``, with a ``result.json`` in it;
- Moodle's "Download all submissions": ``<Full name>_<participant>_assignsubmission_file_…``;
- Canvas's "Download Submissions": ``<learner>[_LATE]_<user id>_<submission id>_<file>``.
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from grader.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
#: Beside submissions, never one: what tools and file managers leave, and what a classroom's download adds.
_LITTER = re.compile(r"\..*|__MACOSX|Thumbs\.db|desktop\.ini", re.IGNORECASE)
_MOODLE = re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)(?:_.*)?", re.DOTALL)
_CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<id>\d+)_(?P<attempt>\d+)_.+", re.DOTALL)
#: What a roster's columns may be called, GitHub Classroom's own names among them; the first that is there counts.
_COLUMNS = {
    "learner": ("learner", "roster_identifier", "identifier", "github_username", "username", "name"),
    "source": ("submission", "student_repository_url", "repository", "url", "path"),
    "commit": ("commit", "sha"),
    "submitted": ("submitted", "submission_timestamp", "time"),
}


@dataclass(frozen=True)
class Handed:
    """One thing that somebody handed in.

    ``source`` is a folder, an archive, or the address of a git repository, then with the ``commit`` to take, its newest
    when empty. ``submitted`` is in UTC, None when nothing tells it. ``ids`` are the learner's in other systems
    (``moodle``, ``canvas``), for their import files.
    """

    learner: str
    source: str
    commit: str = ""
    submitted: datetime | None = None
    late: bool = False
    ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Learner:
    """Somebody who is graded, and what was handed in, oldest first; nothing is a row too, not a gap."""

    name: str
    handed: tuple[Handed, ...] = ()


def read(place: Path, roster: Path | None = None) -> tuple[Learner, ...]:
    """The learners of a folder, or of a CSV file, sorted by name.

    ``roster`` is a CSV file that names all learners: those without a submission are there with none, and the folder's
    learners that it does not name are there all the same. Raises ``UsageError`` when there is nobody to be graded.
    """
    if place.is_file():
        handed, expected = _rows(place)
    elif place.is_dir():
        handed, expected = list(_folder(place)), []
    else:
        raise UsageError("There are no submissions at this place", "Name a folder, or a CSV file.", where=str(place))
    if roster is not None:
        more, named = _rows(roster)
        handed, expected = [*handed, *more], [*expected, *named]
    learners = _by_learner(handed, expected)
    if not learners:
        raise UsageError(
            "There is nobody to be graded",
            "It has to hold a folder or an archive for each learner.",
            where=str(place),
        )
    return learners


def _by_learner(handed: Iterable[Handed], expected: Iterable[str]) -> tuple[Learner, ...]:
    found: dict[str, list[Handed]] = {name: [] for name in expected}
    for each in handed:
        found.setdefault(each.learner, []).append(each)
    oldest = datetime.min.replace(tzinfo=UTC)
    return tuple(
        Learner(name, tuple(sorted(found[name], key=lambda each: (each.submitted or oldest, each.source))))
        for name in sorted(found)
    )


# --- a folder ---------------------------------------------------------------------------------------------------------


def _folder(place: Path) -> Iterator[Handed]:
    entries = [entry for entry in sorted(place.iterdir()) if _may_be_one(entry)]
    if len(entries) == 1 and entries[0].is_dir() and entries[0].name.endswith("-submissions"):
        yield from _folder(entries[0])
        return
    prefix = _prefix(place, entries)
    for entry in entries:
        yield _named(entry, prefix)


def _may_be_one(entry: Path) -> bool:
    """Folders, links to folders included (whoever made the list of submissions made them), and archives."""
    if _LITTER.fullmatch(entry.name):
        return False
    return entry.is_dir() or (entry.is_file() and entry.name.lower().endswith(ARCHIVES))


def _prefix(place: Path, entries: Sequence[Path]) -> str:
    """What stands before each learner's name, where a classroom's tool has put it there."""
    if place.name.endswith("-submissions"):
        prefix = place.name.removesuffix("submissions")
        if all(entry.name.startswith(prefix) for entry in entries):
            return prefix
    results = [_classroom50(entry) for entry in entries]
    prefixes = {f"{found['classroom']}-{found['assignment']}-" for found in results if found}
    if len(prefixes) == 1 and all(results):
        (prefix,) = prefixes
        if all(entry.name.startswith(prefix) for entry in entries):
            return prefix
    return ""


def _classroom50(entry: Path) -> dict[str, str] | None:
    """What the ``result.json`` of a Classroom 50 download says of where it came from."""
    try:
        said = json.loads((entry / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(said, dict) or said.get("schema") != "classroom50/result/v1":
        return None
    return {key: str(said.get(key, "")) for key in ("classroom", "assignment")}


def _named(entry: Path, prefix: str) -> Handed:
    name = entry.name
    for ending in ARCHIVES if entry.is_file() else ():
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    submitted = _changed(entry) if entry.is_file() else None
    if match := _MOODLE.fullmatch(entry.name):
        return Handed(match["name"], str(entry), submitted=submitted, ids={"moodle": match["id"]})
    if entry.is_file() and (match := _CANVAS.fullmatch(entry.name)):
        found = Handed(match["name"], str(entry), submitted=submitted, ids={"canvas": match["id"]})
        return replace(found, late=bool(match["late"]))
    return Handed(name.removeprefix(prefix) or name, str(entry), submitted=submitted)


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(int(path.stat().st_mtime), UTC)


# --- a CSV file -------------------------------------------------------------------------------------------------------


def _rows(path: Path) -> tuple[list[Handed], list[str]]:
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
            f"Its first line has to name one of them {', '.join(_COLUMNS['learner'][:4])}.",
            where=f"{path}:1",
        )
    handed, names = [], []
    for number, row in enumerate(rows, start=2):
        value = {key: (row.get(column) or "").strip() if column else "" for key, column in columns.items()}
        if not value["learner"]:
            continue
        names.append(value["learner"])
        if value["source"]:
            time = _time(value["submitted"], f"{path}:{number}")
            handed.append(Handed(value["learner"], _placed(value["source"], path), value["commit"], time))
    return handed, names


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
