"""Which engine is found, and what is said when none is."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from grader.engine import connect as connecting
from grader.engine import install, private
from grader.engine.connect import Candidate, Engine, connect
from grader.errors import EngineError, ExitCode
from grader.tests.engine.faulty import VERSION, http, saying, serving, silent

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any engine: an own home, and no socket of the system's."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(private, "running", lambda: False)
    monkeypatch.setattr(private, "available", lambda: False)
    monkeypatch.setattr(install, "supported", lambda: "Install an engine.")
    real = connecting._sockets
    monkeypatch.setattr(connecting, "_sockets", lambda: (one for one in real() if tmp_path in one[0].parents))
    return tmp_path


def places(home: Path) -> dict[str, Path]:
    return {
        "Docker Desktop": home / ".docker/run/docker.sock",
        "Colima": home / ".colima/default/docker.sock",
        "Rancher Desktop": home / ".rd/docker.sock",
        "rootless Docker Engine": home / "run/docker.sock",
        "Podman": home / "run/podman/podman.sock",
    }


def test_a_real_engine_says_what_it_is(engine: Engine) -> None:
    assert engine.name in ("docker", "podman")
    assert engine.platform.startswith("linux/")
    assert engine.result.version == engine.version
    assert engine.at_least(20) == (engine.name == "docker")


def test_sockets_are_tried_in_order(nowhere: Path) -> None:
    found = []
    for name, path in reversed(places(nowhere).items()):
        path.parent.mkdir(parents=True, exist_ok=True)
        with serving(path, saying(http(VERSION))):
            found.append((name, connect().endpoint == f"unix://{path}"))
        path.touch()  # a socket that nobody serves any more does not stand in the way
    assert all(good for _, good in found)


def test_an_engine_that_hangs_gives_way_to_the_next(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "PING_TIMEOUT", 1.0)
    one, two = places(nowhere)["Colima"], places(nowhere)["Podman"]
    for path in (one, two):
        path.parent.mkdir(parents=True)
    with serving(one, silent), serving(two, saying(http(VERSION))) as endpoint:
        assert connect().endpoint == endpoint


def test_what_the_user_chose_is_the_only_place(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = nowhere / "run/docker.sock"
    other.parent.mkdir()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{nowhere}/none.sock")
    with serving(other, saying(http(VERSION))), pytest.raises(EngineError, match="DOCKER_HOST") as raised:
        connect()
    assert raised.value.exit_code is ExitCode.INFRASTRUCTURE
    assert raised.value.where == f"unix://{nowhere}/none.sock"
    assert "unset DOCKER_HOST" in raised.value.fix


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([http(b'{"message": "broken"}', b"500 Oh no")], "500"),
        ([http(b"{}")], "no container engine"),
        ([http(b"[]")], "no container engine"),
        ([http(b'{"Version": null}')], "no container engine"),
        ([http(b"<html>")], "does not answer"),
        ([b"SSH-2.0-OpenSSH\r\n"], "does not answer"),
        ([b"\x00\xff\x00\xff" * 1000], "does not answer"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"], "does not answer"),
        ([], "does not answer"),
        ([http(VERSION.replace(b'"1.48"', b'"1.40"'))], "Docker Engine 20.10"),
    ],
)
def test_what_answers_but_is_no_engine_of_use_is_named(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, parts: list[bytes], words: str
) -> None:
    with serving(nowhere / "s", saying(*parts)) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        with pytest.raises(EngineError, match=words):
            connect()


def test_an_engine_that_hangs_is_named_in_time(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "PING_TIMEOUT", 1.0)
    with serving(nowhere / "s", silent) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        with pytest.raises(EngineError, match="no answer in time"):
            connect()


def test_all_places_are_named_when_none_answers(nowhere: Path) -> None:
    for path in places(nowhere).values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(EngineError) as raised:
        connect()
    assert raised.value.exit_code is ExitCode.INFRASTRUCTURE
    assert all(name in raised.value.where for name in places(nowhere))
    assert raised.value.fix == "Install an engine."


def test_a_newer_engine_is_spoken_to_in_its_oldest_version(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = VERSION.replace(b'"1.24"', b'"1.44"').replace(b'"1.48"', b'"1.52"')
    with serving(nowhere / "s", saying(http(answer))) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        assert connect().client.api_version == "1.44"


def context(home: Path, name: str, endpoint: str | None) -> None:
    folder = home / "config"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"currentContext": name}))
    if endpoint:
        meta = folder / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
        meta.mkdir(parents=True)
        (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": endpoint}}}))


def test_the_current_docker_context_is_used(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(nowhere / "config"))
    with serving(nowhere / "s", saying(http(VERSION))) as host:
        context(nowhere, "mine", host)
        assert connect().endpoint == host
    with pytest.raises(EngineError, match=r"docker context “mine”") as raised:
        connect()
    assert "docker context use" in raised.value.fix


@pytest.mark.parametrize("content", ['{"currentContext": "gone"}'])
def test_a_docker_context_that_does_not_exist_is_named(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(nowhere))
    (nowhere / "config.json").write_text(content)
    with pytest.raises(EngineError, match="gone"):
        connect()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"currentContext": ""}', '{"currentContext": "default"}', "\x00"])
def test_a_configuration_that_says_nothing_is_passed_over(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(nowhere))
    (nowhere / "config.json").write_text(content)
    assert list(connecting.candidates()) == []


def test_windows_is_asked_by_its_pipes_without_what_only_posix_has(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    for name in ("getuid", "geteuid"):
        monkeypatch.delattr(os, name)
    found = list(connecting.candidates())
    assert found
    assert all(one.endpoint.startswith("npipe://") for one in found)
    assert not connecting._is_root_on_linux()


def test_certificates_are_taken_from_where_docker_has_them(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2376")
    assert next(connecting.candidates()) == Candidate("tcp://127.0.0.1:2376", "DOCKER_HOST", None, chosen=True)
    for name in ("ca", "cert", "key"):
        (nowhere / f"{name}.pem").write_text("")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(nowhere))
    tls = next(connecting.candidates()).tls
    assert tls is not None
    assert (tls.ca_cert, tls.cert) == (f"{nowhere}/ca.pem", (f"{nowhere}/cert.pem", f"{nowhere}/key.pem"))


def test_our_own_engine_is_started_only_when_it_may_be(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "available", lambda: True)
    with pytest.raises(EngineError, match="No container engine answers") as raised:
        connect(start_private=False)
    assert "grader engine start" in raised.value.fix
    with serving(nowhere / "own", saying(http(VERSION))) as endpoint:
        monkeypatch.setattr(private, "start", lambda _progress: endpoint)
        assert connect().private
