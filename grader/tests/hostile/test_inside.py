"""The sandbox attacked from inside: an image that tries everything, and tells what it got."""

from __future__ import annotations

import json
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.engine import leftovers
from grader.engine.running.app import Options
from grader.engine.faults.refusal import AppError
from grader.engine.sandbox import Sandbox
from grader.tests.engine.building import Workshop, eventually
from grader.tests.hostile.watchdog import MB, Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.running.app import App
    from grader.engine.connect import Engine

INSIDE = Path(__file__).parent / "inside"
DOCKERFILE = (INSIDE / "Dockerfile").read_text()
#: MB of memory that it is given.
MEMORY = 300
#: What Podman gives to whoever it runs: a user namespace of its own making, whose root has power in it alone, and an
#: empty file that says that it is Podman.
PODMAN = {"make_namespaces": "unshared 10000000", "find_what_the_host_mounted": ["/run/.containerenv"]}
#: Somebody on the internet, and where clouds answer their machines.
FAR = (("8.8.8.8", 53), ("1.1.1.1", 443), ("2001:4860:4860::8888", 53), ("169.254.169.254", 80), ("fd00:ec2::254", 80))


@contextmanager
def running(engine: Engine, *, who: str = "0", entered: bool = True, **env: str) -> Iterator[App]:
    """The attacker as user ``who``; asked by entering its network, or as where that cannot be done."""
    made = Workshop(engine)
    box = Sandbox(engine if entered else replace(engine, local=False), made.run.labels, ["python:3.11-slim"])
    try:
        image = made.image(DOCKERFILE, {"attack.py": (INSIDE / "attack.py").read_text()}, args={"WHO": who})
        yield box.start(image.id, Options(5000, within=20.0, memory=MEMORY * MB, env={"TARGETS": "[]"} | env))
    finally:
        box.close()
        leftovers.remove(engine, made.run)


def asked(app: App, path: str) -> Any:
    answer = app.ask("GET", path, within=60.0)
    assert not answer.error, (answer, app.log())
    return json.loads(answer.body)


@contextmanager
def listening() -> Iterator[list[tuple[str, int]]]:
    """A service of this machine on all of its addresses, each with its port."""
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        told = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
        yield [(address, port) for address in ("127.0.0.1", "172.17.0.1", *told)]


@pytest.mark.parametrize(("who", "entered"), [("0", True), ("1000", True), ("0", False)], ids=["root", "user", "probe"])
def test_nothing_of_what_it_tries_succeeds(engine: Engine, who: str, *, entered: bool) -> None:
    if entered and not engine.local:
        pytest.skip("takes root on the engine's machine")
    with listening() as host, running(engine, entered=entered) as neighbour:
        addresses = neighbour.engine.client.inspect_container(neighbour.container)["NetworkSettings"]["Networks"]
        near = [(network["IPAddress"], 5000) for network in addresses.values() if network["IPAddress"]]
        with running(engine, who=who, entered=entered, TARGETS=json.dumps([*host, *near, *FAR])) as app:
            told = asked(app, "/attacks")
    assert len(told) > 30
    given = PODMAN if engine.name == "podman" else {}
    assert {name: got for name, got in told.items() if got} == given


def test_what_it_takes_without_end_is_bounded(engine: Engine) -> None:
    with running(engine) as app:
        taken = asked(app, "/limits")
        log = Path(app.engine.client.inspect_container(app.container)["LogPath"] or "/nowhere")
        size = log.stat().st_size if engine.local and log.exists() else 0
        assert len("\n".join(app.log())) < 20_000
    assert taken.pop("log") * MB > 4 * size
    bounds = {"processes": 256, "files": 4096, "memory": MEMORY, "shared": 64 * 1.05}
    assert {name: much for name, much in taken.items() if much > bounds[name]} == {}
    assert all(taken.values()), taken


def test_nothing_goes_on_when_it_is_over(engine: Engine, tmp_path: Path) -> None:
    with Watchdog(engine, tmp_path) as dog, running(engine) as app:
        assert asked(app, "/stay") == "stays"
        assert not engine.local or eventually(lambda: dog.peak.processes > 10)
    assert dog.left_behind() == set()


def test_who_ends_what_looks_at_it_is_at_fault_itself(engine: Engine) -> None:
    with running(engine, entered=False) as app:
        assert asked(app, "/hunt") == "hunts"
        with pytest.raises(AppError, match="whoever looks at its processes|started beside the app"):
            app.processes()
