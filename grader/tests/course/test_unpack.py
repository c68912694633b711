"""Archives that try more than to be unpacked."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.course.unpack import Limits, unpack
from grader.errors import UsageError

Make = Callable[[Path, list[tuple[str, str, bytes]]], Path]


def tarred(folder: Path, members: list[tuple[str, str, bytes]]) -> Path:
    """``members`` are (name, kind, content or target)."""
    kinds = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE}
    kinds |= {"device": tarfile.CHRTYPE, "pipe": tarfile.FIFOTYPE}
    path = folder / "course.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, content in members:
            entry = tarfile.TarInfo(name)
            entry.type = kinds[kind]
            if kind in ("link", "hard"):
                entry.linkname = content.decode()
            if kind == "file":
                entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content) if kind == "file" else None)
    return path


def zipped(folder: Path, members: list[tuple[str, str, bytes]]) -> Path:
    path = folder / "course.zip"
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, kind, content in members:
            entry = zipfile.ZipInfo(name + ("/" if kind == "folder" else ""))
            entry.external_attr = ({"link": stat.S_IFLNK, "file": stat.S_IFREG}.get(kind, stat.S_IFDIR) | 0o644) << 16
            archive.writestr(entry, content)
    return path


def unpacked(archive: Path, tmp_path: Path, limits: Limits | None = None) -> Path:
    folder = tmp_path / "unpacked"
    unpack(archive, folder, limits=limits)
    return folder


@pytest.fixture(params=[tarred, zipped], ids=["tar", "zip"])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param  # type: ignore[no-any-return]


def test_files_and_folders(make: Make, tmp_path: Path) -> None:
    folder = unpacked(
        make(tmp_path, [("a", "folder", b""), ("a/b.txt", "file", b"x"), ("./c/d", "file", b"")]), tmp_path
    )
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) == ["a", "a/b.txt", "c", "c/d"]
    assert (folder / "a/b.txt").read_bytes() == b"x"


def test_what_was_executable_stays_so(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "c.tar.gz", "w:gz") as archive:
        for name, mode in (("run.sh", 0o4777), ("plain", 0o600)):
            entry = tarfile.TarInfo(name)
            entry.mode = mode
            archive.addfile(entry, io.BytesIO())
    folder = unpacked(tmp_path / "c.tar.gz", tmp_path)
    if os.name == "posix":
        assert [(folder / name).stat().st_mode & 0o7777 for name in ("run.sh", "plain")] == [0o755, 0o644]


def test_a_link_inside_is_a_copy_and_one_to_a_folder_is_left_out(make: Make, tmp_path: Path) -> None:
    members = [("a/one", "link", b"../b/two"), ("b/two", "file", b"two"), ("dir", "link", b"b"), ("x", "link", b"none")]
    folder = unpacked(make(tmp_path, members), tmp_path)
    assert (folder / "a/one").read_bytes() == b"two"
    assert not [path for path in folder.rglob("*") if path.is_symlink()]
    assert not (folder / "dir").exists()


@pytest.mark.parametrize(
    "members",
    [
        [("../out", "file", b"x")],
        [("/tmp/out", "file", b"x")],
        [("a/../../out", "file", b"x")],
        [("a\\..\\..\\out", "file", b"x")],
        [("C:/out", "file", b"x")],
        [("C:out", "file", b"x")],
        [("../out", "folder", b"")],
        [("link", "link", b"../out")],
        [("link", "link", b"/etc/passwd")],
        [("a/link", "link", b"../../out")],
        [("link", "link", b"/etc"), ("link/passwd", "file", b"x")],
        [("../link", "link", b"x")],
        [("aux.txt", "file", b"x")],
        [("/".join("a" * 40), "file", b"x")],
        [("a", "file", b"1"), ("a", "file", b"2")],
        [("a", "file", b"1"), ("a/b", "file", b"2")],
    ],
    ids=lambda members: members[-1][0][:20],
)
def test_what_leads_out_is_refused(make: Make, members: list[tuple[str, str, bytes]], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    before = set(tmp_path.iterdir())
    archive = make(tmp_path, members)
    with pytest.raises(UsageError, match="refused"):
        unpack(archive, tmp_path / "in" / "deep")
    assert set(tmp_path.iterdir()) - before == {archive}
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["deep"]


@pytest.mark.parametrize(
    ("kind", "target"), [("device", b""), ("pipe", b""), ("hard", b"../out"), ("hard", b"/etc/passwd")]
)
def test_a_tars_other_ways_out_are_refused(kind: str, target: bytes, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="refused"):
        unpacked(tarred(tmp_path, [("x", kind, target)]), tmp_path)


def test_too_much_is_refused(make: Make, tmp_path: Path) -> None:
    archive = make(tmp_path, [(str(number), "file", bytes(50_000)) for number in range(4)])
    with pytest.raises(UsageError, match="more than 0 MB"):
        unpacked(archive, tmp_path, Limits(size=199_999))
    unpack(archive, tmp_path / "enough", limits=Limits(size=200_000))


def test_too_many_are_refused(make: Make, tmp_path: Path) -> None:
    archive = make(tmp_path, [(str(number), "folder", b"") for number in range(4)])
    with pytest.raises(UsageError, match="more than 3 files"):
        unpacked(archive, tmp_path, Limits(members=3))


def test_a_bomb_in_a_header_is_no_less_one(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type = tarfile.XHDTYPE
    header.size = 1 << 24
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb") as out:
        out.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 24))
    with pytest.raises(UsageError, match="far more than it may"):
        unpacked(path, tmp_path, Limits(size=1 << 20, members=10))


def test_a_zip_that_lies_about_its_size_is_counted(tmp_path: Path) -> None:
    path = zipped(tmp_path, [("x", "file", bytes(1 << 22))])
    raw = bytearray(path.read_bytes())
    at = raw.rindex(b"PK\x01\x02")
    struct.pack_into("<I", raw, at + 24, 10)  # the central directory's uncompressed size
    path.write_bytes(raw)
    with pytest.raises(UsageError):
        unpacked(path, tmp_path, Limits(size=1 << 20))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nonsense", b"\x1f\x8b nonsense", b"nonsense" * 200])
def test_what_is_no_archive_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "course.zip"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="cannot be read") as caught:
        unpacked(path, tmp_path)
    assert caught.value.where == str(path)


def test_an_archive_that_is_cut_off_is_refused(make: Make, tmp_path: Path) -> None:
    path = make(tmp_path, [("x", "file", os.urandom(100_000))])
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(UsageError, match="cannot be read"):
        unpacked(path, tmp_path)
