"""Hints come in order, none twice, and cost what the rubric says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from grader.learn import hints
from grader.learn.progress import Last, Record, Taken
from grader.result import CheckResult, GradeResult, ImageResult, LayerResult, Status
from grader.tests.reports.results import ERROR, FAILED, PASSED

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCKERFILE = ("# syntax", "FROM python:3.11 AS builder", "RUN make", "FROM builder", "COPY . .", "RUN pip install x")
SMALL = replace(FAILED.checks[1], hints=("A nudge.", "A push.", "The way."), evidence={"size": 700_000_000})


def last(*checks: CheckResult, costs: dict[str, float] | None = None, **more: Any) -> Last:
    image = ImageResult(
        "sha256:ab", 700_000_000, 500_000_000, 9_000_000, (LayerResult(6, "RUN pip install x", 200_000_000, 9_000_000),)
    )
    result = replace(FAILED, checks=checks, image=image, **more)
    return Last(result.to_json(), DOCKERFILE, "/here", costs or {})


def told(of: Last, check: CheckResult) -> list[str]:
    """Every hint, as one takes one after the other."""
    taken: set[tuple[str, str]] = set()
    texts = []
    verdict = next(each for each in of.checks if each["id"] == check.id)
    while hint := hints.upcoming(of, verdict, taken):
        assert (hint.check, hint.key) not in taken
        taken.add((hint.check, hint.key))
        texts.append(hint.text)
    return texts


def test_what_was_found_comes_first_and_the_way_itself_last() -> None:
    assert told(last(SMALL), SMALL) == [
        "Your final stage starts from line 2 through line 4, `python:3.11`: 500 MB of base, of 700 MB.",
        "Of your own instructions, line 6, `RUN pip install x`, adds the most: 200 MB.",
        "Of what line 6, `RUN pip install x`, adds, a later line deletes or overwrites 9 MB. They ship.",
        "A push.",
        "The way.",
    ]


def test_the_verdicts_own_first_hint_is_not_given_again() -> None:
    plain = replace(SMALL, evidence={})
    assert told(last(plain), plain) == ["A push.", "The way."]
    fixed = replace(SMALL, evidence={"fix": "Do this."})
    assert told(last(fixed), fixed) == ["A nudge.", "A push.", "The way."], "the verdict tells the fix instead"


def test_the_same_hint_with_other_numbers_is_the_same() -> None:
    first = hints.upcoming(last(SMALL), last(SMALL).checks[0], set())
    assert first is not None
    other = last(replace(SMALL, evidence={"size": 690_000_000}))
    second = hints.upcoming(other, other.checks[0], {(first.check, first.key)})
    assert second is not None
    assert "of base" not in second.text


def test_only_what_failed_has_hints() -> None:
    assert [each["id"] for each in hints.failed(last(*FAILED.checks))] == ["small", "answers"]


FOUND: list[tuple[str, dict[str, Any], str]] = [
    ("absent", {"found": ["/usr/bin/gcc", "/usr/bin/cc"], "count": 2}, "They lie in /usr/bin/gcc, /usr/bin/cc."),
    ("dockerfile", {"faults": []}, "has 2 stages: line 2 starts from `python:3.11` and is called `builder`; line 4"),
    ("cache", {"ran": ["line 5: COPY . .", "line 6: RUN pip install x"]}, "first step that ran again is line 5: COPY"),
    (
        "stop",
        {"pid_1": "PID 1 (/bin/dash: sh -c x)", "signal": "SIGTERM", "log": []},
        "PID 1 (/bin/dash: sh -c x) gets",
    ),
    ("health", {"healthcheck": ["true"], "runs": [{"exit_code": 0}]}, "runs `true`; its last exit codes were 0"),
    ("context", {"largest": [["dump.sql", 5_000_000]]}, "dump.sql (5 MB)"),
    ("secrets", {"found": ["x is in /a", "x is in ENV B"]}, "Also: x is in ENV B."),
    ("config", {"User": "", "Cmd": ["sh"]}, "Cmd ['sh']"),
    ("command", {"stderr": "one\nno such module", "stdout": ""}, "no such module"),
    ("http", {"app_log": ["Traceback:", "ModuleNotFoundError: No module named 'x'", "bye"]}, "ModuleNotFoundError"),
    ("build", {"log": ["Collecting x", "  error: command 'gcc' failed", "  note: see above"]}, "command 'gcc' failed"),
    (
        "process",
        {"processes": [{"pid": 1, "program": "/bin/dash", "users": [0, 0, 0, 0], "ports": []}]},
        "PID 1 is /bin/dash, user 0",
    ),
    (
        "layers",
        {
            "waste": [
                {"added": {"line": 5}, "hidden": {"line": 6}, "paths": [{"path": "/wheels/x.whl", "size": 4_000_000}]}
            ]
        },
        "Added in line 5, gone or changed in line 6: /wheels/x.whl (4 MB).",
    ),
]


@pytest.mark.parametrize(("kind", "evidence", "words"), FOUND, ids=[kind for kind, _, _ in FOUND])
def test_what_was_found_helps(kind: str, evidence: dict[str, Any], words: str) -> None:
    check = replace(SMALL, check=kind, evidence=evidence)
    assert words in told(last(check), check)[0]


@pytest.mark.parametrize("kind", ["size", "layers", "absent", "stop", "process", "health", "secrets", "no-such-type"])
def test_evidence_of_another_form_leaves_the_rubrics_hints(kind: str) -> None:
    check = replace(SMALL, check=kind, evidence={"something": "else"})
    assert told(last(check), check) == ["A push.", "The way."]


def test_a_rubric_that_keeps_something_for_itself_gives_nothing_away() -> None:
    check = replace(SMALL, expected="(the rubric does not tell)", evidence={})
    assert told(last(check), check) == ["A push.", "The way."]


def counted(
    result: GradeResult, used: dict[str, int], costs: dict[str, float], *, partial: bool = False
) -> GradeResult:
    return hints.counted(result, used, costs, partial=partial)


def test_hints_are_counted_and_cost_nothing_unless_the_rubric_says_so() -> None:
    result = counted(PASSED, {"builds": 2, "not-here": 1}, {})
    assert (result.score, result.status, result.hints_used) == (10, Status.PASSED, {"builds": 2})
    assert result.to_json()["hints_used"] == {"builds": 2}
    assert "2 hints taken: builds" in result.notes
    assert counted(PASSED, {}, {"builds": 1.0}) is PASSED


@pytest.mark.parametrize(
    ("count", "cost", "score", "status"),
    [(1, 0.1, 9.9, Status.FAILED), (3, 0.1, 9.7, Status.FAILED), (2, 50.0, 0.0, Status.FAILED)],
)
def test_what_a_hint_costs_is_taken_from_its_check(count: int, cost: float, score: float, status: Status) -> None:
    result = counted(PASSED, {"builds": count}, {"builds": cost})
    assert (result.score, result.checks[0].score, result.status) == (score, score, status)
    assert result.checks[0].status is Status.PASSED, "the image is as good as it was"
    assert f"cost {10 - score:g} points" in result.notes[-1] or "cost 0.1 points" in result.notes[-1]


def test_a_hint_never_costs_more_than_was_earned() -> None:
    result = counted(FAILED, {"small": 1, "builds": 1}, {"small": 5.0, "builds": 1.0})
    assert result.score == 9
    assert [check.score for check in result.checks[:2]] == [9, 0]


def test_a_fault_of_ours_stays_one() -> None:
    result = counted(ERROR, {"builds": 1}, {"builds": 1.0})
    assert (result.status, result.score, result.checks[0].score) == (Status.ERROR, None, None)


def test_passing_a_selection_means_that_all_of_it_passed() -> None:
    assert counted(PASSED, {"builds": 1}, {"builds": 1.0}, partial=True).status is Status.PASSED


def test_hints_on_anothers_work_are_not_ones_own() -> None:
    taken: Sequence[Taken] = [Taken("small", str(number), "", folder) for number, folder in enumerate("aab")]
    assert hints.used(Record(hints=tuple(taken)), "a") == {"small": 2}
