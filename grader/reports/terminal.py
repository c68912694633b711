"""The verdict for a person at a terminal: one line a check, failures opened, readable without colour."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

from grader.course.units import human_time
from grader.reports import _words
from grader.reports._sizes import sizes
from grader.reports._text import last_state, one_line
from grader.result import Fault, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.reports import Telling
    from grader.result import CheckResult, GradeResult, Problem

_STYLE = {Status.PASSED: "green", Status.FAILED: "bold red", Status.SKIPPED: "dim", Status.ERROR: "bold yellow"}
_WORD = {Status.PASSED: "passed", Status.FAILED: "FAILED", Status.SKIPPED: "skipped", Status.ERROR: "error"}
#: What is shown on a terminal without `--verbose`: log lines of a step or an app, and characters of one text.
_LOG_LINES = 8
_LONG = 1000
#: Beyond this a line is no longer read with ease.
_WIDEST = 100


def console(out: TextIO) -> Console:
    """A console on ``out``: colour only on a terminal without NO_COLOR, 80 columns where there is no terminal."""
    width = None if out.isatty() or "COLUMNS" in os.environ else 80
    # Rich leaves bold and dim with NO_COLOR; who sets it wants no escape sequence at all.
    plain = bool(os.environ.get("NO_COLOR"))
    return Console(
        file=out, width=width, highlight=False, emoji=False, markup=False, color_system=None if plain else "auto"
    )


def write(result: GradeResult, telling: Telling, out: TextIO) -> None:
    """Prints the verdict. Nothing is cut but on a terminal, and there with a word on where the rest is."""
    screen = console(out)
    page = _Page(screen, telling, cuts=out.isatty() and not telling.verbose)
    blank = False
    for line in page.lines(result):
        line.rstrip()
        if line.plain or not blank:
            screen.print(line, soft_wrap=True)
        blank = not line.plain


class _Page:
    """A result, laid out as lines of a width."""

    def __init__(self, screen: Console, telling: Telling, *, cuts: bool) -> None:
        self._screen = screen
        self._telling = telling
        self._cuts = cuts
        self._width = max(20, min(screen.width, _WIDEST))
        self._indent = 9 if self._width >= 60 else 2

    def lines(self, result: GradeResult) -> Iterator[Text]:
        yield from self._wrapped(_heading(result))
        yield Text()
        if problem := _words.untold(result):
            yield from self._problem(problem)
            yield Text()
        blocked_by = ""
        for index, check in enumerate(result.checks):
            yield from self._check_line(check)
            blocked_by = check.got if check.status is Status.SKIPPED else ""
            following = result.checks[index + 1] if index + 1 < len(result.checks) else None
            if blocked_by and not (following and following.got == blocked_by):
                yield from self._wrapped(Text(one_line(blocked_by), style="dim"), Text(" " * self._indent))
            if check.status in (Status.FAILED, Status.ERROR) and not is_told_above(check, result):
                yield from self._details(check)
                yield Text()
            elif self._telling.verbose and check.status is Status.PASSED:
                yield from self._wrapped(Text(one_line(check.got), style="dim"), Text(" " * self._indent))
        yield Text()
        if result.image:
            yield from map(Text, sizes(result.image, self._telling, self._width))
            yield Text()
        for line in _summary(result, verbose=self._telling.verbose):
            yield from self._wrapped(line)
        if self._telling.hint:
            yield from self._wrapped(Text(_words.next_hint(self._telling.hint), style="dim"))

    def _check_line(self, check: CheckResult) -> Iterator[Text]:
        score = f" {'-' if check.score is None else f'{check.score:g}'} of {check.max_score:g}"
        word = Text(_WORD[check.status].ljust(9), style=_STYLE[check.status])
        title = Text(one_line(check.title), style="dim" if check.status is Status.SKIPPED else "")
        first, *more = self._wrapped(title, word, self._width - len(score))
        first.pad_right(self._width - len(score) - first.cell_len)
        yield first.append(score)
        yield from more

    def _details(self, check: CheckResult) -> Iterator[Text]:
        evidence = check.evidence
        yield from self._row("expected", check.expected)
        yield from self._row("got", check.got)
        yield from self._row("where", str(evidence.get("where") or "") if check.status is Status.ERROR else "")
        yield from self._row("why", check.why if check.status is Status.FAILED else "")
        if check.line is not None:
            yield from self._quoted(check.line)
        fix, log = str(evidence.get("fix") or ""), evidence.get("log") or evidence.get("app_log") or ()
        yield from self._row("mend", fix)
        yield from self._row("hint", _words.first_hint(check))
        yield from self._log(log)

    def _problem(self, problem: Problem) -> Iterator[Text]:
        if problem.fault is not Fault.LEARNER:
            yield from self._wrapped(Text(_words.not_yours(problem.fault), style=_STYLE[Status.ERROR]))
        yield from self._row("what", problem.what)
        yield from self._row("where", problem.where)
        if problem.line is not None:
            yield from self._quoted(problem.line)
        yield from self._row("mend", problem.fix)
        yield from self._log(problem.log)

    def _row(self, name: str, text: str) -> Iterator[Text]:
        if text:
            yield from self._wrapped(Text(self._cut(one_line(text))), self._label(name))

    def _log(self, log: Sequence[str]) -> Iterator[Text]:
        shown = log[-_LOG_LINES:] if self._cuts else log
        label = self._label("log")
        if len(shown) < len(log):
            yield from self._wrapped(Text(f"… {len(log) - len(shown)} more with --verbose", style="dim"), label)
            label = self._label("")
        for line in shown:
            # Not one_line: a compiler's marks stand below what they mean.
            text = last_state(line).rstrip()
            yield from self._wrapped(Text(self._cut(text), style="dim"), label)
            label = self._label("")

    def _quoted(self, line: int, around: int = 1) -> Iterator[Text]:
        """The Dockerfile's lines around ``line`` with their numbers, the one concerned marked."""
        lines = self._telling.dockerfile
        if not 1 <= line <= len(lines):
            yield from self._row("line", str(line))
            return
        label = self._label("line")
        first, last = max(1, line - around), min(len(lines), line + around)
        digits = len(str(last))
        for number in range(first, last + 1):
            marked = number == line
            if not marked and not lines[number - 1].strip():
                continue
            style = "bold red" if marked else "dim"
            place = Text(f"{'>' if marked else ' '} {number:>{digits}}  ", style=style)
            content = Text(self._cut(last_state(lines[number - 1]).rstrip()), style=style)
            yield from self._wrapped(content, Text.assemble(label, place))
            label = self._label("")

    def _label(self, name: str) -> Text:
        return Text(" " * self._indent + name.ljust(10), style="dim")

    def _cut(self, text: str) -> str:
        if not self._cuts or len(text) <= _LONG:
            return text
        return f"{text[:_LONG]}… ({len(text) - _LONG} characters more with --verbose)"

    def _wrapped(self, text: Text, before: Text | None = None, width: int = 0) -> Iterator[Text]:
        """``text`` behind ``before``, the lines after the first indented to where it begins; one line at least."""
        before = before or Text()
        room = max(8, (width or self._width) - before.cell_len)
        for line in text.wrap(self._screen, room, overflow="fold") or [Text()]:
            line.rstrip()
            yield Text.assemble(before, line)
            before = Text(" " * before.cell_len)


