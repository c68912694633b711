"""Whether a fault of ours made a step fail that says so itself: found out by controls, and by building again.

Any RUN can print that the disk is full, that the network is gone, or what a runtime says that could not start it. Were
it believed, a learner could choose not to be graded. So what it says is looked at where the learner has no say: at the
engine's disk, in builds of our own. Where all is well there, the build gets a second chance: what was wrong may have
passed. When it fails in the same way again it is the learner's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grader.engine import room
from grader.engine.faults import blame, network
from grader.engine.faults.blame import DoubtfulError
from grader.errors import EngineError
from grader.result import ProgressEvent, silent
from grader.submission import context as contexts
from grader.submission import dockerfile as dockerfiles
from grader.submission.files import DOCKERFILE, File

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.engine.build import Build, Options
    from grader.engine.connect import Engine
    from grader.engine.trace import Step
    from grader.result import Progress
    from grader.submission.context import Context
    from grader.submission.dockerfile import Dockerfile

#: With fewer free bytes than this a build may well have failed for want of disk.
_LITTLE_SPACE = 2_000_000_000
#: Seconds that an engine may take to free what a step that failed has left.
_FREED_WITHIN = 10.0
#: MB that a control writes where the engine's disk cannot be seen.
_WRITES = 256


@dataclass(frozen=True)
class Doubt:
    """A build that failed, and how to build again: ``attempt`` makes one build, and raises as `build.build` does."""

    engine: Engine
    context: Context
    dockerfile: Dockerfile
    options: Options
    progress: Progress
    attempt: Callable[[Context, Dockerfile, Options, Progress], Build]

    def raised(self, error: EngineError) -> Build:
        """What to make of an error; raises it when it is to be believed."""
        if not isinstance(error, DoubtfulError) or error.build is None:
            raise error
        self._tell(f"a step says that the {_NAMES[error.kind]}; looking whether that is so")
        checks = {"disk": self._is_full, "network": self._unreached, "runtime": self._starts_nothing}
        if checks[error.kind](error.step):
            raise error
        return self._again(error.build)

    def failed(self, build: Build) -> Build:
        """What to make of a failure that would be the learner's: what a step missed may have been nowhere to be had."""
        step = build.culprit
        if step is None or not self.options.network or not blame.starved(step):
            return build
        if self._unreached(step):
            raise blame.no_network(step)
        return self._again(build) if _reuses(build) else build

    def _again(self, first: Build, tries: int = 2) -> Build:
        """The build once more, with the same time; in the end what it says of itself is not believed any more.

        A disk may have been filled by another build, once more: not each time that there was room in between.
        """
        without = " without the cache" if _reuses(first) else ""
        self._tell(f"all is well there; building again{without}")
        options = replace(self.options, cache=False) if without else self.options
        try:
            return self.attempt(self.context, self.dockerfile, options, self.progress)
        except DoubtfulError as error:
            if error.build is None or (error.kind == "disk" and self._is_full(error.step)):
                raise
            return self._again(error.build, tries - 1) if error.kind == "disk" and tries > 1 else error.build

    def _unreached(self, step: Step) -> bool:
        """Whether a step of ours cannot fetch anything either; where that cannot be found out, it is not the reason."""
        for text in network.controls(self.dockerfile, step):
            code = self._control(text)
            if code in (0, network.UNREACHED):
                return code != 0
        return False

    def _is_full(self, step: Step) -> bool:
        """An engine frees what a failed step has written, and takes a moment for it."""
        deadline = time.monotonic() + _FREED_WITHIN
        while (found := room.of(self.engine)) and (found.full or found.free < _LITTLE_SPACE):
            if time.monotonic() > deadline:
                return True
            time.sleep(0.1)
        writes = f"head -c {_WRITES}000000 /dev/zero > /control || exit {network.UNREACHED}"
        return found is None and self._fails(writes, step)

    def _starts_nothing(self, step: Step) -> bool:
        return self._fails(":", step)

    def _fails(self, command: str, step: Step) -> bool:
        bases = network.bases(self.dockerfile, step)
        return any(self._control(f"FROM {base}\nUSER 0\nRUN {command}\n") == network.UNREACHED for base in bases)

    def _control(self, text: str) -> int:
        """The code with which a build of ours ends; nothing of the learner's runs in it."""
        context = contexts.pack({DOCKERFILE: File(text.encode())})
        options = type(self.options)(network.LIMIT, self.options.labels, cache=False)
        try:
            build = self.attempt(context, dockerfiles.parse(text.encode()), options, silent)
        except EngineError:
            return network.UNREACHED
        if build.failure is None:
            return 0
        # A time that is up has no code: what has not answered by then is not reached.
        code = build.culprit.exit_code if build.culprit else None
        return network.UNREACHED if code is None else code

    def _tell(self, what: str) -> None:
        self.progress(ProgressEvent("build", what))


def _reuses(build: Build) -> bool:
    """Whether a step came from the cache: what that holds of `apt-get update` may be from when there was no network."""
    return any(step.cached and step.instruction.upper().startswith("RUN") for step in build.steps)


_NAMES = {"disk": "disk is full", "network": "network is gone", "runtime": "engine could not start it"}
