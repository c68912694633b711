"""A layer as a tar holds it.

Source: the OCI image specification, layer.md.
"""

from __future__ import annotations

import stat
import tarfile
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from grader.engine.content import programs
from grader.engine.content.layers import WHITEOUT, Entry, with_links

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from grader.engine.api.stream import Source
    from grader.engine.content.layers import Layer

#: Marks a directory that hides what layers below had in it.
_OPAQUE = f"{WHITEOUT}{WHITEOUT}.opq"


class Contents(NamedTuple):
    """The names in a layer, and the compilers among its files: path -> what they are (`programs.TEXTS`)."""

    entries: Mapping[str, Entry]
    programs: Mapping[str, str]

    @classmethod
    def of(cls, layer: Layer) -> Contents:
        """What was read of a layer before."""
        return cls(layer.entries, layer.programs)


def members(source: Source, *, marked: bool = False) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """What an archive holds, each to be read before the next is asked for; nothing is kept of those that have passed.

    Raises ``tarfile.TarError`` for what is no archive, and where its end has to be ``marked`` (by a block of zeros, as
    engines do it) for one that only stops. Names that are not UTF-8 have surrogates in them.
    """
    archive = tarfile.TarFile(fileobj=cast("IO[bytes]", source), encoding="utf-8", errors="surrogateescape")
    passed: list[tarfile.TarInfo] = archive.members  # type: ignore[attr-defined]  # typeshed has no name for it
    while (member := archive.next()) is not None:
        yield member, archive
        passed.clear()
    if marked and source.tell() <= archive.offset:
        raise tarfile.ReadError("it has no end")


def read(source: Source, *, search: bool = True, marked: bool = False) -> Contents:
    """What a layer's tar holds; whiteouts are names that begin with `.wh.`. Without ``search`` no file is looked into.

    Raises ``tarfile.TarError`` for what is no tar; ``marked`` as in `members`.
    """
    entries: dict[str, Entry] = {}
    found: dict[str, str] = {}
    gone: set[str] = set()
    links: dict[str, list[str]] = {}
    for member, archive in members(source, marked=marked):
        name = _name(member.name)
        folder, _, last = name.rpartition("/")
        if last == _OPAQUE:
            gone.add(folder)
        elif last.startswith(WHITEOUT) and not last.startswith(WHITEOUT * 2):  # twice is AUFS's own housekeeping
            gone.add(f"{folder}/{last.removeprefix(WHITEOUT)}".lstrip("/"))
        elif name and member.islnk() and _name(member.linkname) in entries:
            _link(name, _name(member.linkname), entries, links)
        elif name:
            entries[name] = _from_member(member)
            found.pop(name, None)
            if search and member.isreg() and programs.may_be_one(member.size):
                file = archive.extractfile(member)
                if file is not None and (program := programs.recognise(file)):
                    found[name] = program
    _hide(gone - {""}, entries)
    groups = {id(group): group for group in links.values()}
    entries = with_links(entries, groups.values())
    return Contents(entries, {entries[name].target or name: program for name, program in found.items()})


def _hide(gone: Iterable[str], entries: dict[str, Entry]) -> None:
    """A whiteout speaks of the layers below: what this layer has of that name stays, without what it covered."""
    folders: set[str] = set()
    for name in entries:
        folder = name
        while (folder := folder.rpartition("/")[0]) and folder not in folders:
            folders.add(folder)
    for name in gone:
        here = entries.get(name)
        if here is None:
            entries[name] = Entry("dir", 0, 0o755, opaque=True) if name in folders else Entry("whiteout")
        elif here.kind == "dir":
            entries[name] = here._replace(opaque=True)


def _name(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/".join(parts)


def _link(name: str, target: str, entries: dict[str, Entry], links: dict[str, list[str]]) -> None:
    """Adds ``name`` to the names of the file ``target``."""
    group = links.setdefault(target, [target])
    group.append(name)
    links[name] = group
    entries[name] = entries[target]._replace(kind="link", size=0, target=target)


def _from_member(member: tarfile.TarInfo) -> Entry:
    mode, owner = stat.S_IMODE(member.mode), (member.uid, member.gid)
    if member.isreg():
        return Entry("file", member.size, mode, *owner)
    if member.islnk():
        return Entry("link", 0, mode, *owner, _name(member.linkname))
    if member.isdir():
        return Entry("dir", 0, mode, *owner)
    if member.issym():
        return Entry("symlink", 0, mode, *owner, member.linkname)
    if member.ischr() and member.devmajor == member.devminor == 0:
        return Entry("whiteout")
    return Entry("special", 0, mode, *owner)
