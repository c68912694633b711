"""The private engine's data in a file system of a fixed size: a full disk is then the engine's, not the machine's.

It is ext4 in a sparse file beside the data folder, mounted there through a loop device. The device is given up as soon
as it is mounted, and so is freed by the kernel when nothing is mounted from it any more (losetup(8), `--detach`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from grader.course.units import human_size
from grader.engine import limits
from grader.engine.install import find
from grader.engine.room import is_mounted
from grader.errors import EngineError, UsageError
from grader.result import ProgressEvent

if TYPE_CHECKING:
    from grader.engine.home import Home
    from grader.result import Progress

_PACKAGES = {"mkfs.ext4": "e2fsprogs", "losetup": "mount", "mount": "mount", "umount": "mount", "cp": "coreutils"}
#: Of an older version's data, what a disk should leave free when it is carried over.
_AIR = 2_000_000_000
#: Seconds that a disk has to be let go of by whoever else has a part in it.
_PATIENCE = 5.0


class _NoDiskError(Exception):
    """There can be no disk here; the message says why."""


def mount(home: Home, asked: int | None, progress: Progress) -> tuple[int | None, str]:
    """Mounts the disk at ``home.data``, made or grown to ``asked`` bytes if need be; the engine does not run.

    Returns its size, or None and why the data has no disk of its own. What an older version of the grader left in the
    folder is carried over. Raises EngineError when a disk that is there cannot be mounted, UsageError when it is larger
    than ``asked``.
    """
    _settle(home)
    new = not home.image.exists() and not any(home.data.iterdir())
    try:
        _check_tools()
        if not home.image.exists():
            _make(home, asked, progress)
        elif asked is not None:
            _resize(home.image, asked)
        _set_aside(home, progress)
        _mount(home.image, home.data)
    except _NoDiskError as error:
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
    for mounted in sorted((each for each in _mounts() if f"{each}/".startswith(folders)), reverse=True):
        if _run("umount", mounted):
            _run("umount", "--lazy", mounted)
    if held := _held(home.image):
        # One that a process left which was killed between making and mounting it, or one that is about to end.
        device, file = held
        _run("losetup", "--detach", device)
        os.close(file)
    deadline = time.monotonic() + _PATIENCE
    while _devices(home.image) and time.monotonic() < deadline:
        time.sleep(0.02)


def check(home: Home, asked: int | None) -> None:
    """Raises UsageError when the disk that is there is larger than ``asked`` bytes."""
    if asked is None or not home.image.exists():
        return
    size = home.image.stat().st_size
    if asked < size - size % 4096:
        raise UsageError(
            f"The engine's disk has {human_size(size, unlike=asked)}, and cannot shrink to {human_size(asked)}",
            f"Stop the engine (`grader engine stop`) and remove {home.image}: "
            "its images and its cache go with it, and the next start makes a new one.",
            where=str(home.image),
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
        raise _NoDiskError(f"there are only {human_size(free)} free for one in {home.data.parent}")
    if used and (used > free - _AIR or used > size - _AIR):
        raise _NoDiskError(
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
    if failed := _run("mkfs.ext4", "-q", "-F", *options, str(image)):
        raise _NoDiskError(f"mkfs.ext4 could not make one: {failed}")


def _copy(home: Home, made: Path) -> None:
    """Copies the data folder as it is, devices that stand for deleted files and all."""
    place = _workplace(home)
    place.mkdir(exist_ok=True, mode=0o700)
    try:
        _mount(made, place)
        failed = _run("cp", "--archive", "--one-file-system", f"{home.data}/.", str(place))
        if _run("umount", str(place)):
            failed = failed or f"{place} could not be unmounted"
        if failed:
            raise _NoDiskError(f"what is in {home.data}, from an older version of the grader, was not copied: {failed}")
    finally:
        if is_mounted(place):
            _run("umount", "--lazy", str(place))
        with suppress(OSError):
            place.rmdir()


def _resize(image: Path, size: int) -> None:
    """Grows the file system; its device is free, for it is not mounted. (Growing a mounted one takes more rights.)"""
    size -= size % 4096
    if image.stat().st_size >= size:
        return
    if _devices(image):
        raise EngineError(
            "The disk of the grader's own engine cannot grow: something uses it still",
            "Try again when that has ended; `fuser -vm` on the loop device that `losetup -j` names says what it is.",
            where=str(image),
        )
    if failed := _run("e2fsck", "-f", "-p", str(image)):
        raise _broken(image, failed)
    os.truncate(image, size)
    if failed := _run("resize2fs", str(image)):
        raise _broken(image, failed)


def _broken(image: Path, why: str) -> EngineError:
    return EngineError(
        f"The disk of the grader's own engine cannot be used: {why}",
        f"See what `e2fsck -f {image}` says. Or remove that file: its images and its cache go with it, and the next "
        "start makes a new one.",
        where=str(image),
    )


# --- mounting ----------------------------------------------------------------------------------------------------


def _mount(image: Path, folder: Path) -> None:
    """Raises _NoDiskError when there is no loop device to be had, EngineError when what is in ``image`` is broken."""
    # Where one is still in use, a second one for the same file would be two kernels' minds about one file system.
    device, file = _held(image) or _attached(image)
    try:
        # What was deleted is given back to the machine's disk.
        if failed := _run("mount", "-t", "ext4", "-o", "noatime,discard,noinit_itable", device, str(folder)):
            if _run("e2fsck", "-p", device):
                raise _broken(image, failed)
            raise _NoDiskError(f"it cannot be mounted: {failed}")
    finally:
        _run("losetup", "--detach", device)
        os.close(file)


def _held(image: Path) -> tuple[str, int] | None:
    """A loop device of the file, and an open file that keeps it so: let alone, it may end, and be another's next."""
    for device in _devices(image):
        with suppress(OSError):
            file = os.open(device, os.O_RDONLY)
            if device in _devices(image):
                return device, file
            os.close(file)
    return None


