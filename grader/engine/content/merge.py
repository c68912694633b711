"""Layers laid over one another: the final file system, and what ships in vain."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from grader.engine.content.layers import Entry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from grader.engine.content.layers import Layer

#: The kernel gives up on a path after 40 symlinks; so do we.
_MOST_SYMLINKS = 40
#: What the kernel shows of a process; its `root` is the root again.
_PROCESS_ROOT = re.compile(r"proc/(?:self|thread-self|\d+)(?:/task/\d+)?(?:/root)?")


class FinalFile(NamedTuple):
    """A name in the final file system; ``layer`` is the index of the layer it comes from."""

    entry: Entry
    layer: int


class Hidden(NamedTuple):
    """Content that ships although nobody sees it: bytes of a file, and the indices of the layers that added and hid it.

    The path is the file's own: a file with several names is hidden when the last of them is.
    """

    path: str
    size: int
    added: int
    hidden: int


class Merged(NamedTuple):
    """The final file system, and what the layers above ``base_count`` added to it in vain."""

    files: Mapping[str, FinalFile]
    waste: Sequence[Hidden]


def merge(layers: Sequence[Layer], base_count: int) -> Merged:
    """Lays the layers over one another, lowest first; the lowest ``base_count`` waste nothing of the learner's."""
    files: dict[str, FinalFile] = {}
    waste = _Waste()
    for index, layer in enumerate(layers):
        own = index >= base_count
        for name in _hidden(files, layer.entries):
            waste.hide(name, files.pop(name), index)
        for name, entry in layer.entries.items():
            if entry.kind == "whiteout":
                continue
            if name in files:
                waste.hide(name, files[name], index)
            files[name] = FinalFile(entry, index)
            if own:
                waste.add(name, entry, index)
        _add_folders(files, layer.entries, index)
    return Merged(files, waste.found)


class _Waste:
    """Counts the names of every file with content, and notes when the last of them goes."""

    def __init__(self) -> None:
        self.found: list[Hidden] = []
        #: (layer, path of the file) -> how many more names it has, for files with several.
        self._more_names: dict[tuple[int, str], int] = {}
        self._sizes: dict[tuple[int, str], int] = {}

    def add(self, name: str, entry: Entry, layer: int) -> None:
        if entry.kind == "file" and entry.size:
            self._sizes[layer, name] = entry.size
        elif entry.kind == "link":
            file = (layer, entry.target)
            self._more_names[file] = self._more_names.get(file, 0) + 1

    def hide(self, name: str, gone: FinalFile, by: int) -> None:
        if gone.entry.kind not in ("file", "link"):
            return
        file = (gone.layer, gone.entry.target if gone.entry.kind == "link" else name)
        if more := self._more_names.get(file):
            self._more_names[file] = more - 1
        elif size := self._sizes.get(file):
            self.found.append(Hidden(file[1], size, gone.layer, by))


def hidden_by(layers: Sequence[Layer], path: str, index: int) -> int | None:
    """The index of the first layer above ``index`` that deletes or overwrites what that one has at ``path``."""
    parts = path.split("/")
    folders = ["/".join(parts[:count]) for count in range(1, len(parts))]
    for later in range(index + 1, len(layers)):
        entries = layers[later].entries
        above = (entries[folder] for folder in folders if folder in entries)
        if path in entries or any(entry.kind != "dir" or entry.opaque for entry in above):
            return later
    return None


def _add_folders(files: dict[str, FinalFile], names: Iterable[str], index: int) -> None:
    """Directories that a layer leaves out although it has files in them, as some image builders do."""
    for name in names:
        folder = name
        while (folder := folder.rpartition("/")[0]) and folder not in files and name in files:
            files[folder] = FinalFile(Entry("dir", mode=0o755), index)


def _hidden(files: Mapping[str, FinalFile], entries: Mapping[str, Entry]) -> list[str]:
    """The names that a layer takes away from what lies below it."""
    gone: list[str] = []
    emptied: set[str] = set()
    for name, entry in entries.items():
        here = files.get(name)
        if here is None:
            continue
        if entry.kind == "whiteout":
            gone.append(name)
        # Whatever is no directory any more (deleted, or replaced by a file) takes all that was below it along.
        if here.entry.kind == "dir" and (entry.kind != "dir" or entry.opaque):
            emptied.add(name)
    return gone + [name for name in _below(emptied, files) if entries.get(name, _NOTHING).kind != "whiteout"]


#: Stands where a layer says nothing of a name.
_NOTHING = Entry("dir")


def _below(folders: Collection[str], names: Iterable[str]) -> Iterator[str]:
    """Those of ``names`` that lie inside one of ``folders``, however deep."""
    if not folders:
        return
    inside = {"": False}  # folder -> whether what lies in it is meant; each is looked at but once
    for name in names:
        folder = name.rpartition("/")[0]
        unknown = []
        while folder not in inside:
            unknown.append(folder)
            if folder in folders:
                inside[folder] = True
                break
            folder = folder.rpartition("/")[0]
        answer = inside[folder]
        inside.update(dict.fromkeys(unknown, answer))
        if answer:
            yield name


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
