"""Compilers are recognised by what is in them, whatever they are called and wherever they lie."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import pytest

from grader.engine.content import programs

if TYPE_CHECKING:
    from grader.tests.engine.building import Workshop


def elf(
    text: bytes = b"", *, bits: int = 64, order: str = "<", kind: int = 3, entry: int = 1, before: int = 100
) -> bytes:
    """An ELF header and ``text`` after ``before`` bytes of nothing."""
    ident = b"\x7fELF" + bytes((2 if bits == 64 else 1, 1 if order == "<" else 2)) + bytes(10)
    header = struct.pack(f"{order}HHI{'Q' if bits == 64 else 'I'}", kind, 62, 1, entry)
    return (ident + header).ljust(64, b"\0") + bytes(before) + text


@pytest.mark.parametrize("name", programs.TEXTS)
def test_each_is_known_by_its_text(name: str) -> None:
    assert programs.recognise(io.BytesIO(elf(programs.TEXTS[name] + b"..."))) == name


TEXT = programs.TEXTS["clang"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (elf(TEXT, bits=32), True),
        (elf(TEXT, bits=32, order=">"), True),
        (elf(TEXT, order=">"), True),
        (elf(TEXT, kind=2), True),
        (elf(TEXT, entry=0), False),  # a library
        (elf(TEXT, kind=1), False),  # an object file
        (elf(TEXT, kind=4), False),  # a core dump
        (elf(), False),
        (TEXT * 10, False),
        (b"\x7fELF" + TEXT, False),
        (b"\x7fELF", False),
        (b"", False),
    ],
)
def test_only_programs_are_looked_into(content: bytes, *, found: bool) -> None:
    assert (programs.recognise(io.BytesIO(content)) == "clang") is found


@pytest.mark.parametrize("before", [0, (1 << 20) - 10, (1 << 20) - 1, 1 << 20, (3 << 20) - 5])
def test_a_text_is_found_wherever_it_lies(before: int) -> None:
    assert programs.recognise(io.BytesIO(elf(TEXT, before=before))) == "clang"


def test_only_so_much_of_a_file_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_LARGEST", 2 << 20)
    file = io.BytesIO(elf(TEXT, before=9 << 20))
    assert programs.recognise(file) is None
    assert file.tell() < 4 << 20


#: What `python:3.11` has of compilers, under names that say nothing, in every way to put it there.
RENAMED = r"""FROM python:3.11 AS tools
RUN mkdir /out && cd /out \
 && cp "$(readlink -f "$(which gcc)")" gcc && cp "$(readlink -f "$(which g++)")" gxx \
 && cp "$(gcc -print-prog-name=cc1)" cc1 && cp "$(gcc -print-prog-name=cc1plus)" cc1plus \
 && cp "$(readlink -f "$(which as)")" as && cp "$(readlink -f "$(which ld)")" ld \
 && cp "$(readlink -f "$(which make)")" make && strip -o stripped gcc
FROM debian:bookworm-slim
COPY --from=tools /out /opt/tools
RUN chmod a-x /opt/tools/cc1 && ln /opt/tools/gxx /opt/a-link && mv /opt/tools/as "$(printf '/opt/odd\377\nname')"
RUN cp /bin/bash /opt/bash && printf 'tcc version %050000d' 1 > /opt/text
RUN rm /opt/tools/make
"""


@pytest.mark.parametrize("elsewhere", [False, True])
def test_real_compilers_are_recognised_in_every_layer(workshop: Workshop, *, elsewhere: bool) -> None:
    image = workshop.image(RENAMED)
    image = workshop.image_elsewhere(image) if elsewhere else image
    copied, changed = sorted(image.programs)
    tools = {"gcc": "gcc", "gxx": "gcc", "stripped": "gcc", "cc1": "cc1", "cc1plus": "cc1", "as": "as", "ld": "ld"}
    tools["make"] = "make"
    assert image.programs[copied] == {f"opt/tools/{name}": program for name, program in tools.items()}
    assert image.programs[changed] == {
        "opt/tools/cc1": "cc1",
        "opt/a-link": "gcc",  # of the names of one file, the first in the alphabet
        "opt/odd\udcff\nname": "as",
    }


def test_an_image_without_compilers_has_none(workshop: Workshop) -> None:
    image = workshop.image("FROM debian:bookworm-slim\nRUN cp /bin/bash /opt/gcc\n")
    assert image.programs == {}
