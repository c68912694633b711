"""What a rebuild did to the files of an image."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from grader.checks._paths import in_place, path_pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.engine.image import Image


class Difference(NamedTuple):
    """A file that is not as it should be after the rebuild; ``path`` is empty when there is none to name."""

    told: str
    path: str = ""


def difference(before: Image, after: Image, unchanged: Sequence[str], added: Sequence[str]) -> Difference | None:
    """The first file that is another one, of those that should be the same, or that is not there though it should be.

    ``unchanged`` and ``added`` are paths or globs; each has to stand for a file.
    """
    for glob in unchanged:
        names = _matching(before, glob)
        if not names:
            return Difference(f"there is no file `{glob}` in the image")
        old, new = before.read(names), after.read(names)
        for name in names:
            if name not in new:
                return Difference(f"after the rebuild there is no /{name}", name)
            if old[name] != new[name]:
                return Difference(f"/{name} was made again, and is another one after the rebuild", name)
    for glob in added:
        if there := _matching(before, glob):
            return Difference(f"/{there[0]} was there before the change", there[0])
        if not _matching(after, glob):
            return Difference(f"after the rebuild there is no file `{glob}`: what changed does not reach the image")
    return None


def _matching(image: Image, glob: str) -> list[str]:
    """Regular files, also those that are hard links."""
    pattern = re.compile(path_pattern(in_place(image, glob)))
    return sorted(
        path for path, found in image.files.items() if found.entry.kind in ("file", "link") and pattern.fullmatch(path)
    )
