"""Builds on a real engine: what fails, hangs, is interrupted, or loses its engine."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from grader.engine import cancel, leftovers
from grader.engine.connect import API_VERSION, Engine
from grader.errors import EngineError, SubmissionError
from grader.tests.engine.building import Workshop, eventually, unique
from grader.tests.engine.faulty import http, passing_on, saying, serving, silent

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from grader.result import ProgressEvent

SLIM = "FROM debian:bookworm-slim\n"


def sleeping(mark: str) -> bool:
    """Whether a process of this machine has ``mark`` among its arguments, as the RUN that sleeps has."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if arguments[:1] == [b"sleep"] and mark.encode() in arguments:
            return True
    return False


def when(text: str, do: Callable[[], Any]) -> Callable[[ProgressEvent], None]:
    """A progress that does something, once, when a step of this text runs."""
    done: list[bool] = []

    def progress(event: ProgressEvent) -> None:
        if text in event.text and not done:
            done.append(True)
            do()

    return progress


def nap(mark: str) -> str:
    return SLIM + f"RUN echo begun && sleep {mark}\n"


@pytest.fixture
def mark(engine: Engine) -> str:
    if not engine.local:
        pytest.skip("takes root on the engine's machine, to see what runs there")
    # A number that no other test sleeps for.
    return str(10_000 + int(unique(), 16) % 10**9)


def test_a_build_says_which_image_it_made_and_how_long_it_took(workshop: Workshop) -> None:
    built = workshop.build(SLIM + f"RUN echo {unique()}\n")
    assert built.failure is None
    assert built.image_id is not None
    assert 0 < built.duration < 60
    # Podman keeps the image for the next build; it belongs to no run.
    label = leftovers.CACHE if workshop.engine.name == "podman" else f"grader.run={workshop.run.id}"
    labels = workshop.engine.client.images(filters={"label": label})
    assert built.image_id in {image["Id"] for image in labels}


def test_a_build_takes_arguments_and_a_target(workshop: Workshop) -> None:
    text = SLIM.strip() + " AS one\nARG A=0\nRUN test $A = 7\nFROM one\nRUN exit 1\n"
    assert workshop.build(text, args={"A": "7"}, target="one").failure is None
    assert isinstance(workshop.build(text, args={"A": "8"}, target="one").failure, SubmissionError)


def test_a_failed_step_shows_its_last_lines(workshop: Workshop) -> None:
    failure = workshop.build(SLIM + "RUN for i in $(seq 100); do echo line $i; done; echo why; exit 9\n").failure
    assert failure is not None
    assert len(failure.log) == 20
    assert {"line 100", "why"} <= set(failure.log)
    assert (failure.line, failure.where) == (2, "Dockerfile:2")


def test_a_build_that_takes_too_long_is_ended_for_real(workshop: Workshop, mark: str) -> None:
    failure = workshop.build(nap(mark), timeout=3.0).failure
    assert isinstance(failure, SubmissionError)
    assert failure.line == 2
    assert "within 3.0 s" in failure.what
    assert "begun" in failure.log
    assert eventually(lambda: not sleeping(mark))


def test_a_build_that_takes_too_long_has_a_line_on_every_engine(workshop: Workshop) -> None:
    failure = workshop.build(nap("15"), timeout=3.0).failure
    assert isinstance(failure, SubmissionError)
    assert failure.line == 2


def test_an_interrupted_build_is_ended_for_real(workshop: Workshop, mark: str) -> None:
    def interrupt() -> None:
        assert eventually(lambda: sleeping(mark))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workshop.build(nap(mark), progress=when("begun", interrupt))
    assert eventually(lambda: not sleeping(mark))


def test_a_bug_in_the_progress_ends_the_build_too(workshop: Workshop, mark: str) -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        workshop.build(nap(mark), progress=when("begun", fail))
    assert eventually(lambda: not sleeping(mark))


@contextmanager
def engine_at(engine: Engine, path: Path, answer: Callable[[socket.socket], None]) -> Iterator[Engine]:
    """The same engine, as it seems, at a socket of our own."""
    with serving(path, answer) as endpoint:
        client = docker.APIClient(endpoint, version=API_VERSION, timeout=5)
        try:
            yield replace(engine, client=client, endpoint=endpoint)
        finally:
            client.close()


def test_an_engine_that_goes_away_during_a_build_is_to_blame(workshop: Workshop, tmp_path: Path) -> None:
    engine = workshop.engine
    if not engine.endpoint.startswith("unix://"):
        pytest.skip("takes an engine at a socket")
    cut = threading.Event()
    with engine_at(engine, tmp_path / "s", passing_on(engine.endpoint, cut)) as proxied:
        text = SLIM + f"RUN echo begun {unique()} && sleep 20\n"
        with pytest.raises(EngineError):
            workshop.build(text, progress=when("begun", cut.set), on=proxied)


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(message: Any) -> bytes:
    line = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
    return b"%x\r\n%s\r\n" % (len(line), line)


@pytest.mark.parametrize(
    "parts",
    [
        [http(b'{"message": "broken"}', b"500 Oh no")],
        [http(b"<html>", b"502 Bad Gateway")],
        [http(b"", b"503 Service Unavailable")],
        [CHUNKED],
        [CHUNKED, chunk({"stream": "so"})],
        [CHUNKED, chunk({"stream": "so"}), b"0\r\n\r\n"],
        [CHUNKED, chunk(b"this is no JSON\n"), b"0\r\n\r\n"],
        [CHUNKED, chunk({"id": "moby.buildkit.trace", "aux": "AAAA"}), b"0\r\n\r\n"],
        [CHUNKED, chunk({"id": "moby.buildkit.trace", "aux": "not base64!"}), b"0\r\n\r\n"],
        [CHUNKED, chunk({"error": "the frobnicator broke"}), b"0\r\n\r\n"],
        [],
    ],
)
def test_an_engine_that_answers_nonsense_is_to_blame(workshop: Workshop, tmp_path: Path, parts: list[bytes]) -> None:
    docker_engine = replace(workshop.engine, name="docker")
    with engine_at(docker_engine, tmp_path / "s", saying(*parts)) as faulty, pytest.raises(EngineError):
        workshop.build(SLIM, on=faulty)


def test_an_engine_that_neither_builds_nor_stops_is_to_blame(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancel, "GRACE", 0.5)
    with engine_at(workshop.engine, tmp_path / "s", silent) as hung, pytest.raises(EngineError):
        workshop.build(SLIM, on=hung, timeout=0.5)


def test_the_cache_is_used_and_can_be_refused(workshop: Workshop) -> None:
    text = SLIM + f"RUN echo {unique()}\n"
    builds = [workshop.build(text, cache=cache).steps for cache in (True, True, False)]
    states = [next(step.cached for step in steps if step.line == 2) for steps in builds]
    assert states == [False, True, False]
