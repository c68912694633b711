"""The calls that are made without the client library: that they are, when they are not, and that nobody can tell."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import docker
import pytest
import requests

from grader.course.exercise import find_course, resolve
from grader.engine import fences, leftovers
from grader.engine.api import client as clients
from grader.engine.api.client import Client, post, proxies, serves
from grader.engine.connect import API_VERSION, connect
from grader.tests.engine.faulty import VERSION, http, saying, serving, silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from grader.engine.connect import Engine

LIBRARY = ("docker", "requests", "urllib3")
GRADE = f"""
import sys
from grader.cli import cli, run
code = run(cli.commands["grade"], sys.argv[1:], "grade")
print(code, [name for name in {LIBRARY} if name in sys.modules], file=sys.stderr)
"""


@pytest.fixture
def unconfigured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without docker's configuration."""
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def library(engine: Engine) -> Iterator[Any]:
    """The client library's own client of the real engine."""
    found = docker.APIClient(engine.endpoint, version=API_VERSION, timeout=60)
    yield found
    found.close()


@pytest.fixture
def ours(engine: Engine) -> Iterator[Client]:
    """A client of the real engine that has not needed the library yet."""
    if not engine.endpoint.startswith("unix://"):
        pytest.skip("this engine is not reached by a unix socket")
    found = Client(engine.endpoint, API_VERSION, 60)
    yield found
    found.close()


def test_a_grading_that_goes_well_does_without_the_library(engine: Engine) -> None:
    if engine.name != "docker" or not engine.local or not serves(engine.endpoint):
        pytest.skip("this engine is asked by the library")
    course = find_course()
    exercise = resolve(course, "multi-stage-builds")
    assert course.solutions
    solution = course.solutions / exercise.id
    command = [sys.executable, "-c", GRADE, exercise.id, "--submission", str(solution), "--yes"]
    for _ in range(2):  # the first may have to read the layers of the image through the engine
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "0 []"


@pytest.mark.parametrize(
    ("config", "plain"),
    [
        (None, True),
        ({}, True),
        ({"auths": {"example.org": {}}, "currentContext": "default"}, True),
        ({"proxies": {"default": {"httpProxy": "http://proxy.example:3128"}}}, False),
        ({"HttpHeaders": {"X-Meta": "1"}}, False),
        ([], False),
    ],
)
def test_docker_s_configuration_decides_who_asks(unconfigured: Path, config: Any, *, plain: bool) -> None:
    if config is not None:
        (unconfigured / ".docker").mkdir()
        (unconfigured / ".docker/config.json").write_text(json.dumps(config))
    assert serves("unix:///run/engine.sock") == plain
    assert not serves("tcp://127.0.0.1:2375")
    assert not serves("ssh://host")


