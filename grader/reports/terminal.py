"""The verdict for a person at a terminal: one line a check, failures opened, readable without colour."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from grader.course.units import human_size, human_time
from grader.reports._text import one_line, printable
from grader.result import Fault, Status

if TYPE_CHECKING:
    from grader.reports import Telling
    from grader.result import CheckResult, GradeResult

_STYLE = {Status.PASSED: "green", Status.FAILED: "bold red", Status.SKIPPED: "dim", Status.ERROR: "bold yellow"}
_WORD = {Status.PASSED: "passed", Status.FAILED: "FAILED", Status.SKIPPED: "skipped", Status.ERROR: "error"}
#: Log lines shown of a failed step or a failed app; all of them with `--verbose`.
_LOG_LINES = 8


def console(out: TextIO) -> Console:
    """A console on ``out``: colour only on a terminal without NO_COLOR, width 80 where there is none."""
    width = None if out.isatty() or "COLUMNS" in os.environ else 80
    return Console(file=out, width=width, highlight=False, emoji=False, markup=False, soft_wrap=False)


def write(result: GradeResult, telling: Telling, out: TextIO) -> None:
    """Prints the verdict."""
    screen = console(out)
    screen.print(_heading(result))
    if result.problem and result.problem.fault is not Fault.LEARNER:
        screen.print(_problem(result, telling))
    for check in result.checks:
        screen.print(_line(check))
        if check.status in (Status.FAILED, Status.ERROR) and not _told_above(check, result):
            screen.print(Padding(_details(check, telling), (0, 0, 1, 9)))
        elif telling.verbose and check.status is Status.PASSED:
            screen.print(Padding(Text(one_line(check.got), style="dim"), (0, 0, 0, 9)))
    screen.print()
    for line in _summary(result, verbose=telling.verbose):
        screen.print(line)


def _heading(result: GradeResult) -> Text:
    return Text.assemble((result.exercise, "bold"), f"  {result.title}  ", (one_line(result.submission.name), "dim"))


def _told_above(check: CheckResult, result: GradeResult) -> bool:
    """An engine that has gone is told once, not once a check."""
    return bool(check.status is Status.ERROR and result.problem and check.got == result.problem.what)


def _problem(result: GradeResult, telling: Telling) -> RenderableType:
    problem = result.problem
    assert problem is not None  # noqa: S101  # asked for only when there is one
    rows = [("what", problem.what), ("where", problem.where), ("mend", problem.fix)]
    return Padding(_rows([(name, text) for name, text in rows if text], log=problem.log, telling=telling), (1, 0, 1, 2))


def _line(check: CheckResult) -> Table:
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(width=7)
    row.add_column(ratio=1)
    row.add_column(justify="right", no_wrap=True)
    score = "  - " if check.score is None else f"{check.score:g}"
    title = Text(check.title)
    if check.status is Status.SKIPPED:
        title.append(f"  ({one_line(check.got)})", style="dim")
    row.add_row(Text(_WORD[check.status], style=_STYLE[check.status]), title, f"{score} of {check.max_score:g}")
    return row


def _details(check: CheckResult, telling: Telling) -> RenderableType:
    evidence = check.evidence
    rows = [("expected", check.expected), ("got", check.got), ("why", check.why)]
    rows += [("mend", str(evidence.get("fix") or ""))]
    log = tuple(evidence.get("log") or evidence.get("app_log") or ())
    if check.status is Status.FAILED and check.hints:
        rows.append(("hint", check.hints[0]))
    parts: list[RenderableType] = [_rows([(name, text) for name, text in rows if text], log=log, telling=telling)]
    if check.line is not None and (quoted := quote(telling.dockerfile, check.line)):
        parts.insert(1, quoted)
    return Group(*parts)


def _rows(rows: list[tuple[str, str]], *, log: tuple[str, ...], telling: Telling) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, text in rows:
        table.add_row(name, Text(one_line(text)))
    if log:
        shown = log if telling.verbose else log[-_LOG_LINES:]
        left_out = f"… {len(log) - len(shown)} more with --verbose\n" if len(shown) < len(log) else ""
        table.add_row("log", Text(left_out + "\n".join(printable(line) for line in shown), style="dim"))
    return table


def quote(dockerfile: tuple[str, ...], line: int, around: int = 1) -> Text | None:
    """The lines around ``line`` with their numbers, the one concerned marked; None when it is not there."""
    if not 1 <= line <= len(dockerfile):
        return None
    text = Text("Dockerfile\n", style="dim")
    first, last = max(1, line - around), min(len(dockerfile), line + around)
    for number in range(first, last + 1):
        marked = number == line
        mark = ">" if marked else " "
        content = one_line(dockerfile[number - 1])[:200]
        text.append(f"{mark} {number:>3}  {content}", style="bold red" if marked else "dim")
        if number < last:
            text.append("\n")
    return text


def _summary(result: GradeResult, *, verbose: bool) -> list[Text]:
    lines = []
    if result.image:
        image = result.image
        wasted = f", {human_size(image.wasted)} of it wasted" if image.wasted else ""
        added = human_size(image.size - image.base_size)
        lines.append(Text(f"Image: {human_size(image.size)}; {added} of it over its base image{wasted}."))
    if result.engine and result.engine.stand_ins:
        names = ", ".join(result.engine.stand_ins)
        lines.append(Text(f"Stand-ins built from Debian packages, in place of the real base images: {names}."))
    lines += [Text(one_line(note), style="dim") for note in result.notes]
    if verbose:
        phases = ", ".join(f"{name} {human_time(seconds)}" for name, seconds in result.phases.items())
        lines.append(Text(f"Time: {human_time(result.duration)} ({phases})", style="dim"))
    lines.append(verdict(result))
    return lines


def verdict(result: GradeResult) -> Text:
    """The last line: what it comes to."""
    if result.status is Status.ERROR:
        whose = "the exercise" if result.fault is Fault.AUTHOR else "the grader, the engine or its network"
        return Text(f"Not graded: the fault is with {whose}, and costs no points.", style=_STYLE[Status.ERROR])
    points = f"{result.score:g} of {result.max_score:g} points"
    if result.status is Status.PASSED:
        return Text(f"Passed with {points}.", style="bold green")
    needed = "" if (result.score or 0) >= result.pass_score else f"; {result.pass_score:g} are needed to pass"
    blocked = [check.id for check in result.checks if check.required and check.status is not Status.PASSED]
    required = f"; required and not met: {', '.join(blocked)}" if blocked else ""
    return Text(f"Not passed: {points}{needed}{required}.", style=_STYLE[Status.FAILED])
