"""A row a check, for spreadsheets. UTF-8, commas, one line a row.

A cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return is a formula to a spreadsheet, and so may be what
follows a semicolon where that parts the cells. An apostrophe before it makes it text. (OWASP, "CSV Injection".)
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any, TextIO

from grader.reports._text import one_line
from grader.reports._words import cut
from grader.reports._workflow import harmless

if TYPE_CHECKING:
    from grader.reports import Telling
    from grader.result import CheckResult, GradeResult

COLUMNS = (
    "exercise", "submission", "status", "score", "max_score",
    "check", "title", "check_status", "fault", "check_score", "check_max_score", "bonus",
    "line", "expected", "got", "seconds",
)  # fmt: skip
#: The ASCII signs and their full-width twins, which spreadsheets take for the same.
_FORMULA = re.compile(r"(^|;)(\s*)(?=[=+\-@＝＋－＠])")  # noqa: RUF001


def write(result: GradeResult, telling: Telling, out: TextIO) -> None:  # noqa: ARG001  # a table has no room for a Dockerfile
    """Writes the names of the columns, then the rows. Every text is quoted, and no number is."""
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(COLUMNS)
    for check in result.checks:
        writer.writerow([cell(content) for content in (*_whole(result), *_row(check))])


def _whole(result: GradeResult) -> tuple[Any, ...]:
    return (result.exercise, result.submission.name, str(result.status), result.score, result.max_score)


def _row(check: CheckResult) -> tuple[Any, ...]:
    return (
        check.id,
        check.title,
        str(check.status),
        str(check.fault or ""),
        check.score,
        check.max_score,
        "yes" if check.bonus else "no",
        check.line,
        check.expected,
        check.got,
        check.duration,
    )


def cell(content: Any) -> Any:
    """Texts made harmless; numbers without a fraction that is none; nothing for None."""
    if isinstance(content, str):
        return _FORMULA.sub(r"\1\2'", cut(harmless(one_line(content))))
    whole = isinstance(content, float) and content.is_integer()
    return "" if content is None else int(content) if whole else content
