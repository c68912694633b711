"""`grader hint`: the next hint for what failed last."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grader.cli import complete, recording
from grader.cli.options import course_option
from grader.errors import GraderError, UsageError
from grader.reports._text import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from grader.course.exercise import Course, Exercise
    from grader.learn.hints import Hint
    from grader.learn.progress import Last, Record

    Verdict = Mapping[str, Any]


@click.command()
@click.argument("exercise", required=False, shell_complete=complete.exercises_or_checks)
@click.argument("check", required=False, shell_complete=complete.checks)
@click.option("--again", is_flag=True, help="Show the hints that you had already; costs nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before a hint that costs points.")
@course_option
def hint(*, exercise: str | None, check: str | None, again: bool, yes: bool, course: Path | None) -> None:
    """Gives the next hint for what failed last.

    Without EXERCISE, the folder you stand in says which exercise it is; without CHECK, it is the first check that
    failed. What was found in your image comes first, the way itself last. A hint costs points only where the
    rubric says so, and then you are asked before.
    """
    from grader.course.exercise import find_course  # noqa: PLC0415

    chosen, wanted = _meant(find_course(course), exercise, check)
    store = recording.store()
    record, last = store.record(chosen), store.last(chosen)
    if last is None:
        raise UsageError(
            f"{chosen.id} has not been graded yet",
            "Run `grade` first: a hint is about what failed.",
            where=str(Path.cwd()),
        )
    verdicts = _verdicts(chosen, last, wanted)
    if again:
        _tell_again(record, verdicts if wanted else last.checks)
        return
    if not verdicts:
        click.echo("Nothing failed when you graded last. `grader list` shows what is next.")
        return
    found = _next(last, verdicts, record)
    if found is None:
        _tell_end(verdicts, wanted)
        return
    verdict, following = found
    _agree(following, yes=yes)
    _take(chosen, following, last)
    _tell(verdict, following, more=len(verdicts) - 1 if wanted is None else 0)


def one_more(exercise: Exercise, last: Last, told: set[tuple[str, str]]) -> list[str]:
    """The next hint on what failed in ``last``, as lines; for `grader watch`, which asks nobody anything.

    ``told`` holds checks and keys of the hints of this session, and gets one more: in CI nothing else remembers them.
    """
    from grader.learn import hints  # noqa: PLC0415
    from grader.learn.progress import Record  # noqa: PLC0415

    verdicts = hints.failed(last)
    if not verdicts:
        return ["Nothing failed that there is a hint for."]
    record = Record() if recording.in_ci() else recording.store().record(exercise)
    found = _next(last, verdicts, record, told)
    if found is None:
        return ["There are no more hints on what failed; `grader hint --again` shows those that you had."]
    verdict, following = found
    if following.cost and not recording.in_ci():
        return [f"The next hint takes {following.cost:g} points off “{following.check}”: `grader hint` gives it."]
    told.add((following.check, following.key))
    if not recording.in_ci():
        _take(exercise, following, last)
    return [f"{following.check}: {verdict['title']}", f"  {following.text}", f"({_left(following)})"]


def _meant(course: Course, first: str | None, second: str | None) -> tuple[Exercise, str | None]:
    """One word alone may be the exercise, or a check of the one whose folder one stands in."""
    from grader.course.exercise import resolve  # noqa: PLC0415

    if first is None or second is not None:
        return resolve(course, first), second
    try:
        here = resolve(course, None)
    except GraderError:
        return resolve(course, first), None
    last = recording.store().last(here)
    if last and any(_is(verdict, first) for verdict in last.checks):
        return here, first
    try:
        return resolve(course, first), None
    except UsageError:
        # A slip in a check's name is told beside the names of checks.
        if last:
            return here, first
        raise


def _is(verdict: Verdict, name: str) -> bool:
    """A check by its id; one of many parts by its own, or by each part's."""
    return str(verdict["id"]) == name or str(verdict["id"]).partition("/")[0] == name


