"""Commands by the names of files, and compilers by what is in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from grader.engine.image import Image

#: What a program is by its content (`engine.content.programs.TEXTS`) -> the commands that it then is, and the names
#: that tell honestly what it is: under one of these it is but that command.
PROGRAMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "gcc": (("gcc", "cc", "g++", "c++"), ("gcc", "cc", "g++", "c++", "cpp", "gfortran", "gnat", "gdc", "gccgo")),
    "cc1": (("gcc", "cc", "g++", "c++", "cc1", "cc1plus"), ("cc1", "cc1plus", "lto1", "lto-dump", "f951", "gnat1")),
    "clang": (("clang", "clang++", "cc", "c++"), ("clang", "clang++", "clang-cpp", "cc", "c++")),
    "tcc": (("tcc", "cc"), ("tcc",)),
    "as": (("as",), ("as",)),
    "ld": (("ld", "ld.bfd"), ("ld", "ld.bfd")),
    "gold": (("ld", "gold", "ld.gold"), ("ld", "gold", "ld.gold", "dwp")),
    "lld": (("ld", "lld", "ld.lld"), ("ld", "lld", "ld.lld")),
    "make": (("make", "gmake"), ("make", "gmake")),
}
#: The part of a compiler that compiles: whoever has only this still has the compiler.
_PARTS = {"gcc": "cc1", "cc": "cc1", "g++": "cc1plus", "c++": "cc1plus"}


def command_names(commands: Iterable[str]) -> Callable[[str], str | None]:
    """Tells which of ``commands`` a path is by its last component."""
    patterns = [(name, command_pattern(name)) for name in commands]
    patterns += [(name, command_pattern(_PARTS[name])) for name, _ in patterns if name in _PARTS]
    # An empty expression fits the empty name, which no path ends in.
    anything = re.compile("|".join(f"(?:{pattern.pattern})" for _, pattern in patterns))

    def find(path: str) -> str | None:
        last = path.rpartition("/")[2]
        if not anything.fullmatch(last):
            return None
        return next(name for name, pattern in patterns if pattern.fullmatch(last))

    return find


def by_content(commands: tuple[str, ...], path: str, program: str) -> str | None:
    """The first of ``commands`` that a program is by its content; None when it is none of them."""
    does, known_as = PROGRAMS[program]
    if command_names(known_as)(path) is not None:
        return command_names(commands)(path)  # an honest name: this is what it is
    return next((command for command in commands if command in does), None)


def command_pattern(name: str) -> re.Pattern[str]:
    """`gcc` also as `gcc-12`, `gcc12` and `x86_64-linux-gnu-gcc-12`; but not `ld.so` as `ld`."""
    return re.compile(rf"(?:[a-z0-9_]+-)*{re.escape(name)}(?:-?\d+(?:\.\d+)*)?")


def is_command(image: Image, path: str) -> bool:
    """Whether ``path`` is an executable file, or a symlink that leads to one."""
    real = image.resolve(path)
    return real is not None and real in image.files and image.files[real].entry.executable
