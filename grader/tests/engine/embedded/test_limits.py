"""Every call to an engine ends: one that trickles, and one that stops in the middle of a stream."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from grader.engine.api import frames, library
from grader.engine.api.client import Client, created, has
from grader.engine.api.library import Library
from grader.engine.connect import API_VERSION
from grader.engine.running import state
from grader.engine.running.run import _Output
from grader.errors import EngineError
from grader.tests.engine.faulty import serving

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from grader.tests.engine.building import Workshop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


def trickling(over: threading.Event) -> Callable[[socket.socket], None]:
    """A byte now and then, always before a silence would be noticed."""

    def answer(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(HEAD)
        while not over.wait(0.05):
            client.sendall(b" ")

    return answer


def test_a_trickle_prolongs_nothing(tmp_path: Path) -> None:
    over = threading.Event()
    with serving(tmp_path / "s", trickling(over)) as host, pytest.raises(requests.Timeout):
        Client(host, API_VERSION, 1).inspect_image("x")
    over.set()


def stopping(over: threading.Event, *parts: bytes) -> Callable[[socket.socket], None]:
    """Says ``parts`` and nothing more."""

    def answer(client: socket.socket) -> None:
        client.recv(65536)
        for part in parts:
            client.sendall(part)
        over.wait(60)

    return answer


def test_what_the_library_streams_has_a_limit_on_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "SILENCE", 0.5)
    over = threading.Event()
    with serving(tmp_path / "s", stopping(over, HEAD, b"x" * 100)) as host:
        client = Library(host, version=API_VERSION, timeout=30)
        for stream in (client.get_image("x"), client.export("x"), client.get_archive("x", "/")[0]):
            with pytest.raises(requests.RequestException):
                list(stream)
        over.set()
        client.close()


def test_what_the_library_streams_has_a_limit_on_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "WHOLE", -1.0)
    over = threading.Event()
    with serving(tmp_path / "s", stopping(over, HEAD, b"x" * 100_000)) as host:
        client = Library(host, version=API_VERSION, timeout=30)
        with pytest.raises(requests.Timeout):
            list(client.export("x", chunk_size=1000))
        over.set()
        client.close()


def test_an_import_has_a_limit_too() -> None:
    client = Library("unix:///nowhere", version=API_VERSION, timeout=30)
    assert client._set_request_timeout({"timeout": None}) == {"timeout": library.SILENCE}
    assert client._set_request_timeout({}) == {"timeout": 30}
    assert client._set_request_timeout({"timeout": 5}) == {"timeout": 5}
    client.close()


def frame(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4) + text


@pytest.mark.parametrize("client", [Client, Library])
@pytest.mark.parametrize(
    ("sent", "read", "whole"),
    [
        (frame(1, b"out") + frame(2, b"err"), (b"out", b"err"), True),
        (frame(1, b""), (b"", b""), True),
        (b"", (b"", b""), True),
        (frame(1, b"out") + frame(2, b"error")[:-2], (b"out", b"err"), False),
        (frame(1, b"out") + frame(2, b"err")[:5], (b"out", b""), False),
        (b"nothing that is a frame at all", (b"", b""), False),
    ],
)
def test_output_is_read_to_its_end_and_a_break_is_none(
    client: Any, sent: bytes, read: tuple[bytes, bytes], tmp_path: Path, *, whole: bool
) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        # In one piece with the head, as it comes where a program prints at once.
        connection.sendall(UPGRADED + sent)

    with serving(tmp_path / "s", answer) as host:
        found = client(host, version=API_VERSION, timeout=5)
        output = _Output(frames.attached(found, "x"), 1000)
        output.wait(10)
        output.close()
        told = output.told()
        found.close()
    assert (told.stdout, told.stderr) == read
    if whole:
        output.check()
    else:
        with pytest.raises(EngineError, match="output was lost"):
            output.check()


@pytest.mark.parametrize("answer", [None, "x", 7, [], {}, {"Id": "x"}])
def test_an_answer_of_another_shape_is_none(answer: Any) -> None:
    with pytest.raises(requests.RequestException, match="makes no sense"):
        has(answer, ("Id", "State"), "GET /x")
    assert has({"Id": 1, "State": 2, "More": 3}, ("Id", "State"), "GET /x")["More"] == 3
    assert has([], None, "GET /x") == []


def test_an_engine_that_was_started_anew_is_known_by_its_process(workshop: Workshop) -> None:
    engine = workshop.engine
    if engine.name != "docker" or engine.process is None:
        pytest.skip("the kernel does not tell who listens, or it says nothing")
    assert state.listening(engine.endpoint) == engine.process
    container = created(engine.client, "debian:bookworm-slim", ["true"], labels=workshop.run.labels)
    engine.client.start(container)
    engine.client.wait(container, timeout=60)
    assert state.of(engine, container)["ExitCode"] == 0
    with pytest.raises(EngineError, match="started anew"):
        state.of(replace(engine, process=engine.process + 1), container)
