"""What was handed in -> a folder that can be graded, for as long as somebody looks at it.

Archives are strangers' work: what `course.unpack` refuses of a course is refused of a submission. A repository of a
folder that was downloaded is only read, never run: its own settings could name programs.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from grader import scratch
from grader.bulk.roster import is_address
from grader.errors import EngineError, SubmissionError, UsageError
from grader.submission.files import DOCKERFILE, LITTER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grader.bulk.learner import Handed

#: Folders in folders in an archive, before what was meant is taken to be none of them.
_DEEPEST = 4
#: What a machine says of itself rather than of an archive.
_OURS = {
    getattr(errno, name)
    for name in (
        "ENOSPC",
        "EDQUOT",
        "EIO",
        "EMFILE",
        "ENFILE",
        "EACCES",
        "EPERM",
        "EROFS",
        "ENOMEM",
        "ENOENT",
        "ESTALE",
    )
    if hasattr(errno, name)
}
#: Bytes of a single upload; a Dockerfile may have less by far.
_LARGEST = 64 << 20
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@contextmanager
def opened(handed: Handed) -> Iterator[Path]:
    """The folder with the learner's Dockerfile; it is gone afterwards unless it was one before.

    Raises ``SubmissionError`` for an archive that is broken or refused, ``EngineError`` for what this machine or the
    network is at fault for, ``UsageError`` for an address that is wrong: whoever wrote the roster has to mend it.
    """
    if is_address(handed.source):
        yield _inner(_fetched(handed))
        return
    path = Path(handed.source)
    if path.is_dir() and not handed.files:
        yield _inner(path)
        return
    with scratch.folder() as folder:
        if handed.files:
            _lay(handed.files, folder / "it")
        else:
            _unpack(path, folder / "it")
        yield _inner(folder / "it")


def _fetched(handed: Handed) -> Path:
    """A commit's files out of the cache, where they stay: a class that is graded again is not fetched again."""
    from grader.course import address, source, unpack  # noqa: PLC0415  # most submissions lie here

    found = address.parse(handed.source)
    if found is None:
        raise UsageError("This is no address of a repository", "Correct it in the roster.", where=handed.source)
    try:
        return Path(source.fetch(replace(found, ref=handed.commit) if handed.commit else found).folder)
    except unpack.RefusedError as error:
        raise SubmissionError(error.what, "Keep in it what the task names, and no links out of it.") from error


def _lay(files: Mapping[str, str], folder: Path) -> None:
    """Uploads by the names that they are graded under. Links are somebody else's files."""
    folder.mkdir()
    for name, place in files.items():
        path = Path(place)
        try:
            if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
                raise SubmissionError(
                    "This is no file that can be graded", "Hand in the Dockerfile itself.", where=name
                )
            shutil.copyfile(path, folder / name)
        except OSError as error:
            fix = "Make room for it, or let it be read."
            raise EngineError(f"The file cannot be read here: {error.strerror}", fix, where=place) from error


def _unpack(archive: Path, folder: Path) -> None:
    from grader.course import unpack  # noqa: PLC0415

    try:
        unpack.unpack(archive, folder, told=archive.name, it="The archive")
    except UsageError as error:
        raise _broken(error.what) from error
    except OSError as error:
        if error.errno in _OURS:
            raise EngineError(
                f"The archive cannot be unpacked here: {error.strerror}",
                "Make room for it, or let it be read.",
                where=str(archive),
            ) from error
        raise _broken("The archive cannot be read") from error
    except Exception as error:
        # Readers of archives raise whatever a damaged one makes them stumble over; one must not end a class's run.
        raise _broken("The archive cannot be read") from error


def _broken(what: str) -> SubmissionError:
    return SubmissionError(what, "Hand in a .zip or .tar.gz of the files that the task names.")


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

    git is asked in a repository of our own, with settings of our own, that borrows the other's objects and nothing
    else.
    """
    sha = _head(folder / ".git")
    if sha is None:
        return None
    with scratch.folder() as ours:
        _borrow(ours, (folder / ".git" / "objects").resolve(), sha)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        clean |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_OPTIONAL_LOCKS": "0"}
        command = ["git", f"--git-dir={ours}", "show", "--no-patch", "--format=%ct", sha]
        try:
            said = subprocess.run(command, env=clean, check=True, capture_output=True, text=True, timeout=30).stdout
            return datetime.fromtimestamp(int(said.split()[-1]), UTC)
        except (OSError, subprocess.SubprocessError, ValueError, IndexError, OverflowError):
            return None


def _borrow(ours: Path, objects: Path, sha: str) -> None:
    """Makes a bare repository (gitrepository-layout) with another one's objects."""
    for name in ("refs", "objects/info"):
        (ours / name).mkdir(parents=True)
    (ours / "HEAD").write_text("ref: refs/heads/none\n")
    (ours / "objects/info/alternates").write_bytes(os.fsencode(objects) + b"\n")
    if len(sha) == 64:
        (ours / "config").write_text("[core]\nrepositoryformatversion = 1\n[extensions]\nobjectformat = sha256\n")


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
