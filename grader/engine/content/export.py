"""Images streamed out of an engine (`docker save`), read as they pass by and never unpacked.

Source: the Docker image specification, "Combined Image JSON + Filesystem Changeset Format"; the OCI image layout.
"""

from __future__ import annotations

import gzip
import json
import posixpath
import sys
import tarfile
import zlib
from typing import IO, TYPE_CHECKING, Any, cast

from grader.engine.api.stream import Stream, Window
from grader.engine.content import tarlayer
from grader.engine.content.layers import Layer
from grader.engine.content.tarlayer import Contents
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from grader.engine.api.stream import Source
    from grader.engine.connect import Engine

#: Image configurations and manifests inside an export are small; larger JSON is no concern of ours.
_JSON_LIMIT = 4 << 20
_CHUNK = 1 << 20


def saved(
    engine: Engine, image_id: str, diff_ids: Sequence[str], known: Mapping[str, Layer] | None = None
) -> tuple[Layer, ...]:
    """The layers of an image, lowest first; those that are ``known`` by their diff id are passed by where they can be.

    Raises ``EngineError`` when the engine's export is not whole.
    """
    # Podman and newer engines name a layer by its diff id, as long as they do not keep it compressed.
    by_digest = {diff_id.removeprefix("sha256:"): Contents.of(layer) for diff_id, layer in (known or {}).items()}
    try:
        found, manifests = read(Stream(engine.client.get_image(image_id, chunk_size=_CHUNK)), by_digest)
        paths = manifests[0]["Layers"]
        return tuple(Layer(diff_id, *found[path]) for diff_id, path in zip(diff_ids, paths, strict=True))
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, LookupError) as error:
        raise EngineError(
            "The engine's export of the image is not complete",
            "Grade again; if it stays, restart the engine.",
            where=image_id,
        ) from error


def read(source: Stream, known: Mapping[str, Contents] | None = None) -> tuple[dict[str, Contents], list[Any]]:
    """Layers by their path inside the export, and its manifests: one an image, whose ``Layers`` are paths.

    Engine 20.10 names a layer `ID/layer.tar`, newer ones `blobs/sha256/DIGEST`, Podman `DIGEST.tar`. ``known`` are
    layers by the digest that their name may have in it.
    """
    found: dict[str, Contents] = {}
    same: dict[str, str] = {}
    manifests: list[Any] = []
    for member, _ in tarlayer.members(source):
        digest = posixpath.basename(member.name).removesuffix(".tar")
        if member.issym():
            same[member.name] = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
        elif member.name == "manifest.json" and member.size <= _JSON_LIMIT:
            manifests = json.loads(source.read(member.size))
        elif known and digest in known:
            found[member.name] = known[digest]
        elif is_blob(member) and (layer := unpacked(Window(source, member.size))) is not None:
            found[member.name] = tarlayer.read(layer)
    found.update({name: found[target] for name, target in same.items() if target in found})
    return found, manifests


def is_blob(member: tarfile.TarInfo) -> bool:
    """Whether it may be a layer, by its name."""
    return member.isreg() and (member.name.endswith(".tar") or member.name.startswith("blobs/"))


def unpacked(blob: Window) -> Source | None:
    """The tar of a layer, however it is compressed; None for a blob that is no layer."""
    start = blob.peek(4)
    if start[:1] in (b"{", b"[", b""):
        return None
    if start.startswith(b"\x1f\x8b"):
        return Stream(_chunks(cast("IO[bytes]", gzip.GzipFile(fileobj=cast("IO[bytes]", blob)))))
    if start == b"\x28\xb5\x2f\xfd":
        return Stream(_unzstd(blob))
    return blob


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _unzstd(blob: Window) -> Iterator[bytes]:
    """Only few images are compressed in this way, so that the library for it is looked for when it is needed."""
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd  # noqa: PLC0415
        else:
            from backports import zstd  # noqa: PLC0415
    except ImportError as error:
        raise EngineError(
            "A layer of the image is compressed with zstd", "Install what reads it: `pip install backports.zstd`."
        ) from error
    try:
        yield from _chunks(cast("IO[bytes]", zstd.ZstdFile(cast("IO[bytes]", blob))))
    except zstd.ZstdError as error:
        raise EOFError from error
