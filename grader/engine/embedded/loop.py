"""A file system in a file, mounted through a loop device; and the programs that do it.

The device is given up as soon as it is mounted, and so is freed by the kernel when nothing is mounted from it any more
(losetup(8), `--detach`).
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from grader.engine.install import find
from grader.errors import EngineError

_PACKAGES = {"mkfs.ext4": "e2fsprogs", "losetup": "mount", "mount": "mount", "umount": "mount", "cp": "coreutils"}
#: Seconds that a disk has to be let go of by whoever else has a part in it.
_PATIENCE = 5.0


class NoDiskError(Exception):
    """There can be no disk here; the message says why."""


def mount(image: Path, folder: Path) -> None:
    """Raises NoDiskError when there is no loop device to be had, EngineError when what is in ``image`` is broken."""
    # Where one is still in use, a second one for the same file would be two kernels' minds about one file system.
    device, file = _held(image) or _attached(image)
    try:
        # What was deleted is given back to the machine's disk.
        if failed := run("mount", "-t", "ext4", "-o", "noatime,discard,noinit_itable", device, str(folder)):
            if run("e2fsck", "-p", device):
                raise broken(image, failed)
            raise NoDiskError(f"it cannot be mounted: {failed}")
    finally:
        run("losetup", "--detach", device)
        os.close(file)


def release(image: Path) -> None:
    """Frees the loop device of the file, and waits until that is done: something may use it a moment longer."""
    if held := _held(image):
        # One that a process left which was killed between making and mounting it, or one that is about to end.
        device, file = held
        run("losetup", "--detach", device)
        os.close(file)
    deadline = time.monotonic() + _PATIENCE
    while devices(image) and time.monotonic() < deadline:
        time.sleep(0.02)


def _held(image: Path) -> tuple[str, int] | None:
    """A loop device of the file, and an open file that keeps it so: let alone, it may end, and be another's next."""
    for device in devices(image):
        with suppress(OSError):
            file = os.open(device, os.O_RDONLY)
            if device in devices(image):
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
    raise NoDiskError(f"there is no loop device to be had: {_last(failed).removeprefix('losetup: ')}")


def devices(image: Path) -> list[str]:
    """The loop devices of this very file: it is told by its inode, for others may have one of the same name."""
    if find("losetup") is None or not image.exists():
        return []
    command = [_tool("losetup"), "--associated", str(image), "--noheadings", "--output", "NAME"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def mounts() -> list[str]:
    """Where something is mounted; the kernel writes spaces and the like in octal (proc(5))."""
    try:
        lines = Path("/proc/self/mounts").read_bytes().splitlines()
    except OSError:
        return []
    return [os.fsdecode(line.split()[1].decode("unicode_escape").encode("latin-1")) for line in lines]


def check_tools() -> None:
    """Raises NoDiskError when a program is missing that making or mounting a disk takes."""
    lacking = [tool for tool in _PACKAGES if find(tool) is None]
    if lacking:
        packages = ", ".join(dict.fromkeys(_PACKAGES[tool] for tool in lacking))
        raise NoDiskError(f"{', '.join(lacking)} is not installed (package {packages})")


def _tool(name: str) -> str:
    return find(name) or name


def run(name: str, *arguments: str) -> str:
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


def broken(image: Path, why: str) -> EngineError:
    """What is to be said of a file whose file system cannot be used."""
    return EngineError(
        f"The disk of the grader's own engine cannot be used: {why}",
        f"See what `e2fsck -f {image}` says. Or remove that file: its images and its cache go with it, and the next "
        "start makes a new one.",
        where=str(image),
    )
