"""Podman's own builder, Buildah: how it is asked, what it answers, how it is ended, and what it keeps.

It answers with classic text, which also carries what RUN steps print. So the text is believed only where nothing
depends on it: to show progress and to find the line of a step that failed. That a step came from the cache is believed
when the engine has an image that proves it (`grader.engine.podman.proof`).
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from grader.engine import leftovers
from grader.engine.podman.marked import Mark
from grader.engine.podman.proof import Claim, Proofs
from grader.engine.trace import LOG_LIMIT, Step
from grader.result import Progress, ProgressEvent
from grader.submission.stages import mounts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.engine.build import Options
    from grader.engine.connect import Engine
    from grader.submission.dockerfile import Dockerfile, Instruction

_STEP = re.compile(r"^(?:\[(?P<stage>\d+)/\d+\] )?STEP (?P<number>\d+)/\d+: (?P<text>.+)$")
_CACHED = re.compile(r"^--> Using cache (?P<image>[0-9a-f]{64})$")
_EXIT_STATUS = re.compile(r"while running runtime: exit status (\d+)\s*$")
# The same for every build: what differs between two builds is no use to the second one.
_LABELS = {leftovers.CACHE: "1"}
# Without this, its builder lets a RUN into the network of the host.
_OWN_NETWORK = [{"Name": "network", "Host": False, "Path": ""}]
# Buildah's `NetworkDisabled`, as Podman's own client asks for it; "none", Docker's word, it takes without a word and
# without an effect (seen with 4.3).
_NO_NETWORK = "1"
# What Docker's builder gives to a RUN and Podman's does not: a Dockerfile builds here if it builds there.
_CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_MKNOD", "CAP_NET_RAW"]
# Its builder stumbles over an image that somebody removes while it looks through all of them for a cached one.
_STUMBLED = re.compile(
    r'(?:building at STEP ".*": )?checking if cached image exists from a previous build: .* not known\s*'
)
_ATTEMPTS = 5


class Buildah:
    """One build by Podman: what it is asked, what it says, and how it ends."""

    def __init__(self, engine: Engine, dockerfile: Dockerfile, options: Options, progress: Progress) -> None:
        """Starts empty; ``dockerfile`` ties steps to lines."""
        self._engine = engine
        self._dockerfile = dockerfile
        self._options = options
        self._progress = progress
        self._steps: list[_Told] = []
        self._mark = Mark()
        self._distrusts_cache = options.cache and _mounts_files(dockerfile)
        self._cached: list[bool | None] = []
        self._attempts = 0

    @property
    def parameters(self) -> dict[str, str]:
        """What is asked of this builder alone.

        `cachefrom` is not: to Podman it means a repository of cache entries, not an image.
        """
        asked = {
            "labels": json.dumps(_LABELS),
            "addcaps": json.dumps(_CAPABILITIES),
            "nsoptions": json.dumps(_OWN_NETWORK),
            "ulimits": json.dumps([self._mark.ulimit]),
        }
        if not self._options.network:
            asked["networkmode"] = _NO_NETWORK
        return asked | ({"nocache": "1"} if self._distrusts_cache else {})

    def stumbled(self, error: str) -> bool:
        """Whether the build failed of something that passes, and is worth another attempt."""
        self._attempts += 1
        if self._attempts >= _ATTEMPTS or not _STUMBLED.fullmatch(error):
            return False
        self._steps.clear()
        return True

    def stop(self) -> None:
        """Ends the step that runs; the builder then ends the build."""
        images = [reference for reference, _ in self._dockerfile.external_images()]
        self._mark.end(self._engine, images, self._options.labels)

    def finish(self) -> None:
        """Finds out what came from the cache, and bounds what builds leave in it; to be called when it is over."""
        self._cached = self._states()
        if not all(self._cached):
            leftovers.trim(self._engine)

    def feed(self, message: Mapping[str, Any]) -> None:
        """Takes in one JSON line of the engine's answer."""
        for line in str(message.get("stream", "")).splitlines():
            if match := _STEP.match(line):
                place = int(match["stage"] or 1) - 1, int(match["number"]) - 2
                self._steps.append(_Told(match["text"], *place))
                self._progress(ProgressEvent("build", line))
            elif self._steps:
                self._steps[-1].add(line)
                told = self._steps[-1].text
                self._progress(ProgressEvent("build", told, detail=True, step=told, log=line))

    def steps(self) -> tuple[Step, ...]:
        """The steps so far; nothing is known of the cache before the end."""
        told = zip_longest(self._steps, self._cached)
        return tuple(self._step(step, cached) for step, cached in told if not step.is_ours)

    def _states(self) -> list[bool | None]:
        """Whether each step came from the cache; None where that cannot be told."""
        if self._distrusts_cache:
            # Each step ran because we had it so, which says nothing about the Dockerfile.
            return [None] * len(self._steps)
        claims = [Claim(told.stage, told.below, told.text, told.claim) for told in self._steps]
        return Proofs(self._engine, claims, cache=self._options.cache).states()

    def culprit(self, error: str) -> Step | None:
        """The step that ``error`` names, else the last one."""
        # The error quotes the step as it is, quotation marks and all: only a comparison finds its end.
        named = [found for found in self._steps if error.startswith(f'building at STEP "{found.text}": ')]
        found = next(iter([*named[::-1], *self._steps[::-1]]), None)
        return self._step(found, None, error) if found else None

    def _step(self, told: _Told, cached: bool | None, error: str = "") -> Step:  # noqa: FBT001
        instruction = self._instruction(told)
        code = _EXIT_STATUS.search(error)
        return Step(
            name=told.text,
            line=instruction.line if instruction else None,
            instruction=instruction.text if instruction else told.text,
            stage="",
            cached=cached,
            duration=None,
            error=error,
            exit_code=int(code[1]) if code else None,
            log="\n".join(told.log)[-LOG_LIMIT:],
        )

    def _instruction(self, told: _Told) -> Instruction | None:
        """The one that is counted there, else the first that reads the same: Buildah leaves out what it needs not."""
        stages = self._dockerfile.stages
        if told.stage < len(stages) and 0 <= told.below < len(stages[told.stage].instructions):
            counted = stages[told.stage].instructions[told.below]
            if _plain(counted.text) == _plain(told.text):
                return counted
        for stage in stages:
            for instruction in (stage.from_instruction, *stage.instructions):
                if _plain(instruction.text) == _plain(told.text):
                    return instruction
        return None


