"""Two verdicts side by side: what the demo shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rich.table import Table
from rich.text import Text

from grader.course.units import human_size, human_time
from grader.reports import _words, plain, terminal
from grader.reports._text import one_line
from grader.result import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from grader.reports import Telling
    from grader.result import CheckResult, GradeResult

_BAR = 22


def write(results: Sequence[GradeResult], tellings: Sequence[Telling], out: TextIO) -> None:
    """Prints the results in columns; one that could not be graded is told in full below."""
    screen = terminal.console(out)
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, expand=False)
    table.add_column("", ratio=2)
    for result in results:
        table.add_column(one_line(result.submission.name), overflow="fold", header_style="bold", ratio=3)
    for name, cells in _rows(results):
        table.add_row(name, *cells)
    screen.print()
    screen.print(Text(f"{results[0].exercise}  {one_line(results[0].title)}", style="bold"))
    screen.print()
    _print(screen, table)
    for result, telling in zip(results, tellings, strict=True):
        if result.status is Status.ERROR or telling.verbose:
            screen.print()
            terminal.write(result, telling, out)
    stand_ins = dict.fromkeys(name for result in results if result.engine for name in result.engine.stand_ins)
    if stand_ins:
        screen.print()
        for line in Text(_words.stand_ins(tuple(stand_ins))).wrap(screen, screen.width):
            line.rstrip()
            screen.print(line)


def one_by_one(results: Sequence[GradeResult], tellings: Sequence[Telling], out: TextIO) -> None:
    """The same for a screen reader, to which columns say nothing: each verdict in plain statements."""
    for result, telling in zip(results, tellings, strict=True):
        plain.write(result, telling, out)


def _print(screen: Console, table: Table) -> None:
    """Without the blanks that a table pads its lines with."""
    options = screen.options.update(width=min(screen.width, 100))
    for segments in screen.render_lines(table, options, pad=False):
        line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
        line.rstrip()
        screen.print(line, soft_wrap=True)


def _rows(results: Sequence[GradeResult]) -> list[tuple[str, list[Text]]]:
    largest = max((result.image.size for result in results if result.image), default=1)
    rows = [
        ("Image size", [_size(result, largest) for result in results]),
        ("over its base", [_over_base(result) for result in results]),
        ("Time to build", [Text(human_time(result.phases.get("build", 0.0))) for result in results]),
        ("", [Text() for _ in results]),
    ]
    # By their ids: a check of many parts has one verdict where it was skipped, and one a part where it was judged.
    verdicts = [{check.id: check for check in result.checks} for result in results]
    for id_, check in {id_: check for of_one in verdicts for id_, check in of_one.items()}.items():
        rows.append((one_line(check.title), [_check(of_one.get(id_)) for of_one in verdicts]))
        rows.append(("", [Text() for _ in results]))
    rows.append(("Points", [Text(_points(result), style="bold") for result in results]))
    rows.append(("Verdict", [Text(result.status.value, style=_style(result.status)) for result in results]))
    return rows


def _size(result: GradeResult, largest: int) -> Text:
    if result.image is None:
        return Text("no image")
    bar = "#" * max(1, round(_BAR * result.image.size / largest))
    return Text(f"{human_size(result.image.size)}\n{bar}")


def _over_base(result: GradeResult) -> Text:
    return Text(human_size(result.image.size - result.image.base_size) if result.image else "-")


def _check(check: CheckResult | None) -> Text:
    if check is None:
        return Text("-")
    text = Text(check.status.value, style=_style(check.status))
    score = "-" if check.score is None else f"{check.score:g}"
    text.append(f", {score} of {check.max_score:g}\n", style="default")
    return text.append(_shortened(one_line(check.got)), style="default")


def _shortened(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[:most]}… (`grade` tells the rest)"


def _points(result: GradeResult) -> str:
    return "not graded" if result.score is None else f"{result.score:g} of {result.max_score:g}"


def _style(status: Status) -> str:
    return {Status.PASSED: "green", Status.FAILED: "red"}.get(status, "yellow")
