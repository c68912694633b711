"""Who listens where, from the kernel's own table."""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from grader.engine.running import ask, namespace
from grader.engine.running.namespace import Answer, Entered, Listener, Question, is_ours

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("172.17.0.2", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_an_address_that_only_the_container_reaches(address: str, *, inside: bool) -> None:
    assert Listener(address, 80).inside_only is inside


@pytest.mark.skipif(sys.byteorder != "little", reason="the table is in the machine's byte order")
def test_the_kernels_table_is_read(tmp_path: Path) -> None:
    head = "  sl  local_address rem_address   st\n"
    (tmp_path / "tcp").write_text(
        head + "   0: 0100007F:1388 00000000:0000 0A\n   1: 00000000:0050 00000000:0000 0A\n"
        "   2: 0100007F:1388 0100007F:9999 01\n"
    )
    (tmp_path / "tcp6").write_text(head + "   0: 00000000000000000000000001000000:1F90 0:0 0A\n")
    found = [(one["address"], one["port"]) for one in ask.listeners(str(tmp_path))]
    assert found == [("127.0.0.1", 5000), ("0.0.0.0", 80), ("::1", 8080)]
    assert ask.listeners(str(tmp_path / "none")) == []


@pytest.mark.skipif(sys.platform != "linux", reason="Linux keeps the table")
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_listener_of_ours_is_seen(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as server:
        try:
            server.bind((host, 0))
        except OSError:
            pytest.skip("no such address here")
        server.listen()
        assert {"address": host, "port": server.getsockname()[1]} in ask.listeners()


def test_a_host_of_the_newer_protocol_is_asked() -> None:
    with socket.socket(socket.AF_INET6) as server:
        try:
            server.bind(("::1", 0))
        except OSError:
            pytest.skip("no such address here")
        server.listen()

        def serve() -> None:
            client = server.accept()[0]
            with client:
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        threading.Thread(target=serve, daemon=True).start()
        answer = Answer.of(ask.ask(Question("GET", "/", server.getsockname()[1], host="::1", within=5.0).order()))
    assert (answer.status, answer.body) == (200, b"hi")


def test_a_process_of_this_machine_is_no_containers() -> None:
    assert not is_ours(os.getpid(), "0123456789abcdef")
    assert not is_ours(2**22 + 1, "0123456789abcdef")


def test_a_process_that_has_ended_cannot_be_entered() -> None:
    if sys.platform != "linux":
        pytest.skip("Linux has namespaces")
    with pytest.raises(OSError):
        Entered(2**22 + 1)


def test_an_error_keeps_its_kind() -> None:
    answer = Answer.of({"kind": "timeout", "error": "no complete answer in time", "elapsed": 1.0})
    assert (answer.kind, answer.status, answer.elapsed) == ("timeout", 0, 1.0)


def test_the_published_way_does_not_guess_who_listens() -> None:
    assert namespace.Published(1).listeners() is None
