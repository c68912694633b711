"""What a rubric gives to every build reaches it; on a real engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import RubricError
from grader.result import Status

if TYPE_CHECKING:
    from grader.engine.connect import Engine
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


WITHOUT_PYTHON = r"""FROM debian:bookworm-slim
CMD ["perl", "-MIO::Socket::INET", "-e", "$SIG{TERM} = sub { exit }; \
$l = IO::Socket::INET->new(Listen => 9, LocalPort => 5000); while ($c = $l->accept) { \
while (<$c> =~ /\\w/) { } print $c qq(HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok); close $c }"]
"""


@pytest.mark.parametrize(
    ("base_images", "network"),
    [(("debian:bookworm-slim", "python:3.11-slim"), False), (("debian:bookworm-slim",), True)],
)
def test_an_app_is_asked_from_any_of_the_exercises_base_images(
    grade: Grade, engine: Engine, base_images: tuple[str, ...], *, network: bool
) -> None:
    app = {"port": 5000, "ready": {"path": "/", "within": "20s"}}
    result = grade(
        WITHOUT_PYTHON,
        [{"check": "http", "get": "/", "text": "ok"}],
        app=app,
        on=replace(engine, local=False),
        base_images=base_images,
    )
    assert result.status is Status.PASSED, result
    assert any("ran with a network" in note for note in result.notes) is network
