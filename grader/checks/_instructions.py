"""Patterns for the instructions of a Dockerfile: `ADD`, `COPY requirements.txt`, `RUN --mount=type=cache pip install`.

A pattern is a keyword, flags and then words, as an instruction is; what it leaves out may be anything. `*`, `?` and
`[...]` mean what they mean in a shell.
"""

from __future__ import annotations

import csv
import posixpath
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Annotated

from grader.course.model import Rule
from grader.course.suggest import closest, listed
from grader.submission.commands import command
from grader.submission.dockerfile import mounts
from grader.submission.instructions import FLAGS, KEYWORDS
from grader.submission.patterns import is_glob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.submission.dockerfile import Instruction, Mount

_COMMANDS = {"RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK"}
_VARIABLE = re.compile(r"\$\{[^}]*\}|\$\w+")
#: What stands between the words of a shell's text.
_BETWEEN = re.compile(r"[\s;&|()\"'`]+")
#: Other names of a mount's options (Dockerfile reference, `RUN --mount`).
_SAME_OPTION = {"dst": "target", "destination": "target", "src": "source", "ro": "readonly", "rw": "readwrite"}


@dataclass(frozen=True)
class Pattern:
    """A pattern, taken apart."""

    keyword: str
    flags: tuple[str, ...]
    words: tuple[str, ...]

    def fits(self, instruction: Instruction) -> bool:
        """Whether ``instruction`` is one that the pattern means."""
        if instruction.keyword != self.keyword or not all(_has_flag(instruction, flag) for flag in self.flags):
            return False
        if not self.words:
            return True
        if self.keyword in _COMMANDS:
            return _runs(instruction, self.words)
        if self.keyword in {"COPY", "ADD"}:
            return self._copies(instruction)
        there = list(_words(instruction))
        return all(any(fnmatchcase(word, wanted) for word in there) for wanted in self.words)

    def _copies(self, instruction: Instruction) -> bool:
        """Whether its sources are copied: out of the context, unless the pattern names a stage."""
        if instruction.flag_values("from") and not any(flag.startswith("--from") for flag in self.flags):
            return False
        sources = [_source(word) for word in instruction.args[:-1]]
        return all(any(_is_same(source, _source(wanted)) for source in sources) for wanted in self.words)


@cache
def parse(pattern: str) -> Pattern:
    """Takes a pattern apart; raises ValueError, in words for the author of a rubric."""
    keyword, *rest = pattern.split() or [""]
    known = keyword.upper()
    if known not in KEYWORDS:
        near = closest(keyword, KEYWORDS)
        meant = f"did you mean {near}?" if near else f"begin with one of {', '.join(KEYWORDS)}"
        raise ValueError(f"`{pattern}` begins with no instruction; {meant}")
    count = next((place for place, word in enumerate(rest) if not word.startswith("--")), len(rest))
    for flag in rest[:count]:
        name = flag.removeprefix("--").partition("=")[0]
        if name not in FLAGS.get(known, set()):
            flags = FLAGS.get(known)
            has = f"it has {listed(f'--{each}' for each in sorted(flags))}" if flags else "it has none"
            raise ValueError(f"{known} has no flag `--{name}`; {has}")
    return Pattern(known, tuple(rest[:count]), tuple(rest[count:]))


def _is_pattern(text: str) -> str:
    parse(text)
    return text


#: A pattern in a rubric.
InstructionPattern = Annotated[str, Rule(_is_pattern)]


def _has_flag(instruction: Instruction, flag: str) -> bool:
    name, equals, wanted = flag.removeprefix("--").partition("=")
    if name == "mount" and equals:
        return any(_is_mount(mount, wanted) for mount in mounts(instruction))
    values = instruction.flag_values(name)
    return any(fnmatchcase(value, wanted) for value in values) if equals else bool(values)


def _is_mount(mount: Mount, wanted: str) -> bool:
    """Whether a mount has all the options that are wanted, in whatever order."""
    given = {_SAME_OPTION.get(name, name): value for name, value in mount.options.items()} | {"type": mount.type}
    (options,) = csv.reader([wanted])
    pairs = (option.partition("=") for option in options)
    named = ((_SAME_OPTION.get(name, name), equals, value) for name, equals, value in pairs)
    return all(name in given and (not equals or fnmatchcase(given[name], value)) for name, equals, value in named)


def _runs(instruction: Instruction, words: tuple[str, ...]) -> bool:
    """Whether the words are found in the command, one after the other; the first may have a path before it."""
    spaced = f" {_BETWEEN.sub(' ', command(instruction))} "
    wanted = _BETWEEN.sub(" ", " ".join(words)).strip()
    return fnmatchcase(spaced, f"*[ /]{wanted}[ ]*")


def _words(instruction: Instruction) -> Iterator[str]:
    """The words that a pattern may name: of ENV, ARG and LABEL the names and `name=value`."""
    if instruction.keyword in {"ENV", "LABEL"}:
        for name, value in zip(instruction.args[::3], instruction.args[1::3], strict=False):
            yield from (_plain(name), f"{_plain(name)}={_plain(value)}")
        return
    for word in map(_plain, instruction.args):
        yield word
        if instruction.keyword == "ARG":
            yield word.partition("=")[0]
        elif instruction.keyword == "EXPOSE":
            yield word.removesuffix("/tcp")
        elif instruction.keyword == "WORKDIR":
            yield posixpath.normpath(word)


def _source(word: str) -> str:
    """A source as a path inside the context, `.` for the whole; a variable may be anything."""
    text = _VARIABLE.sub("*", _plain(word))
    return text if "://" in text else posixpath.normpath(f"/{text}").strip("/") or "."


def _is_same(source: str, wanted: str) -> bool:
    """Either may be a glob: `COPY *.txt` copies requirements.txt too."""
    return fnmatchcase(source, wanted) or (not is_glob(wanted) and fnmatchcase(wanted, source))


def _plain(word: str) -> str:
    return re.sub(r"[\"']|\\(.)", lambda found: found[1] or "", word)
