"""A folder of submissions -> what each learner handed in, by the layouts that classrooms' tools leave.

Read are the layouts of

- plain folders and archives, one a learner, named after the learner;
- `gh classroom clone student-repos`: ``<assignment>-submissions/<assignment>-<learner>/``;
- Classroom 50's downloads: ``<classroom>-<assignment>-<learner>/``, with a ``result.json`` in it;
- Moodle's "Download all submissions": ``<Full name>_<participant>_assignsubmission_file_…``, whose online texts count
  where there is nothing else;
- Canvas's "Download Submissions": ``<learner>[_LATE]_<user id>_<submission id>_<file>``.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from grader.bulk import bare
from grader.bulk.learner import Handed
from grader.submission.files import DOCKERFILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
#: Beside submissions, never one: what tools and file managers leave, and what a classroom's download adds.
_LITTER = re.compile(r"\..*|__MACOSX|Thumbs\.db|desktop\.ini", re.IGNORECASE)
_MOODLE = re.compile(
    r"((?P<name>.+?)_(?P<id>\d+))_assignsubmission_(?P<kind>file|onlinetext)(?:_(?P<file>.*))?", re.DOTALL
)
_CANVAS = re.compile(
    r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<id>\d+)_(?P<attempt>\d+)_(?P<file>.+)", re.DOTALL | re.IGNORECASE
)


def read(place: Path) -> Iterator[Handed]:
    """What a folder holds, in the order of its names."""
    entries = [entry for entry in sorted(place.iterdir()) if _may_be_one(entry)]
    if len(entries) == 1 and entries[0].is_dir() and entries[0].name.endswith("-submissions"):
        yield from read(entries[0])
        return
    prefix = _prefix(place, entries)
    files = {match[1] for entry in entries if (match := _MOODLE.fullmatch(entry.name)) and match["kind"] == "file"}
    loose: dict[tuple[str, str], list[tuple[str, Path]]] = {}
    for entry in entries:
        match = _MOODLE.fullmatch(entry.name)
        if match and match["kind"] != "file" and match[1] in files:
            continue
        if meant := _loose(entry):
            found = _named(entry, prefix)
            loose.setdefault((found.learner, str(found.ids)), []).append((meant, entry))
            continue
        yield _lone(_named(entry, prefix), entry)
    for given in loose.values():
        yield from _together(given)


def _may_be_one(entry: Path) -> bool:
    """Folders, links to folders included (whoever made the list of submissions made them), archives, Dockerfiles."""
    if _LITTER.fullmatch(entry.name):
        return False
    return entry.is_dir() or (entry.is_file() and (entry.name.lower().endswith(ARCHIVES) or bool(_loose(entry))))


def _loose(entry: Path) -> str:
    """What an uploaded file is meant to be that is a submission by itself; empty when it is none."""
    match = _MOODLE.fullmatch(entry.name) or _CANVAS.fullmatch(entry.name)
    return bare.meant(match["file"] or "") if match and entry.is_file() else ""


def _together(given: Sequence[tuple[str, Path]]) -> Iterator[Handed]:
    """A learner's uploads: each Dockerfile is a submission, and whatever lies beside it belongs to it."""
    beside = {meant: str(entry) for meant, entry in given if meant != DOCKERFILE}
    for meant, entry in given:
        if meant == DOCKERFILE:
            found = _named(entry, "")
            yield replace(found, files={DOCKERFILE: str(entry), **beside})


def _lone(found: Handed, entry: Path) -> Handed:
    """A folder may hold nothing but a Dockerfile that a platform gave another name."""
    files = bare.within(entry) if entry.is_dir() else {}
    if not files:
        return found
    return replace(
        found, submitted=_changed(files[DOCKERFILE]), files={name: str(path) for name, path in files.items()}
    )


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
