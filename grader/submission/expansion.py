"""How much a Dockerfile grows when its variables are filled in.

`ENV A=$A$A` doubles A in every line: twenty such lines make gigabytes, which the engine's builder holds in memory, and
the engine is ended with all that it runs. What an engine would make of a text is bounded here from above, without
making it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grader.submission.instructions import DockerfileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from grader.submission.dockerfile import Dockerfile
    from grader.submission.instructions import Instruction

#: Bytes of all instructions together, filled in, with the environment that each RUN is given.
MOST_EXPANDED = 16 << 20
#: What a variable of the base image may hold, in bytes; none is known to be longer.
_UNKNOWN = 4096
_NAME = re.compile(r"\$\{?([A-Za-z_]\w*)(/?)")

#: Name of a variable -> the most bytes that its value may have.
Lengths = dict[str, int]


def check(dockerfile: Dockerfile) -> None:
    """Raises DockerfileError for the line with which it becomes too much."""
    global_lengths: Lengths = {}
    for instruction in dockerfile.global_args:
        global_lengths |= _defined(instruction, global_lengths, {})
    total = 0
    ends: list[Lengths] = []
    for stage in dockerfile.stages:
        lengths = dict(ends[stage.parent]) if stage.parent is not None else {}
        held = sum(lengths.values())
        for instruction in _with_triggers(dockerfile.carried_out(stage), stage.instructions):
            total += _expanded(_texts(instruction), lengths)
            new = _defined(instruction, lengths, global_lengths)
            held += sum(length - lengths.get(name, 0) for name, length in new.items())
            lengths |= new
            total += held if instruction.keyword == "RUN" else 0
            if total > MOST_EXPANDED:
                raise DockerfileError(
                    f"With its variables filled in, the Dockerfile is longer than {MOST_EXPANDED >> 20} MiB.",
                    "Let no variable be made of several copies of itself or of another long one.",
                    line=instruction.line,
                )
        ends.append(lengths)


def _with_triggers(done: Iterable[Instruction], written: Iterable[Instruction]) -> Iterator[Instruction]:
    """What a stage does, and what its ONBUILD would do: the engine fills that in as well, when it fires."""
    yield from done
    yield from (each.trigger for each in written if each.trigger)


def _texts(instruction: Instruction) -> Iterator[str]:
    """What of an instruction is filled in; the command of a RUN is left to the shell."""
    if instruction.keyword == "RUN":
        yield from instruction.flags
    else:
        yield instruction.text
        yield from instruction.heredocs


def _expanded(texts: Iterable[str], lengths: Mapping[str, int]) -> int:
    """At most so many bytes."""
    total = 0
    for text in texts:
        size, names = len(text.encode()), list(_NAME.finditer(text))
        total += size + sum(lengths.get(name[1], _UNKNOWN) for name in names)
        # `${A//x/yy}` puts a text in the place of every character.
        most = max((lengths.get(name[1], _UNKNOWN) for name in names if name[2]), default=0)
        total += most * total
    return total


def _defined(instruction: Instruction, lengths: Mapping[str, int], inherited: Mapping[str, int]) -> Lengths:
    """The variables that an instruction sets; ``inherited`` are those that an ARG without a value takes over."""
    if instruction.keyword == "ENV":
        pairs = zip(instruction.args[::3], instruction.args[1::3], strict=False)
        return {name: _expanded([value], lengths) for name, value in pairs}
    if instruction.keyword != "ARG":
        return {}
    found: Lengths = {}
    for word in instruction.args:
        name, equals, value = word.partition("=")
        found[name] = _expanded([value], lengths) if equals else inherited.get(name, _UNKNOWN)
    return found
