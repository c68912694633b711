"""The author's own test of an image, a pytest file."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from grader.checks import _hand as hand
from grader.checks.base import Check, Outcome, OutcomePart, failed, passed
from grader.course.model import Rule, field
from grader.errors import RubricError
from grader.result import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.checks._pytest_run import Test
    from grader.checks.subject import Subject


def _the_authors(file: str) -> str:
    parts = file.replace("\\", "/").split("/")
    if file.startswith("/") or ".." in parts or not re.fullmatch(r"test_\w+\.py", parts[-1]):
        raise ValueError(f"`{file}` is no test file in the exercise's folder; call it like checks/test_image.py")
    if parts[0] == "starter":
        raise ValueError(f"`{file}` is given to learners; put it beside `starter`")
    return file


class Pytest(Check):
    """A pytest file of the author's own runs on the grader's side; each test is a verdict of its own.

    Tests take the fixtures `image`, `app`, `dockerfile`, `build`, `subject`, `fresh`, and `container`, which runs a
    command in the image: `container(["python", "-V"]).stdout`. Marks:
    `@pytest.mark.points(10)`, `@pytest.mark.hint("...")`, as often as there are hints, and `@pytest.mark.why("...")`;
    the first line of a docstring is the title. Points of tests without the mark are what the others leave of the
    check's, in equal parts. A failed `assert` is the learner's, any other exception the author's. Only this file is
    loaded: no conftest.py, no settings, no plugins, and nothing of the learner's.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"image"})
    example: ClassVar[str] = """\
- id: behaves
  check: pytest
  file: checks/test_image.py
  points: 30
"""

    reason: ClassVar[str] = "This is what the exercise is about, in its author's own words."
    advice: ClassVar[str] = "Read what the test expected and what it found."

    looks_at: ClassVar[str] = (
        "What the tests of the exercise's author ask of the image and the running app; each of them has a verdict "
        "of its own. They run on the grader's side, not in the image."
    )

    check: Literal["pytest"]
    file: Annotated[str, Rule(_the_authors)] = field(
        description="The test file, in the exercise's folder; never in `starter`."
    )

    def run(self, subject: Subject) -> Outcome:
        """Raises ``RubricError`` when the file cannot be run, or its points are not the check's."""
        from grader.checks import _pytest_run  # noqa: PLC0415  # pytest takes longer to import than most checks to run

        path = subject.folder / self.file
        if not path.is_file():
            raise RubricError(f"There is no {self.file}", "Name a file in the exercise's folder.", where=str(path))
        tests = _pytest_run.run(path, subject)
        points = self._weighed(tests)
        parts = tuple(
            OutcomePart(test.id, test.title, worth, _outcome(test), test.why, test.hints)
            for test, worth in zip(tests, points, strict=True)
        )
        bad = [test for test in tests if test.status is not Status.PASSED]
        return Outcome(Status.FAILED if bad else Status.PASSED, self.expectation(), f"{len(bad)} failed", parts=parts)

    def _weighed(self, tests: Sequence[Test]) -> list[float]:
        """What each test is worth."""
        left = self.points - math.fsum(test.points for test in tests if test.points is not None)
        unmarked = sum(1 for test in tests if test.points is None)
        if left < -_CENT or (not unmarked and left > _CENT):
            worth = self.points - left
            raise RubricError(
                f"The tests of {self.file} are worth {worth:g} points, the check `{self.id}` {self.points:g}",
                "Let both come to the same.",
                where=self.file,
            )
        shares = iter(_shares(left, unmarked))
        return [test.points if test.points is not None else next(shares) for test in tests]

    def expectation(self) -> str:
        """What is expected, in words."""
        return self.title or f"every test of {self.file} passes"

    def by_hand(self, port: int) -> tuple[str, ...]:
        """The image and its app, to look at what a test has named."""
        look = f"docker logs {hand.APP}"
        return (*hand.start(port, target=self.target), look, f"docker exec -it {hand.APP} sh", hand.end())


_CENT = 0.005


def _shares(points: float, parts: int) -> list[float]:
    """Equal parts in cents; what does not divide goes to the first ones, so that they add up to the whole."""
    each, more = divmod(round(points * 100), parts) if parts else (0, 0)
    return [(each + (number < more)) / 100 for number in range(parts)]


def _outcome(test: Test) -> Outcome:
    if test.status is Status.PASSED:
        return passed(expected=test.title, got="it is so")
    if test.error is not None:
        told = {"where": test.error.where, "fix": test.error.fix, "log": list(test.error.log)}
        return failed(expected=test.title, got=test.got, line=test.error.line, credit=0.0, **told)
    # pytest's account of a plain `pytest.fail("...", pytrace=False)` is the message once more.
    log = [] if "\n".join(test.log).strip() == test.got else list(test.log)
    outcome = failed(expected=test.title, got=test.got, log=log)
    return outcome if test.status is Status.FAILED else Outcome(test.status, test.title, test.got)
