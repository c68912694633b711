"""Does one stage build, and does it do its job?"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from grader.checks import _hand as hand
from grader.checks._change import changed
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import field
from grader.errors import SubmissionError

if TYPE_CHECKING:
    from grader.checks.subject import Subject


class Target(Check):
    """The stage builds on its own, and where `fails_when` is given, it fails to build with those changes.

    That is how a stage shows that it runs the tests: one that only holds them builds with a broken app as well. One
    that compares the app's digest fails with any change, also with those of `builds_when`, which break nothing. Any
    other check is asserted on a stage's image by its `target`.
    """

    example: ClassVar[str] = """\
- id: tests-run
  check: target
  target: test
  fails_when:
    app.py: "raise SystemExit('broken on purpose')"
  builds_when:
    app.py: "# {fresh}"
  points: 20
"""

    reason: ClassVar[str] = "A stage that can be built by its name is a step of its own: to test, to debug, to reuse."
    advice: ClassVar[str] = "Try it with `docker build --target NAME .`, and name the stage with `FROM ... AS NAME`."

    looks_at: ClassVar[str] = (
        "Whether one stage of your Dockerfile builds on its own, by its name; and whether it fails to build when "
        "it should, with a file broken on purpose."
    )

    check: Literal["target"]
    target: str = field(min_length=1, description="The stage's name, as in `FROM ... AS NAME`.")
    fails_when: dict[str, str] = field(
        default={}, description="Files, and what is added at their end; with that the stage may not build."
    )
    builds_when: dict[str, str] = field(
        default={}, description="Files, and what is added at their end; with that the stage builds all the same."
    )

    def run(self, subject: Subject) -> Outcome:
        """``subject`` is the stage's."""
        stage = subject.dockerfile.final
        build = subject.build
        if self.builds_when:
            try:
                subject.rebuild(changed(subject, self.builds_when), target=self.target)
            except SubmissionError as error:
                got = (
                    f"it fails as well with a change of {', '.join(self.builds_when)} that breaks nothing: {error.what}"
                )
                return failed(expected=self.expectation(), got=got, line=error.line or stage.line)
        if not self.fails_when:
            return passed(expected=self.expectation(), got=f"it builds, in {len(build.steps)} steps")
        try:
            rebuilt = subject.rebuild(changed(subject, self.fails_when), target=self.target)
        except SubmissionError as error:
            return passed(expected=self.expectation(), got=f"it fails then: {error.what}")
        names = ", ".join(self.fails_when)
        got = f"it builds even with a broken {names}"
        ran = {step.instruction.split()[0].upper() for step in rebuilt.steps if step.cached is False and step.line}
        # When only FROM is left, all of it came from the cache: what looked at the change did so in an earlier build.
        if ran - {"FROM"} and "RUN" not in ran:
            got += "; no RUN of it looked at the change"
        return failed(expected=self.expectation(), got=got, line=stage.line)

    def expectation(self) -> str:
        """What is expected, in words."""
        broken = f", and fails to when {', '.join(self.fails_when)} is broken" if self.fails_when else ""
        harmless = f", also after a harmless change of {', '.join(self.builds_when)}" if self.builds_when else ""
        return f"the stage `{self.target}` builds{harmless}{broken}"

    def by_hand(self, port: int) -> tuple[str, ...]:  # noqa: ARG002  # for checks of a running app
        """The stage, and once more with what has to make it fail."""
        broken = [
            f"printf '\\n%s\\n' {hand.quoted(text)} >> {hand.quoted(name)}" for name, text in self.fails_when.items()
        ]
        again = [f"{hand.build(self.target)}; echo exit code $?"] if broken else []
        return (hand.build(self.target), *broken, *again)
