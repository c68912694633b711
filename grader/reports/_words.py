"""What a result says, in plain words and lines: shared by the formats that are not laid out for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.course.units import human_size
from grader.reports._text import last_state, one_line
from grader.result import Fault, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from grader.result import CheckResult, GradeResult, Problem

#: Services refuse reports that are too long, and nobody reads them: characters of one text, lines of one log.
LONG = 2000
_LOG_LINES = 40
_LOG_WIDTH = 300


def verdict(result: GradeResult) -> str:
    """What it comes to, as a sentence."""
    if result.status is Status.ERROR:
        whose = "the exercise" if result.fault is Fault.AUTHOR else "the grader, the engine or its network"
        return f"Not graded: the fault is with {whose}, and costs no points."
    points = f"{result.score:g} of {result.max_score:g} points"
    if result.status is Status.PASSED:
        return f"Passed with {points}."
    # With a selection of checks (`--only`) the points to pass are not what it takes.
    lacking = (result.score or 0) < result.pass_score <= result.max_score
    needed = f"; {result.pass_score:g} are needed to pass" if lacking else ""
    blocked = [check.id for check in result.checks if check.required and check.status is not Status.PASSED]
    required = f"; required and not met: {', '.join(blocked)}" if blocked else ""
    return f"Not passed: {points}{needed}{required}."


def not_yours(fault: Fault | None) -> str:
    """What a learner has to know of a fault that is not theirs: whose it is, and what to do about it."""
    if fault is Fault.AUTHOR:
        return "This is not your fault: the exercise itself is broken. Tell who gave it to you; it costs no points."
    return (
        "This is not your fault: the engine, its network or the grader failed, not your files. It costs no points. "
        "`grader doctor` looks for the cause; then grade again."
    )


def untold(result: GradeResult) -> Problem | None:
    """The problem of the whole that no failed check says already; an engine that has gone is told once, not once a
    check.
    """
    problem = result.problem
    if problem is None:
        return None
    told = any(check.status is Status.FAILED and check.got == problem.what for check in result.checks)
    return None if told and problem.fault is Fault.LEARNER else problem


def points(check: CheckResult) -> str:
    """``12.5 of 25``, ``- of 25`` when it could not be judged, and whether it is a bonus."""
    score = "-" if check.score is None else f"{check.score:g}"
    return f"{score} of {check.max_score:g}{' (bonus)' if check.bonus else ''}"


def facts(check: CheckResult) -> tuple[tuple[str, str], ...]:
    """What a check found, as a label and one line each, in the order in which a reader needs them; none is empty."""
    failed, error = check.status is Status.FAILED, check.status is Status.ERROR
    fix, where = str(check.evidence.get("fix") or ""), str(check.evidence.get("where") or "")
    rows = (
        ("expected", check.expected),
        ("got", check.got),
        ("where", where if error else ""),
        ("why", check.why if failed else ""),
        ("mend", fix),
        ("hint", first_hint(check)),
    )
    return tuple((label, cut(one_line(text))) for label, text in rows if text)


def first_hint(check: CheckResult) -> str:
    """The hint that comes with a verdict; empty when there is none. `grader hint` goes on after it."""
    failed = check.status is Status.FAILED and check.hints
    return check.hints[0] if failed and hint_is_told(check.evidence) else ""


def hint_is_told(evidence: Mapping[str, Any]) -> bool:
    """Whether the verdict on a failed check with this evidence comes with its first hint."""
    # "Read the error's first lines" is no help for a missing Dockerfile, whose mending has just been told.
    return bool(evidence.get("log") or evidence.get("app_log") or not evidence.get("fix"))


def problem_facts(problem: Problem) -> tuple[tuple[str, str], ...]:
    """The same of a problem of the whole."""
    rows = (("what", problem.what), ("where", problem.where), ("mend", problem.fix))
    return tuple((label, cut(one_line(text))) for label, text in rows if text)


def log(check: CheckResult) -> tuple[str, ...]:
    """The end of the log that shows why, a line each, without control characters."""
    return _end(check.evidence.get("log") or check.evidence.get("app_log") or ())


def problem_log(problem: Problem) -> tuple[str, ...]:
    """The same of a problem of the whole."""
    return _end(problem.log)


def told(rows: Sequence[tuple[str, str]], lines: Sequence[str]) -> str:
    """Facts and a log as a text of several lines."""
    width = max((len(label) for label, _ in rows), default=0)
    return "\n".join([*(f"{label:<{width}}  {text}" for label, text in rows), *lines])


def explained(check: CheckResult) -> str:
    """All that is to be said of a check."""
    return told(facts(check), log(check))


def ingredients(result: GradeResult) -> Iterator[str]:
    """What was graded: the image's size, and base images that were not the real ones."""
    image = result.image
    if image:
        wasted = f", {human_size(image.wasted)} of it wasted" if image.wasted else ""
        added = human_size(image.size - image.base_size)
        yield f"Image: {human_size(image.size)}; {added} of it over its base image{wasted}."
    if result.engine and result.engine.stand_ins:
        yield stand_ins(result.engine.stand_ins)


def summary(result: GradeResult) -> tuple[str, ...]:
    """What is to be said of the whole beside the verdict, a line each."""
    return (*ingredients(result), *(cut(one_line(note)) for note in result.notes))


def stand_ins(names: Sequence[str]) -> str:
    """Which base images were not the real ones."""
    return f"Stand-ins built from Debian packages, in place of the real base images: {', '.join(names)}."


def missing_fences(names: Sequence[str]) -> str:
    """What bounds no build on this engine; for who runs it, not for learners on their own machine."""
    return f"Fences that this engine lacks: {', '.join(names)}. `grader doctor` says why, and what to do."


def next_hint(command: str) -> str:
    """Where there is more help with what failed."""
    return f"Stuck? `{one_line(command)}` gives the next hint."


def cut(text: str, length: int = LONG) -> str:
    """``text`` up to a length, with a word on how much is left out."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text) - length} characters more)"


def _end(lines: Sequence[str]) -> tuple[str, ...]:
    shown = tuple(cut(last_state(str(line)).rstrip(), _LOG_WIDTH) for line in lines[-_LOG_LINES:])
    return (f"… {len(lines) - len(shown)} lines before", *shown) if len(shown) < len(lines) else shown
