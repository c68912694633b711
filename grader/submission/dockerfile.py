"""A Dockerfile -> stages and instructions with line numbers.

What a stage's name, a base or a `--from` refers to follows BuildKit's `dockerfile2llb`; it was tried on Engine 20.10.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from e2b_dockerfile_utils import ShellLex, parse_words

from grader.submission.instructions import (
    DockerfileError,
    Instruction,
    directives,
    escape_of,
    instructions,
    syntax_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "CopyFrom",
    "Dockerfile",
    "DockerfileError",
    "Instruction",
    "Mount",
    "NoStageError",
    "Stage",
    "mounts",
    "neutralise_syntax",
    "other_readings",
    "parse",
]

BOM = "\ufeff"
SCRATCH = "scratch"
# The engine sets these; which value it is depends on where the build runs.
PREDEFINED = {
    name: "${" + name + "}"
    for side in ("BUILD", "TARGET")
    for name in (f"{side}PLATFORM", f"{side}OS", f"{side}OSVERSION", f"{side}ARCH", f"{side}VARIANT")
} | {"TARGETSTAGE": "${TARGETSTAGE}"}
LONGEST_EXPANSION = 64 * 1024
STEPS = {"RUN", "COPY", "ADD", "WORKDIR"}


class NoStageError(DockerfileError):
    """There is no FROM. Such a text must never reach Engine 20.10: ARGs alone make its daemon panic and exit."""


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
        """Every instruction that made the final image, in order, FROM lines excluded."""
        return tuple(each for stage in self.chain(self.final) for each in stage.instructions)

    def copies(self, stage: Stage) -> tuple[CopyFrom, ...]:
        """What the stage takes from other stages and images, in order; what its ONBUILD triggers would take too."""
        return tuple(copy for each in stage.instructions for copy in self._copies_of(each))

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

    def step_line(self, stage_label: str, position: int) -> Instruction | None:
        """The instruction that BuildKit's step ``[stage_label position/total]`` is about; ``position`` counts from 1.

        The label may carry a platform and may be empty for the only stage. FROM is a step only on an image: neither
        on ``scratch`` nor on an earlier stage.
        """
        stage = self._labelled(stage_label)
        if stage is None:
            return None
        steps = list(self._steps(stage))
        return steps[position - 1] if 1 <= position <= len(steps) else None

    def _labelled(self, label: str) -> Stage | None:
        # A platform always holds a slash and a stage's name never does.
        names = [word for word in label.split() if "/" not in word]
        if not names:
            return self.final
        name = names[-1].lower()
        named = next((stage for stage in reversed(self.stages) if stage.name == name), None)
        number = re.fullmatch(r"stage-(\d{1,5})", name)
        if named or not number or int(number[1]) >= len(self.stages):
            return named
        return self.stages[int(number[1])]

    def _steps(self, stage: Stage) -> Iterator[Instruction]:
        if stage.parent is not None:
            # The parent's triggers fire before the first instruction and are counted.
            parent = self.stages[stage.parent].instructions
            yield from (each for each in parent if each.trigger and each.trigger.keyword in STEPS)
        elif stage.base != SCRATCH:
            yield stage.from_instruction
        yield from (each for each in stage.instructions if each.keyword in STEPS)

    @cached_property
    def _names(self) -> dict[str, int]:
        return {stage.name: stage.index for stage in self.stages if stage.name}

    def _copies_of(self, instruction: Instruction) -> Iterator[CopyFrom]:
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


def parse(data: bytes, *, heredocs: bool = True) -> Dockerfile:
    """Parse a Dockerfile. ``heredocs=False`` reads it as front ends before 1.4 do. Raises DockerfileError."""
    # A final line end ends the last line; it does not begin another.
    lines = _decode(data).removeprefix(BOM).removesuffix("\n").split("\n")
    return _parse(lines, None, heredocs=heredocs)


def other_readings(dockerfile: Dockerfile) -> Iterator[Dockerfile]:
    """The same text as other front ends may read it: without heredocs, without its `# escape=`.

    A front end that stumbles over such a text builds nothing; then there is no such reading. Only a text without a
    stage raises NoStageError even so, because it brings Engine 20.10 down.
    """
    every = [each for stage in dockerfile.stages for each in stage.instructions]
    escapes = {dockerfile.escape, "\\"}
    # A heredoc sign can be there without a heredoc having been read, for instance behind a JSON list.
    ways = {(escape, heredocs) for escape in escapes for heredocs in (True, False)}
    if not any("<<" in each.text for each in every):
        ways = {(escape, True) for escape in escapes}
    for escape, heredocs in sorted(ways - {(dockerfile.escape, True)}):
        try:
            yield _parse(dockerfile.lines, escape, heredocs=heredocs)
        except NoStageError:
            raise
        except DockerfileError:
            continue


def neutralise_syntax(data: bytes) -> bytes:
    """Empty the `# syntax=` line, so that the engine's own front end builds; line count and line ends are kept.

    Directives below it move up a line, because an empty comment ends the directives.
    """
    try:
        text = data.decode()
        lines = text.removeprefix(BOM).split("\n")
        found = list(directives([line.rstrip("\r") for line in lines]))
        syntax = syntax_of(found)
    except (UnicodeDecodeError, DockerfileError):
        return data
    if syntax is None:
        return data
    kept = [lines[each.line - 1].rstrip("\r") for each in found if each is not syntax]
    for each, content in zip(found, [*kept, "#"], strict=True):
        old = lines[each.line - 1]
        lines[each.line - 1] = content + old[len(old.rstrip("\r")) :]
    return ((BOM if text.startswith(BOM) else "") + "\n".join(lines)).encode()


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


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DockerfileError("The Dockerfile is saved as UTF-16.", "Save it as UTF-8.")
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise DockerfileError("The Dockerfile is binary: it has a zero byte.", "Save it as plain text.", line=line)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DockerfileError("The Dockerfile is not valid UTF-8.", "Save it as UTF-8.", line=line) from error


def _parse(lines: list[str] | tuple[str, ...], escape: str | None, *, heredocs: bool) -> Dockerfile:
    clean = [line.rstrip("\r") for line in lines]
    found = list(directives(clean))
    syntax = syntax_of(found)
    escape = escape or escape_of(found)
    global_args, stages = _stages(instructions(lines, escape, heredocs=heredocs), escape)
    dockerfile = Dockerfile(
        lines=tuple(clean),
        syntax=syntax.value if syntax else None,
        syntax_line=syntax.line if syntax else None,
        stages=stages,
        global_args=global_args,
        escape=escape,
    )
    _check_copies(dockerfile)
    return dockerfile


def _stages(found: Iterator[Instruction], escape: str) -> tuple[tuple[Instruction, ...], tuple[Stage, ...]]:
    """The ARGs before the first FROM, and the stages."""
    global_args: list[Instruction] = []
    env = dict(PREDEFINED)
    stages: list[tuple[Stage, list[Instruction]]] = []
    names: dict[str, int] = {}
    last = 1
    for instruction in found:
        last = instruction.line
        if instruction.keyword == "FROM":
            stage = _stage(instruction, len(stages), names, env, escape)
            stages.append((stage, []))
            if stage.name:
                names[stage.name] = stage.index
        elif stages:
            stages[-1][1].append(instruction)
        elif instruction.keyword == "ARG":
            global_args.append(instruction)
            _define(instruction, env, escape)
        else:
            raise DockerfileError(
                f"{instruction.keyword} stands before the first FROM.",
                "Begin with FROM; only ARG and comments may stand before it.",
                line=instruction.line,
            )
    if not stages:
        raise NoStageError(
            "The Dockerfile has no FROM." if global_args else "The Dockerfile is empty: it has no FROM.",
            "Begin with the image to build upon, such as `FROM python:3.11-slim`.",
            line=last,
        )
    return tuple(global_args), tuple(replace(stage, instructions=tuple(own)) for stage, own in stages)


def _stage(
    instruction: Instruction, index: int, names: Mapping[str, int], env: Mapping[str, str], escape: str
) -> Stage:
    base, name = _base_and_name(instruction)
    base = _expand(base, env, escape, instruction.line)
    if not base:
        raise DockerfileError(
            f"FROM names no image: `{instruction.args[0]}` is empty.",
            "Give the ARG before FROM a default: `ARG TAG=3.11`.",
            line=instruction.line,
        )
    platform = instruction.flag_values("platform")
    return Stage(
        index=index,
        name=name,
        base=base,
        parent=names.get(base.lower()),
        line=instruction.line,
        platform=platform[-1] if platform else None,
        instructions=(),
        from_instruction=instruction,
    )


def _base_and_name(instruction: Instruction) -> tuple[str, str | None]:
    args = instruction.args
    if not args:
        raise DockerfileError(
            "FROM names no image.", "Name one, such as `FROM python:3.11-slim`.", line=instruction.line
        )
    if len(args) == 1:
        return args[0], None
    if len(args) != 3 or args[1].lower() != "as":
        raise DockerfileError(
            "FROM takes an image, and then `AS` and a name or nothing.",
            f"Write `FROM {args[0]}` or `FROM {args[0]} AS builder`.",
            line=instruction.line,
        )
    name = args[2].lower()
    if not re.fullmatch(r"[a-z][a-z0-9_.-]*", name):
        raise DockerfileError(
            f"`{args[2]}` cannot name a stage.",
            "Begin with a letter; then letters, digits, dots, dashes and underscores.",
            line=instruction.line,
        )
    return args[0], name


def _define(instruction: Instruction, env: dict[str, str], escape: str) -> None:
    for word in parse_words(" ".join(instruction.args), escape):
        name, equals, value = word.partition("=")
        if equals:
            env[name] = _expand(value, env, escape, instruction.line)
        elif name not in PREDEFINED:
            # Naming it again without a default takes an earlier default away.
            env[name] = ""


def _expand(word: str, env: Mapping[str, str], escape: str, line: int) -> str:
    """The word with its variables and quotes resolved, in bounded time whatever the learner wrote."""
    longest = max(map(len, env.values()), default=0)
    size = len(word) + word.count("$") * longest
    # Python's regular expressions, which serve for `${X%…}`, can take forever where Go's cannot.
    stars = word.count("*") + sum(value.count("*") for value in env.values())
    trims = re.search(r"\$\{\w+[#%/]", word) is not None
    if size > LONGEST_EXPANSION or (trims and (stars > 2 or size > 2000)):
        raise DockerfileError("The variables here are too intricate.", "Write the value out.", line=line)
    try:
        return ShellLex(escape, env=env, skip_unset_env=False).process_word(word)
    except (ValueError, RecursionError, re.error) as error:
        raise DockerfileError(f"Docker cannot expand `{word}`.", "Check its quotes and `${…}`.", line=line) from error


def _check_copies(dockerfile: Dockerfile) -> None:
    for stage in dockerfile.stages:
        for instruction in stage.instructions:
            for copy in dockerfile._copies_of(instruction):  # noqa: SLF001 - the same module's
                if instruction.keyword != "ONBUILD":
                    _check_copy(copy, stage, len(dockerfile.stages))


def _check_copy(copy: CopyFrom, stage: Stage, count: int) -> None:
    if copy.stage == stage.index:
        raise DockerfileError(f"The stage copies from itself: `{copy.source}`.", "Name another stage.", line=copy.line)
    if copy.stage is None and re.fullmatch(r"[+-]?[0-9]{1,18}", copy.source):
        raise DockerfileError(
            f"There is no stage {copy.source}.",
            f"Stages count from 0, so the last one here is {count - 1}; better give them names: `FROM … AS builder`.",
            line=copy.line,
        )
