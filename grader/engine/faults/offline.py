"""A build that has no network because the exercise wants it so: what there is instead, and who reaches for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.course.wheelhouse import FOLDER
from grader.engine.faults.unstarted import shortened
from grader.errors import SubmissionError

if TYPE_CHECKING:
    from grader.engine.trace import Step


def instead(requirements: str) -> str:
    """What a learner can do; ``requirements`` is the file whose packages are in the context, "" for none."""
    if not requirements:
        return "Do with what the base image and the files beside the Dockerfile bring."
    return (
        f"What a step may install lies in `{FOLDER}/` beside the Dockerfile: "
        f"`RUN --mount=type=bind,source={FOLDER},target=/wheels "
        f"pip install --no-index --find-links=/wheels -r {requirements}` takes it from there."
    )


def failure(step: Step, fix: str) -> SubmissionError:
    """A step asked for the network: that is the Dockerfile's mistake, whatever its log says of the network."""
    return SubmissionError(
        f"The step “{shortened(step.instruction)}” reaches for the network, and this exercise builds without one",
        fix,
        where=f"Dockerfile:{step.line}" if step.line else "",
        line=step.line,
        log=step.last_lines,
    )
