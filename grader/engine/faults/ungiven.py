"""What engines say when a RUN mounts, as required, a build secret or an SSH agent that nobody gives."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grader.errors import SubmissionError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Engine 28 and 20.10, then Podman 4.3.
_SECRET = re.compile(
    r"(?:^|: )(?:secret (.+?)(?: not found)?: not found|secret required but no secret with id (.+) found)$",
    re.MULTILINE,
)
_MOUNT = re.compile(r"--mount=(\S+)")
_AGENT = re.compile(
    r'(?:^|: )(?:no SSH key ".*" forwarded from the client|ssh required but no ssh with id .+ found)$', re.MULTILINE
)


def failure(error: str, given: Sequence[str], line: int | None) -> SubmissionError | None:
    """The learner's mistake that ``error`` tells of, if it is this one; ``given`` are the ids that there are."""
    where = f"Dockerfile:{line}" if line else ""
    if _AGENT.search(error):
        what = "The Dockerfile asks for an SSH agent, which builds are not given here"
        return SubmissionError(what, "Take `--mount=type=ssh` out of it.", where=where, line=line)
    match = _SECRET.search(error)
    if match is None:
        return None
    return SubmissionError(
        f"The Dockerfile asks for the build secret `{match[1] or match[2]}`, which this exercise does not give",
        _way_out(given),
        where=where,
        line=line,
    )


def mounted(instruction: str, given: Sequence[str]) -> str:
    """What to say of a RUN that failed and mounts, as optional, a secret that nobody gives; nothing if it does not."""
    for mount in _MOUNT.findall(instruction):
        options = dict(option.partition("=")[::2] for option in mount.split(","))
        if options.get("type") == "secret" and (wanted := options.get("id")) and wanted not in given:
            return f"It mounts the build secret `{wanted}`, which this exercise does not give. {_way_out(given)}"
    return ""


def _way_out(given: Sequence[str]) -> str:
    known = ", ".join(f"`{secret}`" for secret in sorted(given))
    return f"It gives {known}: name it in `--mount=type=secret,id=`." if known else "It gives none: take the mount out."
