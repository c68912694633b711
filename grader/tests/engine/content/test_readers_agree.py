"""Whatever is put into a layer, its folder and its tar say the same; layers lie over one another as the kernel says.

The kernel and `tarfile` are the judges here: trees that nobody would think of are made on a real overlay.
"""

# Names are bytes here, which no Path can be.
# ruff: noqa: PTH101, PTH102, PTH103, PTH104, PTH108, PTH112, PTH114, PTH118, PTH120, PTH211

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.engine.api.stream import Stream
from grader.engine.content import overlay, programs, tarlayer
from grader.engine.content.layers import Entry, Layer
from grader.engine.content.merge import merge, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="device nodes and mounts need root on Linux"
)

#: Two names, so that changes meet; and others that a reader could stumble over.
PLAIN = st.sampled_from([b"a", b"b"])
ODD = [b"c.d", b".e", b"..f", b" g", b"new\nline", b"\xff\xfe", b"w" * 255, "ü".encode(), b"*", b"\\", b"-"]
PATHS = st.one_of(
    st.lists(PLAIN, min_size=1, max_size=3).map(b"/".join),
    st.lists(PLAIN, min_size=1, max_size=2).map(b"/".join),
    st.lists(st.sampled_from(ODD), min_size=1, max_size=4).map(b"/".join),
)


class Change(NamedTuple):
    """Something that a RUN may do; whatever is not possible is not done."""

    what: str
    path: bytes
    other: bytes
    number: int


KINDS = (
    *("file", "file", "dir", "link", "link", "remove", "remove", "empty", "rename"),
    *("symlink", "fifo", "device", "chmod", "chown", "elf", "sparse"),
)
CHANGES = st.lists(
    st.builds(Change, st.sampled_from(KINDS), PATHS, PATHS, st.integers(min_value=0, max_value=0o7777)), max_size=20
)


def change(root: bytes, one: Change) -> None:  # noqa: C901, PLR0912 - a table of what can be done
    path, other = os.path.join(root, one.path), os.path.join(root, one.other)
    # Only inside the root, never through a symlink to somewhere else.
    if not all(os.path.realpath(os.path.dirname(each)).startswith(root) for each in (path, other)):
        return
    with suppress(OSError, shutil.Error):
        if one.what not in ("remove", "empty", "rename", "chmod", "chown"):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        if one.what in ("file", "elf", "sparse"):
            content = {"file": b"x" * one.number, "elf": COMPILER, "sparse": b""}[one.what]
            if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
                return  # who opens a pipe waits for ever
            Path(os.fsdecode(path)).write_bytes(content)
            if one.what == "sparse":
                os.truncate(path, one.number << 8)
        elif one.what == "dir":
            os.mkdir(path)
        elif one.what == "symlink":
            os.symlink(one.other, path)
        elif one.what == "link":
            os.link(other, path, follow_symlinks=False)
        elif one.what == "fifo":
            os.mkfifo(path)
        elif one.what == "device":
            os.mknod(path, 0o644 | stat.S_IFCHR, os.makedev(1, 3))
        elif one.what in ("remove", "empty"):
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
            if one.what == "empty":
                os.mkdir(path)
        elif one.what == "rename":
            os.rename(path, other)
        elif one.what == "chmod" and not os.path.islink(path):
            os.chmod(path, one.number)
        elif one.what == "chown":
            os.chown(path, one.number, one.number, follow_symlinks=False)


COMPILER = (
    b"\x7fELF\x02\x01".ljust(16, b"\0") + b"\x03\0\x3e\0\x01\0\0\0\x01".ljust(20_000, b"\0") + programs.TEXTS["tcc"]
)


class Overlay:
    """A real overlay file system, whose layers are made one after the other."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.layers: list[str] = []
        self.merged = os.path.join(folder, "merged")
        os.mkdir(self.merged)

    def layer(self, changes: list[Change]) -> None:
        number = len(self.layers)
        upper, work = (os.path.join(self.folder, f"{what}{number}") for what in ("layer", "work"))
        os.mkdir(upper)
        os.mkdir(work)
        lower = ":".join(reversed(self.layers)) or os.path.join(self.folder, "nothing")
        os.makedirs(os.path.join(self.folder, "nothing"), exist_ok=True)
        options = f"lowerdir={lower},upperdir={upper},workdir={work},index=off,redirect_dir=off,metacopy=off,xino=off"
        mounted = subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", options, self.merged], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip(f"no overlay can be mounted here: {mounted.stderr.decode()}")
        try:
            for one in changes:
                change(os.fsencode(self.merged), one)
            self.seen = dict(look(self.merged))
        finally:
            subprocess.run(["umount", self.merged], check=True)
        self.layers.append(upper)


def look(root: str) -> Iterator[tuple[str, tuple[str, int, int, int]]]:
    """What the kernel shows: kind, size, mode, owner; names of one file are not told from files of their own."""
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            facts = os.lstat(path)
            kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink"}
            kind = kinds.get(stat.S_IFMT(facts.st_mode), "special")
            size = facts.st_size if kind == "file" else 0
            yield os.path.relpath(path, root), (kind, size, stat.S_IMODE(facts.st_mode), facts.st_uid)


def tarred(folder: str, form: int) -> bytes:
    """A layer's folder as the engine writes it: whiteouts and opaque folders are names of their own."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as target:
        for where, folders, files in os.walk(folder):
            for name in folders + files:
                path = os.path.join(where, name)
                inside = os.path.relpath(path, folder)
                facts = os.lstat(path)
                if stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0:
                    target.addfile(tarfile.TarInfo(os.path.join(os.path.dirname(inside), f".wh.{name}")))
                    continue
                target.add(path, inside, recursive=False)
                if "trusted.overlay.opaque" in os.listxattr(path, follow_symlinks=False):
                    target.addfile(tarfile.TarInfo(f"{inside}/.wh..wh..opq"))
    return buffer.getvalue()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(CHANGES, min_size=1, max_size=4), st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_folders_tars_and_the_kernel_agree(changes: list[list[Change]], form: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = Overlay(folder)
        for each in changes:
            made.layer(each)
        layers = []
        for each_folder in made.layers:
            walked = overlay.walk(Path(each_folder))
            streamed = tarlayer.read(Stream([tarred(each_folder, form)]))
            assert streamed.entries == walked
            assert streamed.programs == overlay.programs_in(Path(each_folder), walked)
            layers.append(Layer(each_folder, walked))
        files = merge(layers, 0).files
        assert {name: told(files[name].entry, layers[files[name].layer]) for name in files} == made.seen
        for name, (kind, *_) in made.seen.items():
            assert resolve(files, name) == name or kind == "symlink"


def told(entry: Entry, layer: Layer) -> tuple[str, int, int, int]:
    """A hard link is as large as the file it is a name of."""
    size = layer.entries[entry.target].size if entry.kind == "link" else entry.size
    return "file" if entry.kind == "link" else entry.kind, size, entry.mode, entry.uid