def _verdicts(exercise: Exercise, last: Last, wanted: str | None) -> Sequence[Verdict]:
    """What failed; of the check that is named, if one is."""
    from grader.course.suggest import closest, listed  # noqa: PLC0415
    from grader.learn import hints  # noqa: PLC0415

    if wanted is None:
        return hints.failed(last)
    named = [verdict for verdict in last.checks if _is(verdict, wanted)]
    if not named:
        known = [str(verdict["id"]) for verdict in last.checks]
        near = closest(wanted, known)
        meant = f"Did you mean {near}? " if near else ""
        raise UsageError(f"{exercise.id} has no check “{one_line(wanted)}”", f"{meant}Its checks are {listed(known)}.")
    found = [verdict for verdict in hints.failed(last) if _is(verdict, wanted)]
    if not found:
        raise UsageError(_not_failed(named[0], wanted), "`grader hint` without it is about what failed.")
    return found


def _not_failed(verdict: Verdict, name: str) -> str:
    if verdict["status"] == "passed":
        return f"“{name}” passed when you graded last; there is nothing to hint at"
    return f"“{name}” was {one_line(str(verdict['got']))}"


def _next(
    last: Last, verdicts: Sequence[Verdict], record: Record, told: Collection[tuple[str, str]] = ()
) -> tuple[Verdict, Hint] | None:
    """The next hint on the first of them that has one left."""
    from grader.learn import hints  # noqa: PLC0415

    taken = {*told, *((each.check, each.key) for each in record.hints)}
    for verdict in verdicts:
        if found := hints.upcoming(last, verdict, taken):
            return verdict, found
    return None


def _agree(hint: Hint, *, yes: bool) -> None:
    if not hint.cost or yes or recording.in_ci():
        return
    price = f"This hint takes {hint.cost:g} point{'s' * (hint.cost != 1)} off “{hint.check}”."
    if not sys.stdin.isatty():
        raise UsageError(price.removesuffix("."), "Add --yes to take it.")
    click.confirm(f"{price} Take it?", abort=True, err=True)


def _take(exercise: Exercise, hint: Hint, last: Last) -> None:
    """Before it is told: a hint that could not be taken down would be given again, and could not be counted."""
    from grader.learn.progress import Taken  # noqa: PLC0415

    recording.store().take(exercise, Taken(hint.check, hint.key, hint.text, last.folder))


def _tell(verdict: Verdict, hint: Hint, *, more: int) -> None:
    _say(one_line(f"{hint.check}: {verdict['title']}"))
    _say(one_line(hint.text), indent="  ")
    notes = [_left(hint)]
    notes += [f"{more} other check{'s' * (more != 1)} failed"] if more > 0 else []
    click.echo(f"({', '.join(notes)})")


def _left(hint: Hint) -> str:
    return f"{hint.left} more on this check" if hint.left else "that was the last on this check"


def _tell_again(record: Record, verdicts: Sequence[Verdict]) -> None:
    ids = {str(verdict["id"]) for verdict in verdicts}
    taken = [each for each in record.hints if each.check in ids]
    if not taken:
        click.echo("You have had no hint yet.")
    for each in taken:
        _say(f"{one_line(each.check)}: {one_line(each.text)}")


def _tell_end(verdicts: Sequence[Verdict], wanted: str | None) -> None:
    on = f"on “{wanted}”" if wanted else "on what failed"
    click.echo(f"There are no more hints {on}. `grader hint --again` shows those that you had,")
    click.echo(f"`grader explain {verdicts[0]['id'].partition('/')[0]}` how to see for yourself what is checked.")


def _say(text: str, indent: str = "") -> None:
    """Filled to a width that is read with ease."""
    import shutil  # noqa: PLC0415
    import textwrap  # noqa: PLC0415

    width = max(20, min(shutil.get_terminal_size().columns, 80))
    click.echo(
        textwrap.fill(
            text, width, initial_indent=indent, subsequent_indent=indent or "  ", break_long_words=False,
            break_on_hyphens=False,
        )
    )  # fmt: skip
