"""The disk of a private engine, without the engine: made, grown, filled from a folder, lost and found."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from grader.engine import room
from grader.engine.embedded import disk, limits, loop
from grader.engine.embedded.home import Home
from grader.engine.install import find
from grader.errors import EngineError, UsageError
from grader.result import ProgressEvent, silent

if TYPE_CHECKING:
    from collections.abc import Iterator

# A whole number of the file system's blocks.
SIZE = 4_096_000_000


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = Home(run=tmp_path / "run", data=tmp_path / "data")
    if os.name == "nt" or os.geteuid() != 0:
        pytest.skip("takes Linux and root")
    yield found
    disk.unmount(found)
    assert loops(found) == []
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()


@pytest.fixture
def mounted(home: Home) -> Home:
    """A home whose disk is mounted, on a machine that can have one."""
    size, why = disk.mount(home, SIZE, silent)
    if size is None:
        pytest.skip(why)
    return home


def loops(home: Home) -> list[str]:
    """The loop devices of its file, also of one that was removed."""
    command = ["losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in lines if str(home.data.parent) in line]


def test_the_data_has_a_file_system_of_that_size_and_no_more_of_the_machine_than_it_holds(mounted: Home) -> None:
    here = room.at(mounted.data)
    assert here is not None
    assert here.size <= SIZE == mounted.image.stat().st_size
    assert here.free > SIZE * 0.9
    assert here.inodes is not None
    assert here.inodes > SIZE / 10_000
    assert mounted.image.stat().st_blocks * 512 < SIZE / 20
    assert stat.S_IMODE(mounted.image.stat().st_mode) == 0o600


def test_what_was_deleted_is_given_back_to_the_machine(mounted: Home) -> None:
    before = mounted.image.stat().st_blocks
    (mounted.data / "large").write_bytes(os.urandom(20_000_000))
    os.sync()
    full = mounted.image.stat().st_blocks
    assert full > before + 30_000
    (mounted.data / "large").unlink()
    disk.unmount(mounted)
    assert mounted.image.stat().st_blocks < full - 30_000


def test_it_is_unmounted_freed_and_found_again_as_it_was(mounted: Home) -> None:
    (mounted.data / "kept").write_text("yes")
    assert loops(mounted)
    disk.unmount(mounted)
    assert loops(mounted) == []
    assert list(mounted.data.iterdir()) == []
    assert disk.mount(mounted, None, silent) == (SIZE, "")
    assert (mounted.data / "kept").read_text() == "yes"


def test_it_grows(mounted: Home) -> None:
    (mounted.data / "kept").write_text("yes")
    disk.unmount(mounted)
    assert disk.mount(mounted, 2 * SIZE, silent) == (2 * SIZE, "")
    here = room.at(mounted.data)
    assert here is not None
    assert here.size > 1.9 * SIZE
    assert (mounted.data / "kept").read_text() == "yes"


def test_it_does_not_shrink(mounted: Home) -> None:
    with pytest.raises(UsageError, match=r"has 4\.1 GB, and cannot shrink to 3 GB") as caught:
        disk.check(mounted, 3_000_000_000)
    assert str(mounted.image) in caught.value.fix
    disk.check(mounted, SIZE)
    disk.check(mounted, None)


def test_it_is_no_larger_than_there_is_room(home: Home) -> None:
    with pytest.raises(UsageError, match="does not fit"):
        disk.check(home, 10**15)


def test_a_device_that_a_killed_start_left_is_freed(mounted: Home) -> None:
    disk.unmount(mounted)
    subprocess.run(["losetup", "--find", str(mounted.image)], check=True)
    assert loops(mounted)
    disk.unmount(mounted)
    assert loops(mounted) == []


def test_one_that_is_still_in_use_is_mounted_again_and_not_twice(
    mounted: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (mounted.data / "open").open("w") as file:
        with monkeypatch.context() as impatient:
            impatient.setattr(loop, "_PATIENCE", 0.0)
            disk.unmount(mounted)
        with pytest.raises(EngineError, match="something uses it still"):
            disk.mount(mounted, 2 * SIZE, silent)
        assert not room.is_mounted(mounted.data)
        assert disk.mount(mounted, None, silent) == (SIZE, "")
        assert len(loops(mounted)) == 1
        file.write("late")
    assert (mounted.data / "open").read_text() == "late"


def old_data(home: Home) -> None:
    """What an engine of an older version of the grader would have left."""
    (home.data / "overlay2/a/diff").mkdir(parents=True)
    (home.data / "overlay2/a/diff/file").write_text("content")
    os.link(home.data / "overlay2/a/diff/file", home.data / "overlay2/a/diff/link")
    os.mknod(home.data / "overlay2/a/diff/gone", 0o600 | stat.S_IFCHR, os.makedev(0, 0))
    os.setxattr(home.data / "overlay2/a/diff", "trusted.overlay.opaque", b"y")
    os.chown(home.data / "overlay2/a/diff/file", 1234, 99)


def is_whole(folder: Path) -> bool:
    diff = folder / "overlay2/a/diff"
    facts = (diff / "file").lstat()
    whiteout = (diff / "gone").lstat()
    return (
        (diff / "file").read_text() == "content"
        and (facts.st_uid, facts.st_gid, facts.st_nlink) == (1234, 99, 2)
        and stat.S_ISCHR(whiteout.st_mode)
        and whiteout.st_rdev == 0
        and os.getxattr(diff, "trusted.overlay.opaque") == b"y"
    )


def test_what_an_older_version_left_is_carried_over(home: Home) -> None:
    old_data(home)
    events: list[ProgressEvent] = []
    size, why = disk.mount(home, SIZE, events.append)
    if size is None:
        pytest.skip(why)
    assert room.is_mounted(home.data)
    assert is_whole(home.data)
    assert any("carrying over" in event.text and not event.detail for event in events)
    assert sorted(path.name for path in home.data.parent.iterdir()) == ["data", "data.img"]
    disk.unmount(home)
    assert list(home.data.iterdir()) == []


def test_what_does_not_fit_stays_where_it_is_and_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    old_data(home)
    monkeypatch.setattr(disk, "_used", lambda _: SIZE)
    size, why = disk.mount(home, SIZE, silent)
    assert size is None
    assert "from an older version" in why
    assert is_whole(home.data)
    assert not home.image.exists()


def test_a_carrying_over_that_fails_loses_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    old_data(home)
    run = loop.run
    monkeypatch.setattr(loop, "run", lambda name, *rest: "no luck" if name == "cp" else run(name, *rest))
    size, why = disk.mount(home, SIZE, silent)
    assert size is None
    assert "no luck" in why or "loop device" in why
    assert is_whole(home.data)
    assert [path.name for path in home.data.parent.iterdir()] == ["data"]


@pytest.mark.parametrize("whole", [True, False], ids=["copied", "not yet copied"])
def test_a_carrying_over_that_was_killed_is_settled(home: Home, *, whole: bool) -> None:
    """Killed between one renaming and the next: the folder is out of the way, the new file may be in its place."""
    old_data(home)
    home.data.rename(home.beside("old"))
    home.beside("img.part").touch()
    if whole:
        home.image.touch()
    disk._settle(home)
    assert not home.beside("old").exists()
    assert not home.beside("img.part").exists()
    assert (list(home.data.iterdir()) == []) if whole else is_whole(home.data)


def test_what_a_folder_held_without_its_disk_is_kept_beside_it(mounted: Home) -> None:
    (mounted.data / "kept").write_text("yes")
    disk.unmount(mounted)
    old_data(mounted)
    events: list[ProgressEvent] = []
    assert disk.mount(mounted, None, events.append) == (SIZE, "")
    assert (mounted.data / "kept").read_text() == "yes"
    assert is_whole(mounted.beside("left-1"))
    assert [str(mounted.beside("left-1")) in event.text for event in events] == [True]


@pytest.mark.parametrize("lacking", ["mkfs.ext4", "losetup"])
def test_without_its_tools_there_is_none_and_it_is_told(
    home: Home, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    monkeypatch.setattr(loop, "find", lambda name: None if name == lacking else find(name))
    size, why = disk.mount(home, None, silent)
    assert size is None
    assert lacking in why
    assert home.data.is_dir()
    assert not home.image.exists()


def test_without_loop_devices_there_is_none_and_it_is_told(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failing = tmp_path / "losetup"
    failing.write_text('#!/bin/sh\ncase "$*" in *--find*) echo cannot find an unused loop device >&2; exit 1; esac\n')
    failing.chmod(0o755)
    monkeypatch.setattr(loop, "find", lambda name: str(failing) if name == "losetup" else find(name))
    size, why = disk.mount(home, SIZE, silent)
    assert size is None
    assert why == "there is no loop device to be had: cannot find an unused loop device"
    # The next start may find one, and carries over what the folder holds by then.
    assert not home.image.exists()


def test_little_room_makes_no_disk(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "default_disk", lambda _: 1_000_000_000)
    size, why = disk.mount(home, None, silent)
    assert size is None
    assert "free" in why


def test_a_broken_one_is_no_reason_to_start_empty(mounted: Home) -> None:
    disk.unmount(mounted)
    for size in (0, SIZE):
        os.truncate(mounted.image, size)
    with pytest.raises(EngineError, match="cannot be used") as caught:
        disk.mount(mounted, None, silent)
    assert "e2fsck" in caught.value.fix
