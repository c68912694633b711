"""The learner's files over the exercise's own.

The learner's folder is hostile: it may hold links, pipes, devices, a million files or a nesting without end. Only
folders that a `submit` entry leads into are opened, only regular files are read, and never more than the limits.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from grader.course.exercise import MARKERS
from grader.errors import SubmissionError, UsageError
from grader.submission.patterns import is_glob, matches, segments, step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

DOCKERFILE = "Dockerfile"
MIB = 1024 * 1024
# What `grader start` writes beside the starter, and where `grader reset` keeps what it replaces: in the learner's own
# folder, which is theirs and writable.
TASK = "README.md"
BACKUPS = ".grader-backups"
# Left behind by tools, ours among them, never part of what somebody wrote.
LITTER = frozenset({".git", ".DS_Store", "__pycache__", BACKUPS, *MARKERS})
MOST_IGNORED = 20
MOST_LISTED = 1000
OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
    OPEN_FLAGS |= getattr(os, _flag, 0)


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


@dataclass
class _Budget:
    """How much more may be looked at; counts down while the learner's folder is read."""

    limits: Limits
    entries: int = 0
    size: int = 0

    def entry(self, folder: str) -> None:
        self.entries += 1
        if self.entries > self.limits.entries:
            raise SubmissionError(
                f"The submission has more than {self.limits.entries:,} entries.",
                "Hand in the files that the task names, without build output or installed packages.",
                where=folder,
            )

    def room(self, path: str) -> int:
        left = self.limits.context - self.size
        return min(left, self.limits.dockerfile) if path == DOCKERFILE else left

    def spend(self, path: str, size: int) -> None:
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


def collect(
    starter: Path, learner: Path, submit: Sequence[str], *, limits: Limits | None = None, name: str | None = None
) -> Submission:
    """Take what ``submit`` names from ``learner`` and everything else from ``starter``.

    ``submit`` holds relative POSIX paths or globs (``*``, ``?``, ``[…]`` within a name, ``**`` for any depth).
    Raises UsageError when a folder is not there, RubricError for a ``submit`` entry that leaves the folder, and
    SubmissionError for anything that the learner has to change.
    """
    patterns = [segments(entry) for entry in submit]
    _need_folder(starter, "The exercise has no starter folder.", "Check the exercise: it needs a folder `starter`.")
    _need_folder(learner, "There is no such submission folder.", "Name the folder that holds your Dockerfile.")
    _need_content(learner)
    budget = _Budget(limits or Limits())
    taken = _take(learner, patterns, budget)
    if DOCKERFILE in submit and DOCKERFILE not in taken:
        raise _no_dockerfile(learner)
    own = {path: file for path, file in _starter_files(starter) if not matches(path, patterns)}
    return Submission(
        name=name if name is not None else learner.resolve().name,
        files=dict(sorted((own | taken).items())),
        taken=tuple(sorted(taken)),
        ignored=_ignored(learner, own, patterns),
        digest=_digest(taken),
    )


def _need_folder(path: Path, what: str, fix: str) -> None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(what, fix, where=str(path)) from error
    except OSError as error:
        raise UsageError(f"The folder cannot be read: {error.strerror or error}.", fix, where=str(path)) from error
    if not stat.S_ISDIR(found.st_mode):
        raise UsageError("This is not a folder.", fix, where=str(path))


def _need_content(learner: Path) -> None:
    try:
        with os.scandir(learner) as entries:
            if next(entries, None) is not None:
                return
    except OSError as error:
        raise _unreadable(str(learner), error) from error
    raise SubmissionError("The submission folder is empty.", "Put your Dockerfile into it.", where=str(learner))


def _take(learner: Path, patterns: Iterable[tuple[str, ...]], budget: _Budget) -> dict[str, File]:
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


def _take_exact(learner: Path, segments: tuple[str, ...], budget: _Budget) -> dict[str, File]:
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
    return {shown: _read(here, shown, budget)}


def _take_folder(tree: _Tree, budget: _Budget, taken: dict[str, File]) -> Iterator[_Tree]:
    """Take the files of one folder that a pattern asks for; yield the folders in it that may hold more."""
    try:
        entries = os.scandir(tree.path)
    except OSError as error:
        raise _unreadable(tree.shown or str(tree.path), error) from error
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
                taken[shown] = _read(tree.path / entry.name, shown, budget)


def _lstat(path: Path, shown: str) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(shown, error) from error


