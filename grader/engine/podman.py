"""Podman's answer to the build call: the classic text of its own builder, Buildah.

The text also carries what RUN steps print, so it is believed only where nothing depends on it: to show progress and to
find the line of a step that failed. Whether a step came from the cache is not taken from it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from grader.engine.trace import LOG_LIMIT, Step
from grader.result import Progress, ProgressEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.submission.dockerfile import Dockerfile, Instruction

_STEP = re.compile(r"^(?:\[\d+/\d+\] )?STEP \d+/\d+: (?P<text>.+)$")
_ERROR_STEP = re.compile(r'building at STEP "(?P<text>(?:[^"\\]|\\.)*)"')
_EXIT_STATUS = re.compile(r"exit status (\d+)")


class ClassicLog:
    """What Buildah says while it builds."""

    def __init__(self, dockerfile: Dockerfile, progress: Progress) -> None:
        """Starts empty; ``dockerfile`` ties steps to lines."""
        self._dockerfile = dockerfile
        self._progress = progress
        self._steps: list[tuple[str, list[str]]] = []
        self._error = ""

    def feed(self, message: Mapping[str, Any]) -> None:
        """Takes in one JSON line of the engine's answer."""
        self._error = message.get("error") or self._error
        for line in str(message.get("stream", "")).splitlines():
            if match := _STEP.match(line):
                self._steps.append((match["text"], []))
                self._progress(ProgressEvent("build", line))
            elif self._steps:
                log = self._steps[-1][1]
                log.append(line)
                del log[: -LOG_LIMIT // 100]
                self._progress(ProgressEvent("build", line, detail=True))

    def steps(self) -> tuple[Step, ...]:
        """The steps so far."""
        return tuple(self._step(text, log, "") for text, log in self._steps)

    def culprit(self, error: str) -> Step | None:
        """The step that ``error`` names, else the last one."""
        match = _ERROR_STEP.search(error)
        text = re.sub(r"\\(.)", r"\1", match["text"]) if match else None
        logs = [(name, log) for name, log in self._steps if text in (None, name)]
        name, log = logs[-1] if logs else (text or "", [])
        return self._step(name, log, error) if name else None

    def _step(self, text: str, log: list[str], error: str) -> Step:
        instruction = self._instruction(text)
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

    def _instruction(self, text: str) -> Instruction | None:
        wanted = " ".join(text.split())
        for stage in self._dockerfile.stages:
            for instruction in (stage.from_instruction, *stage.instructions):
                if " ".join(instruction.text.split()).casefold() == wanted.casefold():
                    return instruction
        return None
