"""Podman's answer to the build call: the classic text of its own builder, Buildah.

The text also carries what RUN steps print, so it is believed only where nothing depends on it: to show progress and to
find the line of a step that failed. Whether a step came from the cache is not taken from it.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from grader.engine.trace import LOG_LIMIT, Step
from grader.result import Progress, ProgressEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.submission.dockerfile import Dockerfile, Instruction

_STEP = re.compile(r"^(?:\[(?P<stage>\d+)/\d+\] )?STEP (?P<number>\d+)/\d+: (?P<text>.+)$")
_EXIT_STATUS = re.compile(r"while running runtime: exit status (\d+)\s*$")


class ClassicLog:
    """What Buildah says while it builds."""

    def __init__(self, dockerfile: Dockerfile, progress: Progress) -> None:
        """Starts empty; ``dockerfile`` ties steps to lines."""
        self._dockerfile = dockerfile
        self._progress = progress
        self._steps: list[tuple[_Place, list[str]]] = []

    def feed(self, message: Mapping[str, Any]) -> None:
        """Takes in one JSON line of the engine's answer."""
        for line in str(message.get("stream", "")).splitlines():
            if match := _STEP.match(line):
                place = _Place(match["text"], int(match["stage"] or 1) - 1, int(match["number"]) - 2)
                self._steps.append((place, []))
                self._progress(ProgressEvent("build", line))
            elif self._steps:
                log = self._steps[-1][1]
                log.append(line)
                del log[: -LOG_LIMIT // 100]
                self._progress(ProgressEvent("build", line, detail=True))

    def steps(self) -> tuple[Step, ...]:
        """The steps so far."""
        return tuple(self._step(place, log, "") for place, log in self._steps)

    def culprit(self, error: str) -> Step | None:
        """The step that ``error`` names, else the last one."""
        # The error quotes the step as it is, quotation marks and all: only a comparison finds its end.
        named = [found for found in self._steps if error.startswith(f'building at STEP "{found[0].text}": ')]
        found = next(iter([*named[::-1], *self._steps[::-1]]), None)
        return self._step(*found, error) if found else None

    def _step(self, place: _Place, log: list[str], error: str) -> Step:
        text = place.text
        instruction = self._instruction(place)
        code = _EXIT_STATUS.search(error)
        return Step(
            name=text,
            line=instruction.line if instruction else None,
            instruction=instruction.text if instruction else text,
            stage="",
            cached=None,
            duration=None,
            error=error,
            exit_code=int(code[1]) if code else None,
            log="\n".join(log)[-LOG_LIMIT:],
        )

    def _instruction(self, place: _Place) -> Instruction | None:
        """The one that is counted there, else the first that reads the same: Buildah leaves out what it needs not."""
        stages = self._dockerfile.stages
        if place.stage < len(stages) and 0 <= place.below < len(stages[place.stage].instructions):
            counted = stages[place.stage].instructions[place.below]
            if _plain(counted.text) == _plain(place.text):
                return counted
        for stage in stages:
            for instruction in (stage.from_instruction, *stage.instructions):
                if _plain(instruction.text) == _plain(place.text):
                    return instruction
        return None


class _Place(NamedTuple):
    """A step as Buildah writes and counts it: ``below`` is that of the instruction below FROM, -1 is FROM."""

    text: str
    stage: int
    below: int


def _plain(text: str) -> str:
    """An instruction as Buildah writes it: on one line, and a JSON list as its words."""
    keyword, _, rest = " ".join(text.split()).partition(" ")
    with suppress(ValueError, TypeError):
        rest = " ".join(json.loads(rest))
    return f"{keyword} {rest}".casefold()
