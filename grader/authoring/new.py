"""Begins an exercise: one that is proven as it stands, to be changed step by step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grader
from grader.errors import UsageError
from grader.submission.files import LITTER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.course.exercise import Course

TEMPLATE = Path(__file__).parent / "template"
_NAME = re.compile(r"(?:(\d{1,3})-)?([a-z][a-z0-9]*(?:-[a-z0-9]+)*)")
_LONGEST = 60


@dataclass(frozen=True)
class Begun:
    """What was written: the exercise's folder and its solution's."""

    id: str
    exercise: Path
    solution: Path


def begin(course: Course, name: str) -> Begun:
    """Writes a new exercise; ``name`` is like ``small-images``, or ``12-small-images`` to have that number.

    Raises UsageError when the name is none or taken, or the course came with the grader.
    """
    if course.path.is_relative_to(Path(grader.__file__).resolve().parent):
        raise UsageError(
            "This course came with the grader and is not there to be changed",
            "Clone it, or begin one of your own: a folder `exercises` with a course.yaml (`title: ...`) in it.",
            where=str(course.path),
        )
    number, slug = _named(name)
    found = f"{_free(course, number, slug):02d}-{slug}"
    solutions = course.solutions or course.path.parent / "solutions"
    begun = Begun(found, course.path / found, solutions / found)
    for folder in (begun.exercise, begun.solution):
        if folder.exists() or folder.is_symlink():
            raise UsageError("There is something already", "Choose another name, or delete it.", where=str(folder))
    words = {b"@TITLE@": slug.replace("-", " ").capitalize().encode(), b"@ID@": found.encode()}
    for source, target in ((TEMPLATE / "exercises", begun.exercise), (TEMPLATE / "solutions", begun.solution)):
        _write(source, target, words)
    return begun


def _named(name: str) -> tuple[int | None, str]:
    match = _NAME.fullmatch(name)
    if match and len(name) <= _LONGEST:
        return int(match[1]) if match[1] else None, match[2]
    near = "-".join(re.findall(r"[a-z0-9]+", name.lower()))[:_LONGEST].strip("-")
    meant = f"Did you mean `{near}`? " if _NAME.fullmatch(near) else ""
    raise UsageError(
        f"`{name}` is no name for an exercise",
        f"{meant}Use small letters, digits and hyphens, like `small-images`; at most {_LONGEST} of them.",
    )


def _free(course: Course, number: int | None, slug: str) -> int:
    """The number to have: the one asked for, or the next."""
    for exercise in course.exercises:
        if slug == exercise.slug or (number is not None and number == exercise.number):
            raise UsageError(
                f"There is {exercise.id} already", "Choose another name or number.", where=str(exercise.path)
            )
    return max((exercise.number or 0 for exercise in course.exercises), default=0) + 1 if number is None else number


def _write(source: Path, target: Path, words: dict[bytes, bytes]) -> None:
    try:
        for file in _files(source):
            content = file.read_bytes()
            for word, value in words.items():
                content = content.replace(word, value)
            path = target / file.relative_to(source)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        what = f"The exercise cannot be written: {error.strerror}"
        raise UsageError(what, "See that you may write there.", where=str(target)) from error


def _files(folder: Path) -> Iterator[Path]:
    # An installed package may hold the compiled app.
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return (path for path in files if not LITTER & set(path.relative_to(folder).parts))
