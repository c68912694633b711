"""What reading alone proves of an exercise: hints, base images, the task, and that no file is left over."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.authoring.proof import Fact, Finding, Proof, place
from grader.course import wheelhouse, yamlfile
from grader.course.suggest import listed
from grader.errors import SubmissionError
from grader.submission import dockerfile as dockerfiles
from grader.submission.files import DOCKERFILE, LITTER
from grader.submission.patterns import matches, segments
from grader.submission.policy import normalise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.checks.base import Check
    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.course.yamlfile import DataPath, Document

BROKEN = "broken"


class Source:
    """A rubric's file, to point at what stands in it."""

    def __init__(self, rubric: Rubric) -> None:
        """Reads the file again; that it can be read is known."""
        self.path = rubric.path
        self._document: Document = yamlfile.parse(yamlfile.read_bytes(rubric.path), rubric.path)
        self._index = {check.id: index for index, check in enumerate(rubric.checks)}

    def at(self, *path: str | int) -> str:
        """``rubric.yaml:14`` for keys and indexes from the root down; of the part that is there."""
        return place(self.path, self._line(path))

    def at_check(self, result_id: str, *path: str | int) -> str:
        """The place of a check, or of something in it; of the check for one of the verdicts that it consists of."""
        return self.at("checks", self._index[result_id.partition("/")[0]], *path)

    def strings(self) -> set[str]:
        """Every text in the rubric."""
        return set(_strings(self._document.data))

    def _line(self, path: DataPath) -> int:
        while path not in self._document.values:
            path = path[:-1]
        return self._document.values[path].line


