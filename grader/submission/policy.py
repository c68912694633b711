"""What a Dockerfile may not ask of the host: images that the exercise does not allow, foreign front ends, and
anything that reaches out of the build.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Allowed:
    """What an exercise lets a Dockerfile use: image references, globs of addresses for ADD, and a network for RUN."""

    images: Sequence[str]
    addresses: Sequence[str]
    network: bool


def check(
    dockerfile: Dockerfile, allowed: Sequence[str], *, addresses: Sequence[str] = (), network: bool = True
) -> None:
    """Raise PolicyError for the first line that asks for what is not allowed; ``allowed`` are image references.

    ``addresses`` are globs of what ADD may fetch, ``network`` says whether RUN steps have one.

    Front ends of different age read some texts differently, so every reading has to be allowed; one that has no FROM
    raises DockerfileError, and so does one that would fill the engine's memory.
    """
    rules = _Allowed(allowed, addresses, network)
    for reading in (dockerfile, *other_readings(dockerfile)):
        first = min(_problems(reading, rules), key=lambda problem: problem.line or 0, default=None)
        if first:
            raise first
        expansion.check(reading)


def _problems(dockerfile: Dockerfile, allowed: _Allowed) -> Iterator[PolicyError]:
    if dockerfile.syntax is not None and not is_official_syntax(dockerfile.syntax):
        yield PolicyError(
            f"`# syntax=` names a front end that is not Docker's own: {_shown(dockerfile.syntax)}.",
            f"Use `# syntax={OFFICIAL_SYNTAX}:1`, or drop the line.",
            line=dockerfile.syntax_line or 1,
        )
    permitted = sorted({normalise(image) for image in allowed.images})
    for image, line in dockerfile.external_images():
        if "$" in image:
            yield _unresolved(image, line)
        elif normalise(image) not in permitted:
            yield _not_allowed(image, line, permitted, [stage.name for stage in dockerfile.stages if stage.name])
    for run in _every(dockerfile, "RUN"):
        yield from _reaching_out(run, network=allowed.network)
    for add in _every(dockerfile, "ADD"):
        for source in remote.sources(add, dockerfile.escape):
            if not remote.is_allowed(source, allowed.addresses):
                yield _fetching(source, add.line, allowed)


def _every(dockerfile: Dockerfile, keyword: str) -> Iterable[Instruction]:
    """The instructions of a kind, what ONBUILD triggers included."""
    every = (each for stage in dockerfile.stages for each in stage.instructions)
    return (inner for each in every if (inner := each.trigger or each).keyword == keyword)


def _fetching(source: str, line: int, allowed: _Allowed) -> PolicyError:
    if "$" in source or not remote.is_address(source):
        what = f"Whether ADD fetches this from the network depends on a variable: {_shown(source)}."
        return PolicyError(what, f"If it lies beside the Dockerfile, write it as `./{_shown(source)}`.", line=line)
    if not allowed.network:
        fix = "Copy a file from beside the Dockerfile, or do without it."
        return PolicyError(f"This exercise builds without a network, and ADD fetches {_shown(source)}.", fix, line=line)
    fix = f"Allowed here: {', '.join(allowed.addresses)}." if allowed.addresses else "Use what the exercise brings."
    return PolicyError(f"This exercise does not let ADD fetch from the network: {_shown(source)}.", fix, line=line)


def _reaching_out(run: Instruction, *, network: bool) -> Iterator[PolicyError]:
    networks = {value.lower() for value in run.flag_values("network")}
    if not network and not networks <= {"none", ""}:
        # Front ends differ in whether `default` is that of the build, which is none, or the engine's, which is not.
        yield PolicyError(
            "`RUN --network` asks for a network, and this exercise builds without one.", "Drop the flag.", line=run.line
        )
    elif not networks <= {"default", "none", ""}:
        yield PolicyError(
            "`RUN --network` asks for the host's network.", "Drop the flag; the default network will do.", line=run.line
        )
    if not {value.lower() for value in run.flag_values("security")} <= {"sandbox", ""}:
        yield PolicyError("`RUN --security` asks for rights over the host.", "Drop the flag.", line=run.line)
    if run.flag_values("device"):
        yield PolicyError("`RUN --device` asks for a device of the host.", "Drop the flag.", line=run.line)


def _unresolved(image: str, line: int) -> PolicyError:
    return PolicyError(
        f"Which image this is depends on a variable that is not known before the build: {_shown(image)}.",
        "Write the image out, or give the variable a default with ARG before the first FROM. "
        "`--from` takes no variables: give the image a stage of its own.",
        line=line,
    )


def _not_allowed(image: str, line: int, permitted: Sequence[str], stages: Sequence[str]) -> PolicyError:
    from difflib import get_close_matches  # noqa: PLC0415  # most Dockerfiles name what they may

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
