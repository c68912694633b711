"""Names of learners -> names of files that every system takes, and no two alike."""

from __future__ import annotations

import re

#: Bytes of a name; with an ending it stays below what file systems take (255).
_LONGEST = 80
# Windows gives these names to devices, whatever their ending.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)


class FileNames:
    """Hands out names; the same question in the same order gets the same answers."""

    def __init__(self) -> None:
        """None is taken yet."""
        self._taken: set[str] = set()

    def of(self, name: str) -> str:
        """A file name, without an ending, that nobody else has, letter case aside."""
        plain = re.sub(r"[^\w.@+-]+", "_", name, flags=re.UNICODE).strip("._") or "learner"
        plain = plain.encode()[:_LONGEST].decode(errors="ignore")
        plain = f"_{plain}" if _DEVICE.fullmatch(plain) else plain
        found, number = plain, 1
        while found.casefold() in self._taken:
            number += 1
            found = f"{plain}-{number}"
        self._taken.add(found.casefold())
        return found