def _strings(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for part in data.values() if isinstance(data, dict) else data:
            yield from _strings(part)


# --- hints ------------------------------------------------------------------------------------------------------------


def hints(rubric: Rubric, source: Source) -> tuple[Fact, ...]:
    """A fact for each check that is worth something."""
    worth = [check for check in rubric.checks if check.points]
    return tuple(Fact("hints", check.id, findings=tuple(_hint_findings(check, source))) for check in worth)


def _hint_findings(check: Check, source: Source) -> Iterator[Finding]:
    if not check.hints:
        fix = "Add `hints:`, from a nudge to the way itself."
        yield Finding(f"`{check.id}` has no hints", fix, source.at_check(check.id))
    known = {_plain(check.title): "the title"}
    for index, hint in enumerate(check.hints):
        where = source.at_check(check.id, "hints", index)
        repeated = known.get(_plain(hint))
        if not _plain(hint):
            yield Finding(f"Hint {index + 1} of `{check.id}` says nothing", "Write it, or take it out.", where)
        elif repeated:
            fix = "Say something that helps a learner one step further."
            yield Finding(f"Hint {index + 1} of `{check.id}` repeats {repeated}", fix, where)
        known.setdefault(_plain(hint), f"hint {index + 1}")


def _plain(text: str) -> str:
    """Without what does not change what is said."""
    return " ".join(re.findall(r"\w+", text.casefold()))


# --- base images ------------------------------------------------------------------------------------------------------


def bases(exercise: Exercise, rubric: Rubric, solution: Path, source: Source) -> Fact:
    """Whether each base image of the rubric, the starter and the solution has a tag other than `latest` or a digest."""
    named = [(reference, source.at("bases", index)) for index, reference in enumerate(rubric.bases)]
    for folder in (exercise.starter, solution):
        file = folder / DOCKERFILE
        named += [(reference, place(file, line)) for reference, line in _images(file)]
    findings = tuple(
        Finding(f"The base image `{reference}` is not pinned", "Give it a tag other than `latest`, or a digest.", where)
        for reference, where in named
        if not _pinned(reference)
    )
    return Fact("bases", told=", ".join(sorted({normalise(reference) for reference, _ in named})), findings=findings)


def _pinned(reference: str) -> bool:
    # What a variable stands for is not known here; grading refuses it.
    short = normalise(reference)
    return "$" in short or "@" in short or not short.endswith(":latest")


def _images(file: Path) -> tuple[tuple[str, int], ...]:
    """The images that a Dockerfile names, with their lines; of one that cannot be read grading tells more."""
    try:
        return dockerfiles.parse(file.read_bytes()).external_images()
    except (OSError, SubmissionError):
        return ()


# --- files ------------------------------------------------------------------------------------------------------------


def files(exercise: Exercise, rubric: Rubric, solution: Path, source: Source) -> Fact:
    """Whether the task is written, and something uses each file of the exercise and of its solution."""
    findings = (*_task(exercise), *_unused(exercise, rubric, source), *_unused_in_solution(rubric, solution))
    return Fact("files", findings=findings)


def strays(solutions: Path, exercises: set[str]) -> Proof | None:
    """What lies among the solutions and belongs to no exercise; None where there is no such thing."""
    fix = "Rename it like the exercise, or delete it."
    findings = tuple(
        Finding("This is the solution of no exercise", fix, place(path))
        for path in sorted(solutions.iterdir())
        if path.name not in exercises | LITTER and path.name != "README.md"
    )
    return Proof(solutions.name, (Fact("files", findings=findings),)) if findings else None


def _task(exercise: Exercise) -> Iterator[Finding]:
    if not _text(exercise.readme).strip():
        what = "The task is empty" if exercise.readme.is_file() else "There is no task"
        yield Finding(what, "Write README.md: what a learner has to do.", place(exercise.readme))


def _unused(exercise: Exercise, rubric: Rubric, source: Source) -> Iterator[Finding]:
    named = {posixpath.normpath(text) for text in source.strings() if text and "\0" not in text}
    task = _text(exercise.readme)
    for path in _walk(exercise.path):
        own = path in {exercise.readme.name, exercise.rubric_path.name} or path.startswith("starter/")
        own |= path == wheelhouse.LOCK and bool(rubric.build.wheelhouse)
        below = {path, *(parent.as_posix() for parent in Path(path).parents if parent.name)}
        if not own and not below & named and not _mentions(task, path):
            fix = f"Delete it, or name `{path}` in rubric.yaml or README.md."
            yield Finding("Nothing uses this file", fix, place(exercise.path / path))


def _unused_in_solution(rubric: Rubric, solution: Path) -> Iterator[Finding]:
    patterns = [segments(entry) for entry in rubric.submit]
    about = _text(solution / "README.md")
    for path in _walk(solution):
        name = path.split("/", 2)[2] if re.match(f"{BROKEN}/[^/]+/", path) else path
        told = name == path and not path.startswith(f"{BROKEN}/") and (path == "README.md" or _mentions(about, path))
        if not told and not matches(name, patterns):
            fix = f"Delete it; what is taken of a submission is {listed(rubric.submit)}."
            yield Finding("Nothing uses this file", fix, place(solution / path))
    for folder in broken_folders(solution):
        if not (folder / DOCKERFILE).is_file():
            fix = "Write one that goes wrong in one way, or delete the folder."
            yield Finding("There is no Dockerfile in this folder", fix, place(folder))


def broken_folders(solution: Path) -> tuple[Path, ...]:
    """The folders of known-bad Dockerfiles, sorted by name."""
    found = (solution / BROKEN).iterdir() if (solution / BROKEN).is_dir() else ()
    return tuple(sorted(path for path in found if path.is_dir() and path.name not in LITTER))


def _mentions(text: str, path: str) -> bool:
    """Whether a text names a file: `map.svg` is not named by `roadmap.svg`."""
    return re.search(rf"(?<![\w./-]){re.escape(path)}(?![\w/-])", text) is not None


def _walk(top: Path) -> Iterator[str]:
    """Files below a folder as relative POSIX paths, in order; what tools leave behind aside."""
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(set(folders) - LITTER)
        yield from (Path(folder, name).relative_to(top).as_posix() for name in sorted(set(names) - LITTER))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
