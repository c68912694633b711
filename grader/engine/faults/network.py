"""Whether builds reach the network, found out by a build of our own: the control of an experiment.

A package that cannot be found may be misspelt, or the network may be gone without a word in the log. A step of ours, in
the same base image, through the same proxies, tells the two apart; nothing of the learner's runs in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.submission.stages import SCRATCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.trace import Step
    from grader.submission.dockerfile import Dockerfile

#: Seconds that the control may take; an index that has not answered by then is not reached.
LIMIT = 60.0
#: What it ends with when the index was not reached: no shell and no tool gives this code for anything else.
UNREACHED = 75

_APT = "apt-get update -o Acquire::Retries=1 -o APT::Update::Error-Mode=any"
_APK = "apk update"
_PIP = "pip download --retries 1 --timeout 15 --no-cache-dir --no-deps -d /tmp/control pip"
_PIP_SAYS = ("from versions", "No matching distribution", "pip._vendor", "urllib3", "pip/")


def controls(dockerfile: Dockerfile, step: Step) -> Iterator[str]:
    """Dockerfiles that fetch from where ``step`` fetches from, the likeliest first.

    Each ends with `UNREACHED` when that is not reached. In a base image without a shell or a tool to fetch with,
    nothing can be found out, and it ends in another way.
    """
    tools = [("apt-get", _APT), ("apk", _APK), ("pip", _PIP)]
    if any(sign in step.log for sign in _PIP_SAYS):
        tools.reverse()
    commands = " ".join(f"if command -v {tool}; then {fetch} || exit {UNREACHED}; exit 0; fi;" for tool, fetch in tools)
    for base in bases(dockerfile, step):
        yield f"FROM {base}\nUSER 0\nRUN {commands} exit 1\n"


def bases(dockerfile: Dockerfile, step: Step) -> Iterator[str]:
    """The base images of the Dockerfile, that of the step first."""
    own = (stage for stage in dockerfile.stages if any(each.line == step.line for each in stage.instructions))
    found = dict.fromkeys(dockerfile.base_image(stage) for stage in (*own, *dockerfile.stages))
    return (base for base in found if base != SCRATCH)
