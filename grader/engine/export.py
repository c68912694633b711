"""Images streamed out of an engine, read as they pass by and never unpacked."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from grader.engine.layers import WHITEOUT, Layer
from grader.engine.tarlayer import from_tar
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from grader.engine.connect import Engine
    from grader.engine.layers import Entry

#: Image configurations and manifests inside an export are small; larger JSON is no concern of ours.
_JSON_LIMIT = 4 << 20


def saved(engine: Engine, image_id: str, diff_ids: Sequence[str]) -> tuple[Layer, ...]:
    """Reads `docker save`. Engine 20.10 names layers `ID/layer.tar`, newer ones `blobs/sha256/DIGEST`,
    Podman `DIGEST.tar`.
    """
    chunks = engine.client.get_image(image_id, chunk_size=1 << 20)
    found, manifests = read_export(Stream(chunks))
    paths = manifests[0]["Layers"] if manifests else []
    if len(paths) != len(diff_ids) or any(path not in found for path in paths):
        raise EngineError(
            "The engine's export of the image is not complete",
            "Grade again; if it stays, restart the engine.",
            where=image_id,
        )
    return tuple(Layer(diff_id, found[path]) for diff_id, path in zip(diff_ids, paths, strict=True))


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


def forged_whiteouts(engine: Engine, image_id: str, labels: Mapping[str, str]) -> str | None:
    """A file with the name of a whiteout in the final file system, as a container shows it; None when there is none."""
    client = engine.client
    container = client.create_container(image_id, command=["/"], user="0", labels=dict(labels), network_disabled=True)
    try:
        chunks = client.export(container["Id"], chunk_size=1 << 20)
        with tarfile.open(fileobj=Stream(chunks), mode="r|", bufsize=1 << 20) as files:
            return next((m.name for m in files if m.name.rpartition("/")[2].startswith(WHITEOUT)), None)
    finally:
        client.remove_container(container["Id"], force=True, v=True)


class Stream(io.RawIOBase):
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
