"""Layers of an engine of this machine: walks the folders in which overlay2 keeps them.

Source: the Linux kernel's overlayfs.rst (whiteout devices, opaque directories, redirect_dir).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from grader.engine.content import programs
from grader.engine.content.layers import WHITEOUT, Entry, looks_deleted, with_links

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.engine.connect import Engine


class Unreadable(Exception):  # noqa: N818 - a reason to read in another way, not an error
    """A directory's content lies elsewhere (the kernel's redirect_dir), or deeper than a path can be long."""


def folders(engine: Engine, image: Mapping[str, Any]) -> list[Path]:
    """The folder of each layer of ``image`` (what the engine's inspect says of it), lowest first.

    Empty when they are not this machine's to read.
    """
    driver = image.get("GraphDriver") or {}
    data = driver.get("Data") or {}
    # Podman calls the same driver “overlay”.
    if not engine.local or driver.get("Name") not in ("overlay2", "overlay") or "UpperDir" not in data:
        return []
    lower = [Path(part) for part in data.get("LowerDir", "").split(":") if part]
    found = [*reversed(lower), Path(data["UpperDir"])]
    complete = len(found) == len(image["RootFS"].get("Layers") or ())
    return found if complete and all(folder.is_dir() for folder in found) and _as_they_are(data) else []


def _as_they_are(data: Mapping[str, str]) -> bool:
    """Whether users have the numbers in the folders that they have in the image: not on an engine with user namespaces.

    What root of the image owns, the engine's own working folder too, belongs to another user there.
    """
    for folder in (data.get("WorkDir"), data["UpperDir"]):
        if folder and os.path.lexists(folder):
            return os.lstat(folder).st_uid == 0
    return False


def walk(root: Path) -> dict[str, Entry]:
    """The entries of a layer's folder.

    Raises ``Unreadable`` when the folder alone does not tell what is in the layer, ``SubmissionError`` when a file in
    it has the name of a whiteout.
    """
    try:
        return _walked(root)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise Unreadable(root) from error
        raise


def _walked(root: Path) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    inodes: dict[int, list[str]] = {}
    todo: list[tuple[str, str]] = [(str(root), "")]
    while todo:
        folder, prefix = todo.pop()
        with os.scandir(folder) as children:
            for child in children:
                name = prefix + child.name
                if child.name.startswith(WHITEOUT):
                    raise looks_deleted(name)
                facts = child.stat(follow_symlinks=False)
                entries[name] = entry = _from_stat(child.path, facts)
                if entry.kind == "dir":
                    todo.append((child.path, name + "/"))
                elif entry.kind == "file" and facts.st_nlink > 1:
                    inodes.setdefault(facts.st_ino, []).append(name)
    return with_links(entries, inodes.values())


def programs_in(root: Path, entries: Mapping[str, Entry]) -> dict[str, str]:
    """The compilers among the files of a layer's folder: path -> what it is (`programs.TEXTS`)."""
    found: dict[str, str] = {}
    for name, entry in entries.items():
        if entry.kind == "file" and programs.may_be_one(entry.size):
            with (root / name).open("rb", buffering=0) as file:
                program = programs.recognise(cast("programs.File", file))
            if program:
                found[name] = program
    return found


def content(root: Path, name: str) -> bytes | None:
    """What a regular file of a layer's folder holds; None where the folder does not tell (the kernel's metacopy)."""
    # The folder was walked: nothing on the way to the file is a symlink, and nothing changes in a finished layer.
    with open(os.open(root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
        if "trusted.overlay.metacopy" in os.listxattr(file.fileno()):
            return None
        return file.read()


def _from_stat(path: str, facts: os.stat_result) -> Entry:
    mode, owner = stat.S_IMODE(facts.st_mode), (facts.st_uid, facts.st_gid)
    if stat.S_ISREG(facts.st_mode):
        return Entry("file", facts.st_size, mode, *owner)
    if stat.S_ISDIR(facts.st_mode):
        return Entry("dir", 0, mode, *owner, opaque=_is_opaque(path))
    if stat.S_ISLNK(facts.st_mode):
        return Entry("symlink", 0, mode, *owner, os.readlink(path))  # noqa: PTH115 - a Path would drop what is odd in it
    if stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0:
        return Entry("whiteout")
    return Entry("special", 0, mode, *owner)


def _is_opaque(path: str) -> bool:
    """Only the kernel's own mark counts: any RUN can set a `user.` attribute, and hide files with it from us alone."""
    with suppress(OSError, AttributeError):
        names = os.listxattr(path, follow_symlinks=False)
        if "trusted.overlay.redirect" in names:
            raise Unreadable(path)
        if "trusted.overlay.opaque" in names:
            return os.getxattr(path, "trusted.overlay.opaque", follow_symlinks=False) == b"y"
    return False
