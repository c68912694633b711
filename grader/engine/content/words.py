"""The words that a Dockerfile left in an image outside of its layers: in the configuration and in the history.

Both ship with the image: whoever has it reads them with `docker inspect` and `docker history`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from grader.engine.content.origin import keyword

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from grader.submission.instructions import Instruction

#: `RUN |2 A=b C=d /bin/sh -c ...` in a history: the build arguments that a step could see.
_ARGUMENTS = re.compile(r"\|\d+ (?P<pairs>.*?) ?/bin/sh -c ", re.DOTALL)


class Word(NamedTuple):
    """A text. ``name`` is that of the variable, the argument or the label whose value it is, else empty.

    ``place`` says where it is found in Docker's own terms; ``line`` is the Dockerfile line (1-based), where known.
    """

    place: str
    name: str
    text: str
    line: int | None


def own(
    config: Mapping[str, Any],
    base: Mapping[str, Any],
    history: Sequence[str],
    instructions: Sequence[Instruction],
) -> Iterator[Word]:
    """What ``config`` says beyond that of the base image, then the ``history`` above the base, oldest first.

    ``instructions`` are those that made the image.
    """
    inherited = set(_words(base, instructions))
    yield from (word for word in _words(config, instructions) if word not in inherited)
    # Docker keeps each of them in the history, Podman only those that a step could see.
    yield from _arguments(instructions)
    aligned = [each.keyword for each in instructions] == [keyword(made) for made in history[: len(instructions)]]
    for number, made in enumerate(history):
        line = instructions[number].line if aligned and number < len(instructions) else None
        yield from _made(made, line)


def _words(config: Mapping[str, Any], instructions: Sequence[Instruction]) -> Iterator[Word]:
    for pair in config.get("Env") or ():
        name, _, value = pair.partition("=")
        yield Word(f"ENV {name}", name, value, _line(instructions, "ENV", name))
    for name, value in (config.get("Labels") or {}).items():
        yield Word(f"LABEL {name}", name, value, _line(instructions, "LABEL", name))
        yield Word("the name of a label", "", name, _line(instructions, "LABEL", name))
    for key, value in config.items():
        if key not in ("Env", "Labels", "Image"):
            for text in _texts(value):
                yield Word(f"the configuration's {key}", "", text, _line(instructions, key.upper(), ""))


def _arguments(instructions: Sequence[Instruction]) -> Iterator[Word]:
    """The defaults of build arguments."""
    for each in instructions:
        for pair in each.args if each.keyword == "ARG" else ():
            name, _, value = pair.partition("=")
            yield Word(f"ARG {name}", name, value, each.line)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _line(instructions: Sequence[Instruction], word: str, name: str) -> int | None:
    """The line of the last instruction of this keyword that names ``name``."""
    lines = (each.line for each in reversed(instructions) if each.keyword == word and name in each.text)
    return next(lines, None)


def _made(made: str, line: int | None) -> Iterator[Word]:
    """The texts of one entry of the history; the values of build arguments are told by their names."""
    if keyword(made) == "ARG":
        name, _, value = made.partition("ARG ")[2].partition("=")
        yield Word(f"ARG {name.strip()}", name.strip(), value.strip(), line)
        return
    if match := _ARGUMENTS.search(made):
        for name, value in re.findall(r"(\w+)=(\S*)", match["pairs"]):
            yield Word(f"ARG {name}", name, value, line)
    yield Word("the history", "", made, line)
