"""Compressed files, and what is in them: gzip, zlib, bzip2, xz, zstd and ZIP, which wheels and JARs are too.

They are read as they come, a piece at a time, and as far as they are whole.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import sys
import zlib
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Bytes that are unpacked of one compressed file; a bomb would go on for ever.
UNPACKED = 4 << 30
_PIECE = 1 << 20
#: A local file header, without name and extra field (PKWARE's APPNOTE.TXT, 4.3.7): method, lengths of those two.
_ENTRY, _ENTRY_MARK = struct.Struct("<4x4xH16xHH"), b"PK\3\4"
_DEFLATED = 8


class Unpacker(Protocol):
    """What the standard library's decompressors have in common."""

    @property
    def eof(self) -> bool:
        """Whether it has come to its end."""

    @property
    def unused_data(self) -> bytes:
        """What was given to it and stands behind its end."""

    @property
    def needs_input(self) -> bool:
        """Whether there is no more in it before it is given more."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """The next bytes, ``max_length`` at most."""


class _Inflater:
    """`zlib`, for gzip too, with the interface of `bz2` and `lzma`."""

    def __init__(self, form: int = zlib.MAX_WBITS | 32) -> None:
        self._inside = zlib.decompressobj(form)

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inside.decompress(self._inside.unconsumed_tail + data, max_length)

    @property
    def needs_input(self) -> bool:
        return not self._inside.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._inside.eof

    @property
    def unused_data(self) -> bytes:
        return self._inside.unused_data


class _Unzipper:
    """What is deflated in a ZIP file, one entry after the other; what is only stored can be seen without."""

    eof = False
    unused_data = b""

    def __init__(self) -> None:
        self._left = b""
        self._entry: _Inflater | None = None
        self.needs_input = True

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        self._left += data
        if self._entry is None and not self._begin():
            self.needs_input = True
            return b""
        assert self._entry is not None  # noqa: S101  # for the type checker
        left, self._left, self.needs_input = self._left, b"", False
        try:
            part = self._entry.decompress(left, max_length)
        except zlib.error:
            self._entry, self._left = None, left[1:]
            return b""
        if self._entry.eof:
            self._left, self._entry = self._entry.unused_data, None
        else:
            self.needs_input = self._entry.needs_input
        return part

    def _begin(self) -> bool:
        """Looks for the next entry that is deflated, and whether it is there as far as its content."""
        while True:
            at = self._left.find(_ENTRY_MARK)
            self._left = self._left[at if at >= 0 else max(0, len(self._left) - len(_ENTRY_MARK) + 1) :]
            if at < 0 or len(self._left) < _ENTRY.size:
                return False
            method, name, extra = _ENTRY.unpack_from(self._left)
            start = _ENTRY.size + name + extra
            if len(self._left) < start:
                return False
            if method == _DEFLATED:
                self._left, self._entry = self._left[start:], _Inflater(-zlib.MAX_WBITS)
                return True
            self._left = self._left[len(_ENTRY_MARK) :]


def unpacker(start: bytes) -> Unpacker | None:
    """For a file that begins so; None when it is not compressed, as far as is known here."""
    if start[:2] == b"\x1f\x8b" or (start[:1] == b"\x78" and int.from_bytes(start[:2]) % 31 == 0):
        return _Inflater()
    if start[:3] == b"BZh":
        return bz2.BZ2Decompressor()
    if start[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor()
    if start[:4] == _ENTRY_MARK:
        return _Unzipper()
    return _zstd().ZstdDecompressor() if start[:4] == b"\x28\xb5\x2f\xfd" else None


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415  # seldom needed
    else:
        from backports import zstd  # noqa: PLC0415  # seldom needed
    return zstd


def _broken() -> tuple[type[Exception], ...]:
    """What decompressors raise at something that is not what it began as."""
    zstd = sys.modules.get("compression.zstd") or sys.modules.get("backports.zstd")
    always = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)
    return (*always, zstd.ZstdError) if zstd else always


def unpacked(inside: Unpacker, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What is in a compressed file, up to where it is broken."""
    total = 0
    for data in pieces:
        rest = data
        while rest or not (inside.needs_input or inside.eof):
            try:
                part = inside.decompress(rest, _PIECE)
            except _broken():
                return
            total += len(part)
            if total > UNPACKED:
                return
            if part:
                yield part
            rest = b""
            if inside.eof:
                # Compressed files may stand one behind another.
                rest = inside.unused_data
                following = unpacker(rest)
                if following is None:
                    return
                inside = following
