"""The hints of a failed check, one after the other: what was found first, the way itself last; and what they cost."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from grader import judging
from grader.learn.findings import findings
from grader.reports._words import hint_is_told
from grader.result import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from grader.learn.progress import Last, Record
    from grader.result import CheckResult, GradeResult

    Verdict = Mapping[str, Any]


@dataclass(frozen=True)
class Hint:
    """A hint on a check. ``key`` tells it from the check's others; ``left`` is how many come after it.

    ``cost`` is the points that it takes off the check.
    """

    check: str
    key: str
    text: str
    left: int
    cost: float


def failed(last: Last) -> list[Verdict]:
    """The verdicts that there may be hints on, in the rubric's order."""
    return [verdict for verdict in last.checks if verdict["status"] == Status.FAILED]


def upcoming(last: Last, verdict: Verdict, taken: Collection[tuple[str, str]]) -> Hint | None:
    """The next hint on a check; ``taken`` are the checks and keys of those that were given. None when no more is left.

    What was found comes first, then the rubric's own hints in their order, of which the last is the way itself.
    """
    id_ = str(verdict["id"])
    left = [(key, text) for key, text in _ladder(last, verdict) if (id_, key) not in taken]
    if not left:
        return None
    key, text = left[0]
    return Hint(id_, key, text, len(left) - 1, last.costs.get(id_.partition("/")[0], 0.0))


def _ladder(last: Last, verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Keys and texts. What the verdict has told already is no hint."""
    for finding in findings(last, verdict):
        yield f"found:{finding.key}", finding.text
    own = list(dict.fromkeys(map(str, verdict["hints"])))
    for text in own[1:] if hint_is_told(verdict.get("evidence") or {}) else own:
        yield f"rubric:{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:16]}", text


def used(record: Record, folder: str) -> dict[str, int]:
    """How many hints were taken on each check while working in ``folder``: those on another's work are not its own."""
    counts: dict[str, int] = {}
    for taken in record.hints:
        if taken.folder == folder:
            counts[taken.check] = counts.get(taken.check, 0) + 1
    return counts


def counted(
    result: GradeResult, counts: Mapping[str, int], costs: Mapping[str, float], *, partial: bool
) -> GradeResult:
    """The same result with the hints that were taken, and without the points that the rubric takes for them.

    ``costs`` are points a hint, by the ids of checks. A check never has less than no points, and what could not be
    graded stays so. Hints on checks that are not in the result do not count.
    """
    ids = {check.id for check in result.checks}
    mine = {id_: count for id_, count in counts.items() if id_ in ids}
    if not mine:
        return result
    checks = tuple(_charged(check, mine, costs) for check in result.checks)
    status, score = judging.total(checks, result.pass_score, partial=partial, problem=result.problem)
    notes = (*result.notes, *_notes(result.checks, checks, mine))
    return replace(result, checks=checks, status=status, score=score, hints_used=mine, notes=notes)


def _charged(check: CheckResult, counts: Mapping[str, int], costs: Mapping[str, float]) -> CheckResult:
    cost = costs.get(check.id.partition("/")[0], 0.0) * counts.get(check.id, 0)
    if not cost or not check.score:
        return check
    return replace(check, score=max(0.0, judging.added([check.score, -cost])))


def _notes(before: Sequence[CheckResult], after: Sequence[CheckResult], counts: Mapping[str, int]) -> Iterator[str]:
    total = sum(counts.values())
    lost = judging.added((old.score or 0.0) - (new.score or 0.0) for old, new in zip(before, after, strict=True))
    cost = f"; they cost {lost:g} point{'s' * (lost != 1)}" if lost else ""
    yield f"{total} hint{'s' * (total != 1)} taken: {', '.join(counts)}{cost}"
