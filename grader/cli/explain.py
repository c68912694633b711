"""`grader explain`: what a check looks at, and how to see the same by hand."""

from __future__ import annotations

import shutil
import textwrap
from inspect import cleandoc
from typing import TYPE_CHECKING

import yaml

from grader.checks import types
from grader.course.model import validated
from grader.course.suggest import closest, listed
from grader.errors import GraderError, UsageError
from grader.reports._text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.checks.base import Check
    from grader.course.exercise import Course, Exercise
    from grader.course.rubric import Rubric

#: The port in commands where no exercise says another.
_PORT = 5000


def page(course: Course, name: str, exercise: str | None) -> str:
    """The check of that id in the exercise that is named, or whose folder one stands in; else the type.

    Raises ``UsageError`` when there is neither.
    """
    rubric = _rubric(course, exercise)
    check = next((each for each in rubric.checks if each.id == name), None) if rubric else None
    if rubric and check:
        return "\n".join(_check_lines(rubric, check))
    if name in types():
        return "\n".join(_type_lines(types()[name]))
    raise _unknown(name, rubric)


def _rubric(course: Course, exercise: str | None) -> Rubric | None:
    """That of the exercise; without a name, and where the folder does not say either, none is needed for a type."""
    from grader.course import rubric  # noqa: PLC0415
    from grader.course.exercise import resolve  # noqa: PLC0415

    try:
        chosen: Exercise = resolve(course, exercise)
    except GraderError:
        if exercise is not None:
            raise
        return None
    return rubric.load(chosen.rubric_path, types())


def _unknown(name: str, rubric: Rubric | None) -> UsageError:
    ids = [check.id for check in rubric.checks] if rubric else []
    near = closest(name, [*ids, *types()])
    meant = f"Did you mean {near}? " if near else ""
    known = f"The exercise's checks are {listed(ids)}. " if ids else "For a check of an exercise, name that too. "
    return UsageError(
        f"There is no check or check type “{one_line(name)}”", f"{meant}{known}Types: {listed(sorted(types()))}."
    )


def _check_lines(rubric: Rubric, check: Check) -> Iterator[str]:
    expected = check.expectation() if check.show == "full" else ""
    yield from _filled(": ".join(part for part in (check.id, one_line(check.title or expected)) if part))
    yield ""
    yield from _filled(_looks_at(type(check)))
    port = rubric.app.port if rubric.app else _PORT
    if expected:
        yield from ("", *_filled(f"Expected: {one_line(expected)}."))
        yield from _commands(check.by_hand(port))
    else:
        # With the check's own values the commands would tell what the rubric keeps for itself.
        yield from ("", *_filled("What it expects is not told; the commands are those of an example."))
        yield from _commands(_example(type(check)).by_hand(port))


def _type_lines(kind: type[Check]) -> Iterator[str]:
    yield from _filled(f"{kind.type_name()}: {cleandoc(kind.__doc__ or '').partition(chr(10) * 2)[0]}")
    yield ""
    yield from _filled(_looks_at(kind))
    if kind.example:
        yield from ("", "For a check like this one:", "", textwrap.indent(kind.example.strip(), "  "))
        yield from _commands(_example(kind).by_hand(_PORT))
    yield ""
    yield f"`grader checks {kind.type_name()}` has all of its fields."


def _looks_at(kind: type[Check]) -> str:
    """Its own words, else (another package's type) what it says of itself."""
    return kind.looks_at or cleandoc(kind.__doc__ or "").partition("\n\n")[0]


def _example(kind: type[Check]) -> Check:
    return validated(kind, yaml.safe_load(kind.example)[0])


def _commands(lines: tuple[str, ...]) -> Iterator[str]:
    if not lines:
        yield from ("", "Docker has no command that shows it.")
        return
    yield from ("", "By hand, in the folder of your Dockerfile (Bash or the like; on Windows in WSL):", "")
    yield from (f"  {line}" for line in lines)


def _filled(text: str) -> list[str]:
    width = max(20, min(shutil.get_terminal_size().columns, 80))
    return textwrap.wrap(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)
