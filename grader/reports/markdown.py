"""The verdict as Markdown, for a workflow's summary, a comment or a release: GitHub's and GitLab's dialect.

What a learner or a program of theirs wrote stands in fences alone, each longer than any in it, where it is neither
markup nor a mention of somebody; what the rubric's author wrote is escaped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TextIO

from grader.reports import _words
from grader.reports._picture import picture
from grader.reports._text import last_state, one_line
from grader.reports._workflow import harmless
from grader.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.reports import Telling
    from grader.result import CheckResult, GradeResult

_SIGN = {Status.PASSED: "✅", Status.FAILED: "❌", Status.SKIPPED: "⏭️", Status.ERROR: "⚠️"}
#: A comment on GitHub takes 65,536 characters; a release and a summary take more.
_LONGEST = 60_000
_MARKUP = re.compile(r"[\\`*_{}\[\]<>#!|~&$:]|^[-+=]|(?<=^\d)[.)]|(?<=^\d\d)[.)]")


def write(result: GradeResult, telling: Telling, out: TextIO) -> None:
    """Writes the verdict, a table of the checks, the failures opened, and what the image weighs."""
    parts = [*_head(result), *_table(result)]
    tail = [*_sizes(result), *_foot(result)]
    left = _LONGEST - sum(map(len, (*parts, *tail)))
    opened = list(_opened(result, telling))
    while opened and len(opened[0]) < left:
        left -= len(opened[0])
        parts.append(opened.pop(0))
    if opened:
        parts.append(f"*{len(opened)} more are not opened here, because this would become too long.*")
    out.write("\n\n".join([*parts, *tail]) + "\n")


def _head(result: GradeResult) -> Iterator[str]:
    yield f"## {_escaped(result.exercise)}: {_escaped(result.title)}"
    sign = _SIGN[result.status]
    yield f"{sign} **{_escaped(_words.verdict(result))}**"
    if problem := _words.untold(result):
        yield _fenced([*_rows(_words.problem_facts(problem)), *_words.problem_log(problem)])


def _table(result: GradeResult) -> Iterator[str]:
    if not result.checks:
        return
    rows = ["| | check | points | line |", "|---|---|--:|--:|"]
    for check in result.checks:
        line = str(check.line) if check.line and check.status is not Status.PASSED else ""
        rows.append(f"| {_SIGN[check.status]} | {_title(check)} | {_words.points(check)} | {line} |")
    yield "\n".join(rows)


def _opened(result: GradeResult, telling: Telling) -> Iterator[str]:
    problem = result.problem
    for check in result.checks:
        told_above = problem and check.status is Status.ERROR and check.got == problem.what
        if check.status in (Status.FAILED, Status.ERROR) and not told_above:
            yield "\n\n".join(_details(check, telling))


def _details(check: CheckResult, telling: Telling) -> Iterator[str]:
    yield f"### {_SIGN[check.status]} {_title(check)}"
    told = dict(_words.facts(check))
    why, hint = told.pop("why", ""), told.pop("hint", "")
    yield _fenced([*_rows(tuple(told.items())), *_quoted(check.line, telling)])
    if why:
        yield _escaped(why)
    if hint:
        yield f"**Hint:** {_escaped(hint)}"
    if log := _words.log(check):
        yield f"<details><summary>Log</summary>\n\n{_fenced(log)}\n\n</details>"


def _sizes(result: GradeResult) -> Iterator[str]:
    if result.image:
        yield "### What the image weighs"
        yield _fenced(picture(result.image))


def _foot(result: GradeResult) -> Iterator[str]:
    lines = _words.summary(result)
    if lines:
        yield _fenced(lines)


def _rows(rows: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{label:<9} {text}" for label, text in rows]


def _quoted(line: int | None, telling: Telling) -> Iterator[str]:
    if line is None:
        return
    known = 1 <= line <= len(telling.dockerfile)
    text = _words.cut(last_state(telling.dockerfile[line - 1]).strip(), 300) if known else ""
    yield f"line {line:<4} {text}".rstrip()


def _title(check: CheckResult) -> str:
    return _escaped(_words.cut(one_line(check.title), 200))


def _escaped(text: str) -> str:
    """``text`` without any meaning in Markdown; a mention in it would still notify somebody, and is none."""
    return _MARKUP.sub(r"\\\g<0>", harmless(one_line(text))).replace("@", "&#64;&#8203;")


def _fenced(lines: Sequence[str]) -> str:
    text = harmless("\n".join(lines))
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"
