"""What a Dockerfile may not ask of the host: images that the exercise does not allow, foreign front ends, and
anything that reaches out of the build.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from grader.errors import SubmissionError
from grader.submission import expansion, remote
from grader.submission.dockerfile import Dockerfile, Instruction, other_readings
from grader.submission.stages import SCRATCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

OFFICIAL_SYNTAX = "docker/dockerfile"


class PolicyError(SubmissionError):
    """A Dockerfile asks for something that this exercise or no exercise allows; ``line`` is where (1-based)."""

    def __init__(self, what: str, fix: str, *, line: int) -> None:
        super().__init__(what, fix, where=f"Dockerfile:{line}", line=line)


def normalise(reference: str) -> str:
    """The short form in which Docker shows a reference: ``docker.io/library/python`` is ``python:latest``."""
    name, at, digest = reference.partition("@")
    host, slash, path = name.partition("/")
    if slash and host in {"docker.io", "index.docker.io"}:
        name = path.removeprefix("library/")
    elif host == "library" and slash:
        name = path
    tagged = ":" in name.rpartition("/")[2]
    return name + ("" if tagged or at else ":latest") + at + digest


def is_official_syntax(value: str) -> bool:
    """Whether a `# syntax=` value names Docker's own front end, with any tag or digest."""
    # BuildKit takes the image to end at the first space; what follows is handed to it.
    image = normalise(value.split(" ", 1)[0])
    return re.fullmatch(rf"{OFFICIAL_SYNTAX}(:[\w.-]+)?(@sha256:[0-9a-f]{{64}})?", image, re.ASCII) is not None


def check(dockerfile: Dockerfile, allowed: Sequence[str], add_from: Sequence[str] = ()) -> None:
    """Raise PolicyError for the first line that asks for what is not allowed.

    ``allowed`` are image references, ``add_from`` the beginnings of addresses that ADD may fetch from.

    Front ends of different age read some texts differently, so every reading has to be allowed; one that has no FROM
    raises DockerfileError, and so does one that would fill the engine's memory.
    """
    for reading in (dockerfile, *other_readings(dockerfile)):
        first = min(_problems(reading, allowed, add_from), key=lambda problem: problem.line or 0, default=None)
        if first:
            raise first
        expansion.check(reading)


def _problems(dockerfile: Dockerfile, allowed: Sequence[str], add_from: Sequence[str]) -> Iterator[PolicyError]:
    if dockerfile.syntax is not None and not is_official_syntax(dockerfile.syntax):
        yield PolicyError(
            f"`# syntax=` names a front end that is not Docker's own: {_shown(dockerfile.syntax)}.",
            f"Use `# syntax={OFFICIAL_SYNTAX}:1`, or drop the line.",
            line=dockerfile.syntax_line or 1,
        )
    permitted = sorted({normalise(image) for image in allowed})
    for image, line in dockerfile.external_images():
        if "$" in image:
            yield _unresolved(image, line)
        elif normalise(image) not in permitted:
            yield _not_allowed(image, line, permitted, [stage.name for stage in dockerfile.stages if stage.name])
    for instruction in _every(dockerfile, "RUN"):
        yield from _reaching_out(instruction)
    for instruction in _every(dockerfile, "ADD"):
        for source in remote.fetched(instruction, add_from):
            yield _not_fetched(source, instruction.line, add_from)


def _every(dockerfile: Dockerfile, keyword: str) -> Iterable[Instruction]:
    """All of a kind, in triggers too."""
    every = (each for stage in dockerfile.stages for each in stage.instructions)
    return (inner for each in every if (inner := each.trigger or each).keyword == keyword)


def _reaching_out(run: Instruction) -> Iterator[PolicyError]:
    networks = {value.lower() for value in run.flag_values("network")}
    if not networks <= {"default", "none", ""}:
        yield PolicyError(
            "`RUN --network` asks for the host's network.", "Drop the flag; the default network will do.", line=run.line
        )
    if not {value.lower() for value in run.flag_values("security")} <= {"sandbox", ""}:
        yield PolicyError("`RUN --security` asks for rights over the host.", "Drop the flag.", line=run.line)
    if run.flag_values("device"):
        yield PolicyError("`RUN --device` asks for a device of the host.", "Drop the flag.", line=run.line)


def _not_fetched(source: str, line: int, add_from: Sequence[str]) -> PolicyError:
    if "$" in source:
        return PolicyError(
            f"Whether ADD takes {_shown(source)} from the network depends on a variable.",
            "Use COPY, which takes nothing from there, or write `./` in front of the file.",
            line=line,
        )
    known = f"Allowed here: {', '.join(add_from)}." if add_from else "COPY a file, or fetch it in a RUN step."
    return PolicyError(f"This exercise does not let ADD take from the network: {_shown(source)}.", known, line=line)


def _unresolved(image: str, line: int) -> PolicyError:
    return PolicyError(
        f"Which image this is depends on a variable that is not known before the build: {_shown(image)}.",
        "Write the image out, or give the variable a default with ARG before the first FROM. "
        "`--from` takes no variables: give the image a stage of its own.",
        line=line,
    )


def _not_allowed(image: str, line: int, permitted: Sequence[str], stages: Sequence[str]) -> PolicyError:
    short = normalise(image)
    # A stage that is not there is taken for an image; whoever mistypes its name means the stage.
    if meant := get_close_matches(image.lower(), stages, n=1, cutoff=0.75):
        return PolicyError(f"There is no stage {_shown(image)}.", f"Did you mean the stage `{meant[0]}`?", line=line)
    choices = f"Allowed here: {', '.join(permitted)}." if permitted else f"Only {SCRATCH} is allowed here."
    name, _, digest = image.partition("@")
    near = get_close_matches(short, permitted, n=1, cutoff=0.75)
    if digest and normalise(name) in permitted:
        fix = f"Drop the digest and write `{name}`: the grader brings its own copy of the image."
    elif near:
        fix = f"Did you mean {near[0]}? {choices}"
    else:
        fix = choices
    return PolicyError(f"This exercise does not allow the image {_shown(image)}.", fix, line=line)


def _shown(text: str) -> str:
    return text if text.isprintable() and len(text) <= 200 else ascii(text[:200])
