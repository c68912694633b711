"""What a submission is: its files, and how large it may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.course.exercise import MARKERS

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCKERFILE = "Dockerfile"
MIB = 1024 * 1024
# What `grader start` writes beside the starter, and where `grader reset` keeps what it replaces: in the learner's own
# folder, which is theirs and writable.
TASK = "README.md"
BACKUPS = ".grader-backups"
# Left behind by tools, ours among them, never part of what somebody wrote.
LITTER = frozenset({".git", ".DS_Store", "__pycache__", BACKUPS, *MARKERS})


@dataclass(frozen=True)
class Limits:
    """What a submission may hold: bytes of its Dockerfile, bytes of all its files, and the entries looked at."""

    dockerfile: int = MIB
    context: int = 50 * MIB
    entries: int = 10_000


@dataclass(frozen=True)
class File:
    """A regular file: its content and whether its owner may execute it."""

    data: bytes
    executable: bool = False


@dataclass(frozen=True)
class Submission:
    """What is built: ``files`` maps relative POSIX paths to the learner's files over the exercise's own.

    ``taken`` are the learner's paths among them, sorted; ``ignored`` are some of the learner's paths which the rubric
    does not take, at most 20. ``digest`` is ``sha256:`` over the taken paths, their contents and executable bits.
    """

    name: str
    files: Mapping[str, File]
    taken: tuple[str, ...]
    ignored: tuple[str, ...]
    digest: str
