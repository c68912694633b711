"""Files that are there whole or not at all, whatever ends the program."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def written(path: Path, text: str) -> bool:
    """Puts ``text`` into a file, unless it is there already; whether it was another one before."""
    data = text.encode("utf-8", "backslashreplace")
    with suppress(OSError):
        if path.read_bytes() == data:
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=".", delete=False) as new:
        new.write(data)
        new.flush()
        os.fsync(new.fileno())
    try:
        Path(new.name).chmod(0o644)
        Path(new.name).replace(path)
    except BaseException:
        Path(new.name).unlink(missing_ok=True)
        raise
    return True
