"""What failed, as workflow commands that GitHub shows beside the Dockerfile's lines: ``::error file=…,line=…::…``.

(GitHub's documentation, "Workflow commands": Setting an error message.) GitHub shows ten errors, ten warnings and ten
notices of a step, so that what costs most comes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from grader.reports import _words
from grader.reports._text import one_line
from grader.reports._workflow import data, harmless, value
from grader.result import Fault, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.reports import Telling
    from grader.result import CheckResult, GradeResult


def write(result: GradeResult, telling: Telling, out: TextIO) -> None:
    """A command a line: first what failed, last the verdict."""
    out.writelines(command + "\n" for command in _commands(result, telling))


def _commands(result: GradeResult, telling: Telling) -> Iterator[str]:
    if problem := _words.untold(result):
        level = "error" if problem.fault is Fault.LEARNER else "warning"
        text = _words.told(_words.problem_facts(problem), _words.problem_log(problem))
        yield _command(level, one_line(problem.what), text, telling if problem.line else None, problem.line)
    failed = [check for check in result.checks if check.status is Status.FAILED]
    for check in sorted(failed, key=_lost, reverse=True):
        title = f"{one_line(check.title)} ({_words.points(check)})"
        yield _command(_level(check, result), title, _words.explained(check), telling, check.line)
    yield _command(
        "warning" if result.status is Status.ERROR else "notice", "Verdict", _words.verdict(result), None, None
    )


def _lost(check: CheckResult) -> float:
    return check.max_score - (check.score or 0.0)


def _level(check: CheckResult, result: GradeResult) -> str:
    """A bonus that was missed is no error, and neither is what did not keep the whole from passing."""
    if check.bonus:
        return "notice"
    return "warning" if result.status is Status.PASSED else "error"


def _command(level: str, title: str, text: str, telling: Telling | None, line: int | None) -> str:
    place = f"file={value(telling.path)},line={line or 1}," if telling else ""
    # The data of a command is printed, too, and the older form of a command is one anywhere in a line.
    return f"::{level} {harmless(f'{place}title={value(_words.cut(title, 200))}')}::{harmless(data(text))}"
