"""Exit codes that are expected: one, or any of several."""

from __future__ import annotations

from typing import Annotated

from grader.course.model import Rule


def _some(value: int | tuple[int, ...]) -> int | tuple[int, ...]:
    if value == ():
        raise ValueError("exit_code is empty; name one or several, or leave it out")
    return value


ExitCode = Annotated[int, Rule(ge=0, le=255)]
ExitCodes = Annotated[ExitCode | tuple[ExitCode, ...], Rule(_some)]


def several(codes: int | tuple[int, ...]) -> tuple[int, ...]:
    """Those that a rubric names, whether it is one or several."""
    return codes if isinstance(codes, tuple) else (codes,)
