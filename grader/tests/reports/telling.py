"""A result told in a format, as a text."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from grader.reports import Telling, load
from grader.tests.reports.results import DOCKERFILE

if TYPE_CHECKING:
    from grader.result import GradeResult


def told(
    name: str, result: GradeResult, *, dockerfile: tuple[str, ...] = DOCKERFILE, path: str = "Dockerfile",
    function: str = "write",
) -> str:  # fmt: skip
    out = io.StringIO()
    load(name, function)(result, Telling(dockerfile, path=path), out)
    return out.getvalue()
