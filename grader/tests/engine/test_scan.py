"""Every file of the own layers passes by, wherever layers are read from."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from grader.engine import scan
from grader.engine.layers import Layer
from grader.errors import EngineError
from grader.tests.engine.building import unique

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def whole(pieces: Iterator[bytes]) -> list[bytes]:
    return [b"".join(pieces)]


def seen(image: Image) -> set[tuple[int, str, bytes]]:
    found = image.scan(whole)
    # Which of two names of a file comes first depends on who wrote the tar.
    return {(layer - image.base_count, path.replace("a/d", "a/c"), data) for (layer, path), data in found}


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
        assert len(one.scan(whole)) == len(one.layers) >= 2


@pytest.mark.parametrize("damage", ["cut off", "nothing", "no manifest", "no tar"])
def test_an_export_that_is_not_whole_is_the_engines(workshop: Workshop, damage: str) -> None:
    image = workshop.image(f"FROM scratch\nCOPY app.py /{unique()}/\n")
    saved = b"".join(image._engine.client.get_image(image.id))
    if damage == "no manifest":
        saved = without_manifest(saved)
    data = {"cut off": saved[: len(saved) // 2], "nothing": b"", "no tar": b"x" * 5000}.get(damage, saved)

    class Client:
        def get_image(self, *_: Any, **__: Any) -> Iterator[bytes]:
            yield data

    engine = replace(image._engine, client=cast("Any", Client()))
    layers = [Layer(layer.diff_id, {}) for layer in image.layers]
    with pytest.raises(EngineError, match="not complete"):
        scan.scan(engine, image.id, layers, 0, whole)


def without_manifest(saved: bytes) -> bytes:
    kept = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(saved)) as old, tarfile.open(fileobj=kept, mode="w") as new:
        for member in old:
            if member.name != "manifest.json":
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
    return kept.getvalue()
