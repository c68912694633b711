"""What a rubric gives to every build reaches it; on a real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import RubricError
from grader.result import Status

if TYPE_CHECKING:
    from grader.tests.conftest import Grade

DOCKERFILE = "FROM debian:bookworm-slim\nARG WORD=none\nARG KIND=none\nRUN echo $WORD $KIND > /word\n"
SAYS = {"check": "command", "command": ["cat", "/word"]}


@pytest.mark.parametrize(
    ("args", "text", "status"),
    [
        ({"WORD": "hello-{fresh}", "KIND": "all"}, "hello-{fresh} all", Status.PASSED),
        ({"WORD": "hello-{fresh}"}, "hello-{fresh} none", Status.PASSED),
        ({}, "none none", Status.PASSED),
        ({"WORD": "hello-{fresh}"}, "none none", Status.FAILED),
    ],
)
def test_build_arguments_of_a_rubric_are_given(grade: Grade, args: dict[str, str], text: str, status: Status) -> None:
    (result,) = grade(DOCKERFILE, [SAYS | {"text": text}], build={"args": args}).checks
    assert result.status is status, result


def test_an_argument_that_no_arg_takes_does_no_harm(grade: Grade) -> None:
    result = grade("FROM debian:bookworm-slim\nRUN true\n", [{"check": "build"}], build={"args": {"WORD": "{fresh}"}})
    assert result.status is Status.PASSED, result


def test_a_check_that_builds_with_an_argument_of_its_own_keeps_the_others(grade: Grade) -> None:
    asks = "FROM debian:bookworm-slim\nARG WORD\nARG KIND\nRUN test $WORD = mine && test $KIND = all\n"
    build = {"args": {"WORD": "mine", "KIND": "all"}}
    kept = {"check": "build", "args": {"WORD": "other"}}
    given = {"id": "given", "check": "build"}
    replaced, first = grade(asks, [kept, given], build=build).checks
    assert (replaced.status, first.status) == (Status.FAILED, Status.PASSED), (replaced, first)


@pytest.mark.parametrize(
    ("args", "told"), [({"WORD": "{fresh.sha256}"}, "takes `{fresh}` alone"), ({"A WORD": "x"}, "A WORD")]
)
def test_an_argument_that_cannot_be_given_is_the_authors_mistake(grade: Grade, args: dict[str, Any], told: str) -> None:
    with pytest.raises(RubricError, match=told):
        grade(DOCKERFILE, [{"check": "build"}], build={"args": args})
