"""What streams out of an engine: an export, the layers in it, and the tar of a layer."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from grader.engine.export import Stream, read_export
from grader.engine.tarlayer import from_tar
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.layers import Entry


def tarred(*members: tuple[str, bytes | None, str]) -> bytes:
    """Members as (name, content or None for a folder, hard link target)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as target:
        for name, content, link in members:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if content is None else tarfile.LNKTYPE if link else tarfile.REGTYPE
            member.size = 0 if content is None or link else len(content)
            member.linkname = link
            target.addfile(member, io.BytesIO(content or b""))
    return buffer.getvalue()


def entries(*members: tuple[str, bytes | None, str]) -> dict[str, Entry]:
    with tarfile.open(fileobj=io.BytesIO(tarred(*members)), mode="r|") as layer:
        return from_tar(layer)


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        ([("a", b"x", "")], {"a": ("file", 1, False)}),
        ([("./a/", None, ""), ("./a//b", b"xy", "")], {"a": ("dir", 0, False), "a/b": ("file", 2, False)}),
        ([(".wh.a", b"", "")], {"a": ("whiteout", 0, False)}),
        ([("d/.wh.a", b"", "")], {"d/a": ("whiteout", 0, False)}),
        ([("d", None, ""), ("d/.wh..wh..opq", b"", "")], {"d": ("dir", 0, True)}),
        ([("d/.wh..wh..opq", b"", ""), ("d", None, "")], {"d": ("dir", 0, True)}),
        ([("a", b"x", ""), (".wh.a", b"", "")], {"a": ("file", 1, False)}),
        ([(".wh.d", b"", ""), ("d", None, ""), ("d/f", b"x", "")], {"d": ("dir", 0, True), "d/f": ("file", 1, False)}),
        ([(".wh.d", b"", ""), ("d/f", b"x", "")], {"d": ("dir", 0, True), "d/f": ("file", 1, False)}),
        ([(".wh..wh.aufs", b"", "")], {}),
        ([("z", b"xy", ""), ("a", b"", "z")], {"a": ("file", 2, False), "z": ("link", 0, False)}),
        ([("b", b"xy", ""), ("c", b"", "b"), ("a", b"", "c")],
         {"a": ("file", 2, False), "b": ("link", 0, False), "c": ("link", 0, False)}),
        ([("a", b"", "not/here")], {"a": ("link", 0, False)}),
        ([("a", b"x", ""), ("a", b"xyz", "")], {"a": ("file", 3, False)}),
    ],
)  # fmt: skip
def test_a_tar_is_read_as_the_specification_says(
    members: list[tuple[str, bytes | None, str]], wanted: dict[str, tuple[str, int, bool]]
) -> None:
    assert {name: (e.kind, e.size, e.opaque) for name, e in entries(*members).items()} == wanted


def export(*blobs: tuple[str, bytes]) -> Stream:
    raw = tarred(*((name, content, "") for name, content in blobs))
    return Stream(raw[i : i + 700] for i in range(0, len(raw), 700))


def test_an_export_is_read_whatever_its_layers_are_called_and_packed_with() -> None:
    plain = tarred(("a", b"x", ""))
    found, manifests = read_export(
        export(
            ("blobs/sha256/1", gzip.compress(plain)),
            ("2/layer.tar", plain),
            ("3.tar", plain),
            ("blobs/sha256/4", b'{"config": {}}'),
            ("manifest.json", b'[{"Layers": ["3.tar"]}]'),
        )
    )
    assert {name: list(layer) for name, layer in found.items()} == {
        name: ["a"] for name in ("blobs/sha256/1", "2/layer.tar", "3.tar")
    }
    assert manifests == [{"Layers": ["3.tar"]}]


def test_a_layer_that_cannot_be_unpacked_is_the_engines() -> None:
    with pytest.raises(EngineError, match="zstd"):
        read_export(export(("blobs/sha256/1", b"\x28\xb5\x2f\xfd" + bytes(600))))


def test_a_stream_gives_exactly_what_is_asked_for() -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b"ab", b"", b"cdefg", b"h")

    stream = Stream(chunks())
    assert [stream.read(3), stream.read(4), stream.read(9), stream.read(1)] == [b"abc", b"defg", b"h", b""]
