"""Which Dockerfile language the engine's own front end speaks, and what to do with a `# syntax=` line.

The line makes the engine pull a front end image. Since Engine 23 the built-in one knows all that the stable front end
does, so there the line costs a pull and gains nothing; Engine 20.10 knows neither heredocs nor `COPY --link`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grader.engine import bases
from grader.errors import EngineError
from grader.result import Progress, silent
from grader.submission import policy
from grader.submission.dockerfile import neutralise_syntax

if TYPE_CHECKING:
    from grader.engine.connect import Engine
    from grader.submission.dockerfile import Dockerfile

_COMPLETE_SINCE = 23
#: Podman 4.8 brought Buildah 1.33, the first that reads heredocs.
_PODMAN_HEREDOCS = (4, 8)
#: Stages that Podman is given, at most. It keeps a container mounted for each until the build is over, and cannot be
#: told to end one that runs nothing; losing the connection instead ends the whole service (Buildah's issue 7091).
_PODMAN_STAGES = 100
_NEWER_FLAGS = (
    "--link",
    "--exclude",
    "--parents",
    "--checksum",
    "--keep-git-dir",
    "--unpack",
    "--network",
    "--security",
)


def prepare(
    engine: Engine, dockerfile: Dockerfile, data: bytes, *, own: bool = False, progress: Progress = silent
) -> bytes:
    """The Dockerfile's bytes as they should be sent; the policy has already refused foreign front ends.

    ``own`` asks for the engine's own front end, whatever the Dockerfile says: not every age of Docker's knows that a
    build has no network. Raises ``EngineError`` when the Dockerfile is written in a newer language than this engine can
    be taught, or has more stages than it can carry.
    """
    if engine.name == "podman":
        _refuse_more_stages_than_podman_carries(dockerfile)
        _refuse_heredocs_before_buildah_knew_them(engine, dockerfile)
        return neutralise_syntax(data) if dockerfile.syntax else data
    if engine.at_least(_COMPLETE_SINCE):
        return neutralise_syntax(data) if dockerfile.syntax else data
    if dockerfile.syntax and not own and _is_there(engine, dockerfile.syntax, progress):
        return data
    if newer := _newer_than_built_in(dockerfile):
        raise _too_old(engine, *newer, "Docker Engine 23")
    return neutralise_syntax(data) if dockerfile.syntax else data


def _refuse_heredocs_before_buildah_knew_them(engine: Engine, dockerfile: Dockerfile) -> None:
    """An older Buildah takes a heredoc's lines for instructions, and would blame the learner for them."""
    version = tuple(int(part) for part in re.findall(r"\d+", engine.version)[:2])
    newer = _newer_than_built_in(dockerfile)
    if newer and newer[0] == "heredocs" and version < _PODMAN_HEREDOCS:
        raise _too_old(engine, *newer, "Podman 4.8")


def _refuse_more_stages_than_podman_carries(dockerfile: Dockerfile) -> None:
    if len(dockerfile.stages) > _PODMAN_STAGES:
        raise EngineError(
            f"Podman's builder is given {_PODMAN_STAGES} stages at most; the Dockerfile has {len(dockerfile.stages)}",
            "Use fewer, or Docker Engine. Nothing is counted against the submission.",
            where=f"Dockerfile:{dockerfile.stages[_PODMAN_STAGES].line}",
        )


def _too_old(engine: Engine, what: str, line: int, needed: str) -> EngineError:
    return EngineError(
        f"This engine ({engine.version}) is too old for {what}",
        f"Use {needed} or later. Nothing is counted against the submission.",
        where=f"Dockerfile:{line}",
    )


def _is_there(engine: Engine, reference: str, progress: Progress) -> bool:
    try:
        bases.ensure(engine, [policy.normalise(reference)], stand_ins=False, timeout=60, progress=progress)
    except EngineError:
        return False
    return True


def _newer_than_built_in(dockerfile: Dockerfile) -> tuple[str, int] | None:
    for stage in dockerfile.stages:
        for instruction in stage.instructions:
            if instruction.heredocs:
                return "heredocs", instruction.line
            for flag in instruction.flags:
                if flag.partition("=")[0] in _NEWER_FLAGS:
                    return f"{instruction.keyword} {flag.partition('=')[0]}", instruction.line
    return None
