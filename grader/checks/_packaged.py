"""Which files came with a package: tests and manuals of packages hold keys that open nothing."""

from __future__ import annotations

import csv
import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from grader.engine.image import Image

_RECORD = re.compile(r"(?P<folder>.*)/[^/]+\.dist-info/RECORD")
_LIST = re.compile(r"var/lib/dpkg/info/[^/]+\.list")


def packaged(image: Image, paths: Collection[str]) -> set[str]:
    """Those of ``paths`` that a Python or a Debian package lists as its own."""
    if not paths:
        return set()
    lists = [path for path in image.files if _LIST.fullmatch(path) and not image.from_base(path)]
    records = [path for path in image.files if (match := _RECORD.fullmatch(path)) and _is_above(match["folder"], paths)]
    listed: set[str] = set()
    for path, content in image.read([*lists, *records]).items():
        text = content.decode(errors="surrogateescape")
        listed.update(_recorded(path, text) if path.endswith("/RECORD") else _installed(text))
    return listed.intersection(paths)


def _is_above(folder: str, paths: Collection[str]) -> bool:
    return any(path.startswith(f"{folder}/") for path in paths)


def _recorded(record: str, text: str) -> Iterator[str]:
    """The files of a `RECORD` (PyPA, "Recording installed projects"): paths relative to the folder of packages."""
    folder = posixpath.dirname(posixpath.dirname(record))
    for row in csv.reader(text.splitlines()):
        if row:
            yield posixpath.normpath(posixpath.join(folder, row[0])).lstrip("/")


def _installed(text: str) -> Iterator[str]:
    """The files of a list of dpkg's: one absolute path a line."""
    yield from (line.lstrip("/") for line in text.splitlines())
