"""What each learner gets: the result as JSON, and the verdict to read, in every format that a person reads."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from grader import reports
from grader.bulk.files import written
from grader.bulk.handed import opened
from grader.errors import GraderError
from grader.reports import Telling
from grader.result import GradeResult
from grader.submission.files import DOCKERFILE, MIB

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from grader.bulk.gradebook import Grade
    from grader.bulk.roster import Handed

RESULTS, FEEDBACK = "results", "feedback"
#: The formats that are written for each learner, where there is one of that name, and the ending of their files.
FORMATS = {"html": ".html", "markdown": ".md"}


def write(out: Path, grade: Grade) -> None:
    """Writes ``results/<learner>.json`` and ``feedback/<learner>.*``, unless they are there as they should be."""
    if grade.result is None:
        return
    changed = written(
        out / RESULTS / f"{grade.file}.json", json.dumps(grade.result, indent=2, ensure_ascii=False) + "\n"
    )
    files = {name: out / FEEDBACK / f"{grade.file}{end}" for name, end in FORMATS.items() if reports.exists(name)}
    if not changed and all(file.is_file() for file in files.values()):
        return
    result = revived(grade.result)
    telling = Telling(_dockerfile(grade.row.handed))
    for name, file in files.items():
        text = io.StringIO()
        reports.load(name)(result, telling, text)
        written(file, text.getvalue())


def revived(content: Mapping[str, Any]) -> GradeResult:
    """The result that a ``grader.result/1`` object was made of."""
    from pydantic import TypeAdapter  # noqa: PLC0415

    found: GradeResult = TypeAdapter(GradeResult).validate_python(
        {key: value for key, value in content.items() if key != "schema"}
    )
    return found


def _dockerfile(handed: Handed | None) -> tuple[str, ...]:
    """Its lines, to quote from; none where it cannot be read."""
    with suppress(OSError, GraderError):
        if handed is not None:
            with opened(handed) as folder, (folder / DOCKERFILE).open("rb") as file:
                return tuple(file.read(MIB).decode(errors="replace").splitlines())
    return ()
