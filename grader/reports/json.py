"""The result as one JSON object, `grader.result/1`: see `grader.result`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from grader.reports import Telling
    from grader.result import GradeResult


def write(result: GradeResult, telling: Telling, out: TextIO) -> None:  # noqa: ARG001  # JSON leaves nothing out
    """One object and a line feed; ASCII only, so that no terminal or log encoding can spoil it."""
    out.write(json.dumps(result.to_json(), indent=2, allow_nan=False) + "\n")
