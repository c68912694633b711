"""Courses and exercises: where they lie, and which one a person means.

Imports neither pydantic nor, on the usual way, PyYAML: ``grader list`` is as quick as Python itself.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import grader
from grader.course.suggest import closest, listed
from grader.errors import RubricError, UsageError

COURSE_FILE = "course.yaml"
RUBRIC_FILE = "rubric.yaml"
#: What `grader start` leaves in a learner's folder: ``{"exercise": "03-multi-stage-builds"}``.
MARKERS = (".grader.json", ".grader")

#: Bytes of a marker that are read; ours has a few dozen.
_MARKER_LIMIT = 4096
_NUMBERED = re.compile(r"(\d+)-(.+)")
# A title that needs no YAML parser: one line, plain or in simple quotes, and the next line starts a key or nothing.
_SIMPLE_TITLE = re.compile(
    r"""^title:[ ]+(?:'(?P<single>[^'\n]*)'|"(?P<double>[^"\\\n]*)"|(?P<plain>[^\s'"|>&*!%@`{\[#][^#:\n]*?))"""
    r"[ ]*$(?!\n[ \t])",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Course:
    """``path`` holds the exercise folders; ``solutions`` lies beside it in a clone and is None elsewhere."""

    path: Path
    title: str
    exercises: tuple[Exercise, ...] = field(repr=False)
    solutions: Path | None


@dataclass(frozen=True)
class Exercise:
    """``id`` is the folder's name; ``number`` is None when that does not start with one.

    ``broken`` says that its rubric is missing or has no title to be read; what else may be wrong there, only loading it
    tells.
    """

    id: str
    number: int | None
    path: Path
    title: str
    course: Course = field(repr=False, compare=False)
    broken: bool = field(default=False, compare=False)

    @property
    def slug(self) -> str:
        """The id without its number: ``multi-stage-builds``."""
        match = _NUMBERED.fullmatch(self.id)
        return match[2] if match else self.id

    @property
    def rubric_path(self) -> Path:
        return self.path / RUBRIC_FILE

    @property
    def starter(self) -> Path:
        """The folder that a learner starts from."""
        return self.path / "starter"

    @property
    def readme(self) -> Path:
        return self.path / "README.md"


def find_course(explicit: Path | None = None, *, start: Path | None = None) -> Course:
    """The course at ``explicit``; else the one around ``start`` (the current folder); else the one we came with.

    Raises UsageError when there is none, RubricError when its ``course.yaml`` is broken.
    """
    if explicit is not None:
        return _load(_explicit_folder(explicit))
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "exercises" / COURSE_FILE).is_file():
            return _load(folder / "exercises")
    package = Path(grader.__file__).resolve().parent
    for folder in (package.parent / "exercises", package / "exercises"):
        if (folder / COURSE_FILE).is_file():
            return _load(folder)
    raise UsageError(
        "There is no course here, and none came with the grader",
        "Go to a folder that has exercises/course.yaml in it or above it, or name one with --course.",
        where=str(here),
    )


def _explicit_folder(given: Path) -> Path:
    folder = given.resolve()
    if not folder.is_dir():
        raise UsageError(f"The course {given} is no folder", "Check the path after --course.", where=str(folder))
    if (folder / "exercises").is_dir() and not _exercise_folders(folder):
        if (folder / COURSE_FILE).is_file():
            raise UsageError(
                f"{COURSE_FILE} lies beside exercises/, and belongs into it",
                f"Move it to exercises/{COURSE_FILE}.",
                where=str(folder / COURSE_FILE),
            )
        folder /= "exercises"
    if (folder / COURSE_FILE).is_file() or _exercise_folders(folder):
        return folder
    raise UsageError(
        f"There are no exercises in {given}",
        "Name the folder that holds course.yaml and the exercise folders, or the one that has it as exercises/.",
        where=str(folder),
    )


def _exercise_folders(folder: Path) -> list[Path]:
    """Sorted by number, then by name; what is hidden, or has neither a number nor a rubric, is something else."""
    found = [
        child
        for child in folder.iterdir()
        if not child.name.startswith((".", "_"))
        and child.is_dir()
        and (_NUMBERED.fullmatch(child.name) or (child / RUBRIC_FILE).is_file())
    ]
    return sorted(found, key=lambda child: (_number(child.name) is None, _number(child.name) or 0, child.name))


def _number(name: str) -> int | None:
    match = _NUMBERED.fullmatch(name)
    return int(match[1]) if match else None


def _load(folder: Path) -> Course:
    solutions = folder.parent / "solutions"
    course = Course(folder, _course_title(folder), (), solutions if solutions.is_dir() else None)
    exercises = tuple(
        Exercise(child.name, _number(child.name), child, title or _words(child.name), course, broken=title is None)
        for child in _exercise_folders(folder)
        for title in [_exercise_title(child)]
    )
    # Each knows the other; this is the only place that ever writes to a frozen one.
    object.__setattr__(course, "exercises", exercises)
    return course


def _course_title(folder: Path) -> str:
    file = folder / COURSE_FILE
    if not file.is_file():
        return folder.parent.name if folder.name == "exercises" else folder.name
    return _quick_title(file, alone=True) or _parsed_title(file)


def _exercise_title(folder: Path) -> str | None:
    """None without one: a rubric that is being written must not keep others from being graded."""
    file = folder / RUBRIC_FILE
    try:
        return _quick_title(file) or _parsed_title(file)
    except RubricError:
        return None


