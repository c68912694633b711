"""The bytes of a Dockerfile -> stages and instructions with line numbers."""

from __future__ import annotations

import re
from dataclasses import replace
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
from grader.submission.stages import CopyFrom, Dockerfile, Mount, Stage, mounts

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
# The engine sets these; which value it is depends on where the build runs.
PREDEFINED = {
    name: "${" + name + "}"
    for side in ("BUILD", "TARGET")
    for name in (f"{side}PLATFORM", f"{side}OS", f"{side}OSVERSION", f"{side}ARCH", f"{side}VARIANT")
} | {"TARGETSTAGE": "${TARGETSTAGE}"}
# What the engine or its surroundings may give a value that cannot be known here.
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
GIVEN = {*PREDEFINED, "SOURCE_DATE_EPOCH", *_PROXIES, *map(str.upper, _PROXIES)}
LONGEST_EXPANSION = 64 * 1024
# In bytes; BuildKit reads no longer lines.
LONGEST_LINE = 65_535


class NoStageError(DockerfileError):
    """There is no FROM. Such a text must never reach Engine 20.10: ARGs alone make its daemon panic and exit."""


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
    long = next((number for number, line in enumerate(clean, start=1) if len(line.encode()) > LONGEST_LINE), None)
    if long:
        raise DockerfileError("This line is longer than Docker reads.", "Break it with a backslash.", line=long)
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
    _refuse_given(base, instruction.line)
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
            _refuse_given(value, instruction.line)
            env[name] = _expand(value, env, escape, instruction.line)
        elif env.get(name) and name not in PREDEFINED:
            raise DockerfileError(
                f"ARG {name} is named again without its default; some engines forget the default then, others do not.",
                "Remove one of the two lines.",
                line=instruction.line,
            )
        elif name not in PREDEFINED:
            env[name] = ""


def _refuse_given(word: str, line: int) -> None:
    """What the engine fills in decides which image is used: with `${X:+…}` its mere presence would."""
    for name in re.findall(r"\$\{?([A-Za-z_]\w*)", word):
        if name in GIVEN:
            raise DockerfileError(
                f"Which image this is depends on {name}, which differs from engine to engine.",
                "Write the name of the image out.",
                line=line,
            )


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
            for copy in dockerfile.copies_of(instruction):
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
