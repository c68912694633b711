"""Which Dockerfile language an engine speaks, and whose fault it is when that is too old."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grader.engine import frontend
from grader.errors import EngineError
from grader.submission import dockerfile
from grader.tests.engine.building import Workshop, unique

SLIM = b"FROM debian:bookworm-slim\n"
HEREDOC = SLIM + b"RUN <<E\ntrue\nE\n"


def prepared(workshop: Workshop, text: bytes, name: str, version: str) -> bytes:
    engine = replace(workshop.engine, name=name, version=version)
    return frontend.prepare(engine, dockerfile.parse(text), text)


@pytest.mark.parametrize(
    ("name", "version"), [("docker", "23.0.1"), ("docker", "28.5.2"), ("docker", "dev"), ("podman", "5.2.0")]
)
@pytest.mark.parametrize("text", [HEREDOC, SLIM + b"COPY --link app.py /\n", SLIM])
def test_a_new_engine_takes_it_as_it_is(workshop: Workshop, name: str, version: str, text: bytes) -> None:
    assert prepared(workshop, text, name, version) == text


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        (HEREDOC, "heredocs", 2),
        (SLIM + b"\nCOPY --link app.py /\n", "COPY --link", 3),
        (SLIM + b"RUN --network=none true\n", "RUN --network", 2),
    ],
)
def test_an_engine_that_is_too_old_is_not_the_learners_fault(
    workshop: Workshop, text: bytes, words: str, line: int
) -> None:
    with pytest.raises(EngineError, match=words) as raised:
        prepared(workshop, text, "docker", "20.10.24")
    assert raised.value.where == f"Dockerfile:{line}"
    assert "23" in raised.value.fix


def test_an_older_podman_does_not_take_a_heredoc_for_instructions(workshop: Workshop) -> None:
    with pytest.raises(EngineError, match="heredocs"):
        prepared(workshop, HEREDOC, "podman", "4.3.1")
    assert prepared(workshop, SLIM, "podman", "4.3.1") == SLIM


def test_podman_is_not_given_more_stages_than_it_carries(workshop: Workshop) -> None:
    with pytest.raises(EngineError, match="100 stages at most; the Dockerfile has 101") as raised:
        prepared(workshop, SLIM * 101, "podman", "6.1.1")
    assert raised.value.where == "Dockerfile:101"
    assert prepared(workshop, SLIM * 100, "podman", "6.1.1") == SLIM * 100
    assert prepared(workshop, SLIM * 101, "docker", "28.5.2") == SLIM * 101


def test_a_syntax_line_costs_no_registry_where_it_is_not_needed(workshop: Workshop) -> None:
    text = f"# syntax=docker/dockerfile:1\nFROM debian:bookworm-slim\nRUN echo {unique()}; exit 3\n".encode()
    engine = workshop.engine
    sent = frontend.prepare(engine, dockerfile.parse(text), text)
    assert sent.count(b"\n") == text.count(b"\n")
    failure = workshop.build(sent.decode()).failure
    assert failure is not None
    assert failure.line == 3


def test_a_build_without_a_network_is_read_by_the_engines_own_front_end(workshop: Workshop) -> None:
    text = b"# syntax=docker/dockerfile:1.2\n" + SLIM
    old = replace(workshop.engine, name="docker", version="20.10.24")
    sent = frontend.prepare(old, dockerfile.parse(text), text, own=True)
    assert dockerfile.parse(sent).syntax is None
