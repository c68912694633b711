"""`grader doctor` names the usual reasons that nothing works, and how to mend each."""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from grader.cli import cli
from grader.cli.doctor import anonymous, fitted
from grader.engine import connect, diagnosis, fences, private
from grader.engine.connect import Candidate
from grader.engine.diagnosis import Fact
from grader.engine.fences import Fence
from grader.errors import EngineError
from grader.tests.cli.programs import run
from grader.tests.engine.faulty import http, serving

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from grader.engine.connect import Engine

pytestmark = pytest.mark.skipif(os.name == "nt", reason="engines are faked on unix sockets")
VERSION = {"Version": "28.0.0", "ApiVersion": "1.48", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64"}
REFUSED = b'{"message": "Get \\"https://registry/v2/\\": dial tcp: lookup registry: no such host"}'
IMAGE = {
    "Id": "sha256:ab",
    "Architecture": "arm64",
    "Config": {"Labels": {}},
    "RepoTags": ["python:3.11"],
    "RootFS": {"Type": "layers", "Layers": ["sha256:cd"]},
}


@contextmanager
def an_engine(root: Path, *, image: bool = True, info: dict[str, str] | None = None, **version: str) -> Iterator[str]:
    """An engine that answers what the doctor asks: with one image, or none, and no registry in reach."""

    def answer(client: socket.socket) -> None:
        while head := client.recv(65536):
            path = head.split(b" ")[1].decode()
            if path.endswith("/version"):
                client.sendall(http(json.dumps(VERSION | version).encode()))
            elif "/distribution/" in path:
                client.sendall(http(REFUSED, b"500 Internal Server Error"))
            elif path.endswith("/info"):
                client.sendall(
                    http(json.dumps({"Driver": "overlayfs", "DockerRootDir": "/none"} | (info or {})).encode())
                )
            elif re.search(r"/images/.+/json", path) and image:
                client.sendall(http(json.dumps(IMAGE).encode()))
            elif "/images/json" in path:
                client.sendall(http(json.dumps([IMAGE] if image else []).encode()))
            else:
                client.sendall(http(b'{"message": "No such image"}', b"404 Not Found"))

    root.mkdir(exist_ok=True)
    with serving(root / "engine.sock", answer) as host:
        yield host


def test_all_is_well(engine: Engine) -> None:
    done = run("grader", "doctor")
    assert done.returncode == 0, done.stdout
    assert engine.version in done.stdout
    for name in ("Python", "disk", "engine", "builder", "space", "processor", "bases", "network", "proxy"):
        assert re.search(rf"^{name} ", done.stdout, re.MULTILINE), name


def test_fences_are_told_and_nobody_is_asked_to_mend_them(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = Fence("build disk", present=False, text="it is shared", fix="Use another.")
    standing = Fence("build memory", present=True, text="1 GB for a step")
    monkeypatch.setattr(fences, "of", lambda _: (lacking, standing))
    told = diagnosis._fences(engine)
    assert "none for build disk" in told.text
    assert told.more == ("build disk: it is shared", "build memory: 1 GB for a step", "Use another.")
    assert (told.fix, told.grave) == ("", False)
    monkeypatch.setattr(fences, "of", lambda _: (lacking,))
    assert diagnosis._fences(engine).more == ("it is shared", "Use another.")
    monkeypatch.setattr(fences, "of", lambda _: (standing,))
    assert diagnosis._fences(engine).text == "builds and apps are bounded"


def test_nobody_answers() -> None:
    done = run("grader", "doctor", env={"DOCKER_HOST": "unix:///nonexistent"})
    assert done.returncode == 3
    assert "mend: Start that engine, or unset DOCKER_HOST" in done.stdout


def test_an_engine_is_installed_and_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told in this process: whether an engine of the suite's own runs by now is not this test's to say."""
    nobody = Candidate(f"unix://{tmp_path}/none.sock", "the system's Docker Engine")
    monkeypatch.setattr(connect, "candidates", lambda: iter([nobody]))
    monkeypatch.setattr(private, "running", lambda: False)
    monkeypatch.setattr(private, "available", lambda: True)
    done = CliRunner().invoke(cli, ["doctor"], standalone_mode=False)
    assert done.return_value == 3
    assert re.search(r"mend: .*grader engine start", done.stdout), done.stdout


@pytest.mark.parametrize(
    ("tried", "words"),
    [
        ("the system's Docker Engine (unix:///var/run/docker.sock): permission denied", "usermod -aG docker"),
        (
            "Docker Desktop (unix:///x): an engine of API 1.30, but this grader needs 1.41 or later",
            "Upgrade that engine",
        ),
        ("the system's Docker Engine (unix:///var/run/docker.sock): connection refused", "does not run"),
    ],
)
def test_each_reason_has_its_mending(tried: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    fact = diagnosis.no_engine(EngineError("No container engine answers", "Install one.", where=tried))
    assert fact.grave
    assert words in fact.fix
    assert fact.more == (tried,)


def test_an_old_engine(tmp_path: Path) -> None:
    with an_engine(tmp_path, ApiVersion="1.30") as host:
        done = run("grader", "doctor", env={"DOCKER_HOST": host})
    assert done.returncode == 3
    assert "an engine of API 1.30, but this grader needs 1.41" in done.stdout
    assert "mend: Upgrade that engine" in done.stdout


def test_images_of_another_processor(tmp_path: Path) -> None:
    with an_engine(tmp_path) as host:
        done = run("grader", "doctor", env={"DOCKER_HOST": host})
    assert done.returncode == 3
    assert "the engine is amd64, but python:3.11 is for arm64" in done.stdout
    assert "docker rmi python:3.11" in done.stdout


def test_an_engine_for_windows_containers(tmp_path: Path) -> None:
    with an_engine(tmp_path, Os="windows") as host:
        done = run("grader", "doctor", env={"DOCKER_HOST": host})
    assert done.returncode == 3
    assert "Switch Docker Desktop to Linux containers" in done.stdout


def test_no_network_and_a_proxy_that_the_engine_does_not_know(tmp_path: Path) -> None:
    env = {"HTTPS_PROXY": "http://me:pa/ss@proxy.example:3128"}
    with an_engine(tmp_path, image=False) as host:
        done = run("grader", "doctor", env=env | {"DOCKER_HOST": host})
    assert done.returncode == 3
    assert "is not reached from here" in done.stdout
    assert '\n            Get "https://registry/v2/": dial tcp' in done.stdout, "the engine's words, not the client's"
    assert "grader bases --yes" in done.stdout
    assert "here http://***@proxy.example:3128; the engine's none" in done.stdout
    assert "Tell the engine of it, too" in done.stdout
    assert "pa/ss" not in done.stdout


def test_a_stand_in_of_an_older_recipe_is_stale(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.engine.standin.present", lambda _engine: ["python:3.11"])
    monkeypatch.setattr("grader.engine.standin.is_current", lambda _image, _reference: False)
    (fact,) = diagnosis._stand_ins(engine, None)
    assert "python:3.11" in fact.text
    assert "grader bases --yes" in fact.fix
    monkeypatch.setattr("grader.engine.standin.is_current", lambda _image, _reference: True)
    (fact,) = diagnosis._stand_ins(engine, None)
    assert "--refresh" in fact.fix


def test_little_space_is_grave(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    full = replace(engine, local=True)
    monkeypatch.setattr("grader.engine.describe._LITTLE_SPACE", 10**18)
    facts = {fact.name: fact for fact in diagnosis.engine(full, [])}
    if not Path(engine.client.info()["DockerRootDir"]).is_dir():
        pytest.skip("the engine's disk is not this machine's")
    assert facts["space"].grave
    assert "Free space" in facts["space"].fix


def test_a_course_that_cannot_be_read_does_not_keep_it_from_the_engine(tmp_path: Path) -> None:
    (tmp_path / "exercises/01-x").mkdir(parents=True)
    (tmp_path / "exercises/course.yaml").write_text("title: A\n")
    (tmp_path / "exercises/01-x/rubric.yaml").write_text("title: [\n")
    with an_engine(tmp_path / "engine") as host:
        done = run("grader", "doctor", cwd=tmp_path, env={"DOCKER_HOST": host})
    assert re.search(r"^course .*", done.stdout, re.MULTILINE)
    assert "docker 28.0.0" in done.stdout


def test_the_report_has_no_secrets_and_no_names(tmp_path: Path) -> None:
    env = {
        "HTTPS_PROXY": "http://me:secret@proxy:3128", "HOME": "/home/ada", "DOCKER_HOST": "unix:///home/ada/x.sock",
        "MY_TOKEN": "not-told",
    }  # fmt: skip
    done = run("grader", "doctor", "--report", env=env)
    assert done.stdout.startswith("```\ngrader ")
    assert done.stdout.endswith("```\n")
    assert "DOCKER_HOST=unix://~/x.sock" in done.stdout
    for word in ("secret", "ada", "not-told"):
        assert word not in done.stdout


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://me:pw@host/x", "https://***@host/x"),
        ("ssh://ada@host", "ssh://***@host"),
        ("http://a:b@c@host:1, http://d:e@f", "http://***@host:1, http://***@f"),
        ("me:pa/ss@proxy:3128", "***@proxy:3128"),
        ("/Users/ada/.docker and C:\\Users\\ada\\x", "~/.docker and ~\\x"),
        ("https://host/?token=abc&x=1", "https://host/?token=***&x=1"),
        ("python:3.11@sha256:abcd", "python:3.11@sha256:abcd"),
        ("http://host:3128", "http://host:3128"),
    ],
)
def test_what_is_taken_out(text: str, told: str) -> None:
    assert anonymous(text) == told


def test_a_fact_is_nothing_to_mend_by_default() -> None:
    assert (Fact("a", "b").fix, Fact("a", "b").grave) == ("", False)


@pytest.mark.parametrize("begin", ["bases       ", "            mend: "])
def test_on_a_terminal_a_long_fact_stands_beside_its_name(begin: str) -> None:
    line = begin + "python:3.11 (stand-in), gcr.io/distroless/python3-debian12:nonroot (stand-in), " * 3 + "and no more"
    lines = fitted(line, 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(begin)
    assert all(re.match(r" {12}\S", each) for each in lines[1:])
    assert " ".join(" ".join(lines).split()) == " ".join(line.split())
