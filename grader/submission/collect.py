"""The learner's files over the exercise's own."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from grader.errors import SubmissionError, UsageError
from grader.submission.files import DOCKERFILE, LITTER, TASK, File, Limits, Submission
from grader.submission.patterns import matches, segments, step
from grader.submission.taking import Budget, executable, read, take, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MOST_IGNORED = 20
MOST_LISTED = 1000


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
    budget = Budget(limits or Limits())
    taken = take(learner, patterns, budget)
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
        raise unreadable(str(learner), error) from error
    raise SubmissionError("The submission folder is empty.", "Put your Dockerfile into it.", where=str(learner))


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
                yield path.relative_to(starter).as_posix(), File(data, executable(path.stat(), data))


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
        return read(learner / path, path, Budget(Limits(len(own.data), len(own.data)))).data != own.data
    return False


def _digest(taken: Mapping[str, File]) -> str:
    total = hashlib.sha256()
    for path, file in sorted(taken.items()):
        # Every part has a known length, so that no two submissions give the same bytes.
        total.update(hashlib.sha256(path.encode()).digest())
        total.update(b"x" if file.executable else b"-")
        total.update(hashlib.sha256(file.data).digest())
    return f"sha256:{total.hexdigest()}"