def _spelled_so(parent: Path, name: str, budget: _Budget) -> bool:
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


def _read(path: Path, shown: str, budget: _Budget) -> File:
    """Read a file that was just found to be regular; what it has become since is checked on the open file."""
    try:
        descriptor = os.open(path, OPEN_FLAGS)
        with open(descriptor, "rb") as stream:  # noqa: PTH123 - a descriptor, not a path
            opened = os.fstat(descriptor)
            _need_regular(opened, shown)
            room = budget.room(shown)
            data = stream.read(room + 1) if opened.st_size <= room else None
    except OSError as error:
        raise _unreadable(shown, error) from error
    budget.spend(shown, opened.st_size if data is None else len(data))
    return File(data or b"", _executable(opened, data or b""))


def _executable(found: os.stat_result, data: bytes) -> bool:
    # Windows keeps no such bit: there, what a kernel could start counts as executable.
    return data.startswith((b"#!", b"\x7fELF")) if os.name == "nt" else bool(found.st_mode & stat.S_IXUSR)


def _unreadable(shown: str, error: OSError) -> SubmissionError:
    return SubmissionError(
        f"{ascii(shown)[1:-1]} cannot be read: {error.strerror or error}.",
        "Make it readable for the user who grades, and try again.",
        where=ascii(shown)[1:-1],
    )


def _no_dockerfile(learner: Path) -> SubmissionError:
    near = sorted(name for name in _listed(learner) if _nearly_dockerfile(name))
    if near:
        return SubmissionError(
            f"There is no file named exactly `Dockerfile`, but there is {ascii(near[0])[1:-1]!r}.",
            f"Rename {ascii(near[0])[1:-1]!r} to `Dockerfile`: capital D, no ending.",
            where=str(learner),
        )
    return SubmissionError(
        "There is no Dockerfile in the submission folder.",
        "Put a file named `Dockerfile` right into this folder, not into a folder below it.",
        where=str(learner),
    )


def _nearly_dockerfile(name: str) -> bool:
    stem = re.sub(r"[\s._-]", "", name.casefold())
    return stem in {"dockerfile", "dockerfiletxt", "dockerfilemd", "dockerfiledocx", "txtdockerfile", "dockefile"}


def _listed(folder: Path) -> list[str]:
    """The first names of a folder, in no order."""
    with suppress(OSError), os.scandir(folder) as entries:
        return [entry.name for entry in islice(entries, MOST_LISTED)]
    return []


def _starter_files(starter: Path) -> Iterator[tuple[str, File]]:
    for folder, folders, names in os.walk(starter):
        folders[:] = sorted(set(folders) - LITTER)
        for name in sorted(set(names) - LITTER):
            path = Path(folder, name)
            if path.is_file():
                data = path.read_bytes()
                yield path.relative_to(starter).as_posix(), File(data, _executable(path.stat(), data))


def _ignored(learner: Path, own: Mapping[str, File], patterns: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Some of the learner's paths that are not taken: changed files of the exercise, and what lies at the top."""
    changed = (path for path, file in own.items() if _differs(learner, path, file))
    tops = {path.split("/")[0] for path in own}
    extra = []
    for name in sorted(_listed(learner)):
        matched, below = step(patterns, name)
        if name not in tops and name not in {*LITTER, TASK} and not matched and not below:
            extra.append(ascii(name)[1:-1] if not name.isprintable() else name)
    return tuple(sorted({*islice(changed, MOST_IGNORED), *extra[:MOST_IGNORED]})[:MOST_IGNORED])


def _differs(learner: Path, path: str, own: File) -> bool:
    """Whether the learner has something else at this path than the exercise; what cannot be read counts as absent."""
    with suppress(OSError, SubmissionError):
        found = (learner / path).lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != len(own.data):
            return True
        return _read(learner / path, path, _Budget(Limits(len(own.data), len(own.data)))).data != own.data
    return False


def _digest(taken: Mapping[str, File]) -> str:
    total = hashlib.sha256()
    for path, file in sorted(taken.items()):
        # Every part has a known length, so that no two submissions give the same bytes.
        total.update(hashlib.sha256(path.encode()).digest())
        total.update(b"x" if file.executable else b"-")
        total.update(hashlib.sha256(file.data).digest())
    return f"sha256:{total.hexdigest()}"


def _human(size: int) -> str:
    return f"{size // MIB} MiB" if size >= MIB and size % MIB == 0 else f"{size:,} bytes"
