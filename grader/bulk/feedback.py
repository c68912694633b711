"""What each learner gets: the result as JSON, and the verdict to read, in every format that a person reads."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from grader import reports
from grader.bulk.handed import opened
from grader.errors import GraderError
from grader.files import holds, put_if_other
from grader.reports import Telling
from grader.result import GradeResult
from grader.submission.files import DOCKERFILE, MIB

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import TypeAdapter

    from grader.bulk.gradebook import Grade

RESULTS, FEEDBACK = "results", "feedback"
#: The formats that are written for each learner, where there is one of that name, and the ending of their files.
FORMATS = {"html": ".html", "markdown": ".md"}


def write(out: Path, grade: Grade) -> None:
    """Writes ``feedback/<learner>.*`` and ``results/<learner>.json``, unless they are there as they should be.

    The result comes last: where it is as it should be, so is the feedback.
    """
    if grade.result is None:
        return
    kept = out / RESULTS / f"{grade.file}.json"
    content = json.dumps(grade.result, indent=2, ensure_ascii=False) + "\n"
    files = {name: out / FEEDBACK / f"{grade.file}{end}" for name, end in formats().items()}
    if holds(kept, content) and all(file.is_file() for file in files.values()):
        return
    result = revived(grade.result)
    telling = Telling(_dockerfile(grade))
    for name, file in files.items():
        text = io.StringIO()
        reports.load(name)(result, telling, text)
        put_if_other(file, text.getvalue())
    put_if_other(kept, content)


@cache
def formats() -> dict[str, str]:
    """Those that there are, and the endings of their files."""
    return {name: end for name, end in FORMATS.items() if reports.exists(name)}


def revived(content: Mapping[str, Any]) -> GradeResult:
    """The result that a ``grader.result/1`` object was made of."""
    return _reader().validate_python({key: value for key, value in content.items() if key != "schema"})


@cache
def _reader() -> TypeAdapter[GradeResult]:
    from pydantic import TypeAdapter  # noqa: PLC0415

    return TypeAdapter(GradeResult)


def _dockerfile(grade: Grade) -> tuple[str, ...]:
    """Its lines, to quote from; none where it cannot be read, or was refused: a link may lead to what is not theirs."""
    if grade.row.handed is None or not grade.result or grade.result["submission"]["digest"] is None:
        return ()
    with suppress(OSError, GraderError), opened(grade.row.handed) as folder:
        file = folder / DOCKERFILE
        if not file.is_symlink() and file.is_file() and file.stat().st_size <= MIB:
            # Not splitlines: it knows more line ends than a Dockerfile has, and the numbers would no longer fit.
            text = file.read_bytes().decode("utf-8-sig", errors="replace")
            return tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))
    return ()