def test_with_proxies_the_library_asks_and_builds_are_given_them(
    unconfigured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    with serving(tmp_path / "s", saying(http(VERSION))) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        assert isinstance(connect().client, Client)
        assert proxies(connect().client) == {}
        settings = {"proxies": {"default": {"httpProxy": "http://proxy.example:3128"}}}
        (folder / "config.json").write_text(json.dumps(settings))
        client = connect().client
        assert isinstance(client, docker.APIClient)
        assert proxies(client)["HTTP_PROXY"] == "http://proxy.example:3128"
        client.close()


def test_podman_is_asked_by_the_library(unconfigured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(unconfigured / "s", saying(http(VERSION.replace(b'"Engine"', b'"Podman Engine"')))) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        engine = connect()
        assert engine.name == "podman"
        assert isinstance(engine.client, docker.APIClient)
        engine.client.close()


def test_the_fences_are_those_that_the_library_would_ask_for(engine: Engine, library: Any, ours: Client) -> None:
    labels = {"grader.test": "fences"}
    for changes in ({}, {"network_mode": "container:x", "cap_add": ["KILL"], "log_config": fences.unlogged()}):
        plain = fences.fenced(replace(engine, client=cast("Any", ours)), labels, 64_000_000, **changes)
        asked = fences.fenced(replace(engine, client=library), labels, 64_000_000, **changes)
        assert plain == asked
    assert ours._library is None


def test_what_it_does_not_know_it_leaves_to_the_library(ours: Client) -> None:
    assert ours.create_host_config(read_only=True)["ReadonlyRootfs"] is True
    assert ours._library is not None
    assert ours.api_version == API_VERSION
    assert ours.networks(names=["none"])
    with pytest.raises(AttributeError):
        ours.no_such_call()


def test_containers_are_the_same_whoever_makes_them(engine: Engine, library: Any, ours: Client) -> None:
    made: dict[Any, Mapping[str, Any]] = {}
    labels = leftovers.Run.new().labels
    for client in (ours, library):
        options = fences.fenced(replace(engine, client=cast("Any", client)), labels, 64_000_000)
        options |= {"environment": {"GREETING": "hello=1"}, "ports": None}
        container = client.create_container("python:3.11-slim", **options)["Id"]
        try:
            assert [one["Id"] for one in client.containers(all=True, filters={"label": _run(labels)})] == [container]
            client.start(container)
            made[client] = client.inspect_container(container)
        finally:
            client.remove_container(container, force=True, v=True)
        assert client.containers(all=True, filters={"label": _run(labels)}) == []
    assert ours._library is None
    config = {name: value for name, value in made[ours]["Config"].items() if name != "Hostname"}
    assert config == {name: value for name, value in made[library]["Config"].items() if name != "Hostname"}
    assert made[ours]["HostConfig"] == made[library]["HostConfig"]


def _run(labels: Mapping[str, str]) -> str:
    return f"{leftovers.RUN}={labels[leftovers.RUN]}"


def test_commands_are_made_and_waited_for_alike(engine: Engine, library: Any, ours: Client) -> None:
    words = {"entrypoint": ["sh"], "command": ["-c", "exit 3"], "user": "www-data", "working_dir": "/tmp"}
    seen = []
    labels = leftovers.Run.new().labels
    for client in (ours, library):
        options = fences.fenced(replace(engine, client=cast("Any", client)), labels, 64_000_000)
        container = client.create_container("python:3.11-slim", **options, **words)["Id"]
        try:
            client.start(container)
            ended = client.wait(container, timeout=30)["StatusCode"]
            config = client.inspect_container(container)["Config"]
            seen.append((ended, {name: value for name, value in config.items() if name != "Hostname"}))
        finally:
            client.remove_container(container, force=True, v=True)
    assert seen[0] == seen[1]
    assert seen[0][0] == 3
    assert ours._library is None
    # A text has to be taken apart, which is the library's to do.
    with pytest.raises(docker.errors.ImageNotFound):
        ours.create_container("no-such-image", command="sh -c true")
    assert ours._library is not None


def test_execs_are_made_alike_and_a_wait_ends_in_time(engine: Engine, library: Any, ours: Client) -> None:
    asked = {"stdout": True, "stderr": True, "user": "www-data", "environment": {"A": "1=2"}, "workdir": "/tmp"}
    options = fences.fenced(replace(engine, client=cast("Any", ours)), leftovers.Run.new().labels, 64_000_000)
    container = ours.create_container("python:3.11-slim", **options, entrypoint=["sleep"], command=["999"])["Id"]
    try:
        ours.start(container)
        told = []
        for client in (ours, library):
            made = client.exec_create(container, ["sh", "-c", "id -un; echo $A; pwd"], **asked)["Id"]
            out, _ = library.exec_start(made, demux=True)
            state = client.exec_inspect(made)
            told.append((out, state["ExitCode"], state["ProcessConfig"]))
        assert told[0] == told[1]
        assert told[0][0] == b"www-data\n1=2\n/tmp\n"
        with pytest.raises(requests.exceptions.ReadTimeout):
            ours.wait(container, timeout=0.2)
        assert ours._library is None
        with pytest.raises(docker.errors.NotFound):
            ours.exec_inspect("0" * 64)
    finally:
        ours.remove_container(container, force=True, v=True)


def test_what_is_no_json_is_an_answer_that_fails(tmp_path: Path) -> None:
    with serving(tmp_path / "engine.sock", saying(http(b"<html>"))) as endpoint:
        client = Client(endpoint, API_VERSION, 5)
        for ask in (client.info, lambda: client.exec_inspect("a"), lambda: client.wait("a", timeout=5)):
            with pytest.raises(requests.exceptions.InvalidJSONError):
                ask()


def test_what_a_container_printed_is_read_alike(engine: Engine, library: Any, ours: Client) -> None:
    options = fences.fenced(engine, leftovers.Run.new().labels, 64_000_000)
    script = "import os; os.write(1, b'one\\ntwo\\xff'); os.write(2, b'!' * 40_000 + b'\\nlast\\n')"
    container = library.create_container("python:3.11-slim", ["python3", "-c", script], **options)["Id"]
    try:
        library.start(container)
        library.wait(container)
        asked = {"stdout": True, "stderr": True, "tail": 20}
        assert ours.logs(container, **asked) == library.logs(container, **asked)
        assert ours._library is None
        assert ours.logs(container, tail=1) == library.logs(container, tail=1)
        assert ours._library is not None
    finally:
        library.remove_container(container, force=True)


def test_images_are_told_and_removed_alike(library: Any, ours: Client) -> None:
    assert ours.inspect_image("python:3.11-slim") == library.inspect_image("python:3.11-slim")
    label = {"label": "grader.test.client=1"}
    library.import_image_from_data(_empty_tar(), "grader-test-client", "1", ["LABEL grader.test.client=1"])
    try:
        (image,) = ours.images(filters=label)
        assert [image] == library.images(filters=label)
        ours.remove_image(image["Id"], force=True)
        assert ours.images(filters=label) == []
    finally:
        with suppress(docker.errors.ImageNotFound):
            library.remove_image("grader-test-client:1", force=True)


def _empty_tar() -> bytes:
    return b"\0" * 10240


def test_refusals_are_the_library_s_own(library: Any, ours: Client) -> None:
    for name, arguments in (
        ("inspect_image", ("grader-test-no-such-image",)),
        ("inspect_container", ("grader-test-no-such-container",)),
        ("start", ("grader-test-no-such-container",)),
        ("remove_container", ("grader-test-no-such-container",)),
        ("remove_image", ("grader-test-no-such-image",)),
        ("create_container", ("grader-test-no-such-image",)),
    ):
        with pytest.raises(docker.errors.APIError) as told:
            getattr(ours, name)(*arguments)
        with pytest.raises(docker.errors.APIError) as known:
            getattr(library, name)(*arguments)
        assert type(told.value) is type(known.value), name
        assert told.value.explanation == known.value.explanation
        assert told.value.status_code == known.value.status_code


def test_a_connection_that_fails_fails_as_the_library_s_does(tmp_path: Path) -> None:
    client = Client(f"unix://{tmp_path}/s", API_VERSION, 1)
    with pytest.raises(requests.ConnectionError):
        client.version()
    with serving(tmp_path / "s", saying()), pytest.raises(requests.ConnectionError):
        client.version()
    cut = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    with serving(tmp_path / "t", cut) as host, pytest.raises(requests.ConnectionError):
        Client(host, API_VERSION, 1).version()
    with serving(tmp_path / "u", silent) as host, pytest.raises(requests.Timeout):
        Client(host, API_VERSION, 1).version()


def test_lines_come_whole_however_they_are_cut(tmp_path: Path) -> None:
    pieces = b'{"a": 1}\r', b'\n\r\n{"b"', b": 2}\n", b'{"c": 3}'
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for end, error in ((b"0\r\n\r\n", None), (b"5\r\n12", requests.ConnectionError)):
        with serving(tmp_path / f"s{error is None}", saying(head, *chunks, end)) as host:
            client = cast("Any", Client(host, API_VERSION, 5))
            with post(client, "/build", data=b"", params={}, headers={}, silence=5) as answer:
                lines = answer.iter_lines(chunk_size=None)
                assert [next(lines) for _ in range(3)] == [b'{"a": 1}', b"", b'{"b": 2}']
                if error:
                    with pytest.raises(error):
                        next(lines)
                else:
                    assert list(lines) == [b'{"c": 3}']


def test_an_engine_that_refuses_before_it_has_read_everything_is_heard(tmp_path: Path) -> None:
    refusal = http(b'{"message": "too large"}', b"413 Too Large")
    with serving(tmp_path / "s", saying(refusal)) as host:
        client = cast("Any", Client(host, API_VERSION, 5))
        with post(client, "/build", data=b"\0" * (1 << 16), params={}, headers={}, silence=5) as answer:
            assert (answer.status_code, answer.json()) == (413, {"message": "too large"})


def test_a_name_cannot_leave_its_place_in_the_path() -> None:
    assert clients._quoted("a/b:c?x=1#y z") == "a/b:c%3Fx%3D1%23y%20z"
