"""What can be said of a submission before anything is built: a few milliseconds after it was saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader import judging
from grader.errors import GraderError
from grader.making import Maker
from grader.result import silent

if TYPE_CHECKING:
    from grader.request import Request
    from grader.result import CheckResult


@dataclass(frozen=True)
class Structure:
    """``problem`` is why it will not be built: its files, how the Dockerfile is written, or what it asks for.

    ``checks`` are the verdicts on those checks that need no engine. ``digest`` is that of the files (see `Submission`),
    None when they could not be taken.
    """

    digest: str | None
    problem: GraderError | None
    checks: tuple[CheckResult, ...]


def judge(request: Request) -> Structure:
    """Judges what was handed in, as it lies there now; no engine is asked, and nothing is raised for what is wrong."""
    maker = Maker(request, fresh="")
    problem = None
    try:
        maker.prepare()
    except GraderError as error:
        problem = error
    submission = maker.submission.made
    if submission is None:
        return Structure(None, problem, ())
    checks = [check for check in request.checks if check.of_files]
    return Structure(submission.digest, problem, judging.judge(maker.subject, checks, silent))
