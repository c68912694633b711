"""A layer as a tar holds it.

Source: the OCI image specification, layer.md.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from grader.engine.layers import Entry, with_links

if TYPE_CHECKING:
    import tarfile


def from_tar(layer: tarfile.TarFile) -> dict[str, Entry]:
    """The entries of a layer's tar; whiteouts are names that begin with `.wh.`."""
    entries: dict[str, Entry] = {}
    gone: set[str] = set()
    links: dict[str, list[str]] = {}
    passed: list[tarfile.TarInfo] = layer.members  # type: ignore[attr-defined]  # typeshed has no name for it
    for member in layer:
        name = _name(member.name)
        folder, _, last = name.rpartition("/")
        if last == ".wh..wh..opq":
            gone.add(folder)
        elif last.startswith(".wh.."):
            continue  # AUFS's own housekeeping, which still shows up in old images
        elif last.startswith(".wh."):
            gone.add(f"{folder}/{last[4:]}".lstrip("/"))
        elif name and member.islnk() and _name(member.linkname) in entries:
            _link(name, _name(member.linkname), entries, links)
        elif name:
            entries[name] = _from_member(member)
        passed.clear()  # tarfile would keep every member it has passed
    for name in gone:
        # A whiteout speaks of the layers below: what this layer has of that name stays, without what it covered.
        here = entries.get(name)
        if here is None:
            is_folder = any(other.startswith(f"{name}/") for other in entries)
            entries[name] = Entry("dir", 0, 0o755, opaque=True) if is_folder else Entry("whiteout")
        elif here.kind == "dir":
            entries[name] = here._replace(opaque=True)
    groups = {id(group): group for group in links.values()}
    return with_links(entries, groups.values())


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
