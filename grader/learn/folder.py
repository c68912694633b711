"""A learner's own folder of an exercise: begun with the starter and the task, and set back to them."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from grader.course.exercise import MARKERS, marked_exercise
from grader.errors import UsageError
from grader.submission.files import BACKUPS, LITTER, TASK
from grader.submission.patterns import matches, segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.course.exercise import Exercise

MARKER = MARKERS[-1]


@dataclass(frozen=True)
class Restoring:
    """What setting a folder back comes to.

    ``replaced`` differ from the starter, ``missing`` are not there, ``extra`` would be graded and are not the
    starter's; paths relative to ``folder``.
    """

    folder: Path
    replaced: tuple[str, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether the folder is as it was begun."""
        return not (self.replaced or self.missing or self.extra)


def begin(exercise: Exercise, folder: Path) -> None:
    """Writes the starter, the task and the marker into a folder that is new or empty.

    Raises ``UsageError`` when there is something already, or it cannot be written.
    """
    _refuse_taken(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, source in _given(exercise).items():
            _write(source, folder / name)
        mark(exercise, folder)
    except OSError as error:
        raise _unwritable(folder, error) from error


def mark(exercise: Exercise, folder: Path) -> None:
    """Lets the folder remember which exercise it is of."""
    if marked_exercise(folder) == exercise.id:
        return
    # Not through a symlink, which could lead anywhere.
    (folder / MARKER).unlink(missing_ok=True)
    (folder / MARKER).write_text(json.dumps({"exercise": exercise.id}) + "\n", encoding="utf-8")


def _refuse_taken(folder: Path) -> None:
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise UsageError("There is a file of that name", "Name another folder.", where=str(folder))
    there = sorted(each.name for each in folder.iterdir())
    if there:
        raise UsageError(
            f"The folder is not empty: {', '.join(there[:5])}{' and more' if len(there) > 5 else ''}",
            "Name another folder. To begin anew in one that was started, go there and type `grader reset`.",
            where=str(folder),
        )


def _given(exercise: Exercise) -> dict[str, Path]:
    """What a learner begins with, by relative path: the starter, and the task where the starter has no such file."""
    starter = {path.relative_to(exercise.starter).as_posix(): path for path in _files(exercise.starter)}
    if not starter:
        raise UsageError(f"Exercise {exercise.id} has no starter", "Tell its author.", where=str(exercise.starter))
    return ({TASK: exercise.readme} if exercise.readme.is_file() else {}) | starter


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - LITTER)
        yield from (Path(place, name) for name in sorted(set(names) - LITTER))


def _write(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Content and permissions; an installed course may be read-only, which the learner's copy must not be.
    shutil.copyfile(source, target)
    target.chmod(source.stat().st_mode | 0o600)


def around(folder: Path) -> tuple[Path, str] | None:
    """The folder that was started, this one or one above, and the exercise that its marker names."""
    for candidate in (folder, *folder.parents):
        marked = marked_exercise(candidate)
        if marked is not None:
            return candidate, marked
    return None


def restoring(exercise: Exercise, folder: Path, submit: Sequence[str]) -> Restoring:
    """What `restore` would do; ``submit`` is the rubric's. Changes nothing."""
    given = _given(exercise)
    patterns = [segments(entry) for entry in submit]
    there = {path.relative_to(folder).as_posix() for path in _own(folder)}
    replaced = tuple(
        name for name, source in given.items() if _in_the_way(folder, name) or _differs(source, folder / name)
    )
    missing = tuple(name for name in given if name not in replaced and not (folder / name).is_file())
    extra = tuple(sorted(name for name in there - set(given) if matches(name, patterns)))
    return Restoring(folder, replaced, missing, extra)


def _own(folder: Path) -> Iterator[Path]:
    """The learner's files, symlinks among them, without what was kept before."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in (BACKUPS, ".git")]
        linked = [name for name in folders if Path(place, name).is_symlink()]
        yield from (Path(place, name) for name in (*names, *linked))


def _differs(source: Path, target: Path) -> bool:
    """Whether there is something else at that place; what is not there is missing, not different."""
    if not os.path.lexists(target):
        return False
    if target.is_symlink() or not target.is_file() or target.stat().st_size != source.stat().st_size:
        return True
    return target.read_bytes() != source.read_bytes()


def _in_the_way(folder: Path, name: str) -> bool:
    return _obstacle(folder, name) is not None


def _obstacle(folder: Path, name: str) -> Path | None:
    """A file or symlink where the starter has a directory; written through, it would lead out of the folder."""
    for parent in reversed(PurePosixPath(name).parents[:-1]):
        place = folder / parent
        if place.is_symlink() or (os.path.lexists(place) and not place.is_dir()):
            return place
    return None


def restore(exercise: Exercise, plan: Restoring) -> Path | None:
    """Sets the folder back; returns where what it replaced is kept, None when it replaced nothing.

    Files are moved before anything is written, so that an interruption loses nothing. Raises ``UsageError`` when the
    folder cannot be written.
    """
    folder, given = plan.folder, _given(exercise)
    try:
        kept = _keep(folder, [*plan.replaced, *plan.extra])
        for name in (*plan.replaced, *plan.missing):
            _write(given[name], folder / name)
        mark(exercise, folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return kept


def _keep(folder: Path, names: Sequence[str]) -> Path | None:
    """Moves files into a folder of their own below `BACKUPS`."""
    if not names:
        return None
    kept = _new_backup(folder)
    for name in names:
        place = _obstacle(folder, name) or folder / name
        if os.path.lexists(place):
            target = kept / place.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            place.rename(target)
    return kept


def _new_backup(folder: Path) -> Path:
    now = f"{datetime.now().astimezone():%Y-%m-%d-%H%M%S}"
    for number in count(1):
        kept = folder / BACKUPS / (now if number == 1 else f"{now}-{number}")
        try:
            kept.mkdir(parents=True)
        except FileExistsError:
            continue
        break
    return kept


def _unwritable(folder: Path, error: OSError) -> UsageError:
    reason = error.strerror or str(error)
    return UsageError(f"The folder cannot be written: {reason}", "Name a folder that is yours.", where=str(folder))
