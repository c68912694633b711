"""Every file of the own layers passes by, wherever layers are read from."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, cast

import pytest

from grader.engine.content import scan
from grader.engine.content.layers import Layer
from grader.errors import EngineError
from grader.tests.engine.building import unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.content.scan import Place
    from grader.engine.image import Image
    from grader.tests.engine.building import Workshop

TEXT = """\
FROM python:3.11-slim AS one
RUN mkdir -p /a/b && echo one > /a/b/deleted && echo two > "/a/$(printf 'odd\\nname')" && ln -s b /a/link
FROM one
RUN rm -r /a/b && echo three > /a/c && ln /a/c /a/d && : > /empty && truncate -s 3000000 /holes
COPY app.py /
RUN echo four > /a/c && mkfifo /pipe
"""


GZIP = b"\x1f\x8b"


def whole(pieces: Iterator[bytes]) -> list[bytes]:
    return [b"".join(pieces)]


def seen(image: Image) -> set[tuple[int, str, bytes]]:
    return told(image.scan(whole), image.base_count)


def told(found: list[tuple[Place, bytes]], base_count: int) -> set[tuple[int, str, bytes]]:
    # Which of two names of a file comes first depends on who wrote the tar.
    return {(layer - base_count, path.replace("a/d", "a/c"), data) for (layer, path), data in found}


def test_all_files_pass_by_whole_deleted_ones_too(workshop: Workshop) -> None:
    image = workshop.image(TEXT, {"app.py": f"print()  # {unique()}\n"})
    found = seen(image)
    elsewhere = seen(workshop.image_elsewhere(image))
    assert {(0, "a/b/deleted", b"one\n"), (0, "a/odd\nname", b"two\n"), (1, "a/c", b"three\n")} <= found
    assert {(1, "empty", b""), (1, "holes", bytes(3_000_000)), (3, "a/c", b"four\n")} <= elsewhere
    assert {(layer, path) for layer, path, _ in found} <= {
        (0, "a/b/deleted"), (0, "a/odd\nname"), (1, "a/c"), (1, "empty"), (1, "holes"), (2, "app.py"), (3, "a/c"),
    }  # fmt: skip
    assert elsewhere == found


def test_whoever_has_seen_enough_of_a_file_need_not_read_on(workshop: Workshop) -> None:
    image = workshop.image(TEXT)
    for one in (image, workshop.image_elsewhere(image)):
        begun = {data for _, data in one.scan(lambda pieces: [next(pieces, b"")[:3]])}
        assert begun >= {b"one", b"two", b"thr", b"fou"}


def test_two_layers_that_are_the_same_are_both_seen(workshop: Workshop) -> None:
    image = workshop.image(f"FROM scratch\nCOPY app.py /{unique()}/\nCOPY app.py /x/\nCOPY app.py /x/\n")
    for one in (image, workshop.image_elsewhere(image)):
        # containerd's store has no file in the third: it is the one that is there.
        files = [entry for layer in one.layers for entry in layer.entries.values() if entry.kind == "file"]
        assert len(one.scan(whole)) == len(files) >= 2


def test_layers_that_are_compressed_and_named_after_that_are_seen_alike(workshop: Workshop) -> None:
    image = workshop.image(TEXT, {"app.py": f"print()  # {unique()}\n"})
    compressed = replace(image._engine, client=cast("Any", saying(as_containerd_saves(saved(image)))))
    layers = [Layer(layer.diff_id, {}) for layer in image.layers]
    found = scan.scan(compressed, image.id, layers, image.base_count, whole)
    assert told(found, image.base_count) == seen(image)


@pytest.mark.parametrize("damage", ["cut off", "nothing", "no manifest", "no tar"])
def test_an_export_that_is_not_whole_is_the_engines(workshop: Workshop, damage: str) -> None:
    image = workshop.image(f"FROM scratch\nCOPY app.py /{unique()}/\n")
    export = saved(image)
    if damage == "no manifest":
        export = without_manifest(export)
    data = {"cut off": export[: len(export) // 2], "nothing": b"", "no tar": b"x" * 5000}.get(damage, export)
    engine = replace(image._engine, client=cast("Any", saying(data)))
    layers = [Layer(layer.diff_id, {}) for layer in image.layers]
    with pytest.raises(EngineError, match="not complete"):
        scan.scan(engine, image.id, layers, 0, whole)


def saved(image: Image) -> bytes:
    return b"".join(image._engine.client.get_image(image.id))


def saying(data: bytes) -> object:
    """A client that exports this."""

    class Client:
        def get_image(self, *_: Any, **__: Any) -> Iterator[bytes]:
            yield data

    return Client()


def as_containerd_saves(saved: bytes) -> bytes:
    """The same image, its layers compressed and named by the digest of that: nothing tells which are the base's."""
    kept = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(saved)) as old, tarfile.open(fileobj=kept, mode="w") as new:
        manifest = json.load(cast("IO[bytes]", old.extractfile("manifest.json")))
        for place, name in enumerate(manifest[0]["Layers"]):
            layer = cast("IO[bytes]", old.extractfile(name)).read()
            packed = layer if layer.startswith(GZIP) else gzip.compress(layer, 1)
            manifest[0]["Layers"][place] = f"blobs/sha256/{hashlib.sha256(packed).hexdigest()}"
            add(new, manifest[0]["Layers"][place], packed)
        add(new, "manifest.json", json.dumps(manifest).encode())
    return kept.getvalue()


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def without_manifest(saved: bytes) -> bytes:
    kept = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(saved)) as old, tarfile.open(fileobj=kept, mode="w") as new:
        for member in old:
            if member.name != "manifest.json":
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
    return kept.getvalue()
