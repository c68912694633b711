"""Single lines of a `.dockerignore`: what one would leave out of the build context, and which COPY takes that in.

What a pattern matches is defined by Moby's `patternmatcher`.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from e2b_dockerfile_utils import PatternMatcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.submission.dockerfile import Dockerfile, Instruction


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a path in the context is one that ``pattern`` names, or lies below one.

    Raises ValueError for what is no pattern of its own: a comment, an exception (`!`), nothing at all.
    """
    line = pattern.strip()
    if not line or line.startswith(("#", "!")) or "\n" in line:
        raise ValueError(f"`{pattern}` is no pattern; write it like a line of .dockerignore: .git or **/*.pyc")
    try:
        found = PatternMatcher([line])
    except ValueError as error:
        raise ValueError(f"`{pattern}` is no pattern: {error}; mend it") from error
    return found.matches


def taken_by(dockerfile: Dockerfile, path: str) -> Instruction | None:
    """The first COPY or ADD that takes ``path`` out of the build context; None when none does, as far as it is told."""
    for stage in dockerfile.stages:
        for instruction in stage.instructions:
            if instruction.keyword in {"COPY", "ADD"} and not instruction.flag_values("from"):
                sources = () if instruction.heredocs else instruction.args[:-1]
                if any(_takes(source, path) for source in sources):
                    return instruction
    return None


def _takes(source: str, path: str) -> bool:
    # Nothing leads out of the context: BuildKit takes `..` at its top for the top itself.
    inside = posixpath.normpath(f"/{source}").strip("/")
    if not inside:
        return True
    try:
        return matcher(inside)(path)
    except ValueError:
        return False
