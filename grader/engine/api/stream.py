"""Bytes that come once, as a file that can be skipped forwards: what is not wanted is never copied."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

_NOTHING = memoryview(b"")


class Source(Protocol):
    """The part of a binary file that `tarfile` needs to go through an archive once."""

    def read(self, size: int, /) -> bytes:
        """Exactly ``size`` bytes, fewer only at the end."""

    def seek(self, position: int, whence: int = 0, /) -> int:
        """Goes on at ``position``, counted from the start."""

    def tell(self) -> int:
        """How many bytes have gone by."""


class Stream:
    """Chunks of bytes as a `Source`."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = _NOTHING
        self._position = 0

    def tell(self) -> int:
        """How many bytes have gone by."""
        return self._position

    def seek(self, position: int, whence: int = 0, /) -> int:
        """Skips forwards; raises ``io.UnsupportedOperation`` for any other way."""
        if whence != io.SEEK_SET or position < self._position:
            raise io.UnsupportedOperation("a stream goes forwards only")
        self._take(position - self._position)
        return self._position

    def read(self, size: int, /) -> bytes:
        """Exactly ``size`` bytes, fewer only at the end."""
        if size <= len(self._left):  # the common case: a header out of the middle of a chunk
            taken = bytes(self._left[:size])
            self._left = self._left[size:]
            self._position += size
            return taken
        parts: list[memoryview] = []
        self._take(size, parts)
        return b"".join(parts)

    def peek(self, size: int) -> bytes:
        """What `read` would give, which stays to be read."""
        start = self._position
        seen = self.read(size)
        self._left = memoryview(seen + self._left)
        self._position = start
        return seen

    def _take(self, size: int, into: list[memoryview] | None = None) -> None:
        while size > 0:
            if not self._left:
                chunk = next(self._chunks, None)
                if chunk is None:
                    return
                self._left = memoryview(chunk)
            part = self._left[:size]
            self._left = self._left[len(part) :]
            self._position += len(part)
            size -= len(part)
            if into is not None:
                into.append(part)


class Window:
    """The next ``size`` bytes of a stream, as a source of its own."""

    def __init__(self, source: Stream, size: int) -> None:
        self._source = source
        self._start = source.tell()
        self._end = self._start + size

    def tell(self) -> int:
        """How many of its bytes have gone by."""
        return self._source.tell() - self._start

    def seek(self, position: int, whence: int = 0, /) -> int:
        """Skips forwards, to its end at most."""
        return self._source.seek(min(self._start + position, self._end), whence) - self._start

    def read(self, size: int, /) -> bytes:
        """Exactly ``size`` bytes, fewer only at its end."""
        return self._source.read(min(size, self._end - self._source.tell()))

    def peek(self, size: int) -> bytes:
        """What `read` would give, which stays to be read."""
        return self._source.peek(min(size, self._end - self._source.tell()))
