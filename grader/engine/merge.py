"""Layers laid over one another: the final file system, and what ships in vain."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.engine.layers import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from grader.engine.layers import Layer

#: The kernel gives up on a path after 40 symlinks; so do we.
_MOST_SYMLINKS = 40
#: What the kernel shows of a process; its `root` is the root again.
_PROCESS_ROOT = re.compile(r"proc/(?:self|thread-self|\d+)(?:/task/\d+)?(?:/root)?")


@dataclass(frozen=True)
class FinalFile:
    """A name in the final file system; ``layer`` is the index of the layer it comes from."""

    entry: Entry
    layer: int


@dataclass(frozen=True)
class Merged:
    """The final file system, and by layer index the bytes that a later layer hid again."""

    files: Mapping[str, FinalFile]
    wasted: Mapping[int, int]


def merge(layers: Sequence[Layer], base_count: int) -> Merged:
    """Lays the layers over one another; ``wasted`` holds, by layer index, bytes that a later layer hid again."""
    files: dict[str, FinalFile] = {}
    wasted: dict[int, int] = {}

    def hide(name: str) -> None:
        gone = files.pop(name)
        if gone.layer >= base_count and gone.entry.size:
            wasted[gone.layer] = wasted.get(gone.layer, 0) + gone.entry.size

    for index, layer in enumerate(layers):
        for name in list(_hidden(files, layer.entries)):
            hide(name)
        for name, entry in layer.entries.items():
            if entry.kind == "whiteout":
                continue
            if name in files:
                hide(name)
            files[name] = FinalFile(entry, index)
        _add_folders(files, layer.entries, index)
    return Merged(files, wasted)


def _add_folders(files: dict[str, FinalFile], names: Iterable[str], index: int) -> None:
    """Directories that a layer leaves out although it has files in them, as some image builders do."""
    for name in names:
        folder = name
        while (folder := folder.rpartition("/")[0]) and folder not in files and name in files:
            files[folder] = FinalFile(Entry("dir", mode=0o755), index)


def _hidden(files: Mapping[str, FinalFile], entries: Mapping[str, Entry]) -> Iterator[str]:
    """The names that a layer takes away from what lies below it."""
    emptied = {name for name, entry in entries.items() if entry.opaque}
    # Whatever is no directory any more (deleted, or replaced by a file) takes all that was below it along.
    gone = {
        name
        for name, entry in entries.items()
        if entry.kind == "whiteout" or (entry.kind != "dir" and name in files and files[name].entry.kind == "dir")
    }
    if not emptied and not gone:
        return
    for name in files:
        if name in gone and entries[name].kind == "whiteout":
            yield name
            continue
        folder = name
        while folder := folder.rpartition("/")[0]:
            if folder in gone or folder in emptied:
                yield name
                break


def resolve(files: Mapping[str, FinalFile], path: str) -> str | None:
    """Follows symlinks, component by component, inside ``files`` only."""
    todo = [part for part in path.split("/") if part not in ("", ".")][::-1]
    done: list[str] = []
    followed = 0
    while todo:
        part = todo.pop()
        if part == "..":
            done = done[:-1]
            continue
        if _PROCESS_ROOT.fullmatch("/".join([*done, part])):
            done = [] if part == "root" else [*done, part]
            continue
        name = "/".join([*done, part])
        found = files.get(name)
        if found is None:
            return None
        if found.entry.kind == "symlink":
            followed += 1
            if followed > _MOST_SYMLINKS:
                return None
            if found.entry.target.startswith("/"):
                done = []
            todo.extend([p for p in found.entry.target.split("/") if p not in ("", ".")][::-1])
        else:
            done.append(part)
    return posixpath.join(*done) if done else ""
