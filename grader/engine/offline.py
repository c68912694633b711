"""A build that has no network because the exercise wants it so: what there is instead, and who reaches for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.engine.unstarted import shortened
from grader.errors import SubmissionError

if TYPE_CHECKING:
    from grader.engine.trace import Step


def instead(wheelhouse: str) -> str:
    """What a learner can do; ``wheelhouse`` is the context's folder of packages, "" without one."""
    if not wheelhouse:
        return "It gets none on purpose: do with what the base image and the files beside the Dockerfile bring."
    return (
        f"It gets none on purpose: what it may install lies in `{wheelhouse}/` beside the Dockerfile. "
        f"`RUN --mount=type=bind,source={wheelhouse},target=/wheels "
        "pip install --no-index --find-links=/wheels -r requirements.txt` takes it from there."
    )


def failure(step: Step, fix: str) -> SubmissionError:
    """A step asked for the network: that is the Dockerfile's mistake, whatever its log says of the network."""
    return SubmissionError(
        f"The step “{shortened(step.instruction)}” reaches for the network, and this exercise's build has none",
        fix,
        where=f"Dockerfile:{step.line}" if step.line else "",
        line=step.line,
        log=step.last_lines,
    )
