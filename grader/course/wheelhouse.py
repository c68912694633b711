"""The packages that an exercise brings for builds without a network.

They lie in `starter/wheelhouse/`, and so in every build context, and beside the Dockerfile of whoever begins the
exercise. `wheelhouse.txt` beside the rubric is a requirements file of pip's with their hashes
(pip.pypa.io, "Requirements File Format"): what lies there is held to it, wherever it came from, so that the wheels
themselves need not be in the course's repository.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.errors import RubricError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FOLDER = "wheelhouse"
LOCK = "wheelhouse.txt"
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Pin:
    """A requirement of the lock: ``name`` as it is written there, and the sha256 of each file that will do."""

    name: str
    hashes: frozenset[str]


def folder_of(exercise: Path) -> Path:
    """Where the packages of an exercise lie."""
    return exercise / "starter" / FOLDER


def faults(exercise: Path, requirements: str) -> Iterator[tuple[str, str]]:
    """What is wrong with an exercise's wheelhouse, each with how to mend it; ``requirements`` is a file of the starter.

    Reads all of its files: a few milliseconds for ten megabytes.
    """
    again = f"Make it with `grader wheelhouse {exercise.name}`."
    if not (exercise / "starter" / requirements).is_file():
        yield f"There is no `starter/{requirements}`", "Write it: the packages that learners install, one a line."
    elif not (exercise / LOCK).is_file():
        yield f"There is no `{LOCK}`, which says what is in the wheelhouse", again
    elif not (found := _hashes(folder_of(exercise))):
        yield f"`starter/{FOLDER}/` is missing or empty", again
    else:
        yield from _differences(found, pins(exercise / LOCK), again)


def require(exercise: Path, requirements: str) -> None:
    """Raises RubricError for the first of its faults."""
    for what, fix in faults(exercise, requirements):
        raise RubricError(what, fix, where=str(exercise))


def _differences(found: Mapping[str, str], wanted: tuple[Pin, ...], again: str) -> Iterator[tuple[str, str]]:
    known = frozenset().union(*(pin.hashes for pin in wanted))
    if strange := sorted(name for name, digest in found.items() if digest not in known):
        yield f"`starter/{FOLDER}/{strange[0]}` is not what `{LOCK}` names", f"Remove it. {again}"
    there = set(found.values())
    if missing := [pin.name for pin in wanted if not pin.hashes & there]:
        yield f"`starter/{FOLDER}/` has no {missing[0]}, which `{LOCK}` names", again


def _hashes(folder: Path) -> dict[str, str]:
    """The sha256 of each file, by name."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


def pins(lock: Path) -> tuple[Pin, ...]:
    """What a lock names; raises RubricError for a line that names no file by its hash."""
    text = re.sub(r"\\\r?\n", " ", lock.read_text(encoding="utf-8"))
    lines = (line.strip() for line in text.splitlines())
    return tuple(_pin(line, lock) for line in lines if line and not line.startswith("#"))


def _pin(line: str, lock: Path) -> Pin:
    name, hashes = _NAME.match(line), frozenset(_HASH.findall(line))
    if name is None or not hashes:
        raise RubricError(
            f"A line of `{LOCK}` does not say which file it means: {ascii(line[:80])[1:-1]}",
            f"Write `name==1.0 --hash=sha256:...`, or make it anew: `grader wheelhouse {lock.parent.name} --update`.",
            where=str(lock),
        )
    return Pin(name[0], hashes)


def locked(files: Mapping[str, str], made_of: str) -> str:
    """The text of a lock of ``files``, the sha256 of each by name; ``made_of`` says in words where they are from."""
    lines = [f"{_project(name)} --hash=sha256:{digest}\n" for name, digest in files.items()]
    return f"# What is in starter/{FOLDER}/: {made_of}.\n" + "".join(sorted(lines))


def _project(file: str) -> str:
    """`flask==3.1.3` of `flask-3.1.3-py3-none-any.whl` and of `flask-3.1.3.tar.gz`."""
    if file.endswith(".whl"):
        name, version = file.split("-")[:2]
    else:
        name, _, version = re.sub(r"\.(?:tar\.\w+|zip|tgz)$", "", file).rpartition("-")
    return f"{name.replace('_', '-').lower()}=={version}"
