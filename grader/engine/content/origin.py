"""Which instruction of the Dockerfile made which layer?"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grader.submission.dockerfile import Instruction

#: The instructions that add a layer.
LAYERED = ("RUN", "COPY", "ADD", "WORKDIR")


@dataclass(frozen=True)
class Origin:
    """The instruction that made a layer, as far as it can be told."""

    line: int | None
    instruction: str


def align(
    instructions: Sequence[Instruction], sizes: Sequence[int], history: Callable[[], list[int]]
) -> tuple[Origin, ...]:
    """Ties layers to instructions; an engine may leave out the layer of an instruction that changed nothing."""
    if len(instructions) != len(sizes):
        # BuildKit makes no folder for `WORKDIR /`, and so no layer; any other WORKDIR has one, if an empty one.
        made = [
            i
            for i in instructions
            if not (i.keyword == "WORKDIR" and posixpath.normpath(" ".join(i.args)) in ("/", "//"))
        ]
        instructions = made if len(made) == len(sizes) else instructions
    if len(instructions) != len(sizes):
        grown = history()
        if len(grown) == len(instructions):
            instructions = [i for i, size in zip(instructions, grown, strict=True) if size]
    if len(instructions) != len(sizes):
        return (Origin(None, ""),) * len(sizes)
    return tuple(Origin(instruction.line, instruction.text) for instruction in instructions)


def keyword(created_by: str) -> str:
    """The instruction of a history entry, in BuildKit's form (`RUN /bin/sh -c ...`) or the classic one."""
    text = created_by.removeprefix("/bin/sh -c #(nop)").strip()
    word = text.partition(" ")[0]
    return word if word.isupper() else "RUN"
