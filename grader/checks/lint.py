"""What does hadolint say of the Dockerfile?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from grader.checks import _hand as hand
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import Rule, field
from grader.result import Status
from grader.submission import lint as linting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.checks.subject import Subject
    from grader.submission.lint import Finding

Code = Annotated[str, Rule(pattern=r"^(DL|SC)[0-9]{4}$")]


class Lint(Check):
    """hadolint finds nothing in the Dockerfile, or no more than it may: its own rules (DL) and those on shells (SC).

    Comments that would silence it do not. hadolint comes with `pip install 'image-grader[lint]'`; without it a check
    that is worth points is an error of the installation, and one with `points: 0` is left out.
    """

    example: ClassVar[str] = """\
- id: good-habits
  check: lint
  rules: [DL3008, DL3013, DL3042]
  points: 5
"""

    reason: ClassVar[str] = "These habits keep an image small, and its next build the same as this one."
    advice: ClassVar[str] = "Look the rule up by its code in hadolint's wiki: each has a page with an example."

    looks_at: ClassVar[str] = (
        "The text of your Dockerfile, by the rules of the linter hadolint. Comments that would silence it do not."
    )

    check: Literal["lint"]
    rules: tuple[Code, ...] = field(default=(), description="Codes of the rules that count, such as DL3008.")
    ignore: tuple[Code, ...] = field(default=(), description="Codes of rules that do not count.")
    level: linting.Level = field(
        default="warning", description="Without `rules`, everything of this level and above counts."
    )
    max: int = field(default=0, ge=0, description="How many findings are let pass.")

    @classmethod
    def refuse(cls, written: Mapping[str, Any]) -> None:
        if written.get("rules") and (written.get("ignore") or "level" in written):
            raise ValueError("rules says which count; drop ignore and level")

    def run(self, subject: Subject) -> Outcome:
        """Names each finding with its line."""
        expected = self.expectation()
        if not self.points and not linting.installed():
            got = "not run: hadolint is not installed; `pip install 'image-grader[lint]'` brings it"
            return Outcome(Status.SKIPPED, expected, got)
        found = [finding for finding in linting.lint(subject.dockerfile, self.rules) if self._counts(finding)]
        unreadable = next((finding for finding in found if finding.code == linting.UNREADABLE), None)
        if unreadable is not None:
            return self._not_linted(subject, unreadable)
        evidence = [
            {"code": one.code, "level": one.level, "line": one.line, "message": one.message} for one in found[:100]
        ]
        if len(found) <= self.max:
            got = _told(found) if found else "nothing of the kind"
            return passed(expected=expected, got=got, findings=evidence)
        return failed(expected=expected, got=_told(found), line=found[0].line, findings=evidence, count=len(found))

    def expectation(self) -> str:
        """What is expected, in words."""
        count = f"at most {self.max} finding{'s' * (self.max != 1)}" if self.max else "no finding"
        if self.rules:
            return f"{count} of hadolint's {', '.join(self.rules)}"
        ignored = f", {', '.join(self.ignore)} aside" if self.ignore else ""
        return (
            f"{count} of hadolint of the level {self.level}" + ("" if self.level == "error" else " or worse") + ignored
        )

    def by_hand(self, port: int) -> tuple[str, ...]:  # noqa: ARG002  # for checks of a running app
        """The linter, in a container of its own."""
        ignored = "".join(f" --ignore {code}" for code in self.ignore)
        picked = f" | grep -E {hand.quoted('|'.join(self.rules))}" if self.rules else ""
        level = "" if self.rules else f" --failure-threshold {self.level}"
        return (f"docker run --rm -i hadolint/hadolint hadolint{ignored}{level} - < Dockerfile{picked}",)

    def _counts(self, finding: Finding) -> bool:
        if finding.code == linting.UNREADABLE:
            return True
        if self.rules:
            return finding.code in self.rules
        bad_enough = linting.LEVELS.index(finding.level) <= linting.LEVELS.index(self.level)
        return bad_enough and finding.code not in self.ignore

    def _not_linted(self, subject: Subject, finding: Finding) -> Outcome:
        """What the engine cannot read either is told by the build; the rest hadolint is not satisfied with.

        Were it a fault of ours, one odd line would keep a whole submission from being graded.
        """
        _ = subject.build
        what = f"hadolint cannot read line {finding.line}, which the engine can: {finding.message}"
        if self.points:
            got = f"{what}; write that line in another way"
            return failed(expected=self.expectation(), got=got, line=finding.line)
        return Outcome(Status.SKIPPED, self.expectation(), f"not run: {what}", finding.line)


def _told(found: list[Finding]) -> str:
    words = [f"line {one.line}: {one.code} {one.message}" for one in found[:5]]
    return "; ".join(words) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
