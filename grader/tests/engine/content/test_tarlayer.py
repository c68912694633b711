"""The tar of a layer, read as it passes by."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from itertools import chain, repeat
from typing import TYPE_CHECKING

import pytest

from grader.engine.api.stream import Stream
from grader.engine.content import tarlayer
from grader.tests.engine.tars import tarred

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.engine.content.layers import Entry


def entries(*members: tuple[str, bytes | None, str]) -> Mapping[str, Entry]:
    return tarlayer.read(Stream([tarred(*members)])).entries


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
        ([("d/.wh..a", b"", "")], {"d/.a": ("whiteout", 0, False)}),
        ([(".wh..wh..opq", b"", "")], {}),
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


def test_what_aufs_kept_for_itself_stays_visible_as_what_it_is() -> None:
    assert set(entries((".wh..wh.plnk", None, ""), (".wh..wh.plnk/1", b"x", ""))) == {".wh..wh.plnk", ".wh..wh.plnk/1"}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["GNU", "PAX"])
def test_odd_names_are_read_from_both_forms_of_tar(form: int) -> None:
    buffer = io.BytesIO()
    names = ["new\nline", "odd\udcff", "l" * 4000, "/".join("d" * 200 for _ in range(20)), "ünï", " space "]
    with tarfile.open(fileobj=buffer, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as target:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, name
            target.addfile(member)
    read = tarlayer.read(Stream([buffer.getvalue()])).entries
    assert {name: entry.target for name, entry in read.items()} == {name: name for name in names}


def test_what_was_passed_is_not_kept() -> None:
    raw = tarred(*((str(number), b"", "") for number in range(50)))
    seen = 0
    for _, archive in tarlayer.members(Stream([raw])):
        assert len(archive.members) <= 2  # type: ignore[attr-defined]
        seen += 1
    assert seen == 50


def test_many_whiteouts_are_read_in_seconds() -> None:
    names = [(f"d/{number}", b"", "") for number in range(5_000)] + [
        (f"e/.wh.{number}", b"", "") for number in range(5_000)
    ]
    assert sum(entry.kind == "whiteout" for entry in entries(*names).values()) == 5_000


def header(name: str, size: int = 0) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def test_a_file_of_five_gigabytes_is_passed_by_in_little_memory() -> None:
    size = 5 << 30
    nothing = bytes(1 << 20)
    program = b"\x7fELF\x02\x01".ljust(16, b"\0") + b"\x02\0\x3e\0\x01\0\0\0\x01".ljust(496, b"\0")
    raw = chain([header("data", size)], repeat(nothing, 5 << 10), [header("program", size), program],
                repeat(nothing, (5 << 10) - 1), [nothing[:-512]], [header("end"), bytes(1024)])  # fmt: skip
    tracemalloc.start()
    try:
        read = tarlayer.read(Stream(raw))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {name: entry.size for name, entry in read.entries.items()} == {"data": size, "program": size, "end": 0}
    assert read.programs == {}
    assert peak < 16 << 20


def test_a_file_costs_less_than_a_kilobyte_of_memory() -> None:
    count = 5_000
    tracemalloc.start()
    try:
        read = tarlayer.read(Stream(header(f"usr/share/doc/a-package/{number}") for number in range(count)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(read.entries) == count
    assert peak / count < 1000


def test_what_is_no_archive_is_said() -> None:
    with pytest.raises(tarfile.TarError):
        tarlayer.read(Stream([b"x" * 2048]))
