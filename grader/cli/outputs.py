"""Where the formats go that `grade` was asked for: standard output, files, and the files of a workflow's step."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from grader.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from grader.reports import Telling
    from grader.result import GradeResult


@dataclass(frozen=True)
class Output:
    """A format and where it goes; standard output when there is no ``file``.

    ``appended`` to what is there already, as to the files that GitHub names to a workflow's step. ``function`` is that
    of the format's module which writes it. ``lines`` are commands and the like, which may follow a text in a log.
    """

    format: str
    file: Path | None = None
    appended: bool = False
    function: str = "write"
    lines: bool = False


#: What people read on a terminal.
_TEXTS = ("terminal", "plain")


def asked_for(formats: Sequence[str], *, plain: bool = False) -> list[Output]:
    """The outputs in the order in which they are written; refused before anything is built when one cannot be.

    With ``plain`` what would go to a terminal is told in plain statements.
    """
    outputs = [output for given in formats or ("terminal",) for output in _outputs(given)]
    if plain:
        outputs = [replace(output, format="plain") if output.format == "terminal" else output for output in outputs]
    here = [output for output in outputs if output.file is None]
    owners = [output for output in here if not output.lines]
    if len(owners) > 1 or (len(here) > len(owners) and owners and owners[0].format not in _TEXTS):
        raise UsageError(
            "Two formats cannot share the standard output", "Send one to a file, like `--format json=result.json`."
        )
    files = [output.file.absolute() for output in outputs if output.file and not output.appended]
    if len(set(files)) < len(files):
        raise UsageError("Two reports cannot go to the same file", "Give each a file of its own.")
    return sorted(outputs, key=lambda output: output.lines and output.file is None)


def log(outputs: Sequence[Output]) -> TextIO:
    """The stream that goes into a workflow's log: standard output, unless that is a report for another program."""
    alone = any(o.file is None and not o.lines and o.format not in _TEXTS for o in outputs)
    return sys.stderr if alone else sys.stdout


def tell(result: GradeResult, telling: Telling, outputs: Sequence[Output]) -> UsageError | None:
    """Writes every report that can be written; the error of the first that cannot be."""
    from grader import reports  # noqa: PLC0415

    failure: UsageError | None = None
    for output in outputs:
        report = reports.load(output.format, output.function)
        if output.file is None:
            be_readable(sys.stdout, text=output.format in _TEXTS)
            report(result, telling, sys.stdout)
            continue
        try:
            with _opened(output.file, appended=output.appended) as out:
                report(result, telling, out)
        except OSError as error:
            what = f"The report cannot be written: {error.strerror}"
            failure = failure or UsageError(what, "Name another file.", where=str(output.file))
    return failure


def _outputs(given: str) -> Iterator[Output]:
    from grader import reports  # noqa: PLC0415
    from grader.course.suggest import closest  # noqa: PLC0415

    name, sign, file = given.partition("=")
    if not reports.exists(name):
        near = closest(name, reports.names())
        meant = f"Did you mean {near}? " if near else ""
        raise UsageError(f"There is no format “{name}”", f"{meant}Known formats: {', '.join(reports.names())}.")
    if not sign:
        yield from _in_a_workflow(name)
        return
    check_place(Path(file), given)
    yield Output(name, Path(file))


def check_place(file: Path, given: str) -> None:
    """Refuses, before anything is built, a file that cannot be written; no name at all is the folder one stands in."""
    if file.is_dir() or not file.parent.is_dir():
        raise UsageError("The report cannot be written there", "Name a file in a folder that exists.", where=given)


def _in_a_workflow(name: str) -> Iterator[Output]:
    """A format for which no file was named: GitHub's for it, where it names one."""
    from grader import reports  # noqa: PLC0415

    lines = name in reports.LINES
    hosted = [(os.environ.get(variable), function) for variable, function in reports.hosted(name).items()]
    if not hosted or not hosted[0][0]:
        yield Output(name, lines=lines)
        return
    yield from (Output(name, Path(file), appended=True, function=function) for file, function in hosted if file)


def _opened(file: Path, *, appended: bool) -> AbstractContextManager[TextIO]:
    from grader.files import written  # noqa: PLC0415

    if not appended:
        return written(file)
    out = file.open("a", encoding="utf-8", newline="\n")
    if not _ends_a_line(file):
        out.write("\n")
    return out


def _ends_a_line(file: Path) -> bool:
    """Whether what is added begins a line; another program may have left its last one open."""
    with file.open("rb") as before:
        if not before.seek(0, os.SEEK_END):
            return True
        before.seek(-1, os.SEEK_END)
        return before.read() == b"\n"


def be_readable(out: TextIO, *, text: bool) -> None:
    """What is written for programs is UTF-8; a console that cannot show a character shows a replacement."""
    reconfigure = getattr(out, "reconfigure", None)
    if reconfigure:
        reconfigure(errors="replace") if text or out.isatty() else reconfigure(encoding="utf-8", errors="replace")
