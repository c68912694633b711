"""A report's file: the whole new content or the whole old one, never half of it."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def written(path: Path) -> Iterator[TextIO]:
    """``path``, to be written as UTF-8; what was there stays until all of the new content is, and when that fails.

    A device or a pipe is written as it is, and so is a file in a folder where no other may be made. Raises OSError.
    """
    path = Path(os.path.realpath(path))
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
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
            shutil.copymode(path, new)
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
