"""What a Dockerfile gets from the check type `dockerfile`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.result import Status
from grader.tests.checks.fakes import check, subject

if TYPE_CHECKING:
    from grader.checks.base import Outcome


def judged(text: str, dockerfile: str) -> Outcome:
    return check(text).run(subject(dockerfile=dockerfile))


def faults(text: str, dockerfile: str) -> list[tuple[str, int]]:
    """What is wrong by ``check: dockerfile, TEXT``, and in which line; empty when the check passes."""
    outcome = judged(f"check: dockerfile, {text}", dockerfile)
    found = [(each["what"], each["line"]) for each in outcome.evidence.get("faults", [])]
    assert (outcome.status is Status.PASSED) is (not found)
    if found:
        assert found[0][0] in outcome.got
        assert outcome.line == found[0][1]
    return found


def lines(text: str, dockerfile: str) -> list[int]:
    return [line for _, line in faults(text, dockerfile)]
