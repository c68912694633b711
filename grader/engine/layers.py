"""The layers of an image, read from outside: what each of them adds, changes and hides.

Two readers give the same answer. On an engine of this machine the overlay2 folders are walked; elsewhere the image is
streamed out of the engine (`docker save`) and never unpacked. Layers are named by their diff id, the digest of their
uncompressed content, so what has been read once is remembered between runs.

Sources: the OCI image specification, layer.md (tar layers and whiteouts); the Linux kernel's overlayfs.rst (whiteout
devices, opaque directories).
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, cast

import platformdirs

from grader.errors import EngineError, SubmissionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from grader.engine.connect import Engine

Kind = Literal["file", "link", "dir", "symlink", "special", "whiteout"]

#: Image configurations and manifests inside an export are small; larger JSON is no concern of ours.
_JSON_LIMIT = 4 << 20
#: Layers remembered on disk; the oldest are forgotten.
_REMEMBERED = 400
#: How the name of a whiteout begins in a layer's tar.
WHITEOUT = ".wh."
_CACHE_VERSION = 3


class Entry(NamedTuple):
    """One name in a layer.

    ``size`` is in bytes of content, 0 for all but regular files; a hard link (``link``) to a file of the same layer is
    0 too. ``target`` is where a symlink or a hard link points, as written. ``opaque`` hides what layers below had in a
    directory. A ``whiteout`` hides the name itself.
    """

    kind: Kind
    size: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    target: str = ""
    opaque: bool = False

    @property
    def executable(self) -> bool:
        """Whether anybody may execute it."""
        return self.kind in ("file", "link") and bool(self.mode & 0o111)


@dataclass(frozen=True)
class Layer:
    """What one layer holds: names (posix, relative to the root, undecodable bytes as surrogates) -> entries."""

    diff_id: str
    entries: Mapping[str, Entry]

    @property
    def size(self) -> int:
        """Bytes of uncompressed content, every file counted once."""
        return sum(entry.size for entry in self.entries.values())


def read(engine: Engine, image: Mapping[str, Any]) -> tuple[Layer, ...]:
    """The layers of ``image`` (what the engine's inspect says of it), lowest first.

    Raises ``EngineError`` when the engine cannot give them.
    """
    diff_ids: Sequence[str] = image["RootFS"].get("Layers") or ()
    folders = _local_folders(engine, image, len(diff_ids))
    if folders:
        with suppress(_Redirected):
            return tuple(Layer(diff_id, _walked(folder)) for diff_id, folder in zip(diff_ids, folders, strict=True))
    remembered = [_recall(diff_id) for diff_id in diff_ids]
    if all(entries is not None for entries in remembered):
        return tuple(Layer(d, e) for d, e in zip(diff_ids, remembered, strict=True) if e is not None)
    return _streamed(engine, image["Id"], diff_ids)


def is_walked(engine: Engine, image: Mapping[str, Any]) -> bool:
    """Whether the folders of ``image`` are this machine's to read."""
    return bool(_local_folders(engine, image, len(image["RootFS"].get("Layers") or ())))


# --- walking overlay2 -------------------------------------------------------------------------------------------------


def _local_folders(engine: Engine, image: Mapping[str, Any], count: int) -> list[Path]:
    """The overlay2 folders of ``image``, lowest first; empty when they are not this machine's to read."""
    driver = image.get("GraphDriver") or {}
    data = driver.get("Data") or {}
    # Podman calls the same driver “overlay”.
    if not engine.local or driver.get("Name") not in ("overlay2", "overlay") or "UpperDir" not in data:
        return []
    lower = [Path(part) for part in data.get("LowerDir", "").split(":") if part]
    folders = [*reversed(lower), Path(data["UpperDir"])]
    return folders if len(folders) == count and all(folder.is_dir() for folder in folders) else []


class _Redirected(Exception):  # noqa: N818 - a reason to read in another way, not an error
    """A directory's content lies elsewhere (the kernel's redirect_dir), or deeper than a path can be long."""


def _walked(folder: Path) -> dict[str, Entry]:
    try:
        return walk(folder)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _Redirected(folder) from error
        raise


def walk(root: Path) -> dict[str, Entry]:
    """The entries of an overlay2 layer folder.

    Raises ``_Redirected`` when the folder alone does not tell what is in the layer.
    """
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
    return _with_links(entries, inodes.values())


def looks_deleted(name: str) -> SubmissionError:
    """A file with the name of a whiteout: to some readers it hides another file, to others it does not."""
    return SubmissionError(
        f"The image holds /{name}; names that begin with `{WHITEOUT}` mark deletions in layers, and hide files",
        "Give the file another name.",
    )


def forged_whiteouts(engine: Engine, image_id: str, labels: Mapping[str, str]) -> str | None:
    """A file with the name of a whiteout in the final file system, as a container shows it; None when there is none."""
    client = engine.client
    container = client.create_container(image_id, command=["/"], user="0", labels=dict(labels), network_disabled=True)
    try:
        chunks = client.export(container["Id"], chunk_size=1 << 20)
        with tarfile.open(fileobj=_Stream(chunks), mode="r|", bufsize=1 << 20) as files:
            return next((m.name for m in files if m.name.rpartition("/")[2].startswith(WHITEOUT)), None)
    finally:
        client.remove_container(container["Id"], force=True, v=True)


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


def _with_links(entries: dict[str, Entry], groups: Iterable[list[str]]) -> dict[str, Entry]:
    """Of the names of one file the first in the alphabet is the file, the others are links to it.

    Which one a tar holds first depends on who wrote it; two readers have to agree.
    """
    for names in groups:
        first, *others = sorted(names, key=os.fsencode)
        content = max((entries[name] for name in names), key=lambda entry: entry.size)
        entries[first] = content._replace(kind="file", target="")
        for name in others:
            entries[name] = content._replace(kind="link", size=0, target=first)
    return entries


def _is_opaque(path: str) -> bool:
    """Only the kernel's own mark counts: any RUN can set a `user.` attribute, and hide files with it from us alone."""
    with suppress(OSError, AttributeError):
        names = os.listxattr(path, follow_symlinks=False)
        if "trusted.overlay.redirect" in names:
            raise _Redirected(path)
        if "trusted.overlay.opaque" in names:
            return os.getxattr(path, "trusted.overlay.opaque", follow_symlinks=False) == b"y"
    return False


# --- streaming out of the engine --------------------------------------------------------------------------------------


def _streamed(engine: Engine, image_id: str, diff_ids: Sequence[str]) -> tuple[Layer, ...]:
    """Reads `docker save`. Engine 20.10 names layers `ID/layer.tar`, newer ones `blobs/sha256/DIGEST`,
    Podman `DIGEST.tar`.
    """
    chunks = engine.client.get_image(image_id, chunk_size=1 << 20)
    found, manifests = read_export(_Stream(chunks))
    paths = manifests[0]["Layers"] if manifests else []
    if len(paths) != len(diff_ids) or any(path not in found for path in paths):
        raise EngineError(
            "The engine's export of the image is not complete",
            "Grade again; if it stays, restart the engine.",
            where=image_id,
        )
    layers = tuple(Layer(diff_id, found[path]) for diff_id, path in zip(diff_ids, paths, strict=True))
    for layer in layers:
        _remember(layer)
    return layers


def read_export(stream: io.RawIOBase) -> tuple[dict[str, dict[str, Entry]], list[dict[str, Any]]]:
    """Layers by their path inside the export, and the content of its `manifest.json`."""
    found: dict[str, dict[str, Entry]] = {}
    same: dict[str, str] = {}
    manifests: list[dict[str, Any]] = []
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", bufsize=1 << 20, errorlevel=1) as outer:
        for member in outer:
            if member.issym():
                same[member.name] = os.path.normpath(Path(member.name).parent / member.linkname).replace(os.sep, "/")
            elif member.name == "manifest.json" and member.size <= _JSON_LIMIT:
                manifests = json.load(outer.extractfile(member) or io.BytesIO(b"[]"))
            elif member.isfile() and (member.name.endswith(".tar") or member.name.startswith("blobs/")):
                entries = _layer_of(outer.extractfile(member))
                if entries is not None:
                    found[member.name] = entries
    found.update({name: found[target] for name, target in same.items() if target in found})
    return found, manifests


def _layer_of(content: IO[bytes] | None) -> dict[str, Entry] | None:
    """The entries of a layer, plain or compressed with gzip; None for a blob that is no layer."""
    if content is None:
        return None
    reader = io.BufferedReader(cast("io.RawIOBase", content), 1 << 20)
    start = reader.peek(4)[:4]
    if start[:1] in (b"{", b"[", b""):
        return None
    if start == b"\x28\xb5\x2f\xfd":
        raise EngineError(
            "A layer of the image is compressed with zstd, which this grader cannot read",
            "Use base images whose layers are plain or gzip.",
        )
    plain = gzip.GzipFile(fileobj=reader) if start[:2] == b"\x1f\x8b" else reader
    with tarfile.open(fileobj=cast("IO[bytes]", plain), mode="r|", bufsize=1 << 20, errorlevel=1) as layer:
        return from_tar(layer)


def from_tar(layer: tarfile.TarFile) -> dict[str, Entry]:
    """The entries of a layer's tar; whiteouts are names that begin with `.wh.`."""
    entries: dict[str, Entry] = {}
    gone: set[str] = set()
    links: dict[str, list[str]] = {}
    passed: list[tarfile.TarInfo] = layer.members  # type: ignore[attr-defined]  # typeshed has no name for it
    for member in layer:
        name = _name(member.name)
        folder, _, last = name.rpartition("/")
        if last == ".wh..wh..opq":
            gone.add(folder)
        elif last.startswith(".wh.."):
            continue  # AUFS's own housekeeping, which still shows up in old images
        elif last.startswith(".wh."):
            gone.add(f"{folder}/{last[4:]}".lstrip("/"))
        elif name and member.islnk() and _name(member.linkname) in entries:
            _link(name, _name(member.linkname), entries, links)
        elif name:
            entries[name] = _from_member(member)
        passed.clear()  # tarfile would keep every member it has passed
    for name in gone:
        # A whiteout speaks of the layers below: what this layer has of that name stays, without what it covered.
        here = entries.get(name)
        if here is None:
            is_folder = any(other.startswith(f"{name}/") for other in entries)
            entries[name] = Entry("dir", 0, 0o755, opaque=True) if is_folder else Entry("whiteout")
        elif here.kind == "dir":
            entries[name] = here._replace(opaque=True)
    groups = {id(group): group for group in links.values()}
    return _with_links(entries, groups.values())


def _name(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/".join(parts)


def _link(name: str, target: str, entries: dict[str, Entry], links: dict[str, list[str]]) -> None:
    """Adds ``name`` to the names of the file ``target``."""
    group = links.setdefault(target, [target])
    group.append(name)
    links[name] = group
    entries[name] = entries[target]._replace(kind="link", size=0, target=target)


def _from_member(member: tarfile.TarInfo) -> Entry:
    mode, owner = stat.S_IMODE(member.mode), (member.uid, member.gid)
    if member.isreg():
        return Entry("file", member.size, mode, *owner)
    if member.islnk():
        return Entry("link", 0, mode, *owner, _name(member.linkname))
    if member.isdir():
        return Entry("dir", 0, mode, *owner)
    if member.issym():
        return Entry("symlink", 0, mode, *owner, member.linkname)
    if member.ischr() and member.devmajor == member.devminor == 0:
        return Entry("whiteout")
    return Entry("special", 0, mode, *owner)


class _Stream(io.RawIOBase):
    """Chunks of bytes, as a file that can only be read forwards."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            try:
                self._left = memoryview(next(self._chunks))
            except StopIteration:
                return 0
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def read(self, size: int = -1) -> bytes:
        """Exactly ``size`` bytes unless the stream ends: tarfile takes a short read for the end."""
        parts = []
        while size > 0:
            part = super().read(size) or b""
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


# --- what was read before ---------------------------------------------------------------------------------------------


def _cache_folder() -> Path:
    return platformdirs.user_cache_path("image-grader") / f"layers-{_CACHE_VERSION}"


def _cache_file(diff_id: str) -> Path:
    return _cache_folder() / f"{hashlib.sha256(diff_id.encode()).hexdigest()}.json.gz"


def _recall(diff_id: str) -> dict[str, Entry] | None:
    """What was read of this layer before, if it was; a damaged file counts as not read."""
    try:
        raw = json.loads(gzip.decompress(_cache_file(diff_id).read_bytes()))
        return {name: Entry(*fields) for name, fields in raw.items()}
    except (OSError, ValueError, TypeError, EOFError, AttributeError):
        return None


def _remember(layer: Layer) -> None:
    """Writes a layer's entries for the next run; that this fails is no reason to fail the grading."""
    file = _cache_file(layer.diff_id)
    if file.exists():
        return
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        content = gzip.compress(json.dumps(dict(layer.entries)).encode(), compresslevel=1)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as new:
            new.write(content)
        Path(new.name).replace(file)
        old = sorted(file.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in old[_REMEMBERED:]:
            path.unlink(missing_ok=True)
