"""What does a change cost: which steps run again, and which come from the cache?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from grader.checks import _hand as hand
from grader.checks._change import changed
from grader.checks._rebuilt import difference
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import field
from grader.errors import EngineError
from grader.result import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.checks.subject import Subject
    from grader.engine.build import Build
    from grader.engine.trace import Step

#: What is added to a changed file: a comment in the languages of most exercises, and never the same twice.
_ADDITION = "# {fresh}"


class Cache(Check):
    """After a change of some files, or of none, a rebuild takes these steps from the cache and runs those again.

    What a step keeps in a cache mount shows in the files that it makes: `unchanged` are the same, byte for byte, after
    the rebuild. That says something of files that come out differently each time they are made, such as a program with
    the time of its compilation in it.

    BuildKit itself says which steps ran; nothing that a step prints is believed. A step is named by how its instruction
    begins, with `*` for whatever lies between: `RUN pip install`, `COPY *requirements.txt`; its flags may be left out.
    """

    example: ClassVar[str] = """\
- id: quick-rebuild
  check: cache
  change: [app.py]
  cached: ["RUN *pip install"]
  rebuilt: ["COPY *app.py"]
  points: 25
"""

    reason: ClassVar[str] = "You build far more often than you change what you depend on; each build should show it."
    advice: ClassVar[str] = (
        "A step runs again when anything before it changed. Copy what changes often as late as you can."
    )

    looks_at: ClassVar[str] = (
        "Which steps of a second build run again after some files were changed, and which come from the cache, by "
        "BuildKit's own word."
    )

    check: Literal["cache"]
    change: tuple[str, ...] | dict[str, str] = field(
        default=(), description="Files to change before the rebuild; as a mapping, what is added at the end of each."
    )
    cached: tuple[str, ...] = field(default=(), description="Steps that have to come from the cache.")
    rebuilt: tuple[str, ...] = field(default=(), description="Steps that have to run again.")
    unchanged: tuple[str, ...] = field(
        default=(), description="Files of the image, paths or globs, that are the same after the rebuild."
    )
    added: tuple[str, ...] = field(
        default=(), description="Files, paths or globs, that the image has after the rebuild and not before."
    )
    twice: bool = field(default=False, description="A rebuild without any change comes from the cache as a whole.")

    def __post_init__(self) -> None:
        asked = self.cached or self.rebuilt or self.unchanged or self.added
        if self.twice and (self.change or asked):
            raise ValueError("twice is about a rebuild without a change; leave change and what comes of it out")
        if not self.twice and not (self.change and asked):
            raise ValueError("cache needs change, and cached, rebuilt, unchanged or added; or else twice: true")

    def run(self, subject: Subject) -> Outcome:
        """Builds again, and looks which steps ran."""
        again = subject.rebuild(self._changes(subject), target=self.target)
        outcome = self._of_steps(subject.build, again) if self.twice or self.cached or self.rebuilt else None
        if (self.unchanged or self.added) and (outcome is None or outcome.status is Status.PASSED):
            outcome = self._of_files(subject, again)
        assert outcome is not None, "the model refuses a check that asks for nothing"  # noqa: S101
        return outcome

    def _of_steps(self, build: Build, again: Build) -> Outcome:
        first = [step for step in build.steps if _is_work(step)]
        steps = {step.line: step for step in again.steps}
        if any(step.cached is None for step in steps.values()):
            raise EngineError("This engine does not say which steps came from its cache", "Grade with Docker Engine.")
        ran = [step for step in first if _ran(steps.get(step.line))]
        evidence: dict[str, Any] = {"ran": [f"line {step.line}: {step.instruction}" for step in ran]}
        outcome = self._judged(first, steps, ran)
        if outcome is not None:
            got, line = outcome
            return failed(expected=self.expectation(), got=got, line=line, **evidence)
        return passed(expected=self.expectation(), got=f"{_counted(len(ran))} ran again", **evidence)

    def _of_files(self, subject: Subject, again: Build) -> Outcome:
        before = subject.image
        found = difference(before, subject.image_of(again), self.unchanged, self.added)
        if found is None:
            return passed(expected=self.expectation(), got="so it is")
        return failed(expected=self.expectation(), got=found.told, line=before.line_of(found.path))

    def _judged(
        self, first: Sequence[Step], steps: Mapping[int | None, Step], ran: Sequence[Step]
    ) -> tuple[str, int | None] | None:
        """What is wrong, and in which line."""
        if self.twice:
            return (f"{_quoted(ran[0])} ran again, though nothing had changed", ran[0].line) if ran else None
        for pattern in (*self.cached, *self.rebuilt):
            if not _named(pattern, first):
                return f"no step begins with `{pattern}`", None
        for step in (step for pattern in self.cached for step in _named(pattern, first)):
            if _ran(steps.get(step.line)):
                return f"{_quoted(step)} ran again{_because(ran, step)}", step.line
        for step in (step for pattern in self.rebuilt for step in _named(pattern, first)):
            if not _ran(steps.get(step.line)):
                return f"{_quoted(step)} came from the cache: what changed does not reach it", step.line
        return None

    def _changes(self, subject: Subject) -> dict[str, bytes]:
        change = self.change
        return changed(subject, change if isinstance(change, dict) else dict.fromkeys(change, _ADDITION))

    def expectation(self) -> str:
        """What is expected, in words."""
        if self.twice:
            return "a rebuild without a change comes from the cache as a whole"
        wanted = [f"{', '.join(self.cached)} from the cache"] if self.cached else []
        wanted += [f"{', '.join(self.rebuilt)} again"] if self.rebuilt else []
        wanted += [f"{', '.join(self.unchanged)} as before"] if self.unchanged else []
        wanted += [f"{', '.join(self.added)} added"] if self.added else []
        return f"after a change of {', '.join(self.change)}: {'; '.join(wanted)}"

    def by_hand(self, port: int) -> tuple[str, ...]:  # noqa: ARG002  # for checks of a running app
        """Two builds with a change in between; the second one marks what came from the cache as CACHED."""
        changes = self.change if isinstance(self.change, dict) else dict.fromkeys(self.change, "# a change")
        return (
            hand.build(self.target),
            *(f"printf '\\n%s\\n' {hand.quoted(text)} >> {hand.quoted(name)}" for name, text in changes.items()),
            hand.build(self.target, options="--progress=plain"),
        )


def _is_work(step: Step) -> bool:
    """A base image is there or not; only what the Dockerfile does to it is cached."""
    return step.line is not None and not re.match("FROM", step.instruction, re.IGNORECASE)


def _ran(step: Step | None) -> bool:
    """A step that BuildKit did not even look at came with the result of a later one."""
    return step is not None and step.cached is False


def _named(pattern: str, steps: Sequence[Step]) -> list[Step]:
    pieces = re.split(r"(\*|\s+)", pattern.strip())
    words = "".join(".*" if piece == "*" else r"\s+" if piece.isspace() else re.escape(piece) for piece in pieces)
    expression = re.compile(words, re.IGNORECASE | re.DOTALL)
    return [step for step in steps if any(map(expression.match, _spellings(step)))]


def _spellings(step: Step) -> tuple[str, str]:
    """With its flags, and without."""
    return step.instruction, re.sub(r"^(\w+)(?:\s+--\S+)+", r"\1", step.instruction)


def _quoted(step: Step) -> str:
    text = " ".join(step.instruction.split())
    return f"line {step.line}, `{text[:60]}{'…' if len(text) > 60 else ''}`,"


def _because(ran: Sequence[Step], step: Step) -> str:
    """The first step of the same stage that ran again took the change in."""
    cause = next((each for each in ran if each.stage == step.stage), step)
    return f", because line {cause.line} before it takes the change in" if cause is not step else ""


def _counted(steps: int) -> str:
    return "no step" if not steps else "1 step" if steps == 1 else f"{steps} steps"
