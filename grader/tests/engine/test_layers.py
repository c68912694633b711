"""Both readers of layers give the same answer, on nasty layers too."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from grader.engine import layers
from grader.engine.image import inspect
from grader.engine.layers import Entry, Layer
from grader.errors import EngineError
from grader.tests.conftest import BASES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from grader.engine.connect import Engine
    from grader.tests.engine.building import Workshop

NASTY = r"""FROM debian:bookworm-slim
RUN true
WORKDIR /tmp
WORKDIR /app/deep
ENV A=1
COPY app.py .
RUN mkdir /d && echo a >/d/a && echo b >/d/b
RUN rm -rf /d && mkdir /d && echo c > /d/c
RUN rm /etc/debian_version
RUN ln /app/deep/app.py /hard && cp /bin/true /x && ln /x /y && ln /x /app/z
RUN ln -s /loop2 /loop1 && ln -s /loop1 /loop2; ln -s ../etc/passwd /app/link; mkfifo /fifo; mknod /null2 c 1 3
RUN printf x > "/$(printf 'new\nline')"; printf y > "/$(printf 'odd\377byte')"; printf z > "/$(printf '%0200d' 7)"
RUN truncate -s 10M /sparse; cp /bin/true /suid; chmod 4755 /suid
RUN p=/deep; for i in 1 2 3 4 5 6 7 8 9 10; do p=$p/number-$i-has-a-long-name; done; mkdir -p $p; echo q > $p/file
RUN rm -rf /usr/share/bash-completion && echo now-a-file > /usr/share/bash-completion
RUN echo same > /same
RUN echo same > /same
RUN chmod 600 /etc/passwd
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(layers, "_cache_folder", lambda: tmp_path / "layers")
    return tmp_path / "layers"


def is_walked(engine: Engine, reference: str) -> bool:
    image = inspect(engine, reference)
    return bool(layers._local_folders(engine, image, len(image["RootFS"]["Layers"])))


def exported(engine: Engine, reference: str) -> tuple[Layer, ...]:
    image = inspect(engine, reference)
    return layers._streamed(engine, image["Id"], image["RootFS"]["Layers"])


@pytest.mark.parametrize("reference", BASES)
def test_walking_and_reading_the_export_agree_on_base_images(engine: Engine, reference: str) -> None:
    if not is_walked(engine, reference):
        pytest.skip("this engine's folders cannot be walked from here")
    assert_equal(layers.read(engine, inspect(engine, reference)), exported(engine, reference))


def test_walking_and_reading_the_export_agree_on_a_nasty_image(workshop: Workshop) -> None:
    image = workshop.image(NASTY)
    if not is_walked(workshop.engine, image.id):
        pytest.skip("this engine's folders cannot be walked from here")
    assert_equal(image.layers, exported(workshop.engine, image.id))


def assert_equal(walked: tuple[Layer, ...], streamed: tuple[Layer, ...]) -> None:
    assert [layer.diff_id for layer in walked] == [layer.diff_id for layer in streamed]
    for left, right in zip(walked, streamed, strict=True):
        names = left.entries.keys() | right.entries.keys()
        assert {n: left.entries.get(n) for n in names if left.entries.get(n) != right.entries.get(n)} == {
            n: right.entries.get(n) for n in names if left.entries.get(n) != right.entries.get(n)
        }


def test_a_nasty_image_has_the_sizes_and_names_that_were_put_in(workshop: Workshop) -> None:
    image = workshop.image(NASTY, {"app.py": "print()\n"})
    assert_nasty(image.files)
    # The same to the byte on every engine and store.
    true = image.files["bin/true"] if "bin/true" in image.files else image.files["usr/bin/true"]
    by_line = {layer.line: layer.size for layer in image.own_layers}
    size = true.entry.size
    passwd = image.files["etc/passwd"].entry.size
    wanted = {
        6: 8,
        7: 4,
        8: 2,
        9: 0,
        10: 8 + size,
        12: 3,
        13: (10 << 20) + size,
        14: 2,
        15: 11,
        16: 5,
        17: 5,
        18: passwd,
    }
    assert {line: by_line.get(line) for line in wanted} == wanted
    assert image.size == image.base_size + sum(by_line.values())


def assert_nasty(files: object) -> None:
    assert isinstance(files, dict)
    assert "d/c" in files
    assert not {"d/a", "d/b", "etc/debian_version"} & files.keys()
    assert not [name for name in files if name.startswith("usr/share/bash-completion/")]
    assert {"new\nline", "odd\udcffbyte", f"{7:0200d}"} <= files.keys()
    assert files["suid"].entry.mode == 0o4755
    assert files["null2"].entry.kind == files["fifo"].entry.kind == "special"
    assert files["app/link"].entry.target == "../etc/passwd"
    assert files["etc/passwd"].entry.mode == 0o600


# --- tars -------------------------------------------------------------------------------------------------------------


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
        return layers.from_tar(layer)


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


def export(*blobs: tuple[str, bytes]) -> layers._Stream:
    raw = tarred(*((name, content, "") for name, content in blobs))
    return layers._Stream(raw[i : i + 700] for i in range(0, len(raw), 700))


def test_an_export_is_read_whatever_its_layers_are_called_and_packed_with() -> None:
    plain = tarred(("a", b"x", ""))
    found, manifests = layers.read_export(
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
        layers.read_export(export(("blobs/sha256/1", b"\x28\xb5\x2f\xfd" + bytes(600))))


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_that_the_kernel_redirects_is_not_read_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "moved").mkdir()
    monkeypatch.setattr(os, "listxattr", lambda *_, **__: ["trusted.overlay.redirect"], raising=False)
    with pytest.raises(layers._Redirected):
        layers.walk(tmp_path)


# --- what was read before ---------------------------------------------------------------------------------------------


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
    "content", [b"", b"\x1f\x8b", gzip.compress(b"{"), gzip.compress(b"[1]"), gzip.compress(b'{"a": 3}')]
)
def test_a_damaged_memory_counts_as_none(cache: Path, content: bytes) -> None:
    cache.mkdir()
    layers._cache_file("sha256:1").write_bytes(content)
    assert layers._recall("sha256:1") is None


def test_only_so_many_layers_are_remembered(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "_REMEMBERED", 3)
    for number in range(6):
        layers._remember(Layer(f"sha256:{number}", {"a": Entry("file", number)}))
    assert len(list(cache.iterdir())) == 3


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    real = layers._streamed

    def streamed(engine: Engine, image_id: str, diff_ids: list[str]) -> tuple[Layer, ...]:
        seen.append(image_id)
        return real(engine, image_id, diff_ids)

    monkeypatch.setattr(layers, "_streamed", streamed)
    return seen


def test_a_stream_gives_exactly_what_is_asked_for() -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b"ab", b"", b"cdefg", b"h")

    stream = layers._Stream(chunks())
    assert [stream.read(3), stream.read(4), stream.read(9), stream.read(1)] == [b"abc", b"defg", b"h", b""]
