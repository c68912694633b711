"""Exercise 05, "Further": an empty engine takes the builder's layer from a registry, as the exercise's text says."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.course.exercise import find_course, resolve
from grader.engine import build as building
from grader.engine import private
from grader.engine.connect import Engine, connect
from grader.result import silent
from grader.submission import context, dockerfile
from grader.submission.collect import collect
from grader.submission.files import File
from grader.tests import debian
from grader.tests.engine import own

if TYPE_CHECKING:
    from collections.abc import Iterator

BASES = ("python:3.11", "python:3.11-slim")
INLINE = {"BUILDKIT_INLINE_CACHE": "1"}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def empty(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine of its own that has the base images and nothing else: what is pruned in it is nobody's."""
    if not private.available():
        pytest.skip("takes Linux, root and dockerd")
    with own.home() as home:
        monkeypatch.setenv("DOCKER_HOST", private.start(silent, home))
        other = connect()
        own.copy(engine, other.client, BASES)
        yield other


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Debian's registry, on loopback; where it answers."""
    program = debian.program("docker-registry", "docker-registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = folder / "registry.yml"
    storage = f"storage: {{filesystem: {{rootdirectory: {folder / 'registry'}}}}}"
    settings.write_text(f'version: 0.1\nlog: {{level: error}}\n{storage}\nhttp: {{addr: "{address}"}}\n')
    with (folder / "registry.log").open("wb") as log:
        surroundings = os.environ | {"OTEL_TRACES_EXPORTER": "none"}
        server = subprocess.Popen([program, "serve", str(settings)], stdout=log, stderr=log, env=surroundings)
    try:
        _wait_for(address, server)
        yield address
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    host, _, port = address.partition(":")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"the registry does not answer at {address}")


class Machine:
    """One that builds the exercise's solution, and keeps what it needs for that in a registry."""

    def __init__(self, engine: Engine, address: str) -> None:
        exercise = resolve(find_course(ROOT / "exercises"), "05")
        self._engine = engine
        self._repository = f"{address}/numbers"
        self._files = dict(collect(exercise.starter, ROOT / "solutions" / exercise.id, ["Dockerfile"]).files)

    def change(self, name: str, old: bytes, new: bytes) -> None:
        """A change of the project that everybody gets with its next checkout."""
        data = self._files[name].data
        assert data.count(old) == 1, data
        self._files[name] = File(data.replace(old, new))

    def push(self, tag: str, *, target: str = "") -> None:
        image = self._build(target=target, args=INLINE).image_id
        assert image is not None
        self._engine.client.tag(image, self._repository, tag)
        answer = self._engine.client.push(self._repository, tag=tag, stream=True, decode=True)
        assert [line["error"] for line in answer if "error" in line] == []

    def forget(self) -> None:
        """Becomes another machine, with an empty engine."""
        client: Any = self._engine.client
        for image in client.images(all=True):
            if not any(tag in BASES for tag in image["RepoTags"] or ()):
                client.remove_image(image["Id"], force=True)
        client.prune_builds(all=True)
        assert client.df()["BuildCache"] in ([], None)

    def compiles(self, *tags: str) -> bool:
        """Whether a build that may take layers of these tags compiles anything."""
        build = self._build(cache_from=tuple(f"{self._repository}:{tag}" for tag in tags))
        (step,) = (step for step in build.steps if "pip wheel" in step.instruction)
        assert step.cached is not None
        return not step.cached

    def _build(self, **options: Any) -> building.Build:
        parsed = dockerfile.parse(self._files["Dockerfile"].data)
        build = building.build(self._engine, context.pack(self._files), parsed, building.Options(**options))
        assert build.failure is None, build.failure
        return build


def test_an_empty_engine_takes_the_builders_layer_from_a_registry(empty: Engine, tmp_path: Path) -> None:
    with registry(tmp_path) as address:
        machine = Machine(empty, address)
        machine.push("builder", target="builder")
        machine.push("latest")
        machine.forget()
        machine.change("app.py", b"import json", b"import json  # no layer of the builder looks at this")
        assert not machine.compiles("builder")
        machine.forget()
        assert not machine.compiles("latest"), "with the layer of the packages, nobody asks for the wheels"
        machine.forget()
        machine.change("Dockerfile", b"WORKDIR /app", b"WORKDIR /app\nENV PYTHONUNBUFFERED=1")
        assert machine.compiles("latest"), "the final image holds nothing of the stage that compiles"
        machine.forget()
        assert not machine.compiles("builder", "latest")
        machine.forget()
        machine.change("requirements.txt", b"primality", b"collatz==1.0\nprimality")
        assert machine.compiles("builder", "latest"), "a layer is taken as a whole, or not at all"
