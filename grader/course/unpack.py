"""Unpacks somebody's archive into a new folder, and refuses what would do more than that.

Only files and folders are made, below the folder, up to a number and a size; nothing is written through a link. A link
to a file of the same archive becomes a copy of it, one to a folder is left out, one to anywhere else is refused. What
an archive says of its sizes is not believed: what comes out of it is counted.
"""

from __future__ import annotations

import gzip
import posixpath
import re
import stat
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

from grader.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_CHUNK = 1 << 16
# Names that Windows gives to devices, whatever their ending.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


class RefusedError(UsageError):
    """It could be unpacked, and must not be: it would do more than that."""


@dataclass(frozen=True)
class Limits:
    """``size`` is in bytes, of all that is unpacked; ``members`` counts files, folders and links; ``depth`` folders."""

    size: int = 256 << 20
    members: int = 20_000
    depth: int = 30


@dataclass(frozen=True)
class _Member:
    """``link`` is where it leads, from the archive's root, for a link; ``data`` its content, for a file."""

    name: str
    kind: str  # "file", "folder", "link" or "other"
    executable: bool = False
    link: str = ""
    data: IO[bytes] | None = None


def unpack(
    archive: Path, folder: Path, *, limits: Limits | None = None, told: str = "", it: str = "The archive of the course"
) -> None:
    """Unpacks a .zip, .tar.gz or .tar into ``folder``, which is made.

    Messages call the archive ``it``, and ``told`` says which one it is.

    Raises UsageError for what is no archive or must not be unpacked; what was written until then is the caller's to
    delete.
    """
    where = told or str(archive)
    folder.mkdir(parents=True)
    unpacking = _Unpacking(folder, limits or Limits(), where, it)
    try:
        with archive.open("rb") as file:
            start = file.read(4)
        if start[:2] == b"PK":
            unpacking.take(_zipped(archive))
        else:
            unpacking.take(_tarred(archive, unpacking, gzipped=start[:2] == b"\x1f\x8b"))
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile, NotImplementedError) as error:
        raise UsageError(
            f"{it} cannot be read: {' '.join(str(error).split())[:200]}",
            "Make it again, as .zip or .tar.gz.",
            where=where,
        ) from error


class _Unpacking:
    def __init__(self, folder: Path, limits: Limits, where: str, it: str) -> None:
        self._folder = folder
        self._it = it
        self.limits = limits
        self._where = where
        self._left = limits.size
        self._count = 0
        self._links: list[_Member] = []

    def take(self, members: Iterator[_Member]) -> None:
        for member in members:
            self._count += 1
            if self._count > self.limits.members:
                raise self.refused(f"It has more than {self.limits.members} files")
            parts = self._parts(member.name, member.name)
            if member.kind == "other":
                raise self.refused(f"`{member.name}` is neither a file nor a folder")
            if member.kind == "link":
                self._parts(member.link, f"{member.name} -> {member.link}")
                self._links.append(member)
            elif member.kind == "folder":
                self._make(self._folder.joinpath(*parts), member.name)
            elif parts and member.data is not None:
                self._write(self._folder.joinpath(*parts), member.data, member)
        for member in self._links:
            self._copy(member)

    def count(self, size: int) -> None:
        """Raises UsageError when that is more than may come out of the archive."""
        self._left -= size
        if self._left < 0:
            raise self.refused(f"It unpacks to more than {self.limits.size >> 20} MB")

    def _parts(self, name: str, told: str) -> list[str]:
        """The names on the way to a member. Refuses those that lead out, and that are none on some system."""
        if name.startswith(("/", "\\")) or "\0" in name or "\\" in name:
            raise self.refused(f"`{told}` leads out of it")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts or any(":" in part for part in parts):
            raise self.refused(f"`{told}` leads out of it")
        if len(parts) > self.limits.depth or any(_DEVICES.fullmatch(part) for part in parts):
            raise self.refused(f"`{told}` cannot be a file on every system")
        return parts

    def _make(self, folder: Path, name: str) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self.refused(f"`{name}` is in it twice, as a file and as a folder") from error

    def _write(self, path: Path, data: IO[bytes], member: _Member) -> None:
        self._make(path.parent, member.name)
        try:
            # "x": never through, nor over, what is there.
            with path.open("xb") as out:
                while chunk := data.read(_CHUNK):
                    self.count(len(chunk))
                    out.write(chunk)
        except FileExistsError as error:
            raise self.refused(f"`{member.name}` is in it twice") from error
        path.chmod(0o755 if member.executable else 0o644)

    def _copy(self, member: _Member) -> None:
        target = self._folder.joinpath(*self._parts(member.link, member.link))
        if target.is_file():
            with target.open("rb") as data:
                self._write(self._folder.joinpath(*self._parts(member.name, member.name)), data, member)

    def refused(self, why: str) -> RefusedError:
        return RefusedError(
            f"{self._it} is refused: {why}", "Pack the files that belong to it only.", where=self._where
        )


def _zipped(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as whole:
        for entry in whole.infolist():
            mode = entry.external_attr >> 16
            if entry.flag_bits & 0x1:
                raise zipfile.BadZipFile("it asks for a password")
            if entry.is_dir():
                yield _Member(entry.filename, "folder")
            elif stat.S_ISLNK(mode):
                with whole.open(entry) as data:
                    target = data.read(4096).decode(errors="replace")
                yield _Member(entry.filename, "link", link=_from_root(entry.filename, target))
            else:
                with whole.open(entry) as data:
                    yield _Member(entry.filename, "file", bool(mode & 0o100), data=data)


def _tarred(archive: Path, unpacking: _Unpacking, *, gzipped: bool) -> Iterator[_Member]:
    with gzip.open(archive) if gzipped else archive.open("rb") as opened:
        counted: Any = _Counted(cast("IO[bytes]", opened), unpacking.limits, unpacking.refused)
        with tarfile.open(fileobj=counted, mode="r|") as whole:
            yield from _tar_members(whole)


def _tar_members(whole: tarfile.TarFile) -> Iterator[_Member]:
    for entry in whole:
        executable = bool(entry.mode & 0o100)
        if entry.isdir():
            yield _Member(entry.name, "folder")
        elif entry.issym():
            yield _Member(entry.name, "link", executable, _from_root(entry.name, entry.linkname))
        elif entry.islnk():
            yield _Member(entry.name, "link", executable, entry.linkname)
        elif entry.isfile():
            yield _Member(entry.name, "file", executable, data=whole.extractfile(entry))
        else:
            yield _Member(entry.name, "other")


def _from_root(name: str, target: str) -> str:
    """Where a symbolic link leads, from the archive's root; what leads out begins with ``/`` or ``..``."""
    return target if target.startswith("/") else posixpath.normpath(posixpath.join(posixpath.dirname(name), target))


class _Counted:
    """A stream that ends in a refusal: what is skipped in it, and long headers, are counted nowhere else."""

    def __init__(self, stream: IO[bytes], limits: Limits, refused: Callable[[str], UsageError]) -> None:
        self._stream = stream
        self._refused = refused
        self._left = limits.size + limits.members * 2048  # a header and padding for each

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise self._refused("It unpacks to far more than it may")
        return data
