"""A check that asks only whether a secret was used, and one that asks only whether any is left; on a real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grader.result import CheckResult, Status

if TYPE_CHECKING:
    from grader.tests.conftest import Grade

USED = {"id": "used", "check": "secrets", "search": False}
CLEAN = {"id": "clean", "check": "secrets", "secrets": []}
MOUNT = "RUN --mount=type=secret,id=key "


def judged(grade: Grade, text: str) -> tuple[CheckResult, ...]:
    build: dict[str, Any] = {"secrets": {"key": "{fresh}"}, "args": {"KEY": "{fresh}"}}
    return grade("FROM debian:bookworm-slim\n" + text, [USED, CLEAN], build=build).checks


def test_a_secret_that_was_used_and_left_behind_fails_one_of_the_two(grade: Grade) -> None:
    used, clean = judged(grade, MOUNT + "cp /run/secrets/key /etc/key\n")
    assert (used.status, used.expected, used.got) == (
        Status.PASSED,
        "the build uses the secrets that it is given",
        "used",
    )
    assert (clean.status, clean.line) == (Status.FAILED, 2)
    assert clean.expected == "no secret is left in the image"
    assert clean.got == "the secret `key` is in /etc/key as it is (line 2)"


def test_a_build_that_uses_nothing_and_leaves_nothing_fails_the_other(grade: Grade) -> None:
    used, clean = judged(grade, "RUN true\n")
    assert (used.status, used.got) == (Status.FAILED, "the build did not ask for the secret `key`")
    assert (clean.status, clean.got) == (Status.PASSED, "none found")


def test_both_are_told_of_a_variable_that_takes_the_secret_from_an_argument(grade: Grade) -> None:
    used, clean = judged(grade, "ARG KEY\nENV KEY=$KEY\n")
    assert (used.status, clean.status) == (Status.FAILED, Status.FAILED)
    assert clean.got.startswith("the secret `key` is in ENV KEY as it is (line 3)")
