"""Files that are there whole or not at all: the new content or the old one, whoever reads it and whatever ends us.

The new content is written beside the file and then takes its place.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds to wait, on Windows, for whoever reads the file in this instant.
_PATIENCE = 10.0
_NEW = ".new-"


def put(path: Path, content: str | bytes, *, mode: int = 0o600, synced: bool = False) -> None:
    """Puts ``content`` (a text as UTF-8) into a file, and makes its folders.

    ``mode`` is what the umask may take from; ``synced`` waits until the disk has it all. Raises OSError; what was
    there stays then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = _beside(path)
    try:
        with open(new, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as out:
            out.write(content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))
            if synced:
                out.flush()
                os.fsync(out.fileno())
        _over(new, path)
    except BaseException:
        _forget(new)
        raise


def put_if_other(path: Path, content: str, *, synced: bool = False) -> bool:
    """The same for a file that others may read, unless it holds just that already; whether it did not."""
    if holds(path, content):
        return False
    put(path, content, mode=0o666, synced=synced)
    return True


def holds(path: Path, content: str) -> bool:
    """Whether a file is there, and holds just that."""
    data = content.encode("utf-8", "backslashreplace")
    with suppress(OSError):
        return path.stat().st_size == len(data) and path.read_bytes() == data
    return False


@contextmanager
def written(path: Path) -> Iterator[TextIO]:
    """A file of a user's, to be written as UTF-8; what was there stays until all of the new content is.

    A device or a pipe is written as it is, and so is a file in a folder where no other may be made. A link goes on
    leading to its file, and a file keeps its mode. Raises OSError.
    """
    path = Path(os.path.realpath(path))
    new = _beside(path)
    try:
        if path.exists() and not (path.is_file() and os.access(path, os.W_OK)):
            raise PermissionError  # nothing may take a device's place, or that of a file which may not be written
        out = new.open("x", encoding="utf-8")
    except OSError:
        with path.open("w", encoding="utf-8") as out:
            yield out
        return
    try:
        with out:
            yield out
        if path.exists():
            new.chmod(path.stat().st_mode & 0o7777)
        _over(new, path)
    except BaseException:
        _forget(new)
        raise


def _beside(path: Path) -> Path:
    """A name that nobody else takes; short, for the file's own may be as long as a name can be."""
    return path.with_name(f"{_NEW}{os.urandom(8).hex()}")


def tidy(folder: Path) -> None:
    """Removes what a killed program left beside its files; nobody may be writing into the folder meanwhile."""
    for left in folder.glob(f"{_NEW}*"):
        _forget(left)


def _over(new: Path, path: Path) -> None:
    """Windows lets nobody replace a file that somebody reads in this instant."""
    deadline = time.monotonic() + _PATIENCE
    while os.name == "nt":
        with suppress(PermissionError):
            new.replace(path)
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    new.replace(path)


def _forget(new: Path) -> None:
    with suppress(OSError):
        new.unlink(missing_ok=True)
