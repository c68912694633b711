"""Fills an exercise's wheelhouse: what its learners install in builds without a network."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tarfile
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.course import wheelhouse
from grader.errors import RubricError, UsageError
from grader.files import put

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.engine.packages import Pip

#: What pip builds with where a source archive does not say (PEP 518).
_BUILT_WITH = ("setuptools>=40.8.0", "wheel")
# Where the packages are taken from is not for the file to say that names them.
_ELSEWHERE = re.compile(r"\s*(?:--no-index|--find-links|-f)\b")


@dataclass(frozen=True)
class Filled:
    """Bytes of each file by name; ``pinned`` says that the lock that was there named them."""

    files: Mapping[str, int]
    pinned: bool


def requirements_of(exercise: Exercise, rubric: Rubric) -> str:
    """The requirements that a rubric's wheelhouse is for. Raises UsageError without one, RubricError without them."""
    named = rubric.build.wheelhouse
    if not named:
        raise UsageError(
            f"Exercise {exercise.id} asks for no wheelhouse",
            "Write `build: {network: none, wheelhouse: requirements.txt}` into its rubric; the file is in starter/.",
            where=str(exercise.rubric_path),
        )
    try:
        return (exercise.starter / named).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RubricError(
            f"`starter/{named}` cannot be read",
            "Write it: the packages that learners install, one a line.",
            where=str(exercise.starter / named),
        ) from error


def fill(exercise: Exercise, requirements: str, pip: Pip, *, update: bool) -> Filled:
    """Downloads the packages into `starter/wheelhouse/`, and writes the lock if there is none.

    With a lock it gets the very files that the lock names; ``update`` makes it anew.
    """
    lock = exercise.path / wheelhouse.LOCK
    pinned = lock.is_file() and not update
    if pinned:
        found = dict(pip.download(lock.read_text(encoding="utf-8"), "--no-deps"))
    else:
        lines = [line for line in requirements.splitlines() if not _ELSEWHERE.match(line)]
        found = dict(pip.download("\n".join(lines) + "\n"))
        if needed := sorted(set(_build_requirements(found))):
            found |= pip.download("\n".join(needed) + "\n", "--only-binary=:all:")
    _write(exercise, found)
    if not pinned:
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
        put(lock, wheelhouse.locked(digests, f"what `grader wheelhouse` downloaded in {pip.image}"))
    return Filled({name: len(found[name]) for name in sorted(found)}, pinned)


def _build_requirements(found: Mapping[str, bytes]) -> Iterator[str]:
    """What the source archives among the files are built with: no wheel, so pip builds one in the learner's build."""
    for name, data in found.items():
        if name.endswith(".tar.gz"):
            yield from _built_with(data)
        elif not name.endswith(".whl"):
            yield from _BUILT_WITH


def _built_with(sdist: bytes) -> Iterator[str]:
    with tarfile.open(fileobj=io.BytesIO(sdist)) as archive:
        for member in archive:
            if member.isfile() and member.name.count("/") == 1 and member.name.endswith("/pyproject.toml"):
                content = archive.extractfile(member)
                said = tomllib.loads(content.read().decode()) if content else {}
                yield from said.get("build-system", {}).get("requires", _BUILT_WITH)
                return
    yield from _BUILT_WITH


def _write(exercise: Exercise, found: Mapping[str, bytes]) -> None:
    """In full or not at all: whoever grades meanwhile has the old ones."""
    folder = wheelhouse.folder_of(exercise.path)
    made = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    for name, data in found.items():
        (made / name).write_bytes(data)
    if folder.is_dir():
        shutil.rmtree(folder)
    made.rename(folder)
