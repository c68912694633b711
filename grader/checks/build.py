"""Does it build at all?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from grader.checks import _hand as hand
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import field
from grader.course.units import Duration, human_time

if TYPE_CHECKING:
    from grader.checks.subject import Subject


class Build(Check):
    """The image builds, within a time if one is given."""

    example: ClassVar[str] = """\
- id: builds
  check: build
  within: 90s
  points: 10
  required: true
"""

    reason: ClassVar[str] = "Without an image there is nothing to run and nothing to look at."
    advice: ClassVar[str] = "Build it yourself with `docker build .` and read the first error, not the last."

    looks_at: ClassVar[str] = (
        "Whether `docker build` comes to its end with your files, and how long it takes. Which steps came from "
        "the cache is BuildKit's own word."
    )

    check: Literal["build"]
    within: Duration | None = field(default=None, description="The longest that the build may take.")
    args: dict[str, str] = field(default={}, description="Build arguments, as `--build-arg` gives them.")

    def only_reads(self) -> bool:
        return not self.args

    def run(self, subject: Subject) -> Outcome:
        """Fails with what the learner's files did wrong."""
        build = subject.rebuild({}, args=self.args, target=self.target) if self.args else subject.build
        cached = sum(1 for step in build.steps if step.cached)
        evidence: dict[str, Any] = {"steps": len(build.steps), "cached": cached, "duration": round(build.duration, 3)}
        got = f"built in {human_time(build.duration)}"
        if self.within is None or build.duration <= self.within:
            return passed(expected=self.expectation(), got=got, **evidence)
        slowest = max(build.steps, key=lambda step: step.duration or 0.0, default=None)
        if slowest is not None:
            got += f"; {human_time(slowest.duration or 0.0)} of it in “{slowest.instruction[:80]}”"
        return failed(expected=self.expectation(), got=got, line=slowest.line if slowest else None, **evidence)

    def expectation(self) -> str:
        """What is expected, in words."""
        what = f"the stage `{self.target}` builds" if self.target else "the image builds"
        given = f" with {', '.join(f'{name}={value}' for name, value in self.args.items())}" if self.args else ""
        return what + given + (f" within {human_time(self.within)}" if self.within else "")

    def by_hand(self, port: int) -> tuple[str, ...]:  # noqa: ARG002  # for checks of a running app
        """The build, with every line of its log."""
        args = " ".join(f"--build-arg {hand.quoted(f'{name}={value}')}" for name, value in self.args.items())
        return (hand.build(self.target, options=f"--progress=plain {args}".strip()),)
