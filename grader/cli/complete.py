"""What a shell completes: the names of exercises, checks and formats.

A shell asks while somebody types: whatever goes wrong here completes nothing, and says nothing.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    import click

    from grader.course.exercise import Course, Exercise


def exercises(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """By their full names; what is typed may be the number, the name, or the start of either."""
    with suppress(Exception):
        found = _course(context).exercises
        return [
            CompletionItem(one.id, help=one.title)
            for one in found
            if one.id.startswith(incomplete) or (incomplete and one.slug.startswith(incomplete))
        ]
    return []


def checks(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The checks of the exercise that is named on the line, or that the folder says."""
    with suppress(Exception):
        return [CompletionItem(name) for name in _check_names(context) if name.startswith(incomplete)]
    return []


def exercises_or_checks(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For commands that take both, in this order."""
    return exercises(context, parameter, incomplete) + checks(context, parameter, incomplete)


def checks_or_types(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What `grader explain` takes."""
    known = checks(context, parameter, incomplete)
    taken = {item.value for item in known}
    return known + [item for item in types(context, parameter, incomplete) if item.value not in taken]


def types(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The check types."""
    with suppress(Exception):
        from grader.checks import types as known  # noqa: PLC0415

        return [CompletionItem(name) for name in known() if name.startswith(incomplete)]
    return []


def formats(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The formats of a report."""
    with suppress(Exception):
        from grader import reports  # noqa: PLC0415

        return [CompletionItem(name) for name in reports.names() if name.startswith(incomplete)]
    return []


def _course(context: click.Context) -> Course:
    from grader.course.exercise import find_course  # noqa: PLC0415

    given = context.params.get("course")
    return find_course(Path(given) if given else None)


def _check_names(context: click.Context) -> list[str]:
    from grader.checks import types as known  # noqa: PLC0415
    from grader.course import remembered  # noqa: PLC0415

    return list(remembered.load(_exercise(context).rubric_path, known).settings.checks)


def _exercise(context: click.Context) -> Exercise:
    from grader.course.exercise import resolve  # noqa: PLC0415

    return resolve(_course(context), context.params.get("exercise"))
