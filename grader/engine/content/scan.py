"""Shows somebody every file of the layers that a Dockerfile added, those that a later layer deleted too.

Each file passes by once, in pieces: from the folders in which an engine of this machine keeps layers, else out of
`docker save`, from which nothing is unpacked.
"""

from __future__ import annotations

import gzip
import json
import os
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING, NamedTuple, TypeVar

from grader.engine.api.stream import Stream, Window
from grader.engine.content import export, tarlayer
from grader.engine.content.layers import is_whiteout
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from grader.engine.api.stream import Source
    from grader.engine.connect import Engine
    from grader.engine.content.layers import Layer

T = TypeVar("T")
#: What is shown of a file: its bytes, piece by piece. What it makes of them comes back.
Look = Callable[[Iterator[bytes]], Iterable[T]]

#: Bytes of a piece.
PIECE = 1 << 20


class Place(NamedTuple):
    """A file of one layer: the layer's index and the path (posix, relative to the root)."""

    layer: int
    path: str


def scan(
    engine: Engine, image_id: str, layers: Sequence[Layer], base_count: int, look: Look[T]
) -> list[tuple[Place, T]]:
    """What ``look`` makes of the regular files in the layers above the lowest ``base_count``, lowest layer first.

    Raises ``EngineError`` when the engine cannot give them.
    """
    own = layers[base_count:]
    folders = [layer.folder for layer in own if layer.folder]
    if len(folders) == len(own):
        return [
            (Place(index, name), what)
            for index, (layer, folder) in enumerate(zip(own, folders, strict=True), start=base_count)
            for name, what in _in_folder(layer, folder, look)
        ]
    try:
        source = Stream(engine.client.get_image(image_id, chunk_size=PIECE))
        found = _in_export(source, [layer.diff_id for layer in layers], base_count, look)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise EngineError(
            "The engine's export of the image is not complete",
            "Grade again; if it stays, restart the engine.",
            where=image_id,
        ) from error
    return [(Place(index, name), what) for index, each in enumerate(found, start=base_count) for name, what in each]


def _in_folder(layer: Layer, folder: Path, look: Look[T]) -> Iterator[tuple[str, T]]:
    for name, entry in layer.entries.items():
        if entry.kind == "file":
            # A string, because a Path would drop what is odd in a name.
            with open(os.path.join(folder, name), "rb", buffering=0) as file:  # noqa: PTH118, PTH123
                yield from ((name, what) for what in look(_pieces(file)))


def _in_export(source: Stream, diff_ids: Sequence[str], base_count: int, look: Look[T]) -> list[list[tuple[str, T]]]:
    """The finds in each own layer, from a stream that may say only at its end which layer is which."""
    base = {diff_id.removeprefix("sha256:") for diff_id in {*diff_ids} - {*diff_ids[base_count:]}}
    found: dict[str, list[tuple[str, T]]] = {}
    same: dict[str, str] = {}
    order: list[str] = []
    for member, _ in tarlayer.members(source):
        if member.issym():
            same[member.name] = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
        elif member.name == "manifest.json":
            order = json.loads(source.read(member.size))[0]["Layers"]
        # Podman and newer engines name a layer by its diff id: those that are known to be the base's are passed by.
        elif export.is_blob(member) and not any(digest in member.name for digest in base):
            layer = export.unpacked(Window(source, member.size))
            found[member.name] = list(_in_layer(layer, look)) if layer else []
    names = [same.get(name, name) for name in order]
    if len(names) != len(diff_ids) or any(name not in found for name in names[base_count:]):
        raise EOFError("layers are missing")
    return [found[name] for name in names[base_count:]]


def _in_layer(layer: Source, look: Look[T]) -> Iterator[tuple[str, T]]:
    for member, archive in tarlayer.members(layer):
        file = archive.extractfile(member) if member.isreg() else None
        if file is not None:
            name = "/".join(part for part in member.name.split("/") if part not in ("", "."))
            # A mark of a deletion is no file; one that has content is not what it looks like.
            if member.size or not is_whiteout(name):
                yield from ((name, what) for what in look(_pieces(file)))


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece
