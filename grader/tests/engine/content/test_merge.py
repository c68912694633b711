"""Layers laid over one another."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from grader.engine.content.layers import Entry, Layer
from grader.engine.content.merge import Hidden, _below, merge, resolve

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

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
    assert Counter({hidden.added: hidden.size for hidden in merged.waste}) == wasted
    assert all(hidden.hidden == len(layers) - 1 for hidden in merged.waste)
    assert not merge(layers, 1).waste  # what the base image wasted is not the learner's


GONE = Entry("whiteout")
LINK = Entry("link", target="a")


@pytest.mark.parametrize(
    ("layers", "waste"),
    [
        ([layer(a=FILE, b=LINK), layer(a=GONE)], []),
        ([layer(a=FILE, b=LINK), layer(b=GONE)], []),
        ([layer(a=FILE, b=LINK), layer(b=FILE)], []),
        ([layer(a=FILE, b=LINK), layer(a=GONE, b=GONE)], [Hidden("a", 10, 0, 1)]),
        ([layer(a=FILE, b=LINK), layer(a=GONE), layer(b=FILE)], [Hidden("a", 10, 0, 2)]),
        ([layer(a=FILE), layer(a=FILE), layer(a=GONE)], [Hidden("a", 10, 0, 1), Hidden("a", 10, 1, 2)]),
        ([layer(a=FILE), layer(a=GONE), layer(a=FILE)], [Hidden("a", 10, 0, 1)]),
        ([layer(a=FILE), layer(a=DIR, a__b=FILE)], [Hidden("a", 10, 0, 1)]),
        ([layer(a=Entry("file")), layer(a=GONE)], []),
        ([layer(a=Entry("symlink", target="b")), layer(a=GONE)], []),
    ],
    ids=[
        "one of two names goes", "the other goes", "the other is overwritten", "both go", "one after the other",
        "twice", "comes again", "becomes a folder", "empty", "symlink",
    ],
)  # fmt: skip
def test_both_layers_are_known_of_what_is_wasted(layers: list[Layer], waste: list[Hidden]) -> None:
    assert merge(layers, 0).waste == waste


def test_what_lies_below_a_deleted_folder_is_hidden_however_it_is_deleted() -> None:
    deep = layer(d=DIR, d__e=DIR, d__e__f=FILE, d__g=FILE, dx=FILE)
    for change in (GONE, DIR._replace(opaque=True), FILE):
        merged = merge([deep, layer(d=change)], 0)
        assert {hidden.path for hidden in merged.waste} == {"d/e/f", "d/g"}
        assert {name for name in merged.files if "/" in name} == set()
        assert "dx" in merged.files


class Counted(set[str]):
    """Counts how often it is asked what is in it."""

    asked = 0

    def __contains__(self, name: object) -> bool:
        self.asked += 1
        return super().__contains__(name)


def test_deleting_many_folders_looks_at_each_file_and_each_folder_once() -> None:
    folders = [f"d/{number}" for number in range(100)]
    names = ["d", *folders, *(f"{folder}/e/{number}" for folder in folders for number in range(50))]
    gone = Counted(folders)
    assert len(list(_below(gone, iter(names)))) == 5000  # names that can be read but once
    assert gone.asked <= 2 * len(folders) + 2


def test_all_that_a_layer_deletes_is_looked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def below(folders: Collection[str], names: Iterable[str]) -> Iterator[str]:
        looked.append(len(folders))
        return _below(folders, names)

    monkeypatch.setattr("grader.engine.content.merge._below", below)
    names = [f"d{number}" for number in range(100)]
    full = dict.fromkeys(names, DIR) | {f"{name}/f": FILE for name in names}
    assert len(merge([Layer("sha256:0", full), Layer("sha256:1", dict.fromkeys(names, GONE))], 0).waste) == 100
    assert looked == [0, 100]


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