def _heading(result: GradeResult) -> Text:
    name = one_line(result.submission.name)
    return Text.assemble((result.exercise, "bold"), f"  {one_line(result.title)}", (f"  {name}", "dim"))


def is_told_above(check: CheckResult, result: GradeResult) -> bool:
    """Whether the problem of the whole, told first, says what a check met."""
    return bool(check.status is Status.ERROR and result.problem and check.got == result.problem.what)


def _summary(result: GradeResult, *, verbose: bool) -> list[Text]:
    lines = []
    # Above, a problem has said so already.
    if result.status is Status.ERROR and not result.problem:
        lines.append(Text(_words.not_yours(result.fault), style=_STYLE[Status.ERROR]))
    if result.engine and result.engine.stand_ins:
        lines.append(Text(_words.stand_ins(result.engine.stand_ins)))
    lines += [Text(one_line(note), style="dim") for note in result.notes]
    if verbose and result.engine and result.engine.missing_fences:
        lines.append(Text(_words.missing_fences(result.engine.missing_fences), style="dim"))
    if verbose:
        phases = ", ".join(f"{name} {human_time(seconds)}" for name, seconds in result.phases.items())
        lines.append(Text(f"Time: {human_time(result.duration)} ({phases})", style="dim"))
    lines.append(verdict(result))
    return lines


def verdict(result: GradeResult) -> Text:
    """The last line: what it comes to."""
    if result.status is Status.ERROR:
        return Text("Not graded: this is not your fault, and it costs no points.", style=_STYLE[Status.ERROR])
    style = "bold green" if result.status is Status.PASSED else _STYLE[result.status]
    return Text(_words.verdict(result), style=style)
