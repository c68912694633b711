"""What was handed in -> a folder that can be graded, for as long as somebody looks at it.

Archives are strangers' work: what `course.unpack` refuses of a course is refused of a submission. A repository of a
folder that was downloaded is only read, never run: its own settings could name programs.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from grader.bulk.roster import is_address
from grader.errors import SubmissionError, UsageError
from grader.submission.files import DOCKERFILE, LITTER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.bulk.roster import Handed

#: Folders in folders in an archive, before what was meant is taken to be none of them.
_DEEPEST = 4
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@contextmanager
def opened(handed: Handed) -> Iterator[Path]:
    """The folder with the learner's Dockerfile; it is gone afterwards unless it was one before.

    Raises ``SubmissionError`` for an archive that is broken or refused, ``EngineError`` when a repository cannot be
    fetched.
    """
    if is_address(handed.source):
        from grader.course import fetched  # noqa: PLC0415  # most submissions lie here

        with fetched.checkout(handed.source, handed.commit) as folder:
            yield _inner(folder)
        return
    path = Path(handed.source)
    if path.is_dir():
        yield _inner(path)
        return
    with tempfile.TemporaryDirectory(prefix="grader-") as folder:
        from grader.course import unpack  # noqa: PLC0415

        try:
            unpack.unpack(path, Path(folder) / "it", told=path.name)
        except UsageError as error:
            raise SubmissionError(error.what, "Hand in a .zip or .tar.gz of the files that the task names.") from error
        yield _inner(Path(folder) / "it")


def _inner(folder: Path) -> Path:
    """The folder that was meant: who packs a folder often packs the one around it."""
    for _ in range(_DEEPEST):
        with suppress(OSError):
            entries = [entry for entry in folder.iterdir() if entry.name not in LITTER | {"__MACOSX"}]
            alone = len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink()
            if alone and not (folder / DOCKERFILE).exists():
                folder = entries[0]
                continue
        break
    return folder


def committed(folder: Path) -> datetime | None:
    """When the commit that a folder's repository is at was made, in UTC; None when it has none, or it cannot be told.

    git is asked with settings of our own, and given no more of the repository than its objects.
    """
    sha = _head(folder / ".git")
    if sha is None:
        return None
    with tempfile.TemporaryDirectory(prefix="grader-") as empty:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        ours = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_OPTIONAL_LOCKS": "0"}
        ours |= {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str((folder / ".git" / "objects").resolve())}
        try:
            subprocess.run(["git", "init", "-q", "--bare", empty], env=clean | ours, check=True, capture_output=True)
            said = subprocess.run(
                ["git", "-C", empty, "show", "--no-patch", "--format=%ct", sha],
                env=clean | ours,
                check=True,
                capture_output=True,
                text=True,
                timeout=30,
            ).stdout
            return datetime.fromtimestamp(int(said.split()[-1]), UTC)
        except (OSError, subprocess.SubprocessError, ValueError, IndexError, OverflowError):
            return None


def _head(git: Path) -> str | None:
    """The commit that HEAD is at, read from the repository's files."""
    try:
        text = (git / "HEAD").read_text().strip()
        if not text.startswith("ref: refs/") or ".." in text:
            return text if _SHA.fullmatch(text) else None
        name = text.removeprefix("ref: ")
        if (git / name).is_file():
            text = (git / name).read_text().strip()
        else:
            packed = (line.split() for line in (git / "packed-refs").read_text().splitlines())
            text = next((words[0] for words in packed if len(words) == 2 and words[1] == name), "")
    except (OSError, UnicodeDecodeError):
        return None
    return text if _SHA.fullmatch(text) else None
