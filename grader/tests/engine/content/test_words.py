"""The words that a Dockerfile leaves in an image outside of its layers, as real engines write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from grader.engine.content import words
from grader.tests.engine.building import unique

if TYPE_CHECKING:
    from grader.engine.image import Image
    from grader.tests.engine.building import Workshop

TEXT = """\
FROM python:3.11-slim AS one
ENV A=first B="of two"
ARG WANTED=default
LABEL some.label="of one"
RUN test -n "$WANTED"
FROM one
ARG OTHER
RUN test -n "$OTHER"
ENV A=second
HEALTHCHECK --interval=1h CMD ["ask", "for it"]
USER 12:34
CMD ["serve", "--all"]
"""


@pytest.fixture
def image(workshop: Workshop) -> Image:
    return workshop.image(TEXT.replace("first", unique()), args={"OTHER": "given"})


def told(image: Image) -> set[tuple[str, str, int | None]]:
    return {(word.place, word.text, word.line) for word in image.words}


def test_variables_and_labels_are_told_with_their_lines(image: Image) -> None:
    assert {("ENV A", "second", 9), ("ENV B", "of two", 2), ("LABEL some.label", "of one", 4)} <= told(image)


def test_arguments_are_told_with_a_line_of_theirs_or_of_a_step_that_saw_them(image: Image) -> None:
    found = told(image)
    assert ("ARG WANTED", "default", 3) in found
    # Some engines put what they were given behind ARG, others only into the steps.
    assert {("ARG OTHER", "given", 7), ("ARG OTHER", "given", 8)} & found


def test_the_configuration_is_told(image: Image) -> None:
    found = told(image)
    assert {("the configuration's User", "12:34", 11), ("the configuration's Cmd", "--all", 12)} <= found
    assert ("the configuration's Healthcheck", "for it", 10) in found or image._engine.name == "podman"


def test_the_history_is_told_with_its_lines_also_of_what_was_overwritten(image: Image) -> None:
    history = [(word.text, word.line) for word in image.words if word.place == "the history"]
    assert [line for text, line in history if "of two" in text] == [2]
    assert [line for text, line in history if "test -n" in text] == [5, 8]


def test_what_the_base_image_says_is_not_told(workshop: Workshop) -> None:
    image = workshop.image(f"FROM python:3.11-slim\nRUN echo {unique()}\n")
    client: Any = image._engine.client
    base = client.inspect_image("python:3.11-slim")["Config"]["Env"]
    assert base
    assert not [word for word in image.words if word.place.startswith("ENV")]
    assert len([word for word in image.words if word.place == "the history"]) <= 2


def test_from_scratch_everything_is_told(workshop: Workshop) -> None:
    image = workshop.image(f"FROM scratch\nENV A={unique()}\nCOPY app.py /\n")
    assert ("ENV A", 2) in {(word.place, word.line) for word in image.words}


def test_a_history_that_does_not_fit_the_dockerfile_has_no_lines(image: Image) -> None:
    found = words.own({}, {}, ["ENV A=1", "RUN x"], image._dockerfile.final_instructions())
    assert [word.line for word in found if word.place == "the history"] == [None, None]


def test_the_arguments_that_a_step_could_see_are_told_by_their_names() -> None:
    found = list(words.own({}, {}, ["RUN |2 A=x B=y /bin/sh -c echo $A", "ARG C=z"], []))
    assert {(word.place, word.name, word.text) for word in found if word.name} == {
        ("ARG A", "A", "x"),
        ("ARG B", "B", "y"),
        ("ARG C", "C", "z"),
    }
