"""Uploads that are no folder and no archive: a lone Dockerfile, under whatever name a learning platform gave it.

Platforms number what is uploaded again (Canvas ``Dockerfile-1``, browsers ``Dockerfile (1)``), and people add ``.txt``
where one takes no file without an ending.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grader.submission.files import DOCKERFILE, LITTER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NUMBER = r"(?:[-_ ]?\d{1,3}|[_ ]?\(\d{1,3}\))?"
_NAMES = {
    DOCKERFILE: re.compile(rf"dockerfile{_NUMBER}(?:\.txt)?{_NUMBER}", re.IGNORECASE),
    ".dockerignore": re.compile(rf"[._]?dockerignore{_NUMBER}(?:\.txt)?{_NUMBER}", re.IGNORECASE),
}


def meant(name: str) -> str:
    """The file that is meant by an upload's name, empty when it is none of those."""
    return next((meant for meant, names in _NAMES.items() if names.fullmatch(name)), "")


def within(folder: Path) -> dict[str, Path]:
    """What a folder holds when all in it was meant to be something else than it is called; else nothing.

    A folder with anything more is handed in as it is.
    """
    try:
        entries = [entry for entry in folder.iterdir() if entry.name not in LITTER]
    except OSError:
        return {}
    found = {meant(entry.name): entry for entry in entries if entry.is_file() and not entry.is_symlink()}
    whole = len(found) == len(entries) and DOCKERFILE in found and "" not in found
    return found if whole and any(name != entry.name for name, entry in found.items()) else {}


def uploaded(name: str) -> str:
    """The name that a file was uploaded under: a platform's download has whose it is before that."""
    return name if meant(name) else next((found for found in _endings(name) if meant(found)), name)


def _endings(name: str) -> Iterator[str]:
    parts = name.split("_")
    yield from ("_".join(parts[start:]) for start in range(1, len(parts)))
