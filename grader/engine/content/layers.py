"""What a layer holds: the names in it, and what it hides of the layers below.

Layers are named by their diff id, the digest of their uncompressed content. `reading` says how they are read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from grader.errors import SubmissionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Kind = Literal["file", "link", "dir", "symlink", "special", "whiteout"]

#: How the name of a whiteout begins in a layer's tar.
WHITEOUT = ".wh."


class Entry(NamedTuple):
    """One name in a layer.

    ``size`` is in bytes of content, 0 for all but regular files; a hard link (``link``) to a file of the same layer is
    0 too. ``target`` is where a symlink or a hard link points, as written. ``opaque`` hides what layers below had in a
    directory. A ``whiteout`` hides the name itself.
    """

    kind: Kind
    size: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    target: str = ""
    opaque: bool = False

    @property
    def executable(self) -> bool:
        """Whether anybody may execute it."""
        return self.kind in ("file", "link") and bool(self.mode & 0o111)


@dataclass(frozen=True)
class Layer:
    """What one layer holds: names (posix, relative to the root, undecodable bytes as surrogates) -> entries.

    ``programs`` are the compilers among its files: path of a file -> what it is (`programs.TEXTS`). A layer whose
    files lie in a ``folder`` of this machine has not been searched for them yet.
    """

    diff_id: str
    entries: Mapping[str, Entry]
    programs: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = field(default=None, compare=False)

    @cached_property
    def size(self) -> int:
        """Bytes of uncompressed content, every file counted once."""
        return sum(entry.size for entry in self.entries.values())

    @property
    def hides(self) -> bool:
        """Whether it deletes anything of the layers below."""
        return any(entry.kind == "whiteout" or entry.opaque for entry in self.entries.values())


def with_links(entries: dict[str, Entry], groups: Iterable[list[str]]) -> dict[str, Entry]:
    """Of the names of one file the first in the alphabet is the file, the others are links to it.

    Which one a tar holds first depends on who wrote it; two readers have to agree.
    """
    for names in groups:
        first, *others = sorted(names, key=os.fsencode)
        content = max((entries[name] for name in names), key=lambda entry: entry.size)
        entries[first] = content._replace(kind="file", target="")
        for name in others:
            entries[name] = content._replace(kind="link", size=0, target=first)
    return entries


def is_whiteout(name: str) -> bool:
    """Whether a path ends in the name of a whiteout."""
    return name.rpartition("/")[2].startswith(WHITEOUT)


def looks_deleted(name: str) -> SubmissionError:
    """A file with the name of a whiteout: to some readers it hides another file, to others it does not."""
    return SubmissionError(
        f"The image holds /{name}; names that begin with `{WHITEOUT}` mark deletions in layers, and hide files",
        "Give the file another name.",
    )
