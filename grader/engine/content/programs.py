"""Compilers and their helpers, recognised by what is in them: a name can be changed, what a program has to say cannot.

Looked for are texts without which the program would not be what it is: names of environment variables that it obeys,
messages that it prints. They survive `strip`, and changes of version. A packed program (UPX), one inside an archive or
one that is put together when it runs is not seen.
"""

from __future__ import annotations

import struct
from typing import Protocol

#: What a program is called here -> a text that no other program has in it.
TEXTS: dict[str, bytes] = {
    "gcc": b"%(cc1_options)",  # GCC's driver, under whichever of its names: gcc, g++, cpp, gfortran
    "cc1": b"GGC heuristics: --param ggc-min-expand",  # its compilers proper: cc1, cc1plus, lto1
    "clang": b"CCC_OVERRIDE_OPTIONS",
    "tcc": b"tcc version ",
    "as": b"GNU assembler version ",
    "ld": b"LDEMULATION",  # GNU ld (bfd)
    "gold": b"N4gold25Workqueue_threader_singleE",
    "lld": b"lld is a generic driver.",
    "make": b"No targets specified and no makefile found",
}
#: Bytes that no compiler does with less of; most files of an image are not even opened.
_SMALLEST = 16 << 10
#: Bytes of one file that are searched at most.
_LARGEST = 512 << 20
_CHUNK = 1 << 20
_OVERLAP = max(map(len, TEXTS.values())) - 1
#: Of an ELF file with addresses of 64 bits; the other kind has 52.
_HEADER = 64
_EXECUTABLE, _SHARED = 2, 3


class File(Protocol):
    """What is asked of a file: to be read forwards."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes."""


def may_be_one(size: int) -> bool:
    """Whether a file of ``size`` bytes is worth opening."""
    return size >= _SMALLEST


def recognise(file: File) -> str | None:
    """Which of `TEXTS` a file is; None when it is none of them, or no ELF program at all."""
    head = file.read(_HEADER)
    if not _is_program(head):
        return None
    chunk = head + file.read(_CHUNK)
    seen, end = len(chunk), b""
    while chunk:
        for name, text in TEXTS.items():
            if text in chunk or (end and text in end + chunk[:_OVERLAP]):
                return name
        end = chunk[-_OVERLAP:]
        chunk = file.read(_CHUNK) if seen < _LARGEST else b""
        seen += len(chunk)
    return None


def _is_program(head: bytes) -> bool:
    """Whether it is an ELF file that can be started; a shared library has no entry point.

    Source: elf(5), “ELF header”.
    """
    if len(head) < _HEADER or head[:4] != b"\x7fELF" or head[4] not in (1, 2) or head[5] not in (1, 2):
        return False
    order, address = "<" if head[5] == 1 else ">", "I" if head[4] == 1 else "Q"
    kind, _machine, _version, entry = struct.unpack_from(f"{order}HHI{address}", head, 16)
    return kind in (_EXECUTABLE, _SHARED) and entry != 0
