"""The private engine's data in a file system of a fixed size: a full disk is then the engine's, not the machine's.

It is ext4 in a sparse file beside the data folder, mounted there through a loop device (`loop`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from grader.course.units import human_size
from grader.engine.embedded import limits, loop
from grader.engine.room import is_mounted
from grader.errors import EngineError, UsageError
from grader.result import ProgressEvent

if TYPE_CHECKING:
    from pathlib import Path

    from grader.engine.embedded.home import Home
    from grader.result import Progress

#: Of an older version's data, what a disk should leave free when it is carried over.
_AIR = 2_000_000_000


def mount(home: Home, asked: int | None, progress: Progress) -> tuple[int | None, str]:
    """Mounts the disk at ``home.data``, made or grown to ``asked`` bytes if need be; the engine does not run.

    Returns its size, or None and why the data has no disk of its own. What an older version of the grader left in the
    folder is carried over. Raises EngineError when a disk that is there cannot be mounted, or not grow.
    """
    _settle(home)
    new = not home.image.exists() and not any(home.data.iterdir())
    try:
        loop.check_tools()
        if not home.image.exists():
            _make(home, asked, progress)
        elif asked is not None:
            _resize(home.image, asked)
        _set_aside(home, progress)
        loop.mount(home.image, home.data)
    except loop.NoDiskError as error:
        if new:
            # So that what the folder holds from now on is carried over once there can be a disk.
            home.image.unlink(missing_ok=True)
        return None, str(error)
    return home.image.stat().st_size, ""


def unmount(home: Home) -> None:
    """Unmounts whatever is mounted in or at the engine's folders, the deepest first, and frees the loop device.

    What something still uses vanishes from there at once, and is freed when it is not used any more: any container that
    starts on this machine has a part in all that is mounted for a moment.
    """
    folders = (f"{home.exec_root}/", f"{home.data}/", f"{_workplace(home)}/")
    for mounted in sorted((each for each in loop.mounts() if f"{each}/".startswith(folders)), reverse=True):
        if loop.run("umount", mounted):
            loop.run("umount", "--lazy", mounted)
    loop.release(home.image)


def check(home: Home, asked: int | None) -> None:
    """Raises UsageError when the disk that is there is larger than ``asked`` bytes, or the machine has less room."""
    if asked is None:
        return
    size, taken = (home.image.stat().st_size, home.image.stat().st_blocks * 512) if home.image.exists() else (0, 0)
    if asked < size - size % 4096:
        raise UsageError(
            f"The engine's disk has {human_size(size, unlike=asked)}, and cannot shrink to {human_size(asked)}",
            f"Stop the engine (`grader engine stop`) and remove {home.image}: "
            "its images and its cache go with it, and the next start makes a new one.",
            where=str(home.image),
        )
    there = next(folder for folder in home.image.parents if folder.is_dir())
    most = shutil.disk_usage(there).free + taken
    if asked > most:
        raise UsageError(
            f"A disk of {human_size(asked, unlike=most)} does not fit: there is room for {human_size(most)} in {there}",
            "Choose less, so that the machine keeps some of it.",
        )


# --- making ------------------------------------------------------------------------------------------------------


def _make(home: Home, asked: int | None, progress: Progress) -> None:
    """Makes the file with the file system in it, and carries over what an older version of the grader left.

    At every moment either the folder or the file is whole: the new one is made under another name.
    """
    old = home.data.is_dir() and any(home.data.iterdir())
    used = _used(home.data) if old else 0
    free = shutil.disk_usage(home.data.parent).free
    size = asked or limits.default_disk(free)
    if size < limits.SMALLEST_DISK:
        raise loop.NoDiskError(f"there are only {human_size(free)} free for one in {home.data.parent}")
    if used and (used > free - _AIR or used > size - _AIR):
        raise loop.NoDiskError(
            f"the {human_size(used)} in {home.data}, from an older version of the grader, do not fit on one of "
            f"{human_size(size)} beside them; {human_size(free)} are free"
        )
    made = home.beside("img.part")
    made.unlink(missing_ok=True)
    try:
        _format(made, size)
        if old:
            progress(ProgressEvent("engine", f"carrying over {human_size(used)} to a disk of a fixed size"))
            _copy(home, made)
            home.data.rename(home.beside("old"))
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    made.rename(home.image)
    _settle(home)


def _settle(home: Home) -> None:
    """Ends what a start that was killed has begun: a folder that was carried over is removed when its copy is whole."""
    old = home.beside("old")
    if old.exists():
        if home.image.exists():
            shutil.rmtree(old)
        elif not home.data.exists() or not any(home.data.iterdir()):
            if home.data.exists():
                home.data.rmdir()
            old.rename(home.data)
    home.beside("img.part").unlink(missing_ok=True)
    home.data.mkdir(parents=True, exist_ok=True, mode=0o711)


def _set_aside(home: Home, progress: Progress) -> None:
    """What is in the folder itself, where the disk is to be mounted, would be hidden by it: keeps it beside."""
    if is_mounted(home.data) or not any(home.data.iterdir()):
        return
    aside = next(path for path in (home.beside(f"left-{n}") for n in range(1, 10_000)) if not path.exists())
    home.data.rename(aside)
    home.data.mkdir(mode=0o711)
    text = f"what the engine held while it had no disk is in {aside} now; remove it unless you need it"
    progress(ProgressEvent("engine", text))


def _format(image: Path, size: int) -> None:
    with image.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.truncate(size - size % 4096)
    # Images are made of small files, so there are twice as many inodes as usual. What of their tables is not in use is
    # never written: the file takes as much of the machine's disk as is in it.
    options = ("-m", "0", "-i", "8192", "-E", "lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0")
    if failed := loop.run("mkfs.ext4", "-q", "-F", *options, str(image)):
        raise loop.NoDiskError(f"mkfs.ext4 could not make one: {failed}")


def _copy(home: Home, made: Path) -> None:
    """Copies the data folder as it is, devices that stand for deleted files and all."""
    place = _workplace(home)
    place.mkdir(exist_ok=True, mode=0o700)
    try:
        loop.mount(made, place)
        failed = loop.run("cp", "--archive", "--one-file-system", f"{home.data}/.", str(place))
        if loop.run("umount", str(place)):
            failed = failed or f"{place} could not be unmounted"
        if failed:
            raise loop.NoDiskError(
                f"what is in {home.data}, from an older version of the grader, was not copied: {failed[-160:]}; after "
                "`grader clean --cache`, which removes what builds left, `grader engine stop` and `start` try it again"
            )
    finally:
        if is_mounted(place):
            loop.run("umount", "--lazy", str(place))
        with suppress(OSError):
            place.rmdir()


def _resize(image: Path, size: int) -> None:
    """Grows the file system; its device is free, for it is not mounted. (Growing a mounted one takes more rights.)"""
    size -= size % 4096
    if image.stat().st_size >= size:
        return
    if loop.devices(image):
        raise EngineError(
            "The disk of the grader's own engine cannot grow: something uses it still",
            "Try again when that has ended; `fuser -vm` on the loop device that `losetup -j` names says what it is.",
            where=str(image),
        )
    if failed := loop.run("e2fsck", "-f", "-p", str(image)):
        raise loop.broken(image, failed)
    os.truncate(image, size)
    if failed := loop.run("resize2fs", str(image)):
        raise loop.broken(image, failed)


def _workplace(home: Home) -> Path:
    """Where a new disk is mounted while it is filled."""
    return home.beside("new")


def _used(folder: Path) -> int:
    """The bytes that a folder takes on the disk."""
    done = subprocess.run(["du", "-sxk", str(folder)], capture_output=True, text=True, check=False)
    return int(done.stdout.split()[0]) * 1024 if done.stdout else 0