@dataclass
class _Told:
    """A step as Buildah writes and counts it: ``below`` is that of the instruction below FROM, -1 is FROM.

    ``claim`` is the image that it says the step has come from.
    """

    text: str
    stage: int
    below: int
    claim: str = ""
    log: list[str] = field(default_factory=list)

    @property
    def is_ours(self) -> bool:
        """Whether it sets our label; no Dockerfile asks for that."""
        return any(self.text == f'LABEL "{key}"="{value}"' for key, value in _LABELS.items())

    def add(self, line: str) -> None:
        """Takes in a line of what is said while it runs."""
        if not self.log and (match := _CACHED.match(line)):
            self.claim = match["image"]
        self.log.append(line)
        del self.log[: -LOG_LIMIT // 100]


def _mounts_files(dockerfile: Dockerfile) -> bool:
    """Whether a RUN reads files that Buildah forgets to compare with those of the cached step (seen with 1.28)."""
    every = (instruction for stage in dockerfile.stages for instruction in stage.instructions)
    return any(
        mount.type == "bind" or mount.source
        for instruction in every
        for mount in mounts(instruction.trigger or instruction)
    )


def _plain(text: str) -> str:
    """An instruction as Buildah writes it: on one line, and a JSON list as its words."""
    keyword, _, rest = " ".join(text.split()).partition(" ")
    with suppress(ValueError, TypeError):
        rest = " ".join(json.loads(rest))
    return f"{keyword} {rest}".casefold()
