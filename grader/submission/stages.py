"""What a parsed Dockerfile is: stages, what they start from, and what crosses between them.

What a stage's name, a base or a `--from` refers to follows BuildKit's `dockerfile2llb`; it was tried on Engine 20.10.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from grader.submission.instructions import DockerfileError, Instruction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCRATCH = "scratch"
STEPS = {"RUN", "COPY", "ADD", "WORKDIR"}


@dataclass(frozen=True)
class CopyFrom:
    """Something that a stage takes from another one or from an image.

    ``keyword`` is COPY, or RUN for a mount. ``stage`` is the index of the stage that ``source`` names, else None and
    ``source`` is an image reference.
    """

    line: int
    source: str
    stage: int | None
    keyword: str


@dataclass(frozen=True)
class Mount:
    """One ``RUN --mount``: its type (``bind`` unless said), where it takes from ("" for the context), all options."""

    type: str
    source: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Stage:
    """One build stage. ``base`` has its variables expanded; ``parent`` is the stage that ``base`` names, if any.

    ``name`` is lower case, as BuildKit has it. ``instructions`` are without the FROM, which is ``from_instruction``.
    """

    index: int
    name: str | None
    base: str
    parent: int | None
    line: int
    platform: str | None
    instructions: tuple[Instruction, ...]
    from_instruction: Instruction

    @property
    def triggers(self) -> tuple[Instruction, ...]:
        """What its ONBUILDs say, for the stages that start from it."""
        return tuple(replace(each.trigger, heredocs=each.heredocs) for each in self.instructions if each.trigger)


@dataclass(frozen=True)
class Dockerfile:
    """A parsed Dockerfile. ``lines`` are its source lines without line ends, for quoting; ``lines[0]`` is line 1."""

    lines: tuple[str, ...]
    syntax: str | None
    syntax_line: int | None
    stages: tuple[Stage, ...]
    global_args: tuple[Instruction, ...]
    escape: str = "\\"

    @property
    def final(self) -> Stage:
        """The stage that becomes the image."""
        return self.stages[-1]

    def up_to(self, target: str) -> Dockerfile | None:
        """What ``--target`` builds: this Dockerfile, ended after the stage of that name or number; None without one."""
        found = self._stage_of(target)
        return None if found is None else replace(self, stages=self.stages[: found + 1])

    def chain(self, stage: Stage) -> tuple[Stage, ...]:
        """The stages that this one is built upon, from the one on an external base up to itself."""
        found = [stage]
        while found[-1].parent is not None:
            found.append(self.stages[found[-1].parent])
        return tuple(reversed(found))

    def base_image(self, stage: Stage) -> str:
        """The external reference, or ``scratch``, that the stage's chain starts from."""
        return self.chain(stage)[0].base

    def final_instructions(self) -> tuple[Instruction, ...]:
        """Every instruction that made the final image, in order: fired triggers among them, FROM lines excluded."""
        chain = self.chain(self.final)
        below = [(), *(stage.triggers for stage in chain)]
        return tuple(each for fired, stage in zip(below, chain, strict=False) for each in (*fired, *stage.instructions))

    def copies(self, stage: Stage) -> tuple[CopyFrom, ...]:
        """What the stage takes from other stages and images, in order; what its ONBUILD triggers would take too."""
        return tuple(copy for each in stage.instructions for copy in self.copies_of(each))

    def carried_out(self, stage: Stage) -> tuple[Instruction, ...]:
        """What building the stage itself does, in order, without its FROM and what it starts from.

        The triggers of the stage that it starts from come first; its own ONBUILD does nothing yet.
        """
        fired = () if stage.parent is None else self.stages[stage.parent].triggers
        return fired + tuple(each for each in stage.instructions if each.keyword != "ONBUILD")

    @cached_property
    def used(self) -> tuple[Stage, ...]:
        """The stages that the final image needs, itself among them, in order: BuildKit builds no others."""
        seen: set[int] = set()
        todo: list[int | None] = [self.final.index]
        while todo:
            index = todo.pop()
            if index is None or index in seen:
                continue
            seen.add(index)
            stage = self.stages[index]
            todo.append(stage.parent)
            todo += [copy.stage for each in self.carried_out(stage) for copy in self.copies_of(each)]
        return tuple(self.stages[index] for index in sorted(seen))

    def external_images(self) -> tuple[tuple[str, int], ...]:
        """The references that no stage answers to, with their lines, in order; ``scratch`` is no image."""
        found = [(stage.base, stage.line) for stage in self.stages if stage.parent is None]
        copies = (copy for stage in self.stages for copy in self.copies(stage))
        found += [(copy.source, copy.line) for copy in copies if copy.stage is None]
        return tuple(sorted(((image, line) for image, line in found if image != SCRATCH), key=lambda pair: pair[1]))

    def reachable(self, stage: Stage) -> frozenset[int]:
        """The indexes of the stages that this one depends on, by FROM, COPY or a mount; itself not among them."""
        seen: set[int] = set()
        todo = [stage.index]
        while todo:
            here = self.stages[todo.pop()]
            needs = {here.parent, *(copy.stage for copy in self.copies(here))} - {None, *seen}
            found = {index for index in needs if index is not None}
            seen |= found
            todo += found
        return frozenset(seen - {stage.index})

    @cached_property
    def _names(self) -> dict[str, int]:
        return {stage.name: stage.index for stage in self.stages if stage.name}

    def copies_of(self, instruction: Instruction) -> Iterator[CopyFrom]:
        """What one instruction takes from elsewhere, ONBUILD's trigger included."""
        inner = instruction.trigger or instruction
        if inner.keyword in {"COPY", "ADD"}:
            sources = inner.flag_values("from")
        else:
            sources = tuple(mount.source for mount in mounts(inner))
        for source in sources:
            if source:
                yield CopyFrom(instruction.line, source, self._stage_of(source), inner.keyword)

    def _stage_of(self, source: str) -> int | None:
        # Not only earlier stages: BuildKit finds later ones too, empty as they still are then.
        if re.fullmatch(r"[+-]?[0-9]{1,18}", source):
            return int(source) if 0 <= int(source) < len(self.stages) else None
        return self._names.get(source.lower())


def mounts(instruction: Instruction) -> tuple[Mount, ...]:
    """The ``--mount`` flags of a RUN; none for other instructions. Raises DockerfileError for one that is no list."""
    if instruction.keyword != "RUN":
        return ()
    return tuple(_mount(value, instruction.line) for value in instruction.flag_values("mount"))


def _mount(value: str, line: int) -> Mount:
    try:
        (fields,) = csv.reader([value], strict=True)
    except (csv.Error, ValueError) as error:
        raise DockerfileError(
            "`--mount` is no list of key=value pairs.",
            "Write it like `--mount=type=cache,target=/root/.cache`.",
            line=line,
        ) from error
    pairs = (field.partition("=") for field in fields)
    options = {key.lower(): option for key, _, option in pairs}
    return Mount(options.get("type", "bind").lower(), options.get("from", ""), options)
