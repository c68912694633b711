"""A stream that goes forwards only."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from grader.engine.api.stream import Stream, Window

if TYPE_CHECKING:
    from collections.abc import Iterator


def chunks() -> Iterator[bytes]:
    yield from (b"ab", b"", b"cdefg", b"h")


def test_a_stream_gives_exactly_what_is_asked_for() -> None:
    stream = Stream(chunks())
    assert [stream.read(3), stream.read(4), stream.read(9), stream.read(1)] == [b"abc", b"defg", b"h", b""]
    assert stream.tell() == 8


def test_a_stream_is_skipped_forwards_and_never_back() -> None:
    stream = Stream(chunks())
    assert (stream.seek(4), stream.read(2), stream.tell()) == (4, b"ef", 6)
    assert (stream.seek(6), stream.seek(99), stream.read(1)) == (6, 8, b"")
    for position, whence in ((3, io.SEEK_SET), (0, io.SEEK_END), (0, io.SEEK_CUR)):
        with pytest.raises(io.UnsupportedOperation):
            stream.seek(position, whence)


def test_what_is_peeked_at_stays() -> None:
    stream = Stream(chunks())
    assert (stream.peek(3), stream.tell(), stream.read(4), stream.peek(99), stream.read(9)) == (
        b"abc", 0, b"abcd", b"efgh", b"efgh",
    )  # fmt: skip


def test_a_window_ends_where_it_ends() -> None:
    stream = Stream(chunks())
    stream.read(1)
    window = Window(stream, 4)
    assert (window.peek(9), window.read(1), window.tell(), window.read(99), window.read(1)) == (
        b"bcde", b"b", 1, b"cde", b"",
    )  # fmt: skip
    assert stream.read(1) == b"f"
    later = Window(stream, 1)
    assert (later.seek(99), later.read(1), stream.read(1)) == (1, b"", b"h")
