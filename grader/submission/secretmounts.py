"""RUN steps that mount a build secret, an SSH agent or a cache, and how to keep them from being taken for done."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grader.submission.stages import mounts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.submission.dockerfile import Dockerfile
    from grader.submission.instructions import Instruction
    from grader.submission.stages import Stage

_RUN = re.compile(rb"\s*(?:ONBUILD\s+)?RUN(?=\s)", re.IGNORECASE)


def needs_session(dockerfile: Dockerfile) -> bool:
    """Whether some RUN mounts a secret or an SSH agent, optional or not."""
    return any(_runs(stage, {"secret", "ssh"}) for stage in dockerfile.stages)


def mounted_ids(dockerfile: Dockerfile, stage: Stage) -> frozenset[str]:
    """The ids of the secrets that RUN steps of the stage, and of those that it is made from, mount; as written."""
    return frozenset(
        mount.options.get("id") or _last(mount.options)
        for index in (stage.index, *dockerfile.reachable(stage))
        for run in _runs(dockerfile.stages[index], {"secret"})
        for mount in mounts(run.trigger or run)
        if mount.type == "secret"
    )


def has_cache_mounts(dockerfile: Dockerfile) -> bool:
    """Whether some RUN mounts a cache."""
    return any(_runs(stage, {"cache"}) for stage in dockerfile.stages)


def renewed(data: bytes, dockerfile: Dockerfile, mark: str, types: set[str]) -> bytes | None:
    """``data`` with one more mount in each RUN that has one of ``types``: an optional secret ``mark``, given by nobody.

    BuildKit's cache does not look at the content of secrets, but at their ids: with a mark that it has not seen, these
    steps and those after them are made anew, and nothing changes for what they run. The build needs a session. Line
    numbers stay as they are. None when a line is written in such a way that this cannot be done.
    """
    lines = data.split(b"\n")
    for stage in dockerfile.stages:
        for run in _runs(stage, types):
            line = lines[run.line - 1]
            match = _RUN.match(line)
            if match is None:
                return None
            lines[run.line - 1] = b"%s --mount=type=secret,id=%s%s" % (match[0], mark.encode(), line[match.end() :])
    return b"\n".join(lines)


def _runs(stage: Stage, types: set[str]) -> list[Instruction]:
    """The RUN instructions of the stage with a mount of one of these types, what ONBUILD triggers included."""
    return [each for each in stage.instructions if any(mount.type in types for mount in mounts(each.trigger or each))]


def _last(options: Mapping[str, str]) -> str:
    """The file name that a secret without an id is named after."""
    target = next((options[key] for key in ("target", "dst", "destination") if options.get(key)), "")
    return target.rpartition("/")[2]