def _attached(image: Path) -> tuple[str, int]:
    device = _device(image)
    return device, os.open(device, os.O_RDONLY)


def _device(image: Path) -> str:
    """A loop device for the file: with direct access, so that nothing is kept in memory twice, where that can be."""
    failed = ""
    for option in (["--direct-io=on"], []):
        command = [_tool("losetup"), "--find", "--show", *option, str(image)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
        failed = done.stderr.strip()
    raise _NoDiskError(f"there is no loop device to be had: {_last(failed).removeprefix('losetup: ')}")


def _devices(image: Path) -> list[str]:
    """The loop devices of this very file: it is told by its inode, for others may have one of the same name."""
    if find("losetup") is None or not image.exists():
        return []
    command = [_tool("losetup"), "--associated", str(image), "--noheadings", "--output", "NAME"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def _mounts() -> list[str]:
    """Where something is mounted; the kernel writes spaces and the like in octal (proc(5))."""
    try:
        lines = Path("/proc/self/mounts").read_bytes().splitlines()
    except OSError:
        return []
    return [os.fsdecode(line.split()[1].decode("unicode_escape").encode("latin-1")) for line in lines]


def _workplace(home: Home) -> Path:
    """Where a new disk is mounted while it is filled."""
    return home.beside("new")


def _used(folder: Path) -> int:
    """The bytes that a folder takes on the disk."""
    done = subprocess.run(["du", "-sxk", str(folder)], capture_output=True, text=True, check=False)
    return int(done.stdout.split()[0]) * 1024 if done.stdout else 0


def _check_tools() -> None:
    lacking = [tool for tool in _PACKAGES if find(tool) is None]
    if lacking:
        packages = ", ".join(dict.fromkeys(_PACKAGES[tool] for tool in lacking))
        raise _NoDiskError(f"{', '.join(lacking)} is not installed (package {packages})")


def _tool(name: str) -> str:
    return find(name) or name


def _run(name: str, *arguments: str) -> str:
    """Runs a program; returns why it failed, in the last line of its own words, and nothing when it did not.

    `e2fsck` says by 1 that it has mended something (e2fsck(8)).
    """
    done = subprocess.run([_tool(name), *arguments], capture_output=True, text=True, check=False)
    if done.returncode == 0 or (name == "e2fsck" and done.returncode == 1):
        return ""
    return _last(done.stderr or done.stdout) or f"{name} ended with exit code {done.returncode}"


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
