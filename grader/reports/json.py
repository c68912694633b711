"""The result as one JSON object, `grader.result/1`: see `grader.result`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from grader.reports._json import dumps

if TYPE_CHECKING:
    from grader.reports import Telling
    from grader.result import GradeResult


def write(result: GradeResult, telling: Telling, out: TextIO) -> None:  # noqa: ARG001  # JSON leaves nothing out
    """One object and nothing else."""
    out.write(dumps(result.to_json()))
