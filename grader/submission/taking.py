"""Takes files out of the learner's folder, which is hostile.

It may hold links, pipes, devices, a million files or a nesting without end. Only folders that a `submit` entry leads
into are opened, only regular files are read, and never more than the limits.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grader.errors import SubmissionError
from grader.submission.files import DOCKERFILE, LITTER, MIB, File, Limits
from grader.submission.patterns import is_glob, step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
    OPEN_FLAGS |= getattr(os, _flag, 0)


@dataclass
class Budget:
    """How much more may be looked at; counts while the learner's folder is read. Its methods raise SubmissionError."""

    limits: Limits
    entries: int = 0
    size: int = 0

    def entry(self, folder: str) -> None:
        """One more entry was looked at, in ``folder``."""
        self.entries += 1
        if self.entries > self.limits.entries:
            raise SubmissionError(
                f"The submission has more than {self.limits.entries:,} entries.",
                "Hand in the files that the task names, without build output or installed packages.",
                where=folder,
            )

    def room(self, path: str) -> int:
        """Bytes that the file at ``path`` may have."""
        left = self.limits.context - self.size
        return min(left, self.limits.dockerfile) if path == DOCKERFILE else left

    def spend(self, path: str, size: int) -> None:
        """The file at ``path`` has ``size`` bytes, or more of them than there was room for."""
        if path == DOCKERFILE and size > self.limits.dockerfile:
            raise SubmissionError(
                f"The Dockerfile is larger than {_human(self.limits.dockerfile)}.",
                "A Dockerfile is a short text; put data into files of their own and COPY them.",
                where=path,
            )
        self.size += size
        if self.size > self.limits.context:
            raise SubmissionError(
                f"The submission is larger than {_human(self.limits.context)}; {path} goes over it.",
                "Remove what the image does not need.",
                where=path,
            )


@dataclass(frozen=True)
class _Tree:
    """A folder being walked and the pattern tails that still have to match below it."""

    path: Path
    shown: str
    tails: frozenset[tuple[str, ...]] = field(default_factory=frozenset)


def take(learner: Path, patterns: Iterable[tuple[str, ...]], budget: Budget) -> dict[str, File]:
    """The learner's files that ``patterns`` (as of `patterns.segments`) ask for, by their relative POSIX paths.

    Raises SubmissionError for what is no regular file, cannot be read, or goes over the limits.
    """
    taken: dict[str, File] = {}
    globs = set()
    for pattern in patterns:
        if any(map(is_glob, pattern)):
            globs.add(pattern)
        elif "/".join(pattern) not in taken:
            taken |= _take_exact(learner, pattern, budget)
    # A walk with a stack: a nesting deeper than Python's own limit is only a long path.
    stack = [_Tree(learner, "", frozenset(globs))] if globs else []
    while stack:
        for tree in _take_folder(stack.pop(), budget, taken):
            stack.append(tree)  # noqa: PERF402 - the stack is what the loop around it consumes
    return taken


def _take_exact(learner: Path, segments: tuple[str, ...], budget: Budget) -> dict[str, File]:
    """The file at exactly this path, or nothing when there is none; every folder on the way is a real one."""
    here = learner
    shown = "/".join(segments)
    for depth, segment in enumerate(segments, start=1):
        parent, here = here, here / segment
        found = _lstat(here, shown)
        if found is None or not _spelled_so(parent, segment, budget):
            return {}
        last = depth == len(segments)
        if last or stat.S_ISLNK(found.st_mode):
            _need_regular(found, "/".join(segments[:depth]))
        elif not stat.S_ISDIR(found.st_mode):
            return {}
    budget.entry(shown)
    return {shown: read(here, shown, budget)}


