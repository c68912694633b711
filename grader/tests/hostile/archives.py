"""Archives that a class could hand in to be graded together, each with what is said of it."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

DOCKERFILE = b"FROM debian:bookworm-slim\n"


def _zip(path: Path, files: Mapping[str, bytes], modes: Mapping[str, int] | None = None) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (modes or {}).get(name, stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, data)


def _tar(path: Path, *members: tuple[str, bytes, str]) -> None:
    """``members`` are names, types of `tarfile` and what a link leads to."""
    with tarfile.open(path, "w:gz") as archive:
        whole = tarfile.TarInfo("Dockerfile")
        whole.size = len(DOCKERFILE)
        archive.addfile(whole, io.BytesIO(DOCKERFILE))
        for name, kind, target in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)


def _sparse(path: Path) -> None:
    """10 GB that take no room, in GNU's old format: a member that says how large it is once it is unpacked."""
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as archive:
        member = tarfile.TarInfo("Dockerfile")
        member.size = 0
        header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
        header[156:157] = tarfile.GNUTYPE_SPARSE
        header[483:495] = f"{10 << 30:011o}\0".encode()
        header[148:156] = b" " * 8
        header[148:156] = f"{sum(header):06o}\0 ".encode()
        archive.fileobj.write(bytes(header))


#: Name of the file -> what makes it, and what the learner is told.
ARCHIVES: dict[str, tuple[Callable[[Path], object], str]] = {
    "slips.zip": (lambda path: _zip(path, {"Dockerfile": DOCKERFILE, "../../../../tmp/evil": b"x"}), "leads out"),
    "absolute.zip": (lambda path: _zip(path, {"Dockerfile": DOCKERFILE, "/tmp/evil": b"x"}), "leads out"),
    "backslash.zip": (lambda path: _zip(path, {"Dockerfile": DOCKERFILE, "..\\evil": b"x"}), "leads out"),
    "bomb.zip": (lambda path: _zip(path, {"Dockerfile": DOCKERFILE, "zeros": bytes(270_000_000)}), "unpacks to more"),
    "link.zip": (
        lambda path: _zip(path, {"Dockerfile": b"/etc/shadow"}, {"Dockerfile": stat.S_IFLNK | 0o777}),
        "leads out",
    ),
    "twice.zip": (lambda path: _zip(path, {"Dockerfile": DOCKERFILE, "./Dockerfile": b"FROM scratch\n"}), "twice"),
    "link-out.tar.gz": (lambda path: _tar(path, ("out", tarfile.SYMTYPE, "../../../etc")), "leads out"),
    "through-link.tar.gz": (
        lambda path: _tar(path, ("in", tarfile.SYMTYPE, "/etc"), ("in/evil", tarfile.REGTYPE, "")),
        "leads out",
    ),
    "hard-link.tar.gz": (lambda path: _tar(path, ("shadow", tarfile.LNKTYPE, "/etc/shadow")), "leads out"),
    "device.tar.gz": (lambda path: _tar(path, ("disk", tarfile.BLKTYPE, "")), "neither a file nor a folder"),
    "pipe.tar.gz": (lambda path: _tar(path, ("pipe", tarfile.FIFOTYPE, "")), "neither a file nor a folder"),
    "sparse.tar.gz": (_sparse, ""),
    "cut.zip": (lambda path: path.write_bytes(b"PK\3\4 and then nothing"), ""),
}
