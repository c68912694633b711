"""A layer that was streamed once is not streamed again."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

from grader.engine.content import export, overlay, remembered
from grader.engine.content.layers import Entry, Layer

if TYPE_CHECKING:
    from pathlib import Path

    from grader.engine.connect import Engine
    from grader.tests.engine.building import Workshop


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(remembered, "_folder", lambda: tmp_path / "layers")
    return tmp_path / "layers"


def test_a_layer_is_remembered_and_a_damaged_memory_is_read_again(
    workshop: Workshop, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = workshop.image_elsewhere(workshop.image("FROM debian:bookworm-slim\nRUN printf '\\377' > /x\n"))
    first = image.layers
    files = sorted(cache.iterdir())
    assert len(files) == 2
    streams = counted(monkeypatch)
    assert workshop.image_elsewhere(image).layers == first
    assert streams == []
    files[0].write_bytes(b"damaged")
    assert workshop.image_elsewhere(image).layers == first
    assert streams == [image.id]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x1f\x8b",
        gzip.compress(b"{", mtime=0),
        gzip.compress(b"[1]", mtime=0),
        gzip.compress(b'{"a": 3}', mtime=0),
    ],
)
def test_a_damaged_memory_counts_as_none(cache: Path, content: bytes) -> None:
    cache.mkdir()
    remembered._file("sha256:1").write_bytes(content)
    assert remembered.recall("sha256:1") is None


def test_only_so_many_layers_are_remembered(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_MOST", 3)
    for number in range(6):
        remembered.remember(Layer(f"sha256:{number}", {"a": Entry("file", number)}))
    assert len(list(cache.iterdir())) == 3


def test_the_folders_of_a_base_image_are_walked_once(
    workshop: Workshop, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "FROM debian:bookworm-slim\nRUN touch /own\n"
    image = workshop.image(text)
    if not image.layers[0].folder:
        pytest.skip("takes an engine whose folders can be read")
    first, base = image.layers, image.base_count
    assert len(list(cache.iterdir())) == base, "what a learner's line added is nobody else's"
    walked: list[Path] = []
    real = overlay.walk

    def walk(folder: Path) -> dict[str, Entry]:
        walked.append(folder)
        return real(folder)

    monkeypatch.setattr(overlay, "walk", walk)
    again = workshop.image(text)
    assert again.layers == first
    assert walked == [layer.folder for layer in first[base:]]
    assert [layer.folder for layer in again.layers] == [layer.folder for layer in first]
    # A damaged memory, and that of another place with the same content, count as none.
    walked.clear()
    for file in cache.iterdir():
        file.write_bytes(b"damaged")
    assert workshop.image(text).layers == first
    assert walked == [layer.folder for layer in first]
    assert remembered.recall(first[0].diff_id) is None


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    real = export.saved

    def saved(engine: Engine, image_id: str, *more: Any) -> tuple[Layer, ...]:
        seen.append(image_id)
        return real(engine, image_id, *more)

    monkeypatch.setattr(export, "saved", saved)
    return seen
