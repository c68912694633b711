"""The verdict as plain statements, one a line: for a screen reader, a braille line, or a pipe.

No bars, no columns, no quotes marked by their place, no colour, and no line broken before its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from grader.course.units import human_size, human_time
from grader.reports import _words, terminal
from grader.reports._sizes import largest, place
from grader.reports._text import last_state, one_line
from grader.result import Fault, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.reports import Telling
    from grader.result import CheckResult, GradeResult, ImageResult, Problem

#: Log lines that are read out of a step or an app without `--verbose`: the last ones.
_LOG_LINES = 8
#: Layers that are named without `--verbose`: the largest.
_LAYERS = 6


def write(result: GradeResult, telling: Telling, out: TextIO) -> None:
    """Prints the verdict, what it comes to last, and where there is help with it."""
    out.writelines(f"{line}\n" for line in _lines(result, telling))


def _lines(result: GradeResult, telling: Telling) -> Iterator[str]:
    name = one_line(result.submission.name)
    yield f"{result.exercise}, {one_line(result.title)}, submission {name}."
    if problem := _words.untold(result):
        yield from _problem(problem, telling)
    for check in result.checks:
        score = "not judged" if check.score is None else f"{check.score:g} of {check.max_score:g} points"
        yield f"{check.status.value.capitalize()}: {one_line(check.title)}; {score}."
        if check.status is Status.SKIPPED or (check.status is Status.PASSED and telling.verbose):
            yield from _named("Got", check.got)
        elif check.status is not Status.PASSED and not terminal.is_told_above(check, result):
            yield from _details(check, telling)
    if result.image:
        yield from _sizes(result.image, telling)
    if result.engine and result.engine.stand_ins:
        yield _words.stand_ins(result.engine.stand_ins)
    yield from (f"Note: {one_line(note)}" for note in result.notes)
    if telling.verbose:
        yield f"It took {human_time(result.duration)}."
    if result.status is Status.ERROR and not result.problem:
        yield _words.not_yours(result.fault)
    yield terminal.verdict(result).plain
    if telling.hint:
        yield _words.next_hint(telling.hint)


def _problem(problem: Problem, telling: Telling) -> Iterator[str]:
    if problem.fault is not Fault.LEARNER:
        yield _words.not_yours(problem.fault)
    yield from _named("What happened", problem.what)
    yield from _named("Where", problem.where)
    yield from _quoted(problem.line, telling)
    yield from _named("How to mend it", problem.fix)
    yield from _log(problem.log, telling)


def _details(check: CheckResult, telling: Telling) -> Iterator[str]:
    evidence = check.evidence
    failed = check.status is Status.FAILED
    yield from _named("Expected", check.expected)
    yield from _named("Got", check.got)
    yield from _named("Where", "" if failed else str(evidence.get("where") or ""))
    yield from _named("Why", check.why if failed else "")
    yield from _quoted(check.line, telling)
    fix, log = str(evidence.get("fix") or ""), evidence.get("log") or evidence.get("app_log") or ()
    yield from _named("How to mend it", fix)
    yield from _named("Hint", _words.first_hint(check))
    yield from _log(log, telling)


def _named(name: str, text: str) -> Iterator[str]:
    if text:
        yield f"{name}: {one_line(text)}"


def _quoted(line: int | None, telling: Telling) -> Iterator[str]:
    if line is None:
        return
    known = 1 <= line <= len(telling.dockerfile)
    yield from _named(f"Dockerfile line {line}", telling.dockerfile[line - 1] if known else "not in the Dockerfile")


def _log(log: Sequence[str], telling: Telling) -> Iterator[str]:
    shown = log if telling.verbose else log[-_LOG_LINES:]
    if len(shown) < len(log):
        yield f"The log has {len(log) - len(shown)} lines more; --verbose shows them."
    yield from (f"Log: {text}" for line in shown if (text := " ".join(last_state(line).split())))


def _sizes(image: ImageResult, telling: Telling) -> Iterator[str]:
    yield from (f"Size of the {name}: {human_size(size)}." for name, size in telling.before)
    waste = f", {human_size(image.wasted)} of it wasted" if image.wasted else ""
    base = f", {human_size(image.base_size)} of it from its base image" if image.base_size else ""
    yield f"Size of the image: {human_size(image.size)}{base}{waste}."
    for layer in largest(image.layers, len(image.layers) if telling.verbose else _LAYERS):
        yield f"Layer of {place(layer)}: {human_size(layer.size)}, {one_line(layer.instruction)}"