def _take_folder(tree: _Tree, budget: Budget, taken: dict[str, File]) -> Iterator[_Tree]:
    """Take the files of one folder that a pattern asks for; yield the folders in it that may hold more."""
    try:
        entries = os.scandir(tree.path)
    except OSError as error:
        raise unreadable(tree.shown or str(tree.path), error) from error
    with entries:
        for entry in entries:
            budget.entry(tree.shown or str(tree.path))
            matched, below = step(tree.tails, entry.name)
            if (not matched and not below) or entry.name in LITTER:
                continue
            shown = f"{tree.shown}/{entry.name}" if tree.shown else entry.name
            found = _lstat(tree.path / entry.name, shown)
            if found is None:
                continue
            if stat.S_ISDIR(found.st_mode) and not _is_junction(found):
                if below:
                    _need_plain_name(entry.name, shown)
                    yield _Tree(tree.path / entry.name, shown, below)
            elif (matched or stat.S_ISLNK(found.st_mode)) and shown not in taken:
                _need_plain_name(entry.name, shown)
                _need_regular(found, shown)
                taken[shown] = read(tree.path / entry.name, shown, budget)


def _lstat(path: Path, shown: str) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(shown, error) from error


def _spelled_so(parent: Path, name: str, budget: Budget) -> bool:
    """Whether a file that was found under a name really has it, letter case included.

    Where letter case makes no difference, `dockerfile` answers to `Dockerfile`; on a grading machine it would not.
    """
    if not _folds_case(parent, name):
        return True
    with os.scandir(parent) as entries:
        for entry in entries:
            budget.entry(str(parent))
            if entry.name == name:
                return True
    return False


def _folds_case(parent: Path, name: str) -> bool:
    with suppress(OSError):
        return name.swapcase() != name and os.path.samestat((parent / name).lstat(), (parent / name.swapcase()).lstat())
    return False


def _is_junction(found: os.stat_result) -> bool:
    """Whether this is a Windows reparse point: a folder that is elsewhere."""
    return bool(getattr(found, "st_file_attributes", 0) & 0x400)


_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


def _need_regular(found: os.stat_result, shown: str) -> None:
    if stat.S_ISREG(found.st_mode) and not _is_junction(found):
        return
    kind = next((words for is_kind, words in _KINDS if is_kind(found.st_mode)), "no ordinary file")
    kind = "a symbolic link" if _is_junction(found) else kind
    raise SubmissionError(
        f"{shown} is {kind}; only ordinary files are taken.",
        f"Put an ordinary file in the place of {shown}.",
        where=shown,
    )


def _need_plain_name(name: str, shown: str) -> None:
    # Surrogates are what Python makes of bytes that are not UTF-8.
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in name):
        raise SubmissionError(
            f"A file name holds control characters or is not valid UTF-8: {shown!a}.",
            "Rename the file; letters, digits, dots, dashes and underscores work everywhere.",
            where=ascii(shown),
        )


def read(path: Path, shown: str, budget: Budget) -> File:
    """The file at ``path``, just found to be regular; what it has become since is checked on the open file.

    ``shown`` is its name in errors: SubmissionError as of `take`.
    """
    try:
        descriptor = os.open(path, OPEN_FLAGS)
        with open(descriptor, "rb") as stream:  # noqa: PTH123 - a descriptor, not a path
            opened = os.fstat(descriptor)
            _need_regular(opened, shown)
            room = budget.room(shown)
            data = stream.read(room + 1) if opened.st_size <= room else None
    except OSError as error:
        raise unreadable(shown, error) from error
    budget.spend(shown, opened.st_size if data is None else len(data))
    return File(data or b"", executable(opened, data or b""))


def executable(found: os.stat_result, data: bytes) -> bool:
    """Whether the owner of a file may execute it."""
    # Windows keeps no such bit: there, what a kernel could start counts as executable.
    return data.startswith((b"#!", b"\x7fELF")) if os.name == "nt" else bool(found.st_mode & stat.S_IXUSR)


def unreadable(shown: str, error: OSError) -> SubmissionError:
    """That something in the learner's folder cannot be read, and why."""
    return SubmissionError(
        f"{ascii(shown)[1:-1]} cannot be read: {error.strerror or error}.",
        "Make it readable for the user who grades, and try again.",
        where=ascii(shown)[1:-1],
    )


def _human(size: int) -> str:
    return f"{size // MIB} MiB" if size >= MIB and size % MIB == 0 else f"{size:,} bytes"
