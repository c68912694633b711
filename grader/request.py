"""What is asked of a grading, and what it went through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grader.result import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from grader.checks.base import Check
    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.engine.connect import Engine
    from grader.engine.trace import Step
    from grader.result import GradeResult
    from grader.running import Stop


@dataclass(frozen=True)
class Seen:
    """What a grading went through beside its result: the Dockerfile as it was graded, and the steps of its build with
    their whole logs, also of one that failed.
    """

    dockerfile: bytes = b""
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Request:
    """What is to be graded.

    Of the ``rubric`` nothing but its settings is asked before the image is built: the rest may be read meanwhile
    (`course.remembered`). ``engine`` is called when an engine is first needed, so that a Dockerfile that cannot be read
    costs no engine. ``only`` names the checks to run, all when empty; ``stand_ins`` says that the user agreed to base
    images built from Debian packages where no registry is reached. ``stop`` ends the grading from another thread.
    ``judged`` is told the verdict before what was made is removed, so that nobody waits for that, and what there was to
    see beside it.
    """

    exercise: Exercise
    rubric: Rubric
    folder: Path
    engine: Callable[[], Engine]
    name: str | None = None
    only: Sequence[str] = ()
    stand_ins: bool = False
    progress: Progress = field(default=silent, repr=False)
    stop: Stop | None = field(default=None, repr=False)
    judged: Callable[[GradeResult, Seen], None] | None = field(default=None, repr=False)

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks that are asked for."""
        return tuple(check for check in self.rubric.checks if not self.only or check.id in self.only)
