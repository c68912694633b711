"""Layers laid over one another."""

from __future__ import annotations

import pytest

from grader.engine.layers import Entry, Layer
from grader.engine.merge import merge, resolve

FILE = Entry("file", 10)
DIR = Entry("dir")


def layer(**entries: Entry) -> Layer:
    return Layer("sha256:0", {name.replace("__", "/"): entry for name, entry in entries.items()})


@pytest.mark.parametrize(
    ("layers", "names", "wasted"),
    [
        ([layer(a=FILE), layer(a=FILE)], {"a"}, {0: 10}),
        ([layer(a=FILE), layer(a=Entry("whiteout"))], set(), {0: 10}),
        ([layer(a=FILE), layer(b=Entry("whiteout"))], {"a"}, {}),
        ([layer(d=DIR, d__f=FILE), layer(d=DIR._replace(opaque=True), d__g=FILE)], {"d", "d/g"}, {0: 10}),
        ([layer(d=DIR, d__f=FILE), layer(d=DIR, d__g=FILE)], {"d", "d/f", "d/g"}, {}),
        ([layer(d=DIR, d__f=FILE), layer(d=FILE)], {"d"}, {0: 10}),
        ([layer(d=DIR, d__f=FILE), layer(d=Entry("whiteout"))], set(), {0: 10}),
        ([layer(d=DIR, d__e=DIR, d__e__f=FILE, dd=FILE), layer(d=Entry("whiteout"))], {"dd"}, {0: 10}),
        ([layer(a=FILE), layer(d=DIR), layer(d=DIR, d__f=FILE)], {"a", "d", "d/f"}, {}),
    ],
)
def test_layers_lie_over_one_another(layers: list[Layer], names: set[str], wasted: dict[int, int]) -> None:
    merged = merge(layers, 0)
    assert set(merged.files) == names
    assert dict(merged.wasted) == wasted
    assert not merge(layers, 1).wasted  # what the base image wasted is not the learner's


def test_symlinks_are_followed_inside_the_image_only() -> None:
    files = merge(
        [
            layer(
                usr=DIR,
                usr__bin=DIR,
                usr__bin__x=FILE,
                bin=Entry("symlink", target="usr/bin"),
                up=Entry("symlink", target="../../../../usr/bin/x"),
                root=Entry("symlink", target="/usr/./bin/../bin/x"),
                loop=Entry("symlink", target="/loop"),
                gone=Entry("symlink", target="nowhere"),
            )
        ],
        0,
    ).files
    wanted = {"/bin/x": "usr/bin/x", "up": "usr/bin/x", "root": "usr/bin/x", "loop": None, "gone": None, "/": ""}
    assert {path: resolve(files, path) for path in wanted} == wanted


def test_a_folder_that_no_layer_names_is_there_all_the_same() -> None:
    layer = Layer(
        "sha256:0", {"opt/tools/bin/gcc": Entry("file", 5, 0o755), "cc": Entry("symlink", target="/opt/tools/bin/gcc")}
    )
    files = merge([layer], 0).files
    assert resolve(files, "cc") == "opt/tools/bin/gcc"
