"""Whether builds reach the network, found out by a build of our own: the control of an experiment.

A package that cannot be found may be misspelt, or the network may be gone without a word in the log. A step of ours, in
the same base image, through the same proxies, tells the two apart; nothing of the learner's runs in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.submission import context as contexts
from grader.submission import dockerfile as dockerfiles
from grader.submission.files import DOCKERFILE, File

if TYPE_CHECKING:
    from grader.engine.trace import Step
    from grader.submission.context import Context
    from grader.submission.dockerfile import Dockerfile

#: Seconds that the control may take; an index that has not answered by then is not reached.
LIMIT = 60.0

# Where the tool is not in the base image nothing can be found out, and the verdict stays as it is.
_APT = "command -v apt-get || exit 0; apt-get update -o Acquire::Retries=1 -o APT::Update::Error-Mode=any"
_PIP = "command -v pip || exit 0; pip download --retries 1 --timeout 15 --no-cache-dir --no-deps -d /tmp/control pip"


def control(dockerfile: Dockerfile, step: Step) -> tuple[Context, Dockerfile] | None:
    """A build that fetches from where ``step`` fetches from; None when there is no telling where that is."""
    base = _base_of(dockerfile, step)
    if base is None or base == "scratch":
        return None
    command = _PIP if "from versions" in step.log or "No matching distribution" in step.log else _APT
    text = f"FROM {base}\nUSER 0\nRUN {command}\n".encode()
    return contexts.pack({DOCKERFILE: File(text)}), dockerfiles.parse(text)


def _base_of(dockerfile: Dockerfile, step: Step) -> str | None:
    for stage in dockerfile.stages:
        if any(instruction.line == step.line for instruction in stage.instructions):
            return dockerfile.base_image(stage)
    return None
