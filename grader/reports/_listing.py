"""The learner's Dockerfile, line by line, with what each line weighs, took and did wrong beside it."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.result import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.result import CheckResult, GradeResult, StepResult

_KEYWORD = re.compile(
    r"(\s*)(FROM|RUN|COPY|ADD|CMD|ENTRYPOINT|WORKDIR|ENV|ARG|EXPOSE|USER|LABEL|VOLUME|HEALTHCHECK|SHELL|STOPSIGNAL"
    r"|ONBUILD|MAINTAINER)(?=\s)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Line:
    """One line. ``before``, ``keyword`` and ``rest`` are its text; ``size`` and ``wasted`` are bytes in the image.

    ``size`` is None for a line that adds nothing of its own, ``left_out`` says that what it made is not in the image.
    ``faults`` are positions and results of the checks that point here.
    """

    number: int
    before: str
    keyword: str
    rest: str
    comment: bool
    size: int | None
    share: float
    wasted: int
    base: bool
    left_out: bool
    steps: tuple[StepResult, ...]
    faults: tuple[tuple[int, CheckResult], ...]
    problem: bool


def listing(result: GradeResult, dockerfile: Sequence[str]) -> list[Line]:
    """All lines, in order."""
    sizes, wasted = _weights(result)
    steps: Mapping[int, list[StepResult]] = defaultdict(list)
    for step in result.build.steps if result.build else ():
        if step.line is not None:
            steps[step.line].append(step)
    faults: Mapping[int, list[tuple[int, CheckResult]]] = defaultdict(list)
    for index, check in enumerate(result.checks, 1):
        if check.line is not None and check.status in (Status.FAILED, Status.ERROR):
            faults[check.line].append((index, check))
    whole = (result.image.size if result.image else 0) or 1
    lines = []
    continued = False
    for number, text in enumerate(dockerfile, 1):
        comment = text.lstrip().startswith("#")
        found = None if continued or comment else _KEYWORD.match(text)
        size = sizes.get(number)
        lines.append(
            Line(
                number=number,
                before=found[1] if found else "",
                keyword=found[2] if found else "",
                rest=text[found.end() :] if found else text,
                comment=comment,
                size=size,
                share=(size or 0) / whole,
                wasted=wasted.get(number, 0),
                base=bool(result.image and number == result.image.base_line),
                left_out=bool(result.image and size is None and steps.get(number)),
                steps=tuple(steps.get(number, ())),
                faults=tuple(faults.get(number, ())),
                problem=bool(result.problem and result.problem.line == number),
            )
        )
        if not comment and text.strip():
            continued = text.rstrip().endswith(("\\", "`"))
    return lines


def _weights(result: GradeResult) -> tuple[dict[int, int], dict[int, int]]:
    """Bytes in the image, and bytes of them that are wasted, by line."""
    image = result.image
    sizes: dict[int, int] = {}
    wasted: dict[int, int] = {}
    if image is None:
        return sizes, wasted
    if image.base_line is not None:
        sizes[image.base_line] = image.base_size
    for layer in image.layers:
        if layer.line is not None:
            sizes[layer.line] = sizes.get(layer.line, 0) + layer.size
            wasted[layer.line] = wasted.get(layer.line, 0) + layer.wasted
    return sizes, wasted
