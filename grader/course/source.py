"""A course that is somewhere else -> a folder on this machine.

What is held to a commit or a digest is read once and kept in the user's cache; what may change is looked up again each
time, and the caller is told what it was this time.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from grader import scratch as temporary
from grader.course.unpack import unpack
from grader.errors import EngineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.course.address import Address

#: Bytes that an archive may have, and seconds that its server may be silent.
DOWNLOAD_LIMIT = 128 << 20
SILENCE = 60.0
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Fetched:
    """``folder`` holds the course, to be read only. ``pinned`` is its address held to a commit or a digest.

    ``note`` says what the address meant this time, where it may mean something else the next time; else it is empty.
    """

    folder: Path
    pinned: Address
    note: str = ""


def fetch(address: Address) -> Fetched:
    """Makes a course, or a learner's repository, present.

    Raises UsageError for an address that is wrong, its kind RefusedError (`unpack`) for what must not be unpacked, and
    EngineError for one out of reach.
    """
    if address.kind == "git":
        return _from_git(address)
    return _from_archive(address)


def _from_git(address: Address) -> Fetched:
    from grader.course import git  # noqa: PLC0415  # archives go without

    commit = git.resolve(address)
    pinned = replace(address, ref=commit.id)
    folder = _kept(f"{address.url}@{commit.id}")
    if not folder.is_dir():
        with _making(folder, address) as fresh:
            tar = fresh.with_name("course.tar")
            git.archive(address, commit.id, tar, fresh.with_name("git"))
            unpack(tar, fresh, told=str(address), it="The repository")
    note = (
        f"{commit.moving} is commit {commit.id} now; for the same course tomorrow name {pinned}"
        if commit.moving
        else ""
    )
    return Fetched(_inside(folder / address.name, address), pinned, note)


def _from_archive(address: Address) -> Fetched:
    if address.sha256 and (kept := _kept(address.sha256)).is_dir():
        return Fetched(_inside(kept / address.name, address), address)
    with temporary.folder() as ours:
        file = ours / "archive"
        digest = _copied(address, file)
        if address.sha256 and digest != address.sha256:
            raise UsageError(
                f"The archive of the course is another one: its SHA-256 digest is {digest}",
                "Find out why it changed; if it may, write the new digest behind `#sha256=`.",
                where=str(address),
            )
        folder = _kept(digest)
        if not folder.is_dir():
            with _making(folder, address) as fresh:
                unpack(file, fresh, told=str(address))
    pinned = replace(address, sha256=digest)
    moving = address.remote and not address.sha256
    note = f"the archive's digest is {digest} now; for the same one tomorrow name {pinned}" if moving else ""
    return Fetched(_inside(folder / address.name, address), pinned, note)


def _kept(key: str) -> Path:
    import platformdirs  # noqa: PLC0415  # a course in a folder has no need of it

    hashed = hashlib.sha256(key.encode()).hexdigest()[:32]
    return platformdirs.user_cache_path("image-grader") / "courses-1" / hashed


@contextmanager
def _making(folder: Path, address: Address) -> Iterator[Path]:
    """A path to unpack to; what is there at the end takes its place in the cache, whole or not at all."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="new-", dir=folder.parent))
    except OSError as error:
        raise EngineError(
            f"What was fetched cannot be kept: {error.strerror}",
            "Make room there, or let it be written to.",
            where=str(folder),
        ) from error
    try:
        fresh = scratch / "course"
        yield fresh
        whole = scratch / "whole"
        whole.mkdir()
        fresh.rename(whole / address.name)
        with suppress(OSError):
            # Another grader may have been quicker; what it put there is the same.
            whole.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if not folder.is_dir():
        raise _unkept(folder, "the cache cannot be written to")


def _unkept(folder: Path, why: str | None) -> EngineError:
    what = f"What was fetched cannot be kept: {why}"
    return EngineError(what, "Make room there, or let it be written to.", where=str(folder))


def _inside(folder: Path, address: Address) -> Path:
    """The course's own folder: release archives have one around it all."""
    if not folder.is_dir():
        # Kept under another name, which a rename of the repository explains.
        folder = next(folder.parent.iterdir())
    if address.subdirectory:
        inner = folder / address.subdirectory
        if not inner.is_dir():
            raise UsageError(
                f"There is no folder `{address.subdirectory}` in it", "Check the address.", where=str(address)
            )
        return inner
    children = [child for child in folder.iterdir() if child.name != "pax_global_header"]
    alone = len(children) == 1 and children[0].is_dir() and children[0].name != "exercises"
    return children[0] if alone and not (children[0] / "rubric.yaml").is_file() else folder


def _copied(address: Address, file: Path) -> str:
    """Copies an archive to ``file``; returns its SHA-256 digest, in hex."""
    if "://" in address.url:
        from grader.course import download  # noqa: PLC0415  # an archive on this machine waits for no network

        return download.save(address.url, file, limit=DOWNLOAD_LIMIT, silence=SILENCE)
    source, digest = Path(address.url), hashlib.sha256()
    try:
        with source.open("rb") as data, file.open("wb") as out:
            while chunk := data.read(_CHUNK):
                digest.update(chunk)
                out.write(chunk)
    except OSError as error:
        raise UsageError(
            f"The archive of the course cannot be read: {error.strerror}", "Check the path.", where=str(source)
        ) from error
    return digest.hexdigest()