def _words(name: str) -> str:
    """What an exercise is called whose rubric does not say."""
    match = _NUMBERED.fullmatch(name)
    return (match[2] if match else name).replace("-", " ").capitalize()


def _quick_title(file: Path, *, alone: bool = False) -> str | None:
    """The title, where no parser is needed to read it; ``alone``: and where nothing else stands in the file."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    match = _SIMPLE_TITLE.search(text)
    if match is None:
        return None
    rest = text[: match.start()] + text[match.end() :]
    if alone and any(line.strip() and not line.startswith("#") for line in rest.splitlines()):
        return None
    return next(part for part in match.groups() if part is not None)


def _parsed_title(file: Path) -> str:
    from grader.course import yamlfile  # noqa: PLC0415 - PyYAML takes longer to import than `grader list` to run

    document = yamlfile.parse(yamlfile.read_bytes(file), file)
    title = document.texts.get(("title",), document.data.get("title"))
    if not isinstance(title, str) or not title.strip():
        place = document.values.get(("title",), yamlfile.START)
        document.add(place, "The title is missing", "Write `title:` and what the course or exercise is called.")
    if file.name == COURSE_FILE:
        for key in document.data.keys() - {"title"}:
            hint = "Delete it; `title` is all that stands here, the order is that of the folders' names."
            document.add(document.keys[key,], f"Unknown key `{key}`", hint)
    document.refuse()
    return str(title)


def resolve(course: Course, name: str | None, *, cwd: Path | None = None) -> Exercise:
    """The exercise that ``name`` means: a number, a slug, an id or a path; None is the one that ``cwd`` lies in.

    Raises UsageError when it is unknown, ambiguous or cannot be told, RubricError when it has no rubric.
    """
    here = (cwd or Path.cwd()).resolve()
    exercise = _around(course, here) if name is None else _by_name(course, name) or _by_path(course, here, name)
    if exercise is None and name is None and len(course.exercises) == 1:
        exercise = course.exercises[0]
    if exercise is None:
        raise _unresolved(course, name, here)
    if not exercise.rubric_path.is_file():
        raise RubricError(
            f"Exercise {exercise.id} has no {RUBRIC_FILE}",
            "Write one; an exercise cannot be graded without.",
            where=f"{exercise.rubric_path}:1:1",
        )
    return exercise


def _by_name(course: Course, name: str) -> Exercise | None:
    wanted = name.strip().casefold()
    number = int(wanted) if re.fullmatch(r"[0-9]{1,9}", wanted) else None
    exact = [e for e in course.exercises if e.id.casefold() == wanted]
    found = exact or [
        e for e in course.exercises if e.slug.casefold() == wanted or (number is not None and e.number == number)
    ]
    if len(found) > 1:
        raise UsageError(
            f"`{name}` can mean {listed((e.id for e in found), last='or')}",
            "Write the full name.",
            where=str(course.path),
        )
    return found[0] if found else None


def _by_path(course: Course, here: Path, name: str) -> Exercise | None:
    try:
        folder = (here / name).resolve(strict=True)
    except (OSError, ValueError):
        return None
    for candidate in (folder, folder.parent):
        # An exercise of another course is as good a path as one of this.
        if (candidate / RUBRIC_FILE).is_file() and not candidate.is_relative_to(course.path):
            other = _load(candidate.parent)
            return next((e for e in other.exercises if e.path == candidate), None)
    return _around(course, folder)


def _around(course: Course, folder: Path) -> Exercise | None:
    """The exercise that ``folder`` lies in, belongs to by its marker, or solves."""
    ids = {exercise.id: exercise for exercise in course.exercises}
    for candidate in (folder, *folder.parents):
        marked = marked_exercise(candidate)
        if marked is not None:
            return _by_mark(course, marked)
        if candidate.parent in {course.path, course.solutions} and candidate.name in ids:
            return ids[candidate.name]
    return None


def marked_exercise(folder: Path) -> str | None:
    """The id that the marker in a learner's folder names, whatever course it is of.

    It is a name to look up among a course's exercises, never a path to follow.
    """
    for name in MARKERS:
        file = folder / name
        try:
            # A pipe of that name would never end.
            if not file.is_file() or file.stat().st_size > _MARKER_LIMIT:
                continue
            marker = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(marker, dict) and isinstance(marker.get("exercise"), str):
            return str(marker["exercise"])
    return None


def _by_mark(course: Course, marked: str) -> Exercise | None:
    """By its id, else (the course was put in another order since) by its name without the number, if that is one's."""
    match = _NUMBERED.fullmatch(marked)
    slug = match[2] if match else marked
    exact = [exercise for exercise in course.exercises if exercise.id == marked]
    found = exact or [exercise for exercise in course.exercises if exercise.slug == slug]
    return found[0] if len(found) == 1 else None


def _unresolved(course: Course, name: str | None, here: Path) -> UsageError:
    if not course.exercises:
        return UsageError("The course has no exercises", "Add a folder like 01-first-image.", where=str(course.path))
    known = f"Exercises: {', '.join(exercise.id for exercise in course.exercises)}."
    if name is None:
        return UsageError(
            "This folder does not say which exercise is meant",
            f"Name one, or go to its folder. {known}",
            where=str(here),
        )
    words = {word: e.id for e in course.exercises for word in (e.slug, e.id)}
    near = closest(name, words)
    what = f"There is no exercise `{name}`" + (f". Did you mean `{words[near]}`?" if near else "")
    return UsageError(what, known, where=str(course.path))
