"""What streams out of an engine: layers of any name, plain or compressed."""

from __future__ import annotations

import gzip
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest

from grader.engine.api.stream import Stream
from grader.engine.content import export
from grader.engine.content.layers import Entry, Layer
from grader.errors import EngineError
from grader.tests.engine.tars import tarred

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine

PLAIN = tarred(("a", b"x", ""))


def exported(*blobs: tuple[str, bytes]) -> Iterator[bytes]:
    raw = tarred(*((name, content, "") for name, content in blobs))
    return (raw[i : i + 700] for i in range(0, len(raw), 700))


def test_an_export_is_read_whatever_its_layers_are_called_and_packed_with() -> None:
    found, manifests = export.read(
        Stream(
            exported(
                ("blobs/sha256/1", gzip.compress(PLAIN)),
                ("blobs/sha256/2", gzip.compress(PLAIN[:700]) + gzip.compress(PLAIN[700:])),
                ("blobs/sha256/3", zstd.compress(PLAIN)),
                ("2/layer.tar", PLAIN),
                ("3.tar", PLAIN),
                ("blobs/sha256/4", b'{"config": {}}'),
                ("blobs/sha256/5", b""),
                ("manifest.json", b'[{"Layers": ["3.tar"]}]'),
            )
        )
    )
    wanted = ("blobs/sha256/1", "blobs/sha256/2", "blobs/sha256/3", "2/layer.tar", "3.tar")
    assert {name: list(layer.entries) for name, layer in found.items()} == {name: ["a"] for name in wanted}
    assert manifests == [{"Layers": ["3.tar"]}]


@dataclass
class SavingOnly:
    """An engine whose exports break: a real one cannot be made to."""

    raw: bytes

    @property
    def client(self) -> SavingOnly:
        return self

    def get_image(self, image: str, chunk_size: int) -> Iterator[bytes]:
        yield self.raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"".join(exported(("1.tar", PLAIN))),
        b"".join(exported(("manifest.json", b'[{"Layers": ["1.tar"]}]'))),
        b"".join(exported(("1.tar", PLAIN), ("manifest.json", b"["))),
        b"".join(exported(("1.tar", PLAIN), ("manifest.json", b"[]"))),
        b"".join(exported(("1.tar", PLAIN), ("manifest.json", b'[{"Layers": []}]'))),
        b"".join(exported(("1.tar", gzip.compress(PLAIN)[:30]), ("manifest.json", b'[{"Layers": ["1.tar"]}]'))),
        b"".join(exported(("1.tar", zstd.compress(PLAIN)[:20]), ("manifest.json", b'[{"Layers": ["1.tar"]}]'))),
        b"".join(exported(("1.tar", b"\x1f\x8b" + bytes(600)), ("manifest.json", b'[{"Layers": ["1.tar"]}]'))),
        b"".join(exported(("1.tar", b"\x28\xb5\x2f\xfd" + bytes(600)), ("manifest.json", b'[{"Layers": ["1.tar"]}]'))),
        b"".join(exported(("1.tar", b"no layer" * 100), ("manifest.json", b'[{"Layers": ["1.tar"]}]'))),
        b"".join(exported(("1.tar", tarred(("a", b"x" * 9000, "")))))[:5000],
    ],
    ids=[
        "nothing", "no manifest", "no layer", "half a manifest", "empty manifest", "another image", "half a gzip",
        "half a zstd", "no gzip", "no zstd", "no tar", "cut off",
    ],
)  # fmt: skip
def test_an_export_that_is_not_whole_is_the_engines(raw: bytes) -> None:
    with pytest.raises(EngineError, match="not complete"):
        export.saved(cast("Engine", SavingOnly(raw)), "sha256:1", ["sha256:2"])


@pytest.mark.parametrize("path", ["blobs/sha256/abc", "abc.tar"])
def test_a_layer_that_is_known_is_passed_by(path: str) -> None:
    raw = b"".join(exported((path, b"not even looked at"), ("manifest.json", b'[{"Layers": ["%s"]}]' % path.encode())))
    engine: Any = SavingOnly(raw)
    known = Layer("sha256:abc", {"known": Entry("file")})
    assert export.saved(engine, "sha256:1", ["sha256:abc"], {"sha256:abc": known}) == (known,)
    with pytest.raises(EngineError):
        export.saved(engine, "sha256:1", ["sha256:abc"], {"sha256:def": known})


def test_an_export_that_is_whole_gives_the_layer() -> None:
    raw = b"".join(exported(("1.tar", PLAIN), ("manifest.json", b'[{"Layers": ["1.tar"]}]')))
    engine: Any = SavingOnly(raw)
    (layer,) = export.saved(engine, "sha256:1", ["sha256:2"])
    assert (layer.diff_id, list(layer.entries)) == ("sha256:2", ["a"])
